"""A result that is struck on the chain: parties are told, pages, health and doctor say so and what to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from api.flows import round_acts
from api.flows.round_alarms import RESTATED, STRUCK
from api.machine import Machine
from api.testing_goods import Goods, make_goods
from contracts.acts_abi import RoundState, StoredRound
from ledger.store import transaction
from ledger.tables.acts import ChainActRow
from ledger.tables.notices import NoticeRow
from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import AllocationRow


class Lane:
    """What the contract answers about the round."""

    def __init__(self, state: RoundState, *, attempt: int) -> None:
        self.stored = StoredRound(
            inputs_root=bytes(32),
            plan_root=bytes(32),
            objective=0,
            closes_at=4_000_000_000,
            attempt=attempt,
            state=state,
        )

    def round_on_chain(self, names: dict[str, Any]) -> tuple[bytes, StoredRound]:
        assert set(names) == {"inputs_root", "policy_hash"}
        return bytes(range(32)), self.stored


class Struck:
    """A real round of real organisations, as if its result had been posted."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.ports = world.app.state.shell.ports
        self.goods: Goods = make_goods(self.ports, at=world.clock.at, name="struck", signed=False)
        with transaction(self.ports.readers) as session:
            line = session.get_one(AllocationRow, self.goods.allocation_id)
            self.round = line.round_id
        self.set(state="posted", due_at=world.clock.at)

    def set(self, **fields: Any) -> None:
        with transaction(self.ports.sessions) as session:
            row = session.get_one(RoundChainRow, self.round)
            for name, value in fields.items():
                setattr(row, name, value)

    def step(self, lane: Lane) -> None:
        round_acts.record_rounds(self.ports, lane, at=self.world.clock.at)  # type: ignore[arg-type]

    def told(self) -> dict[str, set[str]]:
        names = {
            self.goods.donor.organisation: "donor",
            self.goods.carrier.organisation: "carrier",
            self.goods.nurse.organisation: "hospital",
        }
        found: dict[str, set[str]] = {}
        with transaction(self.ports.readers) as session:
            query = select(NoticeRow).where(NoticeRow.kind.in_((STRUCK, RESTATED)))
            for row in session.scalars(query):
                assert row.subject == self.round
                found.setdefault(row.kind, set()).add(names[row.organisation_id])
        return found

    def page(self, login: str, path: str) -> str:
        answer = self.world.client(login).get(path)
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def health(self) -> int:
        return int(self.world.anyone.get("/api/v1/health").json()["rounds_alarmed"])


@pytest.fixture(scope="module")
def posted(world: Any) -> Struck:
    return Struck(world)


@pytest.fixture(scope="module")
def struck(posted: Struck) -> Struck:
    """Nothing is said while the result stands; then somebody strikes it."""
    posted.step(Lane(RoundState.POSTED, attempt=0))
    assert (posted.told(), posted.health()) == ({}, 0)
    assert 'id="alarm"' not in posted.page("struck-donor", f"/rounds/{posted.round}")
    posted.set(due_at=posted.world.clock.at)
    posted.step(Lane(RoundState.OPEN, attempt=1))
    return posted


def test_both_sides_are_told_once_and_nobody_else(struck: Struck) -> None:
    assert struck.told() == {STRUCK: {"donor", "hospital"}}
    struck.set(state="posted", attempt=1, due_at=struck.world.clock.at)
    struck.step(Lane(RoundState.OPEN, attempt=1))
    assert struck.told() == {STRUCK: {"donor", "hospital"}}
    struck.set(state="struck", due_at=struck.world.clock.at)
    page = struck.page("struck-hospital", "/rounds")
    assert "链上公布的结果被推翻" in page


def test_the_pages_say_what_it_means_and_the_operator_what_to_do(struck: Struck) -> None:
    party = struck.page("struck-donor", f"/rounds/{struck.round}")
    assert "本轮在链上公布的结果被推翻" in party
    assert "运营者请做" not in party
    assert "已证明最优" not in party
    operator = struck.page("operator", f"/rounds/{struck.round}")
    assert "fuqi round verify" in operator
    assert f'href="/api/v1/rounds/{struck.round}/documents/certificate"' in operator
    assert struck.round in struck.page("operator", "/rounds").partition('id="alarms"')[2]
    assert 'id="alarms"' not in struck.page("struck-donor", "/rounds")
    listed = struck.world.client("struck-donor").get("/api/v1/rounds").json()
    assert [one["chain_alarm"] for one in listed if one["id"] == struck.round] == ["struck"]
    facts = struck.world.client("struck-donor").get(f"/api/v1/rounds/{struck.round}").json()
    assert (facts["chain_alarm"], facts["chain"]["alarm"]) == ("struck", "struck")
    struck.set(due_at=None)
    assert "不会自动重新公布" in struck.page("struck-hospital", f"/rounds/{struck.round}")
    struck.set(state="refused")
    assert "合约没有接受本轮的结果" in struck.page("operator", f"/rounds/{struck.round}")
    struck.set(state="struck", due_at=struck.world.clock.at)


def test_health_and_doctor_count_it_for_thirty_days(struck: Struck) -> None:
    assert struck.health() == 1
    machine = Machine(settings=struck.ports.settings)
    url = struck.ports.settings.database
    assert machine.alarms(url, struck.world.clock) == (struck.round,)
    assert machine.alarms(url, lambda: struck.world.clock.at + timedelta(days=31)) == ()
    answer = struck.world.client("operator").get("/api/v1/metrics")
    assert "fuqi_rounds_alarmed 1\n" in answer.text


def test_a_corrected_result_is_told_and_ends_the_alarm(struck: Struck) -> None:
    at = struck.world.clock.at
    with transaction(struck.ports.sessions) as session:
        act = session.get_one(RoundChainRow, struck.round).act_id
        assert act is not None
        session.get_one(ChainActRow, act).state = "final"
    struck.set(state="posting", attempt=1, due_at=at)
    struck.step(Lane(RoundState.POSTED, attempt=1))
    assert struck.told() == {STRUCK: {"donor", "hospital"}, RESTATED: {"donor", "hospital"}}
    assert struck.health() == 0
    page = struck.page("struck-donor", f"/rounds/{struck.round}")
    assert "现在是更正后的结果" in page
    assert "运营者请做" not in struck.page("operator", f"/rounds/{struck.round}")
