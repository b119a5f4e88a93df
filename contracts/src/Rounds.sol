// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "./interfaces/IRounds.sol";
import {ActSignature} from "./libraries/ActSignature.sol";
import {RoundFaults} from "./libraries/RoundFaults.sol";
import {RoundTables} from "./libraries/RoundTables.sol";
import {Transport} from "./libraries/Transport.sol";

/// @title Rounds: see IRounds for what each call promises.
contract Rounds is IRounds {
    /// @notice How long a posted result can be struck.
    uint40 public constant CHALLENGE_SECONDS = 24 hours;

    bytes32 private constant _NAME = keccak256("fuqi Rounds");
    bytes32 private constant _ROUND_TAG = keccak256("fuqi/chain-round/v1");
    bytes32 private constant _INPUTS_TAG = keccak256("fuqi/chain-inputs/v1");
    bytes32 private constant _PLAN_TAG = keccak256("fuqi/chain-plan/v1");
    bytes32 private constant _ANSWER_TAG = keccak256("fuqi/chain-answer/v1");
    bytes32 private constant _OPEN = keccak256("Open(bytes32 inputsRoot,bytes32 policyHash)");
    bytes32 private constant _POST =
        keccak256("Post(bytes32 round,bytes32 planRoot,uint128 primal,uint128 dual,uint32 attempt)");
    bytes32 private constant _PROVE = keccak256("Prove(bytes32 round,bytes32 planHash)");

    mapping(bytes32 round => Round) private _rounds;

    /// @inheritdoc IRounds
    function open(bytes32 round, bytes32 inputsRoot, bytes32 policyHash, bytes calldata signature) external {
        bytes32 opener = _requireOpener(round, inputsRoot, policyHash, _body(_OPEN, inputsRoot, policyHash), signature);
        Round storage stored = _rounds[round];
        if (stored.state != State.None) revert RoundsState(round, stored.state);
        stored.inputsRoot = inputsRoot;
        stored.state = State.Open;
        emit RoundOpened(round, opener, inputsRoot, policyHash);
    }

    /// @inheritdoc IRounds
    function post(
        bytes32 round,
        bytes32 policyHash,
        Opening calldata opening,
        uint128 primal,
        uint128 dual,
        uint32 attempt,
        bytes calldata signature
    ) external {
        if (primal != dual) revert RoundsGap(primal, dual);
        Round storage stored = _rounds[round];
        if (stored.state != State.Open) revert RoundsState(round, stored.state);
        if (attempt != stored.attempt) revert RoundsAttempt(attempt, stored.attempt);
        _requireInputs(stored.inputsRoot, _inputsOf(opening));
        if (
            opening.rows == 0 || opening.rows > Transport.SIDE_MAX || opening.columns == 0
                || opening.columns > Transport.SIDE_MAX
        ) revert Transport.TransportSize(opening.rows, opening.columns);
        bytes32 planRoot = _planOf(opening);
        bytes32 body = keccak256(abi.encode(_POST, round, planRoot, primal, dual, attempt));
        _requireOpener(round, stored.inputsRoot, policyHash, body, signature);
        uint40 closesAt = uint40(block.timestamp) + CHALLENGE_SECONDS;
        stored.planRoot = planRoot;
        stored.objective = primal;
        stored.closesAt = closesAt;
        stored.state = State.Posted;
        emit RoundPosted(round, attempt, planRoot, primal, closesAt);
    }

    /// @inheritdoc IRounds
    function prove(
        bytes32 round,
        bytes32 policyHash,
        Instance calldata instance,
        Answer calldata answer,
        bytes calldata signature
    ) external {
        Round storage stored = _rounds[round];
        if (stored.state != State.Open && stored.state != State.Posted) revert RoundsState(round, stored.state);
        uint256 objective = Transport.requireOptimal(instance, answer);
        _requireInputs(stored.inputsRoot, _inputsOf(instance));
        bytes32 planHash = keccak256(abi.encode(_ANSWER_TAG, answer));
        _requireOpener(round, stored.inputsRoot, policyHash, _body(_PROVE, round, planHash), signature);
        if (objective > type(uint128).max) revert RoundTables.RoundTablesSumTooLarge();
        stored.planRoot = planHash;
        stored.objective = uint128(objective);
        stored.state = State.Proven;
        emit RoundProven(round, planHash, uint128(objective));
    }

    /// @inheritdoc IRounds
    function strike(bytes32 round, Opening calldata opening, Witness calldata witness) external {
        Round storage stored = _rounds[round];
        if (stored.state != State.Posted) revert RoundsState(round, stored.state);
        if (block.timestamp >= stored.closesAt) revert RoundsWindow(stored.closesAt, block.timestamp);
        _requireInputs(stored.inputsRoot, _inputsOf(opening));
        bytes32 planRoot = _planOf(opening);
        if (planRoot != stored.planRoot) revert RoundsPlan(planRoot, stored.planRoot);
        if (!RoundFaults.shows(opening, stored.objective, witness)) {
            revert RoundsNoFault(witness.fault, witness.row, witness.column);
        }
        uint32 attempt = stored.attempt;
        stored.attempt = attempt + 1;
        stored.state = State.Open;
        emit RoundStruck(round, attempt, witness.fault, witness.row, witness.column);
    }

    /// @inheritdoc IRounds
    function finalise(bytes32 round) external {
        Round storage stored = _rounds[round];
        if (stored.state != State.Posted) revert RoundsState(round, stored.state);
        if (block.timestamp < stored.closesAt) revert RoundsWindow(stored.closesAt, block.timestamp);
        stored.state = State.Final;
        emit RoundFinalised(round, stored.planRoot, stored.objective);
    }

    /// @inheritdoc IRounds
    function roundAt(bytes32 round) external view returns (Round memory) {
        return _rounds[round];
    }

    /// @inheritdoc IRounds
    function roundOf(bytes32 opener, bytes32 inputsRoot, bytes32 policyHash) public pure returns (bytes32) {
        return keccak256(abi.encode(_ROUND_TAG, opener, inputsRoot, policyHash));
    }

    function _requireOpener(
        bytes32 round,
        bytes32 inputsRoot,
        bytes32 policyHash,
        bytes32 body,
        bytes calldata signature
    ) private view returns (bytes32 opener) {
        opener = ActSignature.signerOf(_NAME, body, signature);
        bytes32 signedRound = roundOf(opener, inputsRoot, policyHash);
        if (round != signedRound) revert RoundsUnauthorized(round, signedRound);
    }

    function _body(bytes32 kind, bytes32 first, bytes32 second) private pure returns (bytes32) {
        return keccak256(abi.encode(kind, first, second));
    }

    function _requireInputs(bytes32 committed, bytes32 found) private pure {
        if (found != committed) revert RoundsInputs(found, committed);
    }

    function _inputsOf(Opening calldata o) private pure returns (bytes32) {
        return keccak256(abi.encode(_INPUTS_TAG, o.rows, o.columns, o.supplyRoot, o.demandRoot, o.weightRoot));
    }

    function _inputsOf(Instance calldata i) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                _INPUTS_TAG,
                i.rows,
                i.columns,
                RoundTables.rootOf(i.supplies),
                RoundTables.rootOf(i.demands),
                RoundTables.rootOf(i.weights)
            )
        );
    }

    function _planOf(Opening calldata o) private pure returns (bytes32) {
        return keccak256(
            abi.encode(_PLAN_TAG, o.rowPriceRoot, o.columnPriceRoot, o.columnTotalRoot, o.cellRoot, o.units)
        );
    }
}
