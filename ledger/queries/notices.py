"""Reads of notices, and of what a lost key touches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from ledger.tables.access import AccountRow, SessionRow
from ledger.tables.agreements import AgreementRow, IntentRow, PreparedSignatureRow, SignerRow
from ledger.tables.log import OutboxRow
from ledger.tables.notices import NoticeRow
from ledger.tables.parties import CertificateRow

PAGE_MAX = 200
TOUCHED_MAX = 1000
"""Agreements in flight that one person takes part in; more than any handler signs at a time."""
OPEN_STATES = ("published", "signing")


def lock_certificate(session: Session, certificate_id: str) -> CertificateRow | None:
    """The certificate as it stands now, locked until the end of the transaction."""
    return session.scalar(
        select(CertificateRow)
        .where(CertificateRow.id == certificate_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def certificates_of_person(
    session: Session, *, organisation_id: str, person_id: str
) -> Sequence[CertificateRow]:
    """Every certificate of a handler, ended and revoked ones too, newest first."""
    return session.scalars(
        select(CertificateRow)
        .where(
            CertificateRow.organisation_id == organisation_id,
            CertificateRow.person_id == person_id,
        )
        .order_by(CertificateRow.created_at.desc(), CertificateRow.id)
        .limit(PAGE_MAX)
    ).all()


def open_places_of(
    session: Session, *, organisation_id: str, person_id: str
) -> Sequence[SignerRow]:
    """Where this handler is named in agreements that are not closed."""
    return session.scalars(
        select(SignerRow)
        .join(AgreementRow, AgreementRow.id == SignerRow.agreement_id)
        .where(
            SignerRow.organisation_id == organisation_id,
            SignerRow.person_id == person_id,
            AgreementRow.state.in_(OPEN_STATES),
        )
        .order_by(SignerRow.agreement_id, SignerRow.id)
        .limit(TOUCHED_MAX)
    ).all()


def affirmed_with(session: Session, signer_id: str, certificate_id: str) -> frozenset[str]:
    """Acts that a signer affirmed with the key of this certificate."""
    return frozenset(
        session.scalars(
            select(IntentRow.act).where(
                IntentRow.signer_id == signer_id,
                IntentRow.certificate_id == certificate_id,
                IntentRow.used_at.is_not(None),
            )
        )
    )


def end_preparations(session: Session, *, certificate_id: str, at: datetime) -> int:
    """End every signature that was prepared for this certificate and not completed."""
    done = session.execute(
        update(PreparedSignatureRow)
        .where(
            PreparedSignatureRow.certificate_id == certificate_id,
            PreparedSignatureRow.completed_at.is_(None),
            PreparedSignatureRow.expires_at > at,
        )
        .values(expires_at=at)
        .returning(PreparedSignatureRow.id)
    )
    return len(done.all())


def end_sessions(session: Session, *, person_id: str, kept: str) -> None:
    """End every login of a person but the one whose token has the SHA-256 `kept`."""
    accounts = select(AccountRow.id).where(AccountRow.person_id == person_id)
    session.execute(
        delete(SessionRow)
        .where(SessionRow.account_id.in_(accounts), SessionRow.token_sha256 != kept)
        .execution_options(synchronize_session=False)
    )


def parties_of(session: Session, agreement_id: str) -> frozenset[str]:
    """Organisations that take part in an agreement, its owner included."""
    found = set(
        session.scalars(
            select(SignerRow.organisation_id).where(SignerRow.agreement_id == agreement_id)
        )
    )
    owner = session.scalar(
        select(AgreementRow.owner_organisation_id).where(AgreementRow.id == agreement_id)
    )
    return frozenset(found | ({owner} if owner is not None else set()))


def notices_of(session: Session, organisation_id: str, *, limit: int) -> Sequence[NoticeRow]:
    """Notices to an organisation, newest first."""
    return session.scalars(
        select(NoticeRow)
        .where(NoticeRow.organisation_id == organisation_id)
        .order_by(NoticeRow.created_at.desc(), NoticeRow.id)
        .limit(min(limit, PAGE_MAX))
    ).all()


def unseen_of(
    session: Session, organisation_id: str, *, prefix: str, limit: int
) -> Sequence[NoticeRow]:
    """Notices of kinds that begin with `prefix` and that nobody has marked as seen, newest first."""
    return session.scalars(
        select(NoticeRow)
        .where(
            NoticeRow.organisation_id == organisation_id,
            NoticeRow.kind.startswith(prefix, autoescape=True),
            NoticeRow.seen_at.is_(None),
        )
        .order_by(NoticeRow.created_at.desc(), NoticeRow.id)
        .limit(min(limit, PAGE_MAX))
    ).all()


def unseen(session: Session, organisation_id: str) -> int:
    """How many notices nobody has marked as seen."""
    return (
        session.scalar(
            select(func.count())
            .select_from(NoticeRow)
            .where(NoticeRow.organisation_id == organisation_id, NoticeRow.seen_at.is_(None))
        )
        or 0
    )


def due_outbox(
    session: Session, *, topics: Sequence[str], at: datetime, limit: int
) -> Sequence[OutboxRow]:
    """Waiting work of these kinds whose time has come, the longest waiting first."""
    return session.scalars(
        select(OutboxRow)
        .where(
            OutboxRow.topic.in_(topics), OutboxRow.state == "waiting", OutboxRow.not_before <= at
        )
        .order_by(OutboxRow.not_before, OutboxRow.id)
        .limit(limit)
    ).all()
