"""What stands on the goods: UDI carriers (GS1 element strings, MA, AHM) and device registration numbers.

Everything is read as it is written and compared; nothing is repaired. A check digit that fits shows that
nobody mistyped, and not that the goods are what they say.

Sources: GS1 General Specifications (element strings, mod-10 check digit, two-digit years); for China the
measures on registration and filing of medical devices, articles 115 and 116 (legal.md ID-REG, ID-UDI).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from ledger.core.errors import InputError

UDI_CHARACTERS_MAX: Final = 200
"""A GS1 DataMatrix for devices stays far below; more is no UDI."""
GROUP_SEPARATOR: Final = "\x1d"
"""FNC1 as scanners send it: ends an element of variable length."""
_FIXED: Final = {"01": 14, "11": 6, "17": 6}
_VARIABLE_MAX: Final = {"10": 20, "21": 20}
_AI: Final = re.compile(r"\((\d{2})\)([^()]*)")
_TEXT: Final = re.compile(r"[!-~]+")
_OTHER: Final = re.compile(r"(MA\.156\.[A-Z0-9][A-Z0-9.\-]{3,100}|AHM[A-Z0-9.\-/]{4,100})")
_SWALLOWED: Final = re.compile(r"(?:(?:11|17)[0-9]{6})+(?:21[!-~]{1,20})?|21[!-~]{1,20}")
"""Elements at the end of a batch number: what a scanner makes that does not send FNC1."""
_REGISTERED: Final = re.compile(r"(.)械注(准|进|许)([0-9]{4})([123])([0-9]{2})([0-9]{4})")
_FILED: Final = re.compile(r"(.{1,2})械备([0-9]{4})([0-9]{4})号?")
PROVINCES: Final = frozenset("京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新")
"""Short names of the authorities below the state's own (国)."""
YEAR_MIN: Final = 2000
"""The regulation that began these numbers is of that year."""


class Scheme(StrEnum):
    """Who issued the device identifier."""

    GS1 = "gs1"
    MA = "ma"
    AHM = "ahm"


DEVICE_CLASSES: Final = {
    "mask_protective": 2,
    "mask_surgical": 2,
    "mask_medical": 2,
    "coverall": 2,
    "gown_surgical": 2,
    "nebuliser_mask": 2,
    "pcr_instrument": 2,
    "test_kit": 3,
}
"""Catalogue item -> least class of device where it is above class I (医疗器械分类目录 08, 14, 22; reagents of
pathogens are class III). Gloves are of class I or II with their sterility and do not stand here."""


