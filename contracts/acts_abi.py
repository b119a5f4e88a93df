"""SupplyLots, Rounds and Rulings: names, digests to sign, call data, answers and errors.

Everything is pure: nothing here talks to a chain or holds a private key. Each act is signed over its `*_digest`
(EIP-712, with chain and contract in it) and sent by whoever pays for it. Signatures: `k1_signature` or
`verifier_signature`. tests/chain compares every selector with the committed ABI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from contracts.abi import Revert
from contracts.eip712 import Contract, key_hash, typed_digest
from contracts.rounds_tree import (
    Answer,
    Instance,
    Opening,
    Witness,
    answer_words,
    instance_words,
)
from ledger.core.errors import VerificationError

_LOT_TAG: Final = keccak(b"fuqi/chain-lot/v1")
_ROUND_TAG: Final = keccak(b"fuqi/chain-round/v1")
_CASE_TAG: Final = keccak(b"fuqi/chain-case/v1")
_LOTS: Final = keccak(b"fuqi SupplyLots")
_ROUNDS: Final = keccak(b"fuqi Rounds")
_RULINGS: Final = keccak(b"fuqi Rulings")

_OPENING: Final = (
    "(uint256,uint256,bytes32,bytes32,bytes32,bytes32,bytes32,bytes32,bytes32,uint128)"
)
_INSTANCE: Final = "(uint256,uint256,uint256[],uint256[],uint256[])"
_ANSWER: Final = "(uint256[],uint256[],uint256[])"
_WITNESS: Final = "(uint8,uint256,uint256,uint256[],bytes32[])"
_RULING: Final = "(bytes32,bytes32,bytes32,uint8,uint8,bytes32)"
_SEAT_CHANGE: Final = "(uint8,uint8,bytes32,bytes32,bytes32)"

CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "mint": ("bytes32", "uint40", "bytes32", "bytes"),
    "moveLot": ("bytes32", "bytes32", "bytes32", "bytes32"),
    "moveBy": ("bytes32", "bytes32", "bytes"),
    "consume": ("bytes32", "address", "uint40", "bytes32", "uint32", "bytes"),
    "accept": ("bytes32", "address", "uint32", "bytes"),
    "reject": ("bytes32", "address", "address", "uint32", "bytes"),
    "applyRuling": (_RULING, "address"),
    "lotAt": ("bytes32",),
    "positionOf": ("bytes32", "address"),
    "open": ("bytes32", "bytes32", "bytes32", "bytes"),
    "post": ("bytes32", "bytes32", _OPENING, "uint128", "uint128", "uint32", "bytes"),
    "prove": ("bytes32", "bytes32", _INSTANCE, _ANSWER, "bytes"),
    "strike": ("bytes32", _OPENING, _WITNESS),
    "finalise": ("bytes32",),
    "roundAt": ("bytes32",),
    "rule": (_RULING, "uint64", "bytes[]"),
    "propose": (_SEAT_CHANGE, "uint64", "bytes[]"),
    "cancel": (_SEAT_CHANGE, "uint64", "bytes[]"),
    "enact": (_SEAT_CHANGE,),
    "rulingAt": ("bytes32", "uint8"),
    "isLatest": (_RULING,),
    "seatOf": ("uint8", "uint8"),
    "readyAt": ("bytes32",),
}
"""Every call that the ledger makes: function -> its types. No name stands in two of the contracts."""

ERRORS: Final[Mapping[str, tuple[str, ...]]] = {
    "ActSignatureInvalid": (),
    "SupplyLotsUnauthorizedLot": ("bytes32", "bytes32"),
    "SupplyLotsUnauthorized": ("address", "address"),
    "SupplyLotsExists": ("bytes32",),
    "SupplyLotsQuantity": ("uint40", "uint40"),
    "SupplyLotsTurn": ("uint256", "uint32"),
    "SupplyLotsHolder": ("address",),
    "SupplyLotsIncomingOpen": ("bytes32", "address"),
    "SupplyLotsNothingIncoming": ("bytes32", "address"),
    "SupplyLotsSender": ("address",),
    "SupplyLotsFrozen": ("bytes32", "address", "uint16"),
    "SupplyLotsRuling": ("bytes32",),
    "RoundsUnauthorized": ("bytes32", "bytes32"),
    "RoundsState": ("bytes32", "uint8"),
    "RoundsGap": ("uint128", "uint128"),
    "RoundsAttempt": ("uint32", "uint32"),
    "RoundsInputs": ("bytes32", "bytes32"),
    "RoundsPlan": ("bytes32", "bytes32"),
    "RoundsNoFault": ("uint8", "uint256", "uint256"),
    "RoundsWindow": ("uint40", "uint256"),
    "RoundTablesPathLength": ("uint256", "uint256"),
    "RoundTablesSumTooLarge": (),
    "RoundFaultsRoot": ("bytes32", "bytes32"),
    "RoundFaultsPlace": ("uint256", "uint256"),
    "RoundFaultsWords": ("uint256", "uint256"),
    "TransportSize": ("uint256", "uint256"),
    "TransportTableLength": ("uint256", "uint256"),
    "TransportWord": ("uint256",),
    "TransportPriceTooLow": ("uint256",),
    "TransportFlow": ("uint256",),
    "TransportOverfull": ("bool", "uint256", "uint256", "uint256"),
    "TransportGap": ("uint256", "uint256"),
    "RulingsMalformed": ("uint8", "uint8"),
    "RulingsExists": ("bytes32", "uint8"),
    "RulingsPrevious": ("bytes32", "bytes32"),
    "RulingsTooFew": ("uint256", "uint256"),
    "RulingsSignatureCount": ("uint256", "uint256"),
    "RulingsNotSeated": ("uint8", "uint256", "bytes32"),
    "RulingsBench": ("uint8", "uint256", "uint256"),
    "RulingsSeated": ("uint8", "bytes32"),
    "RulingsSeat": ("uint8",),
    "RulingsSeatHolder": ("bytes32", "bytes32"),
    "RulingsChange": ("bytes32", "uint40"),
    "RulingsChangeTime": ("uint40", "uint256"),
    "RulingsDelay": ("uint40",),
}


class RoundState(IntEnum):
    """IRounds.State."""

    NONE = 0
    OPEN = 1
    POSTED = 2
    FINAL = 3
    PROVEN = 4


class Outcome(IntEnum):
    """IRulings.Outcome."""

    NONE = 0
    UPHELD = 1
    SET_ASIDE = 2
    FREEZE_LOT = 3
    RELEASE_LOT = 4


@dataclass(frozen=True, slots=True)
class Position:
    """What a holder has of a lot; `sender_tag` is the first 16 bytes of a holder."""

    quantity: int
    incoming: int
    turn: int
    freezes: int
    sender_tag: int


@dataclass(frozen=True, slots=True)
class StoredRound:
    """A round as stored; `closes_at` in seconds since 1970."""

    inputs_root: bytes
    plan_root: bytes
    objective: int
    closes_at: int
    attempt: int
    state: RoundState


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the arbitrators sign; digests of 32 bytes."""

    docket: bytes
    subject: bytes
    award: bytes
    outcome: Outcome
    level: int
    prev: bytes

    def words(self) -> tuple[bytes, bytes, bytes, int, int, bytes]:
        """IRulings.Ruling."""
        return (
            self.docket, self.subject, self.award, int(self.outcome), self.level, self.prev
        )  # fmt: skip


