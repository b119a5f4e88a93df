"""What a round would look like if something happened: solved, proven, and recorded nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.core.errors import LimitError
from matching.incremental.events import Event
from matching.incremental.live_round import LiveRound
from matching.plan import Certificate, Objective, Plan
from matching.problem import Problem

EVENTS_MAX: Final = 1_000
"""Events of one question; each takes milliseconds."""


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line of the plan that another plan has with other units; zero is no line."""

    need: str
    lot: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer.

    Attributes:
        before: value of the round without the events.
        problem, plan, certificate: the round with them, as `check_plan` takes it.
        changes: lines that differ, by need and lot.
    """

    before: Objective
    problem: Problem
    plan: Plan
    certificate: Certificate
    changes: tuple[LineChange, ...]


def what_if(problem: Problem, events: Iterable[Event]) -> WhatIf:
    """Solve the round, let the events happen, and compare.

    Raises:
        InputError, LimitError: the codes of `LiveRound.apply`, and `matching.too_large` for too many events.
    """
    live = LiveRound(problem)
    _, first, _ = live.solution()
    for number, event in enumerate(events):
        if number >= EVENTS_MAX:
            raise LimitError(
                f"a question takes at most {EVENTS_MAX} events",
                code="matching.too_large",
                limit=EVENTS_MAX,
            )
        live.apply(event)
    after, plan, certificate = live.solution()
    return WhatIf(first.objective, after, plan, certificate, changed_lines(first, plan))


def changed_lines(before: Plan, after: Plan) -> tuple[LineChange, ...]:
    """Lines with other units, by need and lot."""
    old = {(flow.need, flow.lot): flow.quantity for flow in before.flows}
    new = {(flow.need, flow.lot): flow.quantity for flow in after.flows}
    return tuple(
        LineChange(*key, old.get(key, 0), new.get(key, 0))
        for key in sorted(old.keys() | new.keys())
        if old.get(key, 0) != new.get(key, 0)
    )
