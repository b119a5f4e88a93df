"""Problem, plan and certificate of a living round, of which only what events changed is made anew.

Of each row, line and price the object and its canonical bytes are kept. A class is looked at again where an
event came to it; in it the prices that moved and the lines that differ. A property test holds everything equal,
to the byte, to what is made from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from matching.engine import jit
from matching.engine.levels import Weights
from matching.engine.market import Market
from matching.engine.portfolio import SIMPLEX
from matching.incremental.class_view import ClassView, Names, Priced
from matching.incremental.live_class import LiveClass
from matching.plan import Certificate, Group, Objective, Plan
from matching.problem import TIERS, Lot, Need, Problem, packed_row

SOLVER: Final = f"{SIMPLEX}, incremental, numba {jit.VERSION}"
_Row = TypeVar("_Row", Need, Lot)


class Documents:
    """What has been made of a round so far."""

    def __init__(self) -> None:
        self._views: dict[int, ClassView] = {}
        self._needs: dict[str, tuple[Need, bytes]] = {}
        self._lots: dict[str, tuple[Lot, bytes]] = {}

    def packed(self, problem: Problem) -> Problem:
        """The problem with its canonical bytes; as it is, if it has limits."""
        if problem.limited:
            return problem
        self._needs = _packed_rows(problem.needs, self._needs)
        self._lots = _packed_rows(problem.lots, self._lots)
        return problem.keep_packed(
            needs=(packed for _, packed in self._needs.values()),
            lots=(packed for _, packed in self._lots.values()),
        )

    def solution(
        self,
        problem: Problem,
        market: Market,
        classes: Mapping[int, tuple[LiveClass, Weights]],
        names: Names,
    ) -> tuple[Plan, Certificate] | None:
        """Plan and certificate; None where the weights of a class did not separate its levels."""
        views = {}
        for number, (live, weights) in classes.items():
            view = self._views.get(number)
            if view is None or view.live is not live:
                view = ClassView(live, name=names.classes[number])
            view.follow(market, weights, names)
            views[number] = view
        self._views = views
        if not all(view.separated for view in views.values()):
            return None
        plan = _plan(problem, list(views.values()))
        return plan, _certificate(problem, plan, list(views.values()))


def _plan(problem: Problem, views: Sequence[ClassView]) -> Plan:
    # A need is of one class, so its lines stand together.
    found = sorted((line for view in views for line in view.lines.items()), key=lambda one: one[0])
    segments = problem.policy.segments
    ranks = [0] * (len(TIERS) * segments)
    for view in views:
        ranks = [have + more for have, more in zip(ranks, view.ranks, strict=True)]
    # Ranks ascend, tiers descend in weight.
    tiers = [sum(ranks[low : low + segments]) for low in range(0, len(ranks), segments)][::-1]
    objective = Objective(
        tuple(tiers),
        tuple(ranks),
        sum(view.transport for view in views),
        sum(view.expiry for view in views),
    )
    flows = tuple(flow for _, (flow, _) in found)
    plan = Plan(problem.digest().hex(), flows, objective, SOLVER)
    return plan.keep_packed(packed for _, (_, packed) in found)


def _certificate(problem: Problem, plan: Plan, views: Sequence[ClassView]) -> Certificate:
    needs: dict[str, Priced] = {}
    lots: dict[str, Priced] = {}
    groups: dict[Group, Priced] = {}
    for view in views:
        needs |= view.needs
        lots |= view.lots
        groups |= {name: view.groups[name] for name in view.standing}
    needs = {need.id: needs[need.id] for need in problem.needs}
    lots = {lot.id: lots[lot.id] for lot in problem.lots}
    if len(views) > 1:
        groups = {name: groups[name] for name in sorted(groups)}
    return Certificate(
        plan.digest().hex(),
        {view.name: view.root for view in views if view.needs or view.lots},
        {name: price for name, (price, _) in groups.items()},
        {name: price for name, (price, _) in needs.items()},
        {name: price for name, (price, _) in lots.items()},
    ).keep_packed(
        groups=(packed for _, packed in groups.values()),
        lots=(packed for _, packed in lots.values()),
        needs=(packed for _, packed in needs.values()),
    )


def _packed_rows(
    rows: Sequence[_Row], before: Mapping[str, tuple[_Row, bytes]]
) -> dict[str, tuple[_Row, bytes]]:
    found = {}
    for row in rows:
        held = before.get(row.id)
        found[row.id] = held if held is not None and held[0] is row else (row, packed_row(row))
    return found
