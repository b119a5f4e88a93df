"""Form fields over HTTP: what a PDF offers, who may be asked, what a signer is told; and the author's page."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from ledger.core.ids import new_id

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def form() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.drawString(72, 760, "An invented order")
    canvas.acroForm.textfield(name="delivery", x=72, y=700, width=120, height=20)
    canvas.acroForm.checkbox(name="agreed", x=72, y=600)
    canvas.acroForm.textfield(
        name="remark", x=72, y=500, width=200, height=60, fieldFlags="multiline"
    )
    canvas.acroForm.choice(
        name="way", x=72, y=450, width=100, height=20, options=["Road", "Rail"], value="Road"
    )
    for number, value in enumerate(("one", "two")):
        canvas.acroForm.radio(name="sort", value=value, x=72 + 30 * number, y=400)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def publish(world: Any, form: bytes, **options: Any) -> Any:
    body = {
        "id": new_id("agr", at=world.clock.at),
        "title": "虚构订单",
        "matter": "donation",
        "no_amount": True,
        "signers": [
            {"organisation_id": one.organisation_id, "person_id": one.person_id, "role": "party"}
            for one in (world.donor, world.hospital)
        ],
        "expires_at": (world.clock.at + timedelta(days=20)).isoformat(),
        **options,
    }
    return world.client("donor").post(
        "/api/v1/agreements/upload",
        files={"file": ("a.pdf", form, "application/pdf")},
        data={"agreement": json.dumps(body)},
    )


def test_the_fields_of_a_pdf_are_listed_with_the_reason_that_closes_one(
    world: Any, form: bytes
) -> None:
    client = world.client("donor")
    found = client.post("/api/v1/form-fields", files={"file": ("a.pdf", form, "application/pdf")})
    assert {one["name"]: (one["page"], one["kind"], one["fault"]) for one in found.json()} == {
        "delivery": (1, "text", ""),
        "agreed": (1, "check", ""),
        "remark": (1, "lines", ""),
        "way": (1, "choice", ""),
        "sort": (1, "text", "radio"),
    }
    assert {one["name"]: one["options"] for one in found.json()}["way"] == ["Road", "Rail"]
    other = client.post("/api/v1/form-fields", files={"file": ("a.pdf", b"x", "application/pdf")})
    assert (other.status_code, other.json()["code"]) == (422, "pdf.not_pdf")


def test_a_signer_fills_their_own_field_and_is_told_what_does_not_fit(
    world: Any, form: bytes
) -> None:
    wanted = {"name": "delivery", "signer": 2, "label": "交货地点"}
    made = publish(world, form, fillable=[wanted]).json()
    [field] = made["fields"]
    assert (field["label"], field["required"], field["value"]) == ("交货地点", True, "")
    places = {one["organisation_id"]: one["id"] for one in made["signers"]}
    own, others = places[world.hospital.organisation_id], places[world.donor.organisation_id]
    client = world.client("hospital")
    client.post(f"/api/v1/signers/{own}/open")

    def fill(place: str, **values: str) -> Any:
        return client.post(f"/api/v1/signers/{place}/fields", json={"values": values})

    wide = fill(own, delivery="x" * 60)
    assert (wide.status_code, wide.json()["code"]) == (422, "form.value_too_long")
    assert wide.json()["context"] == {"field": "delivery", "label": "交货地点"}
    assert fill(own, nothing="x").json()["code"] == "form.field_unknown"
    assert fill(others, delivery="x").status_code == 404
    page = f"/api/v1/agreements/{made['id']}/pages/1"
    before = client.get(page).headers["etag"]
    assert fill(own, delivery="示例路2号").json()["fields"][0]["value"] == "示例路2号"
    assert client.get(page).headers["etag"] != before
    assert world.client("donor").get(page).headers["etag"] == before
    seen = world.client("donor").get(f"/api/v1/agreements/{made['id']}").json()
    assert seen["fields"][0]["value"] == "", "a draft is its writer's alone"


def test_boxes_lines_and_choices_are_filled_as_what_they_are(world: Any, form: bytes) -> None:
    fillable = [{"name": name, "signer": 2, "label": name} for name in ("agreed", "remark", "way")]
    made = publish(world, form, fillable=fillable).json()
    kinds = {one["name"]: (one["kind"], one["preset"], one["options"]) for one in made["fields"]}
    assert kinds == {
        "agreed": ("check", "Off", []),
        "remark": ("lines", "", []),
        "way": ("choice", "Road", ["Road", "Rail"]),
    }
    places = {one["organisation_id"]: one["id"] for one in made["signers"]}
    client = world.client("hospital")
    path = f"/api/v1/signers/{places[world.hospital.organisation_id]}"
    client.post(f"{path}/open")

    def fill(**values: str) -> Any:
        return client.post(f"{path}/fields", json={"values": values})

    for values, code in [
        ({"agreed": "yes"}, "form.value_invalid"),
        ({"way": "Ship"}, "form.value_invalid"),
        ({"way": "Ra\nil"}, "form.value_invalid"),
        ({"remark": "a\tb"}, "form.value_invalid"),
        ({"remark": "\n".join("123456")}, "form.value_too_long"),
        ({"remark": "x" * 1500}, "form.value_too_long"),
        ({"remark": "x" * 2001}, "input.invalid"),
    ]:
        told = fill(**values)
        assert (told.status_code, told.json()["code"]) == (422, code), values
    told = fill(agreed="On", remark=" one\r\ntwo \n", way="Rail").json()
    assert {one["name"]: one["value"] for one in told["fields"]} == {
        "agreed": "On",
        "remark": "one\ntwo",
        "way": "Rail",
    }
    told = fill(agreed="Off", way="").json()
    assert {one["name"]: one["value"] for one in told["fields"]} == {
        "agreed": "",
        "remark": "one\ntwo",
        "way": "",
    }, "what the author left is no value of the signer's"


def test_a_plan_that_the_file_does_not_bear_out_publishes_nothing(world: Any, form: bytes) -> None:
    for wanted, status, code in [
        ({"name": "sort", "signer": 2, "label": "x"}, 422, "form.field_closed"),
        ({"name": "nowhere", "signer": 2, "label": "x"}, 404, "form.field_unknown"),
        ({"name": "delivery", "signer": 3, "label": "x"}, 422, "form.filler"),
    ]:
        told = publish(world, form, fillable=[wanted])
        assert (told.status_code, told.json()["code"]) == (status, code)


def test_the_author_chooses_on_a_page_and_a_choice_that_cannot_be_is_shown_there(
    world: Any, form: bytes
) -> None:
    client = world.client("donor")
    attempt = new_id("agr", at=world.clock.at)
    typed = {
        "attempt": attempt,
        "title": "虚构订单",
        "matter": "donation",
        "no_amount": "yes",
        "expires_on": (world.clock.at + timedelta(days=20)).date().isoformat(),
        "who_1": world.donor.person_id,
        "role_1": "donor",
        "who_2": world.hospital.person_id,
        "role_2": "recipient",
        "role_3": "party",
        "form_fields": "yes",
    }
    sent = client.post(
        "/agreements/upload",
        data=typed,
        files={"file": ("a.pdf", form, "application/pdf")},
        headers=HTML,
        follow_redirects=False,
    )
    assert (sent.status_code, sent.headers.get("location")) == (
        303,
        f"/agreements/fields/{attempt}",
    )
    path = f"/agreements/fields/{attempt}"
    assert "交货" not in client.get(path, headers=HTML).text
    chosen = {"name": "delivery", "filler": "9", "label": "交货地点", "required": "delivery"}
    refused = client.post(path, data=chosen, headers=HTML)
    assert "form.filler" in refused.text
    assert "交货地点" in refused.text, "what was typed stays"
    done = client.post(path, data={**chosen, "filler": "2"}, headers=HTML, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, f"/agreements/{attempt}")
    page = client.get(f"/agreements/{attempt}", headers=HTML).text
    assert "交货地点" in page
    assert client.get(path, headers=HTML).status_code == 404, "published: the draft is gone"
