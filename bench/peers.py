"""One market by everything at hand: seconds, and the share of critical need that each leaves unserved.

Every solver runs in a process of its own (OR-Tools and HiGHS cannot share one). `all` means every eligible
pair, `20` the twenty nearest lots of each need, which is what fits into memory on large markets. Solvers that
are given every pair must find the same value, to the unit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.engine import (
    Pairs,
    all_pairs,
    by_highs,
    by_networkx,
    cpu,
    graph_of,
    nearest,
    peak_mb,
)
from matching.engine import cost_scaling
from matching.engine.graph import Graph
from matching.geo import Int64s
from matching.testing_greedy import greedy_market, materialise
from matching.testing_markets import synthetic_market

ROOT: Final = Path(__file__).resolve().parents[1]
QUICK: Final = (
    ("ours_all", 1_000),
    ("ortools_all", 1_000),
    ("highs_all", 1_000),
    ("networkx_all", 1_000),
    ("ortools_20", 1_000),
    ("greedy_nearest", 1_000),
    ("greedy_first_expiring", 1_000),
    ("ours_all", 10_000),
    ("ortools_20", 10_000),
    ("greedy_nearest", 10_000),
    ("greedy_first_expiring", 10_000),
)
LARGE: Final = (("ortools_all", 10_000), ("highs_20", 10_000))
_SECONDS_MAX: Final = 3_600


def served_by(graph: Graph, flows: Int64s, size: int) -> Int64s:
    """Units that each need gets over pairs; needs are the nodes before the lots in `graph_of`."""
    first_need, first_lot = graph.nodes - 2 * size, graph.nodes - size
    pairs = (graph.tails >= first_lot) & (graph.heads >= first_need)
    got = np.zeros(size, dtype=np.int64)
    np.add.at(got, graph.heads[pairs] - first_need, flows[pairs])
    return got


def peer(name: str, size: int) -> dict[str, Any]:
    """One solver on one market."""
    market = synthetic_market(size)
    solver, _, reach = name.partition("_")
    got: list[Int64s] = []
    graph: Graph | None = None
    if solver in ("ortools", "highs", "networkx"):
        if reach == "all":
            own = np.arange(size, dtype=np.int32)
            graph = graph_of(market, Pairs(*materialise(market, own, own)))
        else:
            graph = graph_of(market, nearest(market, most=int(reach)))
        by: dict[str, Callable[[Graph], Int64s]] = {
            "ortools": cost_scaling.run_cost_scaling,
            "highs": by_highs,
            "networkx": by_networkx,
        }
        flows: list[Int64s] = []
        seconds = cpu(lambda: flows.append(by[solver](graph)))
        got.append(served_by(graph, flows[0], size))
        value = int((flows[0] * graph.costs).sum())
    elif solver == "ours":
        all_pairs(synthetic_market(300))
        parts: list[Any] = []
        seconds = cpu(lambda: parts.extend(all_pairs(market)))
        units = np.zeros(size, dtype=np.int64)
        for _, result in parts:
            np.add.at(units, result.needs, result.units)
        got.append(units)
        value = -1
    else:
        greedy_market(synthetic_market(300), rule=reach)
        seconds = cpu(lambda: got.append(greedy_market(market, rule=reach)))
        value = -1
    left = market.need_quantity - got[0]
    shares = [
        float(left[market.need_tier == tier].sum())
        / float(market.need_quantity[market.need_tier == tier].sum())
        for tier in range(3)
    ]
    return {
        "seconds": seconds,
        "peak": peak_mb(),
        "shares": shares,
        "left": [int(left[market.need_tier == tier].sum()) for tier in range(3)],
        "arcs": 0 if graph is None else graph.arcs,
        "value": value,
    }


TITLES: Final = {
    "ours": "own, over every eligible pair, with proof",
    "ortools": "OR-Tools SimpleMinCostFlow",
    "highs": "HiGHS simplex through scipy",
    "networkx": "networkx network simplex",
    "greedy": "greedy over every eligible pair",
}


def run_peer(name: str, size: int) -> dict[str, Any]:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", name, str(size)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
    )
    if done.returncode:
        raise RuntimeError(f"{name} {size}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows_of(found: dict[tuple[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The table; what has seen every pair must agree on its value and on who goes short."""
    rows = []
    for (name, size), one in found.items():
        mine = found[("ours_all", size)]
        if name.endswith("_all"):
            others = [
                other["value"]
                for (key, at), other in found.items()
                if at == size and key.endswith("_all") and other["value"] >= 0
            ]
            assert len(set(others)) <= 1, (size, others)
            assert one["left"] == mine["left"], (name, size)
        label, against = f"peers{size}.{name}", TITLES[name.partition("_")[0]]
        rows += [
            {
                "name": f"{label}.{what}",
                "value": value,
                "unit": unit,
                "baseline": None,
                "n": one["arcs"],
                "against": against,
            }
            for what, value, unit in (
                ("seconds", one["seconds"], "s"),
                ("peak", one["peak"], "MB"),
                ("critical_unserved", 100 * one["shares"][0], "%"),
                ("high_unserved", 100 * one["shares"][1], "%"),
            )
        ]
    return rows


def measures(*, full: bool = False) -> list[dict[str, Any]]:
    """Every solver on the same markets."""
    return rows_of(
        {(name, size): run_peer(name, size) for name, size in (QUICK + LARGE if full else QUICK)}
    )


if __name__ == "__main__":
    print(json.dumps(peer(sys.argv[1], int(sys.argv[2]))))
