"""SupplyLots and Rulings on a node under Osaka rules: what Python signs the contracts accept; gas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_keys import keys

from contracts import acts_abi as acts
from contracts import artifacts
from contracts.eip712 import Contract
from contracts.seals_testing import RevertedError, anvil, anvil_missing

GAS = json.loads((Path(__file__).parents[2] / "contracts" / "gas.json").read_text())
REF = b"\x77" * 32
CONTRACTS = ("SupplyLots", "Rounds", "Rulings")


class Signer:
    def __init__(self, seed):
        self.private = keys.PrivateKey(seed.to_bytes(32, "big"))
        self.account = self.private.public_key.to_canonical_address()
        self.name = acts.k1_key_hash(self.account)

    def sign(self, digest):
        made = self.private.sign_msg_hash(digest)
        return made.r.to_bytes(32, "big") + made.s.to_bytes(32, "big") + bytes([27 + made.v])


A, B, C = Signer(1), Signer(2), Signer(3)


def signature_of(row):
    def kind(item):
        if item["type"].startswith("tuple"):
            inner = ",".join(kind(part) for part in item["components"])
            return f"({inner})" + item["type"][5:]
        return item["type"]

    return row["name"], tuple(kind(item) for item in row["inputs"])


def compiled(kind):
    return {
        signature_of(row)
        for name in CONTRACTS
        for row in artifacts.load(name).abi
        if row["type"] == kind
    }


def test_every_call_and_every_error_is_a_compiled_one():
    assert set(acts.CALLS.items()) <= compiled("function")
    assert set(acts.ERRORS.items()) == compiled("error")


def test_an_error_is_read_with_its_values_and_anything_else_is_unknown():
    data = acts.selector("RoundsGap", ("uint128", "uint128")) + encode(["uint128"] * 2, [3, 4])
    assert acts.decode_revert(data) == acts.Revert("RoundsGap", (3, 4))
    assert acts.decode_revert(data[:-1]).name == "unknown"
    assert acts.decode_revert(b"").name == "unknown"


@pytest.fixture(scope="module")
def world():
    reason = anvil_missing()
    if reason:
        pytest.skip(reason)
    with anvil() as node:
        arguments = acts.encode_rulings_constructor(
            arbitrators=[A.name, B.name, C.name], threshold=2,
            officers=[A.name], officer_threshold=1, delay_seconds=86_400,
        )  # fmt: skip
        rulings = node.deploy("Rulings", arguments)
        lots = node.deploy("SupplyLots", encode(["address"], [rulings]))
        yield node, Contract(node.chain_id, lots), Contract(node.chain_id, rulings)


def minted(world, doc_ref, quantity=1000):
    node, lots, _ = world
    lot = acts.lot_id(A.account, doc_ref=doc_ref)
    digest = acts.lot_mint_digest(lots, lot=lot, quantity=quantity, doc_ref=doc_ref)
    call = acts.encode_lot_mint(
        lot=lot, quantity=quantity, doc_ref=doc_ref, signature=A.sign(digest)
    )
    node.send(call, to=lots.address)
    return lot


def moved(world, lot, signer, target, quantity, turn):
    node, lots, _ = world
    terms = {"lot": lot, "target": target, "quantity": quantity, "turn": turn}
    signature = signer.sign(acts.lot_move_digest(lots, **terms))
    return node.send(acts.encode_lot_move(**terms, signature=signature), to=lots.address)


def position(world, lot, holder):
    node, lots, _ = world
    return acts.decode_position(
        node.call(lots.address, acts.encode_call("positionOf", lot, holder))
    )


def test_what_python_signs_moves_is_used_and_comes_back(world):
    node, lots, _ = world
    lot = minted(world, REF)
    moved(world, lot, A, B.account, 40, 0)
    assert position(world, lot, B.account).incoming == 40
    digest = acts.lot_reject_digest(lots, lot=lot, holder=B.account, source=A.account, turn=0)
    node.send(
        acts.encode_call("reject", lot, B.account, A.account, 0, B.sign(digest)), to=lots.address
    )
    assert position(world, lot, A.account).quantity == 1000
    moved(world, lot, A, B.account, 40, 1)
    digest = acts.lot_accept_digest(lots, lot=lot, holder=B.account, turn=1)
    node.send(acts.encode_call("accept", lot, B.account, 1, B.sign(digest)), to=lots.address)
    digest = acts.lot_consume_digest(
        lots, lot=lot, holder=B.account, quantity=15, doc_ref=REF, turn=2
    )
    node.send(
        acts.encode_call("consume", lot, B.account, 15, REF, 2, B.sign(digest)), to=lots.address
    )
    assert acts.decode_lot(node.call(lots.address, acts.encode_call("lotAt", lot))) == (1000, 15)
    assert position(world, lot, B.account) == acts.Position(25, 0, 3, 0, 0)
    with pytest.raises(RevertedError):
        moved(world, lot, B, C.account, 26, 3)


def test_gas_of_a_move(world):
    lot = minted(world, b"\x78" * 32)
    gas = {
        "lot_move_new": moved(world, lot, A, B.account, 100, 0).gas_used,
        "lot_move_existing": moved(world, lot, A, B.account, 100, 1).gas_used,
    }
    for name, used in gas.items():
        assert used * 100 <= GAS[name] * 101, (name, used)


def test_gas_of_a_ruling_and_who_may_rule(world):
    node, _, rulings = world
    for signers, ceiling in (((A, B), 95_000), ((A, B, C), 105_000)):
        count = len(signers)
        ruling = acts.Ruling(
            bytes([count]) * 32, b"\x11" * 32, b"\x22" * 32, acts.Outcome.UPHELD, 1, bytes(32)
        )
        digest = acts.ruling_digest(rulings, ruling)
        with pytest.raises(RevertedError):
            node.call(rulings.address, acts.encode_rule(ruling, {0: A.sign(digest)}))
        call = acts.encode_rule(ruling, {seat: s.sign(digest) for seat, s in enumerate(signers)})
        used = node.send(call, to=rulings.address).gas_used
        assert used <= ceiling
        assert used * 100 <= GAS[f"ruling_{count}"] * 101, used
        case = acts.case_id(ruling.docket, subject=ruling.subject)
        stored = node.call(rulings.address, acts.encode_call("rulingAt", case, ruling.level))
        assert digest in stored
        other = acts.case_id(ruling.subject, subject=ruling.docket)
        assert not any(node.call(rulings.address, acts.encode_call("rulingAt", other, 1)))
        with pytest.raises(RevertedError):
            node.call(rulings.address, call)
