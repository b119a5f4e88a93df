"""The forms: every fault beside its field with its code, nothing typed is lost, twice makes one record."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.callers import OPERATOR
from api.flows import supply
from api.testing import PASSWORD, invented_hospital, invented_pdf
from ledger.core.ids import new_id
from ledger.store import transaction
from signing.edge_seal import kept_for
from signing.identity import invented_resident_id, invented_uscc

HTML = {"Accept": "text/html"}


def faults_in(text: str) -> dict[str, str]:
    """Field -> code, as the page shows them."""
    found = re.findall(r'data-fault-of="(\w+)"[^>]*>[^<]+<code>([\w.]+)</code>', text)
    return dict(found)


def value_in(text: str, name: str) -> str:
    """What an input of the page holds."""
    [tag] = re.findall(rf'<input[^>]* name="{name}"[^>]*>', text)
    found = re.search(r' value="([^"]*)"', tag)
    return "" if found is None else found[1]


def post(client: Any, path: str, values: dict[str, str], **more: Any) -> Any:
    return client.post(path, data=values, headers=HTML, follow_redirects=False, **more)


@pytest.fixture(scope="module")
def hospital_id(world: Any) -> str:
    """A hospital behind the hospital's organisation."""
    at = world.clock.at
    ports = world.app.state.shell.ports
    hospital = invented_hospital(None, at=at, name="虚构第一医院")
    with transaction(ports.sessions) as session:
        session.add(hospital)
        session.flush()
        supply.link_hospital(
            session,
            ports,
            OPERATOR,
            hospital_id=hospital.id,
            organisation_id=world.hospital.organisation_id,
            at=at,
        )
        return hospital.id


def need(world: Any, hospital_id: str, **changes: str) -> dict[str, str]:
    return {
        "attempt": new_id("need", at=world.clock.at),
        "hospital_id": hospital_id,
        "item": "医用外科口罩",
        "specification": "YY 0469-2011",
        "quantity": "1,200",
        "urgency": "critical",
        "deadline_on": "2026-12-01",
        "remaining_days_min": "",
        "accepts_substitutes": "yes",
        **changes,
    }


def test_a_need_is_posted_once_and_shown(world: Any, hospital_id: str) -> None:
    client = world.client("hospital")
    form = client.get("/supply/needs/new", headers=HTML)
    assert value_in(form.text, "attempt").startswith("need_")
    values = need(world, hospital_id)
    for _ in range(2):
        answer = post(client, "/supply/needs", values)
        assert (answer.status_code, answer.headers["location"]) == (303, "/supply#needs")
    rows = [one for one in client.get("/api/v1/needs").json() if one["id"] == values["attempt"]]
    assert [(one["quantity"], one["tier"], one["item"]) for one in rows] == [
        (1200, 0, "mask_surgical")
    ]
    assert "医用外科口罩" in client.get("/supply", headers=HTML).text
    withdrawn = post(client, f"/supply/needs/{values['attempt']}/withdraw", {})
    assert withdrawn.status_code == 303


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        (
            {"quantity": "many", "deadline_on": "soon", "item": ""},
            {"quantity": "form.number", "deadline_on": "form.date", "item": "form.required"},
        ),
        ({"quantity": "0"}, {"quantity": "form.range"}),
        ({"item": "不存在的物资"}, {"item": "item.unknown"}),
        ({"deadline_on": "2026-01-01"}, {"deadline_on": "need.deadline_past"}),
        ({"hospital_id": "hos_x"}, {"hospital_id": "not_found"}),
        ({"urgency": "x"}, {"urgency": "form.choice"}),
        ({"remaining_days_min": "-1"}, {"remaining_days_min": "form.range"}),
    ],
    ids=lambda value: "" if "form" in str(value) else str(value)[:30],
)
def test_a_faulty_need_says_where_and_keeps_what_was_typed(
    world: Any, hospital_id: str, changes: dict[str, str], faults: dict[str, str]
) -> None:
    values = need(world, hospital_id) | changes
    answer = post(world.client("hospital"), "/supply/needs", values)
    assert answer.status_code in (404, 422)
    assert faults_in(answer.text) == faults
    for name in ("quantity", "deadline_on", "item", "attempt"):
        assert value_in(answer.text, name) == values[name]
    assert values["specification"] in answer.text


