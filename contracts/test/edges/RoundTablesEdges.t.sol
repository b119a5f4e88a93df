// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RoundTables} from "../../src/libraries/RoundTables.sol";
import {Cheats} from "../Cheats.sol";

/// @dev Gives the internal function an outside, so that a revert can be expected.
contract RoundTablesEdgesHarness {
    function sizesOf(uint256 count) external pure returns (uint256 words, uint256 depth, uint256 tableDepth) {
        return (RoundTables.wordsOf(count), RoundTables.depthOf(count), RoundTables.tableDepthOf(count));
    }

    function rootsOf(uint256[] calldata first, uint256[] calldata second) external pure returns (bytes32, bytes32) {
        return (RoundTables.rootOf(first), RoundTables.rootOf(second));
    }

    function packOf(uint256 units, uint256 value) external pure returns (uint256) {
        return RoundTables.packOf(units, value);
    }
}

contract RoundTablesEdgesTest is Cheats {
    /// @dev Words hold four numbers, leaves four words, and the depth is the least that has room.
    function test_EverySizeHasTheLeastRoomThatHoldsIt() public {
        RoundTablesEdgesHarness tables = new RoundTablesEdgesHarness();
        for (uint256 count = 1; count <= 300; ++count) {
            (uint256 words, uint256 depth, uint256 tableDepth) = tables.sizesOf(count);
            isTrue(4 * words >= count && 4 * words < count + 4);
            isTrue(2 ** depth >= count && (depth == 0 || 2 ** (depth - 1) < count));
            isTrue(4 * 2 ** tableDepth >= count && (tableDepth == 0 || 4 * 2 ** (tableDepth - 1) < count));
        }
        (, uint256 most,) = tables.sizesOf(2 ** 32);
        same(most, 32);
    }

    /// @dev The second root is worked out where the first left its words and hashes behind.
    function test_WhatAnotherTableLeftInMemoryDoesNotCount() public {
        RoundTablesEdgesHarness tables = new RoundTablesEdgesHarness();
        for (uint256 length = 1; length <= 17; ++length) {
            uint256[] memory words = new uint256[](length);
            for (uint256 i = 0; i < length; ++i) words[i] = i + 1;
            (bytes32 alone,) = tables.rootsOf(words, new uint256[](0));
            uint256[] memory full = new uint256[](20);
            for (uint256 i = 0; i < 20; ++i) full[i] = type(uint256).max;
            (, bytes32 after_) = tables.rootsOf(full, words);
            same(after_, alone);
        }
    }

    function test_SumsFillTheirHalvesAndNoMore() public {
        RoundTablesEdgesHarness tables = new RoundTablesEdgesHarness();
        uint256 full = type(uint128).max;
        same(tables.packOf(full, full), type(uint256).max);
        same(tables.packOf(full, 0), full << 128);
        same(tables.packOf(0, full), full);
        vm.expectRevert(abi.encodeWithSelector(RoundTables.RoundTablesSumTooLarge.selector));
        tables.packOf(full + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(RoundTables.RoundTablesSumTooLarge.selector));
        tables.packOf(0, full + 1);
    }
}
