"""A round as one transportation problem with prices: the form that the chain can check.

The network of a round (matching.md C) has needs, groups with segments, and roots. All of it is a table of rows
with supplies, columns with demands, and a weight per pair, of which as much weight as possible is moved:

    - A row is a lot. A need that is alone in its group is a column per segment: one unit there is worth what a
      unit unserved in that segment costs, less its way.
    - Needs that share a group (a hospital's needs of one class and tier) are a column each, and the group's
      segments are rows of "not served": such a column is always full; its unit is worth `top` less its cost.
    - Levels become one number by weights that are written down before anything is solved and that separate the
      levels whatever the plan: with at most k = min(needs, lots) of a class on a path, twice over (there and
      back), no sum of life passes W2 and no sum of transport passes W1.

So the largest value of the table is `constant` less the smallest value of the round, and prices that prove the
one prove the other. Limits (packs, donors, shared resources) do not stand in the table: a plan that keeps them
and reaches its bound is best even among plans that need not keep them. A plan with a gap does not reach it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from ledger.core.errors import LimitError, VerificationError
from matching.candidates import ELIGIBLE, Candidates
from matching.geo import Int64s
from matching.plan import Certificate, Group, Plan, Price
from matching.problem import TIERS, Problem

SIDE_MAX: Final = 2**16
"""Rows, and columns: what the chain takes (contracts/src/libraries/Transport.sol)."""
VALUE_MAX: Final = 2**62 - 1
"""Largest weight and price there."""
PAIRS_MAX: Final = 4_000_000
"""Weights that are written out: some ten seconds and half a gigabyte."""
_VALUE_SUM_MAX: Final = 2**128 - 1
"""Largest value of a plan that the chain can hold."""
_PATHS: Final = 4
"""A reduced cost adds up two prices, each a path there and back."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Cost of a unit = rank * `rank` + transport * `transport` + life; `top` is above every such cost."""

    rank: int
    transport: int
    top: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the round's parts stand in the table.

    Attributes:
        class_of: by number of the need.
        alone: need -> [(column, rank)], highest rank last.
        shared: need -> column.
        segments: group -> [(row, rank)], lowest rank first.
    """

    class_of: tuple[str, ...]
    columns: int
    rows: int
    alone: Mapping[int, tuple[tuple[int, int], ...]]
    shared: Mapping[int, int]
    segments: Mapping[Group, tuple[tuple[int, int], ...]]
    groups: Mapping[Group, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """The round as rows, columns and weights.

    Attributes:
        cells: per row (column, weight) in ascending order, eligible pairs only.
        constant: value of the table plus value of the round, for every pair of plans that belong together.
    """

    supplies: tuple[int, ...]
    demands: tuple[int, ...]
    cells: tuple[tuple[tuple[int, int], ...], ...]
    weights: Weights
    constant: int
    layout: _Layout


@dataclass(frozen=True, slots=True)
class Proof:
    """A plan in the table, (row, column, units) ascending, its value, and the prices that prove it largest."""

    flows: tuple[tuple[int, int, int], ...]
    row_prices: tuple[int, ...]
    column_prices: tuple[int, ...]
    value: int


def table_of(problem: Problem, judged: Candidates) -> Table:
    """The table of a round; everything in it follows from the problem.

    Raises:
        LimitError: `matching.chain_size`: more rows, columns or pairs than are written out for the chain, or
            weights past 62 bits.
    """
    layout = _layout(problem)
    for count, limit in (
        (max(layout.rows, layout.columns), SIDE_MAX),
        (judged.eligible * problem.policy.segments, PAIRS_MAX),
    ):
        if count > limit:
            raise _too_large(limit)
    weights = _weights(problem, judged, layout)
    supplies = [lot.quantity for lot in problem.lots]
    demands = [0] * layout.columns
    constant = 0
    for key, members in layout.groups.items():
        sizes = _sizes(problem, members)
        if len(members) == 1:
            for (column, rank), size in zip(
                layout.alone[members[0]], (size for size in sizes if size), strict=True
            ):
                demands[column] = size
                constant += rank * weights.rank * size
            continue
        for need in members:
            demands[layout.shared[need]] = problem.needs[need].quantity
            constant += weights.top * problem.needs[need].quantity
        supplies += [size for size in sizes if size]
        assert len(supplies) == layout.segments[key][-1][0] + 1
    if sum(demands) * weights.top > _VALUE_SUM_MAX:
        raise _too_large(_VALUE_SUM_MAX)
    cells = _cells(judged, layout, weights)
    return Table(tuple(supplies), tuple(demands), cells, weights, constant, layout)


def proof_of(table: Table, problem: Problem, plan: Plan, certificate: Certificate) -> Proof:
    """The plan in the table, with prices made from those of the certificate.

    Raises:
        VerificationError: `matching.chain_gap`: the certificate declares a gap, so nothing is proven best;
            `matching.chain_prices`: the prices do not prove it after all, or not the value that it states.
    """
    if certificate.gap is not None:
        raise VerificationError("a plan with a gap is not proven best", code="matching.chain_gap")
    proof = answer_of(table, problem, plan, certificate)
    _require_proven(table, proof)
    vector = plan.objective.vector()
    cost = vector[0] * table.weights.rank + vector[1] * table.weights.transport + vector[2]
    if proof.value != table.constant - cost:
        # Documents from outside come here before anybody believes the value that a plan states.
        raise VerificationError(
            "the plan states another value than its prices prove", code="matching.chain_prices"
        )
    return proof


def answer_of(table: Table, problem: Problem, plan: Plan, certificate: Certificate) -> Proof:
    """The plan and its prices in the table, whether they prove anything or not."""
    flows = _flows(table, problem, plan)
    rows, columns = _prices(table, problem, certificate)
    weight = [dict(row) for row in table.cells]
    value = sum(units * weight[row].get(column, 0) for row, column, units in flows)
    return Proof(flows, rows, columns, value)


def _layout(problem: Problem) -> _Layout:
    of_item = {item.id: item.item_class for item in problem.catalogue.items.values()}
    class_of = tuple(of_item[need.items[0]] for need in problem.needs)
    groups: dict[Group, list[int]] = {}
    for number, one in enumerate(problem.needs):
        groups.setdefault((one.hospital, class_of[number], one.tier), []).append(number)
    alone: dict[int, tuple[tuple[int, int], ...]] = {}
    shared: dict[int, int] = {}
    segments: dict[Group, tuple[tuple[int, int], ...]] = {}
    column, row = 0, len(problem.lots)
    # Class after class, so that eligible pairs lie together and the rest of the table is empty.
    ordered = sorted(groups.items(), key=lambda one: (one[0][1], one[1][0]))
    for key, members in ordered:
        ranks = [
            _rank(problem, key, step)
            for step, size in enumerate(_sizes(problem, tuple(members)))
            if size
        ]
        if len(members) == 1:
            alone[members[0]] = tuple((column + at, rank) for at, rank in enumerate(ranks))
            column += len(ranks)
            continue
        for need in members:
            shared[need] = column
            column += 1
        segments[key] = tuple((row + at, rank) for at, rank in enumerate(ranks))
        row += len(ranks)
    kept = {key: tuple(members) for key, members in ordered}
    return _Layout(class_of, column, row, alone, shared, segments, kept)


def _weights(problem: Problem, judged: Candidates, layout: _Layout) -> Weights:
    of_item = {item.id: item.item_class for item in problem.catalogue.items.values()}
    lots: dict[str, int] = {}
    needs: dict[str, int] = {}
    for name in layout.class_of:
        needs[name] = needs.get(name, 0) + 1
    for lot in problem.lots:
        lots[of_item[lot.item]] = lots.get(of_item[lot.item], 0) + 1
    chain = max((min(count, lots.get(name, 0)) for name, count in needs.items()), default=0)
    eligible = judged.codes == ELIGIBLE
    way = int(judged.transport[eligible].max(initial=0))
    life = int(judged.life.max(initial=0))
    transport = _PATHS * (chain + 1) * life + 1
    rank = transport * (_PATHS * (chain + 1) * way + 1)
    top = (len(TIERS) * problem.policy.segments + 1) * rank
    if top > VALUE_MAX:
        raise _too_large(VALUE_MAX)
    return Weights(rank, transport, top)


def _cells(
    judged: Candidates, layout: _Layout, weights: Weights
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Per row its pairs. Costs are below `top`, so an eligible pair's weight is above zero."""
    rows: list[list[tuple[int, int]]] = [[] for _ in range(layout.rows)]
    needs, lots = (part.tolist() for part in np.nonzero(judged.codes == ELIGIBLE))
    ways: Int64s = judged.transport[needs, lots]
    life = judged.life.tolist()
    for need, lot, way in zip(needs, lots, ways.tolist(), strict=True):
        cost = way * weights.transport + life[lot]
        if need in layout.shared:
            rows[lot].append((layout.shared[need], weights.top - cost))
        else:
            rows[lot] += [
                (column, rank * weights.rank - cost) for column, rank in layout.alone[need]
            ]
    for key, steps in layout.segments.items():
        for row, rank in steps:
            worth = weights.top - rank * weights.rank
            rows[row] = [(layout.shared[need], worth) for need in layout.groups[key]]
    return tuple(tuple(sorted(row)) for row in rows)


