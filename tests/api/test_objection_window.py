"""A closed round is open to objections for a written time: no line is accepted before, any may be declined."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.callers import OPERATOR
from api.flows import rounds
from api.flows.round_objections import accept_from
from api.ports import Ports
from api.testing_goods import make_goods
from ledger.core.errors import ConflictError
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import RoundRow

HOURS = 24


@pytest.fixture
def ports(world: Any) -> Ports:
    found = world.app.state.shell.ports
    settings = found.settings.model_copy(update={"round_objection_hours": HOURS})
    return replace(found, settings=settings)


def proposed(ports: Ports, *, name: str, at: Any) -> str:
    """Id of the line of a new round; its donor tried at once and was refused."""
    with pytest.raises(ConflictError) as fault:
        make_goods(ports, at=at, name=name, signed=False)
    assert fault.value.error_code == "allocation.objections_open"
    with transaction(ports.readers) as session:
        (line, *_), *_rest = supply_queries.allocations_page(session, state="proposed")
        return line.id


def accept(ports: Ports, line: str, *, at: Any) -> str:
    with transaction(ports.sessions) as session:
        row = rounds.accept_allocation(session, ports, OPERATOR, allocation_id=line, at=at)
        return row.state


def decline(ports: Ports, line: str, *, at: Any) -> str:
    with transaction(ports.sessions) as session:
        return rounds.decline_allocation(
            session, ports, OPERATOR, allocation_id=line, reason="数量有误", at=at
        ).state


def test_a_line_is_accepted_from_the_last_moment_of_the_time_on(world: Any, ports: Ports) -> None:
    at = world.clock.at
    line = proposed(ports, name="heard", at=at)
    end = at + timedelta(hours=HOURS, seconds=1 if at.microsecond else 0)
    end = end.replace(microsecond=0)
    with pytest.raises(ConflictError) as fault:
        accept(ports, line, at=end - timedelta(microseconds=1))
    assert fault.value.error_code == "allocation.objections_open"
    # What is accepted stays accepted, and a shorter time set later takes nothing from this one.
    none = replace(ports, settings=ports.settings.model_copy(update={"round_objection_hours": 0}))
    with pytest.raises(ConflictError):
        accept(none, line, at=end - timedelta(seconds=1))
    assert accept(ports, line, at=end) == "accepted"
    assert accept(ports, line, at=at) == "accepted"


def test_a_line_is_declined_at_any_time(world: Any, ports: Ports) -> None:
    line = proposed(ports, name="declined", at=world.clock.at)
    assert decline(ports, line, at=world.clock.at) == "declined"


def test_a_struck_result_is_not_accepted(world: Any, ports: Ports) -> None:
    at = world.clock.at
    line = proposed(ports, name="void", at=at)
    late = at + timedelta(hours=HOURS + 1)
    with transaction(ports.sessions) as session:
        (row, *_), *_rest = supply_queries.allocations_page(session, state="proposed")
        chain = session.get_one(RoundChainRow, row.round_id)
        before, chain.state = chain.state, "struck"
    with pytest.raises(ConflictError) as fault:
        accept(ports, line, at=late)
    assert fault.value.error_code == "allocation.round_struck"
    with transaction(ports.sessions) as session:
        session.get_one(RoundChainRow, row.round_id).state = before
    assert accept(ports, line, at=late) == "accepted"


def test_without_such_a_time_lines_are_accepted_at_once(world: Any) -> None:
    goods = make_goods(world.app.state.shell.ports, at=world.clock.at, name="at-once", signed=False)
    with transaction(goods.ports.readers) as session:
        (line, *_), *_rest = supply_queries.allocations_page(session, offer_id=goods.offer_id)
        assert line.state == "accepted"
        assert accept_from(session.get_one(RoundRow, line.round_id).summary) is None
