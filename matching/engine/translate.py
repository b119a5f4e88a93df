"""From a `Problem` to a `Market`: names become numbers, kinds of needs and lots are judged once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from matching.candidates import SHORT_LIFE_DAYS, fit_penalty, life_days, seat
from matching.engine.market import DIRECT, NEVER, Market
from matching.geo import Int64s, chord_table, distances_km, unit_vectors
from matching.problem import Lot, Need, Place, Problem

_Row = TypeVar("_Row")


def market_of(problem: Problem, *, hospitals: Mapping[str, int] | None = None) -> Market:
    """The problem as arrays; needs and lots keep their order.

    Args:
        hospitals: numbers that hospitals have already, in a round that lives on; None numbers them by name.
    """
    if hospitals is None:
        names = sorted({need.hospital for need in problem.needs})
        hospitals = {name: place for place, name in enumerate(names)}
    return Translator(problem, hospitals=hospitals).market


class Translator:
    """Numbers of everything that is named, so that a row that comes later is one row's work.

    Attributes:
        market: the problem as arrays.
    """

    def __init__(self, problem: Problem, *, hospitals: Mapping[str, int]) -> None:
        needs, lots = problem.needs, problem.lots
        self._day, self._hospitals, self._catalogue = problem.day, hospitals, problem.catalogue
        names = sorted({item.item_class for item in problem.catalogue.items.values()})
        of_class = {name: number for number, name in enumerate(names)}
        self._of_item = {
            key: of_class[item.item_class] for key, item in problem.catalogue.items.items()
        }
        self._routes = _Routes(problem)
        self._need_kinds, need_samples = _kinds(needs, [_need_key(need) for need in needs])
        self._lot_kinds, lot_samples = _kinds(lots, [self._lot_key(lot) for lot in lots])
        self.market = Market(
            **self._lot_columns(lots),
            **self._need_columns(needs),
            fit=_fit(need_samples, lot_samples, problem),
            need_regions=_int64([max(1, self._routes.need_regions)]),
            route_start=self._routes.start,
            route_hub=self._routes.hub,
            route_days=self._routes.days,
            km_per_day=_int64([problem.policy.km_per_day]),
            chords=chord_table(),
        )

    def with_need(self, market: Market, need: Need) -> Market | None:
        """The market with one more need; None where it brings a kind, region or hospital that is new to it."""
        known = (
            _need_key(need) in self._need_kinds
            and self._routes.knows(need=seat(need, catalogue=self._catalogue))
            and need.hospital in self._hospitals
        )
        # Where a lot names a hospital without a number, it may be this one.
        if not known or (market.directed < 0).any() or (market.related < 0).any():
            return None
        return _longer(market, self._need_columns([need]))

    def with_lot(self, market: Market, lot: Lot) -> Market | None:
        """The market with one more lot; None where it brings a kind or region that is new to it."""
        at = seat(lot, catalogue=self._catalogue)
        known = self._lot_key(lot) in self._lot_kinds
        if not known or not self._routes.knows(lot=(at, lot.donor_kind)):
            return None
        columns = self._lot_columns([lot])
        for name, values in (
            ("directed_start", market.directed),
            ("related_start", market.related),
        ):
            # The first start of the one row is the last one of those before.
            columns[name] = (columns[name] + len(values)).astype(np.int32)[1:]
        return _longer(market, columns)

    def _lot_key(self, lot: Lot) -> tuple[object, ...]:
        state = None
        if lot.standard is not None and lot.edition is not None:
            state = self._catalogue.edition_state(lot.standard, lot.edition, day=lot.produced_day)
        return (lot.item, lot.standard, lot.edition, state)

    def _lot_columns(self, lots: Sequence[Lot]) -> dict[str, Any]:
        seats = [seat(lot, catalogue=self._catalogue) for lot in lots]
        directed_start, directed = _lists([lot.directed_to for lot in lots], self._hospitals)
        related_start, related = _lists([lot.related_to for lot in lots], self._hospitals)
        return {
            "lot_quantity": _int64([lot.quantity for lot in lots]),
            "lot_class": _int32([self._of_item[lot.item] for lot in lots]),
            "lot_kind": _int32([self._lot_kinds[self._lot_key(lot)] for lot in lots]),
            "lot_region": self._routes.lot_regions(lots, seats),
            "lot_xyz": _vectors(seats),
            "lot_ready": _int64([max(lot.available_day, self._day) for lot in lots]),
            "lot_expires": _int64(
                [NEVER if lot.expires_day is None else lot.expires_day for lot in lots]
            ),
            "lot_life": _int64([life_days(lot, day=self._day) for lot in lots]),
            "lot_short": _int8([_short(lot) for lot in lots]),
            "lot_certificate": _int8([lot.certificate for lot in lots]),
            "lot_sterile": _int8([lot.sterile for lot in lots]),
            "lot_frozen": _int8([lot.frozen for lot in lots]),
            "directed_start": directed_start,
            "directed": directed,
            "related_start": related_start,
            "related": related,
            "lot_hub_km": self._routes.km_to_hubs(seats),
        }

    def _need_columns(self, needs: Sequence[Need]) -> dict[str, Any]:
        seats = [seat(need, catalogue=self._catalogue) for need in needs]
        return {
            "need_quantity": _int64([need.quantity for need in needs]),
            "need_class": _int32([self._of_item[need.items[0]] for need in needs]),
            "need_kind": _int32([self._need_kinds[_need_key(need)] for need in needs]),
            "need_region": self._routes.need_regions_of(seats),
            "need_xyz": _vectors(seats),
            "need_hospital": _int32([self._hospitals[need.hospital] for need in needs]),
            "need_tier": _int8([need.tier for need in needs]),
            "need_deadline": _int64([need.deadline_day for need in needs]),
            "need_certificate": _int8([need.certificate_min for need in needs]),
            "need_sterile": _int8([need.sterile for need in needs]),
            "need_remaining": _int64([need.remaining_days_min for need in needs]),
            "need_hub_km": self._routes.km_to_hubs(seats),
        }


def _longer(market: Market, columns: Mapping[str, Any]) -> Market:
    """The market with these rows behind those that it has."""
    return market._replace(
        **{name: np.concatenate([getattr(market, name), more]) for name, more in columns.items()}
    )


class _Routes:
    """Regions are what lanes tell apart: where a lot starts and who gives it, where a need is."""

    def __init__(self, problem: Problem) -> None:
        self._hubs: dict[Place, int] = {}
        self._origins: dict[tuple[str, str], int] = {}
        self._regions: dict[tuple[str, str], int] = {}
        for lot in problem.lots:
            at = seat(lot, catalogue=problem.catalogue)
            self._origins.setdefault((at.province, lot.donor_kind), len(self._origins))
        for need in problem.needs:
            at = seat(need, catalogue=problem.catalogue)
            self._regions.setdefault((at.province, at.city), len(self._regions))
        self.need_regions = len(self._regions)
        starts, hubs, days = [0], [], []
        for origin in self._origins:
            for region in self._regions:
                for hub, onward in sorted(self._options(problem, origin, region)):
                    hubs.append(hub)
                    days.append(onward)
                starts.append(len(hubs))
        self.start, self.hub, self.days = _int32(starts), _int32(hubs), _int32(days)

    def knows(self, *, need: Place | None = None, lot: tuple[Place, str] | None = None) -> bool:
        """Whether the region of a need, or of a lot and who gives it, has its routes."""
        if need is not None:
            return (need.province, need.city) in self._regions
        return lot is not None and (lot[0].province, lot[1]) in self._origins

    def lot_regions(self, lots: Sequence[Lot], seats: Sequence[Place]) -> NDArray[np.int32]:
        """Where each lot starts."""
        return _int32(
            [
                self._origins[(at.province, lot.donor_kind)]
                for lot, at in zip(lots, seats, strict=True)
            ]
        )

    def need_regions_of(self, seats: Sequence[Place]) -> NDArray[np.int32]:
        """Where each need is."""
        return _int32([self._regions[(at.province, at.city)] for at in seats])

    def _options(
        self, problem: Problem, origin: tuple[str, str], region: tuple[str, str]
    ) -> set[tuple[int, int]]:
        """(hub or DIRECT, days onward) of every way; the rule of `candidates._route`."""
        province, donor_kind = origin
        if province == region[0]:
            return {(DIRECT, 0)}
        found = set()
        for lane in problem.lanes:
            hub = lane.destination
            if lane.origin not in (None, province):
                continue
            if donor_kind == "individual" and not lane.individuals:
                continue
            if hub.city == region[1]:
                found.add((DIRECT, 0))
            elif hub.province == region[0] and hub.province in problem.policy.onward_provinces:
                number = self._hubs.setdefault(hub, len(self._hubs))
                found.add((number, problem.policy.onward_days))
        return found

    def km_to_hubs(self, places: Sequence[Place]) -> NDArray[np.int16]:
        """Kilometres from every place to every hub, shape (places, hubs)."""
        return distances_km(_vectors(places), _vectors(list(self._hubs))).astype(np.int16)


def _need_key(need: Need) -> tuple[object, ...]:
    return (need.items, need.accepts_substitutes, need.standard, need.edition)


def _kinds(
    rows: Sequence[_Row], keys: Sequence[tuple[object, ...]]
) -> tuple[dict[tuple[object, ...], int], list[_Row]]:
    """(number of each kind, the first row of each kind)."""
    numbers: dict[tuple[object, ...], int] = {}
    samples: list[_Row] = []
    for row, key in zip(rows, keys, strict=True):
        if key not in numbers:
            samples.append(row)
            numbers[key] = len(numbers)
    return numbers, samples


def _fit(needs: list[Need], lots: list[Lot], problem: Problem) -> NDArray[np.int32]:
    fit = np.full((len(needs), len(lots)), -1, dtype=np.int32)
    for row, need in enumerate(needs):
        for column, lot in enumerate(lots):
            penalty = fit_penalty(need, lot, catalogue=problem.catalogue)
            fit[row, column] = -1 if penalty is None else penalty
    return fit


def _lists(
    names: Sequence[Sequence[str]], numbers: Mapping[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(starts, numbers); a hospital without a need gets a number that none has."""
    starts, found = [0], []
    for row in names:
        found += [numbers.get(name, -1) for name in row]
        starts.append(len(found))
    return _int32(starts), _int32(found)


def _short(lot: Lot) -> bool:
    return lot.expires_day is not None and lot.expires_day - lot.produced_day <= SHORT_LIFE_DAYS


def _vectors(places: Sequence[Place]) -> Int64s:
    return unit_vectors(
        _int64([place.longitude_micro for place in places]),
        _int64([place.latitude_micro for place in places]),
    )


def _int64(values: Sequence[int]) -> Int64s:
    return np.array(values, dtype=np.int64)


def _int32(values: Sequence[int]) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def _int8(values: Sequence[int]) -> NDArray[np.int8]:
    return np.array(values, dtype=np.int8)
