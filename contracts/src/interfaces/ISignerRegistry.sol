// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Which keys may sign, from when to when, and since when no longer.
/// @notice Written by registrars, `threshold` of them together, by signature: who sends the transaction does not
///         matter. Holds no key and no name: only a key's hash and a salted commitment to the identity behind it.
///         A key is registered once and revoked once; neither is ever changed or removed.
interface ISignerRegistry {
    /// @notice What is known of a key.
    /// @param validFrom First second in which it may sign; seconds since 1970.
    /// @param validTo Last second in which it may sign.
    /// @param revokedAt Time of the block that revoked it; 0 when not revoked.
    /// @param assurance Level of the identity check, 1 .. 255; 0 means the key is unknown.
    /// @param reason Why it was revoked, CRLReason of RFC 5280; 0 when not revoked or unspecified.
    struct Key {
        uint64 validFrom;
        uint64 validTo;
        uint64 revokedAt;
        uint8 assurance;
        uint8 reason;
    }

    /// @notice One registrar's signature.
    /// @param verifier ERC-7913 verifier of the key.
    /// @param key The registrar's public key, in that verifier's form.
    /// @param signature Over the EIP-712 digest of the act.
    struct Approval {
        address verifier;
        bytes key;
        bytes signature;
    }

    /// @notice A key was registered.
    /// @param keyHash `hashOf(verifier, key)`.
    /// @param identity Salted commitment to who holds it.
    event KeyRegistered(
        bytes32 indexed keyHash, bytes32 indexed identity, uint64 validFrom, uint64 validTo, uint8 assurance
    );

    /// @notice A key was revoked.
    event KeyRevoked(bytes32 indexed keyHash, uint64 revokedAt, uint8 reason);

    /// @notice The registrars offered their role to a set. It changes nothing until that set accepts.
    /// @param offered Hash of the set and its threshold.
    /// @param epoch The epoch that would begin.
    event RegistrarsOffered(bytes32 indexed offered, uint64 indexed epoch, bytes32[] registrars, uint8 threshold);

    /// @notice The offered set took the role.
    event RegistrarsChanged(uint64 indexed epoch, bytes32[] registrars, uint8 threshold);

    /// @notice The set is empty, too large, not strictly ascending, or its threshold is 0 or larger than the set.
    error SignerRegistryBadSet(uint256 count, uint256 threshold);

    /// @notice Another number of approvals than the threshold.
    error SignerRegistryApprovals(uint256 given, uint256 threshold);

    /// @notice Approvals are not in strictly ascending order of key hash; a doubled one ends here.
    error SignerRegistryOrder(bytes32 before, bytes32 found);

    /// @notice This key is no registrar of the set that must approve.
    error SignerRegistryNotRegistrar(bytes32 keyHash);

    /// @notice This registrar did not sign this act.
    error SignerRegistryBadSignature(bytes32 keyHash);

    /// @notice The act was to be done before.
    error SignerRegistryLate(uint256 time, uint64 deadline);

    /// @notice The key is known already.
    error SignerRegistryKnown(bytes32 keyHash);

    /// @notice The key ends before it begins.
    error SignerRegistryBadPeriod(uint64 validFrom, uint64 validTo);

    /// @notice A known key has an assurance of at least 1.
    error SignerRegistryNoAssurance();

    /// @notice Nobody registered this key.
    error SignerRegistryUnknownKey(bytes32 keyHash);

    /// @notice The key may not sign yet.
    error SignerRegistryNotYetValid(bytes32 keyHash, uint64 validFrom, uint256 time);

    /// @notice The key may sign no longer.
    error SignerRegistryExpired(bytes32 keyHash, uint64 validTo, uint256 time);

    /// @notice The key was revoked.
    error SignerRegistryRevoked(bytes32 keyHash, uint64 revokedAt);

    /// @notice No such set was offered.
    error SignerRegistryNotOffered(bytes32 given, bytes32 offered);

    /// @notice Register a key.
    /// @dev Reverts with, in this order: Late, Known, NoAssurance, BadPeriod, then as approvals are read.
    /// @param identity Salted commitment to the identity; never the identity.
    /// @param deadline Last second in which this may be done.
    /// @param approvals Exactly `threshold` of the registrars, ascending by key hash, over
    ///        Register(bytes32 keyHash,uint64 validFrom,uint64 validTo,uint8 assurance,bytes32 identity,uint64 deadline).
    function register(
        bytes32 keyHash,
        uint64 validFrom,
        uint64 validTo,
        uint8 assurance,
        bytes32 identity,
        uint64 deadline,
        Approval[] calldata approvals
    ) external;

    /// @notice Revoke a key from this block on.
    /// @dev Reverts with, in this order: Late, UnknownKey, Revoked, then as approvals are read.
    /// @param approvals Over Revoke(bytes32 keyHash,uint8 reason,uint64 deadline).
    function revoke(bytes32 keyHash, uint8 reason, uint64 deadline, Approval[] calldata approvals) external;

    /// @notice Offer the role to another set; a second offer replaces the first.
    /// @param registrars Key hashes, strictly ascending, at most 16.
    /// @param approvals Of the present registrars, over
    ///        OfferRegistrars(bytes32 set,uint64 epoch,uint64 deadline), `epoch` being the next one.
    function offerRegistrars(
        bytes32[] calldata registrars,
        uint8 threshold,
        uint64 deadline,
        Approval[] calldata approvals
    ) external;

    /// @notice Take the offered role.
    /// @param approvals Of the offered set, as many as its own threshold, over
    ///        AcceptRegistrars(bytes32 set,uint64 epoch,uint64 deadline).
    function acceptRegistrars(
        bytes32[] calldata registrars,
        uint8 threshold,
        uint64 deadline,
        Approval[] calldata approvals
    ) external;

    /// @notice Revert unless every key may sign in this block.
    /// @return assurance The lowest among them; 255 for no keys.
    function requireValid(bytes32[] calldata keyHashes) external view returns (uint8 assurance);

    /// @notice What is known of a key; all zero when nothing is.
    function keyOf(bytes32 keyHash) external view returns (Key memory);

    /// @notice The salted commitment to who holds a key.
    function identityOf(bytes32 keyHash) external view returns (bytes32);

    /// @notice Whether a key is a registrar now.
    function isRegistrar(bytes32 keyHash) external view returns (bool);

    /// @notice The registrar set's number (from 1), how many must approve, and of how many.
    function registrarSet() external view returns (uint64 epoch, uint8 threshold, uint8 count);

    /// @notice Hash of the offered set; 0 when none is offered.
    function offeredSet() external view returns (bytes32);

    /// @notice The name of a key: Keccak-256 of abi.encode(tag, verifier, keccak256(key)).
    function hashOf(address verifier, bytes calldata key) external pure returns (bytes32);
}
