"""Shapes of the register of related parties."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.schemas.base import Id, Input, Output, ShortText


class RelationIn(Input):
    """A relation to declare."""

    id: Id = Field(description="rel_…")
    first_id: Id = Field(description="my organisation; an operator names any")
    second_id: Id = Field(description="the other organisation")
    kind: Annotated[str, StringConstraints(max_length=24)] = Field(
        description="what the second is to the first: parent, subsidiary, same_control, "
        "same_representative, shareholder, manager, family, other"
    )
    evidence: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = Field(
        description="where it can be read: a register and its number, a contract, a report"
    )
    valid_from: date
    valid_to: date | None = Field(default=None, description="the last day; null while it lasts")


class DecisionIn(Input):
    """What an operator decides."""

    outcome: Literal["confirmed", "refused", "ended"]
    reason: ShortText
    valid_to: date | None = Field(default=None, description="of `ended`: the last day it counts")


class RelationOut(Output):
    """A relation in the register."""

    id: str
    first_id: str
    first: str
    second_id: str
    second: str
    kind: str
    evidence: str
    evidence_sha256: str | None
    valid_from: date
    valid_to: date | None
    state: str
    counts: bool = Field(description="whether it keeps gifts apart today")
    end_reason: str | None = Field(description="why a side asks to end it; null where nobody does")
    reason: str | None = Field(description="of the newest decision")
    created_at: datetime
    decided_at: datetime | None
