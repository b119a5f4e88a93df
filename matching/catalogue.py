"""What can be asked for and given: items, classes, substitutes and dated standards.

A standard is a row `{id, edition, effective_from, superseded_on}` and is always evaluated at the date that
matters (production, posting), never "latest" (legal.md ST-0). A substitute has a direction: a protective
respirator may serve a need for surgical masks and never the reverse. Substitutes stay inside one class, so
classes split a round exactly.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib import resources
from typing import Any, Final

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import InputError
from matching.typed_rows import typed

EPOCH: Final = date(1970, 1, 1)
TEXT_MAX: Final = 500
"""Longest item word or specification read, in characters; the longest real one has 48."""

_SEPARATORS: Final = re.compile(r"[|/、,;]|或")
_STANDARD: Final = re.compile(
    r"(?P<kind>GB|YY|HG|WS)\s*(?P<t>/T)?\s*(?P<number>\d{4,5})(?:\.\d+)?\s*[-—–]\s*(?P<edition>\d{4})",
    re.IGNORECASE,
)
_MODEL: Final = re.compile(r"3M\s*(\d{4}(?:/\d{4})*)", re.IGNORECASE)


class EditionState(StrEnum):
    """Where an edition of a standard stands on one day."""

    UNKNOWN = "unknown"
    NOT_YET = "not_yet"
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Item:
    """One kind of goods.

    Attributes:
        words: how people write it, normalised by `normalise`.
        standard: the standard goods of this item must declare, or None.
        certificate_min: 0 none, 1 conformity certificate, 2 device registration or filing.
        shelf_days: usual shelf life; None for durable goods.
        urgency_class: A, B or C; with the hospital's rank it gives the tier (import policy).
        remote: reaches any place at once, without a carrier: a service done from afar.
    """

    id: str
    item_class: str
    zh: str
    en: str
    words: tuple[str, ...]
    standard: str | None
    certificate_min: int
    shelf_days: int | None
    urgency_class: str
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Edition:
    """One edition of a standard, in force on [effective_day, superseded_day) (days since 1970-01-01)."""

    standard: str
    edition: str
    effective_day: int
    superseded_day: int | None


@dataclass(frozen=True, slots=True)
class ItemReading:
    """An item word understood: the first item is the one asked for, the others serve just as well."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpecificationReading:
    """A specification text understood as far as the catalogue goes.

    Attributes:
        standard, edition: enforced requirement; an edition of None means "valid when produced".
        sterile: enforced.
        codes: what was not taken as written, in the order found.
        remarks: understood features and models that are kept and not enforced.
        unread: text that nothing matched, verbatim.
    """

    standard: str | None
    edition: str | None
    sterile: bool
    codes: tuple[str, ...]
    remarks: tuple[str, ...]
    unread: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole catalogue; `source` is its JSON form, which round problems embed and digest."""

    version: str
    items: Mapping[str, Item]
    substitutes: Mapping[tuple[str, str], int]
    editions: Mapping[tuple[str, str], Edition]
    words: Mapping[str, str]
    models: Mapping[str, str]
    features: Mapping[str, tuple[str, bool]]
    source: Mapping[str, Json]

    def digest(self) -> bytes:
        """SHA-256 under the tag `fuqi/catalogue/v1`."""
        return tagged_digest("fuqi/catalogue/v1", self.source)

    def item(self, item_id: str) -> Item:
        """The item of this id.

        Raises:
            InputError: `item.unknown`.
        """
        found = self.items.get(item_id)
        if found is None:
            raise InputError("no such catalogue item", code="item.unknown", item=item_id)
        return found

    def edition_state(self, standard: str, edition: str, *, day: int) -> EditionState:
        """Where this edition stood on `day`."""
        row = self.editions.get((standard, edition))
        if row is None:
            return EditionState.UNKNOWN
        if day < row.effective_day:
            return EditionState.NOT_YET
        if row.superseded_day is not None and day >= row.superseded_day:
            return EditionState.SUPERSEDED
        return EditionState.IN_FORCE

    def edition_on(self, standard: str, *, day: int) -> str | None:
        """The edition in force on `day`, or None."""
        for row in self.editions.values():
            if row.standard == standard and (
                self.edition_state(standard, row.edition, day=day) is EditionState.IN_FORCE
            ):
                return row.edition
        return None


def load_catalogue() -> Catalogue:
    """The catalogue that ships in the package."""
    data = (resources.files("matching") / "data" / "catalogue-v1.json").read_text("utf-8")
    return parse_catalogue(json.loads(data))


def parse_catalogue(source: Mapping[str, Any]) -> Catalogue:
    """Build and validate a catalogue from its JSON form.

    Raises:
        InputError: `catalogue.invalid`.
    """
    try:
        items = {row["id"]: typed(_item(row)) for row in source["items"]}
        editions = {
            (row["id"], row["edition"]): typed(_edition(row)) for row in source["standards"]
        }
        substitutes = {
            (row["lot"], row["need"]): int(row["penalty_km"]) for row in source["substitutes"]
        }
        catalogue = Catalogue(
            version=source["version"],
            items=items,
            substitutes=substitutes,
            editions=editions,
            words={word: item.id for item in items.values() for word in item.words},
            models={row["word"]: row["item"] for row in source["models"]},
            features={
                row["word"]: (row["feature"], bool(row["enforced"])) for row in source["features"]
            },
            source=source,
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(
            "the catalogue misses a field or has a malformed one", code="catalogue.invalid"
        ) from exc
    _validate(catalogue)
    return catalogue


def read_item(text: str, *, catalogue: Catalogue) -> ItemReading:
    """Understand an item word, single or composite ("医用防护口罩 | N95口罩").

    Raises:
        InputError: `item.unknown`, `item.classes_mixed`, `item.text_too_long`.
    """
    _require_short(text, code="item.text_too_long")
    whole = catalogue.words.get(normalise(text))
    if whole is not None:
        return ItemReading((whole,))
    found: list[str] = []
    for part in _SEPARATORS.split(unicodedata.normalize("NFKC", text)):
        item = catalogue.words.get(normalise(part))
        if item is None:
            raise InputError("this item is not in the catalogue", code="item.unknown")
        if item not in found:
            found.append(item)
    if len({catalogue.items[item].item_class for item in found}) != 1:
        raise InputError("one row names items of several classes", code="item.classes_mixed")
    return ItemReading(tuple(found))


def read_specification(
    text: str, *, items: tuple[str, ...], day: int, catalogue: Catalogue
) -> SpecificationReading:
    """Understand a specification text as it would have been read on `day`.

    A superseded or unknown edition of a known standard asks for the standard, in the edition valid when the
    goods were produced; an edition still to come is kept, because a hospital may ask for newer.

    Raises:
        InputError: `specification.text_too_long`.
    """
    _require_short(text, code="specification.text_too_long")
    plain = unicodedata.normalize("NFKC", text)
    standard: str | None = None
    edition: str | None = None
    sterile = False
    codes: list[str] = []
    remarks: list[str] = []
    own = {catalogue.items[item].standard for item in items}
    for match in _STANDARD.finditer(plain):
        named = f"{match['kind'].upper()}{'/T' if match['t'] else ''} {match['number']}"
        known = any(row.standard == named for row in catalogue.editions.values())
        if not known:
            codes.append("standard.unknown")
        elif named not in own:
            codes.append("standard.of_other_item")
        elif standard is not None:
            codes.append("standard.second")
        else:
            standard = named
            state = catalogue.edition_state(named, match["edition"], day=day)
            if state in (EditionState.UNKNOWN, EditionState.SUPERSEDED):
                codes.append(f"standard.edition_{state.value}")
            else:
                edition = match["edition"]
    rest = _STANDARD.sub("", plain)
    for match in _MODEL.finditer(rest):
        remarks += [f"model:3M{number}" for number in match[1].split("/")]
    rest = _MODEL.sub("", rest)
    for word, (feature, enforced) in catalogue.features.items():
        if word in rest:
            rest = rest.replace(word, "")
            sterile = sterile or (enforced and feature == "sterile")
            remarks.append(f"feature:{feature}")
    unread = _SEPARATORS.sub(" ", rest).strip()
    if unread and normalise(unread) in catalogue.words:
        remarks.append(f"item:{catalogue.words[normalise(unread)]}")
        unread = ""
    if unread:
        codes.append("specification.unread")
    return SpecificationReading(
        standard, edition, sterile, tuple(codes), tuple(remarks), unread[:TEXT_MAX]
    )


def normalise(text: str) -> str:
    """Compatibility form, lower case, no white space: what words are compared in."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).casefold()


