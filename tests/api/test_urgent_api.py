"""Urgent needs over HTTP: decided in the answer, proven, offered to donors, limited; the next round goes on."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from api.callers import OPERATOR
from api.commands.round import app as round_command
from api.flows import rounds
from api.flows.matched import match_facts, match_subjects
from api.testing_market import add_hospital
from api.worker import settle
from ledger.core.canonical import canonical_bytes
from ledger.core.ids import new_id
from ledger.embedded_chain import EmbeddedChain
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.log import EntryRow
from ledger.tables.supply import AllocationRow
from matching.check import check_plan
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import problem_from_json

PLACE = {
    "province": "湖北",
    "city": "武汉市",
    "longitude_micro": 114_305_469,
    "latitude_micro": 30_593_175,
}


@pytest.fixture(scope="module")
def ports(world: Any) -> Any:
    return world.app.state.shell.ports


@pytest.fixture(scope="module")
def hospital(world: Any, ports: Any) -> str:
    return add_hospital(ports, world.hospital.organisation_id, at=world.clock.at, name="虚构一院")


@pytest.fixture(scope="module")
def other(world: Any, ports: Any) -> str:
    return add_hospital(ports, world.hospital.organisation_id, at=world.clock.at, name="虚构二院")


def offer(world: Any, *, item: str = "mask_surgical", quantity: int = 1000, **changes: Any) -> str:
    day = world.clock.at.date()
    masks = {"standard": "YY 0469", "edition": "2011"} if item == "mask_surgical" else {}
    body = {
        "id": new_id("offer", at=world.clock.at),
        "kind": "lot",
        "item": item,
        "quantity": quantity,
        "place": PLACE,
        "available_on": day.isoformat(),
        "produced_on": (day - timedelta(days=60)).isoformat(),
        "expires_on": (day + timedelta(days=600)).isoformat(),
        "batch_number": "虚构-1",
        "certificate": 2,
        **masks,
        **changes,
    }
    answer = world.client("donor").post("/api/v1/offers", json=body)
    assert answer.status_code == 201, answer.text
    return str(body["id"])


def urgent(world: Any, hospital: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": new_id("need", at=world.clock.at),
        "hospital_id": hospital,
        "item": "医用外科口罩",
        "quantity": 300,
        "deadline_on": (world.clock.at.date() + timedelta(days=2)).isoformat(),
        "reason": "库存只够今天",
        **changes,
    }


def post(world: Any, body: dict[str, Any], login: str = "hospital") -> Any:
    return world.client(login).post("/api/v1/urgent-needs", json=body)


@pytest.fixture
def next_day(world: Any) -> None:
    """A fresh allowance of the day; logins last."""
    world.clock.at += timedelta(days=1)
    world.clients.clear()


def state_of(ports: Any, name: str, round_id: str) -> dict[str, Any]:
    with transaction(ports.readers) as session:
        return dict(rounds.round_document(session, round_id=round_id, name=name))


def test_an_urgent_need_is_decided_in_the_answer_with_proof_and_receipt(
    world: Any, ports: Any, hospital: str
) -> None:
    given = offer(world)
    body = urgent(world, hospital)
    answer = post(world, body)
    assert answer.status_code == 201, answer.text
    facts = answer.json()
    assert (facts["served"], facts["held"], facts["state"], facts["why"]) == (
        300,
        300,
        "filled",
        None,
    )
    assert [(one["offer_id"], one["quantity"], one["state"]) for one in facts["lines"]] == [
        (given, 300, "proposed")
    ]
    assert facts["checker"] == "passed"
    # A stranger with the documents and the receipt's digests checks the decision from the start.
    problem = problem_from_json(state_of(ports, "problem", facts["round_id"]))
    plan = plan_from_json(state_of(ports, "plan", facts["round_id"]))
    certificate = certificate_from_json(state_of(ports, "certificate", facts["round_id"]))
    check_plan(problem, plan, certificate).require()
    assert problem.digest().hex() == facts["inputs_sha256"]
    assert certificate.digest().hex() == facts["certificate_sha256"]
    assert facts["receipt"]["state"] == "journaled"
    assert facts["receipt"]["private"]["body"]["round"] == facts["round_id"]
    with transaction(ports.readers) as session:
        kinds = {
            row.type
            for row in session.scalars(
                select(EntryRow).where(EntryRow.subject.in_([body["id"], facts["round_id"]]))
            )
        }
    assert kinds == {"need.posted", "need.urgent", "round.opened", "round.closed"}


def test_an_arbitrator_verifies_the_decision_offline_like_a_rounds(
    world: Any, ports: Any, hospital: str, tmp_path: Path
) -> None:
    offer(world)
    facts = post(world, urgent(world, hospital)).json()
    for name in ("problem", "plan", "certificate"):
        value = state_of(ports, name, facts["round_id"])
        (tmp_path / f"{name}.json").write_bytes(canonical_bytes(value))
    done = CliRunner().invoke(round_command, ["verify", str(tmp_path)])
    assert done.exit_code == 0, done.output
    plan = state_of(ports, "plan", facts["round_id"])
    plan["flows"][0][2] -= 1
    (tmp_path / "plan.json").write_bytes(canonical_bytes(plan))
    assert CliRunner().invoke(round_command, ["verify", str(tmp_path)]).exit_code == 1


def test_the_decision_stands_on_the_chain_and_the_donor_is_told(
    world: Any, ports: Any, hospital: str, next_day: None, tmp_path: Path
) -> None:
    offer(world)
    facts = post(world, urgent(world, hospital, quantity=20)).json()
    round_id = facts["round_id"]
    donor = world.client("donor")
    told = [
        one for one in donor.get("/api/v1/notices", params={"limit": 100}).json()
        if one["subject"] == round_id
    ]  # fmt: skip
    assert [one["kind"] for one in told] == ["round.urgent_line"]
    assert f"/rounds/{round_id}#lines" in donor.get("/rounds").text
    # The answer waits for none of it: the worker comes after.
    assert donor.get(f"/api/v1/rounds/{round_id}").json()["chain"]["state"] == "waiting"
    seconds = itertools.count(int(world.clock.at.timestamp()))
    chain = EmbeddedChain(tmp_path / "chain", clock=lambda: float(next(seconds)))
    settle(ports, chain, clock=world.clock)
    chain.close()
    shown = donor.get(f"/api/v1/rounds/{round_id}").json()["chain"]
    assert (shown["state"], [one["call"] for one in shown["acts"]]) == ("proven", ["open", "prove"])
    for name in ("problem", "plan", "certificate"):
        (tmp_path / f"{name}.json").write_bytes(canonical_bytes(state_of(ports, name, round_id)))
    record = donor.get(f"/api/v1/rounds/{round_id}/chain").json()
    (tmp_path / "chain.json").write_text(json.dumps(record), "utf-8")
    done = CliRunner().invoke(round_command, ["verify", str(tmp_path), "--json"])
    checks = {one["code"]: one["verdict"] for one in json.loads(done.output)["checks"]}
    # Without a trust file whose log it is stays open.
    assert (checks["round.chain"], checks["round.chain_receipts"]) == ("passed", "indeterminate")
    assert donor.get("/rounds/" + round_id).text.count("合约已逐项验证") == 1


def test_evidence_of_an_agreement_from_it_names_its_round_and_its_rule(
    world: Any, ports: Any, hospital: str
) -> None:
    """What a bundle discloses of the match; `agreement.allocation` compares it with the log, offline."""
    offer(world)
    facts = post(world, urgent(world, hospital)).json()
    with transaction(ports.readers) as session:
        subjects = match_subjects(session, facts["lines"][0]["id"])
        rows = log_queries.entries_of(session, subjects)
        told = match_facts([ports.vault.get(session, row.id).body for row in rows])
    assert subjects == (facts["lines"][0]["id"], facts["round_id"], facts["need_id"])
    assert told is not None
    assert told["urgent_policy_sha256"] == facts["urgent_policy_sha256"]
    assert told["certificate_sha256"] == facts["certificate_sha256"]
    assert (told["need"], told["quantity"]) == (facts["need_id"], 300)


def test_the_same_request_again_is_the_same_decision(world: Any, hospital: str) -> None:
    offer(world)
    body = urgent(world, hospital)
    first, again = post(world, body), post(world, body)
    world.clock.at += timedelta(minutes=1)
    later = post(world, body)
    assert (first.status_code, later.status_code) == (201, 200)
    assert first.json()["round_id"] == again.json()["round_id"] == later.json()["round_id"]
    changed = post(world, {**body, "reason": "另一个理由"})
    assert (changed.status_code, changed.json()["context"]["field"]) == (409, "reason")
    changed = post(world, {**body, "quantity": 1})
    assert (changed.status_code, changed.json()["context"]["field"]) == (409, "quantity")


@pytest.mark.usefixtures("next_day")
def test_who_asks_for_more_than_there_is_gets_the_rest_explained(world: Any, hospital: str) -> None:
    offer(world, item="thermometer", quantity=70, expires_on=None)
    answer = post(world, urgent(world, hospital, item="额温枪", quantity=100))
    facts = answer.json()
    assert answer.status_code == 201, facts
    assert (facts["served"], facts["state"]) == (70, "partly"), facts
    assert facts["why_zh"]
    nothing = post(world, urgent(world, hospital, item="额温枪", quantity=5)).json()
    assert (nothing["served"], nothing["lines"], nothing["state"]) == (0, [], "not")


@pytest.mark.usefixtures("next_day")
def test_an_urgent_need_jumps_no_queue(world: Any, ports: Any, hospital: str, other: str) -> None:
    """Another hospital's critical need of the same size waits: the optimum shares, evenly."""
    waiting = {
        "id": new_id("need", at=world.clock.at),
        "hospital_id": other,
        "item": "护目镜",
        "quantity": 100,
        "urgency": "critical",
        "deadline_on": (world.clock.at.date() + timedelta(days=5)).isoformat(),
    }
    assert world.client("hospital").post("/api/v1/needs", json=waiting).status_code == 201
    offer(world, item="goggles", quantity=100)
    facts = post(world, urgent(world, hospital, item="护目镜", quantity=100)).json()
    assert facts["needs"] == 2
    assert facts["served"] == 50
    with transaction(ports.readers) as session:
        lines = supply_queries.allocations_page(session, need_id=waiting["id"])
    assert lines == []  # what is its due waits for it in the living plan, nobody has decided it yet


