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
        (bytes32 oldRunning, bytes32 newRunning, uint256 used) = _rebuilt(oldSize, oldRoot, size, path);
        if (used != length) revert Rfc9162PathLength(length);
        if (oldRunning != oldRoot) revert Rfc9162OldRootMismatch(oldRunning, oldRoot);
        if (newRunning != root) revert Rfc9162RootMismatch(newRunning, root);
    }

    /// @dev Both roots as the path makes them, and how many digests that takes. The sizes alone say how many; a shorter path
    ///      is read on into whatever follows it in the call data, so the caller compares the number before the roots.
    ///      Assembly (ADR 0010): the longest path at a million leaves takes 40 hashes; node by node, by `_node`, an append with
    ///      it costs 8 k gas more. Two inputs lie ready in free memory, 0x01 | left | right, and each answer goes to the
    ///      place where the next step needs it: to the right. The precompile fails only for want of gas, and then less than
    ///      two gas is left to the caller (EIP-150), so nothing after a failed call is ever reached.
    function _rebuilt(uint256 oldSize, bytes32 oldRoot, uint256 size, bytes32[] calldata path)
        private
        view
        returns (bytes32 oldRunning, bytes32 newRunning, uint256 used)
    {
        assembly ("memory-safe") {
            let next := path.offset
            // Whole subtrees at the old tree's right end: as many levels as its size has trailing zeros.
            let bit := and(oldSize, sub(0, oldSize))
            let fn := div(sub(oldSize, 1), bit)
            let apart := xor(fn, div(sub(size, 1), bit))
            let running := oldRoot
            // A complete old tree is itself the first subtree, so the path leaves it out.
            if xor(oldSize, bit) {
                running := calldataload(next)
                next := add(next, 0x20)
            }
            let older := mload(0x40)
            let olderLeft := add(older, 0x01)
            let olderRight := add(older, 0x21)
            let newer := add(older, 0x60)
            let newerLeft := add(older, 0x61)
            let newerRight := add(older, 0x81)
            mstore8(older, 1)
            mstore8(newer, 1)
            mstore(olderRight, running)
            mstore(newerRight, running)
            bit := 1
            // Up to the level where both trees' last nodes are the same one: a right sibling is of the new tree only.
            for {} iszero(gt(bit, apart)) {
                bit := add(bit, bit)
                next := add(next, 0x20)
            } {
                if iszero(and(fn, bit)) {
                    mstore(newerLeft, mload(newerRight))
                    mstore(newerRight, calldataload(next))
                    pop(staticcall(gas(), 2, newer, 0x41, newerRight, 0x20))
                    continue
                }
                mstore(olderLeft, calldataload(next))
                mstore(newerLeft, calldataload(next))
                pop(staticcall(gas(), 2, older, 0x41, olderRight, 0x20))
                pop(staticcall(gas(), 2, newer, 0x41, newerRight, 0x20))
            }
            // Above it there are left siblings only, of both trees: one for each bit.
            for { fn := and(fn, sub(0, bit)) } fn { fn := and(fn, sub(fn, 1)) } {
                mstore(olderLeft, calldataload(next))
                mstore(newerLeft, calldataload(next))
                pop(staticcall(gas(), 2, older, 0x41, olderRight, 0x20))
                pop(staticcall(gas(), 2, newer, 0x41, newerRight, 0x20))
                next := add(next, 0x20)
            }
            oldRunning := mload(olderRight)
            newRunning := mload(newerRight)
            used := shr(5, sub(next, path.offset))
        }
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

    /// @dev SHA-256 of 0x01, left, right: three fixed lengths, so no two inputs give the same bytes. Assembly (ADR
    ///      0010): `sha256(bytes.concat(...))` copies its input twice. It writes to free memory only, and
    ///      to scratch for the answer.
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
