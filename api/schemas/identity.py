"""Shapes of real-name checks and their review."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas.base import Id, Input, Output, ShortText


class CheckIn(Input):
    """A check to ask for. Name and number come from the party's record and are not sent."""

    id: Id = Field(description="chk_…")
    party_id: Id = Field(description="one's own person, or the organisation one administers")
    kind: ShortText
    factors: dict[str, ShortText] = Field(
        default_factory=dict, max_length=4, description="what the kind needs beyond name and number"
    )
    consent_id: Id = Field(description="id of the separate consent to this check")


class AnswerIn(Input):
    """The code, or the amount in yuan."""

    answer: str = Field(max_length=16)


class DecisionIn(Input):
    """What an operator decides about a review."""

    status: Literal["match", "mismatch", "no_record"]
    reviewer: ShortText = Field(description="name of the natural person who decides")
    reason: str = Field(max_length=500)


class DocumentOut(Output):
    """One uploaded document; its content is gone after the decision."""

    id: str
    media_type: str
    size_bytes: int
    sha256: str
    deleted_at: datetime | None


class IdentityCheckOut(Output):
    """One check. `mock_answer` is set only where nothing is really sent, and says so by its name."""

    id: str
    party_id: str
    kind: str
    status: str
    provider: str
    label_en: str
    label_zh: str
    mock: bool
    checked_at: datetime | None
    target_masked: str | None
    tries_left: int | None
    expires_at: datetime | None
    mock_answer: str | None
    documents: list[DocumentOut]


class IdentityPartyOut(Output):
    """A party's real-name level, computed now, with what it rests on and what is missing."""

    party_id: str
    kind: str
    level: int
    mock: bool
    reasons: list[str]
    labels: list[str]
    until: datetime | None
    offered: list[str]
    checks: list[IdentityCheckOut]


class ReviewOut(Output):
    """A review that waits for the operator."""

    check_id: str
    party_id: str
    kind: str
    name: str
    number_masked: str | None
    created_at: datetime
    documents: list[DocumentOut]


class TransferOut(Output):
    """A transfer that the operator has to make."""

    check_id: str
    party_id: str
    name: str
    account: str
    amount_fen: int
    created_at: datetime


class QueueOut(Output):
    """What waits for the operator."""

    reviews: list[ReviewOut]
    transfers: list[TransferOut]


class CallbackOut(Output):
    """That an answer is recorded."""

    request: str
    status: str


class LetterIn(Input):
    """A letter of authority to draw up; the legal representative signs it as an agreement."""

    id: Id = Field(description="aut_…")
    agreement_id: Id = Field(description="agr_…, the letter itself")
    person_id: Id = Field(description="the handler")
    matters: list[ShortText] = Field(min_length=1, max_length=20)
    powers: list[ShortText] = Field(min_length=1, max_length=20)
    amount_max_fen: int | None = Field(default=None, ge=0, le=10**15)
    seals: list[ShortText] = Field(default_factory=list, max_length=20)
    valid_from: datetime
    valid_to: datetime


class LetterOut(Output):
    """A letter of authority. It counts once `state` is `formed`, until it is revoked or over."""

    id: str
    agreement_id: str
    state: str
    person_id: str
    matters: list[str]
    powers: list[str]
    amount_max_fen: int | None
    seals: list[str]
    valid_from: datetime
    valid_to: datetime
    revoked_at: datetime | None


class RatificationIn(Input):
    """The handler asks their organisation."""

    id: Id = Field(description="rat_…")
    reason: str = Field(max_length=500)


class RatificationDecisionIn(Input):
    """The organisation decides, for good."""

    ratify: bool
    reason: str = Field(max_length=500)


class RatificationOut(Output):
    """An act beyond an authority, and what became of it."""

    id: str
    agreement_id: str
    signer_id: str
    organisation_id: str
    lack: str
    reason: str
    state: str
    asked_by: str
    asked_at: datetime
    due_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str | None


class DecisionStatementOut(Output):
    """The exact sentence that decides, and the bytes that the decider's device signs."""

    id: str
    statement: dict[str, Any]
    statement_sha256: str
    message_base64: str = Field(description="sign these bytes (ECDSA P-256, SHA-256, DER)")


class PolicyRowOut(Output):
    """One line of the table of levels."""

    matter: str
    amount_from: int
    person: int
    organisation: int
    authority: str


class PolicyOut(Output):
    """`fuqi/level-policy/v2` (or `/v1`) with its digest, as it stands in the evidence of every signature."""

    v: str
    edition: str
    sha256: str
    unstated_as: int | None = Field(
        description="fen; what an agreement counts as that states no amount; null in a table of version 1"
    )
    rows: list[PolicyRowOut]
