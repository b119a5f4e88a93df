// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The two trees of a round, as contracts/rounds_tree.py makes them.
/// @dev A table packs four numbers of 64 bits into a word, the first from the right; rows of a matrix start a new word.
///      A leaf of its tree is the hash of four words, the last ones zero where the table ends; missing leaves are zero. The
///      depth follows from the committed size, and a leaf's input is longer than a node's, so neither passes for the other.
///      A cell of the plan is a pair (column total so far, sums); sums packs units (high) and value (low), 128 bits
///      each. Its tree is filled up to powers of two both ways, row by row, so that a row is a whole subtree; a node's
///      hash covers hashes and sums of both children.
///      Assembly (docs/adr): the hash functions would copy their input through fresh memory; a proof of 20 x 50 pairs
///      would then cost half as much again. Every input has a fixed length.
library RoundTables {
    /// @notice A path has not the length that the committed size demands.
    error RoundTablesPathLength(uint256 length, uint256 expected);

    /// @notice Two sums of a path do not fit 128 bits together.
    error RoundTablesSumTooLarge();

    uint256 private constant _LANE = 2 ** 64 - 1;

    /// @notice Words that hold `count` numbers.
    function wordsOf(uint256 count) internal pure returns (uint256) {
        return (count + 3) / 4;
    }

    /// @notice Smallest depth of a tree with `leaves` leaves, 0 for one.
    function depthOf(uint256 leaves) internal pure returns (uint256 depth) {
        // Sizes are at most 2**32, so the shift neither wraps nor runs on.
        unchecked {
            while ((1 << depth) < leaves) ++depth;
        }
    }

    /// @notice Number `index` of the table part that `word` holds.
    function laneOf(uint256 word, uint256 index) internal pure returns (uint256) {
        return (word >> (64 * (index % 4))) & _LANE;
    }

    /// @notice Depth of the tree of a table with `words` words.
    function tableDepthOf(uint256 words) internal pure returns (uint256) {
        return depthOf((words + 3) / 4);
    }

    /// @notice Root of a table's tree.
    /// @dev The words are copied behind the free memory pointer, which is not moved, and each level is written over the one
    ///      below. An odd level is filled up with the root of that many missing leaves.
    /// @param words None gives zero.
    function rootOf(uint256[] calldata words) internal pure returns (bytes32 root) {
        if (words.length == 0) return 0;
        assembly ("memory-safe") {
            let base := mload(0x40)
            let length := shl(5, words.length)
            calldatacopy(base, words.offset, length)
            // Reading past the end of the call data gives the zeros that fill up the last leaf.
            calldatacopy(add(base, length), calldatasize(), 0x60)
            let width := shr(2, add(words.length, 3))
            let to := base
            let end := add(base, shl(7, width))
            for { let from := base } lt(from, end) { from := add(from, 0x80) } {
                mstore(to, keccak256(from, 0x80))
                to := add(to, 0x20)
            }
            let empty := 0
            for {} gt(width, 1) {} {
                if and(width, 1) {
                    mstore(add(base, shl(5, width)), empty)
                    width := add(width, 1)
                }
                to := base
                end := add(base, shl(5, width))
                for { let from := base } lt(from, end) { from := add(from, 0x40) } {
                    mstore(to, keccak256(from, 0x40))
                    to := add(to, 0x20)
                }
                mstore(0x00, empty)
                mstore(0x20, empty)
                empty := keccak256(0x00, 0x40)
                width := shr(1, width)
            }
            root := mload(base)
        }
    }

    /// @notice Root that leaf `index`, the hash of four words, and its path lead to.
    /// @param at Where the four words begin.
    /// @param depth Depth of the tree; the path must be exactly as long.
    function climb(uint256[] calldata words, uint256 at, uint256 index, uint256 depth, bytes32[] calldata path)
        internal
        pure
        returns (bytes32 node)
    {
        if (path.length != depth) revert RoundTablesPathLength(path.length, depth);
        node = keccak256(abi.encode(words[at], words[at + 1], words[at + 2], words[at + 3]));
        for (uint256 i = 0; i < depth; ++i) {
            // Bit i of the index says which half of the parent's input the node is.
            assembly ("memory-safe") {
                let half := shl(5, and(shr(i, index), 1))
                mstore(half, node)
                mstore(xor(half, 0x20), calldataload(add(path.offset, shl(5, i))))
                node := keccak256(0x00, 0x40)
            }
        }
    }

    /// @notice Hash of the parent of two nodes of the plan's tree.
    function sumNodeOf(bytes32 left, uint256 leftSums, bytes32 right, uint256 rightSums)
        internal
        pure
        returns (bytes32 parent)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, left)
            mstore(add(input, 0x20), leftSums)
            mstore(add(input, 0x40), right)
            mstore(add(input, 0x60), rightSums)
            parent := keccak256(input, 0x80)
        }
    }

    /// @notice Root and sums that a node of the plan's tree and its path lead to.
    /// @param levels Levels above the node; the path holds hash and sums of a sibling for each.
    function climbSums(bytes32 node, uint256 sums, uint256 index, uint256 levels, bytes32[] calldata path)
        internal
        pure
        returns (bytes32, uint256)
    {
        if (path.length != 2 * levels) revert RoundTablesPathLength(path.length, 2 * levels);
        for (uint256 i = 0; i < levels; ++i) {
            bytes32 sibling = path[2 * i];
            uint256 siblingSums = uint256(path[2 * i + 1]);
            node = (index >> i) & 1 == 0
                ? sumNodeOf(node, sums, sibling, siblingSums)
                : sumNodeOf(sibling, siblingSums, node, sums);
            unchecked {
                uint256 total = sums + siblingSums;
                if (total < sums || uint128(total) < uint128(sums)) revert RoundTablesSumTooLarge();
                sums = total;
            }
        }
        return (node, sums);
    }

    /// @notice Units in packed sums.
    function unitsOf(uint256 sums) internal pure returns (uint256) {
        return sums >> 128;
    }

    /// @notice Value in packed sums.
    function valueOf(uint256 sums) internal pure returns (uint256) {
        return uint256(uint128(sums));
    }

    /// @notice Packed sums.
    function packOf(uint256 units, uint256 value) internal pure returns (uint256) {
        if (units > type(uint128).max || value > type(uint128).max) revert RoundTablesSumTooLarge();
        return (units << 128) | value;
    }
}