def _flows(table: Table, problem: Problem, plan: Plan) -> tuple[tuple[int, int, int], ...]:
    """The plan's lines, and for groups of several needs what stays unserved, as flows of the table."""
    layout = table.layout
    need_at = {need.id: number for number, need in enumerate(problem.needs)}
    lot_at = {lot.id: number for number, lot in enumerate(problem.lots)}
    got = [0] * len(problem.needs)
    found: list[tuple[int, int, int]] = []
    room = {need: [[column, table.demands[column]] for column, _ in reversed(columns)]
            for need, columns in layout.alone.items()}  # fmt: skip
    for line in plan.flows:
        need, lot = need_at[line.need], lot_at[line.lot]
        got[need] += line.quantity
        if need in layout.shared:
            found.append((lot, layout.shared[need], line.quantity))
            continue
        left = line.quantity
        for place in room[need]:
            units = min(left, place[1])
            if units:
                found.append((lot, place[0], units))
                place[1] -= units
                left -= units
    for key, steps in layout.segments.items():
        spare = [[row, table.supplies[row]] for row, _ in steps]
        for need in layout.groups[key]:
            left = problem.needs[need].quantity - got[need]
            for step in spare:
                units = min(left, step[1])
                if units:
                    found.append((step[0], layout.shared[need], units))
                    step[1] -= units
                    left -= units
    return tuple(sorted(found))


