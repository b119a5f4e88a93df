"""Shapes of what-if questions."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import Field

from api.schemas.base import Id, Input, Output, ShortText
from api.schemas.board import Urgency
from api.schemas.supply import PlaceIn

PARTS = 20


class MoreGoodsIn(Input):
    """Goods that somebody might give; fit for use and there today."""

    item: ShortText = Field(description="catalogue item")
    quantity: int = Field(description="pieces, above zero")
    place: PlaceIn | None = Field(
        default=None, description="left out: in the middle of the hospitals that need such goods"
    )


class MoreNeedIn(Input):
    """A need that a hospital might have."""

    hospital_id: Id
    item: ShortText = Field(description="catalogue item")
    quantity: int = Field(description="pieces, above zero")
    urgency: Urgency


class WhatIfIn(Input):
    """What would be different; at least one thing."""

    goods: Annotated[tuple[MoreGoodsIn, ...], Field(max_length=PARTS)] = ()
    needs: Annotated[tuple[MoreNeedIn, ...], Field(max_length=PARTS)] = ()
    without_offers: Annotated[tuple[Id, ...], Field(max_length=PARTS)] = ()
    without_needs: Annotated[tuple[Id, ...], Field(max_length=PARTS)] = ()
    segments: int | None = Field(
        default=None, ge=1, le=100, description="another policy: steps of evenness"
    )
    km_per_day: int | None = Field(
        default=None, ge=1, le=20_000, description="another policy: speed"
    )
    as_of: date | None = Field(
        default=None, description="the day it is asked for; today if left out"
    )


class WhatIfSideOut(Output):
    """One of the two rounds; lists are by urgency, critical first."""

    needs: int
    lots: int
    wanted: list[int]
    served: list[int]
    transport: int
    verdict: str = Field(description="of the independent checker")
    gap: list[int] | None = Field(description="null where optimal; else no plan is better by more")


class WhatIfNeedOut(Output):
    """A need that would be served otherwise."""

    need: str
    hospital: str
    item_zh: str
    item_en: str
    urgency: str
    quantity: int
    before: int | None = Field(description="null where it is not in the round as it is")
    after: int | None = Field(description="null where it would not be in the round")


class WhatIfOut(Output):
    """The difference. Nothing of it is recorded."""

    day: date
    classes: list[str] = Field(description="item classes that were solved")
    before: WhatIfSideOut
    after: WhatIfSideOut
    changed: int = Field(description="needs that would be served otherwise")
    lines_changed: int
    losing: int = Field(description="pieces that needs would lose")
    winning: int = Field(description="pieces that needs would win")
    changes: list[WhatIfNeedOut] = Field(description="who would lose most first; at most 200")
    policy: dict[str, Any] | None = Field(description="the other policy, where one was asked for")
