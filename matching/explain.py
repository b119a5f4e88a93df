"""Why each need was filled, in part or not, and where every unit of each lot went and why.

Every statement is read off the plan and the prices that prove it, so that it can be tested to be true:

- A need that lacks units though a lot may serve it was *outbid*. Its next unit claims a rank; the cheapest
  eligible unit is worth at least as much elsewhere: that is its price in the certificate, plus the way. A
  unit more that only this need may take lowers the unserved weight by the claim, where the need's own price
  equals the claim.
- A unit of a lot went to its need because the same unit, moved to the best other need that lacks units, would
  make the plan worse: at least by the reduced cost of that pair, and first at the level that is named.
- Where a limit ended the work, or whole packs, smallest lots, a donor's limit or a shared resource stand in the
  way, the plan carries a gap, and nobody is told that more was impossible.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ledger.core.canonical import Json
from matching.candidates import ELIGIBLE, REASONS, Candidates
from matching.explain_texts import (
    BY_LEVEL,
    LIMITED,
    NO_NEED,
    NO_SUPPLY,
    ONLY_ONE,
    OTHERS_FILLED,
    OUTBID,
    SATISFIED,
    TIE,
)
from matching.fairness import fairness_by_class, fairness_by_region, fairness_by_tier
from matching.geo import Int64s
from matching.near_miss import Misses, misses_of
from matching.plan import Certificate, Plan, Price
from matching.problem import TIERS, Problem


class Filled(StrEnum):
    """How far a need was served."""

    FILLED = "filled"
    PARTLY = "partly"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class NeedOutcome:
    """One need.

    Attributes:
        reason: why not all of it, a key of TEXTS; None where filled.
        nearest_lot: the lot that failed last in the order of checks, and by least (`near_miss`), where nothing
            was eligible.
        against: reason -> number of lots of its class that fail for it.
        shortage_price: level-1 dual price of one more unit at this need: the rank of the unit that would
            have to go unserved instead; 0 where supply is not short.
        claim: rank of the next unit it would have got, 0 where filled; `claim_of` puts it into words.
        asked: what the cheapest eligible unit is worth elsewhere, plus the way, at every level; None where
            filled, where nothing is eligible, or where a limit ended the work.
        asked_lot: the lot of that unit.
    """

    need: str
    served: int
    state: Filled
    reason: str | None
    nearest_lot: str | None
    against: Mapping[str, int]
    shortage_price: int
    claim: int
    asked: Price | None
    asked_lot: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """Where units of a lot went.

    Attributes:
        reason: why there, a key of TEXTS.
        instead: the best other need that lacks units and might have had it, None where there is none.
        worse_by: by how much at least the plan is worse, level by level, if one unit goes there.
    """

    need: str
    quantity: int
    reason: str
    instead: str | None
    worse_by: Price | None


@dataclass(frozen=True, slots=True)
class LotOutcome:
    """One lot: its lines, what is left and why, and what one more unit of it would save at level 1 at most."""

    lot: str
    donor: str
    lines: tuple[Line, ...]
    left: int
    reason: str | None
    price: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """All outcomes and the summary of a round."""

    needs: tuple[NeedOutcome, ...]
    lots: tuple[LotOutcome, ...]
    summary: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class _View:
    """Plan and prices as arrays; prices against the root of their class, shape (n, 3)."""

    problem: Problem
    judged: Candidates
    served: Int64s
    need_prices: Int64s
    lot_prices: Int64s
    unmet: Mapping[tuple[str, str, int], int]
    wanted: Mapping[tuple[str, str, int], int]
    short: NDArray[np.bool_]
    proven: bool
    misses: Misses


def explain(
    problem: Problem,
    plan: Plan,
    certificate: Certificate,
    *,
    candidates: Candidates,
    classes: Mapping[str, str] | None = None,
) -> Explanation:
    """Explain a plan that the checker accepted.

    Args:
        classes: hospital -> its class, for the figures of fairness; None leaves them out.
    """
    view = _view(problem, plan, certificate, candidates)
    needs = tuple(_need_outcome(view, row) for row in range(len(problem.needs)))
    lots = tuple(_lot_outcome(view, column) for column in range(len(problem.lots)))
    summary = _summary(problem, plan, candidates, needs, served=view.served)
    summary["fairness"] = _fairness(problem, needs, classes)
    return Explanation(needs, lots, summary)


def explain_rows(
    problem: Problem,
    plan: Plan,
    certificate: Certificate,
    *,
    candidates: Candidates,
    needs: Collection[str],
    lots: Collection[str],
) -> Explanation:
    """As `explain`, of these needs and lots alone and without a summary: for a decision on one need."""
    view = _view(problem, plan, certificate, candidates)
    return Explanation(
        needs=tuple(
            _need_outcome(view, row) for row, one in enumerate(problem.needs) if one.id in needs
        ),
        lots=tuple(
            _lot_outcome(view, column) for column, one in enumerate(problem.lots) if one.id in lots
        ),
        summary={},
    )


def claim_of(rank: int, *, segments: int) -> tuple[int, int]:
    """(tier, part) of a rank: part 1 is the first of `segments` parts a hospital gets, which ranks highest."""
    above, step = divmod(rank - 1, segments)
    return len(TIERS) - 1 - above, segments - step


def _view(problem: Problem, plan: Plan, certificate: Certificate, judged: Candidates) -> _View:
    rows = {need.id: row for row, need in enumerate(problem.needs)}
    columns = {lot.id: column for column, lot in enumerate(problem.lots)}
    served = np.zeros(judged.codes.shape, dtype=np.int64)
    for flow in plan.flows:
        served[rows[flow.need], columns[flow.lot]] = flow.quantity
    items = problem.catalogue.items
    roots = certificate.roots
    wanted: dict[tuple[str, str, int], int] = {}
    unmet: dict[tuple[str, str, int], int] = {}
    for row, need in enumerate(problem.needs):
        key = (need.hospital, items[need.items[0]].item_class, need.tier)
        wanted[key] = wanted.get(key, 0) + need.quantity
        unmet[key] = unmet.get(key, 0) + need.quantity - int(served[row].sum())
    return _View(
        problem=problem,
        judged=judged,
        served=served,
        need_prices=_against(
            [(certificate.needs[n.id], roots[items[n.items[0]].item_class]) for n in problem.needs]
        ),
        lot_prices=_against(
            [(certificate.lots[lot.id], roots[items[lot.item].item_class]) for lot in problem.lots]
        ),
        unmet=unmet,
        wanted=wanted,
        short=served.sum(axis=1) < np.array([need.quantity for need in problem.needs]),
        proven=certificate.gap is None,
        misses=misses_of(problem, judged),
    )


def _need_outcome(view: _View, row: int) -> NeedOutcome:
    need, codes = view.problem.needs[row], view.judged.codes[row]
    got = int(view.served[row].sum())
    state = Filled.FILLED if got == need.quantity else Filled.PARTLY if got else Filled.NOT
    counts = np.bincount(codes, minlength=len(REASONS))
    against = {REASONS[code]: int(counts[code]) for code in range(2, len(REASONS)) if counts[code]}
    reason = nearest = asked = asked_lot = None
    claim = 0
    if state is not Filled.FILLED:
        claim = _claim(view, row)
        if counts[ELIGIBLE]:
            reason = OUTBID if view.proven else LIMITED
            if view.proven:
                asked, asked_lot = _asked(view, row)
        elif not counts[3:].any():
            # Only other classes, or goods of the class that may not stand in for it.
            reason = NO_SUPPLY
        else:
            column = view.misses.nearest(row)
            reason, nearest = REASONS[int(codes[column])], view.problem.lots[column].id
    return NeedOutcome(
        need=need.id,
        served=got,
        state=state,
        reason=reason,
        nearest_lot=nearest,
        against=against,
        shortage_price=int(view.need_prices[row, 0]),
        claim=claim,
        asked=asked,
        asked_lot=asked_lot,
    )


def _claim(view: _View, row: int) -> int:
    """Rank of the highest segment of the need's group that has a unit unserved."""
    need, segments = view.problem.needs[row], view.problem.policy.segments
    key = (need.hospital, view.problem.catalogue.items[need.items[0]].item_class, need.tier)
    total, unmet = view.wanted[key], view.unmet[key]
    highest = max(step for step in range(segments) if unmet > total * step // segments)
    return (len(TIERS) - 1 - need.tier) * segments + highest + 1


def _asked(view: _View, row: int) -> tuple[Price, str]:
    """(price, lot) of the cheapest eligible unit."""
    columns = np.flatnonzero(view.judged.codes[row] == ELIGIBLE)
    values = view.lot_prices[columns].copy()
    values[:, 1] += view.judged.transport[row, columns]
    values[:, 2] += view.judged.life[columns]
    best = _least(values)
    return _price(values[best]), view.problem.lots[int(columns[best])].id


def _lot_outcome(view: _View, column: int) -> LotOutcome:
    lot = view.problem.lots[column]
    eligible = view.judged.codes[:, column] == ELIGIBLE
    flows = view.served[:, column]
    instead, worse, reason = _instead(view, column, eligible & (flows == 0))
    lines = tuple(
        Line(view.problem.needs[int(row)].id, int(flows[row]), reason, instead, worse)
        for row in np.flatnonzero(flows)
    )
    left = lot.quantity - int(flows.sum())
    why = None
    if left:
        why = NO_NEED
        if eligible.any():
            why = LIMITED if view.short[eligible].any() else SATISFIED
    return LotOutcome(
        lot=lot.id,
        donor=lot.donor,
        lines=lines,
        left=left,
        reason=why,
        price=int(view.lot_prices[column, 0]),
    )


def _instead(
    view: _View, column: int, others: NDArray[np.bool_]
) -> tuple[str | None, Price | None, str]:
    """(need, worse by, reason): the best other need that lacks units, for a unit of this lot."""
    if not view.proven:
        return None, None, LIMITED
    short = np.flatnonzero(others & view.short)
    if not len(short):
        return None, None, OTHERS_FILLED if others.any() else ONLY_ONE
    reduced = view.lot_prices[column] - view.need_prices[short]
    reduced[:, 1] += view.judged.transport[short, column]
    reduced[:, 2] += view.judged.life[column]
    best = _least(reduced)
    worse = _price(reduced[best])
    level = next((level for level, part in enumerate(worse) if part), None)
    return (
        view.problem.needs[int(short[best])].id,
        worse,
        TIE if level is None else BY_LEVEL[level],
    )


def _least(vectors: Int64s) -> int:
    """Position of the lexicographically least row, the first of equals."""
    return int(np.lexsort((vectors[:, 2], vectors[:, 1], vectors[:, 0]))[0])


def _price(row: Int64s) -> Price:
    first, second, third = row.tolist()
    return first, second, third


def _against(pairs: list[tuple[Price, Price]]) -> Int64s:
    rows = [[mine - root for mine, root in zip(own, base, strict=True)] for own, base in pairs]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3)


