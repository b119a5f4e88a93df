// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RoundTables} from "../../src/libraries/RoundTables.sol";
import {Cheats} from "../Cheats.sol";

contract RoundTablesHarness {
    function rootOf(uint256[] calldata words) external pure returns (bytes32) {
        return RoundTables.rootOf(words);
    }

    function climb(uint256[] calldata words, uint256 index, bytes32[] calldata path) external pure returns (bytes32) {
        return RoundTables.climb(words, 0, index, path.length, path);
    }

    function climbSums(bytes32 node, uint256 sums, bytes32[] calldata path) external pure returns (bytes32, uint256) {
        return RoundTables.climbSums(node, sums, 0, path.length / 2, path);
    }

    function depthOf(uint256 leaves) external pure returns (uint256) {
        return RoundTables.depthOf(leaves);
    }
}

contract RoundTablesTest is Cheats {
    RoundTablesHarness private _tables = new RoundTablesHarness();

    /// @dev The tree drawn recursively over leaves filled up with zeros.
    function testFuzz_TheRootIsThatOfTheWholeTree(uint256 seed, uint8 count) public view {
        uint256[] memory words = new uint256[](uint256(count) % 90 + 1);
        for (uint256 i = 0; i < words.length; ++i) words[i] = uint256(keccak256(abi.encode(seed, i)));
        uint256 size = 1;
        while (4 * size < words.length) size *= 2;
        same(_tables.rootOf(words), _drawn(words, 0, size));
    }

    function testFuzz_APathLeadsToTheRoot(uint256 seed, uint8 pick) public view {
        uint256[] memory words = new uint256[](13);
        for (uint256 i = 0; i < 13; ++i) words[i] = uint256(keccak256(abi.encode(seed, i)));
        uint256 index = pick % 4;
        uint256[] memory leaf = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) leaf[i] = 4 * index + i < 13 ? words[4 * index + i] : 0;
        bytes32[] memory path = new bytes32[](2);
        path[0] = _drawn(words, index ^ 1, 1);
        path[1] = _drawn(words, index < 2 ? 2 : 0, 2);
        same(_tables.climb(leaf, index, path), _tables.rootOf(words));
        leaf[0] ^= 1;
        isFalse(_tables.climb(leaf, index, path) == _tables.rootOf(words));
    }

    function testFuzz_SumsAddUpOrAreRefused(uint128 a, uint128 b, uint128 c, uint128 d) public {
        bytes32[] memory path = new bytes32[](2);
        path[1] = bytes32((uint256(c) << 128) | d);
        bool fits = uint256(a) + c < 2 ** 128 && uint256(b) + d < 2 ** 128;
        if (!fits) {
            vm.expectRevert(abi.encodeWithSelector(RoundTables.RoundTablesSumTooLarge.selector));
            _tables.climbSums(0, (uint256(a) << 128) | b, path);
            return;
        }
        (bytes32 node, uint256 sums) = _tables.climbSums(0, (uint256(a) << 128) | b, path);
        same(sums, ((uint256(a) + c) << 128) | (uint256(b) + d));
        same(node, keccak256(abi.encode(bytes32(0), (uint256(a) << 128) | b, bytes32(0), path[1])));
    }

    function testFuzz_TheDepthIsTheLeastThatHoldsTheLeaves(uint32 leaves) public view {
        vm.assume(leaves > 1);
        uint256 depth = _tables.depthOf(leaves);
        isTrue(2 ** depth >= leaves && 2 ** (depth - 1) < leaves);
        same(_tables.depthOf(1), 0);
    }

    function _drawn(uint256[] memory words, uint256 low, uint256 size) private pure returns (bytes32) {
        if (size > 1) {
            return keccak256(
                abi.encode(_drawn(words, low, size / 2), _drawn(words, low + size / 2, size / 2))
            );
        }
        if (4 * low >= words.length) return 0;
        uint256[4] memory leaf;
        for (uint256 i = 0; i < 4 && 4 * low + i < words.length; ++i) leaf[i] = words[4 * low + i];
        return keccak256(abi.encode(leaf));
    }
}
