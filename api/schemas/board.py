"""Shapes of the public pages: needs board and disclosure."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from api.schemas.base import Output

Urgency = Literal["critical", "high", "normal"]
TIERS: tuple[Urgency, ...] = ("critical", "high", "normal")
"""By tier number."""


class ItemCount(Output):
    """An item of the catalogue and how many open needs ask for it."""

    item: str
    zh: str
    en: str
    open: int


class BoardNeed(Output):
    """One need, as the public sees it."""

    id: str
    hospital: str
    city: str
    district: str
    item: str
    item_zh: str
    item_en: str
    quantity: int
    held: int = Field(description="pieces that rounds hold for it, proposed or accepted")
    urgency: Urgency
    posted_on: date
    deadline_on: date
    specification: str
    standard: str | None
    edition: str | None
    accepts_substitutes: bool
    defaults: list[str] = Field(description="what a written policy filled; empty: nothing")
    quantity_defaulted: bool
    invented: bool


class Board(Output):
    """The needs board."""

    open: int
    hospitals: int
    by_urgency: dict[Urgency, int]
    items: list[ItemCount]
    cities: list[str]
    total: int = Field(description="needs that the filter leaves")
    limit: int
    offset: int
    needs: list[BoardNeed]


class Disclosed(Output):
    """One accepted line. Natural persons are masked (Charity Law, art. 82)."""

    id: str
    round_id: str
    offer_id: str
    donor: str
    donor_masked: bool
    kind: str = Field(description="lot: donated goods; capacity: manufacturing")
    item: str
    item_zh: str
    item_en: str
    quantity: int
    hospital: str
    city: str
    km: int
    accepted_at: datetime | None
    agreement_state: str | None
    generated: bool = Field(description="true: the offer was made up for a demonstration")
    way: dict[str, int] | None = Field(
        description="pieces opened, arrived, used, lost; null before goods are opened for the line"
    )


class Disclosure(Output):
    """Accepted donations and orders."""

    lines: int
    pieces: int
    hospitals: int
    limit: int
    offset: int
    items: list[Disclosed]