@pytest.mark.usefixtures("next_day")
def test_a_hospital_has_its_urgent_needs_of_a_day_and_no_more(
    world: Any, hospital: str, other: str
) -> None:
    limit = (
        world.client("hospital").get("/api/v1/urgent-policy").json()["policy"]["per_hospital_day"]
    )
    for number in range(1, limit + 1):
        answer = post(world, urgent(world, hospital, quantity=1))
        assert (answer.status_code, answer.json()["number"]) == (201, number)
    refused = post(world, urgent(world, hospital, quantity=1))
    assert (refused.status_code, refused.json()["code"]) == (409, "urgent.day_limit")
    assert refused.json()["context"]["limit"] == limit
    # Nothing of the refused one stays, and the other hospital has its own.
    assert post(world, urgent(world, other, quantity=1)).json()["number"] == 1


@pytest.mark.usefixtures("next_day")
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"reason": " "}, 422, "supply.reason"),
        ({"quantity": 0}, 422, "need.quantity_zero"),
        ({"item": "呼吸机配件"}, 422, "item.unknown"),
        ({"deadline_on": "2099-01-01"}, 422, "urgent.deadline_far"),
        ({"deadline_on": "2020-01-01"}, 422, "need.deadline_past"),
        ({"hospital_id": "hos_none"}, 404, "not_found"),
        ({"id": "need_1"}, 422, "id.malformed"),
    ],
)
def test_an_urgent_need_that_makes_no_sense_is_refused(
    world: Any, hospital: str, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = post(world, urgent(world, hospital, **changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.usefixtures("next_day")
def test_a_need_that_waits_for_a_round_is_not_made_urgent_behind_its_back(
    world: Any, hospital: str
) -> None:
    body = urgent(world, hospital)
    ordinary = {key: value for key, value in body.items() if key != "reason"}
    posted = world.client("hospital").post(
        "/api/v1/needs", json={**ordinary, "urgency": "critical"}
    )
    assert posted.status_code == 201
    answer = post(world, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "urgent.posted_before")


@pytest.mark.usefixtures("next_day")
def test_others_neither_post_nor_read_it(world: Any, hospital: str) -> None:
    body = urgent(world, hospital)
    stranger = post(world, body, login="donor")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "not_found")
    assert post(world, body, login="operator").status_code == 403
    assert post(world, body).status_code == 201
    assert world.client("donor").get(f"/api/v1/urgent-needs/{body['id']}").status_code == 404
    mine = world.client("hospital").get("/api/v1/urgent-needs").json()
    assert mine[0]["need_id"] == body["id"]
    assert world.client("donor").get("/api/v1/urgent-needs").json() == []


@pytest.mark.usefixtures("next_day")
def test_the_donor_accepts_in_time_and_what_is_left_open_goes_to_the_next_round(
    world: Any, ports: Any, hospital: str
) -> None:
    first = offer(world, item="cap", quantity=40)
    second = offer(world, item="cap", quantity=60)
    body = urgent(world, hospital, item="圆帽", quantity=100)
    facts = post(world, body).json()
    lines = {one["offer_id"]: one["id"] for one in facts["lines"]}
    assert set(lines) == {first, second}
    asked = world.client("donor").get("/urgent")
    assert asked.status_code == 200
    assert all(f"/allocations/{one}/accept" in asked.text for one in lines.values())
    accepted = world.client("donor").post(f"/api/v1/allocations/{lines[first]}/accept")
    assert accepted.json()["state"] == "accepted"
    # Nobody answers for the other. While its time runs a round leaves it alone; then the round takes it.
    world.clock.at += timedelta(hours=5)
    opened = rounds.open_round(
        ports, OPERATOR, round_id=new_id("rnd", at=world.clock.at), at=world.clock.at
    )
    busy = post(world, urgent(world, hospital))
    assert (busy.status_code, busy.json()["code"]) == (409, "round.in_progress")
    rounds.solve_and_close_round(ports, OPERATOR, round_id=opened.id, at=world.clock.at)
    with transaction(ports.readers) as session:
        states = {
            (row.round_id == opened.id, row.offer_id, row.quantity, row.state)
            for row, *_ in supply_queries.allocations_page(session, need_id=body["id"], limit=20)
        }
    assert states == {
        (False, first, 40, "accepted"),
        (False, second, 60, "declined"),
        (True, second, 60, "proposed"),
    }
    late = world.client("donor").post(f"/api/v1/allocations/{lines[second]}/accept")
    assert (late.status_code, late.json()["code"]) == (409, "allocation.declined")
    shown = world.client("hospital").get(f"/api/v1/urgent-needs/{body['id']}").json()
    assert shown["lapsed_at"] is not None
    assert (shown["accepted"], shown["held"]) == (40, 40)
    page = world.client("hospital").get(f"/urgent/{body['id']}")
    assert "过时未答复" in page.text
    listed = world.client("hospital").get("/api/v1/rounds").json()
    assert listed[0]["id"] == opened.id
    assert facts["round_id"] not in {one["id"] for one in listed}


@pytest.mark.usefixtures("next_day")
def test_the_page_posts_once_and_shows_its_faults_beside_the_fields(
    world: Any, hospital: str
) -> None:
    client = world.client("hospital")
    shown = client.get("/urgent/new")
    assert shown.status_code == 200
    offer(world)
    form = {**urgent(world, hospital), "attempt": new_id("need", at=world.clock.at)}
    del form["id"]
    bad = client.post("/urgent", data={**form, "quantity": "0", "reason": ""})
    assert bad.status_code == 422
    refused = client.post("/urgent", data={**form, "deadline_on": "2099-01-01"})
    assert refused.status_code == 422
    for _ in range(2):
        done = client.post("/urgent", data=form, follow_redirects=False)
        assert (done.status_code, done.headers["location"]) == (303, f"/urgent/{form['attempt']}")
    page = client.get(done.headers["location"])
    assert page.status_code == 200
    assert "全部分到" in page.text
    whole = client.get(page.text.split('href="/rounds/')[1].split('"')[0].join(["/rounds/", ""]))
    assert whole.status_code == 200
    assert client.get("/urgent").status_code == 200


@pytest.mark.usefixtures("next_day")
def test_only_who_is_authorised_marks_a_need_urgent(world: Any, ports: Any, hospital: str) -> None:
    """Last in this file: it takes the handler's authorisation away."""
    with transaction(ports.sessions) as session:
        letters = party_queries.authorisations_of(
            session,
            organisation_id=world.hospital.organisation_id,
            person_id=world.hospital.person_id,
        )
        for letter in letters:
            letter.revoked_at = world.clock.at
    answer = post(world, urgent(world, hospital))
    assert (answer.status_code, answer.json()["code"]) == (403, "urgent.not_authorised")
    assert answer.json()["context"] == {"matter": "donation", "power": "accept"}
    with transaction(ports.readers) as session:
        assert session.scalars(select(AllocationRow).limit(1)).first() is not None
