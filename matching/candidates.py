"""Eligibility of every pair of need and lot: a pure, published rule that gives the first reason against.

No pair is left out because it is far ("nearest k" is a wrong model under shortage, matching.md B3). The
whole table of pairs is judged at once; `reason_against` is the same rule for one pair in plain Python,
and a property test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.catalogue import Catalogue, EditionState
from matching.geo import Int64s, distance_km, distances_km, unit_vectors
from matching.problem import LIFE_MAX_DAYS, Lane, Lot, Need, Place, Problem

ELIGIBLE: Final = 0
REASONS: Final = (
    "eligible",
    "class.different",
    "substitute.not_allowed",
    "lot.frozen",
    "donor.related_party",
    "donor.directed_elsewhere",
    "standard.not_declared",
    "standard.edition_unknown",
    "standard.edition_not_valid_at_production",
    "standard.other_than_named",
    "standard.edition_older_than_named",
    "certificate.too_low",
    "sterile.required",
    "lane.none",
    "lane.individuals_refused",
    "deadline.missed",
    "shelf_life.too_short",
)
"""Reasons against, in the declared order of checking: the first one found is the answer."""

SHORT_LIFE_DAYS: Final = 183
"""Goods that live no longer than this need only half the remaining life (legal.md DN-8)."""
REMOTE: Final = Place("", "", 0, 0)
"""The one place of everything remote: no way, no day, no carrier."""
_CODE: Final = {reason: number for number, reason in enumerate(REASONS)}
NEVER_DAY: Final = 1 << 30
"""Later than any day there is: when durable goods expire. Where there is no way, its kilometres and days."""

Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]
Int32s = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every pair judged. Arrays of shape (needs, lots), in the order of the problem.

    Attributes:
        codes: index into REASONS.
        km, days: distance of the route taken and the days it takes; meaningless where there is none.
        transport: cost of one unit at the transport level: km + 1 + substitution penalty.
        life: shape (lots,): days from the round's day to expiry, 0..3650; the expiry level's unit cost.
    """

    codes: Codes
    km: Int64s
    days: Int32s
    transport: Int64s
    life: Int64s

    @property
    def eligible(self) -> int:
        """How many pairs are eligible."""
        return int(np.count_nonzero(self.codes == ELIGIBLE))


def judge_pairs(problem: Problem) -> Candidates:
    """Judge all needs x lots pairs."""
    needs, lots = problem.needs, problem.lots
    same_class, allowed, penalty = _item_fit(problem)
    km, days, lane_code = _routes(problem)
    codes: Codes = np.zeros((len(needs), len(lots)), dtype=np.int8)
    arrival = np.maximum(_lots(lots, "available_day"), problem.day)[None, :] + days
    deadline = np.array([need.deadline_day for need in needs], dtype=np.int64)[:, None]
    faults: list[tuple[str, Bools]] = [
        ("class.different", ~same_class),
        ("substitute.not_allowed", ~allowed),
        *_donor_faults(problem),
        *_standard_faults(problem),
        ("certificate.too_low", _certificate_too_low(needs, lots)),
        ("sterile.required", _sterile_missing(needs, lots)),
        ("lane.none", lane_code == _CODE["lane.none"]),
        ("lane.individuals_refused", lane_code == _CODE["lane.individuals_refused"]),
        ("deadline.missed", arrival > deadline),
        ("shelf_life.too_short", _life_too_short(needs, lots, arrival=arrival)),
    ]
    for reason, fault in faults:
        np.copyto(codes, np.int8(_CODE[reason]), where=fault & (codes == ELIGIBLE))
    life = np.array([_life(lot, day=problem.day) for lot in lots], dtype=np.int64)
    return Candidates(codes, km, days.astype(np.int32), km + 1 + penalty, life)


def reason_against(problem: Problem, *, need: Need, lot: Lot) -> str | None:
    """The first reason why this lot may not serve this need, or None. The rule, one pair at a time."""
    catalogue = problem.catalogue
    item = catalogue.item(lot.item)
    if item.item_class != catalogue.item(need.items[0]).item_class:
        return "class.different"
    if _penalty(need, lot.item, catalogue=catalogue) is None:
        return "substitute.not_allowed"
    if lot.frozen:
        return "lot.frozen"
    if need.hospital in lot.related_to:
        return "donor.related_party"
    if lot.directed_to and need.hospital not in lot.directed_to:
        return "donor.directed_elsewhere"
    fault = _standard_fault(need, lot, catalogue=catalogue)
    if fault is not None:
        return fault
    if lot.certificate < need.certificate_min:
        return "certificate.too_low"
    if need.sterile and not lot.sterile:
        return "sterile.required"
    route = _route(problem, need=need, lot=lot)
    if isinstance(route, str):
        return route
    arrival = max(lot.available_day, problem.day) + route[1]
    if arrival > need.deadline_day:
        return "deadline.missed"
    if lot.expires_day is not None:
        wanted = need.remaining_days_min
        if lot.expires_day - lot.produced_day <= SHORT_LIFE_DAYS:
            wanted //= 2
        if lot.expires_day - arrival < wanted:
            return "shelf_life.too_short"
    return None