def test_an_organisation_without_a_hospital_is_told_so(world: Any) -> None:
    assert "运营者" in world.client("donor").get("/supply/needs/new", headers=HTML).text


def offer(world: Any, **changes: str) -> dict[str, str]:
    return {
        "attempt": new_id("offer", at=world.clock.at),
        "kind": "lot",
        "item": "mask_surgical",
        "quantity": "500",
        "windows": "1",
        "province": "江西",
        "city": "南昌",
        "longitude": "115.8579",
        "latitude": "28.682",
        "available_on": "2026-11-24",
        "produced_on": "2026-10-01",
        "expires_on": "2028-09-30",
        "batch_number": "虚构-1",
        "standard": "YY 0469",
        "edition": "2011",
        "certificate": "2",
        **changes,
    }


def test_a_lot_and_a_capacity_are_posted_and_the_place_is_remembered(world: Any) -> None:
    client = world.client("donor")
    lot = offer(world)
    line = offer(
        world, kind="capacity", windows="7", produced_on="", expires_on="", batch_number=""
    )
    for values in (lot, line):
        answer = post(client, "/supply/offers", values)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/supply#offers")
    found = {one["id"]: one for one in client.get("/api/v1/offers").json()}
    assert (found[lot["attempt"]]["kind"], found[lot["attempt"]]["batch_number"]) == (
        "lot",
        "虚构-1",
    )
    assert (found[line["attempt"]]["kind"], found[line["attempt"]]["windows"]) == ("capacity", 7)
    form = client.get("/supply/offers/new", headers=HTML).text
    assert (value_in(form, "longitude"), value_in(form, "latitude")) == ("115.8579", "28.682")
    assert post(client, f"/supply/offers/{lot['attempt']}/withdraw", {}).status_code == 303


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"longitude": "east"}, {"longitude": "form.number"}),
        ({"latitude": "91"}, {"latitude": "form.range"}),
        ({"item": ""}, {"item": "form.required"}),
        ({"expires_on": "2026-11-01"}, {"expires_on": "offer.expired"}),
        ({"expires_on": "2026-09-01"}, {"expires_on": "offer.dates"}),
        ({"expires_on": ""}, {"expires_on": "offer.expiry_missing"}),
        ({"batch_number": ""}, {"batch_number": "form.required"}),
        ({"kind": "capacity", "windows": "400"}, {"windows": "form.range"}),
        ({"certificate": "9"}, {"certificate": "form.range"}),
    ],
    ids=str,
)
def test_a_faulty_offer_says_where_and_keeps_what_was_typed(
    world: Any, changes: dict[str, str], faults: dict[str, str]
) -> None:
    values = offer(world, **changes)
    answer = post(world.client("donor"), "/supply/offers", values)
    assert answer.status_code == 422
    assert faults_in(answer.text) == faults
    for name in ("quantity", "longitude", "batch_number", "city", "expires_on"):
        assert value_in(answer.text, name) == values[name]


def handler(world: Any, login: str, **changes: str) -> dict[str, str]:
    return {
        "attempt": new_id("reg", at=world.clock.at),
        "name": "虚构新人",
        "resident_id": invented_resident_id(login, birth=world.clock.at.date().replace(year=1991)),
        "login": login,
        "password": PASSWORD,
        "invented": "yes",
        "consent": "yes",
        **changes,
    }


