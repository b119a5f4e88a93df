// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidenceLog} from "./interfaces/IEvidenceLog.sol";
import {ISeals} from "./interfaces/ISeals.sol";
import {ISignerRegistry} from "./interfaces/ISignerRegistry.sol";
import {Keys} from "./libraries/Keys.sol";
import {LogEntry} from "./libraries/LogEntry.sol";

/// @title Seals: see ISeals for what each call promises.
/// @dev No proxy, pause, delete or owner; `msg.sender` is never read. Replay: a seal's name is a hash of chain,
///      contract, document, parties and `prev`, and it is made once.
contract Seals is ISeals {
    /// @dev More parties than any agreement of ours has; bounds the loops.
    uint256 private constant _PARTIES_MAX = 32;

    bytes32 private constant _NAME = keccak256("fuqi Seals");
    bytes32 private constant _ID_TAG = keccak256("fuqi/seal/v1");
    bytes32 private constant _PARTIES_TAG = keccak256("fuqi/parties/v1");
    bytes32 private constant _SEAL =
        keccak256("Seal(bytes32 doc,bytes32 partiesRoot,bytes32 prev,uint64 deadline)");
    bytes32 private constant _REVOKE = keccak256("RevokeSeal(bytes32 id,uint16 reason,uint64 deadline)");

    ISignerRegistry private _registry;
    IEvidenceLog private _log;
    mapping(address verifier => bool) private _documentVerifiers;
    mapping(bytes32 id => Record) private _records;
    mapping(bytes32 id => Revocation) private _revocations;
    mapping(bytes32 leaf => bytes32 id) private _promoted;

    /// @param signerRegistry Where keys are registered.
    /// @param evidenceLog The log whose entries can be promoted.
    /// @param documentVerifiers Verifiers of signatures that name the document only, such as CmsVerifier.
    constructor(address signerRegistry, address evidenceLog, address[] memory documentVerifiers) {
        _requireContract(signerRegistry);
        _requireContract(evidenceLog);
        _registry = ISignerRegistry(signerRegistry);
        _log = IEvidenceLog(evidenceLog);
        for (uint256 i = 0; i < documentVerifiers.length; ++i) {
            _requireContract(documentVerifiers[i]);
            _documentVerifiers[documentVerifiers[i]] = true;
        }
    }

    /// @inheritdoc ISeals
    function seal(bytes32 doc, bytes32 prev, uint64 deadline, Party[] calldata parties)
        external
        returns (bytes32 id)
    {
        bytes32[] memory keyHashes;
        bytes32 partiesRoot;
        (id, partiesRoot, keyHashes) = _requireForm(doc, prev, deadline, parties);
        uint64 time = _records[id].time;
        if (time != 0) revert SealsExists(id, time);
        uint8 assurance = _requireSigned(_structHash(doc, partiesRoot, prev, deadline), keyHashes, parties);
        _write(id, uint8(parties.length), assurance);
        emit Sealed(id, doc, prev, partiesRoot, parties.length, assurance);
    }

    /// @inheritdoc ISeals
    function promote(
        bytes32 doc,
        bytes32 prev,
        uint64 deadline,
        Opening calldata opening,
        Party[] calldata parties
    ) external returns (bytes32 id) {
        bytes32[] memory keyHashes;
        bytes32 partiesRoot;
        (id, partiesRoot, keyHashes) = _requireForm(doc, prev, deadline, parties);
        uint8 assurance = _requireSigned(_structHash(doc, partiesRoot, prev, deadline), keyHashes, parties);
        bytes32 leaf = _requireInLog(doc, partiesRoot, prev, opening);
        if (_records[id].time == 0) {
            _write(id, uint8(parties.length), assurance);
            emit Sealed(id, doc, prev, partiesRoot, parties.length, assurance);
        }
        _promoted[leaf] = id;
        emit Promoted(leaf, id, opening.index);
    }

    /// @inheritdoc ISeals
    function revoke(bytes32 doc, bytes32 prev, uint16 reason, uint64 deadline, Party[] calldata parties) external {
        if (block.timestamp > deadline) revert SealsLate(block.timestamp, deadline);
        (bytes32[] memory keyHashes, bytes32 partiesRoot,) = _namesOf(doc, parties);
        bytes32 id = _id(doc, partiesRoot, prev);
        if (_records[id].time == 0) revert SealsUnknown(id);
        if (_revocations[id].time != 0) revert SealsRevoked(id, _revocations[id].time);
        _registry.requireValid(keyHashes);
        bytes32 digest = Keys.digest(_NAME, keccak256(abi.encode(_REVOKE, id, reason, deadline)));
        for (uint256 i = 0; i < parties.length; ++i) {
            Party calldata party = parties[i];
            _requireSignature(party.verifier, party.key, digest, party.signature, keyHashes[i]);
        }
        _revocations[id] = Revocation({
            time: uint64(block.timestamp),
            blockNumber: uint64(block.number),
            reason: reason
        });
        emit SealRevoked(id, partiesRoot, reason);
    }

    /// @inheritdoc ISeals
    function recordOf(bytes32 id) external view returns (Record memory) {
        return _records[id];
    }

    /// @inheritdoc ISeals
    function revocationOf(bytes32 id) external view returns (Revocation memory) {
        return _revocations[id];
    }

    /// @inheritdoc ISeals
    function sealOfLeaf(bytes32 leaf) external view returns (bytes32) {
        return _promoted[leaf];
    }

    /// @inheritdoc ISeals
    function idOf(bytes32 doc, bytes32 partiesRoot, bytes32 prev) external view returns (bytes32) {
        return _id(doc, partiesRoot, prev);
    }

    /// @inheritdoc ISeals
    function partiesRootOf(bytes32[] calldata keyHashes, bytes32[] calldata signed) external pure returns (bytes32) {
        return keccak256(abi.encode(_PARTIES_TAG, keyHashes, signed));
    }

    /// @inheritdoc ISeals
    function leafOf(bytes32 doc, bytes32 partiesRoot, bytes32 prev, Opening calldata opening)
        external
        pure
        returns (bytes32)
    {
        return _leaf(doc, partiesRoot, prev, opening);
    }

    /// @inheritdoc ISeals
    function registry() external view returns (address) {
        return address(_registry);
    }

    /// @inheritdoc ISeals
    function log() external view returns (address) {
        return address(_log);
    }

    /// @inheritdoc ISeals
    function isDocumentVerifier(address verifier) external view returns (bool) {
        return _documentVerifiers[verifier];
    }

    function _write(bytes32 id, uint8 parties, uint8 assurance) private {
        _records[id] = Record({
            time: uint64(block.timestamp),
            blockNumber: uint64(block.number),
            parties: parties,
            assurance: assurance
        });
    }

    /// @dev All that can be refused without looking at a signature.
    function _requireForm(bytes32 doc, bytes32 prev, uint64 deadline, Party[] calldata parties)
        private
        view
        returns (bytes32 id, bytes32 partiesRoot, bytes32[] memory keyHashes)
    {
        if (block.timestamp > deadline) revert SealsLate(block.timestamp, deadline);
        if (prev != 0 && _records[prev].time == 0) revert SealsUnknown(prev);
        bool named;
        (keyHashes, partiesRoot, named) = _namesOf(doc, parties);
        if (!named) revert SealsDocumentNotSigned(doc);
        id = _id(doc, partiesRoot, prev);
    }

    /// @return keyHashes The parties' keys.
    /// @return partiesRoot Hash of the set.
    /// @return named Whether some CMS signature names the document itself, or there is none.
    function _namesOf(bytes32 doc, Party[] calldata parties)
        private
        view
        returns (bytes32[] memory keyHashes, bytes32 partiesRoot, bool named)
    {
        uint256 count = parties.length;
        if (count == 0 || count > _PARTIES_MAX) revert SealsPartyCount(count, _PARTIES_MAX);
        keyHashes = new bytes32[](count);
        bytes32[] memory signed = new bytes32[](count);
        bool byDocument = false;
        bytes32 last = 0;
        for (uint256 i = 0; i < count; ++i) {
            Party calldata party = parties[i];
            address verifier = party.verifier;
            bytes32 keyHash = Keys.hashOf(verifier, party.key);
            if (keyHash <= last) revert SealsOrder(last, keyHash);
            keyHashes[i] = last = keyHash;
            bytes32 digest = party.signed;
            if (digest == 0) continue;
            // A raw digest under any other verifier could be one that the key signed for another purpose.
            if (!_documentVerifiers[verifier]) revert SealsNotDocumentVerifier(verifier);
            signed[i] = digest;
            byDocument = true;
            if (digest == doc) named = true;
        }
        partiesRoot = keccak256(abi.encode(_PARTIES_TAG, keyHashes, signed));
        named = named || !byDocument;
    }

    function _requireSigned(bytes32 structHash, bytes32[] memory keyHashes, Party[] calldata parties)
        private
        view
        returns (uint8 assurance)
    {
        assurance = _registry.requireValid(keyHashes);
        bytes32 digest = Keys.digest(_NAME, structHash);
        for (uint256 i = 0; i < keyHashes.length; ++i) {
            Party calldata party = parties[i];
            bytes32 signed = party.signed;
            _requireSignature(
                party.verifier, party.key, signed == 0 ? digest : signed, party.signature, keyHashes[i]
            );
        }
    }

    function _requireSignature(
        address verifier,
        bytes calldata key,
        bytes32 digest,
        bytes calldata signature,
        bytes32 keyHash
    ) private view {
        if (!Keys.verified(verifier, key, digest, signature)) revert SealsBadSignature(keyHash, digest);
    }

    function _structHash(bytes32 doc, bytes32 partiesRoot, bytes32 prev, uint64 deadline)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(_SEAL, doc, partiesRoot, prev, deadline));
    }

    function _requireInLog(bytes32 doc, bytes32 partiesRoot, bytes32 prev, Opening calldata opening)
        private
        view
        returns (bytes32 leaf)
    {
        leaf = _leaf(doc, partiesRoot, prev, opening);
        if (_promoted[leaf] != 0) revert SealsLeafPromoted(leaf, _promoted[leaf]);
        if (!_log.isIncluded(leaf, opening.index, opening.size, opening.path)) {
            revert SealsNotInLog(leaf, opening.index, opening.size);
        }
    }

    function _id(bytes32 doc, bytes32 partiesRoot, bytes32 prev) private view returns (bytes32) {
        return keccak256(abi.encode(_ID_TAG, block.chainid, address(this), doc, partiesRoot, prev));
    }

    function _leaf(bytes32 doc, bytes32 partiesRoot, bytes32 prev, Opening calldata opening)
        private
        pure
        returns (bytes32)
    {
        bytes32 commitment = LogEntry.commitment(opening.salt, doc, partiesRoot, prev);
        return LogEntry.leaf(opening.before, commitment, opening.afterwards);
    }

    function _requireContract(address given) private view {
        if (given.code.length == 0) revert SealsNoContract(given);
    }
}
