"""Reads of real-name checks, what answers them, and ratifications."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.tables.parties import (
    IdentityChallengeRow,
    IdentityCheckRow,
    IdentityDocumentRow,
    RatificationRow,
)

CHECKS_MAX = 1000
"""Checks of one party that count; twenty a day at most are asked, and each ends in a few years."""
PAGE_MAX = 100


def checks_of(session: Session, party_ids: Sequence[str]) -> Sequence[IdentityCheckRow]:
    """Answered and pending checks of these parties, newest first."""
    return session.scalars(
        select(IdentityCheckRow)
        .where(IdentityCheckRow.party_id.in_(list(party_ids)[:PAGE_MAX]))
        .order_by(IdentityCheckRow.created_at.desc(), IdentityCheckRow.id)
        .limit(CHECKS_MAX)
    ).all()


def asked_since(session: Session, party_id: str, *, since: datetime) -> int:
    """How many checks of a party were asked for since then."""
    return (
        session.scalar(
            select(func.count())
            .select_from(IdentityCheckRow)
            .where(IdentityCheckRow.party_id == party_id, IdentityCheckRow.created_at > since)
        )
        or 0
    )


def lock_check(session: Session, check_id: str) -> IdentityCheckRow | None:
    """The check as it stands now, locked until the end of the transaction."""
    return session.scalar(
        select(IdentityCheckRow)
        .where(IdentityCheckRow.id == check_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def waiting_reviews(
    session: Session, *, kinds: Sequence[str], limit: int
) -> Sequence[IdentityCheckRow]:
    """Pending checks of these kinds, the longest waiting first."""
    return session.scalars(
        select(IdentityCheckRow)
        .where(IdentityCheckRow.status == "pending", IdentityCheckRow.kind.in_(kinds))
        .order_by(IdentityCheckRow.created_at, IdentityCheckRow.id)
        .limit(min(limit, PAGE_MAX))
    ).all()


def documents_of(session: Session, check_ids: Sequence[str]) -> Sequence[IdentityDocumentRow]:
    """Documents of these checks in the order of upload."""
    return session.scalars(
        select(IdentityDocumentRow)
        .where(IdentityDocumentRow.check_id.in_(list(check_ids)[:PAGE_MAX]))
        .order_by(IdentityDocumentRow.created_at, IdentityDocumentRow.id)
        .limit(CHECKS_MAX)
    ).all()


def challenges_of(session: Session, check_ids: Sequence[str]) -> dict[str, IdentityChallengeRow]:
    """What was sent for these checks, by check."""
    rows = session.scalars(
        select(IdentityChallengeRow).where(
            IdentityChallengeRow.check_id.in_(list(check_ids)[:PAGE_MAX])
        )
    )
    return {row.check_id: row for row in rows}


def ratifications_of(session: Session, agreement_id: str) -> Sequence[RatificationRow]:
    """Ratifications asked for in an agreement, oldest first."""
    return session.scalars(
        select(RatificationRow)
        .where(RatificationRow.agreement_id == agreement_id)
        .order_by(RatificationRow.asked_at, RatificationRow.id)
        .limit(PAGE_MAX)
    ).all()


def ratification_of_signer(session: Session, signer_id: str) -> RatificationRow | None:
    """The ratification asked for one place."""
    return session.scalar(select(RatificationRow).where(RatificationRow.signer_id == signer_id))


def ratifications_for(
    session: Session, organisation_id: str, *, limit: int
) -> Sequence[RatificationRow]:
    """Ratifications that an organisation was asked for, newest first."""
    return session.scalars(
        select(RatificationRow)
        .where(RatificationRow.organisation_id == organisation_id)
        .order_by(RatificationRow.asked_at.desc(), RatificationRow.id)
        .limit(min(limit, PAGE_MAX))
    ).all()


def lock_ratification(session: Session, ratification_id: str) -> RatificationRow | None:
    """The ratification as it stands now, locked until the end of the transaction."""
    return session.scalar(
        select(RatificationRow)
        .where(RatificationRow.id == ratification_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def due_ratifications(session: Session, *, at: datetime, limit: int) -> Sequence[RatificationRow]:
    """Ratifications whose time is over without a decision."""
    return session.scalars(
        select(RatificationRow)
        .where(RatificationRow.state == "asked", RatificationRow.due_at <= at)
        .order_by(RatificationRow.due_at, RatificationRow.id)
        .limit(min(limit, PAGE_MAX))
        .with_for_update()
    ).all()
