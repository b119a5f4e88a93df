"""Shapes of objections against published rounds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.schemas.agreements import EntryOut
from api.schemas.base import Id, Input, Output

Words = Annotated[str, StringConstraints(max_length=1_100)]
"""The flow takes 1 000 characters after white space at the ends is gone."""


class ObjectionIn(Input):
    """What my organisation objects to."""

    id: Id = Field(description="obj_…, made by the caller")
    reason: Literal["misread", "impossible", "policy", "other"] = Field(
        description="misread: a need or offer of mine was read wrongly; impossible: a line cannot be carried "
        "out; policy: the plan breaks the published policy"
    )
    subject: Id | None = Field(
        default=None,
        description="a line, need or offer of mine in this round; null: all my lines there",
    )
    statement: Words = Field(description="what is wrong, at most 1 000 characters")


class AnswerIn(Input):
    """The operator's word on an objection."""

    outcome: Literal["dismissed", "upheld"] = Field(
        description="upheld: the lines are released, and the next round decides anew"
    )
    answer: Words = Field(description="why, at most 1 000 characters")


class ObjectionOut(Output):
    """An objection, with its entries; only its organisation and operators see it."""

    id: str
    round_id: str
    organisation_id: str
    organisation: str
    reason: str
    subject: str | None
    statement: str
    state: str = Field(description="open, withdrawn, dismissed or upheld")
    answer: str | None
    lines: int = Field(description="lines that it concerns")
    released: int | None = Field(description="lines released when it was upheld; null otherwise")
    created_at: datetime
    decided_at: datetime | None
    entries: list[EntryOut]


class RoundObjectionsOut(Output):
    """The time for objections to a round, how many there are, and my organisation's own."""

    until: datetime | None = Field(description="null: this round has no such time")
    possible: bool = Field(description="whether objections can be filed now")
    filed: int = Field(description="of all parties")
    waiting: int = Field(description="of all parties, not answered")
    own: list[ObjectionOut] = Field(description="newest first; an operator sees all")
