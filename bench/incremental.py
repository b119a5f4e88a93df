"""Events on a market that stays optimal: how long each takes, beside the cold solve it spares.

`make bench ARGS=incremental` runs ten thousand rows; `ARGS="incremental --large"` a hundred thousand as well,
some twelve minutes. Three models: `sparse` is a fixed list of the 20 nearest pairs of each need; `tight` the
fixed list with which pricing over all pairs ended (a newcomer brings its 20 best); `all_pairs` stays optimal
over all eligible pairs, listed or not, and is proven so at the end. `round` is a `LiveRound`, with plan and
certificate after each event. Each event counts the smaller of its wall and its processor time: the engine waits
for nothing, so what is above is other processes (wall) or the clock itself (processor).
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from ledger.core.report import Verdict
from matching.check import check_plan
from matching.check_pairs import contradictions
from matching.engine.levels import Weights
from matching.engine.market import Market
from matching.incremental.live_market import LiveMarket
from matching.incremental.live_round import LiveRound
from matching.testing import random_problem
from matching.testing_events import random_events
from matching.testing_markets import synthetic_market

ROOT: Final = Path(__file__).resolve().parents[1]
PLAIN: Final = Weights(upper=1 << 28, lower=1, proven=True)
"""Tiers first, then transport; the level of expiry left out, as in the graphs that others solve."""
KINDS: Final = ("new_need", "new_lot", "cancelled_need", "withdrawn_lot")
QUICK: Final = (
    ("sparse", 10_000, 400),
    ("tight", 10_000, 400),
    ("all_pairs", 10_000, 400),
    ("round", 2_160, 60),
)
LARGE: Final = (
    ("sparse", 100_000, 1_000),
    ("tight", 100_000, 1_000),
    ("all_pairs", 100_000, 1_000),
)
NEAR: Final = 20
"""Pairs that a need has, or that a newcomer brings, where the list is fixed."""
LOTS: Final = 389
"""Beside the 2 160 needs of the demo's round."""
_SECONDS_MAX: Final = 3_600


def not_there_yet(full: Market, size: int) -> Market:
    """The market before its last rows come."""
    market = full._replace(
        need_class=full.need_class.copy(),
        lot_class=full.lot_class.copy(),
        lot_life=np.zeros_like(full.lot_life),
    )
    market.need_class[size:] = market.lot_class[size:] = -1
    return market


def run_events(
    live: LiveMarket, market: Market, full: Market, *, size: int, count: int, seed: int = 1
) -> dict[str, list[float]]:
    """Seconds of every event, by kind; kinds come in turn."""
    random = np.random.default_rng(seed)
    needs, lots = random.permutation(size).tolist(), random.permutation(size).tolist()
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for step in range(count):
        kind = KINDS[step % len(KINDS)]
        row = size + step // len(KINDS)
        need, lot = int(needs[step]), int(lots[step])
        if kind == "new_need":
            market.need_class[row] = full.need_class[row]
        elif kind == "new_lot":
            market.lot_class[row] = full.lot_class[row]
        processor, wall = time.thread_time(), time.perf_counter()
        if kind == "new_need":
            live.add_need(market, row)
        elif kind == "new_lot":
            live.add_lot(market, row)
        elif kind == "cancelled_need":
            live.change_need(market, need, units=0)
        else:
            live.change_lot(market, lot, units=0)
        wall = time.perf_counter() - wall
        seconds[kind].append(min(wall, time.thread_time() - processor))
    return seconds


