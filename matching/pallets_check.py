"""The rules that are no flow, checked: whole packs, smallest lines, donors' limits, shared resources.

Part of the independent checker: nothing here is used by what makes plans.
"""

from __future__ import annotations

import numpy as np

from ledger.core.canonical import Json
from matching.geo import Int64s
from matching.problem import Problem

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