def _fairness(
    problem: Problem, needs: tuple[NeedOutcome, ...], classes: Mapping[str, str] | None
) -> dict[str, Json]:
    served = [outcome.served for outcome in needs]
    rows = {
        "tiers": fairness_by_tier(problem.needs, served=served),
        "regions": fairness_by_region(problem.needs, served=served),
    }
    if classes is not None:
        rows["classes"] = fairness_by_class(problem.needs, served=served, classes=classes)
    return {name: [row.as_json() for row in found] for name, found in rows.items()}


def _summary(
    problem: Problem,
    plan: Plan,
    candidates: Candidates,
    needs: tuple[NeedOutcome, ...],
    *,
    served: Int64s,
) -> dict[str, Json]:
    by_tier = {name: [0, 0, 0] for name in TIERS}
    by_item: dict[str, list[int]] = {}
    by_both: dict[str, dict[str, list[int]]] = {}
    states = dict.fromkeys((state.value for state in Filled), 0)
    reasons: dict[str, int] = {}
    for need, outcome in zip(problem.needs, needs, strict=True):
        item, tier = need.items[0], TIERS[need.tier]
        for table in (
            by_tier[tier],
            by_item.setdefault(item, [0, 0, 0]),
            by_both.setdefault(item, {}).setdefault(tier, [0, 0, 0]),
        ):
            table[0] += need.quantity
            table[1] += outcome.served
            table[2] += 1
        states[outcome.state.value] += 1
        if outcome.reason is not None:
            reasons[outcome.reason] = reasons.get(outcome.reason, 0) + 1
    units = int(served.sum())
    unit_km = int((served * np.where(served > 0, candidates.km, 0)).sum())
    hospitals: dict[str, list[int]] = {}
    for need, outcome in zip(problem.needs, needs, strict=True):
        row = hospitals.setdefault(need.hospital, [0, 0])
        row[0] += need.quantity
        row[1] += outcome.served
    return {
        "by_tier": {name: _fill(*row) for name, row in by_tier.items()},
        "by_item": {name: _fill(*by_item[name]) for name in sorted(by_item)},
        "by_item_and_tier": {
            name: {tier: _fill(*row) for tier, row in by_both[name].items()}
            for name in sorted(by_both)
        },
        "needs": states,
        "reasons": {name: reasons[name] for name in sorted(reasons)},
        "hospitals": len(hospitals),
        "hospitals_served": sum(1 for row in hospitals.values() if row[1]),
        "units": units,
        "unit_km": unit_km,
        "km_per_unit": unit_km // units if units else 0,
        "shipments": len(plan.flows),
        "eligible_pairs": candidates.eligible,
        "pairs": int(candidates.codes.size),
        "lots": len(problem.lots),
        "units_offered": sum(lot.quantity for lot in problem.lots),
        "units_wanted": sum(need.quantity for need in problem.needs),
    }


def _fill(wanted: int, served: int, needs: int) -> dict[str, Json]:
    return {
        "needs": needs,
        "wanted": wanted,
        "served": served,
        "fill_permille": served * 1000 // wanted if wanted else 0,
    }
