// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SupplyLots} from "../src/SupplyLots.sol";
import {Rulings} from "../src/Rulings.sol";
import {IRulings} from "../src/interfaces/IRulings.sol";
import {ISupplyLots} from "../src/interfaces/ISupplyLots.sol";
import {ActSignature} from "../src/libraries/ActSignature.sol";
import {Acts} from "./Acts.sol";

abstract contract LotActs is Acts {
    bytes32 internal constant MINT = keccak256("Mint(bytes32 lot,uint40 quantity,bytes32 docRef)");
    bytes32 internal constant MOVE = keccak256("Move(bytes32 lot,address to,uint40 quantity,uint32 turn)");
    bytes32 internal constant CONSUME =
        keccak256("Consume(bytes32 lot,address holder,uint40 quantity,bytes32 docRef,uint32 turn)");
    bytes32 internal constant ACCEPT = keccak256("Accept(bytes32 lot,address holder,uint32 turn)");
    bytes32 internal constant REJECT = keccak256("Reject(bytes32 lot,address holder,address from,uint32 turn)");
    bytes32 internal constant RULING =
        keccak256("Ruling(bytes32 docket,bytes32 subject,bytes32 award,uint8 outcome,uint8 level,bytes32 prev)");

    SupplyLots internal lots;

    function lotDigest(bytes memory act) internal view returns (bytes32) {
        return digestFor("fuqi SupplyLots", address(lots), act);
    }

    function doMint(uint256 secret, uint40 quantity, bytes32 docRef) internal returns (bytes32 lot) {
        lot = lots.lotOf(vma.addr(secret), docRef);
        lots.mint(lot, quantity, docRef, plain(secret, lotDigest(abi.encode(MINT, lot, quantity, docRef))));
    }

    function doMove(uint256 secret, bytes32 lot, address to, uint40 quantity) internal {
        uint32 turn = lots.positionOf(lot, vma.addr(secret)).turn;
        (bytes32 r, bytes32 vs) = compact(secret, lotDigest(abi.encode(MOVE, lot, to, quantity, turn)));
        lots.moveLot(lot, terms(to, quantity, turn), r, vs);
    }

    /// @dev Written out again, from the promise in ISupplyLots.
    function terms(address to, uint40 quantity, uint56 turn) internal pure returns (bytes32) {
        return bytes32(abi.encodePacked(quantity, turn, to));
    }

    function doConsume(uint256 secret, bytes32 lot, uint40 quantity) internal {
        address holder = vma.addr(secret);
        uint32 turn = lots.positionOf(lot, holder).turn;
        bytes memory act = abi.encode(CONSUME, lot, holder, quantity, bytes32(uint256(9)), turn);
        lots.consume(lot, holder, quantity, bytes32(uint256(9)), turn, plain(secret, lotDigest(act)));
    }

    function doAccept(uint256 secret, bytes32 lot) internal {
        address holder = vma.addr(secret);
        uint32 turn = lots.positionOf(lot, holder).turn;
        lots.accept(lot, holder, turn, plain(secret, lotDigest(abi.encode(ACCEPT, lot, holder, turn))));
    }

    function doReject(uint256 secret, bytes32 lot, address from) internal {
        address holder = vma.addr(secret);
        uint32 turn = lots.positionOf(lot, holder).turn;
        lots.reject(lot, holder, from, turn, plain(secret, lotDigest(abi.encode(REJECT, lot, holder, from, turn))));
    }
}

