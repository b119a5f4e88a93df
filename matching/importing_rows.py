"""How one row of each file is read. Every function returns a `Reading` or raises `Refused`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ledger.core.errors import InputError
from ledger.core.units import QUANTITY_MAX
from matching.catalogue import Catalogue, read_item, read_specification, to_day
from matching.policy import ImportPolicy
from matching.problem import Place

NAME_CHARACTERS_MAX: Final = 200
_INTEGER: Final = re.compile(r"^[+-]?\d{1,18}$")
_ADCODE: Final = re.compile(r"^\d{6}$")
# Mainland China and its seas, in degrees * 10**6: catches swapped and zero coordinates.
_EAST: Final = (73_000_000, 136_000_000)
_NORTH: Final = (3_000_000, 54_000_000)


class Refused(Exception):  # noqa: N818 - a row's state, not an error that leaves this package
    """The row cannot be used; `codes` ends with the reason."""

    def __init__(self, *codes: str) -> None:
        """Codes in the order found."""
        super().__init__(*codes)
        self.codes = codes


@dataclass(frozen=True, slots=True)
class HospitalRecord:
    """A receiver. `scale_percent` sizes its default quantities; `front` raises its urgency."""

    key: str
    name: str
    adcode: str
    place: Place
    district: str
    precision: str
    agency: bool
    front: bool
    scale_percent: int


@dataclass(frozen=True, slots=True)
class NeedRecord:
    """A need. `defaults` names the fields that the policy filled."""

    key: str
    hospital_key: str
    items: tuple[str, ...]
    quantity: int
    tier: int
    posted_day: int
    deadline_day: int
    standard: str | None
    edition: str | None
    certificate_min: int
    sterile: bool
    remaining_days_min: int
    accepts_substitutes: bool
    specification: str
    remarks: tuple[str, ...]
    defaults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CapacityRecord:
    """What a factory's published daily capacity offers: `per_day` pieces on each of `windows` days."""

    key: str
    factory_key: str
    name: str
    place: Place
    item: str
    published_per_day: int
    per_day: int
    first_day: int
    windows: int
    standard: str | None
    edition: str | None
    certificate: int


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """A carrier's green channel; origin None = nationwide."""

    key: str
    name: str
    origin: str | None
    destination: Place
    individuals: bool
    published_on: date | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A row that can be used."""

    key: str
    codes: tuple[str, ...]
    record: Any
    defaulted: bool


def read_hospital(row: Mapping[str, str], *, policy: ImportPolicy) -> Reading:
    """One hospital. Its scale and front are read from its name (policy), which is no default of data."""
    name = _name(row["name"])
    adcode = row["adcode"].strip()
    province = policy.provinces.get(adcode[:2]) if _ADCODE.match(adcode) else None
    if province is None:
        raise Refused("hospital.adcode")
    place = _place(row, province=province, city=row["city"].strip())
    codes = []
    if row["location_precision"].strip() != "district":
        codes.append("location.city_centroid")
    if policy.is_agency(name):
        codes.append("hospital.agency")
    record = HospitalRecord(
        key=row["hospital_id"].strip(),
        name=name,
        adcode=adcode,
        place=place,
        district=row["district"].strip()[:NAME_CHARACTERS_MAX],
        precision=row["location_precision"].strip()[:20],
        agency=policy.is_agency(name),
        front=policy.is_front(name, city=place.city),
        scale_percent=policy.scale_percent(name),
    )
    return Reading(record.key, tuple(codes), record, defaulted=False)


def read_need(
    row: Mapping[str, str],
    *,
    hospitals: Mapping[str, HospitalRecord],
    catalogue: Catalogue,
    policy: ImportPolicy,
    day: int,
) -> Reading:
    """One need. Urgency, deadline and remaining life always come from the policy, as no file names them;
    a row counts as defaulted where something that the row itself should say was filled or replaced."""
    hospital = hospitals.get(row["hospital_id"].strip())
    if hospital is None:
        raise Refused("need.hospital_unknown")
    try:
        items = read_item(row["item"], catalogue=catalogue).items
        reading = read_specification(
            row["specification"], items=items, day=day, catalogue=catalogue
        )
    except InputError as fault:
        raise Refused(fault.error_code) from fault
    codes = list(reading.codes)
    defaults = [code for code in reading.codes if code.startswith("standard.")]
    quantity = _quantity(row["quantity"], what="need", codes=codes)
    item = catalogue.items[items[0]]
    if quantity is None and item.id not in policy.quantities:
        # The policy has no usual amount of a service: none is invented.
        raise Refused(*codes, "need.quantity_missing")
    if quantity is None:
        quantity = policy.default_quantity(item.id, scale_percent=hospital.scale_percent)
        codes.append("quantity.defaulted")
        defaults.append("quantity")
    tier = policy.tier(item, front=hospital.front)
    record = NeedRecord(
        key=row["need_id"].strip(),
        hospital_key=hospital.key,
        items=items,
        quantity=quantity,
        tier=tier,
        posted_day=day,
        deadline_day=day + policy.deadline_days[tier],
        standard=reading.standard,
        edition=reading.edition,
        certificate_min=item.certificate_min,
        sterile=reading.sterile,
        remaining_days_min=policy.remaining_days_min,
        accepts_substitutes=policy.accepts_substitutes,
        specification=row["specification"],
        remarks=(*reading.remarks, *((f"unread:{reading.unread}",) if reading.unread else ())),
        defaults=tuple(defaults),
    )
    return Reading(record.key, tuple(codes), record, defaulted=bool(defaults))


def read_capacity(
    row: Mapping[str, str], *, catalogue: Catalogue, policy: ImportPolicy, as_of: date
) -> Reading:
    """One product of one factory. Always defaulted when usable: share, windows, certificate and edition are
    the policy's; no capacity is ever invented."""
    codes: list[str] = []
    name = _name(row["name"])
    city = row["city"].strip()
    province = row["province"].strip()
    known = policy.city_provinces.get(city)
    if known is None:
        codes.append("factory.city_unknown")
    elif known != province:
        codes.append("factory.province_fault")
        province = known
    if province not in policy.provinces.values():
        raise Refused(*codes, "factory.province_unknown")
    published = _date(row["published_on"], codes=codes)
    if published is None:
        codes.append("date.missing")
    elif (as_of - published).days > policy.stale_days:
        codes.append("date.stale")
    try:
        items = read_item(row["product"], catalogue=catalogue).items
    except InputError as fault:
        raise Refused(*codes, fault.error_code) from fault
    per_day = _quantity(row["daily_capacity"], what="capacity", codes=codes)
    if per_day is None:
        raise Refused(*codes, "capacity.not_named")
    place = _place(row, province=province, city=city, codes=tuple(codes))
    item = catalogue.items[items[0]]
    first_day = to_day(max(published or as_of, as_of)) + policy.capacity_lead_days
    standard = item.standard
    record = CapacityRecord(
        key=row["factory_id"].strip(),
        factory_key=row["factory_id"].split("#")[0].strip(),
        name=name,
        place=place,
        item=item.id,
        published_per_day=per_day,
        per_day=max(1, per_day * policy.capacity_share_percent // 100),
        first_day=first_day,
        windows=policy.capacity_windows,
        standard=standard,
        edition=None if standard is None else catalogue.edition_on(standard, day=first_day),
        certificate=policy.capacity_certificate,
    )
    codes += ["capacity.share_defaulted", "certificate.defaulted"]
    return Reading(record.key, tuple(codes), record, defaulted=True)


def read_lane(row: Mapping[str, str], *, policy: ImportPolicy) -> Reading:
    """One carrier's lane."""
    codes: list[str] = []
    name = _name(row["name"])
    origin: str | None = row["origin"].strip()
    if origin == policy.nationwide:
        origin = None
    elif origin not in policy.provinces.values():
        raise Refused("lane.origin_unknown")
    destination = policy.destinations.get(row["destination"].strip())
    if destination is None:
        raise Refused("lane.destination_unknown")
    word = row["accepts_individual_donations"].strip()
    if word not in ("True", "False"):
        raise Refused("lane.individuals_malformed")
    published = _date(row["published_on"], codes=codes)
    record = LaneRecord(
        key=row["carrier_id"].strip(),
        name=name,
        origin=origin,
        destination=destination,
        individuals=word == "True",
        published_on=published,
    )
    return Reading(record.key, tuple(codes), record, defaulted=False)


def _name(text: str) -> str:
    name = text.strip()
    if not name:
        raise Refused("name.missing")
    if len(name) > NAME_CHARACTERS_MAX:
        raise Refused("name.too_long")
    return name


def _place(
    row: Mapping[str, str], *, province: str, city: str, codes: tuple[str, ...] = ()
) -> Place:
    try:
        longitude, latitude = _micro(row["longitude"]), _micro(row["latitude"])
    except (InvalidOperation, ValueError) as exc:
        raise Refused(*codes, "place.malformed") from exc
    if not (_EAST[0] <= longitude <= _EAST[1] and _NORTH[0] <= latitude <= _NORTH[1]):
        raise Refused(*codes, "place.outside_china")
    return Place(province, city, longitude, latitude)


def _micro(text: str) -> int:
    """Degrees in text to degrees * 10**6, half away from zero; `Decimal` is for parsing only."""
    value = Decimal(text.strip())
    if not value.is_finite() or abs(value) > 360:
        raise ValueError("not a coordinate")
    return int((value * 1_000_000).to_integral_value(rounding="ROUND_HALF_UP"))


def _quantity(text: str, *, what: str, codes: list[str]) -> int | None:
    """The named quantity, or None where the field is empty."""
    word = text.strip()
    if not word:
        return None
    if not _INTEGER.match(word) or not word.isascii():
        raise Refused(*codes, f"{what}.quantity_malformed")
    quantity = int(word)
    if quantity < 0:
        raise Refused(*codes, f"{what}.quantity_negative")
    if quantity == 0:
        raise Refused(*codes, f"{what}.quantity_zero")
    if quantity > QUANTITY_MAX:
        raise Refused(*codes, f"{what}.quantity_limit")
    return quantity


def _date(text: str, *, codes: list[str]) -> date | None:
    word = text.strip()
    if not word:
        return None
    try:
        return date.fromisoformat(word)
    except ValueError as exc:
        raise Refused(*codes, "date.malformed") from exc