def k1_key_hash(address: bytes) -> bytes:
    """The name of a secp256k1 key whose signatures the chain itself checks; `address` is 20 bytes."""
    return key_hash(verifier=bytes(20), key=address)


def verifier_signature(verifier: bytes, *, key: bytes, signature: bytes) -> bytes:
    """A signature of a key under an ERC-7913 verifier (P-256, CMS, SM2), in the form that acts take."""
    assert len(verifier) == 20
    return verifier + len(key).to_bytes(2, "big") + key + signature


def lot_id(issuer: bytes, *, doc_ref: bytes) -> bytes:
    """The only id under which the holder `issuer` can issue a lot on these documents."""
    return _hash(["bytes32", "address", "bytes32"], [_LOT_TAG, issuer, doc_ref])


def round_id(opener: bytes, *, inputs_root: bytes, policy_hash: bytes) -> bytes:
    """The only id under which the key `opener` can open a round on these inputs."""
    return _hash(["bytes32"] * 4, [_ROUND_TAG, opener, inputs_root, policy_hash])


def case_id(docket: bytes, *, subject: bytes) -> bytes:
    """The case that a docket and a subject make."""
    return _hash(["bytes32"] * 3, [_CASE_TAG, docket, subject])


def lot_mint_digest(contract: Contract, *, lot: bytes, quantity: int, doc_ref: bytes) -> bytes:
    """What the issuer signs."""
    kind = "Mint(bytes32 lot,uint40 quantity,bytes32 docRef)"
    return _typed(contract, _LOTS, kind, [lot, quantity, doc_ref])


