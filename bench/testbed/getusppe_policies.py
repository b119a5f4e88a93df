"""Our two ways to decide a week of GetUsPPE's stream: exact flow, and few shipments.

Both see what a strategy of the test bed sees: what is on offer and asked for this week. They remember what they
sent, to know how much of a request was filled before. Nothing of later weeks is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.graph import UNBOUNDED, Start, make_graph
from matching.engine.portfolio import solve_graph
from matching.geo import Int64s
from matching.whole_requests import REQUESTS_MAX, cut_lot

Key = tuple[str, str]
"""(donor or recipient, kind of goods)."""
Lines = list[tuple[str, str, str, int]]
_HELD: Final = 2_000_000_000
"""Cost of a unit that stays with its donor; every pair costs less, so that what may go goes."""


@dataclass(frozen=True, slots=True)
class Week:
    """One decision of the test bed. `days`: age of the oldest offer of a donor in a kind."""

    offered: Mapping[Key, int]
    days: Mapping[Key, int]
    asked: Mapping[Key, int]


@dataclass(frozen=True, slots=True)
class Miles:
    """Distances by name; a copy drawn by a resample, `name~2`, stands where its original does."""

    table: NDArray[np.int32]
    donors: Mapping[str, int]
    recipients: Mapping[str, int]

    def columns(self, recipients: Sequence[str]) -> Int64s:
        """Their columns, for `of`: looked up once, not once a donor."""
        places = [self.recipients.get(name.partition("~")[0], -1) for name in recipients]
        return np.array(places, dtype=np.int64)

    def of(self, donor: str, columns: Int64s) -> Int64s:
        """Miles to each recipient; -1 where the test bed knows none."""
        row = self.donors.get(donor.partition("~")[0])
        if row is None:
            return np.full(len(columns), -1, dtype=np.int64)
        found = self.table[row, np.maximum(columns, 0)].astype(np.int64)
        found[columns < 0] = -1
        return found


@dataclass(slots=True)
class Memory:
    """Who asked for what so far, and what each was sent."""

    asking: dict[str, set[str]] = field(default_factory=dict)
    sent: dict[Key, int] = field(default_factory=dict)

    def see(self, week: Week) -> None:
        """A new week."""
        for name, kind in week.asked:
            self.asking.setdefault(kind, set()).add(name)

    def note(self, lines: Lines) -> None:
        """What was decided."""
        for _, name, kind, units in lines:
            self.sent[(name, kind)] = self.sent.get((name, kind), 0) + units


@dataclass(slots=True)
class ExactFlow:
    """The optimum of each week over all pairs: miles against the share of a request that a unit fills.

    Attributes:
        worth: what filling one request of a kind is worth, in miles times requests of that kind, in thousands.
        reach, grow: a unit goes where miles less worth stay below reach + grow * days it has waited.
    """

    miles: Miles
    worth: int
    reach: int
    grow: int
    memory: Memory = field(default_factory=Memory)

    def decide(self, week: Week) -> Lines:
        """All kinds of one week."""
        self.memory.see(week)
        lines: Lines = []
        for kind in sorted({kind for _, kind in week.offered}):
            donors = sorted(key for key in week.offered if key[1] == kind)
            needs = sorted(key for key in week.asked if key[1] == kind)
            if donors and needs:
                lines += self._kind(week, kind, donors, needs)
        self.memory.note(lines)
        return lines

    def _kind(self, week: Week, kind: str, donors: list[Key], needs: list[Key]) -> Lines:
        names = [name for name, _ in needs]
        left = np.array([week.asked[key] for key in needs], dtype=np.int64)
        total = left + [self.memory.sent.get(key, 0) for key in needs]
        worth = self.worth * 1_000_000 // (len(self.memory.asking[kind]) * total)
        rows, columns, costs = [], [], []
        places = self.miles.columns(names)
        for row, key in enumerate(donors):
            miles = self.miles.of(key[0], places)
            cost = 1000 * miles - worth
            may = (miles >= 0) & (cost < 1000 * (self.reach + self.grow * week.days[key]))
            columns.append(np.flatnonzero(may))
            rows.append(np.full(int(may.sum()), row))
            costs.append(cost[may])
        tails, heads = np.concatenate(rows), np.concatenate(columns)
        flows = _transport(
            np.array([week.offered[key] for key in donors], dtype=np.int64),
            left,
            tails,
            heads,
            np.concatenate(costs) + _HELD // 2,
        )
        return [
            (donors[tails[arc]][0], names[heads[arc]], kind, int(flows[arc]))
            for arc in np.flatnonzero(flows)
        ]


def _transport(
    supply: Int64s, demand: Int64s, tails: Int64s, heads: Int64s, costs: Int64s
) -> Int64s:
    """Units on each pair, at the least cost; what is not sent costs `_HELD` a unit."""
    lots, needs = len(supply), len(demand)
    supplies = np.concatenate([[0], -demand, supply]).astype(np.int64)
    supplies[0] = -supplies.sum()
    none = np.zeros(needs, dtype=np.int64)
    graph = make_graph(
        tails=np.concatenate([1 + needs + np.arange(lots), none, 1 + needs + tails]),
        heads=np.concatenate([np.zeros(lots, np.int64), 1 + np.arange(needs), 1 + heads]),
        bounds=np.full(lots + needs + len(tails), UNBOUNDED, dtype=np.int64),
        costs=np.concatenate([np.full(lots, _HELD), none, costs]).astype(np.int64),
        supplies=supplies,
        start=Start(
            pred=np.concatenate([[-1], lots + np.arange(needs), np.arange(lots)]).astype(np.int32),
            flows=np.concatenate([supply, demand, np.zeros(len(tails), np.int64)]),
        ),
    )
    found: Int64s = solve_graph(graph).flows[lots + needs :]
    return found


@dataclass(slots=True)
class FewShipments:
    """Each donor's goods are cut into whole requests near by; what is left goes to one receiver, or waits.

    A donor's kinds are decided together: who is sent one kind costs no second shipment for another.

    Attributes:
        mile: cost of a unit over a mile.  shipment: of a shipment.  request: worth of filling the only request
            of a kind; shared by all who ask.  partial: cost of leaving one more request partly filled.
        stay: what a rest may cost to be sent; above it, it waits for next week.
        reach: nothing is sent further.  near: how many of the nearest requests are looked at.
    """

    miles: Miles
    mile: int
    shipment: int
    request: int
    partial: int
    stay: int
    reach: int
    near: int
    memory: Memory = field(default_factory=Memory)
    _opened: set[Key] = field(default_factory=set)

    def decide(self, week: Week) -> Lines:
        """All donors of one week, by name."""
        self.memory.see(week)
        names: dict[str, list[str]] = {}
        for name, kind in sorted(week.asked):
            names.setdefault(kind, []).append(name)
        market = {
            kind: _Asking(
                names=asking,
                numbers={name: number for number, name in enumerate(asking)},
                places=self.miles.columns(asking),
                left=np.array([week.asked[(name, kind)] for name in asking], dtype=np.int64),
                worth=self.request // len(self.memory.asking[kind]),
            )
            for kind, asking in names.items()
        }
        lots: dict[str, list[tuple[int, str]]] = {}
        for (donor, kind), units in sorted(week.offered.items()):
            if kind in market:
                lots.setdefault(donor, []).append((units, kind))
        lines: Lines = []
        for donor, offered in lots.items():
            lines += self._donor(donor, sorted(offered), market)
        self.memory.note(lines)
        return lines

    def _donor(
        self, donor: str, lots: list[tuple[int, str]], market: Mapping[str, _Asking]
    ) -> Lines:
        """Smaller lots first, then again knowing what other kinds chose; `left` is brought up to date."""
        plans: dict[str, list[tuple[int, int]]] = {}
        for _ in range(2 if len(lots) > 1 else 1):
            for units, kind in lots:
                served = {
                    market[other].names[place]
                    for other, plan in plans.items()
                    if other != kind
                    for place, _ in plan
                }
                plans[kind] = self._lot(donor, kind, units, market[kind], served)
        lines: Lines = []
        for kind, plan in plans.items():
            asking = market[kind]
            for place, units in plan:
                asking.left[place] -= units
                name = asking.names[place]
                (self._opened.add if asking.left[place] else self._opened.discard)((name, kind))
                lines.append((donor, name, kind, units))
        return lines

    def _lot(
        self, donor: str, kind: str, units: int, asking: _Asking, served: set[str]
    ) -> list[tuple[int, int]]:
        """(position, units) of one lot. A receiver already served costs no new shipment."""
        left = asking.left
        miles = self.miles.of(donor, asking.places)
        in_reach = (miles >= 0) & (miles <= self.reach)
        whole = np.flatnonzero(in_reach & (left > 0) & (left <= units))
        limit = min(self.near, REQUESTS_MAX)
        if len(whole) > limit:
            whole = whole[np.argsort(miles[whole], kind="stable")[:limit]]
        charge = np.full(len(left), self.shipment, dtype=np.int64)
        for name in served & asking.numbers.keys():
            charge[asking.numbers[name]] = 0
        larger = miles[in_reach & (left >= units)]
        away = int(larger.min()) if len(larger) else 500
        cut = cut_lot(
            units,
            left[whole],
            charge[whole] - asking.worth + self.mile * miles[whole] * left[whole],
            rest_fixed=min(self.partial // 2 + self.shipment, self.stay),
            rest_per_unit=self.mile * away,
        )
        plan = [(int(whole[at]), int(left[whole[at]])) for at in cut.chosen]
        if not cut.rest:
            return plan
        free = in_reach & (left >= cut.rest)
        free[[place for place, _ in plan]] = False
        able = np.flatnonzero(free)
        if len(able):
            new = np.array([(asking.names[place], kind) not in self._opened for place in able])
            partly = self.partial - self.partial * cut.rest // left[able]
            cost = self.mile * miles[able] * cut.rest + charge[able] + new * partly
            best = int(np.argmin(cost))
            if cost[best] < self.stay:
                plan.append((int(able[best]), cut.rest))
        return plan


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks for one kind this week; `left`: units not yet sent, brought down as donors are decided.

    `worth`: of filling one of them.
    """

    names: Sequence[str]
    numbers: Mapping[str, int]
    places: Int64s
    left: Int64s
    worth: int
