"""The living market on both databases: always the cold optimum, never given twice, whole after kill -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api import testing_market as lm
from api.compose import open_ports
from api.flows.live_desk import LiveDesk
from api.flows.live_market import follow, follow_all, items_of, settle
from api.flows.round_inputs import collect
from ledger.queries.live import live_classes, lock_market, waiting_items
from ledger.store import transaction
from ledger.tables.live import LiveChangeRow, LiveClassRow, UrgentNeedRow
from ledger.tables.log import EntryRow
from ledger.tables.supply import AllocationRow, NeedRow, RoundRow
from matching.check import check_plan
from matching.problem import Policy
from matching.services import published_catalogue
from matching.solve import solve

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("FUQI_TEST_MARKET_KILLS", "2"))
"""More of them in a long run."""
SECONDS_MAX = 120
CLASSES = ("mask", "cap")


@pytest.fixture
def ports(database_url: str, tmp_path: Path) -> Any:
    home = tmp_path / "home"
    home.mkdir()
    if database_url.startswith("sqlite"):
        # The installation's own place for it.
        (tmp_path / "fuqi.sqlite3").rename(home / "fuqi.sqlite3")
    made = open_ports(lm.settings_of(database_url, home), at=lm.AT)
    yield made
    made.engine.dispose()


def proven(ports: Any, item_class: str, *, desk: LiveDesk | None = None) -> Any:
    """The living plan of a class, accepted by the checker and equal to a cold solve of the tables."""
    with transaction(ports.sessions) as session:
        lock_market(session)
        standing = follow(session, desk or ports.live, item_class, day=lm.DAY, at=lm.AT)
        items = items_of(item_class, catalogue=published_catalogue())
        truth = collect(session, f"live:{item_class}", day=lm.DAY, policy=Policy(), items=items)
    settle(desk or ports.live, standing)
    problem, plan, certificate = standing.solution()
    assert problem == truth
    check_plan(problem, plan, certificate).require()
    assert plan.objective == solve(truth).plan.objective
    return plan


def test_the_living_plan_is_the_cold_optimum_whoever_changes_what(ports: Any) -> None:
    market = lm.Market.made(ports, seed=5)
    for step in range(24):
        market.change()
        if step % 4 == 3:
            market.urgent()
        if step % 8 == 7:
            for name in CLASSES:
                proven(ports, name)
            # A process that starts now reads the stored state and the notes, and is as far.
            proven(ports, "mask", desk=LiveDesk())
    with transaction(ports.readers) as session:
        assert lm.held_beyond_supply(session) == []
        for one in session.scalars(select(UrgentNeedRow)):
            lines = session.scalars(
                select(AllocationRow).where(AllocationRow.round_id == one.round_id)
            ).all()
            assert sum(line.quantity for line in lines) == one.served
            assert {line.need_id for line in lines} <= {one.need_id}


def test_a_damaged_state_is_noticed_and_solved_anew(ports: Any) -> None:
    market = lm.Market.made(ports, seed=7)
    for _ in range(12):
        market.change()
    plan = proven(ports, "mask")
    with transaction(ports.sessions) as session:
        row = session.get_one(LiveClassRow, "mask")
        assert row.state is not None
        version, row.state = row.version, row.state[:-9] + bytes(9)
    assert proven(ports, "mask", desk=LiveDesk()).objective == plan.objective
    with transaction(ports.readers) as session:
        assert session.get_one(LiveClassRow, "mask").version > version


def test_notes_are_taken_in_by_the_worker_and_do_not_pile_up(ports: Any) -> None:
    market = lm.Market.made(ports, seed=9)
    for _ in range(10):
        market.change()
    with transaction(ports.readers) as session:
        assert waiting_items(session)
    # Nothing lives yet: nobody needs the notes.
    assert follow_all(ports, at=lm.AT) == 0
    with transaction(ports.readers) as session:
        assert session.scalars(select(LiveChangeRow)).all() == []
    market.urgent()
    for _ in range(10):
        market.change()
    assert follow_all(ports, at=lm.AT) in (0, 1)
    with transaction(ports.readers) as session:
        assert waiting_items(session) == set()
        assert len(live_classes(session)) == 1
    assert follow_all(ports, at=lm.AT) == 0


class Posters:
    """Processes that post urgent needs, forked by one that has imported everything."""

    def __init__(self, ports: Any, market: lm.Market, url: str) -> None:
        home, nurse = ports.settings.home, market.nurse
        (home / "nurse").write_text(f"{nurse.account_id} {nurse.person_id} {nurse.organisation_id}")
        self.nursery = subprocess.Popen(
            [sys.executable, "-m", "api.testing_market", url, str(home)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def add(self, *, seed: int, said: Path, count: int) -> int:
        """Its process id."""
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(f"{seed} {said} {count}\n")
        self.nursery.stdin.flush()
        return int(self.nursery.stdout.readline())

    def close(self) -> None:
        """Those that are left end by themselves: the test has seen them finish, or killed them."""
        self.nursery.communicate()


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not done():
        assert time.monotonic() < until, "nothing was acknowledged"
        time.sleep(0.005)


def acknowledged(said: Path) -> dict[str, int]:
    """What a process said it was told; a last line without its end was cut off by death."""
    lines = said.read_text().split("\n")[:-1] if said.exists() else []
    pairs = (line.split() for line in lines if not line.startswith("refused"))
    return {need: int(served) for need, served in pairs}


def whole(ports: Any, said: dict[str, int]) -> None:
    """Everything acknowledged is there and complete; nothing is there by half; nothing is given twice."""
    with transaction(ports.readers) as session:
        assert lm.held_beyond_supply(session) == []
        stored = {row.need_id: row for row in session.scalars(select(UrgentNeedRow))}
        assert said.keys() <= stored.keys()
        assert {one: stored[one].served for one in said} == said
        assert {row.id for row in session.scalars(select(NeedRow))} == set(stored)
        closed = {row.id for row in session.scalars(select(RoundRow))}
        assert closed == {row.round_id for row in stored.values()}
        kinds: dict[str, list[str]] = {}
        for entry in session.scalars(select(EntryRow).order_by(EntryRow.order)):
            kinds.setdefault(entry.subject, []).append(entry.type)
        for row in stored.values():
            assert kinds[row.need_id] == ["need.posted", "need.urgent"]
            assert kinds[row.round_id] == ["round.opened", "round.closed"]


def stocked(ports: Any) -> lm.Market:
    market = lm.Market.made(ports, seed=11)
    with transaction(ports.sessions) as session:
        for _ in range(20):
            lm.supply.post_offer(session, ports, market.donor, market.new_offer(), at=lm.AT)
    return market


def test_two_processes_never_decide_on_the_same_supply(
    ports: Any, database_url: str, tmp_path: Path
) -> None:
    market = stocked(ports)
    files = [tmp_path / "said-0", tmp_path / "said-1"]
    posters = Posters(ports, market, database_url)
    for number, file in enumerate(files):
        posters.add(seed=number, said=file, count=4)
    wait_for(lambda: all(len(acknowledged(file)) == 4 for file in files))
    posters.close()
    said = acknowledged(files[0]) | acknowledged(files[1])
    assert len(said) == 8
    whole(ports, said)
    for name in CLASSES:
        proven(ports, name)


def test_killed_between_any_two_writes_it_resumes_as_the_cold_optimum(
    ports: Any, database_url: str, tmp_path: Path
) -> None:
    market, draw = stocked(ports), random.Random(3)
    said: dict[str, int] = {}
    posters = Posters(ports, market, database_url)
    for number in range(KILLS):
        file = tmp_path / f"said-{number}"
        poster = posters.add(seed=100 + number, said=file, count=1000)
        wait_for(lambda file=file: bool(acknowledged(file)))
        time.sleep(draw.random() * 0.3)
        os.kill(poster, signal.SIGKILL)
        # Its connection is gone when the database has noticed: the lock of the market is then free.
        with transaction(ports.sessions) as session:
            lock_market(session)
        said |= acknowledged(file)
        whole(ports, said)
    posters.close()
    for name in CLASSES:
        proven(ports, name, desk=LiveDesk())
    assert len(said) >= KILLS
