"""Schemas of seals, duties and uses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Id, Input, Output, ShortText

KINDS = Literal["organisation", "contract", "legal_representative"]
SHAPES = Literal["", "round", "oval", "square"]


class SealIn(Input):
    """A seal to be made; the caller manages it, the auditor approves it."""

    id: Id
    kind: KINDS
    shape: SHAPES = ""
    name: ShortText = Field(
        description="the organisation's registered name; of a name seal a person's"
    )
    number: Annotated[ShortText, Field(max_length=20)] = ""
    width_mm: Annotated[int, Field(ge=1, le=100)] | None = None
    auditor_id: Id
    valid_days: Annotated[int, Field(ge=1, le=1830)] = 365


class SealChangeIn(Input):
    """What happens to a seal."""

    act: Literal["approve", "enable", "suspend", "destroy"]
    reason: Annotated[str, Field(max_length=400)] = ""


class DutyIn(Input):
    """A duty for one person; nobody holds two for one seal."""

    person_id: Id
    duty: Literal["manage", "use", "audit"]


class DutyEndIn(Input):
    """Whose duty ends."""

    person_id: Id


class SealScopeIn(Input):
    """Whose authorisation is to cover this kind of seal; `id` is that of the new authorisation."""

    id: Id
    person_id: Id


class DutyOut(Output):
    """Who is charged with what."""

    person_id: str
    duty: str
    granted_at: datetime


class SealOut(Output):
    """A seal; its picture is at `/api/v1/seals/{id}/picture`."""

    id: str
    organisation_id: str
    kind: str
    name: str
    source: str = Field(description="drawn by this system, or uploaded as a picture")
    width_mm: int
    height_mm: int
    state: str
    valid_from: datetime
    valid_to: datetime
    made_by: str
    approved_by: str | None
    duties: list[DutyOut]
    created_at: datetime
    changed_at: datetime


class SealUseOut(Output):
    """One use: on which file, by whom, under which authorisation and certificate."""

    seal_id: str
    agreement_id: str
    signer_id: str
    person_id: str
    authorisation_id: str
    certificate_id: str
    base_sha256: str
    revision_sha256: str
    edge: bool
    used_at: datetime
