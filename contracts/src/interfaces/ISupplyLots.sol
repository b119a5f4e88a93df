// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRulings} from "./IRulings.sol";

/// @title Custody of goods in lots: what was issued is held by somebody or used up, always.
/// @notice Holders are key hashes of 20 bytes: the account of a secp256k1 key, else the last bytes of a key's name
///         (libraries/ActSignature.sol). Every act is signed by the holder it concerns, whoever relays it. A receiver may
///         reject what arrived until its own next act on the lot; until then the sender is remembered.
interface ISupplyLots {
    /// @notice A lot.
    /// @param minted Units issued, 1 .. 10**12.
    /// @param used Units consumed. Balances and `used` add up to `minted`.
    struct Lot {
        uint40 minted;
        uint40 used;
    }

    /// @notice What one holder has of a lot.
    /// @param quantity Units held, those that may still be rejected included.
    /// @param incoming Units that arrived since the holder's last act; all from one sender.
    /// @param turn Acts of this holder on this lot; every signed act names it, so none counts twice.
    /// @param freezes Cases whose latest ruling freezes what this holder has of the lot.
    /// @param senderTag The sender of `incoming`: the first 16 of its 20 bytes.
    struct Position {
        uint40 quantity;
        uint40 incoming;
        uint32 turn;
        uint16 freezes;
        uint128 senderTag;
    }

    /// @notice A lot was issued to its issuer.
    event LotMinted(bytes32 indexed lot, address indexed issuer, uint40 quantity, bytes32 docRef);

    /// @notice Units changed hands; the receiver may still reject them. `terms` are those of the call: to whom, how many.
    /// @dev Without a signature topic, which would cost each move 375 gas: its only topic is the lot. Every other event here
    ///      has two topics or more, so a log of one topic is a move, and a lot's moves are found by the lot.
    event LotMoved(bytes32 indexed lot, address from, bytes32 terms) anonymous;

    /// @notice The receiver keeps what arrived.
    event LotAccepted(bytes32 indexed lot, address indexed holder, uint40 quantity);

    /// @notice The receiver gave back what arrived.
    event LotRejected(bytes32 indexed lot, address indexed holder, address indexed from, uint40 quantity);

    /// @notice Units were used up.
    event LotConsumed(bytes32 indexed lot, address indexed holder, uint40 quantity, bytes32 docRef);

    /// @notice The ruling of a case took effect on what the holder has; `freezes` cases now freeze it.
    event LotRulingApplied(
        bytes32 indexed lot, bytes32 indexed caseId, address indexed holder, bool frozen, uint16 freezes
    );

    /// @notice The lot id is not the one of this signer and document.
    error SupplyLotsUnauthorizedLot(bytes32 lot, bytes32 signedLot);

    /// @notice Signed by another key than the holder's.
    error SupplyLotsUnauthorized(address signer, address holder);

    /// @notice The lot was issued before.
    error SupplyLotsExists(bytes32 lot);

    /// @notice Zero, or more than there may be.
    error SupplyLotsQuantity(uint40 quantity, uint40 available);

    /// @notice The act was made for another turn: it is a repetition, or came out of order.
    error SupplyLotsTurn(uint256 turn, uint32 expected);

    /// @notice A holder cannot be nobody, or move to itself.
    error SupplyLotsHolder(address holder);

    /// @notice The receiver has not yet answered what another sender moved to it.
    error SupplyLotsIncomingOpen(bytes32 lot, address holder);

    /// @notice Nothing is waiting for an answer.
    error SupplyLotsNothingIncoming(bytes32 lot, address holder);

    /// @notice What is waiting came from somebody else.
    error SupplyLotsSender(address from);

    /// @notice A ruling froze what this holder has of the lot.
    error SupplyLotsFrozen(bytes32 lot, address holder, uint16 freezes);

    /// @notice The ruling is not the latest of its case, is about something else, or has its effect already.
    error SupplyLotsRuling(bytes32 caseId);

    /// @notice Issue a lot to its issuer. Signed: `Mint(bytes32 lot,uint40 quantity,bytes32 docRef)`.
    /// @dev Reverts with `SupplyLotsQuantity`, `ActSignatureInvalid`, `SupplyLotsUnauthorizedLot`, `SupplyLotsExists`.
    /// @param lot `lotOf(signer, docRef)`; so nobody can take another's lot id.
    /// @param docRef Salted commitment to the offer's documents.
    function mint(bytes32 lot, uint40 quantity, bytes32 docRef, bytes calldata signature) external;

    /// @notice Move units, signed by a plain key. Signed: `Move(bytes32 lot,address to,uint40 quantity,uint32 turn)`.
    /// @dev Whoever signed is the sender; a signature over anything else is some stranger's, who has nothing. Accepts what the
    ///      sender had incoming. Reverts, in this order, with `ActSignatureInvalid`, `SupplyLotsHolder`, `SupplyLotsTurn`,
    ///      `SupplyLotsQuantity`, `SupplyLotsFrozen` (sender), `SupplyLotsIncomingOpen`, `SupplyLotsFrozen` (receiver).
    /// @param terms What was signed, in one word, for calldata and event cost by the word: to whom (bits 0-159), turn
    ///        (160-215), quantity (216-255). No bit goes unused, so one move has one form.
    /// @param r, vs Compact signature, ERC-2098.
    function moveLot(bytes32 lot, bytes32 terms, bytes32 r, bytes32 vs) external;

    /// @notice The same with any signature that ActSignature takes.
    function moveBy(bytes32 lot, bytes32 terms, bytes calldata signature) external;

    /// @notice Use units up. Signed: `Consume(bytes32 lot,address holder,uint40 quantity,bytes32 docRef,uint32 turn)`.
    function consume(
        bytes32 lot,
        address holder,
        uint40 quantity,
        bytes32 docRef,
        uint32 turn,
        bytes calldata signature
    ) external;

    /// @notice Keep what arrived. Signed: `Accept(bytes32 lot,address holder,uint32 turn)`.
    function accept(bytes32 lot, address holder, uint32 turn, bytes calldata signature) external;

    /// @notice Give back what arrived. Signed: `Reject(bytes32 lot,address holder,address from,uint32 turn)`.
    function reject(bytes32 lot, address holder, address from, uint32 turn, bytes calldata signature) external;

    /// @notice Let the latest ruling of a case about a lot (its `subject`) take effect on what one holder has of it; anyone
    ///         may. `FreezeLot` stops the holder's moves, rejections, use and receipts; any other outcome of the same case
    ///         lifts that case's freeze.
    /// @dev Goods that were moved on before are frozen with their new holder by the same ruling.
    function applyRuling(IRulings.Ruling calldata ruling, address holder) external;

    /// @notice The lot as stored.
    function lotAt(bytes32 lot) external view returns (Lot memory);

    /// @notice What a holder has of a lot.
    function positionOf(bytes32 lot, address holder) external view returns (Position memory);

    /// @notice The only id under which this issuer can issue on this document.
    function lotOf(address issuer, bytes32 docRef) external pure returns (bytes32);

    /// @notice The contract whose rulings freeze and release.
    function rulings() external view returns (IRulings);
}
