"""Shapes of what goes with a document: clauses pointed out, files attached, files asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Input, Output
from api.schemas.placement import FieldIn
from signing.annexes import (
    CLAUSE_CHARS_MAX,
    CLAUSE_CHARS_MIN,
    EXPLANATION_CHARS_MAX,
    NAME_CHARS_MAX,
)
from signing.field_kinds import LINES_CHARS_MAX, Kind
from signing.form_fill import FIELDS_MAX


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


class FillableIn(Input):
    """A text field of the document that one signer may fill before signing."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="of a field in the PDF (`POST /api/v1/form-fields`), or of the new one at `place`"
    )
    signer: int = Field(ge=1, le=50, description="which of `signers`, from 1")
    label: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
    required: bool = Field(default=True, description="whether they cannot sign without it")
    place: FieldIn | None = Field(
        default=None, description="where a new field goes; without it the PDF holds the field"
    )


class FillIn(Input):
    """What a signer writes into their fields; an empty text takes a value back."""

    values: dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(max_length=2 * LINES_CHARS_MAX)],
    ] = Field(
        min_length=1,
        max_length=FIELDS_MAX,
        description='name of the field -> its text; "On" or "Off" for a check box',
    )


class FormFieldOut(Output):
    """A field of a PDF's form, as the file has it; `fault` says why it cannot be left to a signer."""

    name: str
    page: int
    x: int
    y: int
    width: int
    height: int
    value: str
    kind: Kind = Field(
        description="text: one line; lines: several; check: a box; choice: an option"
    )
    options: list[str] = Field(description="of a choice, as they are shown")
    fault: str = Field(description='"" where it can be; a stable word otherwise')


class FieldOut(Output):
    """A field that a signer may fill."""

    number: int
    name: str
    field: str = Field(description="of its filler's place")
    label: str
    required: bool
    page: int
    kind: Kind = Field(
        description="text: one line; lines: several; check: a box; choice: an option"
    )
    options: list[str] = Field(description="of a choice: one of these; else empty")
    preset: str = Field(description="what the author left in it; of a check box On or Off")
    value: str = Field(description="filled, or kept for the caller's own signature; else empty")
    filled_at: datetime | None = Field(description="when its filler signed for it")


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