def encode_lot_mint(*, lot: bytes, quantity: int, doc_ref: bytes, signature: bytes) -> bytes:
    """Call data of `mint`."""
    return encode_call("mint", lot, quantity, doc_ref, signature)


def lot_move_digest(
    contract: Contract, *, lot: bytes, target: bytes, quantity: int, turn: int
) -> bytes:
    """What the present holder signs; `turn` is its `Position.turn`, `target` 20 bytes."""
    kind = "Move(bytes32 lot,address to,uint40 quantity,uint32 turn)"
    return _typed(contract, _LOTS, kind, [lot, target, quantity, turn])


def encode_lot_move(
    *, lot: bytes, target: bytes, quantity: int, turn: int, signature: bytes
) -> bytes:
    """Call data of `moveLot` for a secp256k1 signature (r, s, v), of `moveBy` for any other."""
    terms = lot_move_terms(target=target, quantity=quantity, turn=turn)
    if len(signature) != 65:
        return encode_call("moveBy", lot, terms, signature)
    vs = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return encode_call("moveLot", lot, terms, signature[:32], vs.to_bytes(32, "big"))


def lot_move_terms(*, target: bytes, quantity: int, turn: int) -> bytes:
    """A move's terms as calls and the `LotMoved` event carry them: 5 bytes quantity, 7 turn, 20 receiver."""
    return quantity.to_bytes(5, "big") + turn.to_bytes(7, "big") + target


def lot_consume_digest(
    contract: Contract, *, lot: bytes, holder: bytes, quantity: int, doc_ref: bytes, turn: int
) -> bytes:
    """What the holder signs to use units up."""
    kind = "Consume(bytes32 lot,address holder,uint40 quantity,bytes32 docRef,uint32 turn)"
    return _typed(contract, _LOTS, kind, [lot, holder, quantity, doc_ref, turn])


def lot_accept_digest(contract: Contract, *, lot: bytes, holder: bytes, turn: int) -> bytes:
    """What the receiver signs to keep what arrived."""
    kind = "Accept(bytes32 lot,address holder,uint32 turn)"
    return _typed(contract, _LOTS, kind, [lot, holder, turn])


def lot_reject_digest(
    contract: Contract, *, lot: bytes, holder: bytes, source: bytes, turn: int
) -> bytes:
    """What the receiver signs to give back what arrived."""
    kind = "Reject(bytes32 lot,address holder,address from,uint32 turn)"
    return _typed(contract, _LOTS, kind, [lot, holder, source, turn])


def round_open_digest(contract: Contract, *, inputs_root: bytes, policy_hash: bytes) -> bytes:
    """What the opener signs before solving."""
    kind = "Open(bytes32 inputsRoot,bytes32 policyHash)"
    return _typed(contract, _ROUNDS, kind, [inputs_root, policy_hash])


def encode_round_open(
    *, round_: bytes, inputs_root: bytes, policy_hash: bytes, signature: bytes
) -> bytes:
    """Call data of `open`."""
    return encode_call("open", round_, inputs_root, policy_hash, signature)


def round_post_digest(
    contract: Contract, *, round_: bytes, plan_root: bytes, objective: int, attempt: int
) -> bytes:
    """What the opener signs; primal and dual are both `objective`, or the chain refuses."""
    kind = "Post(bytes32 round,bytes32 planRoot,uint128 primal,uint128 dual,uint32 attempt)"
    return _typed(contract, _ROUNDS, kind, [round_, plan_root, objective, objective, attempt])


def encode_round_post(
    *,
    round_: bytes,
    policy_hash: bytes,
    opening: Opening,
    objective: int,
    attempt: int,
    signature: bytes,
) -> bytes:
    """Call data of `post`."""
    words = opening_words(opening)
    return encode_call("post", round_, policy_hash, words, objective, objective, attempt, signature)


def round_prove_digest(contract: Contract, *, round_: bytes, plan_hash: bytes) -> bytes:
    """What the opener signs; `plan_hash` is `rounds_tree.answer_hash`."""
    return _typed(contract, _ROUNDS, "Prove(bytes32 round,bytes32 planHash)", [round_, plan_hash])


def encode_round_prove(
    *, round_: bytes, policy_hash: bytes, instance: Instance, answer: Answer, signature: bytes
) -> bytes:
    """Call data of `prove`."""
    words = (instance_words(instance), answer_words(answer))
    return encode_call("prove", round_, policy_hash, *words, signature)


