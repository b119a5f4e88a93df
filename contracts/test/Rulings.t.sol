// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rulings} from "../src/Rulings.sol";
import {IRulings} from "../src/interfaces/IRulings.sol";
import {ActSignature} from "../src/libraries/ActSignature.sol";
import {Acts} from "./Acts.sol";

/// @dev Arbitrators hold the keys 1 to 5 on seats 0 to 4, officers 11 to 13; two must sign on either bench.
abstract contract RulingActs is Acts {
    bytes32 internal constant RULING =
        keccak256("Ruling(bytes32 docket,bytes32 subject,bytes32 award,uint8 outcome,uint8 level,bytes32 prev)");
    bytes32 internal constant CHANGE =
        keccak256("SeatChange(uint8 bench,uint8 seat,bytes32 key,bytes32 previous,bytes32 salt)");
    bytes32 internal constant CANCEL = keccak256("CancelSeatChange(bytes32 change)");
    IRulings.Bench internal constant PANEL = IRulings.Bench.Arbitrators;

    Rulings internal rulings;

    function deployRulings() internal {
        vm.warp(1_800_000_000);
        bytes32[] memory arbitrators = new bytes32[](5);
        for (uint256 i = 0; i < 5; ++i) arbitrators[i] = nameOf(i + 1);
        bytes32[] memory officers = new bytes32[](3);
        for (uint256 i = 0; i < 3; ++i) officers[i] = nameOf(i + 11);
        rulings = new Rulings(arbitrators, 2, officers, 2, 1 days);
    }

    function digestOfRuling(IRulings.Ruling memory ruling) internal view returns (bytes32) {
        return digestFor("fuqi Rulings", address(rulings), abi.encode(RULING, ruling));
    }

    function changeId(IRulings.SeatChange memory change) internal view returns (bytes32) {
        return digestFor("fuqi Rulings", address(rulings), abi.encode(CHANGE, change));
    }

    /// @dev One signature for each set bit; the key of seat i is `first + i`.
    function signed(bytes32 digest, uint64 seats, uint256 first) internal pure returns (bytes[] memory signatures) {
        uint256 count = 0;
        for (uint256 i = 0; i < 64; ++i) if ((seats >> i) & 1 == 1) ++count;
        signatures = new bytes[](count);
        uint256 next = 0;
        for (uint256 i = 0; i < 64; ++i) {
            if ((seats >> i) & 1 == 1) signatures[next++] = plain(first + i, digest);
        }
    }
}

/// @dev Signs with right and wrong panels; `seen` keeps what was recorded, to show that nothing of it ever changes.
contract RulingHandler is RulingActs {
    struct Seen {
        bytes32 caseId;
        uint8 level;
        bytes32 record;
    }

    Seen[] public seen;
    mapping(bytes32 caseId => uint8) public top;

    constructor(Rulings target) {
        rulings = target;
    }

    function rule(uint8 docket, uint8 outcome, uint8 level, uint8 seats, bool rightPrev, uint8 wrong) external {
        IRulings.Ruling memory ruling = IRulings.Ruling({
            docket: bytes32(uint256(docket % 3)),
            subject: bytes32(uint256(1)),
            award: bytes32(uint256(seats)),
            outcome: IRulings.Outcome(outcome % 5),
            level: level % 4,
            prev: 0
        });
        bytes32 caseId = rulings.caseOf(ruling.docket, ruling.subject);
        if (rightPrev) {
            ruling.level = top[caseId] + 1;
            ruling.prev = rulings.rulingAt(caseId, top[caseId]).digest;
        }
        uint64 panel = seats % 64;
        bytes[] memory signatures = signed(digestOfRuling(ruling), panel, wrong % 8 == 0 ? 2 : 1);
        try rulings.rule(ruling, panel, signatures) {
            // An act of a panel of fewer than two, or of keys that sit elsewhere, must never come here.
            if (signatures.length < 2 || wrong % 8 == 0 || panel > 31) revert NotEqual(0, 0);
            if (ruling.level != top[caseId] + 1) revert NotEqual(0, 0);
            top[caseId] = ruling.level;
            IRulings.Record memory record = rulings.rulingAt(caseId, ruling.level);
            seen.push(Seen(caseId, ruling.level, keccak256(abi.encode(record))));
        } catch {}
    }

    function count() external view returns (uint256) {
        return seen.length;
    }
}

