"""Shapes of batches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Id, Input, Output
from signing.batch_intent import ITEMS_MAX


class BatchIn(Input):
    """Places to sign, or to approve, in one go; `id` is made by the caller."""

    id: Id = Field(description="bat_…")
    act: Literal["sign", "approve"] = "sign"
    signers: Annotated[list[Id], Field(min_length=1, max_length=ITEMS_MAX)] | None = Field(
        default=None,
        description="the caller's own places (sig_…), in the order in which they are listed; without it "
        "every one that waits, those that end first at the front",
    )
    seal_id: Id | None = Field(
        default=None, description="of approvals: the only seal they allow; without it any"
    )
    seals: dict[Id, Id] = Field(
        default_factory=dict, max_length=ITEMS_MAX, description="place -> another seal for it"
    )
    leave_out: bool = Field(
        default=False,
        description="leave out what cannot be in the batch (`left_out` says why) instead of refusing all",
    )


class WaitingOut(Output):
    """One place that waits for the caller to sign or to approve."""

    signer_id: str
    agreement_id: str
    act: str = Field(description="sign or approve")
    title: str
    matter: str
    owner_name: str
    amount_minor: int | None = Field(description="fen")
    pages: int
    document_sha256: str
    read_at: datetime | None
    turn: bool = Field(description="false where somebody else acts first")
    alone: str = Field(
        description="what is done on its own page before it can be in a batch: "
        "`clause.unconfirmed`, `upload.missing`, `form.unfilled`, `approval.other_values`; else empty"
    )
    expires_at: datetime


class AgainOut(Output):
    """A place whose approval is to be given again: form fields say something else by now."""

    signer_id: str
    agreement_id: str
    title: str


class WaitingList(Output):
    """Newest first."""

    items: list[WaitingOut]
    again: list[AgainOut] = Field(
        description="approvals to be given again, for values have changed since"
    )
    sign: int = Field(description="how many wait to be signed, on all pages")
    approve: int = Field(description="how many wait to be approved, on all pages")
    next: str | None = Field(description="give it as `before` for the next page")


class BatchValueOut(Output):
    """A value of a form field, as an approval in a batch lists it."""

    name: str
    field: str = Field(description="place of its filler")
    kind: str = Field(description="as of the agreement's `fields`")
    label: str
    value: str


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
    amount: str = Field(description="fen as digits, none or unstated")
    field: str
    seal_id: str | None = Field(
        description="of an approval the seal it allows; else the one that was approved for this place"
    )
    seal_name: str | None
    seal_kind: str | None
    seal_picture_sha256: str | None
    values: list[BatchValueOut] = Field(
        description="of an approval: what others filled and what its own side's signers have saved"
    )
    annex: dict[str, Any] | None = Field(
        description="of an approval, once its statement was asked for: what the item names by `annex_sha256`"
    )
    state: str = Field(
        description="unread, ready, affirmed, awaiting, approved, signed, or the code of what prevents it"
    )


class LeftOutOut(Output):
    """A document that could not be in the batch."""

    signer_id: str
    agreement_id: str
    title: str
    code: str = Field(description="why")


class BatchOut(Output):
    """A batch; `statement`, `message_base64` and `opened` once the statement was asked for."""

    id: str
    act: str = Field(description="sign or approve")
    created_at: datetime
    affirmed_at: datetime | None
    items: list[BatchItemOut]
    left_out: list[LeftOutOut] = Field(description="what is not in it, and why")
    statement: dict[str, Any] | None = None
    message_base64: str | None = Field(default=None, description="sign these bytes once")
    opened: list[dict[str, Any]] = Field(
        default_factory=list, description="what each listed digest is of, in the order of the list"
    )
