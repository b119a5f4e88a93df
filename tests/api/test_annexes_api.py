"""Clauses, attached files, files asked for, amounts and batches over JSON, and every refusal there.

Identities are invented; the keys are device keys that the server never holds.
"""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from api.flows import annexes
from ledger.core.ids import new_id
from signing.ca import CertificateSubject
from signing.keys.device import DeviceKey

LIMIT = "The donor is liable for intent and gross negligence only."
COURT = "Disputes are decided by the invented arbitration commission."
PNG = b"\x89PNG\r\n\x1a\n" + b"an invented licence"
JPEG = b"\xff\xd8\xff" + b"an invented list of prices"
POINTED = [
    {"kind": "limits_liability", "text": LIMIT, "explanation": "Slight negligence costs nothing."},
    {"kind": "disputes", "text": COURT},
]


def contract() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    for number, line in enumerate(("An invented agreement", LIMIT, COURT)):
        canvas.drawString(72, 760 - 40 * number, line)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


PDF = contract()


@pytest.fixture(scope="module")
def keys(world: Any) -> dict[str, DeviceKey]:
    found = {}
    for login in ("donor", "hospital"):
        found[login] = DeviceKey.create()
        csr = found[login].csr(
            CertificateSubject(common_name="x", organisation=None, reference="x")
        )
        body = {"csr_base64": base64.b64encode(csr).decode()}
        assert world.client(login).post("/api/v1/certificates", json=body).status_code == 201
    return found


def publish(world: Any, **changes: Any) -> Any:
    """The answer to an upload by the donor, whom the hospital follows."""
    body = {
        "id": new_id("agr", at=world.clock.at),
        "title": "虚构协议（接口）",
        "matter": "donation",
        "no_amount": True,
        "signers": [
            {"organisation_id": one.organisation_id, "person_id": one.person_id, "role": "party"}
            for one in (world.donor, world.hospital)
        ],
        "expires_at": (world.clock.at + timedelta(days=30)).isoformat(),
        **changes,
    }
    return world.client("donor").post(
        "/api/v1/agreements/upload",
        files={"file": ("a.pdf", PDF, "application/pdf")},
        data={"agreement": json.dumps(body)},
    )


