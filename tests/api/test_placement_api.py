"""Placing signature fields over HTTP: drafts, pages, anchors, publishing; and whose they are."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from api.testing import invented_pdf
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from signing.pdf_reading import form_of, open_reader


@pytest.fixture
def draft(world: Any) -> str:
    """A kept upload of the donor."""
    draft_id = new_id("agr", at=world.clock.at)
    answer = keep(world, draft_id)
    assert answer.status_code == 201, answer.text
    assert answer.json()["pages"] == [{"width": 595, "height": 842}] * 2
    return draft_id


def keep(world: Any, draft_id: str, *, pages: int = 2, login: str = "donor") -> Any:
    return world.client(login).post(
        f"/api/v1/placement/{draft_id}",
        files={"file": ("a.pdf", invented_pdf(pages=pages), "application/pdf")},
    )


def boxes(world: Any, draft_id: str, *fields: dict[str, Any]) -> Any:
    return world.client("donor").post(
        f"/api/v1/placement/{draft_id}/boxes", json={"fields": list(fields)}
    )


def test_a_draft_is_kept_shown_and_seen_by_its_organisation_only(world: Any, draft: str) -> None:
    client = world.client("donor")
    page = client.get(f"/api/v1/placement/{draft}/pages/1")
    assert page.content.startswith(b"\x89PNG")
    cached = client.get(
        f"/api/v1/placement/{draft}/pages/1", headers={"If-None-Match": page.headers["etag"]}
    )
    assert cached.status_code == 304
    assert client.get(f"/api/v1/placement/{draft}/pages/3").status_code == 404
    for path in ("", "/pages/1"):
        other = world.client("hospital").get(f"/api/v1/placement/{draft}{path}")
        assert other.status_code == 404


def test_the_same_upload_again_is_the_same_draft_and_another_file_is_refused(
    world: Any, draft: str
) -> None:
    assert keep(world, draft).status_code == 201
    other = keep(world, draft, pages=1)
    assert (other.status_code, other.json()["code"]) == (409, "placement.other_file")
    assert keep(world, draft, login="hospital").status_code == 404


def test_a_draft_is_gone_after_its_day(world: Any, draft: str) -> None:
    world.clock.at += timedelta(days=1)
    try:
        assert world.client("donor").get(f"/api/v1/placement/{draft}").status_code in (401, 404)
    finally:
        world.clock.at -= timedelta(days=1)


def test_boxes_are_found_beside_a_text_or_refused(world: Any, draft: str) -> None:
    found = boxes(world, draft, {"anchor": "An invented clause", "nth": 21}).json()
    assert [(one["name"], one["page"]) for one in found] == [("party1", 2)]
    missing = boxes(world, draft, {"anchor": "An invented clause", "nth": 41})
    assert (missing.status_code, missing.json()["code"]) == (422, "placement.anchor_missing")
    assert missing.json()["context"]["found"] == 40
    outside = boxes(world, draft, {"page": 3, "x": 0, "y": 0})
    assert outside.json()["code"] == "placement.outside"


def test_a_box_over_figures_is_refused_while_it_is_placed(world: Any, draft: str) -> None:
    """The clauses' numbers stand at 72 points from the left; beside them there is only text."""
    beside = {"page": 1, "x": 110, "y": 500}
    over = {"page": 2, "x": 60, "y": 500}
    assert boxes(world, draft, beside).status_code == 200
    refused = boxes(world, draft, beside, over)
    assert (refused.status_code, refused.json()["code"]) == (422, "placement.covered")
    assert refused.json()["context"] == {
        "box": 2,
        "field": "party2",
        "page": 2,
        "over": "figures",
    }
    anchored = boxes(world, draft, {"anchor": "An invented clause", "nth": 3, "dx": -150})
    assert anchored.json()["code"] == "placement.covered"


