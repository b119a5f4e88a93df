"""Compiles ahead of time: the first round and the first event of a fresh installation must not wait for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from matching.catalogue import Catalogue, load_catalogue
from matching.engine import portfolio
from matching.incremental.events import LotArrived, LotWithdrawn, NeedArrived, NeedCancelled
from matching.incremental.live_round import LiveRound
from matching.problem import Lot, Need, Place, Policy, Problem, make_problem
from matching.solve import solve, solve_priced

_DAY: Final = 20_000
_HERE: Final = Place("湖北", "武汉市", 114_305_469, 30_593_175)


def warm_up() -> None:
    """Solve a round of two rows in every way, and let every kind of event happen to it.

    A service calls it when it starts, before it takes requests. On a fresh installation it takes some ten
    seconds, afterwards the machine code comes from the cache in about one; a second call costs nothing.
    """
    portfolio.warm_up()
    problem = _problem(load_catalogue())
    solve(problem)
    solve(problem, seconds=60)
    solve_priced(problem)
    live = LiveRound(problem)
    need, lot = replace(problem.needs[0], id="n1"), replace(problem.lots[0], id="l1")
    for event in (NeedArrived(need), LotArrived(lot), NeedCancelled("n1"), LotWithdrawn("l1")):
        live.apply(event)
    for one in live.classes().values():
        one.live.sweep()
    live.solution()


def _problem(catalogue: Catalogue) -> Problem:
    """One need and one lot that fits it."""
    item = min(catalogue.items)
    need = Need(
        id="n0",
        hospital="h0",
        items=(item,),
        quantity=2,
        tier=0,
        deadline_day=_DAY + 9,
        place=_HERE,
        standard=None,
        edition=None,
        certificate_min=0,
        sterile=False,
        remaining_days_min=0,
        accepts_substitutes=True,
    )
    lot = Lot(
        id="l0",
        donor="d0",
        donor_kind="organisation",
        item=item,
        quantity=3,
        place=_HERE,
        available_day=_DAY,
        produced_day=_DAY,
        expires_day=None,
        standard=None,
        edition=None,
        certificate=2,
        sterile=True,
        directed_to=(),
        related_to=(),
        frozen=False,
    )
    return make_problem(
        "warm-up",
        day=_DAY,
        needs=[need],
        lots=[lot],
        lanes=[],
        policy=Policy(),
        catalogue=catalogue,
    )
