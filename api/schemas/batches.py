"""Shapes of batches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from api.schemas.base import Id, Input, Output
from signing.batch_intent import ITEMS_MAX


class BatchIn(Input):
    """Places to sign in one go; `id` is made by the caller."""

    id: Id = Field(description="bat_…")
    signers: Annotated[list[Id], Field(min_length=1, max_length=ITEMS_MAX)] = Field(
        description="the caller's own places (sig_…), in the order in which they are listed"
    )


class WaitingOut(Output):
    """One place that waits for the caller to sign or to approve."""

    signer_id: str
    agreement_id: str
    title: str
    matter: str
    owner_name: str
    amount_minor: int | None = Field(description="fen")
    pages: int
    document_sha256: str
    read_at: datetime | None
    turn: bool = Field(description="false where somebody else acts first")
    alone: str = Field(
        description="why it is done on its own page first and cannot be in a batch: "
        "`batch.not_to_sign` for an approval, `clause.unconfirmed`, `upload.missing`; else empty"
    )
    expires_at: datetime


class WaitingList(Output):
    """Newest first."""

    items: list[WaitingOut]
    next: str | None = Field(description="give it as `before` for the next page")


class BatchItemOut(Output):
    """One document of a batch."""

    number: int
    signer_id: str
    agreement_id: str
    title: str
    owner_name: str
    amount_minor: int | None
    pages: int
    document_sha256: str
    field: str
    state: str = Field(
        description="unread, ready, affirmed, awaiting, signed, or the code of what prevents it"
    )


class BatchOut(Output):
    """A batch; `statement`, `message_base64` and `opened` once the statement was asked for."""

    id: str
    created_at: datetime
    affirmed_at: datetime | None
    items: list[BatchItemOut]
    statement: dict[str, Any] | None = None
    message_base64: str | None = Field(default=None, description="sign these bytes once")
    opened: list[dict[str, Any]] = Field(
        default_factory=list, description="what each listed digest is of, in the order of the list"
    )
