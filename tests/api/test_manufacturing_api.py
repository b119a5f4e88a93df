"""An order from the quote to the acceptance and a lease to its return, over HTTP; each step signed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from api.flows.parties import issue_certificate
from api.flows.registration import register
from api.testing import caller_of, invented_registration, sign_agreement
from api.testing_goods import Hand
from ledger.core.ids import new_id
from ledger.store import transaction
from signing.ca import CertificateSubject
from signing.keys.device import DeviceKey


@dataclass(frozen=True)
class Two:
    """A hospital that orders, a maker, and the agreement that both signed."""

    world: Any
    buyer: Hand
    maker: Hand
    agreement_id: str

    def client(self, hand: Hand) -> Any:
        return self.world.client("orders-buyer" if hand is self.buyer else "orders-maker")

    def act(self, hand: Hand, act: str, fields: dict[str, Any]) -> Any:
        client = self.client(hand)
        body = {"id": new_id("cst", at=self.world.clock.at), "act": act, "fields": fields}
        made = client.post("/api/v1/custody/statements", json=body)
        if made.status_code != 201:
            return made.json()["code"]
        proof = hand.key.sign(base64.b64decode(made.json()["message_base64"]))
        done = client.post(
            f"/api/v1/custody/statements/{body['id']}/sign",
            json={"signature_base64": base64.b64encode(proof).decode()},
        )
        assert done.status_code == 200, done.text
        return done.json()

    def step(self, hand: Hand, order: str, step: str, **fields: Any) -> Any:
        return self.act(hand, "order.step", {"order_id": order, "step": step, **fields})

    def document(self, hand: Hand, order: str, kind: str, data: bytes) -> Any:
        kept = self.client(hand).post(f"/api/v1/orders/{order}/files", files={"file": data})
        assert kept.status_code == 201, kept.text
        assert kept.json()["sha256"] == hashlib.sha256(data).hexdigest()
        fields = {
            "order_id": order,
            "document_id": new_id("doc", at=self.world.clock.at),
            "kind": kind,
            "sha256": kept.json()["sha256"],
        }
        return self.act(hand, "order.document", fields)

    def order(self, hand: Hand, order: str) -> dict[str, Any]:
        return dict(self.client(hand).get(f"/api/v1/orders/{order}").json())


@pytest.fixture(scope="module")
def two(world: Any) -> Two:
    ports, at = world.app.state.shell.ports, world.clock.at
    sides = [
        register(ports, invented_registration("orders-buyer", "hospital", at=at), at=at),
        register(ports, invented_registration("orders-maker", "manufacturer", at=at), at=at),
    ]
    hands = []
    for side in sides:
        key, caller = DeviceKey.create(), caller_of(side)
        subject = CertificateSubject(common_name="invented", organisation=None, reference="x")
        with transaction(ports.sessions) as session:
            issue_certificate(
                session,
                ports,
                caller,
                organisation_id=side.organisation.id,
                person_id=side.person.id,
                csr_der=key.csr(subject),
                at=at,
            )
        hands.append(Hand(caller, key))
    agreement = sign_agreement(
        ports, (sides[0], sides[1]), allocation_id=None, at=at, keys=(hands[0].key, hands[1].key)
    )
    return Two(world, hands[0], hands[1], agreement)


def requested(two: Two, order_kind: str, **changes: Any) -> Any:
    day = two.world.clock.at.date()
    order = new_id("ord", at=two.world.clock.at)
    fields: dict[str, Any] = {
        "order_id": order,
        "kind": order_kind,
        "maker_id": two.maker.organisation,
        "what": "防护服（虚构）",
        "quantity": 500,
        "from_on": (day + timedelta(days=1)).isoformat(),
        "due_on": (day + timedelta(days=20)).isoformat(),
    } | changes
    done = two.act(two.buyer, "order.request", fields)
    return order if isinstance(done, dict) else done


def test_an_order_goes_from_the_quote_to_the_acceptance(two: Two) -> None:
    order = requested(two, "manufacture")
    assert two.step(two.buyer, order, "quote", price_minor=1) == "order.other_side"
    assert two.step(two.maker, order, "quote") == "order.price"
    two.step(two.maker, order, "quote", price_minor=3_400_000)
    assert two.step(two.buyer, order, "place") == "order.no_agreement"
    two.step(two.buyer, order, "place", agreement_id=two.agreement_id)
    assert two.step(two.maker, order, "sample") == "order.document_missing"
    two.document(two.maker, order, "sample", b"sample report (invented)")
    two.step(two.maker, order, "sample")
    two.step(two.buyer, order, "judge", outcome="no")
    two.world.clock.at += timedelta(hours=1)
    two.document(two.maker, order, "sample", b"sample report (invented)")
    assert two.step(two.maker, order, "sample") == "order.document_missing"
    two.document(two.maker, order, "sample", b"second sample report (invented)")
    two.step(two.maker, order, "sample")
    two.step(two.buyer, order, "judge", outcome="yes")
    two.document(two.maker, order, "process", b"process (invented)")
    two.step(two.maker, order, "produce")
    two.document(two.maker, order, "inspection", b"inspection (invented)")
    two.step(two.maker, order, "finish")
    wrong = two.step(two.buyer, order, "accept", outcome="yes", accepted=499)
    assert wrong == "order.counts"
    assert two.step(two.buyer, order, "accept", outcome="yes", accepted=490, rejected=10) == (
        "order.counts"
    )
    two.step(two.buyer, order, "accept", outcome="no", accepted=490, rejected=10)
    assert two.order(two.maker, order)["state"] == "rework"
    two.world.clock.at += timedelta(hours=1)
    two.step(two.maker, order, "produce")
    # What was rejected does not pass with the inspection of before, nor with the same file once more.
    two.world.clock.at += timedelta(hours=1)
    assert two.step(two.maker, order, "finish") == "order.document_missing"
    two.document(two.maker, order, "inspection", b"inspection (invented)")
    assert two.step(two.maker, order, "finish") == "order.document_missing"
    two.document(two.maker, order, "inspection", b"inspection after rework (invented)")
    two.step(two.maker, order, "finish")
    two.step(two.buyer, order, "accept", outcome="yes", accepted=500)
    found = two.order(two.buyer, order)
    assert (found["state"], found["accepted"], found["rejected"]) == ("accepted", 500, 0)
    assert found["possible"] == []
    assert len(found["documents"]) == 7
    assert [one["type"] for one in found["events"]].count("order.stepped") == 12
    for one in found["events"]:
        receipt = two.client(two.buyer).get(f"/api/v1/entries/{one['entry_id']}/receipt").json()
        assert receipt["private"]["body"]["signed"]["proof"]
    document = found["documents"][0]
    data = two.client(two.buyer).get(f"/api/v1/orders/{order}/documents/{document['id']}")
    assert hashlib.sha256(data.content).hexdigest() == document["sha256"]


def test_a_resource_is_lent_and_comes_back(two: Two) -> None:
    order = requested(two, "lease", what="口罩机（虚构）", quantity=1)
    two.step(two.maker, order, "quote", price_minor=900_000, deposit_minor=50_000)
    two.step(two.buyer, order, "place", agreement_id=two.agreement_id)
    two.document(two.maker, order, "condition", b"as new (invented)")
    two.step(two.maker, order, "hand")
    assert two.step(two.maker, order, "take") == "order.other_side"
    two.step(two.buyer, order, "take")
    assert two.step(two.buyer, order, "return") == "order.document_missing"
    two.document(two.buyer, order, "return", b"a scratch (invented)")
    two.step(two.buyer, order, "return")
    assert two.step(two.maker, order, "close", kept_minor=50_001, note="x") == "order.deposit"
    assert two.step(two.maker, order, "close", kept_minor=1_000) == "order.deposit"
    two.step(two.maker, order, "close", kept_minor=1_000, note="划痕（虚构）")
    found = two.order(two.maker, order)
    assert (found["state"], found["kept_minor"]) == ("closed", 1_000)
    assert two.step(two.maker, order, "close") == "order.state"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"due_on": "2020-01-01"}, "order.dates"),
        ({"kind": "lease", "from_on": None}, "order.dates"),
        ({"order_id": "ord_1"}, "id.malformed"),
        ({"maker_id": "pty_01kdvdna00ncrmbvs7rqr9p8yr"}, "party.not_found"),
        ({"allocation_id": "alloc_01kdvdna00ncrmbvs7rqr9p8yr"}, "not_found"),
        ({"quantity": 0}, "custody.fields"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    two: Two, changes: dict[str, Any], code: str
) -> None:
    assert requested(two, "manufacture", **changes) == code


def test_declining_says_why_and_ends_it(two: Two) -> None:
    order = requested(two, "manufacture")
    assert two.step(two.maker, order, "decline") == "order.reason"
    two.step(two.maker, order, "decline", note="产能不足（虚构）")
    assert two.step(two.maker, order, "quote", price_minor=1) == "order.state"
    assert two.act(two.buyer, "order.document", {
        "order_id": order, "document_id": new_id("doc", at=two.world.clock.at),
        "kind": "drawing", "sha256": "00" * 32}) == "order.file_not_found"  # fmt: skip
    empty = two.client(two.buyer).post(f"/api/v1/orders/{order}/files", files={"file": b""})
    assert empty.json()["code"] == "order.file_empty"


def test_pages_of_orders_show_in_both_languages(two: Two) -> None:
    order = requested(two, "lease")
    for hand in (two.buyer, two.maker):
        for lang in ("zh", "en"):
            for path in ("/orders", f"/orders/{order}"):
                page = two.client(hand).get(path, params={"lang": lang})
                assert page.status_code == 200, page.text[:300]
                assert "order.state." not in page.text
                assert "order.step." not in page.text.split("data-texts")[0]
    assert two.world.client("donor").get(f"/orders/{order}").status_code == 404
