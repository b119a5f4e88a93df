// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rounds} from "../../src/Rounds.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {RoundActs} from "../Rounds.t.sol";

/// @dev Rounds of one row and one column, 5 units at weight 3: the best plan is worth 15. Somebody posts all kinds of results;
///      a striker who holds the round's data tries every kind of fault. What he cannot strike must be the truth.
contract RoundsHandler is RoundActs {
    uint256 private constant _NONE = type(uint256).max;
    uint128 private constant _BEST = 15;

    mapping(uint256 policy => bytes32) public ids;
    mapping(bytes32 round => bytes32) public ended;
    uint256 public policies;
    uint256 public struck;
    uint256 public finals;
    uint256 public proofs;
    uint256 public wrongly;
    bytes32 private _inputs;

    constructor() {
        openRound();
        _inputs = rounds.roundAt(round).inputsRoot;
        openAnother();
    }

    function target() external view returns (Rounds) {
        return rounds;
    }

    function openAnother() public {
        uint256 policy = 1000 + policies;
        bytes memory act = abi.encode(keccak256("Open(bytes32 inputsRoot,bytes32 policyHash)"), _inputs, policy);
        bytes32 id = rounds.roundOf(nameOf(1), _inputs, bytes32(policy));
        rounds.open(id, _inputs, bytes32(policy), plain(1, digestFor("fuqi Rounds", address(rounds), act)));
        ids[policies++] = id;
    }

    /// @dev A result with any of its numbers wrong, or none; struck at once where that can be done.
    function postAndStrike(uint256 which, uint8 lie, uint8 split, uint8 value) external {
        uint256 policy = which % policies;
        bytes32 id = ids[policy];
        uint256[6] memory n = [uint256(split % 4), 3 - split % 4, 5, 5, 5, _BEST];
        if (lie % 8 < 6) n[lie % 8] = value % 20;
        if (lie % 8 == 6) (n[4], n[5], n[2], n[3]) = (value % 6, 3 * (value % 6), value % 6, value % 6);
        (opening.rowPriceRoot, opening.columnPriceRoot) = (leaf(n[0]), leaf(n[1]));
        (opening.columnTotalRoot, opening.cellRoot, opening.units) = (leaf(n[2]), bytes32(n[3]), uint128(n[4]));
        if (!_posts(id, policy, uint128(n[5]))) return;
        if (_strikes(id, n)) {
            ++struck;
            return;
        }
        if (n[5] != _BEST || n[4] != 5) ++wrongly;
        vm.warp(block.timestamp + 1 days);
        rounds.finalise(id);
        ended[id] = keccak256(abi.encode(rounds.roundAt(id)));
        ++finals;
    }

    /// @dev A whole answer, right or wrong in one number.
    function prove(uint256 which, uint8 lie, uint8 split, uint8 value) external {
        uint256 policy = which % policies;
        uint256[3] memory n = [uint256(split % 4), 3 - split % 4, 5];
        if (lie % 4 < 3) n[lie % 4] = value % 20;
        IRounds.Instance memory instance = IRounds.Instance(1, 1, _one(5), _one(5), _one(3));
        IRounds.Answer memory answer = IRounds.Answer(_one(n[2] << 128), _one(n[0]), _one(n[1]));
        bytes32 plan = keccak256(abi.encode(keccak256("fuqi/chain-answer/v1"), answer));
        bytes memory act = abi.encode(keccak256("Prove(bytes32 round,bytes32 planHash)"), ids[policy], plan);
        bytes memory signature = plain(1, digestFor("fuqi Rounds", address(rounds), act));
        try rounds.prove(ids[policy], bytes32(1000 + policy), instance, answer, signature) {
            if (n[0] + n[1] != 3 || n[2] != 5 || rounds.roundAt(ids[policy]).objective != _BEST) ++wrongly;
            ended[ids[policy]] = keccak256(abi.encode(rounds.roundAt(ids[policy])));
            ++proofs;
        } catch {}
    }

    /// @dev After the end nothing moves a round any more; before it, nobody but its opener posts.
    function disturb(uint256 which, uint8 secret) external {
        bytes32 id = ids[which % policies];
        try rounds.finalise(id) {
            ++wrongly;
        } catch {}
        IRounds.Witness memory fault = witness(IRounds.Fault.Edge, 3, [uint256(3), 2, 0], 0, _NONE);
        try rounds.strike(id, opening, fault) {
            ++wrongly;
        } catch {}
        if (_postsAs(2 + secret % 9, id, which % policies, _BEST)) ++wrongly;
    }

    function _posts(bytes32 id, uint256 policy, uint128 objective) private returns (bool) {
        return _postsAs(1, id, policy, objective);
    }

    function _postsAs(uint256 secret, bytes32 id, uint256 policy, uint128 objective) private returns (bool) {
        uint32 attempt = rounds.roundAt(id).attempt;
        bytes32 planRoot = keccak256(
            abi.encode(
                keccak256("fuqi/chain-plan/v1"),
                opening.rowPriceRoot,
                opening.columnPriceRoot,
                opening.columnTotalRoot,
                opening.cellRoot,
                opening.units
            )
        );
        bytes memory act = abi.encode(
            keccak256("Post(bytes32 round,bytes32 planRoot,uint128 primal,uint128 dual,uint32 attempt)"),
            id,
            planRoot,
            objective,
            objective,
            attempt
        );
        bytes memory signature = plain(secret, digestFor("fuqi Rounds", address(rounds), act));
        try rounds.post(id, bytes32(1000 + policy), opening, objective, objective, attempt, signature) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev n: row price, column price, column total, cell total, units, value.
    function _strikes(bytes32 id, uint256[6] memory n) private returns (bool) {
        uint256 sums = (n[4] << 128) | n[5];
        return _strike(id, witness(IRounds.Fault.Edge, 3, [uint256(3), n[0], n[1]], 0, _NONE))
            || _strike(id, witness(IRounds.Fault.Slack, 3, [uint256(3), n[0], n[1]], n[3], sums))
            || _strike(id, witness(IRounds.Fault.Row, 2, [uint256(5), n[0], 0], n[3], sums))
            || _strike(id, witness(IRounds.Fault.Column, 3, [uint256(5), n[1], n[2]], 0, _NONE))
            || _strike(id, witness(IRounds.Fault.Total, 1, [n[2], uint256(0), 0], n[3], sums))
            || _strike(id, witness(IRounds.Fault.Cell, 1, [uint256(3), 0, 0], n[3], sums))
            || _strike(id, witness(IRounds.Fault.Step, 0, [uint256(0), 0, 0], n[3], sums));
    }

    function _strike(bytes32 id, IRounds.Witness memory fault) private returns (bool) {
        try rounds.strike(id, opening, fault) {
            return true;
        } catch {
            return false;
        }
    }

    function _one(uint256 word) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }
}

