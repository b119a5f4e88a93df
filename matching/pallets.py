"""Makes a plan keep what no flow knows: whole packs, smallest lines, donors' limits and shared resources.

The flow that ignores them is rounded down where it breaks one, and what comes free is given out again, the
strongest claim first, in the order of the policy. The plan is feasible and good; how good, its certificate's
gap says, whose bound comes from the flow without the limits (or with priced resources, `shared_capacity.py`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from matching.candidates import ELIGIBLE, Candidates
from matching.geo import Int64s
from matching.problem import TIERS, Lot, Problem

GroupKey = tuple[str, str, int]


@dataclass(slots=True)
class _Books:
    """What is given and used so far."""

    problem: Problem
    judged: Candidates
    served: Int64s
    left: list[int]
    unmet: list[int]
    spare: dict[str, int]
    group_of: list[GroupKey]
    group_unmet: dict[GroupKey, int] = field(default_factory=dict)
    group_total: dict[GroupKey, int] = field(default_factory=dict)
    receivers: dict[str, set[str]] = field(default_factory=dict)
    allowed: dict[str, int] = field(default_factory=dict)


def keep_limits(problem: Problem, judged: Candidates, *, served: Int64s) -> Int64s:
    """Units by (need, lot) that keep every limit, made from units that keep eligibility and quantities."""
    rounded = np.zeros_like(served)
    chosen = _chosen_receivers(problem, served)
    spare = {resource.id: resource.capacity for resource in problem.resources}
    for column, lot in enumerate(problem.lots):
        for row in np.flatnonzero(served[:, column]).tolist():
            if lot.donor in chosen and problem.needs[row].hospital not in chosen[lot.donor]:
                continue
            units = int(served[row, column])
            if lot.resource is not None:
                units = min(units, spare[lot.resource] // lot.per_unit)
            units -= units % lot.pack
            if units >= lot.smallest:
                rounded[row, column] = units
                if lot.resource is not None:
                    spare[lot.resource] -= units * lot.per_unit
    books = _open(problem, judged, rounded, spare)
    _give_out(books)
    return books.served


def donors_limits(lots: Iterable[Lot]) -> dict[str, int]:
    """Donor -> to how many hospitals its lots may go."""
    found: dict[str, int] = {}
    for lot in lots:
        if lot.receivers_max is not None:
            found[lot.donor] = min(found.get(lot.donor, lot.receivers_max), lot.receivers_max)
    return found


def _chosen_receivers(problem: Problem, served: Int64s) -> dict[str, set[str]]:
    """Of a limited donor, the hospitals where its units count most: critical first, then the most units."""
    worth: dict[str, dict[str, list[int]]] = {}
    limits = donors_limits(problem.lots)
    for column, lot in enumerate(problem.lots):
        if lot.donor not in limits:
            continue
        for row in np.flatnonzero(served[:, column]).tolist():
            need = problem.needs[row]
            tiers = worth.setdefault(lot.donor, {}).setdefault(need.hospital, [0] * len(TIERS))
            tiers[need.tier] -= int(served[row, column])
    return {
        donor: set(sorted(hospitals, key=lambda name: (hospitals[name], name))[: limits[donor]])
        for donor, hospitals in worth.items()
    }


def _open(problem: Problem, judged: Candidates, served: Int64s, spare: dict[str, int]) -> _Books:
    items = problem.catalogue.items
    books = _Books(
        problem=problem,
        judged=judged,
        served=served,
        left=[
            lot.quantity - int(units)
            for lot, units in zip(problem.lots, served.sum(axis=0), strict=True)
        ],
        unmet=[
            need.quantity - int(units)
            for need, units in zip(problem.needs, served.sum(axis=1), strict=True)
        ],
        spare=spare,
        group_of=[(n.hospital, items[n.items[0]].item_class, n.tier) for n in problem.needs],
        allowed=donors_limits(problem.lots),
    )
    for row, key in enumerate(books.group_of):
        books.group_total[key] = books.group_total.get(key, 0) + problem.needs[row].quantity
        books.group_unmet[key] = books.group_unmet.get(key, 0) + books.unmet[row]
    for column, lot in enumerate(problem.lots):
        for row in np.flatnonzero(served[:, column]).tolist():
            books.receivers.setdefault(lot.donor, set()).add(problem.needs[row].hospital)
    return books


def _give_out(books: _Books) -> None:
    """The strongest claim takes from its nearest lot, up to the end of the segment it is in."""
    queue = [(-_claim(books, row)[0], row) for row in range(len(books.unmet)) if books.unmet[row]]
    heapq.heapify(queue)
    while queue:
        said, row = heapq.heappop(queue)
        if not books.unmet[row]:
            continue
        rank, room = _claim(books, row)
        if -rank != said:
            heapq.heappush(queue, (-rank, row))
            continue
        if _take(books, row, room):
            heapq.heappush(queue, (-_claim(books, row)[0], row))


def _claim(books: _Books, row: int) -> tuple[int, int]:
    """(rank of the next unit, units to the end of its segment)."""
    key, segments = books.group_of[row], books.problem.policy.segments
    total, unmet = books.group_total[key], books.group_unmet[key]
    if not unmet:
        return 0, 0
    step = max(step for step in range(segments) if unmet > total * step // segments)
    return (len(TIERS) - 1 - key[2]) * segments + step + 1, unmet - total * step // segments


def _take(books: _Books, row: int, room: int) -> bool:
    """Whether the need got anything; it leaves the queue otherwise: later it could get no more than now."""
    columns = np.flatnonzero(books.judged.codes[row] == ELIGIBLE)
    order = np.lexsort((columns, books.judged.life[columns], books.judged.transport[row, columns]))
    for column in columns[order].tolist():
        lot = books.problem.lots[column]
        units = _possible(books, row, column, lot, room)
        if units:
            books.served[row, column] += units
            books.left[column] -= units
            books.unmet[row] -= units
            books.group_unmet[books.group_of[row]] -= units
            if lot.resource is not None:
                books.spare[lot.resource] -= units * lot.per_unit
            hospital = books.problem.needs[row].hospital
            books.receivers.setdefault(lot.donor, set()).add(hospital)
            return True
    return False


def _possible(books: _Books, row: int, column: int, lot: Lot, room: int) -> int:
    """Units this lot may add to its line: whole packs, as near to `room` as the limits let it."""
    hospital = books.problem.needs[row].hospital
    known: Mapping[str, set[str]] = books.receivers
    so_far = known.get(lot.donor, set())
    full = len(so_far) >= books.allowed.get(lot.donor, len(so_far) + 1)
    if full and hospital not in so_far:
        return 0
    most = min(books.left[column], books.unmet[row])
    if lot.resource is not None:
        most = min(most, books.spare[lot.resource] // lot.per_unit)
    most -= most % lot.pack
    wanted = -(-room // lot.pack) * lot.pack
    if not books.served[row, column]:
        wanted = max(wanted, -(-lot.smallest // lot.pack) * lot.pack)
        if most < lot.smallest:
            return 0
    return max(0, min(most, wanted))
