"""Reads of people, organisations, authorisations and certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from ledger.tables.agreements import AgreementRow
from ledger.tables.parties import AuthorisationRow, CertificateRow, PartyRow

PAGE_MAX = 200


def party_by_number(session: Session, *, kind: str, number_index: str) -> PartyRow | None:
    """The party with this identity number, found by its keyed digest."""
    return session.scalar(
        select(PartyRow).where(PartyRow.kind == kind, PartyRow.number_index == number_index)
    )


def parties_by_ids(session: Session, ids: Sequence[str]) -> dict[str, PartyRow]:
    """Parties by id, at most 500."""
    rows = session.scalars(select(PartyRow).where(PartyRow.id.in_(list(ids)[:500])))
    return {row.id: row for row in rows}


def any_invented(session: Session) -> bool:
    """Whether any party was made up."""
    return session.scalar(select(PartyRow.id).where(PartyRow.invented).limit(1)) is not None


def any_demonstrated(session: Session) -> bool:
    """Whether any agreement belongs to a demonstration."""
    return session.scalar(select(AgreementRow.id).where(AgreementRow.demo).limit(1)) is not None


def parties_page(
    session: Session, *, category: str | None = None, after: str = "", limit: int = 50
) -> Sequence[PartyRow]:
    """Organisations after id `after`."""
    query = select(PartyRow).where(PartyRow.kind == "organisation", PartyRow.id > after)
    if category is not None:
        query = query.where(PartyRow.category == category)
    return session.scalars(query.order_by(PartyRow.id).limit(min(limit, PAGE_MAX))).all()


def authorisations_of(
    session: Session, *, organisation_id: str, person_id: str | None = None
) -> Sequence[AuthorisationRow]:
    """Authorisations of an organisation, newest first; a letter counts while its agreement stands."""
    query = select(AuthorisationRow).where(
        AuthorisationRow.organisation_id == organisation_id, _stands()
    )
    if person_id is not None:
        query = query.where(AuthorisationRow.person_id == person_id)
    return session.scalars(
        query.order_by(AuthorisationRow.created_at.desc(), AuthorisationRow.id).limit(PAGE_MAX)
    ).all()


def letters_of(session: Session, organisation_id: str) -> Sequence[AuthorisationRow]:
    """Letters of authority of an organisation, also those that are not signed yet, newest first."""
    return session.scalars(
        select(AuthorisationRow)
        .where(
            AuthorisationRow.organisation_id == organisation_id,
            AuthorisationRow.agreement_id.is_not(None),
        )
        .order_by(AuthorisationRow.created_at.desc(), AuthorisationRow.id)
        .limit(PAGE_MAX)
    ).all()


def authorisation_by_letter(session: Session, agreement_id: str) -> AuthorisationRow | None:
    """The authorisation whose letter is this agreement."""
    return session.scalar(
        select(AuthorisationRow).where(AuthorisationRow.agreement_id == agreement_id)
    )


def _stands() -> ColumnElement[bool]:
    """Whether an authorisation needs no letter, or its letter is formed and not released."""
    formed = select(AgreementRow.id).where(AgreementRow.state == "formed")
    return or_(AuthorisationRow.agreement_id.is_(None), AuthorisationRow.agreement_id.in_(formed))


def handlers_of(session: Session, organisation_id: str, *, at: datetime) -> Sequence[PartyRow]:
    """People who hold a valid authority of the organisation, by name; at most 200."""
    held = select(AuthorisationRow.person_id).where(
        AuthorisationRow.organisation_id == organisation_id,
        AuthorisationRow.revoked_at.is_(None),
        AuthorisationRow.valid_from <= at,
        AuthorisationRow.valid_to > at,
        _stands(),
    )
    return session.scalars(
        select(PartyRow).where(PartyRow.id.in_(held)).order_by(PartyRow.name).limit(200)
    ).all()


def certificate_of_key(session: Session, spki_sha256: str) -> CertificateRow | None:
    """The certificate of a public key."""
    return session.scalar(select(CertificateRow).where(CertificateRow.spki_sha256 == spki_sha256))


def hold_certificate(session: Session, certificate_id: str) -> CertificateRow:
    """A certificate as it stands now, which nobody blocks until the transaction ends.

    Many acts under one key go on beside each other; a report that it is lost waits for them, or they see it.
    """
    return session.get_one(
        CertificateRow, certificate_id, with_for_update={"read": True}, populate_existing=True
    )


def hold_authorisation(session: Session, row: AuthorisationRow) -> AuthorisationRow:
    """An authorisation as it stands now, which nobody revokes until the transaction ends.

    With it every other of the same person: the documents of one batch may rest on several, and what is locked
    before the journal waits for nobody who waits for the journal.
    """
    session.scalars(
        select(AuthorisationRow)
        .where(
            AuthorisationRow.organisation_id == row.organisation_id,
            AuthorisationRow.person_id == row.person_id,
        )
        .order_by(AuthorisationRow.id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).all()
    return row


def usable_certificates(
    session: Session, *, organisation_id: str, person_id: str, at: datetime
) -> Sequence[CertificateRow]:
    """Certificates valid and unrevoked at `at`, newest first."""
    return session.scalars(
        select(CertificateRow)
        .where(
            CertificateRow.organisation_id == organisation_id,
            CertificateRow.person_id == person_id,
            CertificateRow.not_before <= at,
            CertificateRow.not_after > at,
            CertificateRow.revoked_at.is_(None),
        )
        .order_by(CertificateRow.created_at.desc())
        .limit(20)
    ).all()