contract RoundsInvariantTest is RoundActs {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    RoundsHandler private _handler;

    function setUp() public {
        _handler = new RoundsHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_handler);
        targets[0].selectors = new bytes4[](4);
        targets[0].selectors[0] = RoundsHandler.openAnother.selector;
        targets[0].selectors[1] = RoundsHandler.postAndStrike.selector;
        targets[0].selectors[2] = RoundsHandler.prove.selector;
        targets[0].selectors[3] = RoundsHandler.disturb.selector;
    }

    /// @dev Without this the invariant could hold of a handler that never does anything.
    function test_TheHandlerStrikesEveryLieAndTheTruthStands() public {
        for (uint8 lie = 0; lie < 6; ++lie) _handler.postAndStrike(0, lie, 1, 9);
        _handler.postAndStrike(0, 6, 1, 4);
        same(_handler.struck(), 7);
        same(_handler.finals(), 0);
        _handler.postAndStrike(0, 7, 2, 0);
        same(_handler.finals(), 1);
        _handler.openAnother();
        for (uint8 lie = 0; lie < 3; ++lie) _handler.prove(1, lie, 1, 9);
        same(_handler.proofs(), 0);
        _handler.prove(1, 3, 1, 0);
        same(_handler.proofs(), 1);
        for (uint8 k = 0; k < 4; ++k) _handler.disturb(k, k);
        same(_handler.wrongly(), 0);
    }

    /// @dev I5 and I2: what stands is optimal, and stays as it was.
    /// forge-config: default.invariant.runs = 20
    /// forge-config: intense.invariant.runs = 500
    /// forge-config: default.invariant.depth = 50
    /// forge-config: intense.invariant.depth = 500
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_WhatStandsIsOptimalAndStays() external view {
        same(_handler.wrongly(), 0);
        uint256 count = _handler.policies();
        for (uint256 i = 0; i < count; ++i) {
            bytes32 id = _handler.ids(i);
            bytes32 was = _handler.ended(id);
            if (was != 0) same(keccak256(abi.encode(_handler.target().roundAt(id))), was);
        }
    }
}