def encode_round_strike(*, round_: bytes, opening: Opening, witness: Witness) -> bytes:
    """Call data of `strike`."""
    words = (int(witness.fault), witness.row, witness.column, witness.words, witness.path)
    return encode_call("strike", round_, opening_words(opening), words)


def ruling_digest(contract: Contract, ruling: Ruling) -> bytes:
    """What each arbitrator signs; it is also what a higher level names as `prev`."""
    kind = (
        "Ruling(bytes32 docket,bytes32 subject,bytes32 award,"
        "uint8 outcome,uint8 level,bytes32 prev)"
    )
    return _typed(contract, _RULINGS, kind, list(ruling.words()))


def encode_rule(ruling: Ruling, signatures: Mapping[int, bytes]) -> bytes:
    """Call data of `rule`; `signatures` by seat."""
    return encode_call("rule", ruling.words(), *_seated(signatures))


def encode_rulings_constructor(
    *,
    arbitrators: Sequence[bytes],
    threshold: int,
    officers: Sequence[bytes],
    officer_threshold: int,
    delay_seconds: int,
) -> bytes:
    """Constructor arguments of `Rulings`; key hashes from seat 0."""
    types = ["bytes32[]", "uint8", "bytes32[]", "uint8", "uint40"]
    values = [list(arbitrators), threshold, list(officers), officer_threshold, delay_seconds]
    return encode(types, values)


def encode_call(name: str, *values: Any) -> bytes:
    """Call data of any function in `CALLS`."""
    types = CALLS[name]
    return selector(name, types) + encode(list(types), list(values))


def opening_words(opening: Opening) -> tuple[Any, ...]:
    """IRounds.Opening."""
    return (
        opening.rows, opening.columns, opening.supply_root, opening.demand_root,
        opening.weight_root, opening.row_price_root, opening.column_price_root,
        opening.column_total_root, opening.cell_root, opening.units,
    )  # fmt: skip


def decode_position(data: bytes) -> Position:
    """Answer of `positionOf`.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    return Position(*_decode(["uint40", "uint40", "uint32", "uint16", "uint128"], data))


def decode_lot(data: bytes) -> tuple[int, int]:
    """Answer of `lotAt`: minted, used.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    minted, used = _decode(["uint40", "uint40"], data)
    return minted, used


def decode_round(data: bytes) -> StoredRound:
    """Answer of `roundAt`.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    types = ["bytes32", "bytes32", "uint128", "uint40", "uint32", "uint8"]
    inputs_root, plan_root, objective, closes_at, attempt, state = _decode(types, data)
    if state not in set(RoundState):
        raise _malformed()
    return StoredRound(inputs_root, plan_root, objective, closes_at, attempt, RoundState(state))


def decode_revert(data: bytes) -> Revert:
    """What a failed call says; never raises."""
    for name, types in ERRORS.items():
        if selector(name, types) == data[:4]:
            try:
                return Revert(name=name, values=tuple(decode(list(types), data[4:])))
            except DecodingError:
                break
    return Revert(name="unknown", values=(data[:36].hex(),))


def selector(name: str, types: Sequence[str]) -> bytes:
    """First four bytes of the signature's Keccak-256."""
    return keccak(f"{name}({','.join(types)})".encode("ascii"))[:4]


def _seated(signatures: Mapping[int, bytes]) -> tuple[int, list[bytes]]:
    seats = sorted(signatures)
    return sum(1 << seat for seat in seats), [signatures[seat] for seat in seats]


def _typed(contract: Contract, name: bytes, kind: str, values: Sequence[Any]) -> bytes:
    """EIP-712 digest; every field of our acts is a static type, so the struct is its plain encoding."""
    types = [field.split(" ")[0] for field in kind[kind.index("(") + 1 : -1].split(",")]
    struct = encode(["bytes32", *types], [keccak(kind.encode("ascii")), *values])
    return typed_digest(contract, name, struct)


def _hash(types: Sequence[str], values: Sequence[Any]) -> bytes:
    return keccak(encode(list(types), list(values)))


def _decode(types: list[str], data: bytes) -> tuple[Any, ...]:
    try:
        return tuple(decode(types, data))
    except DecodingError as exc:
        raise _malformed() from exc


def _malformed() -> VerificationError:
    return VerificationError(
        "the chain answered with bytes that are not of this contract",
        code="contracts.answer_malformed",
    )
