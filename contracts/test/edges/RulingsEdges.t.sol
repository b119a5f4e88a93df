// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rulings} from "../../src/Rulings.sol";
import {IRulings} from "../../src/interfaces/IRulings.sol";
import {RulingActs} from "../Rulings.t.sol";

/// @dev An event of whatever contract comes next: one in the making has no address yet.
interface VmEvents {
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data) external;
}

/// @dev What mutation testing found untold: the last allowed value of each bound, what is reported, what is read back.
contract RulingsEdgesTest is RulingActs {
    VmEvents private constant _VM = VmEvents(address(uint160(uint256(keccak256("hevm cheat code")))));
    IRulings.Bench private constant _OFFICERS = IRulings.Bench.Officers;

    function setUp() public {
        deployRulings();
    }

    function test_TheShortestAndTheLongestDelayAreAllowedAndNoOther() public {
        bytes32[] memory keys = _keys(2);
        new Rulings(keys, 1, keys, 1, 1 hours);
        new Rulings(keys, 1, keys, 1, 90 days);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsDelay.selector, 1 hours - 1));
        new Rulings(keys, 1, keys, 1, 1 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsDelay.selector, 90 days + 1));
        new Rulings(keys, 1, keys, 1, 90 days + 1);
    }

    function test_ABenchHasAtMost64SeatsAndAtLeastItsThreshold() public {
        new Rulings(_keys(64), 64, _keys(1), 1, 1 days);
        bytes32[] memory many = _keys(65);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsBench.selector, PANEL, 65, 1));
        new Rulings(many, 1, _keys(1), 1, 1 days);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsBench.selector, _OFFICERS, 2, 3));
        new Rulings(_keys(2), 1, _keys(2), 3, 1 days);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsBench.selector, _OFFICERS, 2, 0));
        new Rulings(_keys(2), 1, _keys(2), 0, 1 days);
    }

    function test_NoSeatStartsEmptyAndNoKeySitsTwice() public {
        bytes32[] memory keys = _keys(3);
        keys[1] = 0;
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeat.selector, 1));
        new Rulings(keys, 1, _keys(1), 1, 1 days);
        keys[1] = keys[0];
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeated.selector, PANEL, keys[0]));
        new Rulings(keys, 1, _keys(1), 1, 1 days);
        // The same key may sit on both benches.
        new Rulings(_keys(2), 1, _keys(2), 1, 1 days);
    }

    function test_EverySeatIsReportedAtTheStartAndCanBeRead() public {
        bytes32[] memory keys = _keys(2);
        for (uint8 seat = 0; seat < 2; ++seat) {
            _VM.expectEmit(true, true, true, true);
            emit IRulings.SeatChanged(PANEL, seat, keys[seat], 0);
        }
        _VM.expectEmit(true, true, true, true);
        emit IRulings.SeatChanged(_OFFICERS, 0, keys[0], 0);
        Rulings made = new Rulings(keys, 2, _keys(1), 1, 1 days);
        (uint8 filled, uint8 threshold) = made.benchOf(PANEL);
        same(filled, 2);
        same(threshold, 2);
        (filled, threshold) = made.benchOf(_OFFICERS);
        same(filled, 1);
        same(threshold, 1);
        same(made.seatOf(PANEL, 1), keys[1]);
        same(made.seatOf(PANEL, 2), 0);
        same(made.seatOf(_OFFICERS, 0), keys[0]);
    }

    function test_LevelsRiseToEightAndNoFurther() public {
        bytes32 prev = 0;
        for (uint8 level = 1; level <= 8; ++level) {
            IRulings.Ruling memory ruling = _ruling(level, prev);
            prev = digestOfRuling(ruling);
            rulings.rule(ruling, 3, signed(prev, 3, 1));
            IRulings.Record memory record = rulings.rulingAt(_case(), level);
            same(record.digest, prev);
            isTrue(record.outcome == IRulings.Outcome.Upheld);
            isTrue(rulings.isLatest(ruling));
        }
        IRulings.Ruling memory ninth = _ruling(9, prev);
        bytes[] memory signatures = signed(digestOfRuling(ninth), 3, 1);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsMalformed.selector, 1, 9));
        rulings.rule(ninth, 3, signatures);
    }

    function test_OnlyTheRecordedRulingIsTheLatest() public {
        IRulings.Ruling memory ruling = _ruling(1, 0);
        isFalse(rulings.isLatest(ruling));
        rulings.rule(ruling, 3, signed(digestOfRuling(ruling), 3, 1));
        isTrue(rulings.isLatest(ruling));
        ruling.award = bytes32(uint256(9));
        isFalse(rulings.isLatest(ruling));
    }

    function test_TheLastSeatSigns() public {
        bytes32[] memory keys = new bytes32[](64);
        for (uint256 i = 0; i < 64; ++i) keys[i] = nameOf(i + 1);
        rulings = new Rulings(keys, 2, _keys(1), 1, 1 days);
        IRulings.Ruling memory ruling = _ruling(1, 0);
        uint64 seats = (1 << 63) | 1;
        bytes[] memory signatures = signed(digestOfRuling(ruling), seats, 1);
        rulings.rule(ruling, seats, signatures);
        same(rulings.rulingAt(_case(), 1).seats, seats);
    }

    function test_AnAnnouncementIsReportedAndMadeOnce() public {
        IRulings.SeatChange memory change = _change(5, nameOf(20), 0);
        bytes32 id = changeId(change);
        same(rulings.readyAt(id), 0);
        bytes[] memory signatures = signed(id, 3, 11);
        vm.expectEmit(true, true, true, true, address(rulings));
        emit IRulings.SeatChangeProposed(id, PANEL, 5, nameOf(20), 1_800_086_400);
        rulings.propose(change, 3, signatures);
        same(rulings.readyAt(id), 1_800_086_400);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 1_800_086_400));
        rulings.propose(change, 3, signatures);
        bytes32 withdrawal = digestFor("fuqi Rulings", address(rulings), abi.encode(CANCEL, id));
        signatures = signed(withdrawal, 5, 11);
        vm.expectEmit(true, true, true, true, address(rulings));
        emit IRulings.SeatChangeCancelled(id);
        rulings.cancel(change, 5, signatures);
        same(rulings.readyAt(id), 1);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 1));
        rulings.cancel(change, 5, signatures);
    }

    function test_AWithdrawalNeedsOfficersWhoSignedTheWithdrawal() public {
        IRulings.SeatChange memory change = _change(5, nameOf(20), 0);
        bytes32 id = _propose(change);
        bytes32 withdrawal = digestFor("fuqi Rulings", address(rulings), abi.encode(CANCEL, id));
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsTooFew.selector, 0, 2));
        rulings.cancel(change, 0, new bytes[](0));
        bytes[] memory signatures = signed(withdrawal, 3, 1);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsNotSeated.selector, _OFFICERS, 0, nameOf(1)));
        rulings.cancel(change, 3, signatures);
        same(rulings.readyAt(id), 1_800_086_400);
        // The announcement's own signatures do not withdraw it.
        signatures = signed(id, 3, 11);
        (bool done,) = address(rulings).call(abi.encodeCall(IRulings.cancel, (change, 3, signatures)));
        isFalse(done);
    }

    function test_AChangeIsMadeFromItsFirstSecondToItsLast() public {
        IRulings.SeatChange memory first = _change(5, nameOf(20), 0);
        IRulings.SeatChange memory last = _change(6, nameOf(21), 0);
        _propose(first);
        _propose(last);
        vm.warp(1_800_086_399);
        vm.expectRevert(
            abi.encodeWithSelector(IRulings.RulingsChangeTime.selector, 1_800_086_400, 1_800_086_399)
        );
        rulings.enact(first);
        vm.warp(1_800_086_400);
        rulings.enact(first);
        vm.warp(1_800_086_400 + 30 days);
        rulings.enact(last);
        same(rulings.seatOf(PANEL, 6), nameOf(21));
        (uint8 filled,) = rulings.benchOf(PANEL);
        same(filled, 7);
    }

    function test_AKeyThatLeftMaySitAgainAndASeatGivenUpIsEmpty() public {
        IRulings.SeatChange memory swap = _change(0, nameOf(20), nameOf(1));
        IRulings.SeatChange memory back = _change(5, nameOf(1), 0);
        IRulings.SeatChange memory given = _change(1, 0, nameOf(2));
        _propose(swap);
        _propose(back);
        _propose(given);
        vm.warp(1_800_086_400);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeated.selector, PANEL, nameOf(1)));
        rulings.enact(back);
        rulings.enact(swap);
        rulings.enact(back);
        same(rulings.seatOf(PANEL, 5), nameOf(1));
        vm.expectEmit(true, true, true, true, address(rulings));
        emit IRulings.SeatChanged(PANEL, 1, 0, nameOf(2));
        rulings.enact(given);
        same(rulings.seatOf(PANEL, 1), 0);
        (uint8 filled,) = rulings.benchOf(PANEL);
        same(filled, 5);
    }

    function test_TheLastSeatCanBeFilledAndOfficersChangeTheirOwnBench() public {
        IRulings.SeatChange memory change = _change(63, nameOf(20), 0);
        IRulings.SeatChange memory own = _change(3, nameOf(20), 0);
        own.bench = _OFFICERS;
        _propose(change);
        _propose(own);
        vm.warp(1_800_086_400);
        rulings.enact(change);
        rulings.enact(own);
        same(rulings.seatOf(PANEL, 63), nameOf(20));
        same(rulings.seatOf(_OFFICERS, 3), nameOf(20));
        same(rulings.seatOf(PANEL, 3), nameOf(4));
    }

    function test_ABenchMayShrinkToItsThreshold() public {
        for (uint8 seat = 0; seat < 3; ++seat) _propose(_change(seat, 0, nameOf(seat + 1)));
        vm.warp(1_800_086_400);
        for (uint8 seat = 0; seat < 3; ++seat) rulings.enact(_change(seat, 0, nameOf(seat + 1)));
        (uint8 filled, uint8 threshold) = rulings.benchOf(PANEL);
        same(filled, 2);
        same(threshold, 2);
    }

    function _keys(uint256 count) private pure returns (bytes32[] memory keys) {
        keys = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) keys[i] = bytes32(i + 1);
    }

    function _ruling(uint8 level, bytes32 prev) private pure returns (IRulings.Ruling memory) {
        return IRulings.Ruling({
            docket: bytes32(uint256(1)),
            subject: bytes32(uint256(2)),
            award: bytes32(uint256(3)),
            outcome: IRulings.Outcome.Upheld,
            level: level,
            prev: prev
        });
    }

    function _change(uint8 seat, bytes32 key, bytes32 previous) private pure returns (IRulings.SeatChange memory) {
        return IRulings.SeatChange({bench: PANEL, seat: seat, key: key, previous: previous, salt: 0});
    }

    function _propose(IRulings.SeatChange memory change) private returns (bytes32 id) {
        id = changeId(change);
        rulings.propose(change, 3, signed(id, 3, 11));
    }

    function _case() private view returns (bytes32) {
        return rulings.caseOf(bytes32(uint256(1)), bytes32(uint256(2)));
    }
}