def fit_penalty(need: Need, lot: Lot, *, catalogue: Catalogue) -> int | None:
    """Substitution penalty in km where class, item and standard fit, else None; no other rule is looked at."""
    if catalogue.item(lot.item).item_class != catalogue.item(need.items[0]).item_class:
        return None
    penalty = _penalty(need, lot.item, catalogue=catalogue)
    if penalty is None or _standard_fault(need, lot, catalogue=catalogue) is not None:
        return None
    return penalty


def own_standard_fault(
    item: str,
    standard: str | None,
    edition: str | None,
    *,
    produced_day: int,
    catalogue: Catalogue,
) -> str | None:
    """Why goods declared like this serve no need at all: the standard, valid on the day of production."""
    own = catalogue.item(item).standard
    if own is None:
        return None
    if standard != own or edition is None:
        return "standard.not_declared"
    state = catalogue.edition_state(own, edition, day=produced_day)
    if state is EditionState.UNKNOWN:
        return "standard.edition_unknown"
    if state is not EditionState.IN_FORCE:
        return "standard.edition_not_valid_at_production"
    return None


def seat(row: Need | Lot, *, catalogue: Catalogue) -> Place:
    """Where it is for the ways of carriers: a remote service and who needs it are at one place."""
    item = row.item if isinstance(row, Lot) else row.items[0]
    return REMOTE if catalogue.item(item).remote else row.place


def life_days(lot: Lot, *, day: int) -> int:
    """Unit cost at the expiry level: days from `day` to expiry, 0..3650."""
    return _life(lot, day=day)


# One pair, in plain Python.


def _penalty(need: Need, item: str, *, catalogue: Catalogue) -> int | None:
    if item in need.items:
        return 0
    if not need.accepts_substitutes:
        return None
    penalties = [
        catalogue.substitutes[(item, wanted)]
        for wanted in need.items
        if (item, wanted) in catalogue.substitutes
    ]
    return min(penalties, default=None)


def _standard_fault(need: Need, lot: Lot, *, catalogue: Catalogue) -> str | None:
    own = own_standard_fault(
        lot.item, lot.standard, lot.edition, produced_day=lot.produced_day, catalogue=catalogue
    )
    if own is not None:
        return own
    if need.standard is None:
        return None
    if lot.item in need.items and lot.standard != need.standard:
        return "standard.other_than_named"
    if lot.standard == need.standard and need.edition is not None and lot.edition is not None:
        mine = catalogue.editions.get((need.standard, lot.edition))
        named = catalogue.editions.get((need.standard, need.edition))
        if mine is not None and named is not None and mine.effective_day < named.effective_day:
            return "standard.edition_older_than_named"
    return None