def test_a_handler_is_added_and_their_authority_revoked(world: Any) -> None:
    client = world.client("donor")
    values = handler(world, "form-handler")
    for _ in range(2):
        assert post(client, "/me/handlers", values).status_code == 303
    page = client.get("/me", headers=HTML).text
    assert "虚构新人" in page
    held = client.get("/api/v1/organisation").json()["authorisations"]
    [mine] = [one for one in held if one["person_id"] != world.donor.person_id]
    assert post(client, f"/me/authorisations/{mine['id']}/revoke", {}).status_code == 303
    after = client.get("/api/v1/organisation").json()["authorisations"]
    assert [one["revoked_at"] is not None for one in after if one["id"] == mine["id"]] == [True]
    new = world.client("form-handler")
    # The administrator chose the password: nothing is open before the handler has chosen another.
    held_back = post(new, "/me/handlers", handler(world, "not-mine"))
    assert (held_back.status_code, held_back.headers["location"]) == (303, "/me/password")
    own = {"password": PASSWORD, "new_password": "only I know this", "again": "only I know this"}
    assert post(new, "/me/password", own).status_code == 303
    assert post(new, "/me/handlers", handler(world, "not-mine")).status_code == 403


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"name": ""}, {"name": "form.required"}),
        ({"resident_id": "110105194912310021"}, {"resident_id": "identity.rid_checksum"}),
        ({"login": "A B"}, {"login": "account.login_malformed"}),
        ({"password": "short"}, {"password": "account.password_short"}),
        ({"consent": ""}, {"consent": "account.no_consent"}),
    ],
    ids=str,
)
def test_a_faulty_handler_says_where_and_no_secret_comes_back(
    world: Any, changes: dict[str, str], faults: dict[str, str]
) -> None:
    values = handler(world, f"faulty-{next(iter(changes))}") | changes
    answer = post(world.client("donor"), "/me/handlers", values)
    assert faults_in(answer.text) == faults
    assert value_in(answer.text, "name") == values["name"]
    assert value_in(answer.text, "resident_id") == value_in(answer.text, "password") == ""
    assert PASSWORD not in answer.text


def uploaded(world: Any, **changes: str) -> dict[str, str]:
    return {
        "attempt": new_id("agr", at=world.clock.at),
        "title": "虚构协议",
        "matter": "donation",
        "no_amount": "yes",
        "expires_on": "2026-12-20",
        "who_1": world.donor.person_id,
        "role_1": "donor",
        "who_2": "hospital",
        "role_2": "recipient",
        "role_3": "party",
        **changes,
    }


def send_pdf(world: Any, values: dict[str, str], data: bytes | None = None) -> Any:
    data = invented_pdf(pages=1) if data is None else data
    files = {"file": ("a.pdf", data, "application/pdf")} if data else None
    return post(world.client("donor"), "/agreements/upload", values, files=files)


@pytest.mark.parametrize("who", ["login", "person", "organisation"])
def test_the_counterpart_is_found_by_login_or_party_id(world: Any, who: str) -> None:
    named = {
        "login": "Hospital ",
        "person": world.hospital.person_id,
        "organisation": world.hospital.organisation_id,
    }[who]
    values = uploaded(world, who_2=named)
    for _ in range(2):
        answer = send_pdf(world, values)
        assert answer.status_code == 303, faults_in(answer.text)
    facts = world.client("hospital").get(f"/api/v1/agreements/{values['attempt']}").json()
    assert [one["person_id"] for one in facts["signers"]] == [
        world.donor.person_id,
        world.hospital.person_id,
    ]


@pytest.mark.parametrize(
    ("changes", "data", "faults"),
    [
        ({"who_2": "nobody"}, None, {"who_2": "signer.unknown"}),
        ({"who_2": "operator"}, None, {"who_2": "signer.unknown"}),
        ({"title": ""}, None, {"title": "form.required"}),
        ({"expires_on": "2026-01-01"}, None, {"expires_on": "agreement.expiry"}),
        ({"who_2": "donor"}, None, {"who_2": "agreement.signer_twice"}),
        ({}, b"", {"file": "form.required"}),
    ],
    ids=["unknown", "operator", "no title", "past", "twice", "no file"],
)
def test_a_faulty_upload_says_where_and_keeps_what_was_typed(
    world: Any, changes: dict[str, str], data: bytes | None, faults: dict[str, str]
) -> None:
    values = uploaded(world, **changes)
    answer = send_pdf(world, values, data)
    assert answer.status_code >= 400
    assert faults_in(answer.text) == faults
    assert value_in(answer.text, "title") == values["title"]
    assert value_in(answer.text, "who_2") == values["who_2"]