contract RulingsInvariantTest is RulingActs {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    RulingHandler private _handler;

    function setUp() public {
        deployRulings();
        _handler = new RulingHandler(rulings);
        _handler.rule(0, 1, 1, 3, true, 1);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev I2 and I6.
    /// forge-config: default.invariant.runs = 40
    /// forge-config: intense.invariant.runs = 500
    /// forge-config: default.invariant.depth = 100
    /// forge-config: intense.invariant.depth = 500
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_NoRulingChangesAndLevelsRise() public view {
        uint256 count = _handler.count();
        isTrue(count >= 1);
        for (uint256 i = 0; i < count; ++i) {
            (bytes32 caseId, uint8 level, bytes32 was) = _handler.seen(i);
            IRulings.Record memory record = rulings.rulingAt(caseId, level);
            same(keccak256(abi.encode(record)), was);
            isTrue(level <= _handler.top(caseId));
        }
    }
}

contract RulingsTest is RulingActs {
    function setUp() public {
        deployRulings();
    }

    function test_ARulingIsRecordedAndReported() public {
        IRulings.Ruling memory ruling = _ruling(1, 0);
        bytes32 digest = digestOfRuling(ruling);
        same(rulings.digestOf(ruling), digest);
        vm.expectEmit(true, true, true, true, address(rulings));
        emit IRulings.RulingRecorded(
            _case(), 1, ruling.subject, digest, ruling.award, IRulings.Outcome.Upheld, 5
        );
        rulings.rule(ruling, 5, signed(digest, 5, 1));
        IRulings.Record memory record = rulings.rulingAt(_case(), 1);
        same(record.digest, digest);
        same(record.at, 1_800_000_000);
        same(record.seats, 5);
        isTrue(rulings.isLatest(ruling));
    }

    function test_AnAppealNamesTheRulingBelow() public {
        IRulings.Ruling memory first = _record(_ruling(1, 0));
        IRulings.Ruling memory appeal = _ruling(2, 0);
        bytes[] memory signatures = signed(digestOfRuling(appeal), 3, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IRulings.RulingsPrevious.selector, bytes32(0), digestOfRuling(first))
        );
        rulings.rule(appeal, 3, signatures);
        appeal = _record(_ruling(2, digestOfRuling(first)));
        isFalse(rulings.isLatest(first));
        isTrue(rulings.isLatest(appeal));
    }

    function test_NoLevelIsLeftOutAndNoneRulesTwice() public {
        IRulings.Ruling memory skip = _ruling(2, 0);
        bytes[] memory signatures = signed(digestOfRuling(skip), 3, 1);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsPrevious.selector, bytes32(0), bytes32(0)));
        rulings.rule(skip, 3, signatures);
        IRulings.Ruling memory first = _record(_ruling(1, 0));
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsExists.selector, _case(), 1));
        rulings.rule(first, 3, signatures);
        IRulings.Ruling memory odd = _ruling(1, bytes32(uint256(7)));
        odd.docket = bytes32(uint256(99));
        vm.expectRevert(
            abi.encodeWithSelector(IRulings.RulingsPrevious.selector, bytes32(uint256(7)), bytes32(0))
        );
        rulings.rule(odd, 3, signatures);
    }

    function testFuzz_AnOutcomeAndALevelAreNeeded(uint8 level) public {
        vm.assume(level == 0 || level > 8);
        IRulings.Ruling memory ruling = _ruling(level, 0);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsMalformed.selector, 1, level));
        rulings.rule(ruling, 3, new bytes[](0));
        ruling = _ruling(1, 0);
        ruling.outcome = IRulings.Outcome.None;
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsMalformed.selector, 0, 1));
        rulings.rule(ruling, 3, new bytes[](0));
    }

    /// @dev Predicts the error of every panel: too few, a missing signature, an empty seat, or none.
    function testFuzz_TheRightPanelAndNoOtherRules(uint64 seats, uint8 fewer) public {
        seats &= 0x7F;
        IRulings.Ruling memory ruling = _ruling(1, 0);
        bytes32 digest = digestOfRuling(ruling);
        bytes[] memory signatures = signed(digest, seats, 1);
        uint256 count = signatures.length;
        if (count < 2) {
            vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsTooFew.selector, count, 2));
        } else if (fewer % 4 == 0) {
            bytes[] memory cut = new bytes[](count - 1);
            for (uint256 i = 0; i < count - 1; ++i) cut[i] = signatures[i];
            signatures = cut;
            vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSignatureCount.selector, count - 1, count));
        } else if (seats > 31) {
            uint256 seat = seats & 32 != 0 ? 5 : 6;
            vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsNotSeated.selector, PANEL, seat, nameOf(seat + 1)));
        }
        rulings.rule(ruling, seats, signatures);
    }

    function test_OneSignatureDoesNotFillTwoSeats() public {
        IRulings.Ruling memory ruling = _ruling(1, 0);
        bytes[] memory twice = new bytes[](2);
        twice[0] = twice[1] = plain(1, digestOfRuling(ruling));
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsNotSeated.selector, PANEL, 1, nameOf(1)));
        rulings.rule(ruling, 3, twice);
    }

    /// @dev I7: signatures over one field less, another contract or another chain rule nothing.
    function test_SignaturesCountForOneRulingOnOneContractAndChain() public {
        IRulings.Ruling memory ruling = _ruling(1, 0);
        bytes[] memory signatures = signed(digestOfRuling(ruling), 3, 1);
        for (uint256 field = 0; field < 4; ++field) {
            IRulings.Ruling memory other = _ruling(1, 0);
            if (field == 0) other.docket = bytes32(uint256(8));
            if (field == 1) other.subject = bytes32(uint256(8));
            if (field == 2) other.award = bytes32(uint256(8));
            if (field == 3) other.outcome = IRulings.Outcome.SetAside;
            isFalse(_rules(other, signatures));
        }
        Rulings here = rulings;
        deployRulings();
        isFalse(_rules(ruling, signatures));
        rulings = here;
        vma.chainId(5);
        isFalse(_rules(ruling, signatures));
        vma.chainId(31337);
        isTrue(_rules(ruling, signatures));
    }

    function test_ASeatChangesAfterTheDelayAndOldRulingsStay() public {
        IRulings.Ruling memory before = _record(_ruling(1, 0));
        IRulings.SeatChange memory change = _change(0, nameOf(20), nameOf(1));
        bytes32 id = _propose(change);
        vm.expectRevert(
            abi.encodeWithSelector(IRulings.RulingsChangeTime.selector, 1_800_086_400, 1_800_000_000)
        );
        rulings.enact(change);
        vm.warp(1_800_086_400);
        vm.expectEmit(true, true, true, true, address(rulings));
        emit IRulings.SeatChanged(PANEL, 0, nameOf(20), nameOf(1));
        rulings.enact(change);
        same(rulings.seatOf(PANEL, 0), nameOf(20));
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 1));
        rulings.enact(change);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 1));
        rulings.propose(change, 3, new bytes[](0));
        isTrue(rulings.isLatest(before));
        IRulings.Ruling memory next = _ruling(2, digestOfRuling(before));
        bytes[] memory signatures = signed(digestOfRuling(next), 3, 1);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsNotSeated.selector, PANEL, 0, nameOf(1)));
        rulings.rule(next, 3, signatures);
    }

    function test_OfficersAndNobodyElseAnnounceAndWithdraw() public {
        IRulings.SeatChange memory change = _change(5, nameOf(20), 0);
        bytes32 id = changeId(change);
        bytes[] memory signatures = signed(id, 3, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IRulings.RulingsNotSeated.selector, IRulings.Bench.Officers, 0, nameOf(1))
        );
        rulings.propose(change, 3, signatures);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 0));
        rulings.cancel(change, 3, signatures);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 0));
        rulings.enact(change);
        _propose(change);
        bytes32 withdrawal = digestFor("fuqi Rulings", address(rulings), abi.encode(CANCEL, id));
        rulings.cancel(change, 6, signed(withdrawal, 6, 11));
        vm.warp(1_800_086_400);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsChange.selector, id, 1));
        rulings.enact(change);
    }

    function test_AChangeLeftLyingIsNoLongerMade() public {
        IRulings.SeatChange memory change = _change(5, nameOf(20), 0);
        _propose(change);
        vm.warp(1_800_086_400 + 30 days + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRulings.RulingsChangeTime.selector, 1_800_086_400, 1_800_086_400 + 30 days + 1
            )
        );
        rulings.enact(change);
    }

    function test_AChangeThatCannotWorkIsNotMade() public {
        IRulings.SeatChange memory wrongHolder = _change(0, nameOf(20), nameOf(2));
        IRulings.SeatChange memory twice = _change(5, nameOf(2), 0);
        _propose(wrongHolder);
        _propose(twice);
        for (uint8 seat = 0; seat < 4; ++seat) _propose(_change(seat, 0, nameOf(seat + 1)));
        vm.warp(1_800_086_400);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeatHolder.selector, nameOf(1), nameOf(2)));
        rulings.enact(wrongHolder);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeated.selector, PANEL, nameOf(2)));
        rulings.enact(twice);
        for (uint8 seat = 0; seat < 3; ++seat) rulings.enact(_change(seat, 0, nameOf(seat + 1)));
        IRulings.SeatChange memory last = _change(3, 0, nameOf(4));
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsBench.selector, PANEL, 1, 2));
        rulings.enact(last);
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeat.selector, 64));
        rulings.propose(_change(64, nameOf(20), 0), 3, new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsSeat.selector, 6));
        rulings.propose(_change(6, 0, 0), 3, new bytes[](0));
    }

    function testFuzz_ABenchThatCannotWorkIsNotMade(uint8 count, uint8 threshold, uint40 delay) public {
        count %= 70;
        bytes32[] memory keys = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) keys[i] = bytes32(i + 1);
        if (delay < 1 hours || delay > 90 days) {
            vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsDelay.selector, delay));
        } else if (threshold == 0 || threshold > count || count > 64) {
            vm.expectRevert(abi.encodeWithSelector(IRulings.RulingsBench.selector, PANEL, count, threshold));
        }
        new Rulings(keys, threshold, keys, threshold, delay);
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

    function _record(IRulings.Ruling memory ruling) private returns (IRulings.Ruling memory) {
        rulings.rule(ruling, 3, signed(digestOfRuling(ruling), 3, 1));
        return ruling;
    }

    function _rules(IRulings.Ruling memory ruling, bytes[] memory signatures) private returns (bool) {
        try rulings.rule(ruling, 3, signatures) {
            return true;
        } catch {
            return false;
        }
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
