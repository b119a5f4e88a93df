"""Schemas of placing signature fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from api.schemas.base import Id, Input, Output
from signing.placement import Anchor, Spot

FIELDS_MAX = 50


class FieldIn(Input):
    """Where one signature field goes: beside a text (`anchor`), or at `page`, `x`, `y`.

    Whole points on the page as a reader sees it, from its lower left corner; pages count from 1.
    """

    anchor: Annotated[str, Field(max_length=60)] | None = None
    nth: Annotated[int, Field(ge=-1, le=200)] = Field(
        default=1, description="which occurrence of the text; -1 for the last"
    )
    dx: Annotated[int, Field(ge=-2000, le=2000)] = 0
    dy: Annotated[int, Field(ge=-2000, le=2000)] = 0
    page: Annotated[int, Field(ge=1, le=2000)] = 1
    x: Annotated[int, Field(ge=-2000, le=20000)] = 0
    y: Annotated[int, Field(ge=-2000, le=20000)] = 0
    width: Annotated[int, Field(ge=1, le=2000)] = 180
    height: Annotated[int, Field(ge=1, le=2000)] = 90

    def place(self) -> Anchor | Spot:
        """What `signing.placement` takes."""
        if self.anchor is not None:
            return Anchor(self.anchor, self.nth, self.dx, self.dy, self.width, self.height)
        return Spot(self.page - 1, self.x, self.y, self.width, self.height)


FIELDS = TypeAdapter(Annotated[list[FieldIn], Field(min_length=1, max_length=FIELDS_MAX)])


class PlacementIn(Input):
    """Fields to be tried on a kept upload."""

    fields: Annotated[list[FieldIn], Field(min_length=1, max_length=FIELDS_MAX)]


class BoxOut(Output):
    """Where a field would stand; pages count from 1."""

    name: str
    page: int
    x: int
    y: int
    width: int
    height: int


class PageOut(Output):
    """Size of a page as a reader sees it, in points."""

    width: int
    height: int


class DraftOut(Output):
    """An upload whose fields are being placed."""

    id: Id
    sha256: str
    pages: list[PageOut]
