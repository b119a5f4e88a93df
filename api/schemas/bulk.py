"""Shapes of bulk sending."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from api.schemas.base import Id, Input, Output, ShortText


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
