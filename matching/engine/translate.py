"""From a `Problem` to a `Market`: names become numbers, kinds of needs and lots are judged once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

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
    needs, lots = problem.needs, problem.lots
    names = sorted({item.item_class for item in problem.catalogue.items.values()})
    of_class = {name: number for number, name in enumerate(names)}
    of_item = {key: of_class[item.item_class] for key, item in problem.catalogue.items.items()}
    if hospitals is None:
        hospitals = {name: place for place, name in enumerate(sorted({n.hospital for n in needs}))}
    need_kind, need_samples = _kinds(needs, [_need_key(need) for need in needs])
    lot_kind, lot_samples = _kinds(lots, [_lot_key(lot, problem) for lot in lots])
    routes = _Routes(problem)
    lot_seats = [seat(lot, catalogue=problem.catalogue) for lot in lots]
    need_seats = [seat(need, catalogue=problem.catalogue) for need in needs]
    directed_start, directed = _lists([lot.directed_to for lot in lots], hospitals)
    related_start, related = _lists([lot.related_to for lot in lots], hospitals)
    return Market(
        lot_quantity=_int64([lot.quantity for lot in lots]),
        lot_class=_int32([of_item[lot.item] for lot in lots]),
        lot_kind=lot_kind,
        lot_region=routes.lot_region,
        lot_xyz=_vectors(lot_seats),
        lot_ready=_int64([max(lot.available_day, problem.day) for lot in lots]),
        lot_expires=_int64([NEVER if x.expires_day is None else x.expires_day for x in lots]),
        lot_life=_int64([life_days(lot, day=problem.day) for lot in lots]),
        lot_short=_int8([_short(lot) for lot in lots]),
        lot_certificate=_int8([lot.certificate for lot in lots]),
        lot_sterile=_int8([lot.sterile for lot in lots]),
        lot_frozen=_int8([lot.frozen for lot in lots]),
        directed_start=directed_start,
        directed=directed,
        related_start=related_start,
        related=related,
        lot_hub_km=routes.km_to_hubs(lot_seats),
        need_quantity=_int64([need.quantity for need in needs]),
        need_class=_int32([of_item[need.items[0]] for need in needs]),
        need_kind=need_kind,
        need_region=routes.need_region,
        need_xyz=_vectors(need_seats),
        need_hospital=_int32([hospitals[need.hospital] for need in needs]),
        need_tier=_int8([need.tier for need in needs]),
        need_deadline=_int64([need.deadline_day for need in needs]),
        need_certificate=_int8([need.certificate_min for need in needs]),
        need_sterile=_int8([need.sterile for need in needs]),
        need_remaining=_int64([need.remaining_days_min for need in needs]),
        need_hub_km=routes.km_to_hubs(need_seats),
        fit=_fit(need_samples, lot_samples, problem),
        need_regions=_int64([max(1, routes.need_regions)]),
        route_start=routes.start,
        route_hub=routes.hub,
        route_days=routes.days,
        km_per_day=_int64([problem.policy.km_per_day]),
        chords=chord_table(),
    )


class _Routes:
    """Regions are what lanes tell apart: where a lot starts and who gives it, where a need is."""

    def __init__(self, problem: Problem) -> None:
        self._hubs: dict[Place, int] = {}
        origins: dict[tuple[str, str], int] = {}
        regions: dict[tuple[str, str], int] = {}
        self.lot_region = _int32(
            [
                origins.setdefault(
                    (seat(x, catalogue=problem.catalogue).province, x.donor_kind), len(origins)
                )
                for x in problem.lots
            ]
        )
        self.need_region = _int32(
            [
                regions.setdefault((place.province, place.city), len(regions))
                for place in (seat(x, catalogue=problem.catalogue) for x in problem.needs)
            ]
        )
        self.need_regions = len(regions)
        starts, hubs, days = [0], [], []
        for origin in origins:
            for region in regions:
                for hub, onward in sorted(self._options(problem, origin, region)):
                    hubs.append(hub)
                    days.append(onward)
                starts.append(len(hubs))
        self.start, self.hub, self.days = _int32(starts), _int32(hubs), _int32(days)

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


def _lot_key(lot: Lot, problem: Problem) -> tuple[object, ...]:
    state = None
    if lot.standard is not None and lot.edition is not None:
        state = problem.catalogue.edition_state(lot.standard, lot.edition, day=lot.produced_day)
    return (lot.item, lot.standard, lot.edition, state)


def _kinds(
    rows: Sequence[_Row], keys: Sequence[tuple[object, ...]]
) -> tuple[NDArray[np.int32], list[_Row]]:
    """(number of each row's kind, the first row of each kind)."""
    numbers: dict[tuple[object, ...], int] = {}
    samples: list[_Row] = []
    found = []
    for row, key in zip(rows, keys, strict=True):
        if key not in numbers:
            samples.append(row)
        found.append(numbers.setdefault(key, len(numbers)))
    return _int32(found), samples


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