/// @dev Calls with all kinds of values; what the contract accepts is booked again in `held` and `usedUp`.
contract LotHandler is LotActs {
    bytes32[] public known;
    mapping(bytes32 lot => mapping(address holder => uint256)) public held;
    mapping(bytes32 lot => uint256) public usedUp;
    mapping(bytes32 lot => uint256) public issued;
    uint256 public accepted;

    constructor(SupplyLots target) {
        lots = target;
    }

    function mint(uint256 who, uint40 quantity, uint8 doc) external {
        bytes32 docRef = bytes32(uint256(doc) % 4);
        bytes32 lot = lots.lotOf(vma.addr(who % 4 + 1), docRef);
        try this.tryMint(who % 4 + 1, quantity, docRef) {
            if (issued[lot] != 0) revert();
            known.push(lot);
            issued[lot] = quantity;
            held[lot][vma.addr(who % 4 + 1)] = quantity;
            ++accepted;
        } catch {}
    }

    function move(uint256 pick, uint256 who, uint256 to, uint40 quantity) external {
        bytes32 lot = known[pick % known.length];
        (address source, address target) = (vma.addr(who % 4 + 1), vma.addr(to % 4 + 1));
        quantity = _some(lot, source, quantity);
        try this.tryMove(who % 4 + 1, lot, target, quantity) {
            held[lot][source] -= quantity;
            held[lot][target] += quantity;
            ++accepted;
        } catch {}
    }

    function consume(uint256 pick, uint256 who, uint40 quantity) external {
        bytes32 lot = known[pick % known.length];
        quantity = _some(lot, vma.addr(who % 4 + 1), quantity);
        try this.tryConsume(who % 4 + 1, lot, quantity) {
            held[lot][vma.addr(who % 4 + 1)] -= quantity;
            usedUp[lot] += quantity;
            ++accepted;
        } catch {}
    }

    function accept(uint256 pick, uint256 who) external {
        try this.tryAccept(who % 4 + 1, known[pick % known.length]) {
            ++accepted;
        } catch {}
    }

    function reject(uint256 pick, uint256 who, uint256 from) external {
        bytes32 lot = known[pick % known.length];
        (address holder, address source) = (vma.addr(who % 4 + 1), vma.addr(from % 4 + 1));
        uint256 incoming = lots.positionOf(lot, holder).incoming;
        try this.tryReject(who % 4 + 1, lot, source) {
            held[lot][holder] -= incoming;
            held[lot][source] += incoming;
            ++accepted;
        } catch {}
    }

    function tryMint(uint256 secret, uint40 quantity, bytes32 docRef) external {
        doMint(secret, quantity, docRef);
    }

    function tryMove(uint256 secret, bytes32 lot, address to, uint40 quantity) external {
        doMove(secret, lot, to, quantity);
    }

    function tryConsume(uint256 secret, bytes32 lot, uint40 quantity) external {
        doConsume(secret, lot, quantity);
    }

    function tryAccept(uint256 secret, bytes32 lot) external {
        doAccept(secret, lot);
    }

    function tryReject(uint256 secret, bytes32 lot, address from) external {
        doReject(secret, lot, from);
    }

    function count() external view returns (uint256) {
        return known.length;
    }

    /// @dev Mostly an amount that is there, now and then one too many.
    function _some(bytes32 lot, address holder, uint40 quantity) private view returns (uint40) {
        return uint40(quantity % (held[lot][holder] + 2));
    }
}

