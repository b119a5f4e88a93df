"""One donation over HTTP, from the opened lot to the ward: each side signs, each refusal has its code."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from api.flows.custody_acts import ACTS
from api.goods_papers import label_text, read_label
from api.testing_goods import CHECKS, REGISTRATION, Goods, Hand, make_goods
from api.views import custody as views
from api.views import custody_forms as forms
from ledger.core.canonical import tagged_digest
from ledger.core.errors import InputError
from ledger.core.ids import new_id
from ledger.entry_types import ENTRY_TYPES
from ledger.store import transaction
from ledger.tables.log import EntryRow
from ledger.tables.parties import CertificateRow
from signing.certificates import certificate_spki
from signing.keys.algorithms import verify_by_key

BOXES = 4
EACH = 5_000


@pytest.fixture(scope="module")
def goods(world: Any) -> Goods:
    return make_goods(world.app.state.shell.ports, at=world.clock.at, name="story")


class Api:
    """Who calls as whom; acts are stated and signed over HTTP."""

    def __init__(self, world: Any, goods: Goods) -> None:
        self.world, self.goods = world, goods
        self.logins = {
            goods.donor: "story-donor",
            goods.carrier: "story-carrier",
            goods.nurse: "story-hospital",
            goods.doctor: "story-doctor",
        }

    def client(self, hand: Hand) -> Any:
        return self.world.client(self.logins[hand])

    def state(self, hand: Hand, act: str, fields: dict[str, Any]) -> Any:
        body = {"id": new_id("cst", at=self.world.clock.at), "act": act, "fields": fields}
        return self.client(hand).post("/api/v1/custody/statements", json=body)

    def sign(self, hand: Hand, made: dict[str, Any], key: Any = None) -> Any:
        proof = (key or hand.key).sign(base64.b64decode(made["message_base64"]))
        return self.client(hand).post(
            f"/api/v1/custody/statements/{made['id']}/sign",
            json={"signature_base64": base64.b64encode(proof).decode()},
        )

    def act(self, hand: Hand, act: str, fields: dict[str, Any]) -> dict[str, Any]:
        made = self.state(hand, act, fields)
        assert made.status_code == 201, made.text
        done = self.sign(hand, made.json())
        assert done.status_code == 200, done.text
        return dict(done.json())

    def refused(self, hand: Hand, act: str, fields: dict[str, Any]) -> str:
        made = self.state(hand, act, fields)
        assert made.status_code >= 400, made.text
        return str(made.json()["code"])

    def lot(self, hand: Hand, lot: str) -> dict[str, Any]:
        answer = self.client(hand).get(f"/api/v1/lots/{lot}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def shelves(self, hand: Hand, lot: str) -> dict[tuple[str, str], int]:
        places = self.lot(hand, lot)["places"]
        return {(one["role"], one["shelf"]): one["quantity"] for one in places}


@pytest.fixture(scope="module")
def api(world: Any, goods: Goods) -> Api:
    return Api(world, goods)


@pytest.fixture(scope="module")
def lot(api: Api, goods: Goods) -> str:
    """A lot whose donation agreement both sides signed in the PDF."""
    made = new_id("lot", at=goods.at)
    api.act(goods.donor, "lot.open", goods.lot_fields(made, BOXES * EACH))
    return made


@pytest.fixture(scope="module")
def boxes(api: Api, goods: Goods, lot: str) -> list[str]:
    ids = [new_id("pkg", at=goods.at) for _ in range(BOXES)]
    packages = [{"id": one, "quantity": EACH} for one in ids]
    api.act(goods.donor, "lot.pack", {"lot_id": lot, "packages": packages})
    return ids


def hand_fields(goods: Goods, lot: str, boxes: list[str], target: Hand) -> dict[str, Any]:
    return {
        "handover_id": new_id("hov", at=goods.at),
        "lot_id": lot,
        "to_organisation": target.organisation,
        "package_ids": boxes,
        "waybill": "SF-1",
    }


@pytest.fixture(scope="module")
def carried(api: Api, goods: Goods, lot: str, boxes: list[str]) -> dict[str, Any]:
    """Handed to the carrier, who confirms."""
    fields = hand_fields(goods, lot, boxes, goods.carrier)
    api.act(goods.donor, "lot.hand", fields)
    assert api.shelves(goods.donor, lot) == {("giver", "transit"): BOXES * EACH}
    api.act(goods.carrier, "lot.receive", {"handover_id": fields["handover_id"]})
    return fields


@pytest.fixture(scope="module")
def accepted(api: Api, goods: Goods, lot: str, boxes: list[str], carried: Any) -> dict[str, Any]:
    """Handed to the hospital: counted by one person, accepted by another."""
    fields = hand_fields(goods, lot, boxes, goods.nurse)
    api.act(goods.carrier, "lot.hand", fields)
    counts = {
        "handover_id": fields["handover_id"],
        "accepted": 19_000,
        "quarantined": 600,
        "rejected": 300,
        "missing": 100,
        "checks": CHECKS,
    }
    assert api.refused(goods.doctor, "lot.accept", counts) == "custody.not_inspected"
    assert api.refused(goods.nurse, "lot.receive", {"handover_id": fields["handover_id"]}) == (
        "custody.two_signatures"
    )
    assert api.refused(goods.nurse, "lot.inspect", {**counts, "missing": 99}) == "custody.counts"
    failed = {**counts, "checks": {**CHECKS, "batch_and_expiry": False}}
    assert api.refused(goods.nurse, "lot.inspect", failed) == "custody.checks_failed"
    api.act(goods.nurse, "lot.inspect", counts)
    assert api.shelves(goods.nurse, lot) == {("carrier", "transit"): BOXES * EACH}
    assert api.refused(goods.nurse, "lot.accept", counts) == "custody.same_person"
    other = {**counts, "accepted": 19_100, "missing": 0}
    assert api.refused(goods.doctor, "lot.accept", other) == "custody.counts_differ"
    api.act(goods.doctor, "lot.accept", counts)
    return counts


def test_a_lot_goes_all_the_way_and_every_unit_has_one_place(
    api: Api, goods: Goods, lot: str, accepted: Any
) -> None:
    api.act(goods.nurse, "lot.use", {"lot_id": lot, "quantity": 1_500, "ward": "呼吸内科"})
    release = {"lot_id": lot, "quantity": 600, "outcome": "rejected", "reason": "破损（虚构）"}
    api.act(goods.doctor, "lot.release", release)
    found = api.shelves(goods.donor, lot)
    assert found == {
        ("hospital", "stock"): 17_500,
        ("hospital", "used"): 1_500,
        ("hospital", "rejected"): 600,
        ("carrier", "rejected"): 300,
        ("carrier", "disputed"): 100,
    }
    assert sum(found.values()) == BOXES * EACH
    (one,) = api.lot(goods.carrier, lot)["discrepancies"]
    assert (one["kind"], one["quantity"], one["state"], one["late"]) == (
        "missing",
        100,
        "open",
        False,
    )


def test_the_donor_sees_where_its_masks_went_and_proves_each_step(
    api: Api, goods: Goods, lot: str, accepted: Any
) -> None:
    client = api.client(goods.donor)
    way = client.get(f"/api/v1/offers/{goods.offer_id}/way").json()
    assert (way["offered"], way["opened"], way["waiting"]) == (20_000, 20_000, 0)
    assert sum(way["by_shelf"].values()) == 20_000
    assert sum(sum(one.values()) for one in way["by_hospital"].values()) == 20_000
    page = client.get(f"/goods/offers/{goods.offer_id}")
    assert page.status_code == 200
    assert f"/goods/{lot}" in page.text
    events = api.lot(goods.donor, lot)["events"]
    assert [one["type"] for one in events][:4] == [
        "lot.opened", "lot.packed", "lot.handed", "lot.received",
    ]  # fmt: skip
    for one in events:
        assert client.get(f"/entries/{one['entry_id']}").status_code == 200
    moved = sum(
        move["quantity"] for one in events for move in one["moves"] if one["type"] == "lot.opened"
    )
    assert moved == 20_000
    carrier = api.client(goods.carrier)
    assert carrier.get(f"/api/v1/offers/{goods.offer_id}/way").status_code == 404
    receipts = zipfile.ZipFile(io.BytesIO(carrier.get(f"/api/v1/lots/{lot}/receipts").content))
    names = receipts.namelist()
    assert names[-1] == "trust.json"
    assert len(names) == len(events) + 1


def test_whoever_has_the_entry_can_check_who_signed_it(
    api: Api, goods: Goods, lot: str, accepted: Any
) -> None:
    client = api.client(goods.carrier)
    events = api.lot(goods.carrier, lot)["events"]
    assert {one["type"] for one in events} >= {"lot.inspected", "discrepancy.opened"}
    signers = set()
    for one in events:
        body = client.get(f"/api/v1/entries/{one['entry_id']}/receipt").json()["private"]["body"]
        signed = body["signed"]
        said = signed["statement"]
        message = (
            b"fuqi/custody-statement/v1\x00"
            + json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        )
        with transaction(goods.ports.readers) as session:
            der = session.get_one(CertificateRow, signed["certificate"]).der
        proof = bytes.fromhex(signed["proof"])
        verify_by_key(message, signature=proof, public_spki=certificate_spki(der))
        assert signed["statement_sha256"] == tagged_digest("fuqi/custody-statement/v1", said).hex()
        assert set(body) == {name.strip() for name in _documented(one["type"])}, one["type"]
        signers.add(said["person"])
    people = {
        one.caller.person_id for one in (goods.donor, goods.carrier, goods.nurse, goods.doctor)
    }
    assert signers == people


def _documented(kind: str) -> list[str]:
    text, depth = "", 0
    for char in ENTRY_TYPES[kind]:
        depth += (char == "(") - (char == ")")
        text += char if depth == 0 and char != ")" else ""
    return text.split(",")


def test_papers_are_made_and_the_certificate_says_it_is_no_fiscal_receipt(
    api: Api, goods: Goods, lot: str, accepted: Any
) -> None:
    client = api.client(goods.donor)
    paper = client.get(f"/api/v1/lots/{lot}/certificate")
    assert paper.status_code == 200
    assert paper.content.startswith(b"%PDF-")
    fields = {
        "lot_id": lot,
        "number": "虚构-0001",
        "issued_on": goods.at.date().isoformat(),
        "issuer": "虚构慈善总会",
    }
    assert api.refused(goods.carrier, "fiscal.refer", fields) == "custody.ends_only"
    later = {**fields, "issued_on": "2099-01-01"}
    assert api.refused(goods.nurse, "fiscal.refer", later) == "custody.fiscal_date"
    api.act(goods.nurse, "fiscal.refer", fields)
    assert api.lot(goods.donor, lot)["fiscal_number"] == "虚构-0001"
    assert client.get(f"/api/v1/lots/{lot}/certificate").content != paper.content


def test_a_label_holds_an_opaque_id_and_leads_only_those_whom_it_concerns(
    api: Api, world: Any, goods: Goods, lot: str, boxes: list[str]
) -> None:
    code = label_text(boxes[0])
    assert read_label(f" {code} ") == boxes[0]
    assert code.split(":")[1] == boxes[0]
    tag, package, check = code.split(":")
    other = package[:-1] + ("0" if package[-1] != "0" else "1")
    for bad, fault in (
        (code[:-1] + ("0" if code[-1] != "0" else "1"), "label.check"),
        ("https://example.invalid", "label.malformed"),
        (f"{tag}:{other}:{check}", "label.check"),
    ):
        with pytest.raises(InputError) as refused:
            read_label(bad)
        assert refused.value.error_code == fault
    found = api.client(goods.carrier).get("/api/v1/labels", params={"code": code})
    assert found.json()["id"] == boxes[0]
    stranger = world.client("donor")
    assert stranger.get("/api/v1/labels", params={"code": code}).status_code == 404
    page = api.client(goods.nurse).get("/goods/scan", params={"code": code}, follow_redirects=False)
    assert page.headers["location"].startswith(f"/goods/{lot}#")


def test_change_of_use_waits_for_the_donors_signed_word(
    api: Api, goods: Goods, lot: str, accepted: Any
) -> None:
    change = new_id("puc", at=goods.at)
    ask = {"change_id": change, "lot_id": lot, "purpose": "社区防控", "reason": "余量（虚构）"}
    assert api.refused(goods.donor, "purpose.ask", ask) == "custody.receiver_only"
    api.act(goods.nurse, "purpose.ask", ask)
    assert api.lot(goods.nurse, lot)["purpose"] == "临床一线防护"
    word = {"change_id": change, "consent": True}
    assert api.refused(goods.nurse, "purpose.decide", word) == "custody.giver_only"
    refusal = {"change_id": change, "consent": False}
    assert api.refused(goods.donor, "purpose.decide", refusal) == "custody.reason"
    api.act(goods.donor, "purpose.decide", word)
    assert api.lot(goods.nurse, lot)["purpose"] == "社区防控"
    assert api.refused(goods.donor, "purpose.decide", word) == "custody.purpose_decided"


def test_a_missing_box_runs_a_clock_until_it_is_settled(
    api: Api, world: Any, goods: Goods, lot: str, accepted: Any
) -> None:
    (one,) = api.lot(goods.carrier, lot)["discrepancies"]
    answer = {"discrepancy_id": one["id"], "answer": "正在查找（虚构）"}
    assert api.refused(goods.nurse, "discrepancy.answer", answer) == "custody.other_side"
    late = api.client(goods.nurse).get("/api/v1/custody/overdue").json()
    assert late["discrepancies"] == []
    later = world.clock.at + timedelta(hours=49)
    with transaction(goods.ports.readers) as session:
        seen = views.overdue(session, goods.nurse.caller, at=later)
        assert [row["id"] for row in seen.discrepancies] == [one["id"]]
        assert seen.policy["answer_hours"] == 48
        (shown,) = views.lot_facts(session, goods.nurse.caller, lot, at=later).discrepancies
        assert shown.late
    api.act(goods.carrier, "discrepancy.answer", answer)
    found = {"discrepancy_id": one["id"], "outcome": "lost", "note": "确认灭失（虚构）"}
    api.act(goods.carrier, "discrepancy.settle", found)
    assert api.shelves(goods.donor, lot)["carrier", "lost"] == 100
    assert api.refused(goods.carrier, "discrepancy.settle", found) == "custody.discrepancy_closed"
    with transaction(goods.ports.readers) as session:
        assert views.overdue(session, goods.nurse.caller, at=later).discrepancies == []


def test_a_recall_reaches_everybody_and_stops_use(
    api: Api, world: Any, goods: Goods, lot: str, accepted: Any
) -> None:
    recall = new_id("rcl", at=goods.at)
    fields = {"recall_id": recall, "lot_id": lot, "reason": "密合性不合格（虚构）"}
    assert api.refused(goods.carrier, "recall.open", fields) == "custody.ends_only"
    api.act(goods.donor, "recall.open", fields)
    use = {"lot_id": lot, "quantity": 1, "ward": "急诊"}
    assert api.refused(goods.nurse, "lot.use", use) == "custody.recalled"
    for hand in (goods.donor, goods.carrier, goods.nurse):
        assert api.client(hand).get(f"/goods/recalls/{recall}").status_code == 200
    assert world.client("donor").get(f"/goods/recalls/{recall}").status_code == 404
    whole = api.client(goods.donor).get(f"/api/v1/recalls/{recall}").json()
    held = {(one["holder_id"], one["shelf"]) for one in whole["held"]}
    assert (goods.nurse.organisation, "stock") in held
    assert (goods.carrier.organisation, "rejected") in held
    own = api.client(goods.carrier).get(f"/api/v1/recalls/{recall}").json()
    assert {one["holder_id"] for one in own["held"]} == {goods.carrier.organisation}
    mine = api.client(goods.carrier).get("/api/v1/batches").json()
    assert {one["batch_number"] for one in mine} == {goods.batch}
    api.act(goods.donor, "recall.close", {"recall_id": recall, "reason": "复检合格（虚构）"})
    api.act(goods.nurse, "lot.use", use)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 1}, "custody.more_than_allocated"),
        ({"agreement_id": "agr_01kdvdna00ncrmbvs7rqr9p8yr"}, "custody.no_agreement"),
        ({"allocation_id": "alloc_01kdvdna00ncrmbvs7rqr9p8yr"}, "not_found"),
        ({"lot_id": "lot_1"}, "id.malformed"),
        ({"quantity": 0}, "custody.fields"),
        ({"weight": 1}, "custody.fields"),
    ],
)
def test_a_lot_that_nobody_promised_is_not_opened(
    api: Api, goods: Goods, lot: str, changes: dict[str, Any], code: str
) -> None:
    fields = goods.lot_fields(new_id("lot", at=goods.at), 1) | changes
    assert api.refused(goods.donor, "lot.open", fields) == code


def test_only_the_donor_opens_and_only_the_signer_signs(api: Api, goods: Goods, lot: str) -> None:
    fields = goods.lot_fields(new_id("lot", at=goods.at), 1)
    assert api.refused(goods.carrier, "lot.open", fields) == "not_found"
    made = api.state(goods.nurse, "lot.use", {"lot_id": lot, "quantity": 1, "ward": "急诊"})
    if made.status_code != 201:
        made = api.state(goods.donor, "recall.open", {
            "recall_id": new_id("rcl", at=goods.at), "lot_id": lot, "reason": "x"})  # fmt: skip
        hand, other = goods.donor, goods.nurse
    else:
        hand, other = goods.nurse, goods.doctor
    assert api.sign(other, made.json()).json()["code"] == "not_found"
    assert api.sign(hand, made.json(), key=other.key).json()["code"] == "custody.proof"


def test_every_act_is_described_for_those_who_write_programs(api: Api, goods: Goods) -> None:
    found = api.client(goods.donor).get("/api/v1/custody/acts").json()
    assert set(found) == set(ACTS)
    assert found["lot.use"]["fields"]["required"] == ["lot_id", "quantity", "ward"]


def test_pages_show_in_both_languages(api: Api, goods: Goods, lot: str, accepted: Any) -> None:
    for hand in (goods.donor, goods.carrier, goods.nurse):
        for lang in ("zh", "en"):
            for path in ("/goods", f"/goods/{lot}", "/goods/batches"):
                page = api.client(hand).get(path, params={"lang": lang})
                assert page.status_code == 200, page.text[:300]
                assert "shelf." not in page.text
                assert "goods." not in page.text.split("data-texts")[0]
    assert REGISTRATION in api.client(goods.donor).get(f"/goods/{lot}").text


def test_the_public_page_shows_how_far_goods_came_and_names_no_ward(
    api: Api, world: Any, goods: Goods, accepted: Any
) -> None:
    facts = world.client(None).get("/api/v1/disclosure").json()
    (one,) = [row for row in facts["items"] if row["id"] == goods.allocation_id]
    assert one["way"]["opened"] == 20_000
    assert one["way"]["arrived"] >= 19_000
    assert "呼吸内科" not in world.client(None).get("/disclosure").text


def test_entries_about_goods_are_all_of_known_types(goods: Goods, lot: str, accepted: Any) -> None:
    with transaction(goods.ports.readers) as session:
        kinds = set(session.scalars(select(EntryRow.type).where(EntryRow.subject == lot)))
    assert kinds <= set(ENTRY_TYPES)
    assert {"lot.opened", "lot.packed", "lot.handed", "lot.received", "lot.inspected"} <= kinds


def test_the_donation_agreement_is_drawn_from_the_matched_line(
    api: Api, world: Any, goods: Goods
) -> None:
    address = "/agreements/template"
    asked = {"allocation": goods.allocation_id}
    page = api.client(goods.donor).get(address, params=asked).text
    for shown in ("20000", goods.batch, "YY 0469", goods.nurse.organisation, goods.allocation_id):
        assert f'value="{shown}"' in page
    assert world.client("donor").get(address, params=asked).status_code == 404
    with pytest.raises(InputError) as fault, transaction(goods.ports.readers) as session:
        forms.of_allocation(
            session,
            goods.donor.caller,
            goods.allocation_id,
            None,
            {"items": [{"quantity": 19_999}]},
        )
    assert fault.value.error_code == "template.allocation_differs"
