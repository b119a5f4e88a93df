// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Documents whose signatures the chain itself has checked.
/// @notice A seal exists only if every party's signature was verified in the block that made it, by a key that was
///         registered, in its period and not revoked at that block's time. Nobody has a special right: whoever holds
///         the signatures may bring them. A seal is never changed or removed; revocation is a second record.
interface ISeals {
    /// @notice One party's signature.
    /// @param verifier ERC-7913 verifier of the key.
    /// @param key Public key, in that verifier's form.
    /// @param signed 0: the party signed the EIP-712 digest of the seal. Otherwise the digest that stands in the
    ///        party's own CMS signature: SHA-256 of the byte range of its revision of the file. Only the document
    ///        verifiers named at deployment may be used so.
    /// @param signature In the verifier's form.
    struct Party {
        address verifier;
        bytes key;
        bytes32 signed;
        bytes signature;
    }

    /// @notice A seal.
    /// @param time Time of its block, seconds since 1970; 0 when there is no such seal.
    /// @param blockNumber Number of its block.
    /// @param parties How many signed.
    /// @param assurance The lowest assurance among their keys, then.
    struct Record {
        uint64 time;
        uint64 blockNumber;
        uint8 parties;
        uint8 assurance;
    }

    /// @notice A revocation.
    /// @param time Time of its block; 0 when not revoked.
    /// @param blockNumber Number of its block.
    /// @param reason Code that the parties gave.
    struct Revocation {
        uint64 time;
        uint64 blockNumber;
        uint16 reason;
    }

    /// @notice A log entry, opened just far enough to show what it promised: its bytes are
    ///         before || `"commitments":{"body":"` || hex of HMAC-SHA256(salt, body) || `"}` || afterwards
    ///         and its private body is `{"doc":"..","parties_root":"..","prev":".."}`, each 64 hex digits.
    /// @param index Its place in the log, from 0.
    /// @param size The log's present size.
    /// @param salt The body's salt, 32 bytes.
    /// @param path RFC 9162 section 2.1.3.1 path, leaf level first.
    struct Opening {
        uint64 index;
        uint64 size;
        bytes32 salt;
        bytes before;
        bytes afterwards;
        bytes32[] path;
    }

    /// @notice A document was sealed.
    /// @param id `idOf(doc, partiesRoot, prev)`.
    /// @param doc SHA-256 of the document (of the last signature's byte range, for a PDF signed in place).
    /// @param prev The seal that this one amends; 0 for none. It binds only those who signed this one.
    /// @param partiesRoot `partiesRootOf` the parties' key hashes and what each signed.
    /// @param parties How many signed.
    /// @param assurance The lowest assurance among their keys.
    event Sealed(
        bytes32 indexed id,
        bytes32 indexed doc,
        bytes32 indexed prev,
        bytes32 partiesRoot,
        uint256 parties,
        uint8 assurance
    );

    /// @notice A log entry was shown to promise this seal.
    event Promoted(bytes32 indexed leaf, bytes32 indexed id, uint64 index);

    /// @notice All parties of a seal revoked it.
    event SealRevoked(bytes32 indexed id, bytes32 indexed partiesRoot, uint16 reason);

    /// @notice There is no contract at an address given at deployment.
    error SealsNoContract(address given);

    /// @notice No parties, or more than a seal may have.
    error SealsPartyCount(uint256 given, uint256 maximum);

    /// @notice Parties are not in strictly ascending order of key hash; a doubled one ends here.
    error SealsOrder(bytes32 before, bytes32 found);

    /// @notice This verifier may not be used for a signature that names the document only.
    error SealsNotDocumentVerifier(address verifier);

    /// @notice CMS signatures were given and none of them is over the document itself.
    error SealsDocumentNotSigned(bytes32 doc);

    /// @notice This party's signature does not verify.
    error SealsBadSignature(bytes32 keyHash, bytes32 digest);

