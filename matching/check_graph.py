"""Verifies flow and prices of a plain graph in exact integers; numpy only, and nothing of the solvers.

A flow is optimal if it conserves, keeps its bounds, and every arc that could carry more has a reduced cost of
at least zero, every arc that carries something one of at most zero. `value` is then the smallest cost there is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger.core.report import Check, Report, Verdict
from matching.geo import Int64s

_WORD: int = 1 << 62
"""Prices and costs beyond this are refused, so that a reduced cost is exact in 64 bits."""


def check_flow(
    *,
    tails: NDArray[np.int32],
    heads: NDArray[np.int32],
    bounds: Int64s,
    costs: Int64s,
    supplies: Int64s,
    flows: Int64s,
    prices: Int64s,
) -> Report:
    """Accept or reject; checks `flow.conserved`, `flow.bounds`, `flow.optimal`, in that order."""
    checks: list[Check] = []
    if flows.min(initial=0) < 0 or (flows > bounds).any():
        checks.append(
            _failed("flow.bounds", "an arc carries less than nothing or more than its bound")
        )
        return Report(subject="flow", checks=tuple(checks))
    checks.append(_passed("flow.bounds", "every arc carries between nothing and its bound"))
    # Sums over nodes as floats would round: add.at is exact in 64 bits, and flows are below 2**60 in all.
    left = supplies.copy()
    used = np.flatnonzero(flows)
    np.subtract.at(left, tails[used], flows[used])
    np.add.at(left, heads[used], flows[used])
    if left.any():
        checks.append(_failed("flow.conserved", "at a node more goes in than out, or the reverse"))
        return Report(subject="flow", checks=tuple(checks))
    checks.append(_passed("flow.conserved", "every node passes on what it gets"))
    if len(prices) != len(supplies) or max(_size(prices) * 2, _size(costs)) >= _WORD >> 1:
        checks.append(_failed("flow.optimal", "prices are missing or out of range"))
        return Report(subject="flow", checks=tuple(checks))
    reduced = costs + prices[tails]
    reduced -= prices[heads]
    paying = np.flatnonzero(reduced < 0)
    wrong = bool((flows[paying] < bounds[paying]).any()) or bool((reduced[used] > 0).any())
    if wrong:
        checks.append(_failed("flow.optimal", "the prices do not prove this flow optimal"))
    else:
        checks.append(
            _passed("flow.optimal", f"reduced costs agree with the flow on all {len(flows)} arcs")
        )
    return Report(subject="flow", checks=tuple(checks))


def _size(values: Int64s) -> int:
    return max(-int(values.min(initial=0)), int(values.max(initial=0)))


def _passed(code: str, text: str) -> Check:
    return Check(code, Verdict.PASSED, text, _CHINESE[code][0], {})


def _failed(code: str, text: str) -> Check:
    return Check(code, Verdict.FAILED, text, _CHINESE[code][1], {})


_CHINESE = {
    "flow.bounds": ("每条弧的流量在零与上限之间", "有弧的流量为负或超过上限"),
    "flow.conserved": ("每个节点流量守恒", "有节点流量不守恒"),
    "flow.optimal": ("约化成本与流量在所有弧上一致", "价格不能证明该流最优"),
}
