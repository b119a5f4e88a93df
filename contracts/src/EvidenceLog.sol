// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidenceLog} from "./interfaces/IEvidenceLog.sol";
import {Rfc9162} from "./libraries/Rfc9162.sol";

/// @title EvidenceLog: see IEvidenceLog for what each call promises.
/// @dev No proxy, pause, delete or owner. The first two storage slots hold the whole head, so that a state proof of
///      those two slots proves it; ledger/chain_proof.py depends on this layout:
///        slot 0  root
///        slot 1  size (bits 0-63), time (64-127), index (128-191)
contract EvidenceLog is IEvidenceLog {
    /// @dev Sizes beyond 2**53 - 1 are not exact integers in JSON readers.
    uint64 private constant _SIZE_MAX = 2 ** 53 - 1;

    bytes32 private _root;
    uint64 private _size;
    uint64 private _time;
    uint64 private _index;
    address private _writer;
    address private _pendingWriter;

    /// @param initialWriter Who may append.
    constructor(address initialWriter) {
        if (initialWriter == address(0)) revert EvidenceLogZeroWriter();
        _root = sha256("");
        // Makes slot 1 non-zero from the start: a head is always proved by presence, never by absence.
        _time = uint64(block.timestamp);
        _writer = initialWriter;
        emit WriterHandedOver(address(0), initialWriter);
    }

    /// @inheritdoc IEvidenceLog
    function append(uint64 size, bytes32 root, bytes32[] calldata consistencyProof) external {
        if (msg.sender != _writer) revert EvidenceLogUnauthorized(msg.sender, _writer);
        (uint64 headSize, uint64 index) = (_size, _index);
        if (size <= headSize) revert EvidenceLogNotNewer(size, headSize);
        if (size > _SIZE_MAX) revert EvidenceLogTooLarge(size, _SIZE_MAX);
        Rfc9162.requireExtends(headSize, _root, size, root, consistencyProof);
        // The number of checkpoints is at most the size, which the check above keeps far below 2**64.
        unchecked {
            ++index;
        }
        _root = root;
        _size = size;
        _time = uint64(block.timestamp);
        _index = index;
        emit Checkpoint(index, size, root);
    }

    /// @inheritdoc IEvidenceLog
    function offerWriter(address newWriter) external {
        if (msg.sender != _writer) revert EvidenceLogUnauthorized(msg.sender, _writer);
        if (newWriter == address(0)) revert EvidenceLogZeroWriter();
        _pendingWriter = newWriter;
        emit WriterHandoverStarted(msg.sender, newWriter);
    }

    /// @inheritdoc IEvidenceLog
    function acceptWriter() external {
        if (msg.sender != _pendingWriter) revert EvidenceLogUnauthorized(msg.sender, _pendingWriter);
        address previousWriter = _writer;
        _writer = msg.sender;
        delete _pendingWriter;
        emit WriterHandedOver(previousWriter, msg.sender);
    }

    /// @inheritdoc IEvidenceLog
    function head() external view returns (Head memory) {
        return Head({size: _size, time: _time, index: _index, root: _root});
    }

    /// @inheritdoc IEvidenceLog
    function writer() external view returns (address) {
        return _writer;
    }

    /// @inheritdoc IEvidenceLog
    function pendingWriter() external view returns (address) {
        return _pendingWriter;
    }

    /// @inheritdoc IEvidenceLog
    function isIncluded(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata path) external view returns (bool) {
        if (size != _size) revert EvidenceLogNotHead(size, _size);
        return Rfc9162.includes(leaf, index, size, _root, path);
    }
}