def made(world: Any, **changes: Any) -> dict[str, Any]:
    answer = publish(world, **changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def place(facts: dict[str, Any], number: int) -> str:
    return str(facts["signers"][number - 1]["id"])


def send(world: Any, login: str, name: str = "a.png", data: bytes = PNG, **more: Any) -> Any:
    """Send a file to be attached, or with `signer` a signer's own."""
    signer = more.pop("signer", None)
    path = "/api/v1/attachments" if signer is None else f"/api/v1/signers/{signer}/uploads"
    form = {"id": new_id("att", at=world.clock.at), **more}
    return world.client(login).post(path, data=form, files={"file": (name, data)})


def confirm(world: Any, signer: str, clause: int, sha256: str, *, login: str = "hospital") -> Any:
    return world.client(login).post(
        f"/api/v1/signers/{signer}/clauses/{clause}", json={"sha256": sha256, "seconds": 5}
    )


def read(world: Any, login: str, signer: str) -> None:
    client = world.client(login)
    assert client.post(f"/api/v1/signers/{signer}/open").status_code == 200
    answer = client.post(f"/api/v1/signers/{signer}/read", json={"pages": 1, "seconds": 5})
    assert answer.status_code == 200, answer.text


def statement(world: Any, login: str, signer: str, act: str = "sign") -> Any:
    return world.client(login).post(f"/api/v1/signers/{signer}/statements", json={"act": act})


def affirm(world: Any, keys: dict[str, DeviceKey], login: str, signer: str, act: str) -> Any:
    told = statement(world, login, signer, act).json()
    proof = keys[login].sign(base64.b64decode(told["message_base64"]))
    return world.client(login).post(
        f"/api/v1/statements/{told['id']}/affirm",
        json={"signature_base64": base64.b64encode(proof).decode()},
    )


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    return dict(answer.json()["context"])


# --- clauses ------------------------------------------------------------------------------------------


def test_each_clause_is_confirmed_by_itself_before_the_will_to_sign(
    world: Any, keys: dict[str, DeviceKey]
) -> None:
    facts = made(world, clauses=POINTED)
    own, theirs = place(facts, 1), place(facts, 2)
    first, second = (one["sha256"] for one in facts["clauses"])
    assert [one["must_confirm"] for one in facts["signers"]] == [False, True]
    refused(confirm(world, theirs, 1, first), 409, "agreement.not_opened")
    refused(confirm(world, own, 1, first, login="donor"), 409, "clause.not_asked")
    refused(confirm(world, own, 1, first), 404, "not_found")
    read(world, "hospital", theirs)
    assert refused(statement(world, "hospital", theirs), 409, "clause.unconfirmed") == {
        "clauses": [1, 2]
    }
    refused(confirm(world, theirs, 1, first), 409, "clause.too_fast")
    world.clock.at += timedelta(seconds=3)
    refused(confirm(world, theirs, 1, second), 409, "clause.other")
    refused(confirm(world, theirs, 9, first), 404, "not_found")
    refused(confirm(world, theirs, 1, "not a digest"), 422, "input.invalid")
    assert confirm(world, theirs, 1, first).status_code == 200
    assert confirm(world, theirs, 1, first).status_code == 200, "again changes nothing"
    world.clock.at += timedelta(seconds=3)
    after = confirm(world, theirs, 2, second).json()
    assert [one["number"] for one in after["signers"][1]["confirmed"]] == [1, 2]
    told = statement(world, "hospital", theirs).json()
    assert (told["statement"]["clauses"], told["statement"]["amount"]) == (2, "none")
    assert [one["sha256"] for one in told["annex"]["clauses"]] == [first, second]
    assert affirm(world, keys, "hospital", theirs, "sign").status_code == 200


@pytest.mark.parametrize(
    ("clauses", "status", "code"),
    [
        ([{"kind": "price", "text": "This stands nowhere."}], 422, "clause.not_found"),
        ([POINTED[0], POINTED[0]], 422, "clause.twice"),
        ([{"kind": "gossip", "text": LIMIT}], 422, "input.invalid"),
        ([{"kind": "price", "text": "abc"}], 422, "input.invalid"),
        ([{"kind": "price", "text": " a b "}], 422, "clause.text"),
        ([{"kind": "price", "text": f"{LIMIT}{n}"} for n in range(31)], 422, "input.invalid"),
    ],
)
def test_clauses_that_cannot_be_pointed_out_are_refused(
    world: Any, clauses: list[dict[str, str]], status: int, code: str
) -> None:
    refused(publish(world, clauses=clauses), status, code)


# --- files of the author --------------------------------------------------------------------------


def test_a_file_is_attached_once_and_read_back_byte_for_byte(world: Any) -> None:
    file = send(world, "donor", "../虚构 资质.png").json()
    assert (file["name"], file["size_bytes"]) == (".. 虚构 资质.png", len(PNG))
    facts = made(world, attachments=[file["id"]])
    path = f"/api/v1/agreements/{facts['id']}/attachments/{file['id']}"
    assert world.client("hospital").get(path).content == PNG
    refused(world.client("arbitrator").get(path), 403, "auth.role")
    refused(publish(world, attachments=[file["id"]]), 404, "attachment.unknown")
    refused(
        publish(world, attachments=[new_id("att", at=world.clock.at)]), 404, "attachment.unknown"
    )
    others = send(world, "hospital").json()["id"]
    refused(publish(world, attachments=[others]), 404, "attachment.unknown")
    refused(world.client("donor").get(f"{path[:-26]}{others[4:]}"), 404, "not_found")


def test_the_same_file_again_is_the_same_and_another_under_its_id_is_refused(world: Any) -> None:
    known = new_id("att", at=world.clock.at)
    assert send(world, "donor", id=known).status_code == 201
    assert send(world, "donor", id=known).json()["id"] == known
    refused(send(world, "donor", data=JPEG, id=known), 409, "attachment.differs")
    refused(send(world, "hospital", id=known), 409, "attachment.differs")
    refused(send(world, "donor", id="att_x"), 422, "id.malformed")


def test_files_that_cannot_be_kept_are_refused(world: Any, monkeypatch: Any) -> None:
    refused(send(world, "donor", "a.txt", b"plain text"), 422, "attachment.type")
    refused(send(world, "donor", "a.pdf", b"%PDF-1.7 broken"), 422, "pdf.broken")
    refused(send(world, "donor", f"{'x' * 130}.png"), 422, "attachment.name")
    big = PNG + b"0" * annexes.FILE_BYTES_MAX
    assert send(world, "donor", data=big).status_code == 413
    monkeypatch.setattr(annexes, "WAITING_MAX", 0)
    refused(send(world, "donor"), 413, "attachment.waiting")


def test_an_agreement_has_so_many_files_and_bytes_and_no_more(world: Any, monkeypatch: Any) -> None:
    one, two = (send(world, "donor", data=data).json()["id"] for data in (PNG, JPEG))
    asked = [{"signer": 2, "label": f"虚构文件 {n}"} for n in range(39)]
    refused(publish(world, attachments=[one, two], demands=asked), 413, "attachment.too_many")
    monkeypatch.setattr(annexes, "TOTAL_BYTES_MAX", len(PNG) + 1)
    refused(publish(world, attachments=[one, two]), 413, "attachment.total")
    facts = made(world, attachments=[one])
    refused(send(world, "hospital", data=JPEG, signer=place(facts, 2)), 413, "attachment.total")


# --- files that signers are asked for ---------------------------------------------------------------


def test_a_file_asked_for_is_sent_replaced_taken_back_and_named_by_the_will_to_sign(
    world: Any, keys: dict[str, DeviceKey]
) -> None:
    facts = made(world, demands=[{"signer": 2, "label": "医疗机构执业许可证"}])
    theirs = place(facts, 2)
    read(world, "hospital", theirs)
    missing = refused(statement(world, "hospital", theirs), 409, "upload.missing")
    assert missing == {"demands": [1]}
    refused(send(world, "hospital", signer=theirs, demand=2), 404, "upload.demand_unknown")
    refused(send(world, "donor", signer=theirs, demand=1), 404, "not_found")
    refused(send(world, "hospital", "a.txt", b"text", signer=theirs), 422, "attachment.type")
    first = send(world, "hospital", signer=theirs, demand=1).json()["attachments"][0]
    replaced = send(world, "hospital", data=JPEG, signer=theirs, demand=1).json()["attachments"]
    assert [one["sha256"] for one in replaced] != [first["sha256"]]
    extra = send(world, "hospital", signer=theirs).json()["attachments"]
    path = f"/api/v1/signers/{theirs}/uploads"
    [mine] = [one["id"] for one in extra if one["id"] != replaced[0]["id"]]
    assert len(world.client("hospital").post(f"{path}/{mine}/withdraw").json()["attachments"]) == 1
    assert affirm(world, keys, "hospital", theirs, "sign").status_code == 200
    refused(send(world, "hospital", signer=theirs, demand=1), 409, "upload.after_intent")
    kept = replaced[0]["id"]
    refused(world.client("hospital").post(f"{path}/{kept}/withdraw"), 409, "upload.after_intent")
    absent = new_id("att", at=world.clock.at)
    refused(world.client("hospital").post(f"{path}/{absent}/withdraw"), 404, "not_found")


def test_what_one_side_sent_is_not_for_the_other_before_all_have_signed(world: Any) -> None:
    file = send(world, "donor").json()["id"]
    facts = made(
        world,
        attachments=[file],
        signers=[
            {"organisation_id": one.organisation_id, "person_id": one.person_id, "role": "party"}
            for one in (world.hospital, world.donor)
        ],
    )
    theirs, own = place(facts, 1), place(facts, 2)
    taken = world.client("hospital").post(f"/api/v1/signers/{theirs}/uploads/{file}/withdraw")
    refused(taken, 409, "attachment.not_yours")
    sent = send(world, "donor", data=JPEG, signer=own).json()["attachments"]
    [mine] = [one["id"] for one in sent if one["id"] != file]
    path = f"/api/v1/agreements/{facts['id']}/attachments/{mine}"
    refused(world.client("hospital").get(path), 403, "agreement.half_signed")
    assert world.client("donor").get(path).content == JPEG


@pytest.mark.parametrize(
    ("demand", "code"),
    [
        ({"signer": 3, "label": "虚构文件"}, "upload.demand"),
        ({"signer": 2, "label": " "}, "upload.demand"),
        ({"signer": 0, "label": "虚构文件"}, "input.invalid"),
        ({"signer": 2, "label": "x" * 121}, "input.invalid"),
    ],
)
def test_a_demand_of_nobody_or_for_nothing_is_refused(
    world: Any, demand: dict[str, Any], code: str
) -> None:
    refused(publish(world, demands=[demand]), 422, code)


# --- amounts ----------------------------------------------------------------------------------------


def test_an_amount_or_that_there_is_none_is_stated_and_signed(
    world: Any, keys: dict[str, DeviceKey]
) -> None:
    refused(publish(world, no_amount=False), 422, "agreement.amount_unstated")
    refused(publish(world, amount_minor=1), 422, "agreement.amount_twice")
    refused(publish(world, no_amount=False, amount_minor=-1), 422, "input.invalid")
    for stated, amount, text in (
        ({"no_amount": True}, "none", "发起方声明本文件不涉及金额"),
        ({"no_amount": False, "amount_minor": 1_234_50}, "123450", "人民币1,234.50元"),
    ):
        facts = made(world, **stated)
        assert (facts["amount"], facts["no_amount"]) == (amount, stated["no_amount"])
        mine = place(facts, 1)
        read(world, "donor", mine)
        told = statement(world, "donor", mine).json()["statement"]
        assert (told["v"], told["amount"]) == ("fuqi/intent/v4", amount)
        assert text in told["text_zh"]
        assert affirm(world, keys, "donor", mine, "sign").status_code == 200
        assert "amount" not in statement(world, "donor", mine, "consent").json()["statement"]
    page = world.client("donor").get(f"/agreements/{facts['id']}", headers={"Accept": "text/html"})
    assert "1,234.50" in page.text


# --- batches of approvals ----------------------------------------------------------------------------


def test_a_batch_of_approvals_over_json_needs_the_power_and_says_what_was_left_out(
    world: Any, keys: dict[str, DeviceKey]
) -> None:
    hospital, donor = world.hospital, world.donor
    rows = [(hospital, "approve"), (hospital, "sign"), (donor, "sign")]
    made_of = [
        made(
            world,
            signers=[
                {
                    "organisation_id": who.organisation_id,
                    "person_id": who.person_id,
                    "role": "party",
                    "act": act,
                }
                for who, act in rows
            ],
        )
        for _ in range(2)
    ]
    client = world.client("hospital")
    waiting = client.get("/api/v1/waiting?limit=100").json()
    assert waiting["approve"] == 2
    approvals = [one for one in waiting["items"] if one["act"] == "approve"]
    assert {one["signer_id"] for one in approvals} == {place(one, 1) for one in made_of}
    body = {"id": new_id("bat", at=world.clock.at), "act": "approve"}
    wrong = {**body, "signers": [place(made_of[0], 2)]}
    told = refused(client.post("/api/v1/batches", json=wrong), 409, "batch.not_ready")
    assert told["places"] == [f"{place(made_of[0], 2)}: batch.other_act"]
    sealed = {**body, "act": "sign", "seal_id": new_id("sea", at=world.clock.at)}
    refused(client.post("/api/v1/batches", json=sealed), 422, "batch.seal")
    absent = {**body, "seal_id": new_id("sea", at=world.clock.at)}
    refused(client.post("/api/v1/batches", json=absent), 404, "not_found")
    mixed = {**body, "signers": [place(made_of[0], 1), place(made_of[1], 2)], "leave_out": True}
    opened = client.post("/api/v1/batches", json=mixed)
    assert opened.status_code == 201, opened.text
    assert [(one["signer_id"], one["code"]) for one in opened.json()["left_out"]] == [
        (place(made_of[1], 2), "batch.other_act")
    ]
    path = f"/api/v1/batches/{body['id']}"
    refused(client.post(f"{path}/statement"), 409, "batch.not_read")
    read(world, "hospital", place(made_of[0], 1))
    told = client.post(f"{path}/statement").json()
    assert told["statement"]["acts"] == ["approve"]
    assert told["opened"][0]["amount"] == "none"
    proof = keys["hospital"].sign(base64.b64decode(told["message_base64"]))
    signed = {"signature_base64": base64.b64encode(proof).decode()}
    # A handler who registered declares no power to approve: a letter gives it.
    refused(client.post(f"{path}/affirm", json=signed), 403, "authority.power")
    refused(world.client("donor").post(f"{path}/leave-out"), 404, "not_found")
    assert client.post(f"{path}/leave-out").json()["items"] != []
