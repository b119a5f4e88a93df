// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {RoundFaults} from "../../src/libraries/RoundFaults.sol";
import {RoundActs} from "../Rounds.t.sol";

contract RoundFaultsHarness {
    function shows(IRounds.Opening calldata opening, uint256 primal, IRounds.Witness calldata witness)
        external
        pure
        returns (bool)
    {
        return RoundFaults.shows(opening, primal, witness);
    }
}

contract RoundFaultsTest is RoundActs {
    RoundFaultsHarness private _faults = new RoundFaultsHarness();

    function setUp() public {
        openRound();
    }

    /// @dev One pair: a fault is shown exactly when the arithmetic says so.
    function testFuzz_AFaultIsShownExactlyWhenThereIsOne(uint8[4] calldata numbers, uint8 total, uint8 value) public {
        (uint256 s, uint256 d, uint256 u, uint256 v) =
            (numbers[0] % 4, numbers[1] % 4, numbers[2] % 3, numbers[3] % 3);
        uint256 units = total % 4;
        opening.supplyRoot = leaf(s);
        opening.demandRoot = leaf(d);
        opening.rowPriceRoot = leaf(u);
        opening.columnPriceRoot = leaf(v);
        opening.columnTotalRoot = leaf(units);
        opening.cellRoot = bytes32(units);
        opening.units = uint128(units);
        uint256 sums = (units << 128) | value;
        uint256 none = type(uint256).max;
        isTrue(_shown(value, witness(IRounds.Fault.Edge, 3, [uint256(3), u, v], 0, none)) == (u + v < 3));
        isTrue(
            _shown(value, witness(IRounds.Fault.Slack, 3, [uint256(3), u, v], units, sums)) == (u + v > 3 && units > 0)
        );
        isTrue(
            _shown(value, witness(IRounds.Fault.Row, 2, [s, u, 0], units, sums)) == (units > s || (u > 0 && units < s))
        );
        isTrue(
            _shown(value, witness(IRounds.Fault.Column, 3, [d, v, units], 0, none))
                == (units > d || (v > 0 && units < d))
        );
        isTrue(_shown(value, witness(IRounds.Fault.Cell, 1, [uint256(3), 0, 0], units, sums)) == (value != 3 * units));
        isFalse(_shown(value, witness(IRounds.Fault.Total, 1, [units, 0, 0], units, sums)));
        isFalse(_shown(value, witness(IRounds.Fault.Step, 0, [uint256(0), 0, 0], units, sums)));
    }

    /// @dev A pair that may not be matched has weight zero: what flows there has no value that would give it away.
    function test_ACellWithoutWeightIsAFaultOnlyWhereSomethingFlows() public {
        opening.weightRoot = leaf(0);
        for (uint256 units = 0; units < 3; ++units) {
            (opening.cellRoot, opening.units) = (bytes32(units), uint128(units));
            IRounds.Witness memory made = witness(IRounds.Fault.Cell, 1, [uint256(0), 0, 0], units, units << 128);
            isTrue(_shown(0, made) == (units > 0));
        }
    }

    function testFuzz_AnotherWordLeadsToAnotherRoot(uint64 weight) public {
        vm.assume(weight != 3);
        bytes32 found = keccak256(abi.encode([uint256(weight), 0, 0, 0]));
        IRounds.Witness memory made = witness(IRounds.Fault.Edge, 3, [uint256(weight), 3, 0], 0, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(RoundFaults.RoundFaultsRoot.selector, found, leaf(3)));
        _faults.shows(opening, 15, made);
    }

    function testFuzz_APlaceOutsideIsRefused(uint32 row, uint32 column) public {
        vm.assume(row > 0 || column > 0);
        IRounds.Witness memory made = witness(IRounds.Fault.Edge, 3, [uint256(3), 3, 0], 0, type(uint256).max);
        (made.row, made.column) = (row, column);
        vm.expectRevert(abi.encodeWithSelector(RoundFaults.RoundFaultsPlace.selector, row, column));
        _faults.shows(opening, 15, made);
    }

    function _shown(uint256 primal, IRounds.Witness memory made) private view returns (bool) {
        return _faults.shows(opening, primal, made);
    }
}
