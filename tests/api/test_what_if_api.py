"""What-if questions over HTTP: the difference is right, proven, limited, and nothing at all is recorded."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from api.callers import OPERATOR
from api.flows.importing import generate_donor_lots, import_dataset
from api.flows.round_inputs import collect
from ledger.queries import supply as queries
from ledger.store import Base, transaction
from ledger.tables.supply import HospitalRow
from matching.problem import Policy
from matching.solve import solve

FLEETING = {"login_session"}
"""Whoever asks is logged in; that is no trace of the question."""


@pytest.fixture(scope="module")
def ports(world: Any) -> Any:
    return world.app.state.shell.ports


@pytest.fixture(scope="module")
def day(world: Any, ports: Any) -> date:
    run = import_dataset(ports, OPERATOR, at=world.clock.at)
    generate_donor_lots(ports, OPERATOR, run_id=run.run_id, at=world.clock.at)
    return run.as_of


def ask(world: Any, day: date, **body: Any) -> Any:
    return world.client("operator").post("/api/v1/what-if", json={"as_of": day.isoformat(), **body})


def everything(ports: Any) -> dict[str, str]:
    """A digest of every row of every table."""
    found = {}
    with transaction(ports.readers) as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in FLEETING:
                rows = sorted(repr(tuple(row)) for row in session.execute(select(table)))
                found[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def short_item(ports: Any, day: date) -> str:
    """An item of which more would help: somebody who asks for it is not served."""
    with transaction(ports.readers) as session:
        problem = collect(session, "t", day=day, policy=Policy())
    plan = solve(problem).plan
    served: dict[str, int] = {}
    for flow in plan.flows:
        served[flow.need] = served.get(flow.need, 0) + flow.quantity
    needs = [need for need in problem.needs if served.get(need.id, 0) < need.quantity]
    return min(need.items[0] for need in needs)


def test_more_goods_serve_more_and_nothing_is_recorded(world: Any, ports: Any, day: date) -> None:
    item = short_item(ports, day)
    world.client("operator")
    before = everything(ports)
    answer = ask(world, day, goods=[{"item": item, "quantity": 50}])
    assert answer.status_code == 200, answer.text
    facts = answer.json()
    assert everything(ports) == before
    assert facts["before"]["verdict"] == facts["after"]["verdict"] == "passed"
    assert facts["before"]["wanted"] == facts["after"]["wanted"]
    assert facts["after"]["lots"] == facts["before"]["lots"] + 1
    # More supply never lowers what is served of the critical needs, and here somebody lacked some.
    assert facts["after"]["served"][0] >= facts["before"]["served"][0]
    assert sum(facts["after"]["served"]) > sum(facts["before"]["served"])
    gained = sum(facts["after"]["served"]) - sum(facts["before"]["served"])
    assert facts["winning"] - facts["losing"] == gained
    assert facts["changed"] == len(facts["changes"]) > 0


def test_a_lot_that_goes_takes_what_it_gave_and_the_answer_is_the_cold_optimum(
    world: Any, ports: Any, day: date
) -> None:
    with transaction(ports.readers) as session:
        problem = collect(session, "t", day=day, policy=Policy())
    plan = solve(problem).plan
    largest = max(plan.flows, key=lambda flow: flow.quantity)
    offer = largest.lot.partition(".")[0]
    facts = ask(world, day, without_offers=[offer]).json()
    (item_class,) = facts["classes"]
    kept = [
        lot
        for lot in problem.lots
        if lot.id.partition(".")[0] != offer
        and problem.catalogue.item(lot.item).item_class == item_class
    ]
    assert facts["after"]["lots"] == len(kept)
    assert sum(facts["after"]["served"]) <= sum(facts["before"]["served"])
    assert facts["losing"] > 0


def test_another_need_and_another_policy_change_who_is_served(
    world: Any, ports: Any, day: date
) -> None:
    item = short_item(ports, day)
    with transaction(ports.readers) as session:
        hospital = session.scalars(select(HospitalRow.id).order_by(HospitalRow.id)).first()
    wanted = {"hospital_id": hospital, "item": item, "quantity": 10, "urgency": "critical"}
    facts = ask(world, day, needs=[wanted]).json()
    assert facts["after"]["needs"] == facts["before"]["needs"] + 1
    assert facts["after"]["wanted"][0] == facts["before"]["wanted"][0] + 10
    assert [one["before"] for one in facts["changes"] if one["need"].startswith("imagined")] == [
        None
    ]
    other = ask(world, day, segments=1).json()
    assert other["policy"] == {"segments": 1}
    # Evenness is decided below the tiers: their totals stay whatever the steps are.
    assert other["after"]["served"] == other["before"]["served"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "what_if.nothing"),
        ({"goods": [{"item": "nothing", "quantity": 1}]}, 422, "item.unknown"),
        ({"goods": [{"item": "mask_surgical", "quantity": 0}]}, 422, "offer.quantity_zero"),
        ({"without_offers": ["offer_none"]}, 404, "what_if.unknown_row"),
        ({"without_needs": ["need_none"]}, 404, "what_if.unknown_row"),
        ({"goods": [{"item": "pcr_instrument", "quantity": 1}]}, 404, "what_if.no_need"),
        ({"without_offers": ["offer_none"] * 21}, 422, "input.invalid"),
        ({"segments": 0}, 422, "input.invalid"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    world: Any, day: date, body: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(world, day, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_only_an_operator_asks_and_one_question_at_a_time(
    world: Any, ports: Any, day: date
) -> None:
    body = {"segments": 5, "as_of": day.isoformat()}
    assert world.client("hospital").post("/api/v1/what-if", json=body).status_code == 403
    assert world.client("hospital").get("/what-if").status_code == 403
    with ports.live.questions:
        busy = ask(world, day, segments=5)
    assert (busy.status_code, busy.json()["code"]) == (503, "what_if.busy")
    assert ask(world, day, segments=5).status_code == 200


def test_a_market_too_large_for_a_question_is_refused(
    world: Any, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.flows.what_if.PAIRS_MAX", 1)
    answer = ask(world, day, segments=5)
    assert (answer.status_code, answer.json()["code"]) == (413, "what_if.too_large")


def test_the_page_shows_the_difference_below_its_question(
    world: Any, ports: Any, day: date
) -> None:
    client = world.client("operator")
    assert client.get("/what-if").status_code == 200
    form = {"item": short_item(ports, day), "quantity": "50", "as_of": day.isoformat()}
    before = everything(ports)
    page = client.post("/what-if", data=form)
    assert page.status_code == 200
    assert 'id="answer"' in page.text
    assert everything(ports) == before
    nothing = client.post("/what-if", data={"as_of": day.isoformat()})
    assert nothing.status_code == 422
    assert "请至少改变一样" in nothing.text
    with transaction(ports.readers) as session:
        assert queries.rounds_page(session) == []
