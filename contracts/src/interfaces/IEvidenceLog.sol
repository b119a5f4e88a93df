// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title An append-only log whose growth the chain itself checks.
/// @notice Holds one head (size, root) of an RFC 9162 SHA-256 tree. A new head is accepted only with a proof that
///         its tree extends the tree of the head before it. Nothing that was accepted can be removed, reordered or
///         back-dated by anyone, the writer included.
interface IEvidenceLog {
    /// @notice The newest checkpoint.
    /// @param size Number of leaves, 0 .. 2**53 - 1.
    /// @param time Time of the block that accepted it, seconds since 1970 (at size 0: of the deployment).
    /// @param index Number of checkpoints accepted so far; 0 before the first.
    /// @param root RFC 9162 tree head; SHA-256 of nothing at size 0.
    struct Head {
        uint64 size;
        uint64 time;
        uint64 index;
        bytes32 root;
    }

    /// @notice A checkpoint was accepted.
    /// @param index Its number, from 1.
    /// @param size Leaves in the tree.
    /// @param root Tree head.
    event Checkpoint(uint64 indexed index, uint64 indexed size, bytes32 root);

    /// @notice The writer offered its role to another address.
    event WriterHandoverStarted(address indexed writer, address indexed pendingWriter);

    /// @notice The offered address took the role.
    event WriterHandedOver(address indexed previousWriter, address indexed newWriter);

    /// @notice `caller` is not the one that may make this call.
    /// @param caller Who called.
    /// @param expected Who may (the writer, or the pending writer).
    error EvidenceLogUnauthorized(address caller, address expected);

    /// @notice The role cannot be offered to the zero address.
    error EvidenceLogZeroWriter();

    /// @notice The tree did not grow. A repeated or late checkpoint ends here and changes nothing.
    /// @param size The size offered.
    /// @param headSize The size already stored.
    error EvidenceLogNotNewer(uint64 size, uint64 headSize);

    /// @notice Larger than any size the log's readers accept.
    /// @param size The size offered.
    /// @param maximum 2**53 - 1.
    error EvidenceLogTooLarge(uint64 size, uint64 maximum);

    /// @notice Inclusion is answered for the newest head only.
    /// @param size The size asked for.
    /// @param headSize The size stored.
    error EvidenceLogNotHead(uint64 size, uint64 headSize);

    /// @notice Store a newer checkpoint.
    /// @dev Reverts, in this order, with `EvidenceLogUnauthorized`, `EvidenceLogNotNewer`, `EvidenceLogTooLarge`,
    ///      `Rfc9162PathLength`, `Rfc9162OldRootMismatch`, `Rfc9162RootMismatch`.
    /// @param size Leaves in the new tree; larger than the stored size.
    /// @param root Head of the new tree.
    /// @param consistencyProof RFC 9162 section 2.1.4.1 path from the stored size; empty when the stored size is 0.
    function append(uint64 size, bytes32 root, bytes32[] calldata consistencyProof) external;

    /// @notice Offer the writer role; nothing changes until `acceptWriter`. A second offer replaces the first.
    /// @param newWriter Who may accept.
    function offerWriter(address newWriter) external;

    /// @notice Take the offered role. Only the pending writer may call.
    function acceptWriter() external;

    /// @notice The newest checkpoint.
    function head() external view returns (Head memory);

    /// @notice Who may append.
    function writer() external view returns (address);

    /// @notice Who may accept the writer role; zero when nobody was offered it.
    function pendingWriter() external view returns (address);

    /// @notice Whether `leaf` is leaf `index` of the tree of `size` leaves.
    /// @dev Reverts with `EvidenceLogNotHead` unless `size` is the stored size; a wrong or malformed path gives false.
    /// @param leaf Leaf hash, SHA-256(0x00 || entry).
    /// @param index From 0.
    /// @param size The stored size.
    /// @param path RFC 9162 section 2.1.3.1 path, leaf level first.
    function isIncluded(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata path) external view returns (bool);
}
