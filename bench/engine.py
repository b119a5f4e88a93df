"""The matching engine on generated markets: cold solves, all pairs, the million, fairness, what others give.

`make bench ARGS=engine` runs the quick ones (a minute of processor time). `python -m bench engine --large` adds
the large ones (some twelve minutes), `python -m bench.engine --part NAME SIZE` does one alone. Every part runs
in a process of its own, so that its peak memory is its own, and solvers that cannot share a process never meet.

Ratios are taken inside one process: ours, theirs, ours again; processor seconds, least disturbed by others.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ledger.core.report import Verdict
from matching.check_graph import check_flow
from matching.check_pairs import contradictions
from matching.engine import cost_scaling
from matching.engine.columns import ClassResult, run_class, solve_class
from matching.engine.graph import Graph
from matching.engine.market import Market
from matching.engine.network import Network, class_network, positions, with_pairs
from matching.engine.portfolio import Solved, solve_graph, warm_up
from matching.engine.pricing import Found, build_boxes, search
from matching.geo import Int64s
from matching.testing_greedy import greedy_market, materialise
from matching.testing_markets import grid_graph, netgen_graph, synthetic_market, torus_graph

ROOT = Path(__file__).resolve().parents[1]
RANK_COST = 1 << 28
"""More than any path of kilometres in these markets: tiers first, then transport."""
QUICK = (
    ("small", 1_000),
    ("sparse", 10_000),
    ("tight", 10_000),
    ("transport", 20_000),
    ("network", 16_000),
    ("network", 18_600),
    ("grid", 20_000),
    ("torus", 16),
    ("tiers", 10_000),
    ("all_pairs", 10_000),
    ("materialised", 10_000),
    ("critical", 10_000),
    ("fairness", 3_000),
)
FULL = (
    ("sparse", 100_000),
    ("network", 65_000),
    ("grid", 60_000),
    ("torus", 25),
    ("tight", 100_000),
    ("tiers", 100_000),
    ("all_pairs", 100_000),
    ("million", 1_000_000),
)
SHORTAGE = 4
"""By how much supply is cut for the measure of evenness."""
_SECONDS_MAX = 3_600


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidate pairs of a whole market, by need."""

    needs: Any
    lots: Any
    transports: Int64s


def one_class(market: Market) -> Market:
    """The same market with all goods in one class: the whole graph, as a solver without a split sees it."""
    return market._replace(
        need_class=np.zeros_like(market.need_class), lot_class=np.zeros_like(market.lot_class)
    )


def graph_of(market: Market, pairs: Pairs, *, segments: int = 1) -> Graph:
    """All classes in one graph over these pairs."""
    network = class_network(one_class(market), item_class=0, segments=segments, rank_cost=RANK_COST)
    assert network is not None
    return with_pairs(network, needs=pairs.needs, lots=pairs.lots, costs=pairs.transports)


def nearest(market: Market, *, most: int) -> Pairs:
    """The nearest eligible lots of every need."""
    size = len(market.need_quantity)
    needs = np.arange(size, dtype=np.int32)
    boxes = build_boxes(market, np.arange(len(market.lot_quantity), dtype=np.int32))
    found = search(
        market,
        boxes,
        needs,
        lot_values=np.zeros(len(market.lot_quantity), dtype=np.int64),
        limits=np.full(size, 1 << 60, dtype=np.int64),
        weight=1,
        most=most,
    )
    return Pairs(found.needs, found.lots, found.transports)


def all_pairs(market: Market, *, segments: int = 1) -> list[tuple[Network, ClassResult]]:
    """Every class over all eligible pairs."""
    parts = []
    for number in range(int(market.need_class.max()) + 1):
        network = class_network(market, item_class=number, segments=segments, rank_cost=RANK_COST)
        if network is not None:
            parts.append((network, solve_class(without_life(market), network, transport_cost=1)))
    return parts


def without_life(market: Market) -> Market:
    """The level of expiry left out, as in the graphs that others solve."""
    return market._replace(lot_life=np.zeros_like(market.lot_life))


