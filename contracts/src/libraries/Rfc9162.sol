// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Proofs of RFC 9162 section 2.1 over SHA-256, as ledger/core/merkle.py makes them.
/// @dev Node = SHA-256(0x01 || left || right). Both functions stop at the first fault and read no state.
library Rfc9162 {
    /// @notice The path has not the length that the two sizes demand.
    /// @param length Digests in the path.
    error Rfc9162PathLength(uint256 length);

    /// @notice The path does not rebuild the stored root.
    error Rfc9162OldRootMismatch(bytes32 rebuilt, bytes32 stored);

    /// @notice The path does not lead to the new root.
    error Rfc9162RootMismatch(bytes32 rebuilt, bytes32 offered);

    /// @notice Revert unless the tree (size, root) extends the tree (oldSize, oldRoot). RFC 9162 section 2.1.4.2.
    /// @dev The caller has checked oldSize < size. A tree of no leaves is extended by every tree, with an empty path.
    function requireExtends(
        uint256 oldSize,
        bytes32 oldRoot,
        uint256 size,
        bytes32 root,
        bytes32[] calldata path
    ) internal view {
        uint256 length = path.length;
        if (oldSize == 0) {
            if (length != 0) revert Rfc9162PathLength(length);
            return;
        }
        uint256 fn = oldSize - 1;
        uint256 sn = size - 1;
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        uint256 i = 0;
        bytes32 oldRunning = oldRoot;
        // A complete old tree is itself the first subtree, so the path leaves it out.
        if (oldSize & (oldSize - 1) != 0) {
            if (length == 0) revert Rfc9162PathLength(0);
            oldRunning = path[0];
            i = 1;
        }
        bytes32 newRunning = oldRunning;
        for (; i < length; ++i) {
            if (sn == 0) revert Rfc9162PathLength(length);
            bytes32 step = path[i];
            if (fn & 1 == 1 || fn == sn) {
                oldRunning = _node(step, oldRunning);
                newRunning = _node(step, newRunning);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                newRunning = _node(newRunning, step);
            }
            fn >>= 1;
            sn >>= 1;
        }
        if (sn != 0) revert Rfc9162PathLength(length);
        if (oldRunning != oldRoot) revert Rfc9162OldRootMismatch(oldRunning, oldRoot);
        if (newRunning != root) revert Rfc9162RootMismatch(newRunning, root);
    }

    /// @notice Whether `leaf` is leaf `index` of the tree (size, root). RFC 9162 section 2.1.3.2.
    /// @dev An index outside the tree and a path of the wrong length give false.
    function includes(
        bytes32 leaf,
        uint256 index,
        uint256 size,
        bytes32 root,
        bytes32[] calldata path
    ) internal view returns (bool) {
        if (index >= size) return false;
        uint256 fn = index;
        uint256 sn = size - 1;
        bytes32 running = leaf;
        for (uint256 i = 0; i < path.length; ++i) {
            if (sn == 0) return false;
            if (fn & 1 == 1 || fn == sn) {
                running = _node(path[i], running);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                running = _node(running, path[i]);
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && running == root;
    }

    /// @dev SHA-256 of 0x01, left, right: three fixed lengths, so no two inputs give the same bytes. The one use of
    ///      assembly (docs/adr): `sha256(bytes.concat(...))` copies its input twice and makes an append at a million
    ///      leaves cost 63 k gas instead of 56 k. It writes to free memory only, and to scratch for the answer.
    function _node(bytes32 left, bytes32 right) private view returns (bytes32 parent) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 1)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), right)
            // The SHA-256 precompile fails only for want of gas; then the whole call must fail too.
            if iszero(staticcall(gas(), 2, input, 0x41, 0x00, 0x20)) { revert(0, 0) }
            parent := mload(0x00)
        }
    }
}