def part(name: str, size: int, count: int) -> list[dict[str, Any]]:
    """One market, its cold solve and its events; value and proof checked at the end."""
    if name == "round":
        return round_part(size, count)
    near = 0 if name == "all_pairs" else NEAR
    full = synthetic_market(size + count)
    market = not_there_yet(full, size)
    begin = time.thread_time()
    live = LiveMarket(
        market,
        segments=1,
        weights_of=lambda _market, _number: PLAIN,
        near=near,
        priced=name == "tight",
    )
    cold = time.thread_time() - begin
    gc.collect()
    gc.freeze()
    seconds = run_events(live, market, full, size=size, count=count)
    verify(live, market, near=near)
    label = f"incremental.{name}{size}"
    every = [one for kind in KINDS for one in seconds[kind]]
    rows = []
    for kind, found in (("event", every), *seconds.items()):
        for point, value in (
            ("p50", statistics.median(found)),
            ("p90", float(np.quantile(found, 0.9))),
            ("p99", float(np.quantile(found, 0.99))),
        ):
            rows.append(row(f"{label}.{kind}.{point}", value * 1000, cold * 1000, len(found)))
    rows.append(row(f"{label}.swept", float(swept(live)), None, count, unit="events"))
    return rows


def round_part(size: int, count: int) -> list[dict[str, Any]]:
    """Events of a round with names, and plan and certificate as objects after each; all accepted at the end."""
    problem = random_problem("bench", needs=size, lots=LOTS)
    begin = time.thread_time()
    live = LiveRound(problem)
    live.solution()
    cold = time.thread_time() - begin
    seconds: dict[str, list[float]] = {"event": [], "solution": [], "digests": []}
    for event in random_events(1, problem, count):
        for kind, act in (
            ("event", partial(live.apply, event)),
            ("solution", live.solution),
            ("digests", partial(_digests, live)),
        ):
            processor, wall = time.thread_time(), time.perf_counter()
            act()
            wall = time.perf_counter() - wall
            seconds[kind].append(min(wall, time.thread_time() - processor))
    assert check_plan(*live.solution()).verdict is Verdict.PASSED
    return [
        row(
            f"incremental.round{size}.{kind}.p50",
            statistics.median(found) * 1000,
            cold * 1000,
            len(found),
        )
        for kind, found in seconds.items()
    ]


def _digests(live: LiveRound) -> None:
    """Everything once more and its digests, as a record needs them."""
    for one in live.solution():
        one.digest()


def swept(live: LiveMarket) -> int:
    """Events in which the plain simplex had to take over."""
    return sum(one.live.fallbacks for one in live.classes.values())


def verify(live: LiveMarket, market: Market, *, near: int) -> None:
    """Prices and plan against each other, and against every eligible pair: the checker's own search."""
    lots = np.zeros((len(market.lot_quantity), 3), dtype=np.int64)
    needs = np.zeros((len(market.need_quantity), 3), dtype=np.int64)
    gone_need, gone_lot = market.need_class < 0, market.lot_class < 0
    places = live.places
    for number, one in live.classes.items():
        one.require_optimal()
        own = np.flatnonzero(market.lot_class == number)
        lots[own, 1] = one.live.tree.price[places.lot_node[own]]
        own = np.flatnonzero(market.need_class == number)
        needs[own, 1] = one.live.tree.price[places.need_node[own]]
    if near:
        return
    needs[gone_need, 1] = -(1 << 40)
    lots[gone_lot, 1] = 1 << 40
    assert contradictions(market, lot_prices=lots, need_prices=needs) == 0


def row(
    name: str, value: float, baseline: float | None, n: int, unit: str = "ms"
) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "n": n,
        "against": "own cold solve of the same market" if baseline else "",
    }


def measures(*, full: bool = False) -> list[dict[str, Any]]:
    """Every part in a process of its own."""
    rows: list[dict[str, Any]] = []
    for name, size, count in (*QUICK, *LARGE) if full else QUICK:
        done = subprocess.run(
            [sys.executable, "-m", "bench.incremental", name, str(size), str(count)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
        )
        if done.returncode:
            raise RuntimeError(f"{name} {size}: {done.stderr[-2000:]}")
        rows += json.loads(done.stdout.splitlines()[-1])
    return rows


if __name__ == "__main__":
    part(sys.argv[1], 300, 20)
    print(json.dumps(part(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