def verified(graph: Graph, solved: Solved) -> None:
    """Raises where the independent checker rejects."""
    report = check_flow(
        tails=graph.tails,
        heads=graph.heads,
        bounds=graph.bounds,
        costs=graph.costs,
        supplies=graph.supplies,
        flows=solved.flows,
        prices=solved.prices,
    )
    if report.verdict is not Verdict.PASSED:
        raise AssertionError(report.checks[-1].summary_en)


def against_ortools(label: str, graph: Graph) -> list[dict[str, Any]]:
    """Ours with prices and verification, beside OR-Tools on the whole same graph."""
    solved: list[Solved] = []
    flows: list[Int64s] = []

    def ours() -> None:
        solved[:] = [solve_graph(graph)]
        verified(graph, solved[0])

    def theirs() -> None:
        flows[:] = [cost_scaling.run_cost_scaling(graph)]

    first, raw, second = cpu(ours), cpu(theirs), cpu(ours)
    check = cpu(lambda: verified(graph, solved[0]))
    mine, other = (int((part * graph.costs).sum()) for part in (solved[0].flows, flows[0]))
    if mine != other:
        raise AssertionError(f"{label}: objectives differ, {mine} and {other}")
    best = min(first, second)
    return [
        row(f"{label}.cold", best, "s", raw, graph.arcs, "raw OR-Tools on the whole same graph"),
        row(f"{label}.check", check, "s", best, graph.arcs, "own cold solve"),
    ]


def sparse(size: int) -> list[dict[str, Any]]:
    """The twenty nearest."""
    market = synthetic_market(size)
    return against_ortools(f"sparse{size}", graph_of(market, nearest(market, most=20)))


def tight(size: int) -> list[dict[str, Any]]:
    """The arcs among which the optimum over all pairs was found."""
    market = synthetic_market(size)
    kept: list[Found] = []
    for network, result in all_pairs(market):
        boxes = build_boxes(market, network.lots)
        values = np.zeros(len(market.lot_quantity), dtype=np.int64)
        values[network.lots] = result.price[
            network.first_lot : network.first_lot + len(network.lots)
        ]
        # Thirty-six best offers of every need at the final prices: the hardest arcs there are.
        kept.append(
            search(
                market,
                boxes,
                network.needs,
                lot_values=values,
                limits=np.full(len(network.needs), 1 << 60, dtype=np.int64),
                weight=1,
                most=36,
            )
        )
    needs = np.concatenate([part.needs for part in kept])
    order = np.argsort(needs, kind="stable")
    pairs = Pairs(
        needs[order],
        np.concatenate([part.lots for part in kept])[order],
        np.concatenate([part.transports for part in kept])[order],
    )
    return against_ortools(f"tight{size}", graph_of(market, pairs))


def transport(size: int) -> list[dict[str, Any]]:
    """A NETGEN-like transportation problem."""
    return against_ortools(f"netgen_transport{size}", netgen_graph(size, 20 * size))


