// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceLog} from "../../src/EvidenceLog.sol";
import {IEvidenceLog} from "../../src/interfaces/IEvidenceLog.sol";
import {Cheats} from "../Cheats.sol";
import {VmEvents} from "./RulingsEdges.t.sol";

/// @dev What mutation testing found untold of EvidenceLog: the largest size, and what is reported of the writer's role.
contract EvidenceLogEdgesTest is Cheats {
    VmEvents private constant _VM = VmEvents(address(uint160(uint256(keccak256("hevm cheat code")))));

    function test_TheFirstWriterIsReported() public {
        _VM.expectEmit(true, true, true, true);
        emit IEvidenceLog.WriterHandedOver(address(0), address(this));
        new EvidenceLog(address(this));
    }

    function test_AnOfferIsReported() public {
        EvidenceLog log = new EvidenceLog(address(this));
        vm.expectEmit(true, true, true, true, address(log));
        emit IEvidenceLog.WriterHandoverStarted(address(this), address(0xB0B));
        log.offerWriter(address(0xB0B));
        same(log.pendingWriter(), address(0xB0B));
    }

    function test_TheLargestSizeIsTakenAndThenNoMore() public {
        EvidenceLog log = new EvidenceLog(address(this));
        uint64 largest = 2 ** 53 - 1;
        log.append(largest, keccak256("root"), new bytes32[](0));
        same(log.head().size, largest);
        same(log.head().index, 1);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogTooLarge.selector, largest + 1, largest));
        log.append(largest + 1, keccak256("next"), new bytes32[](0));
    }
}
