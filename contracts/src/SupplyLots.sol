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
    /// @dev The ledger's QUANTITY_MAX; below 2**40, and no balance exceeds its lot's quantity.
    uint40 private constant _QUANTITY_MAX = 10 ** 12;

    bytes32 private constant _NAME = keccak256("fuqi SupplyLots");
    bytes32 private constant _LOT_TAG = keccak256("fuqi/chain-lot/v1");
    bytes32 private constant _MINT = keccak256("Mint(bytes32 lot,uint40 quantity,bytes32 docRef)");
    bytes32 private constant _MOVE = keccak256("Move(bytes32 lot,address to,uint40 quantity,uint32 turn)");
    bytes32 private constant _CONSUME =
        keccak256("Consume(bytes32 lot,address holder,uint40 quantity,bytes32 docRef,uint32 turn)");
    bytes32 private constant _ACCEPT = keccak256("Accept(bytes32 lot,address holder,uint32 turn)");
    bytes32 private constant _REJECT = keccak256("Reject(bytes32 lot,address holder,address from,uint32 turn)");

    uint256 private constant _IN = 40;
    uint256 private constant _TURN = 80;
    uint256 private constant _FREEZES = 112;
    uint256 private constant _SENDER = 128;
    uint256 private constant _FREEZE_BITS = uint256(type(uint16).max) << _FREEZES;

    mapping(bytes32 lot => Lot) private _lots;
    mapping(bytes32 lot => mapping(address holder => uint256)) private _positions;
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
        _positions[lot][issuer] += quantity;
        emit LotMinted(lot, issuer, quantity, docRef);
    }

    /// @inheritdoc ISupplyLots
    function move(bytes32 lot, address to, uint40 quantity, uint32 turn, bytes32 r, bytes32 vs) external {
        _move(lot, ActSignature.accountOf(_moveDigest(lot, to, quantity, turn), r, vs), to, quantity, turn);
    }

    /// @inheritdoc ISupplyLots
    function moveBy(bytes32 lot, address to, uint40 quantity, uint32 turn, bytes calldata signature) external {
        _move(lot, ActSignature.holderOf(_moveDigest(lot, to, quantity, turn), signature), to, quantity, turn);
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
        _positions[lot][holder] = _less(lot, holder, position, quantity);
        _lots[lot].used += quantity;
        emit LotConsumed(lot, holder, quantity, docRef);
    }

    /// @inheritdoc ISupplyLots
    function accept(bytes32 lot, address holder, uint32 turn, bytes calldata signature) external {
        (uint256 position, uint256 before) = _begin(lot, holder, turn);
        if (uint40(before >> _IN) == 0) revert SupplyLotsNothingIncoming(lot, holder);
        _requireSigned(holder, keccak256(abi.encode(_ACCEPT, lot, holder, turn)), signature);
        _positions[lot][holder] = position;
        emit LotAccepted(lot, holder, uint40(before >> _IN));
    }

    /// @inheritdoc ISupplyLots
    function reject(bytes32 lot, address holder, address from, uint32 turn, bytes calldata signature) external {
        (uint256 position, uint256 before) = _begin(lot, holder, turn);
        uint40 incoming = uint40(before >> _IN);
        if (incoming == 0) revert SupplyLotsNothingIncoming(lot, holder);
        if (_tagOf(from) != before >> _SENDER) revert SupplyLotsSender(from);
        _requireSigned(holder, keccak256(abi.encode(_REJECT, lot, holder, from, turn)), signature);
        _positions[lot][holder] = _less(lot, holder, position, incoming);
        // What comes back is the sender's own: it opens no window and closes none.
        _positions[lot][from] += incoming;
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
        uint256 position = _positions[lot][holder];
        // Checked: more than 65535 cases on one position are refused.
        uint16 freezes = frozen ? uint16(position >> _FREEZES) + 1 : uint16(position >> _FREEZES) - 1;
        _positions[lot][holder] = (position & ~_FREEZE_BITS) | (uint256(freezes) << _FREEZES);
        emit LotRulingApplied(lot, caseId, holder, frozen, freezes);
    }

    /// @inheritdoc ISupplyLots
    function lotAt(bytes32 lot) external view returns (Lot memory) {
        return _lots[lot];
    }

    /// @inheritdoc ISupplyLots
    function positionOf(bytes32 lot, address holder) external view returns (Position memory) {
        uint256 position = _positions[lot][holder];
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

    function _move(bytes32 lot, address from, address to, uint40 quantity, uint32 turn) private {
        if (to == address(0) || to == from) revert SupplyLotsHolder(to);
        mapping(address holder => uint256) storage positions = _positions[lot];
        uint256 source = positions[from];
        if (turn != uint32(source >> _TURN)) revert SupplyLotsTurn(turn, uint32(source >> _TURN));
        positions[from] = _less(lot, from, _next(source), quantity);
        uint256 target = positions[to];
        uint256 tag = _tagOf(from);
        if (uint40(target >> _IN) != 0 && target >> _SENDER != tag) revert SupplyLotsIncomingOpen(lot, to);
        if (target & _FREEZE_BITS != 0) revert SupplyLotsFrozen(lot, to, uint16(target >> _FREEZES));
        // Balances of a lot never exceed its quantity, so both fields keep to their 40 bits.
        unchecked {
            target += uint256(quantity) | (uint256(quantity) << _IN);
        }
        positions[to] = uint256(uint128(target)) | (tag << _SENDER);
        emit LotMoved(lot, from, to, quantity);
    }

    /// @dev The holder's position as its next act leaves it, and as it stands.
    function _begin(bytes32 lot, address holder, uint32 turn) private view returns (uint256, uint256) {
        uint256 position = _positions[lot][holder];
        if (turn != uint32(position >> _TURN)) revert SupplyLotsTurn(turn, uint32(position >> _TURN));
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

    function _moveDigest(bytes32 lot, address to, uint40 quantity, uint32 turn) private view returns (bytes32) {
        return Keys.digest(_NAME, keccak256(abi.encode(_MOVE, lot, to, quantity, turn)));
    }

    function _requireSigned(address holder, bytes32 body, bytes calldata signature) private view {
        address signer = ActSignature.holderOf(Keys.digest(_NAME, body), signature);
        if (signer != holder) revert SupplyLotsUnauthorized(signer, holder);
    }

    function _tagOf(address holder) private pure returns (uint256) {
        return uint256(uint160(holder)) >> 32;
    }
}