def agreement_of(world: Any, *fields: dict[str, Any]) -> Any:
    body = {
        "id": new_id("agr", at=world.clock.at),
        "title": "虚构协议",
        "matter": "donation",
        "no_amount": True,
        "signers": [
            {"organisation_id": one.organisation_id, "person_id": one.person_id, "role": "party"}
            for one in (world.donor, world.hospital)
        ],
        "expires_at": (world.clock.at + timedelta(days=20)).isoformat(),
        "fields": list(fields),
    }
    return world.client("donor").post(
        "/api/v1/agreements/upload",
        files={"file": ("a.pdf", invented_pdf(), "application/pdf")},
        data={"agreement": json.dumps(body)},
    )


def placed(world: Any, agreement_id: str) -> dict[str, tuple[int, int, int]]:
    ports = world.app.state.shell.ports
    with transaction(ports.readers) as session:
        row = session.get_one(AgreementRow, agreement_id)
    form = form_of(open_reader(ports.blobs.get(row.document_sha256))[0])
    found = {name: form.boxes[name] for name in form.empty}  # not those of page-edge seals
    return {name: (one.page, round(one.left), round(one.bottom)) for name, one in found.items()}


def test_an_upload_names_where_its_fields_stand(world: Any) -> None:
    answer = agreement_of(
        world, {"page": 1, "x": 300, "y": 20}, {"anchor": "An invented clause", "nth": -1}
    )
    assert answer.status_code == 201, answer.text
    seats = placed(world, answer.json()["id"])
    assert seats["party1"] == (0, 300, 20)
    assert seats["party2"][0] == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([{"page": 1}], "agreement.fields"),
        ([{"page": 1, "x": 10, "y": 10}, {"page": 1, "x": 20, "y": 10}], "placement.overlap"),
        ([{"page": 1, "x": 10, "y": 10}, {"anchor": "nowhere"}], "placement.anchor_missing"),
        ([{"page": 1, "x": 10, "y": 10}, {"page": 2, "x": 60, "y": 500}], "placement.covered"),
        ([{"page": 1, "x": 10, "y": 10, "colour": "red"}, {"page": 2}], "input.invalid"),
    ],
)
def test_fields_that_cannot_stand_refuse_the_upload(
    world: Any, fields: list[dict[str, Any]], code: str
) -> None:
    answer = agreement_of(world, *fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_the_page_publishes_with_the_fields_where_they_were_put(world: Any) -> None:
    client = world.client("donor")
    attempt = new_id("agr", at=world.clock.at)
    sent = client.post(
        "/agreements/upload",
        data={
            "attempt": attempt,
            "title": "虚构协议",
            "matter": "donation",
            "no_amount": "yes",
            "expires_on": "2026-12-20",
            "who_1": world.donor.person_id,
            "role_1": "donor",
            "who_2": "hospital",
            "role_2": "recipient",
            "role_3": "party",
            "place": "yes",
        },
        files={"file": ("a.pdf", invented_pdf(), "application/pdf")},
        follow_redirects=False,
    )
    assert sent.headers["location"] == f"/agreements/place/{attempt}", sent.text[:500]
    page = client.get(f"/agreements/place/{attempt}").text
    assert len(re.findall(r'data-page="\d"', page)) == 2
    wrong = client.post(f"/agreements/place/{attempt}", data={"fields": "[{}]"})
    assert "agreement.fields" in wrong.text
    covered = [{"page": 2, "x": 40, "y": 300}, {"page": 2, "x": 300, "y": 180}]
    refused = client.post(
        f"/agreements/place/{attempt}",
        data={"fields": json.dumps(covered)},
        follow_redirects=False,
    )
    assert "placement.covered" in refused.text
    assert "第 1 个签名框（第 2 页）" in refused.text
    fields = [{"page": 2, "x": 40, "y": 180}, {"page": 2, "x": 300, "y": 180}]
    done = client.post(
        f"/agreements/place/{attempt}",
        data={"fields": json.dumps(fields)},
        follow_redirects=False,
    )
    assert done.headers["location"] == f"/agreements/{attempt}"
    assert placed(world, attempt) == {"party1": (1, 40, 180), "party2": (1, 300, 180)}
    assert client.get(f"/agreements/place/{attempt}").status_code == 404
