"""Real-name checks over HTTP: levels from records, codes, transfers, reviews, pages; what each refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from api.flows import verification_levels as levels
from api.flows.registration import register
from api.testing import invented_registration
from ledger.core.ids import new_id
from ledger.queries import identity as queries
from ledger.store import transaction
from ledger.tables.log import EntryRow
from ledger.tables.parties import (
    IdentityChallengeRow,
    IdentityCheckRow,
    IdentityDocumentRow,
    PartyRow,
)
from signing.identity import invented_resident_id

PNG = b"\x89PNG\r\n\x1a\n an invented identity card"
PHONE = "13800138000"


def ask(world: Any, login: str, kind: str, *, who: str = "person", **factors: str) -> Any:
    tenant = {"donor": world.donor, "hospital": world.hospital}[login]
    party = tenant.person_id if who == "person" else tenant.organisation_id
    body = {
        "id": new_id("chk", at=world.clock.at),
        "party_id": party,
        "kind": kind,
        "factors": factors,
        "consent_id": new_id("cst", at=world.clock.at),
    }
    return world.client(login).post("/api/v1/identity/checks", json=body)


def fill_in(world: Any, login: str, check: dict[str, Any], answer: str) -> Any:
    return world.client(login).post(
        f"/api/v1/identity/checks/{check['id']}/answer", json={"answer": answer}
    )


def level(world: Any, login: str, who: str = "person") -> dict[str, Any]:
    found = world.client(login).get("/api/v1/identity").json()
    return next(one for one in found if one["kind"] == who)


def code_of(answer: Any) -> str:
    return str(answer.json()["code"])


@pytest.fixture(scope="module", autouse=True)
def keys_for_a_year(world: Any) -> None:
    """Logins end after hours; each test here is a day later than the one before."""
    for login in ("donor", "hospital", "operator"):
        world.clients[login] = with_key(world, login)


def with_key(world: Any, login: str) -> TestClient:
    body = {"id": new_id("key", at=world.clock.at), "name": "invented", "days": 300}
    key = world.client(login).post("/api/v1/keys", json=body).json()["key"]
    return TestClient(world.app, headers={"Authorization": f"Bearer {key}"})


@pytest.fixture(autouse=True)
def a_day_apart(world: Any) -> None:
    """A code is sent to a party once a minute, and a day has its limits."""
    world.clock.at += timedelta(days=1)


def test_registration_is_the_first_check_and_codes_and_reviews_raise_the_level(world: Any) -> None:
    first = level(world, "donor")
    assert (first["level"], first["mock"]) == (1, True)
    assert [one["kind"] for one in first["checks"]] == ["person_name_number"]
    assert "identity.no_channel" in first["reasons"]
    asked = ask(world, "donor", "person_phone_code", phone=PHONE)
    assert asked.status_code == 201, asked.text
    check = asked.json()
    assert check["status"] == "pending"
    assert check["target_masked"] == "+86138****8000"
    assert (check["mock"], len(check["mock_answer"])) == (True, 6)
    assert PHONE not in asked.text
    done = fill_in(world, "donor", check, check["mock_answer"])
    assert (done.status_code, done.json()["status"]) == (200, "match")
    assert fill_in(world, "donor", check, check["mock_answer"]).status_code == 200
    assert level(world, "donor")["level"] == 2
    review = ask(world, "donor", "person_manual_review").json()
    upload(world, "donor", review)
    decided = decide(world, review)
    assert (decided.status_code, decided.json()["status"]) == (200, "match")
    found = level(world, "donor")
    assert found["level"] == 3
    assert found["until"] is not None


def upload(world: Any, login: str, check: dict[str, Any], data: bytes = PNG) -> Any:
    return world.client(login).post(
        f"/api/v1/identity/checks/{check['id']}/documents",
        data={"id": new_id("idd", at=world.clock.at)},
        files={"file": ("card.png", data, "image/png")},
    )


def decide(world: Any, check: dict[str, Any], **changes: str) -> Any:
    body = {"status": "match", "reviewer": "虚构审核员", "reason": "证件与登记一致（虚构）"}
    return world.client("operator").post(
        f"/api/v1/identity/reviews/{check['id']}", json={**body, **changes}
    )


def test_an_organisation_fills_in_the_amount_of_a_transfer(world: Any) -> None:
    asked = ask(
        world,
        "hospital",
        "organisation_transfer",
        who="organisation",
        account="6222 0000 1111 2222",
    )
    check = asked.json()
    assert asked.status_code == 201, asked.text
    assert check["mock_answer"].count(".") == 1
    assert check["tries_left"] == 3
    done = fill_in(world, "hospital", check, check["mock_answer"])
    assert done.json()["status"] == "match", done.text
    assert level(world, "hospital", "organisation")["level"] == 2


def test_three_wrong_amounts_end_a_transfer_for_good(world: Any) -> None:
    check = ask(
        world, "hospital", "organisation_transfer", who="organisation", account="62220000333344"
    ).json()
    answers = [fill_in(world, "hospital", check, "99.99") for _ in range(3)]
    assert [(one.status_code, code_of(one)) for one in answers] == [
        (422, "identity.code_wrong"),
        (422, "identity.code_wrong"),
        (409, "identity.code_dead"),
    ]
    right = fill_in(world, "hospital", check, check["mock_answer"])
    assert (right.status_code, code_of(right)) == (409, "identity.code_dead")
    found = level(world, "hospital", "organisation")
    assert found["checks"][0]["status"] == "mismatch"
    assert found["level"] == 2  # the earlier transfer still counts: a wrong amount accuses nobody


def test_a_wrong_code_is_counted_and_a_late_one_refused(world: Any) -> None:
    check = ask(world, "donor", "person_email_code", email="donor@example.invalid").json()
    wrong = "111111" if check["mock_answer"] != "111111" else "222222"
    answers = [fill_in(world, "donor", check, wrong) for _ in range(4)]
    assert [one.json()["context"]["tries_left"] for one in answers] == [4, 3, 2, 1]
    world.clock.at += timedelta(minutes=10)
    late = fill_in(world, "donor", check, check["mock_answer"])
    assert (late.status_code, code_of(late)) == (409, "identity.code_expired")


def test_only_a_keyed_digest_of_a_code_is_kept_and_no_number_in_clear(world: Any) -> None:
    check = ask(world, "donor", "person_phone_code", phone="13900139000").json()
    with transaction(world.app.state.shell.ports.readers) as session:
        row = session.get_one(IdentityChallengeRow, check["id"])
        kept = [str(value) for value in row.__dict__.values()]
        kept += [str(v) for v in session.get_one(IdentityCheckRow, check["id"]).__dict__.values()]
    assert not [one for one in kept if "13900139000" in one or check["mock_answer"] in one]
    assert len(row.answer_hmac) == 64


def test_a_code_is_sent_once_a_minute_and_the_same_id_sends_the_same(world: Any) -> None:
    body = {
        "id": new_id("chk", at=world.clock.at),
        "party_id": world.donor.person_id,
        "kind": "person_phone_code",
        "factors": {"phone": PHONE},
        "consent_id": new_id("cst", at=world.clock.at),
    }
    client = world.client("donor")
    first = client.post("/api/v1/identity/checks", json=body)
    again = client.post("/api/v1/identity/checks", json=body)
    assert (first.status_code, again.json()) == (201, first.json())
    other = client.post(
        "/api/v1/identity/checks", json={**body, "factors": {"phone": "13700137000"}}
    )
    assert (other.status_code, other.json()["context"]["field"]) == (409, "factors")
    soon = ask(world, "donor", "person_email_code", email="a@example.invalid")
    assert (soon.status_code, code_of(soon)) == (409, "identity.code_lately")
    world.clock.at += timedelta(minutes=1)
    assert ask(world, "donor", "person_email_code", email="a@example.invalid").status_code == 201


@pytest.mark.parametrize(
    ("kind", "factors", "code"),
    [
        ("person_phone_code", {"phone": "123"}, "identity.phone_format"),
        ("person_phone_code", {"phone": PHONE, "name": "somebody else"}, "identity.factors"),
        ("person_phone_code", {"phone": PHONE, "code": "123456"}, "identity.factors"),
        ("person_phone_code", {}, "identity.factors"),
        ("person_email_code", {"email": "nobody"}, "identity.email"),
        ("person_name_number_phone", {}, "identity.factors"),
        ("person_horoscope", {}, "identity.kind"),
        ("organisation_transfer", {"account": "62220000333344"}, "identity.kind"),
        ("person_manual_review", {"documents": "x"}, "identity.factors"),
    ],
)
def test_what_a_kind_does_not_take_is_refused(
    world: Any, kind: str, factors: dict[str, str], code: str
) -> None:
    answer = ask(world, "donor", kind, **factors)
    assert (answer.status_code, code_of(answer)) == (422, code)


def test_a_letter_cannot_be_claimed(world: Any) -> None:
    answer = ask(
        world, "donor", "organisation_representative_letter", who="organisation", letter="x"
    )
    assert (answer.status_code, code_of(answer)) == (422, "identity.kind")


def test_mismatches_are_limited_a_day_and_asking_is_too(world: Any) -> None:
    for _ in range(3):
        found = ask(world, "hospital", "person_face", capture="mismatch")
        assert found.json()["status"] == "mismatch"
    answer = ask(world, "hospital", "person_face", capture="fine")
    assert (answer.status_code, code_of(answer)) == (409, "identity.attempts_exhausted")
    world.clock.at += timedelta(days=1)
    assert ask(world, "hospital", "person_face", capture="fine").json()["status"] == "match"
    statuses = [
        ask(world, "hospital", "person_name_number_phone", phone=PHONE).status_code
        for _ in range(levels.ASKED_PER_DAY_MAX)
    ]
    assert statuses[:-1] == [201] * (levels.ASKED_PER_DAY_MAX - 1)
    assert statuses[-1] == 409
    assert level(world, "hospital")["level"] == 1  # a face beside data, without a channel


def test_no_record_is_no_mismatch_and_is_asked_again(world: Any) -> None:
    ports = world.app.state.shell.ports
    at = world.clock.at
    new = invented_registration("norecord", "donor", at=at)
    handler = replace(new.handler, name="虚构无记录")
    made = register(ports, replace(new, handler=handler), at=at)
    world.donor, before = (
        replace(world.donor, login="norecord", person_id=made.person.id),
        world.donor,
    )
    try:
        assert made.person.level == 0
        with transaction(ports.readers) as session:
            found = levels.level_of(session, ports, made.person.id, at=at)
            (check,) = queries.checks_of(session, [made.person.id])
        assert (int(found.level), check.status) == (0, "no_record")
        assert found.reasons == ("identity.no_data",)
        with transaction(ports.sessions) as session:  # the register has caught up since
            session.get_one(PartyRow, made.person.id).name = "虚构有记录"
        body = {
            "id": new_id("chk", at=at),
            "party_id": made.person.id,
            "kind": "person_name_number",
            "consent_id": new_id("cst", at=at),
        }
        answer = world.client("norecord").post("/api/v1/identity/checks", json=body)
        assert (answer.status_code, answer.json()["status"]) == (201, "match")
        with transaction(ports.readers) as session:
            assert session.get_one(PartyRow, made.person.id).level == 1
    finally:
        world.donor = before


def test_the_level_falls_when_a_check_ends_and_a_certificate_needs_a_level(world: Any) -> None:
    ports = world.app.state.shell.ports
    made = register(
        ports, invented_registration("ending", "donor", at=world.clock.at), at=world.clock.at
    )
    end = world.clock.at + timedelta(days=730)
    with transaction(ports.readers) as session:
        ids = [made.person.id, made.organisation.id]
        now = levels.levels_of(session, ports, ids, at=end - timedelta(seconds=1))
        then = levels.levels_of(session, ports, ids, at=end)
    assert [int(now[one].level) for one in ids] == [1, 1]
    assert [int(then[one].level) for one in ids] == [0, 0]


def test_a_review_needs_a_document_a_name_and_a_reason_and_is_decided_once(world: Any) -> None:
    check = ask(world, "hospital", "person_manual_review").json()
    early = decide(world, check)
    assert (early.status_code, code_of(early)) == (422, "identity.documents")
    bad = upload(world, "hospital", check, b"MZ an invented program")
    assert (bad.status_code, code_of(bad)) == (422, "identity.document_type")
    good = upload(world, "hospital", check)
    assert good.status_code == 201, good.text
    waiting = world.client("operator").get("/api/v1/identity/reviews").json()["reviews"]
    mine = next(one for one in waiting if one["check_id"] == check["id"])
    document = mine["documents"][0]["id"]
    shown = world.client("operator").get(f"/api/v1/identity/documents/{document}")
    assert (shown.status_code, shown.content) == (200, PNG)
    for client in (world.client("hospital"), world.client("donor")):
        assert client.get(f"/api/v1/identity/documents/{document}").status_code == 403
    nameless = decide(world, check, reviewer=" ")
    assert (nameless.status_code, code_of(nameless)) == (422, "identity.reviewer")
    assert decide(world, check, status="no_record").json()["status"] == "no_record"
    again = decide(world, check)
    assert (again.status_code, code_of(again)) == (409, "identity.decided")
    assert world.client("operator").get(f"/api/v1/identity/documents/{document}").status_code == 404
    ports = world.app.state.shell.ports
    with transaction(ports.readers) as session:
        row = session.get_one(IdentityDocumentRow, document)
        assert (row.sealed, len(row.sha256)) == (None, 64)
        entry = session.scalars(
            select(EntryRow).where(
                EntryRow.type == "identity.reviewed", EntryRow.subject == world.hospital.person_id
            )
        ).all()[-1]
        body = ports.vault.get(session, entry.id).body
    assert body["reviewer"] == "虚构审核员"
    assert body["documents"] == [row.sha256]
    assert "虚构审核员".encode() not in entry.bytes


def test_a_document_under_review_is_sealed(world: Any) -> None:
    check = ask(world, "donor", "person_manual_review").json()
    upload(world, "donor", check)
    with transaction(world.app.state.shell.ports.readers) as session:
        (row,) = queries.documents_of(session, [check["id"]])
        assert row.sealed is not None
        assert PNG not in row.sealed
        assert b"PNG" not in row.sealed


def test_every_answer_has_its_entry_and_every_level_its_record(world: Any) -> None:
    ports = world.app.state.shell.ports
    with transaction(ports.readers) as session:
        for tenant in (world.donor, world.hospital):
            for party in (tenant.person_id, tenant.organisation_id):
                answered = [
                    one for one in queries.checks_of(session, [party]) if one.status != "pending"
                ]
                entries = session.scalars(
                    select(EntryRow)
                    .where(EntryRow.type == "identity.checked", EntryRow.subject == party)
                    .order_by(EntryRow.order)
                ).all()
                bodies = [ports.vault.get(session, one.id).body for one in entries]
                assert {one["request"] for one in bodies} == {one.id for one in answered}
                assert bodies[-1]["level"] == session.get_one(PartyRow, party).level


def test_nobody_asks_or_answers_for_somebody_else(world: Any) -> None:
    check = ask(world, "donor", "person_phone_code", phone=PHONE).json()
    stolen = fill_in(world, "hospital", check, check["mock_answer"])
    assert (stolen.status_code, code_of(stolen)) == (404, "not_found")
    body = {
        "id": new_id("chk", at=world.clock.at),
        "party_id": world.donor.person_id,
        "kind": "person_name_number",
        "consent_id": new_id("cst", at=world.clock.at),
    }
    answer = world.client("hospital").post("/api/v1/identity/checks", json=body)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert world.anyone.post("/api/v1/identity/callbacks", json={"v": "x"}).status_code == 404


def test_the_pages_ask_answer_upload_and_decide(world: Any) -> None:
    client = world.client("donor")
    page = client.get("/me/identity", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "L3" in page.text
    attempt = new_id("chk", at=world.clock.at)
    form = {
        "attempt": attempt,
        "party_id": world.donor.organisation_id,
        "kind": "organisation_email_code",
        "email": "office@example.invalid",
        "consent": "yes",
    }
    html = {"Accept": "text/html"}
    refused = client.post("/me/identity/checks", data={**form, "consent": ""}, headers=html)
    assert refused.status_code == 403
    faulty = client.post("/me/identity/checks", data={**form, "email": "x"}, headers=html)
    assert (faulty.status_code, "identity.email" in faulty.text) == (422, True)
    sent = client.post("/me/identity/checks", data=form, headers=html, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/me/identity#{attempt}")
    with transaction(world.app.state.shell.ports.readers) as session:
        assert queries.challenges_of(session, [attempt])
    wrong = client.post(f"/me/identity/checks/{attempt}/answer", data={"answer": "x"}, headers=html)
    assert (wrong.status_code, "identity.code_wrong" in wrong.text) == (422, True)
    review = new_id("chk", at=world.clock.at)
    client.post(
        "/me/identity/checks",
        data={
            "attempt": review,
            "party_id": world.donor.organisation_id,
            "kind": "organisation_manual_review",
            "consent": "yes",
        },
    )
    up = client.post(
        f"/me/identity/checks/{review}/documents",
        data={"document": new_id("idd", at=world.clock.at)},
        files={"file": ("licence.pdf", b"%PDF-1.7 invented", "application/pdf")},
        follow_redirects=False,
    )
    assert up.status_code == 303
    operator = world.client("operator")
    queue = operator.get("/identity/reviews", headers=html)
    assert (queue.status_code, review in queue.text) == (200, True)
    done = operator.post(
        f"/identity/reviews/{review}",
        data={"status": "match", "reviewer": "虚构审核员", "reason": "虚构"},
        follow_redirects=False,
    )
    assert done.status_code == 303
    assert review not in operator.get("/identity/reviews", headers=html).text
    assert client.get("/identity/reviews", headers=html).status_code == 403


def test_an_operator_makes_the_transfer_where_nothing_is_mocked(world: Any) -> None:
    shell = world.app.state.shell
    settings = shell.ports.settings.model_copy(update={"identity_provider": "manual"})
    before = shell.ports
    world.app.state.shell = replace(shell, ports=replace(before, settings=settings))
    try:
        check = ask(
            world, "donor", "organisation_transfer", who="organisation", account="62229999888877"
        ).json()
        assert (check["mock"], check["mock_answer"]) == (False, None)
        early = fill_in(world, "donor", check, "0.01")
        assert (early.status_code, code_of(early)) == (409, "identity.not_sent")
        operator = world.client("operator")
        orders = operator.get("/api/v1/identity/reviews").json()["transfers"]
        order = next(one for one in orders if one["check_id"] == check["id"])
        assert order["account"] == "62229999888877"
        made = operator.post(f"/api/v1/identity/transfers/{check['id']}", json={})
        assert made.status_code == 200
        yuan = f"{order['amount_fen'] // 100}.{order['amount_fen'] % 100:02d}"
        done = fill_in(world, "donor", check, yuan)
        assert (done.json()["status"], done.json()["mock"]) == ("match", False)
    finally:
        world.app.state.shell = shell


def test_a_resident_number_of_somebody_invented_never_leaves(world: Any) -> None:
    number = invented_resident_id("donor", birth=date(1990, 1, 1))
    for path in ("/api/v1/identity", "/me/identity"):
        assert number not in world.client("donor").get(path).text
