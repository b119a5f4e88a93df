"""SupplyLots as a mirror of our own books: whose address stands for whom, and the calls after each movement.

The holders sign their acts with the keys of their devices (P-256), and those signatures stand in the log. What
the contract holds is a copy kept by the installation, so that the chain itself counts the units: for every lot
and organisation there is an address of its own, whose key is derived from the installation's key for acts.
The mirror shows order and conservation to everyone; it is no act of the holder and does not say who holds.

    holder tag   = SHA-256 over ("fuqi/chain-holder/v1", {lot, organisation}): two random ids, nobody guesses it
    holder key   = 1 + keccak("fuqi/chain-holder-key/v1" || the installation's signature over keccak(tag))
                   modulo (order - 1)
    doc_ref      = leaf hash of the entry that says why: public, and tells nothing without its body
    lot on chain = SupplyLots.lotOf(address of the giver, doc_ref of `lot.opened`)

Units that a receiver refused go there and come back: `move`, then `reject` by the receiver's address, so that
the refusal itself stands on the chain. Units that were accepted: `move`, then `accept`.

Payloads: {issuer, doc_ref, cause, …} with `issuer`, `holder`, `to`, `from` as tags in hex; `cause` is the leaf
hash of the entry behind the act, and for `consume` goes on the chain as its reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from contracts import acts_abi
from contracts.eip712 import Contract
from ledger.chain_key import OperatorKey
from ledger.core.canonical import tagged_digest
from ledger.keccak import keccak

HOLDER_TAG: Final = "fuqi/chain-holder/v1"
KEY_TAG: Final = b"fuqi/chain-holder-key/v1"
_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of secp256k1 (SEC 2, section 2.4.1)."""
Payload: TypeAlias = Mapping[str, Any]


class DigestSigner(Protocol):
    """The installation's key for acts; its signatures are the same each time (RFC 6979)."""

    def sign_digest(self, digest: bytes) -> bytes:
        """r, s, v."""
        ...


def holder_tag(*, lot: str, organisation: str) -> str:
    """What stands for a holder of one lot in payloads: 64 hex digits."""
    return tagged_digest(HOLDER_TAG, {"lot": lot, "organisation": organisation}).hex()


def holder_key(tag: str, *, signer: DigestSigner) -> OperatorKey:
    """The mirror key behind a tag. Made anew whenever it is needed, kept nowhere."""
    signature = signer.sign_digest(keccak(_word(tag)))
    secret = 1 + int.from_bytes(keccak(KEY_TAG + signature), "big") % (_ORDER - 1)
    return OperatorKey(secret.to_bytes(32, "big"))


def chain_lot(payload: Payload, *, signer: DigestSigner) -> bytes:
    """The lot's id on the chain."""
    issuer = holder_key(payload["issuer"], signer=signer)
    return acts_abi.lot_id(issuer.address, doc_ref=_word(payload["doc_ref"]))


def call_data(call: str, payload: Payload, *, target: Contract, signer: DigestSigner) -> bytes:
    """Call data of `mint`, `move`, `accept`, `reject` or `consume`, signed by the holder's mirror key.

    Raises:
        KeyError, TypeError, ValueError: the payload is another one; `ledger.acts_calls` translates.
    """
    return _BUILDERS[call](payload, target, signer)


def question(call: str, payload: Payload, *, signer: DigestSigner) -> bytes:
    """Call data that asks whether the act has happened: the lot, or how far the holder's turns have come."""
    lot = chain_lot(payload, signer=signer)
    if call == "mint":
        return acts_abi.encode_call("lotAt", lot)
    holder = holder_key(payload["holder"], signer=signer)
    return acts_abi.encode_call("positionOf", lot, holder.address)


def happened(call: str, payload: Payload, answer: bytes) -> bool:
    """Whether that answer shows it."""
    if call == "mint":
        return acts_abi.decode_lot(answer)[0] > 0
    return acts_abi.decode_position(answer).turn > int(payload["turn"])


def _mint(payload: Payload, target: Contract, signer: DigestSigner) -> bytes:
    lot, issuer = chain_lot(payload, signer=signer), holder_key(payload["issuer"], signer=signer)
    reference, quantity = _word(payload["doc_ref"]), int(payload["quantity"])
    digest = acts_abi.lot_mint_digest(target, lot=lot, quantity=quantity, doc_ref=reference)
    return acts_abi.encode_lot_mint(
        lot=lot, quantity=quantity, doc_ref=reference, signature=issuer.sign_digest(digest)
    )


def _move(payload: Payload, target: Contract, signer: DigestSigner) -> bytes:
    lot, holder = chain_lot(payload, signer=signer), holder_key(payload["holder"], signer=signer)
    receiver = holder_key(payload["to"], signer=signer).address
    quantity, turn = int(payload["quantity"]), int(payload["turn"])
    digest = acts_abi.lot_move_digest(
        target, lot=lot, target=receiver, quantity=quantity, turn=turn
    )
    return acts_abi.encode_lot_move(
        lot=lot,
        target=receiver,
        quantity=quantity,
        turn=turn,
        signature=holder.sign_digest(digest),
    )


def _accept(payload: Payload, target: Contract, signer: DigestSigner) -> bytes:
    lot, holder = chain_lot(payload, signer=signer), holder_key(payload["holder"], signer=signer)
    turn = int(payload["turn"])
    digest = acts_abi.lot_accept_digest(target, lot=lot, holder=holder.address, turn=turn)
    return acts_abi.encode_call("accept", lot, holder.address, turn, holder.sign_digest(digest))


def _reject(payload: Payload, target: Contract, signer: DigestSigner) -> bytes:
    lot, holder = chain_lot(payload, signer=signer), holder_key(payload["holder"], signer=signer)
    source = holder_key(payload["from"], signer=signer).address
    turn = int(payload["turn"])
    digest = acts_abi.lot_reject_digest(
        target, lot=lot, holder=holder.address, source=source, turn=turn
    )
    return acts_abi.encode_call(
        "reject", lot, holder.address, source, turn, holder.sign_digest(digest)
    )


def _consume(payload: Payload, target: Contract, signer: DigestSigner) -> bytes:
    lot, holder = chain_lot(payload, signer=signer), holder_key(payload["holder"], signer=signer)
    reference = _word(payload["cause"])
    quantity, turn = int(payload["quantity"]), int(payload["turn"])
    digest = acts_abi.lot_consume_digest(
        target, lot=lot, holder=holder.address, quantity=quantity, doc_ref=reference, turn=turn
    )
    return acts_abi.encode_call(
        "consume", lot, holder.address, quantity, reference, turn, holder.sign_digest(digest)
    )


_BUILDERS: Final[Mapping[str, Callable[[Payload, Contract, DigestSigner], bytes]]] = {
    "mint": _mint,
    "move": _move,
    "accept": _accept,
    "reject": _reject,
    "consume": _consume,
}


def _word(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise ValueError("32 bytes")
    return value
