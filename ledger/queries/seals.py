"""Reads of seals, duties, uses and uploads being placed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables.seals import SealDutyRow, SealRow, SealUseRow, UploadDraftRow

PAGE_MAX = 200


def seals_of(session: Session, organisation_id: str) -> Sequence[SealRow]:
    """Seals of an organisation, newest first; at most 200."""
    return session.scalars(
        select(SealRow)
        .where(SealRow.organisation_id == organisation_id)
        .order_by(SealRow.created_at.desc(), SealRow.id)
        .limit(PAGE_MAX)
    ).all()


def usable_seals(
    session: Session, *, organisation_id: str, person_id: str, at: datetime
) -> Sequence[SealRow]:
    """Enabled seals of the organisation that this person is charged to use, by name."""
    return session.scalars(
        select(SealRow)
        .join(SealDutyRow, SealDutyRow.seal_id == SealRow.id)
        .where(
            SealRow.organisation_id == organisation_id,
            SealRow.state == "enabled",
            SealRow.valid_from <= at,
            SealRow.valid_to > at,
            SealDutyRow.person_id == person_id,
            SealDutyRow.duty == "use",
        )
        .order_by(SealRow.name, SealRow.id)
        .limit(PAGE_MAX)
    ).all()


def seals_in_force(session: Session, *, organisation_id: str, at: datetime) -> Sequence[SealRow]:
    """Enabled seals of the organisation, whoever may use them, by name; at most 200."""
    return session.scalars(
        select(SealRow)
        .where(
            SealRow.organisation_id == organisation_id,
            SealRow.state == "enabled",
            SealRow.valid_from <= at,
            SealRow.valid_to > at,
        )
        .order_by(SealRow.name, SealRow.id)
        .limit(PAGE_MAX)
    ).all()


def lock_seal(session: Session, seal_id: str) -> SealRow | None:
    """The seal as it stands now, locked until the end of the transaction."""
    return session.scalar(
        select(SealRow)
        .where(SealRow.id == seal_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def duties_of(session: Session, seal_id: str) -> Sequence[SealDutyRow]:
    """Who is charged with what for this seal, in the order of granting."""
    return session.scalars(
        select(SealDutyRow)
        .where(SealDutyRow.seal_id == seal_id)
        .order_by(SealDutyRow.granted_at, SealDutyRow.person_id)
        .limit(PAGE_MAX)
    ).all()


def uses_of(session: Session, seal_id: str, *, limit: int, offset: int = 0) -> Sequence[SealUseRow]:
    """The usage ledger of a seal, newest first."""
    return session.scalars(
        select(SealUseRow)
        .where(SealUseRow.seal_id == seal_id)
        .order_by(SealUseRow.used_at.desc(), SealUseRow.signer_id)
        .limit(min(limit, PAGE_MAX))
        .offset(offset)
    ).all()


def draft_of(session: Session, draft_id: str, *, at: datetime) -> UploadDraftRow | None:
    """An upload that waits for its fields to be placed and is not too old."""
    row = session.get(UploadDraftRow, draft_id)
    return row if row is not None and row.expires_at > at else None


def expired_drafts(session: Session, *, at: datetime, limit: int) -> Sequence[UploadDraftRow]:
    """Uploads past their day, the oldest first; rows that another process is deleting are left to it."""
    return session.scalars(
        select(UploadDraftRow)
        .where(UploadDraftRow.expires_at <= at)
        .order_by(UploadDraftRow.expires_at, UploadDraftRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