contract SupplyLotsInvariantTest is LotActs {
    LotHandler private _handler;

    function setUp() public {
        lots = new SupplyLots(IRulings(address(0)));
        _handler = new LotHandler(lots);
        _handler.mint(1, 1000, 1);
        _handler.mint(2, 10 ** 12, 2);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory chosen) {
        bytes4[] memory calls = new bytes4[](5);
        (calls[0], calls[1], calls[2]) = (LotHandler.mint.selector, LotHandler.move.selector, LotHandler.consume.selector);
        (calls[3], calls[4]) = (LotHandler.accept.selector, LotHandler.reject.selector);
        chosen = new FuzzSelector[](1);
        chosen[0] = FuzzSelector({addr: address(_handler), selectors: calls});
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// forge-config: default.invariant.runs = 40
    /// forge-config: intense.invariant.runs = 500
    /// forge-config: default.invariant.depth = 100
    /// forge-config: intense.invariant.depth = 500
    function invariant_EveryUnitIsHeldOrUsed() public view {
        for (uint256 i = 0; i < _handler.count(); ++i) {
            bytes32 lot = _handler.known(i);
            ISupplyLots.Lot memory stored = lots.lotAt(lot);
            same(stored.minted, _handler.issued(lot));
            same(stored.used, _handler.usedUp(lot));
            uint256 total = stored.used;
            for (uint256 secret = 1; secret <= 4; ++secret) {
                ISupplyLots.Position memory position = lots.positionOf(lot, vma.addr(secret));
                same(position.quantity, _handler.held(lot, vma.addr(secret)));
                isTrue(position.incoming <= position.quantity);
                total += position.quantity;
            }
            same(total, stored.minted);
        }
        isTrue(_handler.accepted() >= 2);
    }
}

contract SupplyLotsTest is LotActs {
    address private _a = vma.addr(1);
    address private _b = vma.addr(2);
    address private _c = vma.addr(3);
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

    function test_AMoveIsReportedAndBooked() public {
        vma.expectEmitAnonymous(true, true, true, true, true, address(lots));
        emit ISupplyLots.LotMoved(_lot, _a, terms(_b, 40, 0));
        doMove(1, _lot, _b, 40);
        same(lots.positionOf(_lot, _a).quantity, 60);
        same(lots.positionOf(_lot, _b).quantity, 40);
        same(lots.positionOf(_lot, _b).incoming, 40);
        same(lots.positionOf(_lot, _a).turn, 1);
    }

    function test_TheReceiverMayRejectUntilItsNextAct() public {
        doMove(1, _lot, _b, 40);
        doMove(1, _lot, _b, 5);
        doReject(2, _lot, _a);
        same(lots.positionOf(_lot, _a).quantity, 100);
        same(lots.positionOf(_lot, _b).quantity, 0);
        doMove(1, _lot, _b, 40);
        doMove(2, _lot, _c, 1);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsNothingIncoming.selector, _lot, _b));
        this.rejectFrom(2, _lot, _a);
        doReject(3, _lot, _b);
        same(lots.positionOf(_lot, _b).quantity, 40);
    }

    function test_WhatComesBackCannotBeRejectedAgain() public {
        doMove(1, _lot, _b, 40);
        doReject(2, _lot, _a);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsNothingIncoming.selector, _lot, _a));
        this.rejectFrom(1, _lot, _b);
    }

    function test_AnAnswerNamesTheSender() public {
        doMove(1, _lot, _b, 40);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsSender.selector, _c));
        this.rejectFrom(2, _lot, _c);
        doAccept(2, _lot);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsNothingIncoming.selector, _lot, _b));
        this.acceptBy(2, _lot);
    }

    function test_AnotherSenderWaitsForTheAnswer() public {
        doMove(1, _lot, _b, 40);
        doMove(1, _lot, _c, 10);
        doAccept(3, _lot);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsIncomingOpen.selector, _lot, _b));
        this.moveTo(3, _lot, _b, 1);
        doAccept(2, _lot);
        doMove(3, _lot, _b, 1);
        same(lots.positionOf(_lot, _b).quantity, 41);
    }

    function testFuzz_OnlyWhatIsThereMovesOrIsUsed(uint40 quantity) public {
        vm.assume(quantity == 0 || quantity > 100);
        bytes memory error_ = abi.encodeWithSelector(ISupplyLots.SupplyLotsQuantity.selector, quantity, 100);
        vm.expectRevert(error_);
        this.moveTo(1, _lot, _b, quantity);
        vm.expectRevert(error_);
        this.consumeBy(1, _lot, quantity);
    }

    function testFuzz_ALotIsIssuedOnceWithinTheLimitByTheKeyOfItsId(uint40 quantity, bytes32 docRef) public {
        vm.assume(docRef != bytes32(uint256(1)));
        if (quantity == 0 || quantity > 10 ** 12) {
            vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsQuantity.selector, quantity, 10 ** 12));
            this.mintBy(1, quantity, docRef);
            return;
        }
        bytes32 lot = doMint(1, quantity, docRef);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsExists.selector, lot));
        this.mintBy(1, quantity, docRef);
        bytes memory signature = plain(2, lotDigest(abi.encode(MINT, lot, quantity, docRef)));
        bytes32 theirs = lots.lotOf(_b, docRef);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsUnauthorizedLot.selector, lot, theirs));
        lots.mint(lot, quantity, docRef, signature);
    }

    function test_NobodyMovesToItselfOrToNobody() public {
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsHolder.selector, _a));
        this.moveTo(1, _lot, _a, 1);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsHolder.selector, address(0)));
        this.moveTo(1, _lot, address(0), 1);
    }

    /// @dev I7: the same bytes again, on another contract, chain or lot.
    function test_ASignedMoveCountsOnce() public {
        (bytes32 r, bytes32 vs) = compact(1, lotDigest(abi.encode(MOVE, _lot, _b, uint40(10), uint32(0))));
        lots.moveLot(_lot, terms(_b, 10, 0), r, vs);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsTurn.selector, 0, 1));
        lots.moveLot(_lot, terms(_b, 10, 0), r, vs);
        bytes32 second = doMint(1, 100, bytes32(uint256(2)));
        SupplyLots here = lots;
        isFalse(_moves(lots, second, 10, 0, r, vs));
        isFalse(_moves(lots, _lot, 11, 0, r, vs));
        isFalse(_moves(lots, _lot, 10, 1, r, vs));
        lots = new SupplyLots(_rulings);
        doMint(1, 100, bytes32(uint256(1)));
        isFalse(_moves(lots, _lot, 10, 0, r, vs));
        vma.chainId(4);
        isFalse(_moves(here, _lot, 10, 1, r, vs));
    }

    /// @dev The two ways to the same move differ in how they find the signer: assembly here, plain words there.
    function testFuzz_BothWaysOfMovingAgree(uint256 secret, address to, uint40 quantity) public {
        secret = secret % 1000 + 1;
        address from = vma.addr(secret);
        vm.assume(to != address(0) && to != from);
        bytes32 lot = doMint(secret, 10 ** 12, bytes32(uint256(77)));
        quantity = quantity % (10 ** 12 / 2) + 1;
        bytes32 first = lotDigest(abi.encode(MOVE, lot, to, quantity, uint32(0)));
        (bytes32 r, bytes32 vs) = compact(secret, first);
        lots.moveLot(lot, terms(to, quantity, 0), r, vs);
        same(lots.positionOf(lot, to).incoming, quantity);
        bytes32 second = lotDigest(abi.encode(MOVE, lot, to, quantity, uint32(1)));
        lots.moveBy(lot, terms(to, quantity, 1), plain(secret, second));
        ISupplyLots.Position memory received = lots.positionOf(lot, to);
        same(received.quantity, 2 * uint256(quantity));
        same(received.incoming, 2 * uint256(quantity));
        same(received.senderTag, uint160(from) >> 32);
        same(received.turn, 0);
        ISupplyLots.Position memory left = lots.positionOf(lot, from);
        same(left.quantity, 10 ** 12 - 2 * uint256(quantity));
        same(left.turn, 2);
        same(left.incoming, 0);
        same(left.senderTag, 0);
    }

    /// @dev In the compact form the top bit of s is v, so only few values of the upper half can be written at all.
    function test_AnUpperSAndASignatureOfNobodyMoveNothing() public {
        (bytes32 r, bytes32 vs) = compact(1, lotDigest(abi.encode(MOVE, _lot, _b, uint40(10), uint32(0))));
        uint256 half = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsQuantity.selector, 10, 0));
        lots.moveLot(_lot, terms(_b, 10, 0), r, bytes32(half));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        lots.moveLot(_lot, terms(_b, 10, 0), r, bytes32(half + 1));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        lots.moveLot(_lot, terms(_b, 10, 0), bytes32(type(uint256).max), vs);
        lots.moveLot(_lot, terms(_b, 10, 0), r, vs);
    }

    /// @dev Each bit of the terms is signed: what another bit makes of them is some stranger's move, who has nothing.
    function testFuzz_TermsWithAnotherBitAreRefused(uint8 bit) public {
        (bytes32 r, bytes32 vs) = compact(1, lotDigest(abi.encode(MOVE, _lot, _b, uint40(10), uint32(0))));
        bytes32 altered = terms(_b, 10, 0) ^ bytes32(uint256(1) << bit);
        try lots.moveLot(_lot, altered, r, vs) {
            revert();
        } catch {}
        lots.moveLot(_lot, terms(_b, 10, 0), r, vs);
    }

    /// @dev Acts are numbered in 32 bits. The number in the way of the last is set where the compiler keeps it.
    function test_TheLastTurnIsNeverUsed() public {
        bytes32 place = keccak256(abi.encode(_a, keccak256(abi.encode(_lot, uint256(1)))));
        same(vm.load(address(lots), place), bytes32(uint256(100)));
        vma.store(address(lots), place, bytes32(uint256(100) | uint256(type(uint32).max - 1) << 80));
        doMove(1, _lot, _b, 10);
        same(lots.positionOf(_lot, _a).turn, type(uint32).max);
        same(lots.positionOf(_lot, _a).freezes, 0);
        bytes memory last =
            abi.encodeWithSelector(ISupplyLots.SupplyLotsTurn.selector, type(uint32).max, type(uint32).max);
        vm.expectRevert(last);
        this.moveTo(1, _lot, _b, 10);
    }

    function testFuzz_AnActOfAnotherKeyIsRefused(uint256 secret) public {
        secret = secret % 1000 + 10;
        address signer = vma.addr(secret);
        bytes memory consumption = abi.encode(CONSUME, _lot, _a, uint40(1), bytes32(0), uint32(0));
        bytes memory signature = plain(secret, lotDigest(consumption));
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsUnauthorized.selector, signer, _a));
        lots.consume(_lot, _a, 1, bytes32(0), 0, signature);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsQuantity.selector, 1, 0));
        this.moveTo(secret, _lot, _b, 1);
    }

    function test_ARulingFreezesAndAnAppealReleases() public {
        doMove(1, _lot, _b, 40);
        IRulings.Ruling memory first = _ruling(IRulings.Outcome.FreezeLot, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsRuling.selector, _case()));
        lots.applyRuling(first, _a);
        _record(first);
        lots.applyRuling(first, _a);
        lots.applyRuling(first, _b);
        bytes memory frozen = abi.encodeWithSelector(ISupplyLots.SupplyLotsFrozen.selector, _lot, _b, 1);
        vm.expectRevert(frozen);
        this.moveTo(2, _lot, _c, 1);
        vm.expectRevert(frozen);
        this.consumeBy(2, _lot, 1);
        vm.expectRevert(frozen);
        this.rejectFrom(2, _lot, _a);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsFrozen.selector, _lot, _a, 1));
        this.moveTo(1, _lot, _c, 1);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsRuling.selector, _case()));
        lots.applyRuling(first, _b);
        IRulings.Ruling memory appeal = _ruling(IRulings.Outcome.SetAside, 2, _rulings.digestOf(first));
        _record(appeal);
        lots.applyRuling(appeal, _b);
        doMove(2, _lot, _c, 1);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsFrozen.selector, _lot, _a, 1));
        this.moveTo(3, _lot, _a, 1);
        vm.expectRevert(abi.encodeWithSelector(ISupplyLots.SupplyLotsRuling.selector, _case()));
        lots.applyRuling(first, _b);
    }

    function moveTo(uint256 secret, bytes32 lot, address to, uint40 quantity) external {
        doMove(secret, lot, to, quantity);
    }

    function consumeBy(uint256 secret, bytes32 lot, uint40 quantity) external {
        doConsume(secret, lot, quantity);
    }

    function rejectFrom(uint256 secret, bytes32 lot, address from) external {
        doReject(secret, lot, from);
    }

    function acceptBy(uint256 secret, bytes32 lot) external {
        doAccept(secret, lot);
    }

    function mintBy(uint256 secret, uint40 quantity, bytes32 docRef) external {
        doMint(secret, quantity, docRef);
    }

    function _moves(SupplyLots target, bytes32 lot, uint40 quantity, uint32 turn, bytes32 r, bytes32 vs)
        private
        returns (bool)
    {
        try target.moveLot(lot, terms(_b, quantity, turn), r, vs) {
            return true;
        } catch {
            return false;
        }
    }

    function _case() private view returns (bytes32) {
        return _rulings.caseOf(bytes32(uint256(1)), _lot);
    }

    function _ruling(IRulings.Outcome outcome, uint8 level, bytes32 prev)
        private
        view
        returns (IRulings.Ruling memory)
    {
        return IRulings.Ruling(bytes32(uint256(1)), _lot, bytes32(uint256(5)), outcome, level, prev);
    }

    function _record(IRulings.Ruling memory ruling) private {
        bytes[] memory signatures = new bytes[](1);
        signatures[0] = plain(7, digestFor("fuqi Rulings", address(_rulings), abi.encode(RULING, ruling)));
        _rulings.rule(ruling, 1, signatures);
    }
}
