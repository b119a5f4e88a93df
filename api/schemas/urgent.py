"""Shapes of urgent needs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.schemas.base import Id, Input, Output, ShortText
from api.schemas.supply import AllocationOut


class UrgentNeedIn(Input):
    """A need that cannot wait for the next round; it is decided in the answer."""

    id: Id = Field(description="need_…, made by the caller")
    hospital_id: Id
    item: ShortText = Field(description="as people write it; the catalogue reads it")
    specification: Annotated[str, StringConstraints(max_length=500)] = ""
    quantity: int = Field(description="pieces, above zero")
    deadline_on: date = Field(description="within the days that the urgent policy names")
    reason: ShortText = Field(description="why it cannot wait; only its commitment is published")
    remaining_days_min: int | None = Field(default=None, ge=0, le=3650)
    accepts_substitutes: bool = True


class UrgentSummaryOut(Output):
    """An urgent need in a list."""

    need_id: str
    round_id: str
    hospital: str
    item_zh: str
    item_en: str
    quantity: int
    served: int = Field(description="pieces proposed when it was decided")
    held: int = Field(description="pieces proposed or accepted now")
    accepted: int
    state: str = Field(description="filled, partly or not, when it was decided")
    accept_until: datetime
    lapsed_at: datetime | None = Field(
        description="when lines that no donor accepted were set free"
    )
    created_at: datetime


class UrgentNeedOut(UrgentSummaryOut):
    """The decision on an urgent need, with its lines, its proof and its receipt."""

    reason: str
    why_zh: str = Field(description="why it was not given more; empty where it is filled")
    why_en: str
    why: str | None
    number: int = Field(description="which urgent need of the hospital's day it is")
    limit: int = Field(description="urgent needs of one hospital on one day")
    needs: int = Field(description="open needs of its class that were weighed against it")
    lots: int
    inputs_sha256: str
    plan_sha256: str
    certificate_sha256: str
    policy_sha256: str
    urgent_policy_sha256: str
    checker: str = Field(description="verdict of the independent checker on the whole class")
    lines: list[AllocationOut]
    receipt: dict[str, Any] = Field(description="`fuqi/receipt/v1` of the entry `need.urgent`")


class UrgentPolicyOut(Output):
    """The rule of urgent needs and its digest."""

    policy: dict[str, Any] = Field(description="`fuqi/urgent-policy/v1`")
    sha256: str


class LiveClassOut(Output):
    """An item class that lives."""

    item_class: str
    day: date
    version: int
    policy_sha256: str
    changed_at: datetime
    waiting: bool = Field(description="whether changes wait to be taken in")
