// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RoundTables} from "../../src/libraries/RoundTables.sol";
import {Cheats} from "../Cheats.sol";

/// @dev Gives the internal function an outside, so that a revert can be expected.
contract RoundTablesEdgesHarness {
    function packOf(uint256 units, uint256 value) external pure returns (uint256) {
        return RoundTables.packOf(units, value);
    }
}

contract RoundTablesEdgesTest is Cheats {
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
