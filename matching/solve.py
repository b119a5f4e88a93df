"""The optimum of a round with dual prices, over every eligible pair.

Network of one class (matching.md C): lots -> needs; root -> (hospital, class, tier) group in S parallel
segments whose price rises, group -> need: what stays unserved; lot -> root: what stays unused. All integers,
no surplus node.

`solve` works on the table of all pairs (`judge_pairs`), which also says why a pair is not eligible.
`solve_priced` needs no table and finds the same value by pricing. `engine.portfolio` chooses the solver; both
answer to `check.py`, which shares no code with them.

Inside level 1 a unit unserved at rank r costs r, and linear weights are enough for "tier first, then the
emptiest segment first": the amounts that can be served together form a polymatroid, on which the greedy
order of the weights alone decides (matching.md B5.2; a test compares with brute force).

Under a time limit the plan is the best so far, and the prices are a proven bound: no plan is better by more
than the certificate's gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ledger.core.errors import LimitError
from matching.assemble import Part, assemble, class_names
from matching.candidates import ELIGIBLE, Candidates, judge_pairs
from matching.engine import jit
from matching.engine.columns import solve_class
from matching.engine.graph import Graph
from matching.engine.levels import (
    LEVELS,
    Weights,
    choose_weights,
    level_fits,
    separated,
    solve_by_levels,
    split_levels,
)
from matching.engine.market import Market
from matching.engine.network import Network, class_network, repaired, with_pairs
from matching.engine.portfolio import SIMPLEX, limit_of, solve_graph
from matching.engine.translate import market_of
from matching.geo import KM_MAX, Int64s
from matching.plan import Certificate, Plan
from matching.problem import LIFE_MAX_DAYS, TIERS, Problem

SOLVER: Final = f"{SIMPLEX}, numba {jit.VERSION}"
ARCS_MAX: Final = 12_000_000
"""Arcs of one class: as many as there may be pairs; about half a gigabyte. A class with more is priced."""
_TRANSPORT_MAX: Final = 4 * KM_MAX
"""No route with its penalty is longer; for weights that are chosen before any pair is known."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan, its certificate and the judged pairs they rest on."""

    plan: Plan
    certificate: Certificate
    candidates: Candidates


def solve(
    problem: Problem, *, candidates: Candidates | None = None, seconds: float | None = None
) -> Solution:
    """Solve the round on the table of all pairs.

    Args:
        seconds: at most about so long; the plan is then the best so far, with a certified gap.

    Raises:
        LimitError: `matching.weights_overflow`.
    """
    judged = candidates if candidates is not None else judge_pairs(problem)
    market, until = market_of(problem), limit_of(seconds)
    parts = [
        _solve_table(problem, market, judged, item_class=number, until=until)
        for number in range(len(class_names(problem)))
    ]
    plan, certificate = assemble(problem, market, parts)
    return Solution(plan, certificate, judged)


def solve_priced(
    problem: Problem, *, seconds: float | None = None, arcs_max: int = ARCS_MAX
) -> tuple[Plan, Certificate]:
    """Solve the round by pricing over all eligible pairs, without a table of them.

    Args:
        seconds, arcs_max: limits of time, and of memory for one class; past either the plan is the best so
            far, with a certified gap.

    Raises:
        LimitError: `matching.weights_overflow`.
    """
    market, until = market_of(problem), limit_of(seconds)
    parts = []
    for number in range(len(class_names(problem))):
        weights = class_weights(market, item_class=number, segments=problem.policy.segments)
        parts.append(
            solve_market_class(
                market,
                item_class=number,
                segments=problem.policy.segments,
                weights=weights,
                until=until,
                arcs_max=arcs_max,
            )
        )
    return assemble(problem, market, parts)


def class_weights(
    market: Market,
    *,
    item_class: int,
    segments: int,
    transport_max: int = _TRANSPORT_MAX,
    grown: int = 0,
) -> Weights:
    """Weights for a class of which no pair is known yet.

    Args:
        grown: so many needs and lots may still come.

    Raises:
        LimitError: `matching.weights_overflow`.
    """
    needs = int((market.need_class == item_class).sum()) + grown
    lots = int((market.lot_class == item_class).sum()) + grown
    weights = choose_weights(
        ranks=len(TIERS) * segments,
        transport_max=transport_max + int(market.fit.max(initial=0)),
        life_max=LIFE_MAX_DAYS,
        chain=min(needs, lots),
        nodes=1 + 2 * needs + lots,
    )
    if weights is None:
        raise _overflow()
    return weights