    /// @notice Made after the last second that the parties allowed.
    error SealsLate(uint256 time, uint64 deadline);

    /// @notice This very seal exists already.
    error SealsExists(bytes32 id, uint64 time);

    /// @notice There is no such seal.
    error SealsUnknown(bytes32 id);

    /// @notice This seal was revoked already.
    error SealsRevoked(bytes32 id, uint64 time);

    /// @notice This log entry was promoted already.
    error SealsLeafPromoted(bytes32 leaf, bytes32 id);

    /// @notice The log does not hold this entry at this place.
    error SealsNotInLog(bytes32 leaf, uint64 index, uint64 size);

    /// @notice Verify all signatures and record the seal.
    /// @dev Reverts with, in this order: Late, Unknown (prev), PartyCount, per party Order and NotDocumentVerifier,
    ///      DocumentNotSigned, Exists, what SignerRegistry.requireValid says, BadSignature.
    ///      EIP-712: domain "fuqi Seals", version 1; Seal(bytes32 doc,bytes32 partiesRoot,bytes32 prev,uint64 deadline),
    ///      `partiesRoot` being `partiesRootOf` the key hashes and what each signed.
    /// @param prev An existing seal, or 0.
    /// @param deadline Last second in which it may be made; signed by those who sign the seal's digest.
    /// @param parties Ascending by key hash, at most 32.
    /// @return id The seal's name.
    function seal(bytes32 doc, bytes32 prev, uint64 deadline, Party[] calldata parties)
        external
        returns (bytes32 id);

    /// @notice Verify all signatures for a document that so far stands in the log only, and tie the seal to its entry.
    /// @dev Reverts as `seal` does, without Exists; then with LeafPromoted, what
    ///      EvidenceLog.isIncluded says, NotInLog. A seal that exists already is verified again and tied to the entry.
    /// @param opening The log entry.
    /// @return id The seal's name.
    function promote(
        bytes32 doc,
        bytes32 prev,
        uint64 deadline,
        Opening calldata opening,
        Party[] calldata parties
    ) external returns (bytes32 id);

    /// @notice Record that all parties of a seal revoke it.
    /// @dev Reverts with, in this order: Late, PartyCount, Order, NotDocumentVerifier, Unknown, Revoked, what
    ///      SignerRegistry.requireValid says, BadSignature.
    ///      EIP-712: RevokeSeal(bytes32 id,uint16 reason,uint64 deadline); every party signs its digest, whatever
    ///      `signed` says: that is given only to find the seal.
    function revoke(bytes32 doc, bytes32 prev, uint16 reason, uint64 deadline, Party[] calldata parties) external;

    /// @notice A seal; all zero when there is none.
    function recordOf(bytes32 id) external view returns (Record memory);

    /// @notice A seal's revocation; all zero when there is none.
    function revocationOf(bytes32 id) external view returns (Revocation memory);

    /// @notice The seal that a log entry was promoted to; 0 for none.
    function sealOfLeaf(bytes32 leaf) external view returns (bytes32);

    /// @notice The name of a seal: of chain, contract, document, parties and what it amends.
    function idOf(bytes32 doc, bytes32 partiesRoot, bytes32 prev) external view returns (bytes32);

    /// @notice Hash of a set of parties. Arrays of one length, key hashes ascending.
    function partiesRootOf(bytes32[] calldata keyHashes, bytes32[] calldata signed) external pure returns (bytes32);

    /// @notice Hash of the log leaf that `promote` looks for.
    function leafOf(bytes32 doc, bytes32 partiesRoot, bytes32 prev, Opening calldata opening)
        external
        pure
        returns (bytes32);

    /// @notice Where keys are registered.
    function registry() external view returns (address);

    /// @notice The log whose entries can be promoted.
    function log() external view returns (address);

    /// @notice Whether a verifier checks signatures that name the document only.
    function isDocumentVerifier(address verifier) external view returns (bool);
}
