"""Why each need was filled, in part or not, and where every unit of each lot went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from ledger.core.canonical import Json
from matching.candidates import ELIGIBLE, REASONS, Candidates
from matching.geo import Int64s
from matching.plan import Certificate, Plan
from matching.problem import TIERS, Problem

NO_SUPPLY: Final = "supply.none_of_item"
OUTBID: Final = "supply.outbid"
NO_NEED: Final = "demand.none_eligible"
SATISFIED: Final = "demand.satisfied"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "class.different": ("other class of goods", "品类不同"),
    "substitute.not_allowed": ("not a permitted substitute", "不在允许的替代范围内"),
    "lot.frozen": ("the lot is frozen or recalled", "批次被冻结或召回"),
    "donor.related_party": ("donor and hospital are related", "捐赠人与受赠方存在关联关系"),
    "donor.directed_elsewhere": ("the donor named another receiver", "定向捐赠指向其他单位"),
    "standard.not_declared": ("the required standard is not declared", "未声明所需标准"),
    "standard.edition_unknown": ("unknown edition of the standard", "标准版本未知"),
    "standard.edition_not_valid_at_production": (
        "the edition was not in force when it was made",
        "生产时该标准版本未生效或已作废",
    ),
    "standard.other_than_named": ("another standard than the need names", "与需求所列标准不同"),
    "standard.edition_older_than_named": ("an older edition than named", "版本早于需求所列"),
    "certificate.too_low": ("certificate below what is required", "证件级别不足"),
    "sterile.required": ("not sterile", "非灭菌产品"),
    "lane.none": ("no carrier serves the lane", "无承运线路"),
    "lane.individuals_refused": ("no carrier takes gifts of individuals", "承运方不接受个人捐赠"),
    "deadline.missed": ("would arrive after the deadline", "无法在期限前送达"),
    "shelf_life.too_short": ("too little shelf life on arrival", "到货剩余有效期不足"),
    NO_SUPPLY: ("nobody offered this or a substitute", "无人提供该物资或替代品"),
    OUTBID: (
        "all that fits went to needs of equal or higher rank",
        "合格供给已分配给同级或更高优先级",
    ),
    NO_NEED: ("no need may take it", "没有可接收的需求"),
    SATISFIED: ("every need that may take it is filled", "可接收的需求均已满足"),
}
"""Reason -> (English, Chinese), for pages."""


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
        nearest_lot: the lot that failed last in the order of checks, where nothing was eligible.
        against: reason -> number of lots of its class that fail for it.
        shortage_price: level-1 dual price of one more unit at this need: the rank of the unit that would
            have to go unserved instead; 0 where supply is not short.
    """

    need: str
    served: int
    state: Filled
    reason: str | None
    nearest_lot: str | None
    against: Mapping[str, int]
    shortage_price: int


@dataclass(frozen=True, slots=True)
class LotOutcome:
    """One lot: (need, quantity) lines, what is left, and why."""

    lot: str
    lines: tuple[tuple[str, int], ...]
    left: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All outcomes and the summary of a round."""

    needs: tuple[NeedOutcome, ...]
    lots: tuple[LotOutcome, ...]
    summary: Mapping[str, Json]


def explain(
    problem: Problem, plan: Plan, certificate: Certificate, *, candidates: Candidates
) -> Explanation:
    """Explain a plan that the checker accepted."""
    rows = {need.id: row for row, need in enumerate(problem.needs)}
    columns = {lot.id: column for column, lot in enumerate(problem.lots)}
    served = np.zeros(candidates.codes.shape, dtype=np.int64)
    for flow in plan.flows:
        served[rows[flow.need], columns[flow.lot]] = flow.quantity
    needs = tuple(
        _need_outcome(problem, certificate, candidates, served, row)
        for row in range(len(problem.needs))
    )
    lots = tuple(
        _lot_outcome(problem, candidates, served, column) for column in range(len(problem.lots))
    )
    return Explanation(needs, lots, _summary(problem, plan, candidates, needs, served=served))


def _need_outcome(
    problem: Problem, certificate: Certificate, candidates: Candidates, served: Int64s, row: int
) -> NeedOutcome:
    need = problem.needs[row]
    got = int(served[row].sum())
    state = Filled.FILLED if got == need.quantity else Filled.PARTLY if got else Filled.NOT
    counts = np.bincount(candidates.codes[row], minlength=len(REASONS))
    against = {REASONS[code]: int(counts[code]) for code in range(2, len(REASONS)) if counts[code]}
    reason = nearest = None
    if state is not Filled.FILLED:
        if counts[ELIGIBLE]:
            reason = OUTBID
        elif not counts[3:].any():
            # Only other classes, or goods of the class that may not stand in for it.
            reason = NO_SUPPLY
        else:
            column = int(candidates.codes[row].argmax())
            reason, nearest = (
                REASONS[int(candidates.codes[row, column])],
                problem.lots[column].id,
            )
    classes = problem.catalogue.items[need.items[0]].item_class
    price = certificate.needs[need.id][0] - certificate.roots[classes][0]
    return NeedOutcome(need.id, got, state, reason, nearest, against, price)


def _lot_outcome(
    problem: Problem, candidates: Candidates, served: Int64s, column: int
) -> LotOutcome:
    lot = problem.lots[column]
    lines = tuple(
        (problem.needs[int(row)].id, int(served[row, column]))
        for row in np.flatnonzero(served[:, column])
    )
    left = lot.quantity - sum(quantity for _, quantity in lines)
    reason = None
    if left:
        reason = SATISFIED if (candidates.codes[:, column] == ELIGIBLE).any() else NO_NEED
    return LotOutcome(lot.id, lines, left, reason)


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
    states = dict.fromkeys((state.value for state in Filled), 0)
    reasons: dict[str, int] = {}
    for need, outcome in zip(problem.needs, needs, strict=True):
        for table in (by_tier[TIERS[need.tier]], by_item.setdefault(need.items[0], [0, 0, 0])):
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
