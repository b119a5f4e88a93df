// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SupplyLots} from "../../src/SupplyLots.sol";
import {Rulings} from "../../src/Rulings.sol";
import {IRulings} from "../../src/interfaces/IRulings.sol";
import {ISupplyLots} from "../../src/interfaces/ISupplyLots.sol";
import {LotActs} from "../SupplyLots.t.sol";

/// @dev What mutation testing found untold of SupplyLots: acts other than moves count once too, and each act's books and report.
contract SupplyLotsEdgesTest is LotActs {
    address private _a = vma.addr(1);
    address private _b = vma.addr(2);
    Rulings private _rulings;
    bytes32 private _lot;

    function setUp() public {
        vm.warp(1_800_000_000);
        bytes32[] memory keys = new bytes32[](1);
        keys[0] = nameOf(7);
        _rulings = new Rulings(keys, 1, keys, 1, 1 hours);
        lots = new SupplyLots(_rulings);
        _lot = doMint(1, 100, bytes32(uint256(1)));
    }

    function test_AnIssueIsReportedAndBooked() public {
        bytes32 docRef = bytes32(uint256(2));
        bytes32 lot = lots.lotOf(_a, docRef);
        bytes memory signature = plain(1, lotDigest(abi.encode(MINT, lot, uint40(10 ** 12), docRef)));
        vm.expectEmit(true, true, true, true, address(lots));
        emit ISupplyLots.LotMinted(lot, _a, 10 ** 12, docRef);
        lots.mint(lot, 10 ** 12, docRef, signature);
        same(lots.lotAt(lot).minted, 10 ** 12);
        same(lots.lotAt(lot).used, 0);
        same(address(lots.rulings()), address(_rulings));
    }

    /// @dev I7: a consumption signed for turn 0 is not made again when that turn is over.
    function test_AConsumptionIsReportedBookedAndMadeOnce() public {
        bytes32 docRef = bytes32(uint256(9));
        bytes memory signature = plain(1, lotDigest(abi.encode(CONSUME, _lot, _a, uint40(30), docRef, uint32(0))));
        vm.expectEmit(true, true, true, true, address(lots));
        emit ISupplyLots.LotConsumed(_lot, _a, 30, docRef);
        lots.consume(_lot, _a, 30, docRef, 0, signature);
        same(lots.lotAt(_lot).used, 30);
        same(lots.lotAt(_lot).minted, 100);
        same(lots.positionOf(_lot, _a).quantity, 70);
        same(lots.positionOf(_lot, _a).turn, 1);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsTurn.selector, 0, 1));
        lots.consume(_lot, _a, 30, docRef, 0, signature);
        doConsume(1, _lot, 70);
        same(lots.lotAt(_lot).used, 100);
        same(lots.positionOf(_lot, _a).quantity, 0);
    }

    function test_AnAcceptanceIsReportedAndMadeOnce() public {
        doMove(1, _lot, _b, 40);
        bytes memory signature = plain(2, lotDigest(abi.encode(ACCEPT, _lot, _b, uint32(0))));
        vm.expectEmit(true, true, true, true, address(lots));
        emit ISupplyLots.LotAccepted(_lot, _b, 40);
        lots.accept(_lot, _b, 0, signature);
        same(lots.positionOf(_lot, _b).incoming, 0);
        same(lots.positionOf(_lot, _b).quantity, 40);
        same(lots.positionOf(_lot, _b).turn, 1);
        doMove(1, _lot, _b, 5);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsTurn.selector, 0, 1));
        lots.accept(_lot, _b, 0, signature);
        bytes memory other = plain(1, lotDigest(abi.encode(ACCEPT, _lot, _b, uint32(1))));
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsUnauthorized.selector, _a, _b));
        lots.accept(_lot, _b, 1, other);
    }

    function test_ARejectionIsReportedAndMadeOnce() public {
        doMove(1, _lot, _b, 40);
        bytes memory signature = plain(2, lotDigest(abi.encode(REJECT, _lot, _b, _a, uint32(0))));
        vm.expectEmit(true, true, true, true, address(lots));
        emit ISupplyLots.LotRejected(_lot, _b, _a, 40);
        lots.reject(_lot, _b, _a, 0, signature);
        same(lots.positionOf(_lot, _b).turn, 1);
        // What came back left the sender's turn where it was.
        same(lots.positionOf(_lot, _a).turn, 1);
        doMove(1, _lot, _b, 40);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsTurn.selector, 0, 1));
        lots.reject(_lot, _b, _a, 0, signature);
        bytes memory other = plain(1, lotDigest(abi.encode(REJECT, _lot, _b, _a, uint32(1))));
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsUnauthorized.selector, _a, _b));
        lots.reject(_lot, _b, _a, 1, other);
    }

    function test_TwoCasesFreezeAndEachIsReleasedForItself() public {
        IRulings.Ruling memory first = _recorded(1, IRulings.Outcome.FreezeLot, 1, 0);
        IRulings.Ruling memory second = _recorded(2, IRulings.Outcome.FreezeLot, 1, 0);
        _applies(first, true, 1);
        _applies(second, true, 2);
        _applies(_recorded(1, IRulings.Outcome.ReleaseLot, 2, _rulings.digestOf(first)), false, 1);
        // A ruling that was appealed no longer freezes.
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsRuling.selector, _case(1)));
        lots.applyRuling(first, _a);
        same(lots.positionOf(_lot, _a).quantity, 100);
        same(lots.positionOf(_lot, _a).turn, 0);
        _applies(_recorded(2, IRulings.Outcome.Upheld, 2, _rulings.digestOf(second)), false, 0);
        doMove(1, _lot, _b, 100);
        same(lots.positionOf(_lot, _b).quantity, 100);
    }

    function test_ALotThatWasNotIssuedIsNotFrozen() public {
        bytes32 lot = lots.lotOf(_a, bytes32(uint256(3)));
        IRulings.Ruling memory ruling = IRulings.Ruling(
            bytes32(uint256(1)), lot, bytes32(uint256(5)), IRulings.Outcome.FreezeLot, 1, 0
        );
        _record(ruling);
        bytes32 caseId = _rulings.caseOf(bytes32(uint256(1)), lot);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsRuling.selector, caseId));
        lots.applyRuling(ruling, _a);
    }

    function _applies(IRulings.Ruling memory ruling, bool frozen, uint16 freezes) private {
        vm.expectEmit(true, true, true, true, address(lots));
        emit ISupplyLots.LotRulingApplied(_lot, _rulings.caseOf(ruling.docket, _lot), _a, frozen, freezes);
        lots.applyRuling(ruling, _a);
        same(lots.positionOf(_lot, _a).freezes, freezes);
    }

    function _case(uint256 docket) private view returns (bytes32) {
        return _rulings.caseOf(bytes32(docket), _lot);
    }

    function _recorded(uint256 docket, IRulings.Outcome outcome, uint8 level, bytes32 prev)
        private
        returns (IRulings.Ruling memory ruling)
    {
        ruling = IRulings.Ruling(bytes32(docket), _lot, bytes32(uint256(5)), outcome, level, prev);
        _record(ruling);
    }

    function _record(IRulings.Ruling memory ruling) private {
        bytes[] memory signatures = new bytes[](1);
        signatures[0] = plain(7, digestFor("fuqi Rulings", address(_rulings), abi.encode(RULING, ruling)));
        _rulings.rule(ruling, 1, signatures);
    }
}
