// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rounds} from "../../src/Rounds.sol";
import {Cheats} from "../Cheats.sol";

/// @dev The cheat codes that a replay needs beside those of Cheats.
interface VmReplay {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function etch(address target, bytes calldata code) external;

    function getRecordedLogs() external returns (Log[] memory logs);

    function recordLogs() external;

    function revertToState(uint256 snapshot) external returns (bool);

    function snapshotState() external returns (uint256);
}

/// @dev A call: either whole, or as an earlier whole one with some words changed.
/// @param keep Whether its effects stand.
/// @param base Which whole call it is, counted from 0.
/// @param at Where its words differ from that one, and `changed` what stands there; fewer than 32 bytes at the end.
struct Step {
    bool keep;
    uint40 time;
    uint32 base;
    uint32[] at;
    bytes32[] changed;
    bytes whole;
    bool accepted;
    bytes answer;
    bytes32 logs;
}

/// @dev The lives of rounds that tests/chain/test_rounds_replay.py recorded on a node, answer by answer.
contract RoundsReplayTest is Cheats {
    VmReplay private constant _VM = VmReplay(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// @dev Signed acts name it.
    address private constant _PLACE = address(bytes20(hex"f09100000000000000000000000000000000f091"));
    uint256 private constant _STEPS_AT_LEAST = 1000;

    error Differs(uint256 step, bool accepted, bytes answer);

    function test_EveryRecordedCallIsAnsweredAsItWas() public {
        _VM.etch(_PLACE, address(new Rounds()).code);
        bytes memory blob = vm.parseJsonBytes(vm.readFile("../tests/golden/chain/rounds_replay.json"), ".abi");
        Step[] memory steps = abi.decode(blob, (Step[]));
        isTrue(steps.length >= _STEPS_AT_LEAST);
        bytes[] memory bases = new bytes[](steps.length);
        uint256 count = 0;
        for (uint256 i = 0; i < steps.length; ++i) {
            Step memory step = steps[i];
            if (step.whole.length != 0) bases[count++] = step.whole;
            bytes memory data = bases[step.base];
            bytes32[] memory kept = new bytes32[](step.at.length);
            for (uint256 k = 0; k < kept.length; ++k) kept[k] = _exchange(data, step.at[k], step.changed[k]);
            _replay(step, data, i);
            for (uint256 k = 0; k < kept.length; ++k) _exchange(data, step.at[k], kept[k]);
        }
    }

    function _replay(Step memory step, bytes memory data, uint256 place) private {
        vm.warp(step.time);
        // A refused call leaves nothing to undo.
        uint256 snapshot = step.accepted && !step.keep ? _VM.snapshotState() : 0;
        _VM.recordLogs();
        (bool accepted, bytes memory answer) = _PLACE.call(data);
        if (accepted != step.accepted || keccak256(answer) != keccak256(step.answer)) {
            revert Differs(place, accepted, answer);
        }
        if (!step.keep) {
            if (step.accepted) isTrue(_VM.revertToState(snapshot));
            return;
        }
        VmReplay.Log[] memory logs = _VM.getRecordedLogs();
        bytes memory said;
        for (uint256 k = 0; k < logs.length; ++k) said = bytes.concat(said, abi.encode(logs[k].topics, logs[k].data));
        same(keccak256(said), step.logs);
    }

    /// @dev Puts a word at a place in `data`; gives what stood there. Behind the end there is room: memory is whole words.
    function _exchange(bytes memory data, uint256 place, bytes32 word) private pure returns (bytes32 kept) {
        if (place >= data.length) revert NotEqual(bytes32(place), bytes32(data.length));
        assembly ("memory-safe") {
            let to := add(add(data, 0x20), place)
            kept := mload(to)
            mstore(to, word)
        }
    }
}
