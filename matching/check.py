"""The independent checker: accepts a plan only if it keeps every rule and no better plan exists.

Shares no code with `solve.py` and trusts nothing it says: eligibility and unit costs come from the published
rule (`candidates.py`), everything else is recomputed from the problem. Optimality is linear-programming
duality over vectors (unserved, transport, expiry) compared in that order, so it rests on no weights:

    reduced cost of an arc a -> b = cost + price(a) - price(b)
    an arc that could carry more has reduced cost >= 0; an arc that carries something has reduced cost <= 0.

Together with conservation that proves that the plan's objective vector is the smallest possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.canonical import Json
from ledger.core.report import Check, Report, Verdict
from matching.candidates import ELIGIBLE, REASONS, Candidates, judge_pairs
from matching.geo import Int64s
from matching.pallets_check import limit_fault, receivers_allowed, receivers_charges
from matching.plan import Certificate, Group, Objective, Plan, Price
from matching.problem import Problem

PRICE_MAX: Final = 1 << 60
"""Larger prices are refused, so that sums of two prices and a cost stay exact in 64 bits."""
SCALE_MAX: Final = 1 << 20
"""With PRICE_MAX and costs of a pair below 2**17 a reduced cost stays exact in 64 bits."""
_TIERS: Final = 3
_STRIP: Final = 512
"""Needs compared at once: keeps the blocks in the cache and the memory small."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """The problem as the checker sees it."""

    problem: Problem
    judged: Candidates
    need_row: Mapping[str, int]
    lot_row: Mapping[str, int]
    need_class: tuple[str, ...]
    lot_class: tuple[str, ...]
    groups: Mapping[Group, tuple[int, ...]]
    sizes: Mapping[Group, tuple[int, ...]]
    """Units of each segment of a group, made once: three checks go through all of them."""
    limits: Mapping[str, int]
    """To how many hospitals a donor splits, of those that say so."""


class _RejectedError(Exception):
    """Carries one failed finding out of nested loops; never leaves this module."""

    def __init__(self, summary_en: str, summary_zh: str, **details: Json) -> None:
        super().__init__(summary_en)
        self.summary_en, self.summary_zh, self.details = summary_en, summary_zh, details


def check_plan(
    problem: Problem,
    plan: Plan,
    certificate: Certificate,
    *,
    candidates: Candidates | None = None,
) -> Report:
    """Accept or reject; never raises for a bad plan.

    Args:
        candidates: the judged pairs if the caller has just computed them with `judge_pairs`; a stranger
            leaves it out and the checker judges every pair itself.

    The checks, in order: `plan.binding`, `plan.eligible`, `plan.quantities`, for a round with limits
    `plan.limits`, `plan.objective`, `certificate.complete`, then `certificate.optimal` and
    `certificate.no_gap`, or, for a certificate that declares a gap, `certificate.feasible` and
    `certificate.gap`. After a failure the rest, which would build on it, does not run.
    """
    facts = _facts(problem, candidates if candidates is not None else judge_pairs(problem))
    checks: list[Check] = []
    served: Int64s = np.zeros(facts.judged.codes.shape, dtype=np.int64)
    try:
        checks.append(_binding(facts, plan, certificate))
        checks.append(_eligible(facts, plan, served=served))
        checks.append(_quantities(facts, served=served))
        if problem.limited:
            checks.append(_limits(facts, served=served))
        checks.append(_objective(facts, plan, served=served))
        checks.append(_complete(facts, certificate))
        if certificate.gap is None:
            checks.append(_optimal(facts, certificate, served=served))
            checks.append(_no_gap(facts, plan, certificate))
        else:
            checks.append(_feasible(facts, certificate))
            checks.append(_gap(facts, plan, certificate, declared=certificate.gap))
    except _RejectedError as fault:
        said = (Verdict.FAILED, fault.summary_en, fault.summary_zh, fault.details)
        at = len(checks) - (problem.limited and len(checks) > _LIMITS_AT)
        if problem.limited and len(checks) == _LIMITS_AT:
            checks.append(Check("plan.limits", *said))
        elif certificate.gap is None:
            code = _CODES[at]
            checks.append(Check(code, *said))
        else:
            gap_code = _GAP_CODES[at]
            checks.append(Check(gap_code, *said))
    return Report(subject="matching plan", checks=tuple(checks))


_CODES: Final = (
    "plan.binding",
    "plan.eligible",
    "plan.quantities",
    "plan.objective",
    "certificate.complete",
    "certificate.optimal",
    "certificate.no_gap",
)

_GAP_CODES: Final = (
    "plan.binding",
    "plan.eligible",
    "plan.quantities",
    "plan.objective",
    "certificate.complete",
    "certificate.feasible",
    "certificate.gap",
)

_LIMITS_AT: Final = 3
"""Checks before `plan.limits`, in a round that has limits."""


def _facts(problem: Problem, judged: Candidates) -> _Facts:
    of_item = {item.id: item.item_class for item in problem.catalogue.items.values()}
    need_class = tuple(of_item[need.items[0]] for need in problem.needs)
    groups: dict[Group, list[int]] = {}
    for row, need in enumerate(problem.needs):
        groups.setdefault((need.hospital, need_class[row], need.tier), []).append(row)
    return _Facts(
        problem=problem,
        judged=judged,
        need_row={need.id: row for row, need in enumerate(problem.needs)},
        lot_row={lot.id: row for row, lot in enumerate(problem.lots)},
        need_class=need_class,
        lot_class=tuple(of_item[lot.item] for lot in problem.lots),
        groups={key: tuple(rows) for key, rows in groups.items()},
        sizes={key: _segment_sizes(problem, rows) for key, rows in groups.items()},
        limits=receivers_allowed(problem),
    )


def _binding(facts: _Facts, plan: Plan, certificate: Certificate) -> Check:
    if plan.problem != facts.problem.digest().hex():
        raise _RejectedError("the plan names another problem", "方案对应的是另一个问题")
    if certificate.plan != plan.digest().hex():
        raise _RejectedError("the certificate names another plan", "证书对应的是另一个方案")
    return _passed(
        "plan.binding",
        "plan, problem and certificate belong together",
        "方案、问题与证书相互对应",
        problem=plan.problem,
        plan=certificate.plan,
    )


def _eligible(facts: _Facts, plan: Plan, *, served: Int64s) -> Check:
    """Fills `served` on the way."""
    last: tuple[str, str] | None = None
    for flow in plan.flows:
        row, column = facts.need_row.get(flow.need), facts.lot_row.get(flow.lot)
        if row is None or column is None:
            raise _RejectedError(
                "a line names an unknown need or lot", "方案行引用了未知的需求或批次"
            )
        if last is not None and (flow.need, flow.lot) <= last:
            raise _RejectedError("lines are doubled or unsorted", "方案行重复或未排序")
        last = (flow.need, flow.lot)
        code = int(facts.judged.codes[row, column])
        if code != ELIGIBLE:
            raise _RejectedError(
                "a line pairs what may not be paired",
                "方案行配对了不符合条件的供需",
                need=flow.need,
                lot=flow.lot,
                reason=REASONS[code],
            )
        limit = min(
            facts.problem.needs[row].quantity,
            facts.problem.lots[column].quantity,
        )
        if not 1 <= flow.quantity <= limit:
            raise _RejectedError(
                "a line moves nothing, or more than there is",
                "方案行数量为零或超出可用数量",
                need=flow.need,
                lot=flow.lot,
            )
        served[row, column] = flow.quantity
    return _passed(
        "plan.eligible",
        f"all {len(plan.flows)} lines are eligible pairs",
        f"全部{len(plan.flows)}行均为合格配对",
        lines=len(plan.flows),
        eligible_pairs=facts.judged.eligible,
    )


def _quantities(facts: _Facts, *, served: Int64s) -> Check:
    for row, total in enumerate(served.sum(axis=1).tolist()):
        if total > facts.problem.needs[row].quantity:
            raise _RejectedError(
                "a need gets more than it asked for",
                "某需求获得超过其请求的数量",
                need=facts.problem.needs[row].id,
            )
    for column, total in enumerate(served.sum(axis=0).tolist()):
        if total > facts.problem.lots[column].quantity:
            raise _RejectedError(
                "a lot gives more than it holds",
                "某批次给出超过其持有的数量",
                lot=facts.problem.lots[column].id,
            )
    return _passed(
        "plan.quantities",
        "no need is overfilled and no lot overdrawn",
        "无需求超额、无批次透支",
        units=int(served.sum()),
    )


def _limits(facts: _Facts, *, served: Int64s) -> Check:
    fault = limit_fault(facts.problem, served=served)
    if fault is not None:
        raise _RejectedError(fault[0], fault[1], **fault[2])
    return _passed(
        "plan.limits",
        "packs are whole, and no smallest line, donor's limit or shared resource is broken",
        "整包装、最小批量、捐赠方拆分限制与共享资源产能均得到遵守",
        resources=len(facts.problem.resources),
    )


def _objective(facts: _Facts, plan: Plan, *, served: Int64s) -> Check:
    found = _recomputed(facts, served=served)
    if found != plan.objective:
        raise _RejectedError(
            "the plan's objective is not what its lines add up to",
            "方案声明的目标值与各行之和不符",
            recomputed=found.as_json(),
        )
    return _passed(
        "plan.objective",
        "the objective was recomputed and agrees at every level",
        "各层目标值经重新计算一致",
        objective=found.as_json(),
    )


def _recomputed(facts: _Facts, *, served: Int64s) -> Objective:
    segments = facts.problem.policy.segments
    by_tier = [0] * _TIERS
    by_rank = [0] * (_TIERS * segments)
    got = served.sum(axis=1).tolist()
    for key, rows in facts.groups.items():
        tier = key[2]
        left = sum(facts.problem.needs[row].quantity - got[row] for row in rows)
        by_tier[tier] += left
        for step, size in enumerate(facts.sizes[key]):
            used = min(left, size)
            by_rank[(_TIERS - 1 - tier) * segments + step] += used
            left -= used
    transport = expiry = 0
    for row, column in zip(*(part.tolist() for part in np.nonzero(served)), strict=True):
        units = int(served[row, column])
        transport += units * int(facts.judged.transport[row, column])
        expiry += units * int(facts.judged.life[column])
    return Objective(tuple(by_tier), tuple(by_rank), transport, expiry)


def _segment_sizes(problem: Problem, rows: Sequence[int]) -> tuple[int, ...]:
    """A group's need cut into S segments that differ by at most one unit; sizes add up to the need."""
    segments = problem.policy.segments
    total = sum(problem.needs[row].quantity for row in rows)
    cuts = [total * step // segments for step in range(segments + 1)]
    return tuple(high - low for low, high in pairwise(cuts))


def _complete(facts: _Facts, certificate: Certificate) -> Check:
    wanted = (
        (set(certificate.roots), set(facts.need_class) | set(facts.lot_class)),
        (set(certificate.groups), set(facts.groups)),
        (set(certificate.needs), set(facts.need_row)),
        (set(certificate.lots), set(facts.lot_row)),
        (
            set(certificate.resources),
            {one.id for one in facts.problem.resources} if certificate.resources else set(),
        ),
        (set(certificate.donors), set(facts.limits) if certificate.donors else set()),
    )
    if any(found != expected for found, expected in wanted):
        raise _RejectedError("a dual price is missing or too many", "对偶价格缺失或多余")
    if not 1 <= certificate.scale <= SCALE_MAX or (
        certificate.gap is None
        and (certificate.scale != 1 or certificate.resources or certificate.donors)
    ):
        # Prices of resources and donors bound a plan and never prove one best.
        raise _RejectedError("the scale of the prices is out of range", "价格比例超出范围")
    for prices in (
        certificate.roots,
        certificate.groups,
        certificate.needs,
        certificate.lots,
        certificate.resources,
    ):
        for price in prices.values():
            if len(price) != 3 or any(abs(part) > PRICE_MAX for part in price):
                raise _RejectedError("a dual price is out of range", "对偶价格超出范围")
    if not all(0 <= price <= PRICE_MAX for price in certificate.donors.values()):
        raise _RejectedError("a dual price is out of range", "对偶价格超出范围")
    return _passed(
        "certificate.complete",
        "every node has exactly one dual price",
        "每个节点恰有一个对偶价格",
        prices=sum(len(found) for found, _ in wanted),
    )


def _optimal(facts: _Facts, certificate: Certificate, *, served: Int64s) -> Check:
    got, given = served.sum(axis=1).tolist(), served.sum(axis=0).tolist()
    arcs = _pairs_optimal(facts, certificate, served=served)
    for column, lot in enumerate(facts.problem.lots):
        reduced = _reduced(
            (0, 0, 0), certificate.lots[lot.id], certificate.roots[facts.lot_class[column]]
        )
        # Unused goods may always grow by giving less, so only the sign of the unused part matters.
        if reduced < (0, 0, 0) or (lot.quantity > given[column] and reduced > (0, 0, 0)):
            raise _not_optimal("lot", lot.id)
        arcs += 1
    for key, rows in facts.groups.items():
        price, root = certificate.groups[key], certificate.roots[key[1]]
        left = 0
        for row in rows:
            need = facts.problem.needs[row]
            reduced = _reduced((0, 0, 0), price, certificate.needs[need.id])
            if reduced < (0, 0, 0) or (need.quantity > got[row] and reduced > (0, 0, 0)):
                raise _not_optimal("need", need.id)
            left += need.quantity - got[row]
            arcs += 1
        for step, size in enumerate(facts.sizes[key]):
            used = min(left, size)
            left -= used
            reduced = _reduced((_rank(facts, key, step), 0, 0), root, price)
            if (used < size and reduced < (0, 0, 0)) or (used > 0 and reduced > (0, 0, 0)):
                raise _not_optimal("group", f"{key[0]} {key[1]} {key[2]} segment {step}")
            arcs += 1
    return _passed(
        "certificate.optimal",
        f"reduced costs agree with the plan on all {arcs} arcs: no better plan exists",
        f"全部{arcs}条弧的约化成本与方案一致：不存在更优方案",
        arcs=arcs,
    )


def _pairs_optimal(facts: _Facts, certificate: Certificate, *, served: Int64s) -> int:
    """Every eligible pair: reduced cost never negative, and zero where something flows."""
    lot_prices = _price_array(
        [_with_resource(facts, certificate, column) for column in range(len(facts.problem.lots))]
    )
    need_prices = _price_array([certificate.needs[need.id] for need in facts.problem.needs])
    charges = (
        receivers_charges(facts.problem, facts.judged, certificate.donors)
        if certificate.donors
        else None
    )
    arcs = 0
    for first in range(0, len(need_prices), _STRIP):
        strip = slice(first, first + _STRIP)
        eligible = facts.judged.codes[strip] == ELIGIBLE
        arcs += int(np.count_nonzero(eligible))
        upper = lot_prices[None, :, 0] - need_prices[strip, None, 0]
        if charges is not None:
            upper = upper + charges[strip]
        # Where the first level decides, the others need no look: few pairs are left for them.
        bad = eligible & (upper < 0)
        rows, columns = np.nonzero(eligible & ((upper == 0) | (served[strip] > 0)))
        reduced = lot_prices[columns] - need_prices[strip][rows]
        reduced[:, 0] = upper[rows, columns]
        reduced[:, 1] += certificate.scale * facts.judged.transport[strip][rows, columns]
        reduced[:, 2] += certificate.scale * facts.judged.life[columns]
        flowing = served[strip][rows, columns] > 0
        bad[rows, columns] |= _below_zero(reduced) | (flowing & _below_zero(-reduced))
        if bad.any():
            row, column = (int(part[0]) for part in np.nonzero(bad))
            raise _not_optimal(
                "pair", f"{facts.problem.needs[first + row].id} {facts.problem.lots[column].id}"
            )
    return arcs


def _with_resource(facts: _Facts, certificate: Certificate, column: int) -> Price:
    """A lot's price and that of the resource that one unit of it takes."""
    lot = facts.problem.lots[column]
    own = certificate.lots[lot.id]
    if lot.resource is None or not certificate.resources:
        return own
    shared = certificate.resources[lot.resource]
    price = (
        own[0] + lot.per_unit * shared[0],
        own[1] + lot.per_unit * shared[1],
        own[2] + lot.per_unit * shared[2],
    )
    if any(abs(part) > PRICE_MAX for part in price):
        raise _RejectedError("a dual price is out of range", "对偶价格超出范围")
    return price


def _feasible(facts: _Facts, certificate: Certificate) -> Check:
    """Prices that no arc without a bound contradicts: their value is a bound for every plan."""
    for name, price in certificate.resources.items():
        if price < (0, 0, 0):
            raise _not_optimal("resource", name)
    nothing: Int64s = np.zeros(facts.judged.codes.shape, dtype=np.int64)
    arcs = _pairs_optimal(facts, certificate, served=nothing)
    for column, lot in enumerate(facts.problem.lots):
        root = certificate.roots[facts.lot_class[column]]
        if _reduced((0, 0, 0), certificate.lots[lot.id], root) < (0, 0, 0):
            raise _not_optimal("lot", lot.id)
    for key, rows in facts.groups.items():
        for row in rows:
            name = facts.problem.needs[row].id
            if _reduced((0, 0, 0), certificate.groups[key], certificate.needs[name]) < (0, 0, 0):
                raise _not_optimal("need", name)
    return _passed(
        "certificate.feasible",
        f"no eligible pair of {arcs} contradicts the prices: their value bounds every plan",
        f"{arcs}个合格配对均不与价格矛盾：其值为任何方案的界",
        arcs=arcs,
    )


def _gap(facts: _Facts, plan: Plan, certificate: Certificate, *, declared: Price) -> Check:
    dual, primal = _dual_value(facts, certificate), plan.objective.vector()
    scale = certificate.scale
    found = (
        scale * primal[0] - dual[0],
        scale * primal[1] - dual[1],
        scale * primal[2] - dual[2],
    )
    if found != declared:
        raise _RejectedError(
            "the declared gap is not the one between plan and prices",
            "声明的差距与方案和价格之间的差距不符",
            gap=list(found),
        )
    return _passed(
        "certificate.gap",
        "not proven optimal: no plan is better by more than the declared gap",
        "未证明最优：任何方案的改进不超过所声明的差距",
        gap=list(found),
        scale=scale,
    )


def _no_gap(facts: _Facts, plan: Plan, certificate: Certificate) -> Check:
    """Strong duality, in exact Python integers: a second proof that shares no step with the first."""
    dual = _dual_value(facts, certificate)
    if tuple(dual) != plan.objective.vector():
        raise _RejectedError(
            "the dual objective differs from the plan's",
            "对偶目标值与方案目标值不一致",
            dual=list(dual),
            primal=list(plan.objective.vector()),
        )
    return _passed(
        "certificate.no_gap",
        "primal and dual objective are equal at every level",
        "原始与对偶目标值逐层相等",
        value=list(dual),
    )


def _dual_value(facts: _Facts, certificate: Certificate) -> list[int]:
    """- sum(supply * price) + sum over segments of size * min(0, reduced cost); at best sum(cost * flow).

    What shared resources have, times their prices, goes off as well, and so do the hospitals that a donor
    allows, times its price: a unit to one of them is charged at most its part of that.
    """
    dual = [0, 0, 0]
    totals: dict[str, int] = {}
    for column, lot in enumerate(facts.problem.lots):
        name = facts.lot_class[column]
        totals[name] = totals.get(name, 0) - lot.quantity
        _add(dual, certificate.lots[lot.id], -lot.quantity)
    for row, need in enumerate(facts.problem.needs):
        name = facts.need_class[row]
        totals[name] = totals.get(name, 0) + need.quantity
        _add(dual, certificate.needs[need.id], need.quantity)
    for name, supply in totals.items():
        _add(dual, certificate.roots[name], -supply)
    for key, sizes in facts.sizes.items():
        price, root = certificate.groups[key], certificate.roots[key[1]]
        for step, size in enumerate(sizes):
            rank = certificate.scale * _rank(facts, key, step)
            _add(dual, min(_reduced((rank, 0, 0), root, price), (0, 0, 0)), size)
    if certificate.resources:
        for resource in facts.problem.resources:
            _add(dual, certificate.resources[resource.id], -resource.capacity)
    for donor, allowed in facts.limits.items():
        dual[0] -= certificate.donors.get(donor, 0) * allowed
    return dual


def _rank(facts: _Facts, key: Group, step: int) -> int:
    return (_TIERS - 1 - key[2]) * facts.problem.policy.segments + step + 1


def _reduced(cost: Price, tail: Price, head: Price) -> Price:
    return (
        cost[0] + tail[0] - head[0],
        cost[1] + tail[1] - head[1],
        cost[2] + tail[2] - head[2],
    )


def _add(total: list[int], price: Price, times: int) -> None:
    for level in range(3):
        total[level] += price[level] * times


def _price_array(prices: list[Price]) -> Int64s:
    return np.array(prices, dtype=np.int64).reshape(len(prices), 3)


def _below_zero(values: Int64s) -> NDArray[np.bool_]:
    """Lexicographically negative rows."""
    below: NDArray[np.bool_] = (values[:, 0] < 0) | (
        (values[:, 0] == 0) & ((values[:, 1] < 0) | ((values[:, 1] == 0) & (values[:, 2] < 0)))
    )
    return below


def _not_optimal(what: str, name: str) -> _RejectedError:
    return _RejectedError(
        "the dual prices contradict the plan: it is not proven optimal",
        "对偶价格与方案矛盾：未能证明最优",
        at=what,
        id=name,
    )


def _passed(code: str, summary_en: str, summary_zh: str, **details: Json) -> Check:
    return Check(code, Verdict.PASSED, summary_en, summary_zh, details)
