"""Manual review: the party uploads documents, a named operator looks and decides with a reason.

Documents are sealed under the party's data key. After the decision only their digests stay.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role
from api.files import media_type_of
from api.flows.verification_levels import (
    REVIEWS,
    NewCheck,
    add_check,
    known_check,
    question,
    request_of,
    require_own,
    settle,
)
from api.ports import Ports
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import new_id, require_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, record
from ledger.queries import identity as queries
from ledger.tables.parties import IdentityCheckRow, IdentityDocumentRow, PartyRow
from signing.identity import KINDS, Answered, Status
from signing.providers.identity_manual import Decision

REVIEW_KINDS: Final = tuple(
    kind for kind, rule in KINDS.items() if rule.answered is Answered.REVIEW
)
DOCUMENT_BYTES_MAX: Final = 5 * 1024 * 1024
"""A photograph of an identity card from a telephone, or a scanned licence."""
DOCUMENTS_MAX: Final = 6
"""Both sides of a card, a licence, a letter, and two more."""


@dataclass(frozen=True, slots=True)
class Review:
    """A review as the operator sees it."""

    check: IdentityCheckRow
    party: PartyRow
    documents: tuple[IdentityDocumentRow, ...]


def ask_review(
    session: Session, ports: Ports, caller: Caller, new: NewCheck, *, at: datetime
) -> IdentityCheckRow:
    """Open a review; it is looked at once a document is there.

    Raises:
        As `api.flows.verification_levels.ask_source`.
    """
    existing = known_check(session, ports, caller, new)
    if existing is not None:
        return existing
    if new.kind not in REVIEW_KINDS:
        raise InputError("this kind is not reviewed", code="identity.kind", field="kind")
    request = question(session, ports, caller, new, at=at, later={"documents": "uploaded"})
    return add_check(session, ports, caller, new, request, REVIEWS.verify(request), at=at)


def add_document(
    session: Session,
    ports: Ports,
    caller: Caller,
    check_id: str,
    *,
    document_id: str,
    data: bytes,
    at: datetime,
) -> IdentityDocumentRow:
    """Attach one document to a review that is not decided; the same again changes nothing.

    Raises:
        InputError: `id.malformed`, `identity.document_type`.
        LimitError: `identity.document_size`, `identity.documents_max`.
        NotFoundError: not the caller's own review.
        ConflictError: `identity.decided`, `identity.document_differs`.
    """
    require_id(document_id, prefix="idd")
    row = _pending(session, check_id, caller=caller)
    digest = sha256(data).hexdigest()
    existing = session.get(IdentityDocumentRow, document_id)
    if existing is not None:
        if (existing.check_id, existing.sha256) != (row.id, digest):
            raise ConflictError(
                "this id stands for another document", code="identity.document_differs"
            )
        return existing
    if len(data) > DOCUMENT_BYTES_MAX:
        raise LimitError(
            f"a document has at most {DOCUMENT_BYTES_MAX} bytes", code="identity.document_size"
        )
    if len(queries.documents_of(session, [row.id])) >= DOCUMENTS_MAX:
        raise LimitError(f"at most {DOCUMENTS_MAX} documents", code="identity.documents_max")
    media_type = media_type_of(data)
    if media_type is None:
        raise InputError(
            "a document is a JPEG, a PNG or a PDF", code="identity.document_type", field="file"
        )
    sealed = ports.vault.seal_value(
        session,
        {"data": base64.b64encode(data).decode("ascii")},
        subject=row.party_id,
        name=f"document/{document_id}",
        at=at,
    )
    made = IdentityDocumentRow(
        id=document_id,
        check_id=row.id,
        media_type=media_type,
        size_bytes=len(data),
        sha256=digest,
        sealed=sealed,
        created_at=at,
    )
    session.add(made)
    session.flush()
    return made


def waiting_reviews(session: Session, caller: Caller, *, limit: int) -> list[Review]:
    """Reviews that wait for a decision and have a document, the longest waiting first.

    Raises:
        ForbiddenError: `auth.role`.
    """
    require_role(caller, Role.OPERATOR)
    rows = queries.waiting_reviews(session, kinds=REVIEW_KINDS, limit=limit)
    documents: dict[str, list[IdentityDocumentRow]] = {}
    for one in queries.documents_of(session, [row.id for row in rows]):
        documents.setdefault(one.check_id, []).append(one)
    return [
        Review(row, session.get_one(PartyRow, row.party_id), tuple(documents[row.id]))
        for row in rows
        if row.id in documents
    ]


def waiting_transfers(session: Session, caller: Caller, *, limit: int) -> list[IdentityCheckRow]:
    """Transfers that the operator has to make, the longest waiting first.

    Raises:
        ForbiddenError: `auth.role`.
    """
    require_role(caller, Role.OPERATOR)
    kinds = [kind for kind, rule in KINDS.items() if rule.answered is Answered.TRANSFER]
    rows = queries.waiting_reviews(session, kinds=kinds, limit=limit)
    sent = queries.challenges_of(session, [row.id for row in rows])
    return [row for row in rows if row.id in sent and sent[row.id].sent_at is None]


def read_document(
    session: Session, ports: Ports, caller: Caller, document_id: str
) -> tuple[IdentityDocumentRow, bytes]:
    """A document of a review, for the operator who decides it.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: absent, or gone after the decision.
    """
    require_role(caller, Role.OPERATOR)
    row = session.get(IdentityDocumentRow, document_id)
    if row is None or row.sealed is None:
        raise NotFoundError("there is no such document, or it is gone after the decision")
    check = session.get_one(IdentityCheckRow, row.check_id)
    value = ports.vault.open_value(
        session, row.sealed, subject=check.party_id, name=f"document/{row.id}"
    )
    return row, base64.b64decode(str(value["data"]))


def decide(
    session: Session,
    ports: Ports,
    caller: Caller,
    check_id: str,
    *,
    status: Status,
    reviewer: str,
    reason: str,
    at: datetime,
) -> IdentityCheckRow:
    """End a review. It cannot be undone; the party may ask for another one.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: no such review.
        InputError: `identity.decision`, `identity.reviewer`, `identity.reason`, `identity.documents`.
        ConflictError: `identity.decided`.
    """
    require_role(caller, Role.OPERATOR)
    row = _pending(session, check_id, caller=None)
    documents = queries.documents_of(session, [row.id])
    decision = Decision(
        status=status,
        account=caller.account_id,
        reviewer=reviewer.strip(),
        reason=reason.strip(),
        documents=tuple(one.sha256 for one in documents),
    )
    result = REVIEWS.decide(request_of(row), decision, at=at)
    row.decided_by = caller.account_id
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="identity.reviewed",
            at=at,
            subject=row.party_id,
            actor=caller.account_id,
            body={
                "check": row.id,
                "kind": row.kind,
                "status": status.value,
                "reviewer": decision.reviewer,
                "account": decision.account,
                "reason": decision.reason,
                "documents": list(decision.documents),
                "decided_at": utc_text(at),
            },
        ),
    )
    settle(session, ports, row, result, actor=caller.account_id, at=at)
    for one in documents:
        # Personal Information Protection Law 19, 47: what the decision rested on is its digest now.
        one.sealed, one.deleted_at = None, at
    session.flush()
    return row


def _pending(session: Session, check_id: str, *, caller: Caller | None) -> IdentityCheckRow:
    row = queries.lock_check(session, check_id)
    if row is None or row.kind not in REVIEW_KINDS:
        raise NotFoundError("there is no such record")
    if caller is not None:
        require_own(session, caller, row.party_id)
    if row.status != Status.PENDING.value:
        raise ConflictError("this review is decided", code="identity.decided")
    return row
