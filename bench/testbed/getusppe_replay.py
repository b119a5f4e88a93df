"""The rules of the test bed written again, for resamples: the same weeks, the same five figures, in seconds.

A week hands a strategy what is offered and asked for and not yet sent; units go from a donor's oldest rows to a
receiver's oldest rows; figures are taken as `ppe_match` takes them. `bench/getusppe.py` compares both on the
published stream before it believes this one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.testbed.getusppe_policies import Key, Lines, Miles, Week

DAY: Final = 86_400.0
INTERVAL: Final = 7 * DAY
DONATION_MAX: Final = 1000
"""Units; the test bed holds larger gifts for typing errors and leaves them out."""
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the stream; `at` in seconds since 1970."""

    name: str
    kind: str
    at: float
    units: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Both tables and the distances as the test bed has them, unrounded."""

    donors: Sequence[Row]
    recipients: Sequence[Row]
    miles: NDArray[np.float64]


def resample(stream: Stream, *, seed: int) -> Stream:
    """Donors and recipients drawn anew with replacement, each with all its rows; one drawn twice is two."""
    random = np.random.default_rng(seed)
    return Stream(_draw(stream.donors, random), _draw(stream.recipients, random), stream.miles)


def _draw(rows: Sequence[Row], random: np.random.Generator) -> list[Row]:
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    names = sorted(by_name)
    drawn: dict[str, int] = {}
    found = []
    for at in random.integers(0, len(names), len(names)).tolist():
        name = names[at]
        copy = drawn[name] = drawn.get(name, 0) + 1
        found += [Row(f"{name}~{copy}", row.kind, row.at, row.units) for row in by_name[name]]
    return sorted(found, key=lambda row: row.at)


def replay(stream: Stream, miles: Miles, decide: Callable[[Week], Lines]) -> dict[str, Any]:
    """The five figures, the units sent and the seconds inside the strategy."""
    donors = [row for row in stream.donors if row.units <= DONATION_MAX]
    stocks = ([row.units for row in donors], [row.units for row in stream.recipients])
    times = [row.at for row in (*donors, *stream.recipients)]
    begin, end = min(times) - _MINUTE, max(times) + _MINUTE
    last = begin + INTERVAL
    sent: list[tuple[str, str, str, int, float]] = []
    shipments: set[tuple[str, str, float]] = set()
    seconds = 0.0
    over = False
    while not over:
        if last > end:
            last, over = end + 2 * _MINUTE, True
        offered = _open(donors, stocks[0], until=last)
        asked = _open(stream.recipients, stocks[1], until=last)
        if offered and asked:
            started = time.perf_counter()
            lines = decide(_week(donors, stream.recipients, stocks, offered, asked, at=last))
            seconds += time.perf_counter() - started
            for donor, receiver, kind, units in lines:
                shipments.add((donor, receiver, last))
                sent += _move(
                    (donor, receiver, kind, units),
                    donors,
                    stocks,
                    offered[(donor, kind)],
                    asked[(receiver, kind)],
                    at=last,
                )
        last += INTERVAL
    return _figures(stream, miles, sent, shipments) | {"seconds": seconds}


def _open(rows: Sequence[Row], stock: list[int], *, until: float) -> dict[Key, list[int]]:
    """Rows with something left, oldest first, of each name and kind."""
    found: dict[Key, list[int]] = {}
    for number, row in enumerate(rows):
        if row.at < until and stock[number] > 0:
            found.setdefault((row.name, row.kind), []).append(number)
    for numbers in found.values():
        numbers.sort(key=lambda number: rows[number].at)
    return found


def _week(
    donors: Sequence[Row],
    recipients: Sequence[Row],
    stocks: tuple[list[int], list[int]],
    offered: dict[Key, list[int]],
    asked: dict[Key, list[int]],
    *,
    at: float,
) -> Week:
    del recipients
    return Week(
        offered={key: sum(stocks[0][n] for n in rows) for key, rows in sorted(offered.items())},
        days={key: int((at - donors[rows[0]].at) // DAY) for key, rows in offered.items()},
        asked={key: sum(stocks[1][n] for n in rows) for key, rows in sorted(asked.items())},
    )


def _move(
    line: tuple[str, str, str, int],
    donors: Sequence[Row],
    stocks: tuple[list[int], list[int]],
    out: list[int],
    into: list[int],
    *,
    at: float,
) -> list[tuple[str, str, str, int, float]]:
    donor, receiver, kind, left = line
    moved, give, take = [], 0, 0
    while left > 0:
        while stocks[0][out[give]] == 0:
            give += 1
        while stocks[1][into[take]] == 0:
            take += 1
        units = min(stocks[0][out[give]], stocks[1][into[take]], left)
        held = float(np.round((at - donors[out[give]].at) / DAY))
        moved.append((donor, receiver, kind, units, held))
        stocks[0][out[give]] -= units
        stocks[1][into[take]] -= units
        left -= units
    return moved


def _figures(
    stream: Stream,
    miles: Miles,
    sent: list[tuple[str, str, str, int, float]],
    shipments: set[tuple[str, str, float]],
) -> dict[str, Any]:
    asked: dict[Key, int] = {}
    for row in stream.recipients:
        asked[(row.name, row.kind)] = asked.get((row.name, row.kind), 0) + row.units
    got: dict[Key, int] = {}
    way = held = 0.0
    for donor, receiver, kind, units, days in sent:
        got[(receiver, kind)] = got.get((receiver, kind), 0) + units
        row, column = (
            miles.donors[donor.partition("~")[0]],
            miles.recipients[receiver.partition("~")[0]],
        )
        way += units * float(stream.miles[row, column])
        held += units * days
    shares: dict[str, list[float]] = {}
    for key, units in asked.items():
        shares.setdefault(key[1], []).append(min(1.0, got.get(key, 0) / units))
    served = [[share for share in kind if share > 0] for kind in shares.values()]
    total = sum(units for _, _, _, units, _ in sent)
    return {
        "fill rate": statistics.mean(statistics.mean(kind) for kind in shares.values()),
        "fill rate exc zeros": statistics.mean(statistics.mean(kind) for kind in served if kind),
        "avg unit-miles": way / total,
        "avg holding time": held / total,
        "avg number of shipments": len(shipments) / len({donor for donor, *_ in sent}),
        "units": total,
    }


def first_come() -> Callable[[Week], Lines]:
    """Their first strategy: the i-th offer of a kind to the i-th request."""

    def decide(week: Week) -> Lines:
        lines: Lines = []
        for kind in sorted({kind for _, kind in week.offered}):
            donors = [key for key in week.offered if key[1] == kind]
            needs = [key for key in week.asked if key[1] == kind]
            for giver, taker in zip(donors, needs, strict=False):
                units = min(week.offered[giver], week.asked[taker])
                lines.append((giver[0], taker[0], kind, units))
        return lines

    return decide


def proximity(miles: Miles, exact: NDArray[np.float64]) -> Callable[[Week], Lines]:
    """Their second, published one: each donor to the nearest request that is left, once a week.

    Args:
        exact: unrounded distances: whole miles would make ties that theirs does not have.
    """

    def decide(week: Week) -> Lines:
        lines: Lines = []
        for kind in sorted({kind for _, kind in week.offered}):
            names = [name for name, what in week.asked if what == kind]
            left = np.array([week.asked[(name, kind)] for name in names], dtype=np.int64)
            places = miles.columns(names)
            for key in (key for key in week.offered if key[1] == kind):
                away = exact[miles.donors[key[0].partition("~")[0]], places]
                open_ = np.flatnonzero((left > 0) & (away > 0))
                if not len(open_):
                    break
                # Ties fall as in theirs: the first of numpy's quicksort, not the first by name.
                place = int(open_[int(np.argsort(away[open_], kind="quicksort")[0])])
                units = min(week.offered[key], int(left[place]))
                lines.append((key[0], names[place], kind, units))
                left[place] -= units
        return lines

    return decide