@dataclass(frozen=True, slots=True)
class Udi:
    """A UDI as it was read; what the carrier does not say is None.

    Attributes:
        device: the GTIN (14 digits), or the whole code of another issuer.
    """

    scheme: Scheme
    device: str
    batch: str | None
    produced_on: date | None
    expires_on: date | None
    serial: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration or filing number.

    Attributes:
        device_class: 1 (filed), 2 or 3 (registered).
        imported: from abroad, or from Hong Kong, Macao, Taiwan.
        year: of the first registration or of the filing.
    """

    number: str
    authority: str
    device_class: int
    imported: bool
    year: int


@dataclass(frozen=True, slots=True)
class Goods:
    """What somebody says a lot is, to be held against what stands on it."""

    batch: str
    produced_on: date
    expires_on: date | None


def parse_udi(text: str, *, today: date) -> Udi:
    """Read a UDI: `(01)…(17)…(10)…` as printed, the same with FNC1 as scanned, or a code of MA or AHM.

    Args:
        text: at most 200 characters; white space around it is dropped.
        today: two-digit years mean the year nearest to it (GS1: 49 back, 50 ahead).

    Raises:
        InputError: `udi.empty`, `udi.too_long`, `udi.malformed`, `udi.element_unknown`, `udi.element_length`,
            `udi.element_repeated`, `udi.check_digit`, `udi.date`, `udi.device_missing`.
    """
    value = text.strip()
    if not value:
        raise InputError("scan or type the UDI that stands on the goods", code="udi.empty")
    if len(value) > UDI_CHARACTERS_MAX:
        raise InputError(
            f"a UDI has at most {UDI_CHARACTERS_MAX} characters; scan one code at a time",
            code="udi.too_long",
            limit=UDI_CHARACTERS_MAX,
        )
    other = _OTHER.fullmatch(value)
    if other is not None:
        scheme = Scheme.MA if value.startswith("MA.") else Scheme.AHM
        return Udi(scheme, value, batch=None, produced_on=None, expires_on=None, serial=None)
    elements = _printed(value) if value.startswith("(") else _scanned(value)
    if "01" not in elements:
        raise InputError(
            "the UDI names no product: it must hold (01) with 14 digits", code="udi.device_missing"
        )
    gtin = elements["01"]
    if check_digit(gtin[:13]) != gtin[13]:
        raise InputError(
            "the product number's last digit does not fit the others: scan the code again",
            code="udi.check_digit",
        )
    return Udi(
        scheme=Scheme.GS1,
        device=gtin,
        batch=elements.get("10"),
        produced_on=_day(elements.get("11"), today=today),
        expires_on=_day(elements.get("17"), today=today),
        serial=elements.get("21"),
    )


def check_digit(digits: str) -> str:
    """The GS1 check digit: weights 3 and 1 from the right, to the next multiple of ten."""
    total = sum(int(one) * (3 if n % 2 == 0 else 1) for n, one in enumerate(reversed(digits)))
    return str(-total % 10)


def parse_registration(text: str, *, today: date) -> Registration:
    """Read a registration number (械注) or a class I filing (械备).

    The state's authority (国) registers class III and imports, a province class II; others do not exist.

    Raises:
        InputError: `registration.malformed`, `registration.authority`, `registration.class`,
            `registration.year`.
    """
    value = text.strip().replace(" ", "")
    registered, filed = _REGISTERED.fullmatch(value), _FILED.fullmatch(value)
    if registered is not None:
        authority, way, year, device_class = registered.group(1, 2, 3, 4)
        imported = way != "准"
    elif filed is not None:
        authority, year = filed.group(1, 2)
        device_class, imported = "1", authority == "国"
    else:
        raise InputError(
            "write the number as on the certificate, with half-width digits, for example "
            "鄂械注准20202140001 or 鄂汉械备20200012",
            code="registration.malformed",
        )
    if authority != "国" and authority[0] not in PROVINCES:
        raise InputError(
            "no authority has this short name: the number begins with 国 or a province",
            code="registration.authority",
        )
    state_only = imported or device_class == "3"
    if registered is not None and (device_class == "1" or state_only != (authority == "国")):
        raise InputError(
            "the state registers class III and imports, a province class II: compare the number "
            "with the certificate",
            code="registration.class",
        )
    if not YEAR_MIN <= int(year) <= today.year:
        raise InputError(
            "the year in the number lies in the future or before there were such numbers",
            code="registration.year",
        )
    return Registration(
        number=value,
        authority=authority,
        device_class=int(device_class),
        imported=imported,
        year=int(year),
    )


def require_device_class(item: str, number: Registration) -> None:
    """Refuse the number of a lower device class than these goods are of: a filing is no registration.

    Raises:
        InputError: `registration.class_of_goods`.
    """
    least = DEVICE_CLASSES.get(item, 1)
    if number.device_class < least:
        raise InputError(
            f"goods of this kind are devices of class {least} and need that registration, not one of "
            f"class {number.device_class}: type the number from their certificate",
            code="registration.class_of_goods",
            limit=least,
        )


def require_same_goods(udi: Udi, goods: Goods) -> None:
    """Refuse when what stands on the goods and what was said of them differ.

    Raises:
        InputError: the first of `udi.separator_missing`, `lot.batch_differs`, `lot.produced_differs`,
            `lot.expiry_differs`.
    """
    batch, _, rest = (udi.batch or "").partition(goods.batch)
    if not batch and _SWALLOWED.fullmatch(rest):
        raise InputError(
            "the scanner left out the separator that ends the batch number, so the batch seems to hold "
            "the elements after it: type the UDI as printed, (01)…(17)…(10)…",
            code="udi.separator_missing",
        )
    if udi.batch is not None and udi.batch != goods.batch:
        raise InputError(
            "the UDI names another batch than you typed: open one lot for each batch",
            code="lot.batch_differs",
        )
    if udi.produced_on is not None and udi.produced_on != goods.produced_on:
        raise InputError(
            "the UDI names another day of production: correct it", code="lot.produced_differs"
        )
    if udi.expires_on is not None and udi.expires_on != goods.expires_on:
        raise InputError(
            "the UDI names another expiry: correct the day that you typed",
            code="lot.expiry_differs",
        )


def _printed(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    end = 0
    for match in _AI.finditer(value):
        if match.start() != end:
            raise _malformed()
        end = match.end()
        _put(found, match[1], match[2])
    if end != len(value):
        raise _malformed()
    return found


def _scanned(value: str) -> dict[str, str]:
    rest = value.removeprefix("]d2").removeprefix("]C1").lstrip(GROUP_SEPARATOR)
    found: dict[str, str] = {}
    # Each turn takes two characters at least, so the length bounds the loop.
    while rest:
        name, rest = rest[:2], rest[2:]
        if name in _FIXED:
            data, rest = rest[: _FIXED[name]], rest[_FIXED[name] :]
            rest = rest.removeprefix(GROUP_SEPARATOR)
        else:
            data, _, rest = rest.partition(GROUP_SEPARATOR)
        _put(found, name, data)
    return found


def _put(found: dict[str, str], name: str, data: str) -> None:
    if name not in _FIXED and name not in _VARIABLE_MAX:
        if not (name.isascii() and name.isdigit()):
            raise _malformed()
        raise InputError(
            f"element ({name}) is none of (01) product, (10) batch, (11) produced, (17) expiry, "
            "(21) serial: leave it out",
            code="udi.element_unknown",
            element=name,
        )
    if name in found:
        raise InputError(
            f"element ({name}) stands twice: scan one code at a time",
            code="udi.element_repeated",
            element=name,
        )
    size = _FIXED.get(name)
    digits = data.isascii() and data.isdigit()
    fits = len(data) == size and digits if size else 1 <= len(data) <= _VARIABLE_MAX.get(name, 0)
    if not fits or not _TEXT.fullmatch(data):
        raise InputError(
            f"element ({name}) is too short, too long or holds other characters than it may",
            code="udi.element_length",
            element=name,
        )
    found[name] = data


def _day(text: str | None, *, today: date) -> date | None:
    if text is None:
        return None
    short, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    century = today.year - today.year % 100
    apart = short - today.year % 100
    year = century + short + (-100 if apart >= 51 else 100 if apart <= -50 else 0)
    try:
        # Day 00 is the last day of the month.
        return date(year, month, day or calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError) as exc:
        raise InputError(
            "the UDI holds a day that is in no calendar: scan it again", code="udi.date"
        ) from exc


def _malformed() -> InputError:
    return InputError(
        "this is no UDI: type it as printed, (01)…(17)…(10)…, with half-width characters and no spaces, "
        "or scan it",
        code="udi.malformed",
    )