def _prices(
    table: Table, problem: Problem, certificate: Certificate
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prices of rows and columns, none below zero: what a lot, a segment, a unit of need is worth."""
    layout, weights = table.layout, table.weights
    of_item = {item.id: item.item_class for item in problem.catalogue.items.values()}
    root = {name: _scalar(price, weights) for name, price in certificate.roots.items()}
    rows = [0] * layout.rows
    columns = [0] * layout.columns
    for number, lot in enumerate(problem.lots):
        price = _scalar(certificate.lots[lot.id], weights) - root[of_item[lot.item]]
        rows[number] = max(0, price)
    for key, members in layout.groups.items():
        base = root[key[1]]
        for need in members:
            asked = _scalar(certificate.needs[problem.needs[need].id], weights) - base
            if need in layout.shared:
                columns[layout.shared[need]] = max(0, weights.top - asked)
                continue
            for column, rank in layout.alone[need]:
                columns[column] = max(0, rank * weights.rank - asked)
        price = _scalar(certificate.groups[key], weights) - base
        for row, rank in layout.segments.get(key, ()):
            rows[row] = max(0, price - rank * weights.rank)
    return tuple(rows), tuple(columns)


def _require_proven(table: Table, proof: Proof) -> None:
    """Weak duality: prices above every weight, and the plan's value equal to that of the prices."""
    bound = sum(a * b for a, b in zip(table.supplies, proof.row_prices, strict=True))
    bound += sum(a * b for a, b in zip(table.demands, proof.column_prices, strict=True))
    holds = bound == proof.value and all(
        0 <= price <= VALUE_MAX for price in proof.row_prices + proof.column_prices
    )
    if not holds or any(
        price + proof.column_prices[column] < weight
        for price, row in zip(proof.row_prices, table.cells, strict=True)
        for column, weight in row
    ):
        raise VerificationError(
            "the certificate's prices do not prove the plan as one number",
            code="matching.chain_prices",
        )


def _scalar(price: Price, weights: Weights) -> int:
    return price[0] * weights.rank + price[1] * weights.transport + price[2]


def _rank(problem: Problem, key: Group, step: int) -> int:
    """Rank of a group's segment, 1-based; the last segment of a critical need is the highest."""
    return (len(TIERS) - 1 - key[2]) * problem.policy.segments + step + 1


def _sizes(problem: Problem, members: tuple[int, ...]) -> list[int]:
    segments = problem.policy.segments
    total = sum(problem.needs[need].quantity for need in members)
    cuts = [total * step // segments for step in range(segments + 1)]
    return [high - low for low, high in pairwise(cuts)]


def _too_large(limit: int) -> LimitError:
    return LimitError(
        "this round is too large to be written out for the chain: its commitment stands there, its result in "
        "the log only",
        code="matching.chain_size",
        limit=limit,
    )