def solve_market_class(
    market: Market,
    *,
    item_class: int,
    segments: int,
    weights: Weights,
    until: float | None = None,
    arcs_max: int = ARCS_MAX,
) -> Part | None:
    """One class by pricing; None where it has neither needs nor lots.

    Raises:
        LimitError: `matching.weights_overflow`: smaller weights than proven ones did not separate the levels.
    """
    network = class_network(
        market, item_class=item_class, segments=segments, rank_cost=weights.rank_cost
    )
    if network is None:
        return None
    found = solve_class(
        market, network, transport_cost=weights.lower, until=until, arcs_max=arcs_max
    )
    prices = split_levels(found.price, weights)
    if not weights.proven and found.proven and not inside_weights(prices, weights):
        raise _overflow()
    return Part(
        network=network,
        needs=found.needs,
        lots=found.lots,
        units=found.units,
        transports=found.transports,
        prices=prices,
        proven=found.proven,
        solvers=(SIMPLEX,),
    )


def inside_weights(prices: Int64s, weights: Weights) -> bool:
    """Vectors order like their scalars where every sum of two prices and a cost stays inside its weight.

    A reduced cost has lower parts of at most twice the largest price and one cost; inside half the weight they
    cannot carry into the level above.
    """
    life = 2 * int(np.abs(prices[:, 2]).max(initial=0)) + LIFE_MAX_DAYS
    transport = 2 * int(np.abs(prices[:, 1]).max(initial=0)) + _TRANSPORT_MAX
    return 2 * life < weights.lower and 2 * transport < weights.upper


def _solve_table(
    problem: Problem,
    market: Market,
    judged: Candidates,
    *,
    item_class: int,
    until: float | None,
) -> Part | None:
    """One class on its eligible pairs; None where it has neither needs nor lots."""
    needs = np.flatnonzero(market.need_class == item_class)
    lots = np.flatnonzero(market.lot_class == item_class)
    block = np.ix_(needs, lots)
    rows, columns = (part.astype(np.int32) for part in np.nonzero(judged.codes[block] == ELIGIBLE))
    segments = problem.policy.segments
    if len(rows) + (2 + segments) * len(needs) + len(lots) > ARCS_MAX:
        return solve_market_class(
            market,
            item_class=item_class,
            segments=segments,
            weights=class_weights(market, item_class=item_class, segments=segments),
            until=until,
            arcs_max=ARCS_MAX,
        )
    levels = np.zeros((len(rows), LEVELS), dtype=np.int64)
    levels[:, 1] = judged.transport[block][rows, columns]
    levels[:, 2] = judged.life[lots][columns]
    weights = choose_weights(
        ranks=len(TIERS) * segments,
        transport_max=int(levels[:, 1].max(initial=0)),
        life_max=int(levels[:, 2].max(initial=0)),
        chain=min(len(needs), len(lots)),
        nodes=1 + 2 * len(needs) + len(lots),
    )
    network = class_network(
        market,
        item_class=item_class,
        segments=segments,
        rank_cost=1 if weights is None else weights.rank_cost,
    )
    if network is None:
        return None
    scalar = levels[:, 1] if weights is None else levels[:, 1] * weights.lower + levels[:, 2]
    ranks = np.zeros((network.base.arcs, LEVELS), dtype=np.int64)
    ranks[network.base.arcs - len(network.segment_rank) :, 0] = network.segment_rank
    costs = np.concatenate([ranks, levels])
    if weights is None and not level_fits(costs, nodes=network.base.nodes):
        raise _overflow()
    graph = with_pairs(network, needs=rows, lots=columns, costs=scalar)
    return _solve_levels(network, graph, costs, weights=weights, until=until)


def _solve_levels(
    network: Network,
    graph: Graph,
    costs: Int64s,
    *,
    weights: Weights | None,
    until: float | None,
) -> Part:
    """One weighted solve; level by level where no weights fit or the ones that did failed their proof."""
    proven = True
    solvers: tuple[str, ...] = (SIMPLEX,)
    if weights is None:
        flows, prices, proven = solve_by_levels(graph, costs, until=until)
    else:
        solved = solve_graph(graph, until=until)
        flows, proven, solvers = solved.flows, solved.proven, solved.solvers
        scalar = solved.prices - solved.prices[0]
        if not proven:
            scalar = repaired(network, graph, scalar)
        prices = split_levels(scalar, weights)
        if proven and not separated(graph, costs, flows, prices):
            flows, prices, proven = solve_by_levels(graph, costs, until=until)
    pairs = flows[network.base.arcs :]
    used = np.flatnonzero(pairs)
    arcs = used + network.base.arcs
    return Part(
        network=network,
        needs=network.needs[graph.heads[arcs] - network.first_need],
        lots=network.lots[graph.tails[arcs] - network.first_lot],
        units=pairs[used],
        transports=costs[arcs, 1],
        prices=prices,
        proven=proven,
        solvers=solvers,
    )


def _overflow() -> LimitError:
    return LimitError(
        "the level weights of this round would pass 63 bits: use fewer segments or split the round",
        code="matching.weights_overflow",
    )
