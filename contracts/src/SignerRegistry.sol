// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignerRegistry} from "./interfaces/ISignerRegistry.sol";
import {Keys} from "./libraries/Keys.sol";

/// @title SignerRegistry: see ISignerRegistry for what each call promises.
/// @dev No proxy, pause, delete or owner. Replay: an act's digest names chain and contract; a key is registered once
///      and revoked once; an offer names its epoch.
contract SignerRegistry is ISignerRegistry {
    /// @dev More registrars than any federation of ours has; bounds the loops.
    uint256 private constant _REGISTRARS_MAX = 16;

    bytes32 private constant _NAME = keccak256("fuqi SignerRegistry");
    bytes32 private constant _SET_TAG = keccak256("fuqi/registrars/v1");
    bytes32 private constant _REGISTER = keccak256(
        "Register(bytes32 keyHash,uint64 validFrom,uint64 validTo,uint8 assurance,bytes32 identity,uint64 deadline)"
    );
    bytes32 private constant _REVOKE = keccak256("Revoke(bytes32 keyHash,uint8 reason,uint64 deadline)");
    bytes32 private constant _OFFER = keccak256("OfferRegistrars(bytes32 set,uint64 epoch,uint64 deadline)");
    bytes32 private constant _ACCEPT = keccak256("AcceptRegistrars(bytes32 set,uint64 epoch,uint64 deadline)");

    mapping(bytes32 keyHash => Key) private _keys;
    mapping(bytes32 keyHash => bytes32) private _identities;
    /// @dev Registrars are those of the present epoch; a change of set leaves older numbers behind, not rights.
    mapping(bytes32 keyHash => uint64 epoch) private _registrars;
    uint64 private _epoch;
    uint8 private _threshold;
    uint8 private _count;
    bytes32 private _offered;

    /// @param registrars Key hashes, strictly ascending, at most 16.
    /// @param threshold How many must approve an act.
    constructor(bytes32[] memory registrars, uint8 threshold) {
        _setRegistrars(registrars, threshold);
    }

    /// @inheritdoc ISignerRegistry
    function register(
        bytes32 keyHash,
        uint64 validFrom,
        uint64 validTo,
        uint8 assurance,
        bytes32 identity,
        uint64 deadline,
        Approval[] calldata approvals
    ) external {
        _requireInTime(deadline);
        if (_keys[keyHash].assurance != 0) revert SignerRegistryKnown(keyHash);
        if (assurance == 0) revert SignerRegistryNoAssurance();
        if (validTo < validFrom) revert SignerRegistryBadPeriod(validFrom, validTo);
        _requireApproved(
            keccak256(abi.encode(_REGISTER, keyHash, validFrom, validTo, assurance, identity, deadline)), approvals
        );
        _keys[keyHash] =
            Key({validFrom: validFrom, validTo: validTo, revokedAt: 0, assurance: assurance, reason: 0});
        _identities[keyHash] = identity;
        emit KeyRegistered(keyHash, identity, validFrom, validTo, assurance);
    }

    /// @inheritdoc ISignerRegistry
    function revoke(bytes32 keyHash, uint8 reason, uint64 deadline, Approval[] calldata approvals) external {
        _requireInTime(deadline);
        Key storage key = _keys[keyHash];
        if (key.assurance == 0) revert SignerRegistryUnknownKey(keyHash);
        if (key.revokedAt != 0) revert SignerRegistryRevoked(keyHash, key.revokedAt);
        _requireApproved(keccak256(abi.encode(_REVOKE, keyHash, reason, deadline)), approvals);
        key.revokedAt = uint64(block.timestamp);
        key.reason = reason;
        emit KeyRevoked(keyHash, uint64(block.timestamp), reason);
    }

    /// @inheritdoc ISignerRegistry
    function offerRegistrars(
        bytes32[] calldata registrars,
        uint8 threshold,
        uint64 deadline,
        Approval[] calldata approvals
    ) external {
        _requireInTime(deadline);
        _requireSet(registrars, threshold);
        bytes32 set = _setHash(registrars, threshold);
        uint64 next = _epoch + 1;
        _requireApproved(keccak256(abi.encode(_OFFER, set, next, deadline)), approvals);
        _offered = set;
        emit RegistrarsOffered(set, next, registrars, threshold);
    }

    /// @inheritdoc ISignerRegistry
    function acceptRegistrars(
        bytes32[] calldata registrars,
        uint8 threshold,
        uint64 deadline,
        Approval[] calldata approvals
    ) external {
        _requireInTime(deadline);
        bytes32 set = _setHash(registrars, threshold);
        if (set != _offered) revert SignerRegistryNotOffered(set, _offered);
        // The new set is written first, so that its own members are the ones whose approval is read; if they do not
        // approve, all of this reverts.
        delete _offered;
        _setRegistrars(registrars, threshold);
        _requireApproved(keccak256(abi.encode(_ACCEPT, set, _epoch, deadline)), approvals);
    }

    /// @inheritdoc ISignerRegistry
    function requireValid(bytes32[] calldata keyHashes) external view returns (uint8 assurance) {
        assurance = type(uint8).max;
        for (uint256 i = 0; i < keyHashes.length; ++i) {
            bytes32 keyHash = keyHashes[i];
            Key storage key = _keys[keyHash];
            (uint64 validFrom, uint64 validTo, uint64 revokedAt, uint8 level) =
                (key.validFrom, key.validTo, key.revokedAt, key.assurance);
            if (level == 0) revert SignerRegistryUnknownKey(keyHash);
            if (revokedAt != 0) revert SignerRegistryRevoked(keyHash, revokedAt);
            if (block.timestamp < validFrom) revert SignerRegistryNotYetValid(keyHash, validFrom, block.timestamp);
            if (block.timestamp > validTo) revert SignerRegistryExpired(keyHash, validTo, block.timestamp);
            if (level < assurance) assurance = level;
        }
    }

    /// @inheritdoc ISignerRegistry
    function keyOf(bytes32 keyHash) external view returns (Key memory) {
        return _keys[keyHash];
    }

    /// @inheritdoc ISignerRegistry
    function identityOf(bytes32 keyHash) external view returns (bytes32) {
        return _identities[keyHash];
    }

    /// @inheritdoc ISignerRegistry
    function isRegistrar(bytes32 keyHash) external view returns (bool) {
        return _registrars[keyHash] == _epoch;
    }

    /// @inheritdoc ISignerRegistry
    function registrarSet() external view returns (uint64 epoch, uint8 threshold, uint8 count) {
        return (_epoch, _threshold, _count);
    }

    /// @inheritdoc ISignerRegistry
    function offeredSet() external view returns (bytes32) {
        return _offered;
    }

    /// @inheritdoc ISignerRegistry
    function hashOf(address verifier, bytes calldata key) external pure returns (bytes32) {
        return Keys.hashOf(verifier, key);
    }

    function _setRegistrars(bytes32[] memory registrars, uint8 threshold) private {
        _requireSet(registrars, threshold);
        uint64 epoch = _epoch + 1;
        for (uint256 i = 0; i < registrars.length; ++i) _registrars[registrars[i]] = epoch;
        _epoch = epoch;
        _threshold = threshold;
        _count = uint8(registrars.length);
        emit RegistrarsChanged(epoch, registrars, threshold);
    }

    function _requireApproved(bytes32 structHash, Approval[] calldata approvals) private view {
        uint256 needed = _threshold;
        if (approvals.length != needed) revert SignerRegistryApprovals(approvals.length, needed);
        bytes32 digest = Keys.digest(_NAME, structHash);
        uint64 epoch = _epoch;
        bytes32 last = 0;
        for (uint256 i = 0; i < needed; ++i) {
            Approval calldata approval = approvals[i];
            bytes32 keyHash = Keys.hashOf(approval.verifier, approval.key);
            if (keyHash <= last) revert SignerRegistryOrder(last, keyHash);
            if (_registrars[keyHash] != epoch) revert SignerRegistryNotRegistrar(keyHash);
            if (!Keys.verified(approval.verifier, approval.key, digest, approval.signature)) {
                revert SignerRegistryBadSignature(keyHash);
            }
            last = keyHash;
        }
    }

    function _requireInTime(uint64 deadline) private view {
        if (block.timestamp > deadline) revert SignerRegistryLate(block.timestamp, deadline);
    }

    function _requireSet(bytes32[] memory registrars, uint8 threshold) private pure {
        uint256 count = registrars.length;
        if (threshold == 0 || threshold > count || count > _REGISTRARS_MAX) {
            revert SignerRegistryBadSet(count, threshold);
        }
        bytes32 last = 0;
        for (uint256 i = 0; i < count; ++i) {
            if (registrars[i] <= last) revert SignerRegistryBadSet(count, threshold);
            last = registrars[i];
        }
    }

    function _setHash(bytes32[] calldata registrars, uint8 threshold) private pure returns (bytes32) {
        return keccak256(abi.encode(_SET_TAG, registrars, threshold));
    }
}
