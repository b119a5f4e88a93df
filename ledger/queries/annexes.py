"""Reads of clauses, their confirmations, attached files and files asked for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables.annexes import (
    AttachmentRow,
    ClauseConfirmationRow,
    ClauseRow,
    UploadDemandRow,
)


def clauses_of(session: Session, agreement_id: str) -> Sequence[ClauseRow]:
    """Clauses that are pointed out, in their order (at most `signing.annexes.CLAUSES_MAX`)."""
    return session.scalars(
        select(ClauseRow).where(ClauseRow.agreement_id == agreement_id).order_by(ClauseRow.number)
    ).all()


def confirmations_of(
    session: Session, signers: Sequence[str]
) -> dict[str, dict[int, ClauseConfirmationRow]]:
    """Place -> clause -> its confirmation."""
    found: dict[str, dict[int, ClauseConfirmationRow]] = {one: {} for one in signers}
    for row in session.scalars(
        select(ClauseConfirmationRow).where(ClauseConfirmationRow.signer_id.in_(signers))
    ):
        found[row.signer_id][row.number] = row
    return found


def demands_of(session: Session, agreement_id: str) -> Sequence[UploadDemandRow]:
    """Files that signers are asked for (at most `signing.annexes.ATTACHMENTS_MAX`)."""
    return session.scalars(
        select(UploadDemandRow)
        .where(UploadDemandRow.agreement_id == agreement_id)
        .order_by(UploadDemandRow.number)
    ).all()


def attachments_of(
    session: Session, agreement_id: str, *, replaced: bool = False
) -> Sequence[AttachmentRow]:
    """Files that belong to an agreement, oldest first; with those that were replaced on demand."""
    query = select(AttachmentRow).where(AttachmentRow.agreement_id == agreement_id)
    if not replaced:
        query = query.where(AttachmentRow.replaced_at.is_(None))
    return session.scalars(query.order_by(AttachmentRow.created_at, AttachmentRow.id)).all()


def waiting_files(session: Session, organisation_id: str) -> Sequence[AttachmentRow]:
    """Files of an organisation that no agreement names yet."""
    return session.scalars(
        select(AttachmentRow).where(
            AttachmentRow.organisation_id == organisation_id, AttachmentRow.agreement_id.is_(None)
        )
    ).all()
