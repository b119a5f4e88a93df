"""A party objects to a published round: what waits, who may answer, and what an upheld objection releases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.callers import OPERATOR, Caller
from api.flows import objecting, rounds, supply
from api.flows.objecting import NewObjection
from api.flows.registration import register
from api.ports import Ports
from api.testing import caller_of, invented_hospital, invented_registration
from api.testing_goods import PLACE
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.queries import log as log_queries
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.notices import NoticeRow
from ledger.tables.supply import AllocationRow

HOURS = 24


@dataclass
class Published:
    """A round with one line between a donor and a hospital, open to objections."""

    ports: Ports
    at: datetime
    donor: Caller
    nurse: Caller
    stranger: Caller
    need_id: str
    offer_id: str
    round_id: str
    line_id: str

    def __call__(self, action: Any, *arguments: Any, **named: Any) -> Any:
        with transaction(self.ports.sessions) as session:
            return action(session, self.ports, *arguments, **{"at": self.at} | named)

    def refused(self, *arguments: Any, **named: Any) -> str:
        with pytest.raises(FuqiError) as fault:
            self(*arguments, **named)
        return fault.value.error_code

    def new(self, **changes: Any) -> NewObjection:
        fields = {
            "id": new_id("obj", at=self.at),
            "round_id": self.round_id,
            "reason": "misread",
            "subject": None,
            "statement": "数量应为一百（虚构）",
        }
        return NewObjection(**fields | changes)

    def filed(self, who: Caller | None = None, **changes: Any) -> str:
        named = {"at": changes.pop("at")} if "at" in changes else {}
        return self(objecting.file_objection, who or self.nurse, self.new(**changes), **named).id

    def not_filed(self, who: Caller | None = None, **changes: Any) -> str:
        named = {"at": changes.pop("at")} if "at" in changes else {}
        new = self.new(**changes)
        return self.refused(objecting.file_objection, who or self.nurse, new, **named)

    def accepted(self, **named: Any) -> Any:
        named = {"allocation_id": self.line_id, "at": self.end} | named
        return self(rounds.accept_allocation, self.donor, **named)

    def not_accepted(self) -> str:
        with pytest.raises(FuqiError) as fault:
            self.accepted()
        return fault.value.error_code

    def answer(self, objection_id: str, outcome: str, **named: Any) -> Any:
        named = {"answer": "已核对登记（虚构）", "outcome": outcome} | named
        return self(objecting.answer_objection, OPERATOR, objection_id=objection_id, **named)

    def withdraw(self, objection_id: str, who: Caller | None = None) -> Any:
        return self(objecting.withdraw_objection, who or self.nurse, objection_id=objection_id)

    def told(self, cause: str) -> set[tuple[str, str]]:
        with transaction(self.ports.readers) as session:
            rows = session.query(NoticeRow).filter_by(cause=cause)
            return {(row.organisation_id, row.kind) for row in rows}

    def logged(self, subject: str) -> list[str]:
        with transaction(self.ports.readers) as session:
            return [row.type for row in log_queries.entries_of(session, [subject])]

    @property
    def end(self) -> datetime:
        """The first moment in which a line can be accepted."""
        whole = self.at.replace(microsecond=0)
        return whole + timedelta(hours=HOURS, seconds=1 if self.at.microsecond else 0)


@pytest.fixture(scope="module")
def parties(world: Any) -> tuple[Caller, Caller, Caller]:
    """A donor, a hospital, and a donor that is in no round."""
    ports, at = world.app.state.shell.ports, world.clock.at
    donor, nurse, stranger = (
        caller_of(register(ports, invented_registration(f"obj-{who}", kind, at=at), at=at))
        for who, kind in (("donor", "donor"), ("nurse", "hospital"), ("other", "donor"))
    )
    return donor, nurse, stranger


def publish(
    ports: Ports, parties: tuple[Caller, ...], *, at: datetime, hours: int = HOURS
) -> Published:
    settings = ports.settings.model_copy(update={"round_objection_hours": hours})
    ports = replace(ports, settings=settings)
    donor, hospital, stranger = parties
    with transaction(ports.sessions) as session:
        place = invented_hospital(hospital.organisation_id, at=at)
        session.add(place)
        session.flush()
        need = supply.NewNeed(
            id=new_id("need", at=at),
            hospital_id=place.id,
            item="医用外科口罩",
            specification="",
            quantity=100,
            tier=0,
            deadline_on=at.date() + timedelta(days=20),
            remaining_days_min=0,
        )
        supply.post_need(session, ports, hospital, need, at=at)
        offer = supply.NewOffer(
            id=new_id("offer", at=at),
            kind="lot",
            item="mask_surgical",
            quantity=60,
            place=PLACE,
            available_on=at.date(),
            produced_on=at.date() - timedelta(days=30),
            expires_on=at.date() + timedelta(days=700),
            batch_number="虚构-1",
            standard="YY 0469",
            edition="2011",
            certificate=2,
            directed_to=(place.id,),
        )
        supply.post_offer(session, ports, donor, offer, at=at)
    made = new_round(ports, at=at)
    with transaction(ports.readers) as session:
        ((line, *_),) = supply_queries.allocations_page(session, offer_id=offer.id)
    return Published(ports, at, donor, hospital, stranger, need.id, offer.id, made, line.id)


def new_round(ports: Ports, *, at: datetime) -> str:
    made = new_id("rnd", at=at)
    rounds.open_round(ports, OPERATOR, round_id=made, at=at)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=made, at=at)
    return made


@pytest.fixture
def market(world: Any, parties: tuple[Caller, ...]) -> Iterator[Published]:
    found = publish(world.app.state.shell.ports, parties, at=world.clock.at)
    yield found
    _emptied(found)


def _emptied(market: Published) -> None:
    """The next round of this file looks at its own need and offer alone."""
    market(supply.withdraw_need, market.nurse, need_id=market.need_id, reason="虚构")
    market(supply.withdraw_offer, market.donor, offer_id=market.offer_id, reason="虚构")


def test_an_objection_holds_its_lines_up_after_the_time_too_until_it_is_dismissed(market):
    made = market.filed()
    assert market.not_accepted() == "allocation.objected"
    assert market.not_accepted() == "allocation.objected"
    market.answer(made, "dismissed")
    assert market.accepted().state == "accepted"
    assert market.logged(made) == ["objection.filed", "objection.answered"]
    donor, hospital = market.donor.organisation_id, market.nurse.organisation_id
    assert market.told(made) == {
        (donor, "round.objected"),
        (donor, "round.objection_dismissed"),
        (hospital, "round.objection_dismissed"),
    }


def test_an_upheld_objection_releases_its_lines_and_the_next_round_decides_anew(market):
    made = market.filed(subject=market.need_id)
    assert market.answer(made, "upheld").released == 1
    assert market.not_accepted() == "allocation.declined"
    assert market.logged(market.line_id) == ["allocation.proposed", "allocation.declined"]
    with transaction(market.ports.readers) as session:
        line = session.get_one(AllocationRow, market.line_id)
        assert (line.state, line.decline_reason) == ("declined", objecting.RELEASED)
    hospital = market.nurse.organisation_id
    assert (hospital, "round.objection_upheld") in market.told(made)
    again = new_round(market.ports, at=market.at)
    with transaction(market.ports.readers) as session:
        ((line, *_),) = supply_queries.allocations_page(session, round_id=again)
        assert (line.offer_id, line.need_id, line.quantity) == (
            market.offer_id,
            market.need_id,
            60,
        )


def test_what_a_donor_declined_before_is_not_released_twice(market):
    made = market.filed(subject=market.line_id)
    market(rounds.decline_allocation, market.donor, allocation_id=market.line_id, reason="虚构")
    assert market.answer(made, "upheld").released == 0
    assert market.logged(market.line_id) == ["allocation.proposed", "allocation.declined"]


def test_the_time_ends_exactly_when_lines_can_be_accepted(market):
    assert market.not_filed(at=market.end) == "objection.closed"
    made = market.filed(at=market.end - timedelta(microseconds=1))
    assert market.not_accepted() == "allocation.objected"
    market.withdraw(made)
    assert market.accepted().state == "accepted"


def test_a_refusal_after_the_end_says_when_it_ended(market):
    with pytest.raises(FuqiError) as fault:
        market(objecting.file_objection, market.nurse, market.new(), at=market.end)
    assert fault.value.context["ended"] == market.end.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_whoever_accepted_first_keeps_the_line_though_the_objection_was_sent_in_time(market):
    market.accepted()
    assert market.not_filed() == "objection.closed"


def test_one_waits_at_a_time_and_a_withdrawn_one_makes_room(market):
    first = market.filed()
    assert market.not_filed() == "objection.open_before"
    # The donor's own objection is another organisation's.
    other = market.filed(market.donor, subject=market.offer_id, reason="impossible")
    assert market.withdraw(first).state == "withdrawn"
    assert market.withdraw(first).state == "withdrawn"
    assert market.not_accepted() == "allocation.objected"
    market.withdraw(other, market.donor)
    for _ in range(objecting.PER_ROUND_MAX - 1):
        market.withdraw(market.filed())
    assert market.not_filed() == "objection.too_many"
    assert market.accepted().state == "accepted"


def test_the_same_request_again_is_the_same_objection(market):
    new = market.new()
    rows = [market(objecting.file_objection, market.nurse, new) for _ in range(2)]
    assert rows[0].id == rows[1].id
    changed = replace(new, statement="另一说明")
    code = market.refused(objecting.file_objection, market.nurse, changed)
    assert code == "state.exists_with_different_field"
    # Another organisation that sends this id learns nothing.
    assert market.refused(objecting.file_objection, market.donor, new) == "not_found"
    assert market.logged(new.id) == ["objection.filed"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"statement": "  "}, "objection.text"),
        ({"statement": "长" * 1_001}, "objection.text"),
        ({"statement": "看\u202e不见"}, "font.unprintable"),
        ({"reason": "anger"}, "objection.reason"),
        ({"id": "obj_1"}, "id.malformed"),
        ({"round_id": "rnd_01kdvdna00ncrmbvs7rqr9p8yr"}, "round.not_found"),
        ({"subject": "need_01kdvdna00ncrmbvs7rqr9p8yr"}, "not_found"),
    ],
)
def test_what_is_wrong_with_an_objection_is_said(market, changes, code):
    assert market.not_filed(**changes) == code
    assert market.filed(statement="长" * 1_000)


def test_only_its_own_lines_needs_and_offers_are_named(market):
    assert market.not_filed(subject=market.offer_id) == "not_found"
    assert market.not_filed(market.donor, subject=market.need_id) == "not_found"
    assert market.not_filed(market.stranger, subject=market.line_id) == "not_found"
    assert market.not_filed(market.stranger) == "objection.not_in_round"
    assert market.not_filed(OPERATOR) == "auth.role"
    assert market.filed(market.donor, subject=market.line_id)


def test_an_objection_to_one_thing_does_not_hold_up_another(market):
    second = publish(market.ports, (market.donor, market.nurse, market.stranger), at=market.at)
    second.filed()
    assert market.accepted().state == "accepted"
    assert second.not_accepted() == "allocation.objected"
    _emptied(second)


def test_an_answer_is_for_good_and_an_operators(market):
    made = market.filed()
    named = {"objection_id": made, "outcome": "upheld", "answer": "虚构"}
    assert market.refused(objecting.answer_objection, market.nurse, **named) == "auth.role"
    assert market.refused(objecting.withdraw_objection, market.donor, objection_id=made) == (
        "not_found"
    )
    for fault, code in (
        ({"outcome": "perhaps"}, "objection.outcome"),
        ({"answer": " "}, "objection.text"),
        ({"objection_id": "obj_01kdvdna00ncrmbvs7rqr9p8yr"}, "not_found"),
    ):
        assert market.refused(objecting.answer_objection, OPERATOR, **named | fault) == code
    assert market.answer(made, "dismissed").state == "dismissed"
    assert market.answer(made, "dismissed").state == "dismissed"
    assert market.refused(objecting.answer_objection, OPERATOR, **named) == "objection.decided"
    assert (
        market.refused(objecting.withdraw_objection, market.nurse, objection_id=made)
        == "objection.decided"
    )


def test_a_round_without_such_a_time_takes_no_objection(world, parties):
    market = publish(world.app.state.shell.ports, parties, at=world.clock.at, hours=0)
    assert market.not_filed() == "objection.no_time"
    assert market.accepted(at=market.at).state == "accepted"
    _emptied(market)


def test_over_http_a_party_sees_its_own_and_of_others_the_number(world, market):
    nurse, donor, operator = (world.client(one) for one in ("obj-nurse", "obj-donor", "operator"))
    path = f"/api/v1/rounds/{market.round_id}/objections"
    body = {"id": new_id("obj", at=market.at), "reason": "policy", "statement": "顺序有误（虚构）"}
    answer = nurse.post(path, json=body)
    assert (answer.status_code, answer.json()["state"], answer.json()["lines"]) == (201, "open", 1)
    assert nurse.post(path, json=body).json() == answer.json()
    assert nurse.post(path, json=body | {"reason": "spite"}).status_code == 422
    seen = donor.get(path).json()
    assert (seen["filed"], seen["waiting"], seen["possible"], seen["own"]) == (1, 1, True, [])
    assert [one["id"] for one in nurse.get(path).json()["own"]] == [body["id"]]
    entry = answer.json()["entries"][0]["id"]
    assert nurse.get(f"/api/v1/entries/{entry}/receipt").status_code == 200
    assert donor.get(f"/api/v1/entries/{entry}/receipt").status_code == 404
    waiting = operator.get("/api/v1/objections?state=open").json()
    assert body["id"] in [one["id"] for one in waiting]
    decided = operator.post(
        f"/api/v1/objections/{body['id']}/answer", json={"outcome": "upheld", "answer": "属实"}
    )
    assert (decided.json()["state"], decided.json()["released"]) == ("upheld", 1)
    assert nurse.get(path).json()["own"][0]["answer"] == "属实"
    listed = [one["id"] for one in nurse.get("/api/v1/objections?limit=100").json()]
    theirs = [one["id"] for one in donor.get("/api/v1/objections?limit=100").json()]
    assert (body["id"] in listed, body["id"] in theirs) == (True, False)


def test_the_pages_file_show_and_answer_it(world, market):
    nurse, donor, operator = (world.client(one) for one in ("obj-nurse", "obj-donor", "operator"))
    page = f"/rounds/{market.round_id}"
    assert "贵机构没有提出异议" in nurse.get(page).text
    form = {
        "attempt": new_id("obj", at=market.at),
        "reason": "impossible",
        "subject": market.line_id,
        "statement": "冷链<b>无法</b>到达\r\n（虚构）",
    }
    refused = nurse.post(f"{page}/objections", data=form | {"statement": " "})
    assert refused.status_code == 422
    assert "objection.text" in refused.text
    kept = nurse.post(f"{page}/objections", data=form | {"reason": "spite"})
    assert "冷链&lt;b&gt;无法" in kept.text  # what was typed is not lost
    sent = nurse.post(f"{page}/objections", data=form, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{page}#objections")
    shown = nurse.get(page).text
    assert "冷链&lt;b&gt;无法" in shown
    assert f'action="/objections/{form["attempt"]}/withdraw"' in shown
    theirs = donor.get(page).text
    assert "冷链" not in theirs
    assert "各方共提出 1 件，待答复 1 件" in theirs
    assert f'action="/objections/{form["attempt"]}/answer"' in operator.get("/objections").text
    operator.post(
        f"/objections/{form['attempt']}/answer",
        data={"outcome": "dismissed", "answer": "承运方已确认（虚构）"},
    )
    assert "承运方已确认" in nurse.get(page).text
    assert form["attempt"] not in operator.get("/objections").text
    assert form["attempt"] in operator.get("/objections?state=dismissed").text
