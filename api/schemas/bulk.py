"""Shapes of bulk sending."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from api.schemas.annexes import ClauseIn
from api.schemas.base import Id, Input, Output, ShortText
from signing.annexes import ATTACHMENTS_MAX, CLAUSES_MAX


class BulkIn(Input):
    """What is the same in every row of the file."""

    id: Id = Field(description="blk_…; keep it when the same file is sent again")
    template: Literal["donation", "manufacturing"]
    own_party: Literal["party_a", "party_b"] = Field(description="your side of the template")
    title: ShortText = Field(description="for rows without a title of their own")
    matter: Literal["donation", "manufacturing", "other"]
    expires_at: AwareDatetime
    data: dict[str, Any] = Field(
        default_factory=dict, description="fields of the template that are the same in every row"
    )
    no_amount: bool = Field(
        default=False,
        description="rows without `amount_minor` are about no amount of money, as the sender states",
    )
    point_out: bool = Field(
        default=False, description="point out the clauses that the template carries by default"
    )
    clauses: Annotated[list[ClauseIn], Field(max_length=CLAUSES_MAX)] = Field(
        default_factory=list,
        description="more clauses to point out, as they stand in every row's text",
    )
    ask: Annotated[list[ShortText], Field(max_length=ATTACHMENTS_MAX)] = Field(
        default_factory=list, description="files that the other side is asked for before it signs"
    )
    read_seconds_min: int = Field(default=0, ge=0, le=3_600)
    place_of_formation: ShortText | None = None


class BulkRowOut(Output):
    """What became of one row."""

    number: int
    outcome: str = Field(description="sent, sent_before, would_send or refused")
    agreement_id: str
    code: str = Field(description="why it was refused")
    field: str
    message: str


class BulkOut(Output):
    """The report of the rows asked for."""

    rows: int = Field(description="in the whole file")
    report: list[BulkRowOut]
    next: int | None = Field(description="the first row that is left; give it as `first`")