def network(size: int) -> list[dict[str, Any]]:
    """A NETGEN-like network with transit nodes."""
    return against_ortools(
        f"netgen_network{size}", netgen_graph(size, 8 * size, sources=size // 10)
    )


def grid(size: int) -> list[dict[str, Any]]:
    """A GRIDGEN-like grid, half as high again as it is wide."""
    width = int((size * 2 / 3) ** 0.5)
    return against_ortools(f"gridgen{size}", grid_graph(width, size // width))


def torus(height: int) -> list[dict[str, Any]]:
    """A GOTO-like grid on a torus, `height` rows and as many squared columns: hard for any simplex."""
    return against_ortools(f"goto{height**3}", torus_graph(height))


def all_pairs_part(size: int) -> list[dict[str, Any]]:
    """Exact over all eligible pairs with proof, and the proof checked a second way."""
    market = without_life(synthetic_market(size))
    parts: list[tuple[Network, ClassResult]] = []
    wall = time.perf_counter()
    seconds = cpu(lambda: parts.extend(all_pairs(market)))
    wall = time.perf_counter() - wall
    peak = peak_mb()
    lots = np.zeros((size, 3), dtype=np.int64)
    needs = np.zeros((size, 3), dtype=np.int64)
    objective = 0
    for network_, result in parts:
        assert result.proven
        prices = result.price
        lots[network_.lots, 1] = prices[network_.first_lot :]
        needs[network_.needs, 1] = prices[network_.first_need : network_.first_lot]
        objective += class_value(market, network_, result)
    # One number per price: ranks are folded into the transport level, whose digit is wide enough.
    found = -1
    check = cpu(lambda: None)
    if size <= 100_000:
        start = time.process_time()
        found = contradictions(market, lot_prices=lots, need_prices=needs)
        check = time.process_time() - start
        assert found == 0
    label = f"all_pairs{size}"
    return [
        row(f"{label}.exact_with_proof", seconds, "s", None, size, objective=objective),
        row(f"{label}.wall", wall, "s", None, size),
        row(f"{label}.peak", peak, "MB", None, size),
        row(f"{label}.second_proof", check, "s", seconds, size, "own solve"),
    ]


def tiers(size: int) -> list[dict[str, Any]]:
    """How soon nobody can be served better at the first level, proven over all eligible pairs."""
    market = without_life(synthetic_market(size))
    started = time.process_time()
    for number in range(int(market.need_class.max()) + 1):
        network_ = class_network(market, item_class=number, segments=1, rank_cost=RANK_COST)
        if network_ is not None:
            run = run_class(market, network_, transport_cost=1, rank_cost=RANK_COST)
            assert run.ranks_proven
    seconds = time.process_time() - started
    return [row(f"all_pairs{size}.tiers_proven", seconds, "s", None, size)]


def class_value(market: Market, network: Network, result: ClassResult) -> int:
    """Objective of one class: units unserved at their rank's cost, and transport."""
    got = np.zeros(len(market.need_quantity), dtype=np.int64)
    np.add.at(got, result.needs, result.units)
    unmet = np.zeros(len(network.group_total), dtype=np.int64)
    left = (market.need_quantity - got)[network.needs]
    np.add.at(unmet, network.group_of, left)
    sizes = network.base.bounds[network.base.arcs - len(network.segment_rank) :]
    value = int((result.units * result.transports).sum())
    for group, rank, units in zip(
        network.segment_group.tolist(), network.segment_rank.tolist(), sizes.tolist(), strict=True
    ):
        used = min(int(unmet[group]), units)
        unmet[group] -= used
        value += used * rank * RANK_COST
    return value


def materialised(size: int) -> list[dict[str, Any]]:
    """The same optimum the plain way: every eligible pair an arc, OR-Tools class by class."""
    market = without_life(synthetic_market(size))
    value = arcs = 0
    started = time.process_time()
    for number in range(int(market.need_class.max()) + 1):
        network_ = class_network(market, item_class=number, segments=1, rank_cost=RANK_COST)
        if network_ is None:
            continue
        needs, lots, transports = materialise(market, network_.needs, network_.lots)
        graph = with_pairs(
            network_,
            needs=positions(network_.needs, needs),
            lots=positions(network_.lots, lots),
            costs=transports,
        )
        flows = cost_scaling.run_cost_scaling(graph)
        value += int((flows * graph.costs).sum())
        arcs += graph.arcs
    seconds = time.process_time() - started
    label = f"materialised{size}"
    return [
        row(f"{label}.ortools_by_class", seconds, "s", None, arcs, objective=value),
        row(f"{label}.peak", peak_mb(), "MB", None, arcs),
    ]


def million(size: int) -> list[dict[str, Any]]:
    """Ten nearest of each of a million, class by class, with prices and verification."""
    market = synthetic_market(size)
    wall = time.perf_counter()
    started = time.process_time()
    arcs = 0
    for number in range(int(market.need_class.max()) + 1):
        network_ = class_network(market, item_class=number, segments=1, rank_cost=RANK_COST)
        if network_ is None:
            continue
        boxes = build_boxes(market, network_.lots)
        found = search(
            market,
            boxes,
            network_.needs,
            lot_values=np.zeros(size, dtype=np.int64),
            limits=np.full(len(network_.needs), 1 << 60, dtype=np.int64),
            weight=1,
            most=10,
        )
        graph = with_pairs(
            network_,
            needs=positions(network_.needs, found.needs),
            lots=positions(network_.lots, found.lots),
            costs=found.transports,
        )
        arcs += graph.arcs
        verified(graph, solve_graph(graph))
    return [
        row(f"nearest10_{size}.cold", time.process_time() - started, "s", None, arcs),
        row(f"nearest10_{size}.wall", time.perf_counter() - wall, "s", None, arcs),
        row(f"nearest10_{size}.peak", peak_mb(), "MB", None, arcs),
    ]


def critical(size: int) -> list[dict[str, Any]]:
    """Critical need unserved, beside what rules of thumb leave over the same pairs."""
    market = synthetic_market(size)
    got = np.zeros(size, dtype=np.int64)
    for _, result in all_pairs(market):
        np.add.at(got, result.needs, result.units)
    rows = []
    for rule in ("nearest", "first_expiring"):
        other = greedy_market(market, rule=rule)
        for tier, name in enumerate(("critical", "high")):
            mine = market.need_tier == tier
            rows.append(
                row(
                    f"unserved{size}.{name}.against_{rule}",
                    int((market.need_quantity - got)[mine].sum()),
                    "units",
                    int((market.need_quantity - other)[mine].sum()),
                    int(market.need_quantity[mine].sum()),
                    f"greedy {rule} over all pairs",
                )
            )
    return rows


def fairness(size: int) -> list[dict[str, Any]]:
    """The smallest share a hospital gets of a class in the top tier, with and without evenness."""
    # Short enough that critical need stays unserved, not so short that somebody gets nothing without evenness.
    market = synthetic_market(size, hospitals=size // 20)
    market = market._replace(lot_quantity=np.maximum(1, market.lot_quantity // SHORTAGE))
    fills, totals = [], []
    for segments in (1, 10):
        shares, unserved = [], np.zeros(3, dtype=np.int64)
        for network_, result in all_pairs(market, segments=segments):
            assert result.proven
            got = np.zeros(size, dtype=np.int64)
            np.add.at(got, result.needs, result.units)
            by_group = np.bincount(network_.group_of, weights=got[network_.needs])
            top = network_.group_tier == 0
            shares.append(by_group[top] / network_.group_total[top])
            np.add.at(
                unserved,
                market.need_tier[network_.needs],
                (market.need_quantity - got)[network_.needs],
            )
        found = np.concatenate(shares)
        fills.append((float(found.min()), float(np.quantile(found, 0.1)), float(found.std())))
        totals.append(unserved.tolist())
    assert totals[0] == totals[1], totals
    against = "the optimum without evenness; unserved units of every tier are the same"
    return [
        row(f"fairness{size}.{name}", fills[1][at], "share", fills[0][at], size, against)
        for at, name in enumerate(("least_fill", "tenth_fill", "spread"))
    ]


def small(size: int) -> list[dict[str, Any]]:
    """One sparse graph by everything at hand, the same value from each."""
    market = synthetic_market(size)
    graph = graph_of(market, nearest(market, most=20))
    solve_graph(graph)
    best = cpu(lambda: verified(graph, solve_graph(graph)))
    value = int((solve_graph(graph).flows * graph.costs).sum())
    rows = against_ortools(f"small{size}", graph)
    for name, job in (("highs", by_highs), ("networkx", by_networkx)):
        try:
            found: list[Int64s] = []
            seconds = cpu(lambda job=job, found=found: found.append(job(graph)))  # type: ignore[misc]
        except ImportError:
            continue
        assert int((found[0] * graph.costs).sum()) == value, name
        rows.append(row(f"small{size}.against_{name}", best, "s", seconds, graph.arcs, name))
    return rows


def by_highs(graph: Graph) -> Int64s:
    """HiGHS' simplex, through scipy (highspy and OR-Tools cannot share a process)."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    arcs = np.arange(graph.arcs)
    matrix = coo_matrix(
        (
            np.concatenate([np.ones(graph.arcs), -np.ones(graph.arcs)]),
            (np.concatenate([graph.tails, graph.heads]), np.concatenate([arcs, arcs])),
        ),
        shape=(graph.nodes, graph.arcs),
    )
    upper = np.minimum(graph.bounds, graph.supplies[graph.supplies > 0].sum())
    found = linprog(
        graph.costs.astype(float),
        A_eq=matrix.tocsc(),
        b_eq=graph.supplies.astype(float),
        bounds=np.stack([np.zeros(graph.arcs), upper], axis=1),
        method="highs-ds",
    )
    # The vertex is integral; as integers, because doubles would round its cost.
    flows: Int64s = np.rint(found.x).astype(np.int64)
    return flows


def by_networkx(graph: Graph) -> Int64s:
    """networkx' network simplex."""
    import networkx as nx

    net = nx.DiGraph()
    for node, supply in enumerate(graph.supplies.tolist()):
        net.add_node(node, demand=-supply)
    for tail, head, cost in zip(
        graph.tails.tolist(), graph.heads.tolist(), graph.costs.tolist(), strict=True
    ):
        net.add_edge(tail, head, weight=cost)
    # S = 1: no bound of these graphs binds below the demand itself.
    flows = nx.network_simplex(net)[1]
    pairs = zip(graph.tails.tolist(), graph.heads.tolist(), strict=True)
    return np.array([flows[tail][head] for tail, head in pairs], dtype=np.int64)


PARTS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "small": small,
    "sparse": sparse,
    "tight": tight,
    "transport": transport,
    "network": network,
    "grid": grid,
    "torus": torus,
    "all_pairs": all_pairs_part,
    "tiers": tiers,
    "materialised": materialised,
    "million": million,
    "critical": critical,
    "fairness": fairness,
}


def measures(*, full: bool = False) -> list[dict[str, Any]]:
    """All parts, each in a process of its own."""
    rows: list[dict[str, Any]] = []
    for name, size in (*QUICK, *FULL) if full else QUICK:
        rows += run_part(name, size)
    return [
        {key: value for key, value in one.items() if key != "objective"} for one in paired(rows)
    ]


def paired(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All pairs beside materialising them: the same objective, time and memory as a ratio."""
    by_name = {one["name"]: one for one in rows}
    for size in {one["name"].split(".")[1].removeprefix("all_pairs") for one in rows}:
        plain = by_name.get(f"engine.materialised{size}.ortools_by_class")
        mine = by_name.get(f"engine.all_pairs{size}.exact_with_proof")
        if plain is None or mine is None:
            continue
        if plain["objective"] != mine["objective"]:
            raise AssertionError("pricing and materialising found different optima")
        mine |= {"baseline": plain["value"], "against": "every eligible pair an arc, OR-Tools"}
        peak = by_name[f"engine.all_pairs{size}.peak"]
        peak |= {
            "baseline": by_name[f"engine.materialised{size}.peak"]["value"],
            "against": "every eligible pair an arc, OR-Tools",
        }
    return rows


def run_part(name: str, size: int) -> list[dict[str, Any]]:
    """One part in its own process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.engine", "--part", name, str(size)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
    )
    if done.returncode:
        raise RuntimeError(f"{name} {size}: {done.stderr[-2000:]}")
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def warmed(name: str) -> None:
    """Compile beforehand: the first run of a fresh installation is another figure."""
    if name in ("transport", "network", "grid", "torus"):
        solve_graph(netgen_graph(100, 400))
        warm_up()
        return
    market = synthetic_market(300)
    graph = graph_of(market, nearest(market, most=5))
    verified(graph, solve_graph(graph))
    if name not in ("small", "sparse", "million"):
        all_pairs(market)
        own = np.arange(300, dtype=np.int32)
        materialise(market, own, own)
        greedy_market(market, rule="nearest")


def cpu(job: Callable[[], object]) -> float:
    """Processor seconds of one run."""
    started = time.process_time()
    job()
    return time.process_time() - started


def peak_mb() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(
    name: str,
    value: float,
    unit: str,
    baseline: float | None,
    n: int,
    against: str = "",
    **more: object,
) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": f"engine.{name}",
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "n": n,
        "against": against,
        **more,
    }


def main(arguments: list[str]) -> int:
    """`--part NAME SIZE` prints JSON; `--full` or nothing prints a plain table."""
    if arguments[:1] == ["--part"]:
        warmed(arguments[1])
        print(json.dumps(PARTS[arguments[1]](int(arguments[2]))))
        return 0
    for one in measures(full="--full" in arguments):
        base = one["baseline"]
        ratio = f"{one['value'] / base:.3f}" if base else ""
        print(f"{one['name']:44} {one['value']:14.4g} {one['unit']:6} {ratio:8} {one['against']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
