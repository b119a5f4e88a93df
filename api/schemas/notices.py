"""Schemas of lost keys and notices."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from api.schemas.base import Input, Output


class KeyReasonIn(Input):
    """Why a key ends."""

    reason: Literal["key_compromise", "superseded", "cessation_of_operation"] = "key_compromise"


class LostKeyOut(Output):
    """What blocking a key did.

    `at_authority` is false while the authority has not answered yet; the key is blocked here all the same.
    """

    certificate_id: str
    serial: str
    revoked_at: datetime
    at_authority: bool
    agreements: int
    resumed: int


class NoticeOut(Output):
    """One notice: `subject` is an agreement, lot or recall, `cause` the record that brought it about."""

    id: str
    kind: str
    subject: str
    cause: str
    created_at: datetime
    seen_at: datetime | None
