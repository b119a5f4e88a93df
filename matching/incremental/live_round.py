"""A round that lives: after every event its plan is the optimum over all eligible pairs, and proven.

`LiveRound(problem)` solves once; `apply` takes events; `solution` gives problem, plan and certificate of a
round with exactly the needs and lots of that moment, and `check_plan` accepts them like any others. `state.py`
packs everything that is needed to go on after a crash, and proves it again before it goes on.

Nothing is recorded here: a round used for a question (what if?) is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import InputError, LimitError
from matching.assemble import class_names
from matching.engine.levels import Weights
from matching.engine.market import Int32s, Market
from matching.engine.translate import Translator
from matching.incremental.class_view import Names
from matching.incremental.documents import Documents
from matching.incremental.events import (
    Event,
    LotArrived,
    LotChanged,
    LotWithdrawn,
    NeedArrived,
    NeedCancelled,
    NeedChanged,
)
from matching.incremental.live_class import LiveClass
from matching.incremental.live_market import LiveMarket
from matching.incremental.tree import LOT, NEED
from matching.plan import Certificate, Plan
from matching.problem import (
    LOTS_MAX,
    NEEDS_MAX,
    PAIRS_MAX,
    Lot,
    Need,
    Problem,
    require_lot,
    require_need,
)
from matching.solve import class_weights, solve

GROWN = 256
"""Rows that a class may gain before its level weights are chosen anew."""
_Row = TypeVar("_Row", Need, Lot)


class LiveRound:
    """The round and its events; rows keep their number until `rebase`."""

    def __init__(
        self,
        problem: Problem,
        *,
        hospitals: Sequence[str] = (),
        saved: Mapping[int, Mapping[str, NDArray[Any]]] | None = None,
    ) -> None:
        """Solve cold, or go on from what `saved` gave.

        Raises:
            LimitError: `matching.weights_overflow`.
        """
        self._problem = problem
        self._now: Problem | None = None
        self._documents = Documents()
        self._classes = class_names(problem)
        self._needs, self._lots = list(problem.needs), list(problem.lots)
        self._need_row = {need.id: row for row, need in enumerate(self._needs)}
        self._lot_row = {lot.id: row for row, lot in enumerate(self._lots)}
        self._hospitals = {name: number for number, name in enumerate(hospitals)}
        self._market = self._translated()
        self._live = LiveMarket(
            self._market,
            segments=problem.policy.segments,
            weights_of=self._weights,
            grown=GROWN,
            saved=saved,
        )

    def rebase(self) -> None:
        """Number the rows that are left in their canonical order; what has gone is forgotten."""
        problem = self.problem()
        needs = _inverse(self._order(problem.needs, self._need_row), len(self._needs))
        lots = _inverse(self._order(problem.lots, self._lot_row), len(self._lots))
        self._problem = problem
        self._needs, self._lots = list(problem.needs), list(problem.lots)
        self._need_row = {need.id: row for row, need in enumerate(self._needs)}
        self._lot_row = {lot.id: row for row, lot in enumerate(self._lots)}
        self._market = self._translated()
        for live in self._live.classes.values():
            owner, role = live.owner.copy(), live.live.tree.role[: len(live.owner)]
            here = np.flatnonzero(role == NEED)
            owner[here] = needs[owner[here]]
            here = np.flatnonzero(role == LOT)
            owner[here] = lots[owner[here]]
            live.renumber(self._market, owner)

    def saved(self) -> tuple[Problem, list[str], dict[int, dict[str, NDArray[Any]]]]:
        """What `LiveRound(problem, hospitals=…, saved=…)` needs to go on exactly as this one will."""
        self.rebase()
        return self._problem, list(self._hospitals), self._live.saved()

    def apply(self, event: Event) -> None:
        """Take one event; plan and prices are the optimum again when it returns.

        Raises:
            InputError: `matching.duplicate_id`, `matching.row_unknown`, and the codes of `require_need`,
                `require_lot`.
            LimitError: `matching.too_large`, `matching.weights_overflow`.
        """
        self._now = None
        match event:
            case NeedArrived(need):
                self._require_new(need.id, self._need_row, what="need")
                self._require_room(needs=1, lots=0)
                self._need_arrives(need)
            case NeedChanged(need):
                self._need_changes(need)
            case NeedCancelled(name):
                self._need_goes(_row(name, self._need_row, what="need"))
            case LotArrived(lot):
                self._require_new(lot.id, self._lot_row, what="lot")
                self._require_room(needs=0, lots=1)
                self._lot_arrives(lot)
            case LotChanged(lot):
                self._lot_changes(lot)
            case LotWithdrawn(name):
                self._lot_goes(_row(name, self._lot_row, what="lot"))

    # ------------------------------------------------------------------ what is
    def problem(self) -> Problem:
        """The round as it is now, in its canonical order."""
        if self._now is None:
            now = replace(
                self._problem,
                needs=tuple(self._needs[self._need_row[name]] for name in sorted(self._need_row)),
                lots=tuple(self._lots[self._lot_row[name]] for name in sorted(self._lot_row)),
            )
            self._now = self._documents.packed(now)
        return self._now

    def solution(self) -> tuple[Problem, Plan, Certificate]:
        """Problem, plan and certificate of this moment.

        Raises:
            LimitError: `matching.weights_overflow`.
        """
        problem = self.problem()
        names = Names(
            needs=self._needs,
            lots=self._lots,
            hospitals=list(self._hospitals),
            classes=self._classes,
        )
        weights = self._live.weights
        classes = {number: (one, weights[number]) for number, one in self._live.classes.items()}
        found = self._documents.solution(problem, self._market, classes, names)
        if found is None:
            # Smaller weights than proven ones did not separate the levels: solved from the start.
            cold = solve(problem)
            return problem, cold.plan, cold.certificate
        return problem, *found

    # ------------------------------------------------------------------ events
    def _need_arrives(self, need: Need) -> None:
        require_need(need, catalogue=self._problem.catalogue)
        self._needs.append(need)
        row = len(self._needs) - 1
        self._need_row[need.id] = row
        self._market = self._translator.with_need(self._market, need) or self._translated()
        self._live.add_need(self._market, row)

    def _need_changes(self, need: Need) -> None:
        row = _row(need.id, self._need_row, what="need")
        require_need(need, catalogue=self._problem.catalogue)
        if replace(need, quantity=self._needs[row].quantity) != self._needs[row]:
            self._need_goes(row)
            self._need_arrives(need)
            return
        self._live.change_need(self._market, row, units=need.quantity)
        self._needs[row] = need

    def _need_goes(self, row: int) -> None:
        self._live.change_need(self._market, row, units=0)
        del self._need_row[self._needs[row].id]

    def _lot_arrives(self, lot: Lot) -> None:
        require_lot(lot, catalogue=self._problem.catalogue)
        self._lots.append(lot)
        row = len(self._lots) - 1
        self._lot_row[lot.id] = row
        self._market = self._translator.with_lot(self._market, lot) or self._translated()
        self._live.add_lot(self._market, row)

    def _lot_changes(self, lot: Lot) -> None:
        row = _row(lot.id, self._lot_row, what="lot")
        require_lot(lot, catalogue=self._problem.catalogue)
        if replace(lot, quantity=self._lots[row].quantity) != self._lots[row]:
            self._lot_goes(row)
            self._lot_arrives(lot)
            return
        self._live.change_lot(self._market, row, units=lot.quantity)
        self._lots[row] = lot

    def _lot_goes(self, row: int) -> None:
        self._live.change_lot(self._market, row, units=0)
        del self._lot_row[self._lots[row].id]

    def _require_new(self, name: str, rows: dict[str, int], *, what: str) -> None:
        if name in rows:
            raise InputError(f"two rows share a {what} id", code="matching.duplicate_id", what=what)

    def _require_room(self, *, needs: int, lots: int) -> None:
        needs, lots = needs + len(self._need_row), lots + len(self._lot_row)
        if needs > NEEDS_MAX or lots > LOTS_MAX or needs * lots > PAIRS_MAX:
            raise LimitError(
                f"a round takes at most {NEEDS_MAX} needs, {LOTS_MAX} lots and {PAIRS_MAX} pairs",
                code="matching.too_large",
                limit=PAIRS_MAX,
            )

    # ------------------------------------------------------------------ numbers
    def _translated(self) -> Market:
        """All rows as arrays, those that are gone in no class."""
        for need in self._needs:
            self._hospitals.setdefault(need.hospital, len(self._hospitals))
        rows = replace(self._problem, needs=tuple(self._needs), lots=tuple(self._lots))
        self._translator = Translator(rows, hospitals=self._hospitals)
        market = self._translator.market
        gone = np.ones(len(self._needs), dtype=np.bool_)
        gone[list(self._need_row.values())] = False
        market.need_class[gone] = -1
        gone = np.ones(len(self._lots), dtype=np.bool_)
        gone[list(self._lot_row.values())] = False
        market.lot_class[gone] = -1
        return market

    def _weights(self, market: Market, number: int) -> Weights:
        return class_weights(
            market, item_class=number, segments=self._problem.policy.segments, grown=GROWN
        )

    def _order(self, rows: Sequence[_Row], numbers: dict[str, int]) -> Int32s:
        return np.array([numbers[row.id] for row in rows], dtype=np.int32)

    def classes(self) -> dict[int, LiveClass]:
        """The classes that live, by number."""
        return self._live.classes


def _row(name: str, rows: dict[str, int], *, what: str) -> int:
    row = rows.get(name)
    if row is None:
        raise InputError(
            f"the round has no {what} with this id", code="matching.row_unknown", what=what
        )
    return row


def _inverse(order: Int32s, size: int) -> Int32s:
    places: Int32s = np.zeros(size, dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places
