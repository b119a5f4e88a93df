// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRulings} from "./interfaces/IRulings.sol";
import {ISupplyLots} from "./interfaces/ISupplyLots.sol";
import {ActSignature} from "./libraries/ActSignature.sol";
import {Keys} from "./libraries/Keys.sol";

/// @title SupplyLots: see ISupplyLots for what each call promises.
/// @dev A position is one word, so that a move touches two slots and no more: quantity (bits 0-39), incoming (40-79), turn
///      (80-111), freezes (112-127), sender's tag (128-255).
contract SupplyLots is ISupplyLots {
    /// @dev A position; a struct, so that its place is worked out once for reading and writing.
    struct Word {
        uint256 word;
    }

    /// @dev The ledger's QUANTITY_MAX; below 2**40, and no balance exceeds its lot's quantity.
    uint40 private constant _QUANTITY_MAX = 10 ** 12;

    /// @dev Half of secp256k1's order, as in ActSignature.
    uint256 private constant _LOW_S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    // The first two written out, for assembly takes constants only so: keccak256("fuqi SupplyLots"), and of
    // "Move(bytes32 lot,address to,uint40 quantity,uint32 turn)".
    bytes32 private constant _NAME = 0xe60c5e6784ee38a529234e6d9c77bcdb304bd376e34ba369af68f8c918daa63e;
    bytes32 private constant _DOMAIN = 0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f;
    bytes32 private constant _VERSION = 0xc89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc6;
    bytes32 private constant _MOVE = 0x76619ef98b2e3b65e272f9ed31c2b4f52edc9e5f28cac567ad3a5c385f3739c5;
    bytes32 private constant _LOT_TAG = keccak256("fuqi/chain-lot/v1");
    bytes32 private constant _MINT = keccak256("Mint(bytes32 lot,uint40 quantity,bytes32 docRef)");
    bytes32 private constant _CONSUME =
        keccak256("Consume(bytes32 lot,address holder,uint40 quantity,bytes32 docRef,uint32 turn)");
    bytes32 private constant _ACCEPT = keccak256("Accept(bytes32 lot,address holder,uint32 turn)");
    bytes32 private constant _REJECT = keccak256("Reject(bytes32 lot,address holder,address from,uint32 turn)");

    uint256 private constant _IN = 40;
    uint256 private constant _TURN = 80;
    uint256 private constant _FREEZES = 112;
    uint256 private constant _SENDER = 128;
    uint256 private constant _TERMS_TURN = 160;
    uint256 private constant _TERMS_QUANTITY = 216;
    uint256 private constant _FREEZE_BITS = uint256(type(uint16).max) << _FREEZES;

    mapping(bytes32 lot => Lot) private _lots;
    mapping(bytes32 lot => mapping(uint256 holder => Word)) private _positions;
    mapping(bytes32 lot => mapping(address holder => mapping(bytes32 caseId => bool))) private _frozenBy;
    IRulings private _rulings;

    /// @param institution Whose rulings freeze and release.
    constructor(IRulings institution) {
        _rulings = institution;
    }

    /// @inheritdoc ISupplyLots
    function mint(bytes32 lot, uint40 quantity, bytes32 docRef, bytes calldata signature) external {
        if (quantity == 0 || quantity > _QUANTITY_MAX) revert SupplyLotsQuantity(quantity, _QUANTITY_MAX);
        bytes32 body = keccak256(abi.encode(_MINT, lot, quantity, docRef));
        address issuer = ActSignature.holderOf(Keys.digest(_NAME, body), signature);
        bytes32 signedLot = lotOf(issuer, docRef);
        if (lot != signedLot) revert SupplyLotsUnauthorizedLot(lot, signedLot);
        if (_lots[lot].minted != 0) revert SupplyLotsExists(lot);
        _lots[lot].minted = quantity;
        // The issuer may hold a freeze already, but no units: there were none.
        _positions[lot][uint160(issuer)].word += quantity;
        emit LotMinted(lot, issuer, quantity, docRef);
    }

    /// @inheritdoc ISupplyLots
    /// @dev EIP-712 digest and recovery in one piece of assembly (ADR 0010); with that of `_move` it saves 1.2 k gas a
    ///      move. `moveBy` does the same in plain words, and tests compare the two. This is the first use of memory in the
    ///      call, so the words from 0x80 on are free.
    function moveLot(bytes32 lot, bytes32 terms, bytes32 r, bytes32 vs) external {
        uint256 from;
        assembly ("memory-safe") {
            mstore(0x80, _MOVE)
            mstore(0xa0, lot)
            mstore(0xc0, and(terms, 0xffffffffffffffffffffffffffffffffffffffff))
            mstore(0xe0, shr(_TERMS_QUANTITY, terms))
            mstore(0x100, and(shr(_TERMS_TURN, terms), 0xffffffffffffff))
            let body := keccak256(0x80, 0xa0)
            mstore(0x80, _DOMAIN)
            mstore(0xa0, _NAME)
            mstore(0xc0, _VERSION)
            mstore(0xe0, chainid())
            mstore(0x100, address())
            let domain := keccak256(0x80, 0xa0)
            mstore(0x80, shl(240, 0x1901))
            mstore(0x82, domain)
            mstore(0xa2, body)
            mstore(0x80, keccak256(0x80, 0x42))
            mstore(0xa0, add(shr(255, vs), 27))
            mstore(0xc0, r)
            let s := shr(1, shl(1, vs))
            mstore(0xe0, s)
            // A signature that no key fits gets no answer: then the zero stays that is written here.
            mstore(0x00, 0)
            pop(staticcall(gas(), 1, 0x80, 0x80, 0x00, 0x20))
            from := mul(mload(0x00), iszero(gt(s, _LOW_S_MAX)))
        }
        if (from == 0) revert ActSignature.ActSignatureInvalid();
        _move(lot, uint256(terms), from);
    }

    /// @inheritdoc ISupplyLots
    function moveBy(bytes32 lot, bytes32 terms, bytes calldata signature) external {
        address to = address(uint160(uint256(terms)));
        uint256 turn = uint56(uint256(terms) >> _TERMS_TURN);
        bytes32 body = keccak256(abi.encode(_MOVE, lot, to, uint256(terms) >> _TERMS_QUANTITY, turn));
        _move(lot, uint256(terms), uint160(ActSignature.holderOf(Keys.digest(_NAME, body), signature)));
    }

    /// @inheritdoc ISupplyLots
    function consume(
        bytes32 lot,
        address holder,
        uint40 quantity,
        bytes32 docRef,
        uint32 turn,
        bytes calldata signature
    ) external {
        (uint256 position,) = _begin(lot, holder, turn);
        _requireSigned(holder, keccak256(abi.encode(_CONSUME, lot, holder, quantity, docRef, turn)), signature);
        _positions[lot][uint160(holder)].word = _less(lot, holder, position, quantity);
        _lots[lot].used += quantity;
        emit LotConsumed(lot, holder, quantity, docRef);
    }

    /// @inheritdoc ISupplyLots
    function accept(bytes32 lot, address holder, uint32 turn, bytes calldata signature) external {
        (uint256 position, uint256 before) = _begin(lot, holder, turn);
        if (uint40(before >> _IN) == 0) revert SupplyLotsNothingIncoming(lot, holder);
        _requireSigned(holder, keccak256(abi.encode(_ACCEPT, lot, holder, turn)), signature);
        _positions[lot][uint160(holder)].word = position;
        emit LotAccepted(lot, holder, uint40(before >> _IN));
    }

    /// @inheritdoc ISupplyLots
    function reject(bytes32 lot, address holder, address from, uint32 turn, bytes calldata signature) external {
        (uint256 position, uint256 before) = _begin(lot, holder, turn);
        uint40 incoming = uint40(before >> _IN);
        if (incoming == 0) revert SupplyLotsNothingIncoming(lot, holder);
        if (_tagOf(from) != before >> _SENDER) revert SupplyLotsSender(from);
        _requireSigned(holder, keccak256(abi.encode(_REJECT, lot, holder, from, turn)), signature);
        _positions[lot][uint160(holder)].word = _less(lot, holder, position, incoming);
        // What comes back is the sender's own: it opens no window and closes none.
        _positions[lot][uint160(from)].word += incoming;
        emit LotRejected(lot, holder, from, incoming);
    }

    /// @inheritdoc ISupplyLots
    function applyRuling(IRulings.Ruling calldata ruling, address holder) external {
        bytes32 lot = ruling.subject;
        bytes32 caseId = _rulings.caseOf(ruling.docket, lot);
        bool frozen = ruling.outcome == IRulings.Outcome.FreezeLot;
        if (_lots[lot].minted == 0 || frozen == _frozenBy[lot][holder][caseId] || !_rulings.isLatest(ruling)) {
            revert SupplyLotsRuling(caseId);
        }
        _frozenBy[lot][holder][caseId] = frozen;
        uint256 position = _positions[lot][uint160(holder)].word;
        // Checked: more than 65535 cases on one position are refused.
        uint16 freezes = frozen ? uint16(position >> _FREEZES) + 1 : uint16(position >> _FREEZES) - 1;
        _positions[lot][uint160(holder)].word = (position & ~_FREEZE_BITS) | (uint256(freezes) << _FREEZES);
        emit LotRulingApplied(lot, caseId, holder, frozen, freezes);
    }

    /// @inheritdoc ISupplyLots
    function lotAt(bytes32 lot) external view returns (Lot memory) {
        return _lots[lot];
    }

    /// @inheritdoc ISupplyLots
    function positionOf(bytes32 lot, address holder) external view returns (Position memory) {
        uint256 position = _positions[lot][uint160(holder)].word;
        return Position({
            quantity: uint40(position),
            incoming: uint40(position >> _IN),
            turn: uint32(position >> _TURN),
            freezes: uint16(position >> _FREEZES),
            senderTag: uint128(position >> _SENDER)
        });
    }

    /// @inheritdoc ISupplyLots
    function rulings() external view returns (IRulings) {
        return _rulings;
    }

    /// @inheritdoc ISupplyLots
    function lotOf(address issuer, bytes32 docRef) public pure returns (bytes32) {
        return keccak256(abi.encode(_LOT_TAG, issuer, docRef));
    }

    /// @dev One read and one write of each of two slots. Assembly (ADR 0010) finds the two places and asks all questions
    ///      at once; which one was answered wrongly is only worked out for the refusal.
    function _move(bytes32 lot, uint256 terms, uint256 from) private {
        Word storage source;
        Word storage target;
        uint256 word;
        uint256 fault;
        assembly ("memory-safe") {
            let to := and(terms, 0xffffffffffffffffffffffffffffffffffffffff)
            // As the compiler places _positions[lot][holder].
            mstore(0x00, lot)
            mstore(0x20, _positions.slot)
            mstore(0x20, keccak256(0x00, 0x40))
            mstore(0x00, from)
            source.slot := keccak256(0x00, 0x40)
            mstore(0x00, to)
            target.slot := keccak256(0x00, 0x40)
            word := sload(source.slot)
            let quantity := shr(_TERMS_QUANTITY, terms)
            let turn := and(shr(_TERMS_TURN, terms), 0xffffffffffffff)
            let held := and(word, 0xffffffffff)
            // Nobody, or itself; another turn, or the last one, after which no number fits; none, or more than there is;
            // frozen.
            fault := or(
                or(or(iszero(to), eq(to, from)), or(xor(turn, and(shr(_TURN, word), 0xffffffff)), eq(turn, 0xffffffff))),
                or(iszero(lt(sub(quantity, 1), held)), and(word, shl(_FREEZES, 0xffff)))
            )
            // What had arrived is accepted and nothing is frozen: two fields are left.
            word := or(sub(held, quantity), shl(_TURN, add(turn, 1)))
        }
        if (fault != 0) _refuseMove(lot, terms, from, source.word);
        source.word = word;
        word = target.word;
        if (word != 0) {
            _requireOpen(lot, address(uint160(terms)), word, from >> 32);
            word = uint128(word);
        }
        assembly ("memory-safe") {
            let quantity := shr(_TERMS_QUANTITY, terms)
            // Balances of a lot never exceed its quantity, so both fields keep to their 40 bits.
            word := or(add(word, or(quantity, shl(_IN, quantity))), shl(_SENDER, shr(32, from)))
        }
        target.word = word;
        emit LotMoved(lot, address(uint160(from)), bytes32(terms));
    }

    /// @dev Always reverts: with the first of the faults in the order that ISupplyLots states.
    function _refuseMove(bytes32 lot, uint256 terms, uint256 from, uint256 position) private pure {
        address to = address(uint160(terms));
        if (to == address(0) || uint160(to) == from) revert SupplyLotsHolder(to);
        uint256 turn = uint56(terms >> _TERMS_TURN);
        if (turn != uint32(position >> _TURN) || turn == type(uint32).max) {
            revert SupplyLotsTurn(turn, uint32(position >> _TURN));
        }
        uint40 quantity = uint40(terms >> _TERMS_QUANTITY);
        if (quantity == 0 || quantity > uint40(position)) revert SupplyLotsQuantity(quantity, uint40(position));
        revert SupplyLotsFrozen(lot, address(uint160(from)), uint16(position >> _FREEZES));
    }

    /// @dev A receiver that has something already: is nothing of another sender's waiting, and nothing frozen.
    function _requireOpen(bytes32 lot, address to, uint256 position, uint256 tag) private pure {
        if (uint40(position >> _IN) != 0 && position >> _SENDER != tag) revert SupplyLotsIncomingOpen(lot, to);
        if (position & _FREEZE_BITS != 0) revert SupplyLotsFrozen(lot, to, uint16(position >> _FREEZES));
    }

    /// @dev The holder's position as its next act leaves it, and as it stands.
    function _begin(bytes32 lot, address holder, uint32 turn) private view returns (uint256, uint256) {
        uint256 position = _positions[lot][uint160(holder)].word;
        _requireTurn(turn, position);
        return (_next(position), position);
    }

    /// @dev One turn on, and what had arrived is accepted. Checked: after 2**32 - 1 acts the holder can act no more.
    function _next(uint256 position) private pure returns (uint256) {
        uint32 turn = uint32(position >> _TURN) + 1;
        return uint256(uint40(position)) | (uint256(turn) << _TURN) | (position & _FREEZE_BITS);
    }

    function _less(bytes32 lot, address holder, uint256 position, uint40 quantity) private pure returns (uint256) {
        if (quantity == 0 || quantity > uint40(position)) revert SupplyLotsQuantity(quantity, uint40(position));
        if (position & _FREEZE_BITS != 0) revert SupplyLotsFrozen(lot, holder, uint16(position >> _FREEZES));
        // Checked above: the lowest field holds at least so many.
        unchecked {
            return position - quantity;
        }
    }

    function _requireTurn(uint256 turn, uint256 position) private pure {
        if (turn != uint32(position >> _TURN)) revert SupplyLotsTurn(turn, uint32(position >> _TURN));
    }

    function _requireSigned(address holder, bytes32 body, bytes calldata signature) private view {
        address signer = ActSignature.holderOf(Keys.digest(_NAME, body), signature);
        if (signer != holder) revert SupplyLotsUnauthorized(signer, holder);
    }

    function _tagOf(address holder) private pure returns (uint256) {
        return uint256(uint160(holder)) >> 32;
    }
}
