// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rounds} from "../src/Rounds.sol";
import {IRounds} from "../src/interfaces/IRounds.sol";
import {RoundTables} from "../src/libraries/RoundTables.sol";
import {Acts} from "./Acts.sol";

/// @dev One row and one column of 5 units at weight 3: small enough to write every root down by hand. The whole life of
///      rounds of any size, every fault included, is in tests/chain/test_rounds_contract.py.
abstract contract RoundActs is Acts {
    Rounds internal rounds;
    bytes32 internal round;
    IRounds.Opening internal opening;

    function openRound() internal {
        vm.warp(1_800_000_000);
        rounds = new Rounds();
        (opening.rows, opening.columns, opening.units) = (1, 1, 5);
        opening.supplyRoot = leaf(5);
        opening.demandRoot = leaf(5);
        opening.weightRoot = leaf(3);
        opening.rowPriceRoot = leaf(3);
        opening.columnPriceRoot = leaf(0);
        opening.columnTotalRoot = leaf(5);
        opening.cellRoot = bytes32(uint256(5));
        bytes32 inputs = keccak256(
            abi.encode(keccak256("fuqi/chain-inputs/v1"), 1, 1, opening.supplyRoot, opening.demandRoot, opening.weightRoot)
        );
        round = rounds.roundOf(nameOf(1), inputs, bytes32(uint256(4)));
        bytes memory act = abi.encode(keccak256("Open(bytes32 inputsRoot,bytes32 policyHash)"), inputs, bytes32(uint256(4)));
        rounds.open(round, inputs, bytes32(uint256(4)), plain(1, digestFor("fuqi Rounds", address(rounds), act)));
    }

    function post(uint256 secret, uint128 objective, uint32 attempt) public {
        bytes32 planRoot = keccak256(
            abi.encode(
                keccak256("fuqi/chain-plan/v1"), opening.rowPriceRoot, opening.columnPriceRoot, opening.columnTotalRoot, opening.cellRoot, opening.units
            )
        );
        bytes memory act = abi.encode(
            keccak256("Post(bytes32 round,bytes32 planRoot,uint128 primal,uint128 dual,uint32 attempt)"),
            round, planRoot, objective, objective, attempt
        );
        bytes memory signature = plain(secret, digestFor("fuqi Rounds", address(rounds), act));
        rounds.post(round, bytes32(uint256(4)), opening, objective, objective, attempt, signature);
    }

    function leaf(uint256 word) internal pure returns (bytes32) {
        return keccak256(abi.encode([word, 0, 0, 0]));
    }

    function witness(IRounds.Fault fault, uint256 tables, uint256[3] memory numbers, uint256 cell, uint256 sums)
        internal
        pure
        returns (IRounds.Witness memory made)
    {
        made.fault = fault;
        made.words = new uint256[](4 * tables + (sums == type(uint256).max ? 0 : 2));
        for (uint256 i = 0; i < tables; ++i) made.words[4 * i] = numbers[i];
        if (sums != type(uint256).max) (made.words[4 * tables], made.words[4 * tables + 1]) = (cell, sums);
    }
}

contract RoundsTest is RoundActs {
    function setUp() public {
        openRound();
    }

    function test_AnUnchallengedResultStandsAfterTheWindow() public {
        post(1, 15, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.RoundsWindow.selector, 1_800_086_400, 1_800_000_000)
        );
        rounds.finalise(round);
        vm.warp(1_800_086_400);
        IRounds.Witness memory late = witness(IRounds.Fault.Edge, 3, [uint256(3), 3, 0], 0, type(uint256).max);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.RoundsWindow.selector, 1_800_086_400, 1_800_086_400)
        );
        rounds.strike(round, opening, late);
        rounds.finalise(round);
        isTrue(rounds.roundAt(round).state == IRounds.State.Final);
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundsState.selector, round, IRounds.State.Final));
        rounds.finalise(round);
    }

    function testFuzz_OnlyTheOpenerPosts(uint256 secret) public {
        secret = secret % 1000 + 2;
        bytes32 inputs = rounds.roundAt(round).inputsRoot;
        bytes32 theirs = rounds.roundOf(nameOf(secret), inputs, bytes32(uint256(4)));
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundsUnauthorized.selector, round, theirs));
        this.post(secret, 15, 0);
    }

    /// @dev I7: after a strike the same signed result does not come back.
    function test_AStruckResultIsNotPostedAgain() public {
        opening.rowPriceRoot = leaf(2);
        post(1, 15, 0);
        rounds.strike(round, opening, witness(IRounds.Fault.Edge, 3, [uint256(3), 2, 0], 0, type(uint256).max));
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundsAttempt.selector, 0, 1));
        this.post(1, 15, 0);
        post(1, 15, 1);
    }

    function testFuzz_ObjectivesThatDifferAreRefused(uint128 primal, uint128 dual) public {
        vm.assume(primal != dual);
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundsGap.selector, primal, dual));
        rounds.post(round, 0, opening, primal, dual, 0, "");
    }

    function test_AnotherOpeningIsRefused() public {
        post(1, 15, 0);
        IRounds.Witness memory fault = witness(IRounds.Fault.Edge, 3, [uint256(3), 3, 0], 0, type(uint256).max);
        bytes32 kept = rounds.roundAt(round).planRoot;
        opening.units = 6;
        bytes32 other = keccak256(
            abi.encode(keccak256("fuqi/chain-plan/v1"), leaf(3), leaf(0), leaf(5), bytes32(uint256(5)), 6)
        );
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundsPlan.selector, other, kept));
        rounds.strike(round, opening, fault);
    }
}
