"""Shapes of claims of imported offers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.schemas.base import Id, Input, Output


class OfferClaimIn(Input):
    """An organisation says that an imported offer is its own."""

    id: Id = Field(description="clm_…, made by the caller")
    offer_id: Id
    statement: Annotated[str, StringConstraints(max_length=400)] = Field(
        description="how the operator can see that it is so"
    )


class ClaimDecisionIn(Input):
    """The operator's word on a claim."""

    outcome: Literal["confirmed", "refused"]
    reason: Annotated[str, StringConstraints(max_length=200)] = Field(
        description="what the operator went by, or why not"
    )


class OfferClaimOut(Output):
    """A claim and what it is about."""

    id: str
    offer_id: str
    organisation_id: str
    organisation: str
    donor: str = Field(description="as the data names the donor")
    item_zh: str
    item_en: str
    quantity: int
    statement: str
    state: str = Field(description="open, confirmed, refused or withdrawn")
    reason: str | None
    claimed_at: datetime
    decided_at: datetime | None


class UnownedOfferOut(Output):
    """An imported offer that nobody registered here stands behind; its lines cannot be accepted."""

    id: str
    donor: str
    item: str
    item_zh: str
    item_en: str
    quantity: int
    province: str
    city: str
    available_on: date
    generated: bool = Field(description="made up for a demonstration")
