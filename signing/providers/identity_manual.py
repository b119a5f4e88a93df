"""Manual review: a named operator looks at uploaded documents and decides; nobody else is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import InputError
from signing.identity_kinds import KINDS, Answered
from signing.verification import (
    Status,
    VerificationRequest,
    VerificationResult,
    answered,
    require_request,
)

DECISIONS: Final = (Status.MATCH, Status.MISMATCH, Status.NO_RECORD)
"""The documents show it; they show something else; they do not show it either way."""
REVIEWER_CHARS_MAX: Final = 64
REASON_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What an operator decided.

    Attributes:
        status: one of `DECISIONS`.
        account: who was logged in.
        reviewer: the natural person's name, as they give it.
        reason: what the documents show.
        documents: SHA-256 of every document, hex, in the order of upload.

    Raises:
        InputError: `identity.decision`, `identity.reviewer`, `identity.reason`, `identity.documents`.
    """

    status: Status
    account: str
    reviewer: str
    reason: str
    documents: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.status not in DECISIONS:
            raise InputError(
                "a review ends with match, mismatch or no_record", code="identity.decision"
            )
        if not 0 < len(self.reviewer.strip()) <= REVIEWER_CHARS_MAX:
            raise InputError("say who decides, by name", code="identity.reviewer")
        if not 0 < len(self.reason.strip()) <= REASON_CHARS_MAX:
            raise InputError("say what the documents show", code="identity.reason")
        if not self.documents:
            raise InputError("there is no document to look at", code="identity.documents")


class ManualReviewProvider:
    """Answers `pending` to a review, and `unsupported` to everything that needs a register."""

    @property
    def name(self) -> str:
        """`manual`."""
        return "manual"

    @property
    def label_en(self) -> str:
        """That a person looked."""
        return "documents reviewed by a named operator; no register was asked"

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""
        return "由具名操作员人工审核材料；未向任何登记机关查询"

    def verify(self, request: VerificationRequest) -> VerificationResult:
        """Take the question; errors as in `VerificationProvider.verify`."""
        rule = require_request(request)
        status = Status.PENDING if rule.answered is Answered.REVIEW else Status.UNSUPPORTED
        return answered(self, request, status, at=request.at, evidence={"documents": []})

    def decide(
        self, request: VerificationRequest, decision: Decision, *, at: datetime
    ) -> VerificationResult:
        """The result of a review.

        Raises:
            InputError: `identity.kind`: this kind is not reviewed.
        """
        rule = KINDS.get(request.kind)
        if rule is None or rule.answered is not Answered.REVIEW:
            raise InputError("this kind is not reviewed", code="identity.kind")
        evidence: dict[str, Json] = {"documents": list(decision.documents)}
        return answered(self, request, decision.status, at=at, evidence=evidence)
