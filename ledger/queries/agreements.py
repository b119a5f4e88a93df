"""Reads of agreements, their signers, revisions and prepared signatures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables.agreements import (
    AgreementRow,
    ArchiveRow,
    BundleRow,
    IntentRow,
    PreparedSignatureRow,
    RevisionRow,
    SignerRow,
)

PAGE_MAX = 100


def lock_agreement(session: Session, agreement_id: str) -> AgreementRow | None:
    """The agreement as it stands now, locked until the end of the transaction.

    Two steps of one agreement take turns, so that the second is decided on what the first has done.
    SQLite has one writer anyway and ignores the lock.
    """
    return session.scalar(
        select(AgreementRow)
        .where(AgreementRow.id == agreement_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def signers_of(session: Session, agreement_id: str) -> Sequence[SignerRow]:
    """Who has a place now, in the order of the list; places that were handed on are left out."""
    return session.scalars(
        select(SignerRow)
        .where(SignerRow.agreement_id == agreement_id, SignerRow.forwarded_at.is_(None))
        .order_by(SignerRow.stage, SignerRow.position)
    ).all()


def all_places_of(session: Session, agreement_id: str) -> Sequence[SignerRow]:
    """Every place there ever was, those that were handed on included."""
    return session.scalars(
        select(SignerRow).where(SignerRow.agreement_id == agreement_id).order_by(SignerRow.position)
    ).all()


def revisions_of(session: Session, agreement_id: str) -> Sequence[RevisionRow]:
    """Revisions, oldest first."""
    return session.scalars(
        select(RevisionRow)
        .where(RevisionRow.agreement_id == agreement_id)
        .order_by(RevisionRow.number)
    ).all()


def agreements_page(
    session: Session, *, organisation_id: str | None, before: str | None = None, limit: int = 20
) -> Sequence[AgreementRow]:
    """Agreements an organisation takes part in (None: all), newest first, older than id `before`."""
    query = select(AgreementRow)
    if organisation_id is not None:
        mine = select(SignerRow.agreement_id).where(SignerRow.organisation_id == organisation_id)
        query = query.where(
            (AgreementRow.owner_organisation_id == organisation_id) | AgreementRow.id.in_(mine)
        )
    if before is not None:
        query = query.where(AgreementRow.id < before)
    return session.scalars(query.order_by(AgreementRow.id.desc()).limit(min(limit, PAGE_MAX))).all()


def open_preparation(session: Session, signer_id: str) -> Sequence[PreparedSignatureRow]:
    """Preparations of a signer that are not completed, newest first."""
    return session.scalars(
        select(PreparedSignatureRow)
        .where(
            PreparedSignatureRow.signer_id == signer_id, PreparedSignatureRow.completed_at.is_(None)
        )
        .order_by(PreparedSignatureRow.created_at.desc())
        .limit(10)
    ).all()


def referring_to(session: Session, agreement_id: str) -> Sequence[AgreementRow]:
    """Agreements that release, amend, renew or revise this one, oldest first."""
    return session.scalars(
        select(AgreementRow)
        .where(AgreementRow.related_id == agreement_id)
        .order_by(AgreementRow.id)
        .limit(PAGE_MAX)
    ).all()


def bundles_of(session: Session, subject: str) -> Sequence[BundleRow]:
    """Exported bundles of a subject, newest first."""
    return session.scalars(
        select(BundleRow)
        .where(BundleRow.subject == subject)
        .order_by(BundleRow.created_at.desc())
        .limit(PAGE_MAX)
    ).all()


def intents_of(session: Session, signer_id: str) -> Sequence[IntentRow]:
    """The signer's proven statements, oldest first."""
    return session.scalars(
        select(IntentRow)
        .where(IntentRow.signer_id == signer_id, IntentRow.used_at.is_not(None))
        .order_by(IntentRow.used_at, IntentRow.id)
        .limit(PAGE_MAX)
    ).all()


def due_agreements(session: Session, *, at: datetime, limit: int) -> Sequence[AgreementRow]:
    """Open agreements whose time is over."""
    return session.scalars(
        select(AgreementRow)
        .where(AgreementRow.state.in_(("published", "signing")), AgreementRow.expires_at <= at)
        .order_by(AgreementRow.expires_at, AgreementRow.id)
        .limit(limit)
    ).all()


def archives_of(session: Session, agreement_id: str) -> Sequence[ArchiveRow]:
    """Archived files of an agreement, oldest first."""
    return session.scalars(
        select(ArchiveRow)
        .where(ArchiveRow.agreement_id == agreement_id)
        .order_by(ArchiveRow.number)
        .limit(PAGE_MAX)
    ).all()


def due_archives(
    session: Session, *, at: datetime, without: Collection[str] = (), limit: int
) -> Sequence[str]:
    """Ids of formed agreements that are not archived yet, or whose archive is to be renewed by now.

    Args:
        without: agreements to leave out, e.g. because they have just failed.
    """
    newest = (ArchiveRow.agreement_id == AgreementRow.id) & ArchiveRow.newest.is_(True)
    return session.scalars(
        select(AgreementRow.id)
        .outerjoin(ArchiveRow, newest)
        .where(
            AgreementRow.formed_at.is_not(None),
            (ArchiveRow.due_at.is_(None)) | (ArchiveRow.due_at <= at),
            AgreementRow.id.not_in(list(without)),
        )
        .order_by(AgreementRow.formed_at, AgreementRow.id)
        .limit(limit)
    ).all()
