"""What a signer or the initiator does beside signing: open, read, decline, withdraw; and expiry.

Every step is a row change and an entry in the same transaction; a step done twice is recorded once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import OPERATOR, Caller, require_organisation
from api.flows.agreements_rows import agreement_for, record_step, signer_for, state_of
from api.ports import Ports
from ledger.core.errors import ConflictError, InputError
from ledger.core.units import utc_text
from ledger.queries import agreements as queries
from ledger.tables.agreements import AgreementRow, SignerRow
from signing import agreement as rules

READ_SECONDS_MAX: Final = 86_400
_OPEN_STATES: Final = (rules.State.PUBLISHED.value, rules.State.SIGNING.value)


def open_document(
    session: Session, ports: Ports, caller: Caller, signer_id: str, *, at: datetime
) -> SignerRow:
    """The signer opens the document: it has reached the designated system and a person sees it."""
    row, signer = signer_for(session, caller, signer_id)
    if signer.opened_at is None:
        signer.opened_at = at
        record_step(
            session,
            ports,
            caller,
            row,
            "document.opened",
            {"signer": signer.id, "by": signer.person_id, "sha256": row.document_sha256},
            at=at,
        )
    return signer


def read_document(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    pages: int,
    seconds: int,
    at: datetime,
) -> SignerRow:
    """The signer has read all pages; `seconds` is how long the pages were open, as the client saw it.

    Raises:
        InputError: `agreement.not_all_pages`, `agreement.read_seconds`.
        ConflictError: `agreement.read_too_fast`: the sender demanded a longer time.
    """
    row, signer = signer_for(session, caller, signer_id)
    if signer.read_at is not None:
        return signer
    if pages != row.pages:
        raise InputError(
            f"all {row.pages} pages are read before signing",
            code="agreement.not_all_pages",
            pages=row.pages,
        )
    if not 0 <= seconds <= READ_SECONDS_MAX:
        raise InputError("seconds of reading within one day", code="agreement.read_seconds")
    open_document(session, ports, caller, signer_id, at=at)
    opened = signer.opened_at or at
    if at - opened < timedelta(seconds=row.read_seconds_min):
        raise ConflictError(
            f"this document is to be open for {row.read_seconds_min} seconds before it counts as read",
            code="agreement.read_too_fast",
            seconds=row.read_seconds_min,
        )
    signer.read_at = at
    record_step(
        session,
        ports,
        caller,
        row,
        "document.read",
        {
            "signer": signer.id,
            "by": signer.person_id,
            "sha256": row.document_sha256,
            "pages": pages,
            "seconds": seconds,
        },
        at=at,
    )
    return signer


def decline(
    session: Session, ports: Ports, caller: Caller, signer_id: str, *, reason: str, at: datetime
) -> AgreementRow:
    """A signer refuses, with a reason. Cannot be undone: a new agreement is made instead.

    Where the stage can be done by others, only this signer steps aside.

    Raises:
        ConflictError: `agreement.*`.  InputError: `agreement.reason`.
    """
    row, signer = signer_for(session, caller, signer_id)
    step = rules.decline(
        state_of(session, row),
        person=signer.person_id,
        field=signer.field,
        reason=reason,
        at=at,
    )
    if step.agreement.state in rules.FINAL_STATES:
        return _close(session, ports, caller, row, step, reason=reason, by=signer.person_id, at=at)
    signer.refused_at = at
    record_step(
        session,
        ports,
        caller,
        row,
        rules.EVENT_REFUSED,
        {"signer": signer.id, "by": signer.person_id, "reason": reason.strip()},
        at=at,
    )
    return row


def withdraw(
    session: Session, ports: Ports, caller: Caller, agreement_id: str, *, reason: str, at: datetime
) -> AgreementRow:
    """The initiating organisation takes it back before completion. Cannot be undone.

    Raises:
        ForbiddenError: `agreement.not_initiator`.  ConflictError: `agreement.closed`.
    """
    queries.lock_agreement(session, agreement_id)
    row = agreement_for(session, caller, agreement_id)
    party = require_organisation(caller)
    step = rules.withdraw(state_of(session, row), party=party, reason=reason, at=at)
    return _close(session, ports, caller, row, step, reason=reason, by=party, at=at)


def expire_due(session: Session, ports: Ports, *, at: datetime, limit: int = 50) -> int:
    """Close agreements whose time is over; for the worker. Returns how many."""
    rows = queries.due_agreements(session, at=at, limit=limit)
    for found in rows:
        row = queries.lock_agreement(session, found.id)
        if row is None or row.state not in _OPEN_STATES:
            continue
        step = rules.expire(state_of(session, row), at=at)
        row.state = step.agreement.state.value
        row.ended_at = step.agreement.ended_at
        for event in step.events:
            record_step(
                session,
                ports,
                OPERATOR,
                row,
                event,
                {"expires_at": utc_text(row.expires_at)},
                at=at,
            )
    return len(rows)


def _close(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    step: rules.Step,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> AgreementRow:
    row.state = step.agreement.state.value
    row.ended_at = step.agreement.ended_at
    row.ended_reason = reason.strip()[: rules.REASON_CHARS_MAX]
    for event in step.events:
        record_step(
            session, ports, caller, row, event, {"by": by, "reason": row.ended_reason}, at=at
        )
    return row