@pytest.mark.parametrize("edges", ["left", "none", "top"])
def test_the_form_says_along_which_edges_seals_may_run(world: Any, edges: str) -> None:
    values = uploaded(world, edges=edges)
    answer = send_pdf(world, values, invented_pdf(pages=3))
    if edges == "top":
        assert faults_in(answer.text) == {"edges": "form.choice"}
        return
    assert answer.status_code == 303, faults_in(answer.text)
    ports = world.app.state.shell.ports
    facts = world.client("donor").get(f"/api/v1/agreements/{values['attempt']}").json()
    kept = kept_for(ports.blobs.get(facts["document_sha256"]))
    assert len(kept) == (0 if edges == "none" else 2)


def test_a_broken_pdf_is_told_beside_the_file(world: Any) -> None:
    answer = send_pdf(world, uploaded(world), b"%PDF-1.7\ngarbage")
    [(field, code)] = faults_in(answer.text).items()
    assert (answer.status_code, field, code.split(".")[0]) == (422, "file", "pdf")


def template(world: Any, **changes: str) -> dict[str, str]:
    party = {
        "address": "虚构市虚构路 1 号",
        "legal_representative": "虚构代表",
        "phone": "000-0000-0000",
        "email": "x@example.invalid",
        "system": "fuqi",
    }
    return {
        "attempt": new_id("agr", at=world.clock.at),
        "title": "虚构公益捐赠协议",
        "agreement_no": "FQ-TEST-1",
        "expires_on": "2026-12-20",
        "place": "武汉",
        "own_side": "donor",
        "who_1": world.donor.person_id,
        "who_2": "hospital",
        **{f"{side}_{key}": text for side in ("own", "other") for key, text in party.items()},
        "own_uscc": invented_uscc("donor"),
        "other_uscc": invented_uscc("hospital"),
        "name": "医用外科口罩",
        "standard": "YY 0469",
        "edition": "2011",
        "lot": "虚构-1",
        "expiry": "2028-09-30",
        "quantity": "500",
        "unit": "只",
        "deadline": "2026-12-01",
        "delivery_place": "虚构医院仓库",
        "consignee": "虚构收货人",
        "purpose": "用于受赠医院临床一线防护",
        "institution": "示例（虚构）仲裁委员会",
        "seat": "武汉",
        "years": "20",
        "no_amount": "yes",
        **changes,
    }


def test_the_template_form_makes_an_agreement_of_two(world: Any) -> None:
    client = world.client("donor")
    assert client.get("/agreements/template", headers=HTML).status_code == 200
    values = template(world)
    for _ in range(2):
        answer = post(client, "/agreements/template", values)
        assert answer.status_code == 303, faults_in(answer.text)
    facts = client.get(f"/api/v1/agreements/{values['attempt']}").json()
    assert (facts["origin"], facts["template"]) == ("template", "donation")
    assert [one["role"] for one in facts["signers"]] == ["donor", "recipient"]
    assert facts["signers"][0]["mine"] is True


def test_the_recipient_may_start_it_too(world: Any) -> None:
    values = template(
        world,
        own_side="recipient",
        who_1=world.hospital.person_id,
        who_2="donor",
        own_uscc=invented_uscc("hospital"),
        other_uscc=invented_uscc("donor"),
    )
    answer = post(world.client("hospital"), "/agreements/template", values)
    assert answer.status_code == 303, faults_in(answer.text)
    facts = world.client("hospital").get(f"/api/v1/agreements/{values['attempt']}").json()
    assert [one["mine"] for one in facts["signers"]] == [False, True]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"own_uscc": "123"}, {"own_uscc": "identity.uscc_length"}),
        ({"other_uscc": invented_uscc("donor")}, {"other_uscc": "form.uscc_other"}),
        ({"quantity": "0", "unit": ""}, {"quantity": "form.range", "unit": "form.required"}),
        ({"years": "1"}, {"years": "form.range"}),
        ({"who_2": "nobody"}, {"who_2": "signer.unknown"}),
        ({"deadline": "x"}, {"deadline": "form.date"}),
    ],
    ids=str,
)
def test_a_faulty_template_form_says_where(
    world: Any, changes: dict[str, str], faults: dict[str, str]
) -> None:
    values = template(world, **changes)
    answer = post(world.client("donor"), "/agreements/template", values)
    assert answer.status_code == 422
    assert faults_in(answer.text) == faults
    assert value_in(answer.text, "delivery_place") == values["delivery_place"]
