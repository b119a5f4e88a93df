// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Transport} from "../../src/libraries/Transport.sol";
import {Cheats} from "../Cheats.sol";

contract TransportHarness {
    function requireOptimal(IRounds.Instance calldata instance, IRounds.Answer calldata answer)
        external
        pure
        returns (uint256)
    {
        return Transport.requireOptimal(instance, answer);
    }
}

contract TransportTest is Cheats {
    TransportHarness private _transport = new TransportHarness();

    /// @dev One row, two columns. Enumerates every plan: whatever is accepted is the best of them.
    function testFuzz_WhatIsAcceptedIsTheBestOfAllPlans(uint8[3] calldata limits, uint8[2] calldata w, uint8[3] calldata prices, uint8[2] calldata x)
        public
        view
    {
        (IRounds.Instance memory instance, IRounds.Answer memory answer) = _problem(
            limits[0] % 6, limits[1] % 6, limits[2] % 6, w[0] % 4, w[1] % 4
        );
        answer.rowPrices[0] = prices[0] % 4;
        answer.columnPrices[0] = (prices[1] % 3) | (uint256(prices[2] % 3) << 64);
        _flow(answer, x[0] % 6, x[1] % 6);
        try _transport.requireOptimal(instance, answer) returns (uint256 value) {
            uint256 best = 0;
            for (uint256 a = 0; a <= limits[1] % 6; ++a) {
                for (uint256 b = 0; b <= limits[2] % 6 && a + b <= limits[0] % 6; ++b) {
                    uint256 worth = a * (w[0] % 4) + b * (w[1] % 4);
                    if (worth > best) best = worth;
                }
            }
            same(value, best);
        } catch {}
    }

    function test_TheBestPlanIsAcceptedAndEachChangeIsRefused() public {
        (IRounds.Instance memory instance, IRounds.Answer memory answer) = _problem(5, 3, 4, 7, 2);
        answer.rowPrices[0] = 2;
        answer.columnPrices[0] = 5;
        _flow(answer, 3, 2);
        same(_transport.requireOptimal(instance, answer), 25);
        answer.rowPrices[0] = 1;
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportPriceTooLow.selector, 0));
        _transport.requireOptimal(instance, answer);
        answer.rowPrices[0] = 3;
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportGap.selector, 25, 30));
        _transport.requireOptimal(instance, answer);
        answer.rowPrices[0] = 2;
        _flow(answer, 4, 1);
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportOverfull.selector, true, 0, 4, 3));
        _transport.requireOptimal(instance, answer);
        _flow(answer, 3, 3);
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportOverfull.selector, false, 0, 3, 2));
        _transport.requireOptimal(instance, answer);
        answer.flows[0] = (answer.flows[0] << 128) | (answer.flows[0] >> 128);
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportFlow.selector, 1));
        _transport.requireOptimal(instance, answer);
    }

    function testFuzz_ANumberTooLargeOrPastTheEndIsRefused(uint8 lane, uint8 bit) public {
        (IRounds.Instance memory instance, IRounds.Answer memory answer) = _problem(5, 3, 4, 0, 0);
        uint256 word = 1 << (64 * (uint256(lane) % 4) + 62 + (bit % 2));
        answer.columnPrices[0] = word;
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportWord.selector, word));
        _transport.requireOptimal(instance, answer);
        answer.columnPrices[0] = 0;
        instance.weights[0] = word;
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportWord.selector, word));
        _transport.requireOptimal(instance, answer);
        instance.weights[0] = 0;
        answer.rowPrices[0] = 1 << 64;
        vm.expectRevert(abi.encodeWithSelector(Transport.TransportWord.selector, uint256(1 << 64)));
        _transport.requireOptimal(instance, answer);
    }

    function testFuzz_ASizeThatTheTablesDoNotHaveIsRefused(uint256 rows) public {
        (IRounds.Instance memory instance, IRounds.Answer memory answer) = _problem(5, 3, 4, 0, 0);
        instance.rows = rows;
        vm.assume(rows == 0 || rows > 4);
        if (rows == 0 || rows > 2 ** 16) {
            vm.expectRevert(abi.encodeWithSelector(Transport.TransportSize.selector, rows, 2));
        } else {
            vm.expectRevert(abi.encodeWithSelector(Transport.TransportTableLength.selector, 1, (rows + 3) / 4));
        }
        _transport.requireOptimal(instance, answer);
    }

    function _problem(uint256 supply, uint256 left, uint256 right, uint256 first, uint256 second)
        private
        pure
        returns (IRounds.Instance memory instance, IRounds.Answer memory answer)
    {
        instance.rows = 1;
        instance.columns = 2;
        (instance.supplies, instance.demands, instance.weights) =
            (new uint256[](1), new uint256[](1), new uint256[](1));
        instance.supplies[0] = supply;
        instance.demands[0] = left | (right << 64);
        instance.weights[0] = first | (second << 64);
        (answer.rowPrices, answer.columnPrices) = (new uint256[](1), new uint256[](1));
    }

    /// @dev Both flows in one word, the first on the left; a flow of nothing is left out.
    function _flow(IRounds.Answer memory answer, uint256 first, uint256 second) private pure {
        uint256 right = second == 0 ? 0 : (1 << 64) | second;
        uint256 word = first == 0 ? right << 128 : (first << 128) | right;
        answer.flows = new uint256[](word == 0 ? 0 : 1);
        if (word != 0) answer.flows[0] = word;
    }
}