def to_day(value: date) -> int:
    """Days since 1970-01-01."""
    return (value - EPOCH).days


def from_day(day: int) -> date:
    """The reverse of `to_day`."""
    return date.fromordinal(EPOCH.toordinal() + day)


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        id=row["id"],
        item_class=row["class"],
        zh=row["zh"],
        en=row["en"],
        words=tuple(normalise(word) for word in row["words"]),
        standard=row["standard"],
        certificate_min=int(row["certificate_min"]),
        shelf_days=None if row["shelf_days"] is None else int(row["shelf_days"]),
        urgency_class=row["urgency_class"],
        remote=bool(row.get("remote", False)),
    )


def _edition(row: Mapping[str, Any]) -> Edition:
    end = row["superseded_on"]
    return Edition(
        standard=row["id"],
        edition=row["edition"],
        effective_day=to_day(date.fromisoformat(row["effective_from"])),
        superseded_day=None if end is None else to_day(date.fromisoformat(end)),
    )


def _validate(catalogue: Catalogue) -> None:
    """Refuse what would make readings ambiguous or couple two classes."""
    faults: list[str] = []
    if len(catalogue.words) != sum(len(item.words) for item in catalogue.items.values()):
        faults.append("a word names two items")
    standards = {row.standard for row in catalogue.editions.values()}
    for item in catalogue.items.values():
        if item.standard is not None and item.standard not in standards:
            faults.append(f"{item.id} names a standard without rows")
        if item.urgency_class not in ("A", "B", "C") or not 0 <= item.certificate_min <= 2:
            faults.append(f"{item.id} is out of range")
    remote: dict[str, bool] = {}
    faults += [
        f"class {item.item_class} is remote in part"
        for item in catalogue.items.values()
        if remote.setdefault(item.item_class, item.remote) != item.remote
    ]
    for (lot, need), penalty in catalogue.substitutes.items():
        pair = (catalogue.items.get(lot), catalogue.items.get(need))
        if pair[0] is None or pair[1] is None or pair[0].item_class != pair[1].item_class:
            faults.append(f"substitute {lot} for {need} leaves its class")
        if not 1 <= penalty <= 10_000:
            faults.append(f"substitute {lot} for {need} has no sensible penalty")
    faults += [
        f"{row.standard}-{row.edition} ends before it begins"
        for row in catalogue.editions.values()
        if row.superseded_day is not None and row.superseded_day <= row.effective_day
    ]
    if faults:
        raise InputError(faults[0], code="catalogue.invalid", faults=len(faults))


def _require_short(text: str, *, code: str) -> None:
    if len(text) > TEXT_MAX:
        raise InputError(f"longer than {TEXT_MAX} characters", code=code, limit=TEXT_MAX)
