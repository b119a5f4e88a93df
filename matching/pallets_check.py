"""The rules that are no flow, checked: whole packs, smallest lines, donors' limits, shared resources.

Part of the independent checker: nothing here is used by what makes plans.

Of a donor's limit the bound takes this: let `most` be what a hospital could get from it at the very most. Then
units / most, added up over hospitals, is at most the number of hospitals with a line, and so at most the limit.
A price on that row charges each unit price / most; rounded down it stays a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ledger.core.canonical import Json
from matching.candidates import ELIGIBLE, Candidates
from matching.geo import Int64s
from matching.problem import Problem

CHARGE_MAX: Final = 1 << 20
"""Units that are charged more than any rank go nowhere; a smaller charge keeps sums inside 64 bits."""
Fault = tuple[str, str, dict[str, Json]]
"""(English, Chinese, details)."""


def limit_fault(problem: Problem, *, served: Int64s) -> Fault | None:
    """The first limit a plan breaks, or None.

    Args:
        served: units by (need, lot).
    """
    used: dict[str, int] = {}
    receivers: dict[str, set[str]] = {}
    allowed: dict[str, int] = {}
    for column, lot in enumerate(problem.lots):
        rows = np.flatnonzero(served[:, column]).tolist()
        for row in rows:
            units = int(served[row, column])
            details: dict[str, Json] = {"lot": lot.id, "need": problem.needs[row].id}
            if units % lot.pack:
                return "a line breaks a pack", "方案行拆开了整包装", details
            if units < lot.smallest:
                return "a line is smaller than the donor allows", "方案行低于最小批量", details
        receivers.setdefault(lot.donor, set()).update(problem.needs[row].hospital for row in rows)
        if lot.receivers_max is not None:
            allowed[lot.donor] = min(allowed.get(lot.donor, lot.receivers_max), lot.receivers_max)
        if lot.resource is not None:
            units = int(served[:, column].sum())
            used[lot.resource] = used.get(lot.resource, 0) + units * lot.per_unit
    for donor, most in allowed.items():
        if len(receivers[donor]) > most:
            return (
                "a donor's lots go to more hospitals than it allows",
                "捐赠方物资拆分的医院数超过其限制",
                {"hospitals": len(receivers[donor]), "limit": most},
            )
    for resource in problem.resources:
        if used.get(resource.id, 0) > resource.capacity:
            return (
                "a shared resource is used beyond its capacity",
                "共享资源超出产能",
                {"resource": resource.id, "used": used[resource.id], "limit": resource.capacity},
            )
    return None


def receivers_allowed(problem: Problem) -> dict[str, int]:
    """Donor -> the least of the limits that its lots name."""
    found: dict[str, int] = {}
    for lot in problem.lots:
        if lot.receivers_max is not None:
            found[lot.donor] = min(found.get(lot.donor, lot.receivers_max), lot.receivers_max)
    return found


def receivers_charges(problem: Problem, judged: Candidates, prices: Mapping[str, int]) -> Int64s:
    """What one unit of every pair is charged at level one, shape (needs, lots); see the head of this module."""
    charges: Int64s = np.zeros(judged.codes.shape, dtype=np.int64)
    names = sorted({need.hospital for need in problem.needs})
    place = {name: at for at, name in enumerate(names)}
    hospital = np.array([place[need.hospital] for need in problem.needs], dtype=np.int64)
    wanted = np.array([need.quantity for need in problem.needs], dtype=np.int64)
    for donor, price in prices.items():
        own = [column for column, lot in enumerate(problem.lots) if lot.donor == donor]
        held = np.array([problem.lots[column].quantity for column in own], dtype=np.int64)
        rows, columns = np.nonzero(judged.codes[:, own] == ELIGIBLE)
        asks = np.zeros(len(names), dtype=np.int64)
        asking = np.unique(rows)
        np.add.at(asks, hospital[asking], wanted[asking])
        fits = np.zeros((len(names), len(own)), dtype=np.int64)
        fits[hospital[rows], columns] = 1
        most = np.minimum(asks, fits @ held)
        charge = np.minimum(price // np.maximum(most, 1), CHARGE_MAX)
        charges[:, own] = np.where(most > 0, charge, 0)[hospital][:, None]
    return charges
