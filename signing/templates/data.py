"""Typed template data: what a template needs, checked before a page is drawn.

A field is read once, by dotted path, and refused by that path; values are never repaired.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import InputError
from signing.templates.money import AMOUNT_MAX_FEN

TEXT_MAX: Final = 2_000
"""Characters of one field: a page and a half; longer texts belong into an attachment."""
ITEMS_MAX: Final = 500
"""Lines of the goods table, about twenty pages."""
QUANTITY_MAX: Final = 10**12
_USCC: Final = re.compile(r"^[0-9A-HJ-NPQRTUWXY]{18}$")


@dataclass(frozen=True, slots=True)
class Organisation:
    """A party as it stands at the head of an agreement."""

    name: str
    uscc: str
    address: str
    legal_representative: str
    handler: str
    authorisation: str
    phone: str
    email: str
    system: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the goods table; `unit_price_fen` is None in a gift."""

    name: str
    model: str
    standard: str
    edition: str
    lot: str
    expiry: str
    quantity: int
    unit: str
    unit_price_fen: int | None

    @property
    def total_fen(self) -> int:
        """Quantity times unit price, in fen; 0 for a gift."""
        return self.quantity * (self.unit_price_fen or 0)


@dataclass(frozen=True, slots=True)
class Fields:
    """Reads typed values out of JSON by dotted path."""

    data: Mapping[str, Json]
    prefix: str = ""

    def text(self, key: str, *, optional: bool = False) -> str:
        """A non-empty text; an absent optional one is "".

        Raises:
            InputError: `template.field_missing`, `template.field_type`, `template.field_too_long`.
        """
        value = self.data.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            if optional:
                return ""
            raise self._missing(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        if len(value) > TEXT_MAX:
            raise InputError(
                f"{self.prefix}{key} is longer than {TEXT_MAX} characters",
                code="template.field_too_long",
                field=f"{self.prefix}{key}",
                limit=TEXT_MAX,
            )
        return value.strip()

    def integer(self, key: str, *, low: int, high: int) -> int:
        """An integer within [low, high].

        Raises:
            InputError: `template.field_missing`, `template.field_type`, `template.field_range`.
        """
        value = self.data.get(key)
        if value is None:
            raise self._missing(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "an integer")
        if not low <= value <= high:
            raise InputError(
                f"{self.prefix}{key} is not within {low} and {high}",
                code="template.field_range",
                field=f"{self.prefix}{key}",
                low=low,
                high=high,
            )
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """One of the allowed words.

        Raises:
            InputError: `template.field_missing`, `template.field_type`, `template.field_choice`.
        """
        value = self.text(key)
        if value not in allowed:
            raise InputError(
                f"{self.prefix}{key} is not one of the allowed words",
                code="template.field_choice",
                field=f"{self.prefix}{key}",
                allowed=", ".join(allowed),
            )
        return value

    def day(self, key: str, *, optional: bool = False) -> str:
        """A calendar day `YYYY-MM-DD`, printed as 2026年11月23日; "" where absent and optional.

        Raises:
            InputError: `template.field_missing`, `template.field_type`, `template.field_date`.
        """
        value = self.text(key, optional=optional)
        if not value:
            return ""
        try:
            day = date.fromisoformat(value)
        except ValueError as exc:
            raise InputError(
                f"{self.prefix}{key} is not a day of the form YYYY-MM-DD",
                code="template.field_date",
                field=f"{self.prefix}{key}",
            ) from exc
        return f"{day.year}年{day.month}月{day.day}日"

    def inner(self, key: str) -> Fields:
        """The object under `key`.

        Raises:
            InputError: `template.field_missing`, `template.field_type`.
        """
        value = self.data.get(key)
        if value is None:
            raise self._missing(key)
        if not isinstance(value, Mapping):
            raise self._wrong(key, "an object")
        return Fields(value, f"{self.prefix}{key}.")

    def organisation(self, key: str) -> Organisation:
        """A party block.

        Raises:
            InputError: as `text`, and `template.field_format` for a malformed code (18 characters;
                the check character is the business of `signing.identity`).
        """
        part = self.inner(key)
        uscc = part.text("uscc")
        if not _USCC.match(uscc):
            raise InputError(
                f"{part.prefix}uscc is not an 18-character unified social credit code",
                code="template.field_format",
                field=f"{part.prefix}uscc",
            )
        return Organisation(
            name=part.text("name"),
            uscc=uscc,
            address=part.text("address"),
            legal_representative=part.text("legal_representative"),
            handler=part.text("handler"),
            authorisation=part.text("authorisation"),
            phone=part.text("phone"),
            email=part.text("email"),
            system=part.text("system"),
        )

    def items(self, key: str, *, priced: bool) -> tuple[Item, ...]:
        """The goods table, at least one line.

        Raises:
            InputError: as the single fields; `template.items_too_many`.
        """
        value = self.data.get(key)
        if value is None or value == []:
            raise self._missing(key)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._wrong(key, "a list")
        if len(value) > ITEMS_MAX:
            raise InputError(
                f"more than {ITEMS_MAX} lines of goods",
                code="template.items_too_many",
                limit=ITEMS_MAX,
            )
        return tuple(self._item(f"{key}.{n}", line, priced=priced) for n, line in enumerate(value))

    def _item(self, key: str, value: Json, *, priced: bool) -> Item:
        if not isinstance(value, Mapping):
            raise self._wrong(key, "an object")
        part = Fields(value, f"{self.prefix}{key}.")
        price = (
            part.integer("unit_price_fen", low=0, high=AMOUNT_MAX_FEN // 1000) if priced else None
        )
        return Item(
            name=part.text("name"),
            model=part.text("model", optional=True),
            standard=part.text("standard"),
            edition=part.text("edition", optional=True),
            lot=part.text("lot", optional=True),
            expiry=part.day("expiry", optional=True),
            quantity=part.integer("quantity", low=1, high=QUANTITY_MAX),
            unit=part.text("unit"),
            unit_price_fen=price,
        )

    def _missing(self, key: str) -> InputError:
        return InputError(
            f"the template needs {self.prefix}{key}",
            code="template.field_missing",
            field=f"{self.prefix}{key}",
        )

    def _wrong(self, key: str, kind: str) -> InputError:
        return InputError(
            f"{self.prefix}{key} is not {kind}",
            code="template.field_type",
            field=f"{self.prefix}{key}",
        )
