"""Shapes of what goes with a document: clauses pointed out, files attached, files asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Input, Output
from signing.annexes import (
    CLAUSE_CHARS_MAX,
    CLAUSE_CHARS_MIN,
    EXPLANATION_CHARS_MAX,
    NAME_CHARS_MAX,
)


class ClauseIn(Input):
    """A passage of the document to be pointed out (提示条款)."""

    kind: Literal["limits_liability", "excludes", "disputes", "price", "termination", "other"]
    text: Annotated[str, Field(min_length=CLAUSE_CHARS_MIN, max_length=2 * CLAUSE_CHARS_MAX)] = (
        Field(description="as it stands in the document; line breaks do not matter")
    )
    explanation: Annotated[str, Field(max_length=EXPLANATION_CHARS_MAX)] = Field(
        default="", description="what it means, in plain words; shown with it and kept as evidence"
    )


class DemandIn(Input):
    """A file that one signer is asked for, such as a licence."""

    signer: int = Field(ge=1, le=50, description="which of `signers`, from 1")
    label: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
    required: bool = Field(default=True, description="whether they cannot sign without it")


class ConfirmIn(Input):
    """I have read this clause."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="the clause's digest, as shown"
    )
    seconds: int = Field(ge=0, le=86_400, description="how long it was on the screen")


class ClauseOut(Output):
    """A clause that is pointed out, and where it stands."""

    number: int
    kind: str
    page: int
    text: str
    explanation: str
    sha256: str
    boxes: list[list[int]] = Field(
        description="page, left, top, right, bottom of each line, in thousandths of the page"
    )


class ConfirmationOut(Output):
    """One signer's confirmation of one clause."""

    number: int
    seconds: int
    confirmed_at: datetime


class DemandOut(Output):
    """A file that a signer is asked for."""

    number: int
    field: str = Field(description="of the signer's place")
    label: str
    required: bool
    attachment_id: str | None = Field(description="what was sent")


class AttachmentOut(Output):
    """A file that belongs to an agreement; `readable` says whether the caller may take it out now."""

    id: str
    signer_id: str | None = Field(description="who uploaded it; none for the author")
    demand: int | None
    organisation_id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    readable: bool