def _route(problem: Problem, *, need: Need, lot: Lot) -> tuple[int, int] | str:
    """(km, days) of the shortest route, or why there is none."""
    policy = problem.policy
    start, end = (seat(row, catalogue=problem.catalogue) for row in (lot, need))
    here = (start.longitude_micro, start.latitude_micro)
    there = (end.longitude_micro, end.latitude_micro)
    if start.province == end.province:
        km = distance_km(here, there)
        return km, -(-km // policy.km_per_day)
    found: list[tuple[int, int]] = []
    refused = False
    for lane in problem.lanes:
        if lane.origin not in (None, lot.place.province):
            continue
        hub = lane.destination
        if hub.city == need.place.city:
            km, onward = distance_km(here, there), 0
        elif hub.province == need.place.province and hub.province in policy.onward_provinces:
            middle = (hub.longitude_micro, hub.latitude_micro)
            km = distance_km(here, middle) + distance_km(middle, there)
            onward = policy.onward_days
        else:
            continue
        if lot.donor_kind == "individual" and not lane.individuals:
            refused = True
            continue
        found.append((km, -(-km // policy.km_per_day) + onward))
    if found:
        return min(found)
    return "lane.individuals_refused" if refused else "lane.none"


def _life(lot: Lot, *, day: int) -> int:
    if lot.expires_day is None:
        return LIFE_MAX_DAYS
    return min(max(lot.expires_day - day, 0), LIFE_MAX_DAYS)


# All pairs, in arrays.


def _item_fit(problem: Problem) -> tuple[Bools, Bools, Int64s]:
    """(same class, item or substitute allowed, substitution penalty in km), each (needs, lots)."""
    catalogue = problem.catalogue
    names = sorted(catalogue.items)
    column = {name: number for number, name in enumerate(names)}
    kinds: dict[tuple[tuple[str, ...], bool], int] = {}
    rows = [
        kinds.setdefault((need.items, need.accepts_substitutes), len(kinds))
        for need in problem.needs
    ]
    same = np.zeros((len(kinds), len(names)), dtype=np.bool_)
    penalty = np.full((len(kinds), len(names)), -1, dtype=np.int64)
    # One need of each kind says what fits all of them.
    of_kind = {kinds[(need.items, need.accepts_substitutes)]: need for need in problem.needs}
    for row, need in of_kind.items():
        wanted = catalogue.items[need.items[0]].item_class
        for name in names:
            same[row, column[name]] = catalogue.items[name].item_class == wanted
            found = _penalty(need, name, catalogue=catalogue)
            penalty[row, column[name]] = -1 if found is None else found
    columns = np.array([column[lot.item] for lot in problem.lots], dtype=np.int64)
    index = np.ix_(np.array(rows, dtype=np.int64), columns)
    picked = penalty[index]
    return same[index], picked >= 0, np.maximum(picked, 0)


def _donor_faults(problem: Problem) -> list[tuple[str, Bools]]:
    needs, lots = problem.needs, problem.lots
    shape = (len(needs), len(lots))
    frozen = np.broadcast_to(np.array([lot.frozen for lot in lots], dtype=np.bool_), shape)
    related = np.zeros(shape, dtype=np.bool_)
    elsewhere = np.zeros(shape, dtype=np.bool_)
    hospitals = [need.hospital for need in needs]
    for number, lot in enumerate(lots):
        if lot.related_to:
            related[:, number] = [hospital in lot.related_to for hospital in hospitals]
        if lot.directed_to:
            elsewhere[:, number] = [hospital not in lot.directed_to for hospital in hospitals]
    return [
        ("lot.frozen", frozen),
        ("donor.related_party", related),
        ("donor.directed_elsewhere", elsewhere),
    ]


def _standard_faults(problem: Problem) -> list[tuple[str, Bools]]:
    """Standards depend on few kinds of need and lot: judge each combination once with the plain rule."""
    needs, lots, catalogue = problem.needs, problem.lots, problem.catalogue
    need_kinds: dict[tuple[object, ...], int] = {}
    lot_kinds: dict[tuple[object, ...], int] = {}
    need_rows, lot_rows = [], []
    need_samples: list[Need] = []
    lot_samples: list[Lot] = []
    for need in needs:
        key: tuple[object, ...] = (need.items, need.standard, need.edition)
        if key not in need_kinds:
            need_samples.append(need)
        need_rows.append(need_kinds.setdefault(key, len(need_kinds)))
    for lot in lots:
        state = (
            catalogue.edition_state(lot.standard, lot.edition, day=lot.produced_day)
            if lot.standard is not None and lot.edition is not None
            else None
        )
        key = (lot.item, lot.standard, lot.edition, state)
        if key not in lot_kinds:
            lot_samples.append(lot)
        lot_rows.append(lot_kinds.setdefault(key, len(lot_kinds)))
    table = np.array(
        [
            [
                _CODE[_standard_fault(need, lot, catalogue=catalogue) or "eligible"]
                for lot in lot_samples
            ]
            for need in need_samples
        ],
        dtype=np.int8,
    ).reshape(len(need_samples), len(lot_samples))
    found = table[np.ix_(np.array(need_rows, dtype=np.int64), np.array(lot_rows, dtype=np.int64))]
    return [
        (reason, found == _CODE[reason]) for reason in REASONS if reason.startswith("standard.")
    ]


def _certificate_too_low(needs: tuple[Need, ...], lots: tuple[Lot, ...]) -> Bools:
    wanted = np.array([need.certificate_min for need in needs], dtype=np.int64)
    too_low: Bools = _lots(lots, "certificate")[None, :] < wanted[:, None]
    return too_low


def _sterile_missing(needs: tuple[Need, ...], lots: tuple[Lot, ...]) -> Bools:
    wanted = np.array([need.sterile for need in needs], dtype=np.bool_)
    given = np.array([lot.sterile for lot in lots], dtype=np.bool_)
    missing: Bools = wanted[:, None] & ~given[None, :]
    return missing


def _life_too_short(needs: tuple[Need, ...], lots: tuple[Lot, ...], *, arrival: Int64s) -> Bools:
    wanted = np.array([need.remaining_days_min for need in needs], dtype=np.int64)[:, None]
    expires = np.array(
        [NEVER_DAY if lot.expires_day is None else lot.expires_day for lot in lots], dtype=np.int64
    )
    short = (expires - _lots(lots, "produced_day") <= SHORT_LIFE_DAYS)[None, :]
    # `NEVER_DAY` minus any arrival is above every wanted life, so durable goods pass.
    too_short: Bools = expires[None, :] - arrival < np.where(short, wanted // 2, wanted)
    return too_short


def _routes(problem: Problem) -> tuple[Int64s, Int64s, Codes]:
    """(km, days, code) of the shortest route of every pair; computed once per distinct pair of places."""
    origins: dict[tuple[Place, str], int] = {}
    lot_rows = [
        origins.setdefault((seat(lot, catalogue=problem.catalogue), lot.donor_kind), len(origins))
        for lot in problem.lots
    ]
    places: dict[Place, int] = {}
    need_rows = [
        places.setdefault(seat(need, catalogue=problem.catalogue), len(places))
        for need in problem.needs
    ]
    km, days, codes = _place_routes(problem, origins=list(origins), places=list(places))
    index = np.ix_(np.array(need_rows, dtype=np.int64), np.array(lot_rows, dtype=np.int64))
    return km[index], days[index], codes[index]


def _place_routes(
    problem: Problem, *, origins: list[tuple[Place, str]], places: list[Place]
) -> tuple[Int64s, Int64s, Codes]:
    policy = problem.policy
    to = _vectors(places)
    start = _vectors([place for place, _ in origins])
    direct = distances_km(to, start)
    home = np.array(
        [[p.province == o.province for o, _ in origins] for p in places], dtype=np.bool_
    ).reshape(direct.shape)
    km = np.where(home, direct, NEVER_DAY)
    days = np.where(home, -(-direct // policy.km_per_day), NEVER_DAY)
    refused = np.zeros(direct.shape, dtype=np.bool_)
    for lane in _distinct(problem.lanes):
        hub = lane.destination
        hub_vector = _vectors([hub])
        via = distances_km(to, hub_vector) + distances_km(hub_vector, start)
        at_hub = np.array([p.city == hub.city for p in places], dtype=np.bool_)
        onward = np.array(
            [
                p.province == hub.province and hub.province in policy.onward_provinces
                for p in places
            ],
            dtype=np.bool_,
        )
        starts = np.array([lane.origin in (None, o.province) for o, _ in origins], dtype=np.bool_)
        carried = np.array([lane.individuals or k != "individual" for _, k in origins], np.bool_)
        route_km = np.where(at_hub[:, None], direct, via)
        route_days = -(-route_km // policy.km_per_day)
        route_days = route_days + np.where(at_hub, 0, policy.onward_days)[:, None]
        open_lane = (at_hub | onward)[:, None] & starts[None, :] & ~home
        refused |= open_lane & ~carried[None, :]
        better = (route_km < km) | ((route_km == km) & (route_days < days))
        take = open_lane & carried[None, :] & better
        km = np.where(take, route_km, km)
        days = np.where(take, route_days, days)
    codes = np.zeros(direct.shape, dtype=np.int8)
    missing = km == NEVER_DAY
    codes[missing] = _CODE["lane.none"]
    codes[missing & refused] = _CODE["lane.individuals_refused"]
    return km, days, codes


def _distinct(lanes: tuple[Lane, ...]) -> list[Lane]:
    """Lanes that differ in what they can carry; two dozen carriers often run the same one."""
    return list(
        {(lane.origin, lane.destination, lane.individuals): lane for lane in lanes}.values()
    )


def _vectors(places: list[Place]) -> Int64s:
    return unit_vectors(
        np.array([place.longitude_micro for place in places], dtype=np.int64),
        np.array([place.latitude_micro for place in places], dtype=np.int64),
    )


def _lots(lots: tuple[Lot, ...], name: str) -> Int64s:
    return np.array([getattr(lot, name) for lot in lots], dtype=np.int64)
