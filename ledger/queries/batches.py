"""Reads of batches and of the places that wait for a handler."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.batches import BatchItemRow, BatchRow
from ledger.tables.form_fields import FormFieldRow

PAGE_MAX = 100


def items_of(session: Session, batch_id: str) -> Sequence[BatchItemRow]:
    """The items of a batch, in the order of its list (at most `signing.batch_intent.ITEMS_MAX`)."""
    return session.scalars(
        select(BatchItemRow).where(BatchItemRow.batch_id == batch_id).order_by(BatchItemRow.number)
    ).all()


def lock_batch(session: Session, batch_id: str) -> BatchRow | None:
    """The batch, locked until the end of the transaction."""
    return session.scalar(
        select(BatchRow)
        .where(BatchRow.id == batch_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def waiting_places(
    session: Session,
    *,
    organisation_id: str,
    person_id: str,
    before: str | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[SignerRow]:
    """Open places of a handler, to sign or to approve, newest first, older than place `before`."""
    query = _open_places(organisation_id=organisation_id, person_id=person_id)
    if before is not None:
        query = query.where(SignerRow.id < before)
    return session.scalars(query.order_by(SignerRow.id.desc()).limit(min(limit, PAGE_MAX))).all()


def places_by_end(
    session: Session, *, organisation_id: str, person_id: str, act: str, limit: int
) -> Sequence[SignerRow]:
    """Open places of a handler of one act, whose agreements end first at the front."""
    return session.scalars(
        _open_places(organisation_id=organisation_id, person_id=person_id)
        .where(SignerRow.act == act)
        .order_by(AgreementRow.expires_at, SignerRow.id)
        .limit(limit)
    ).all()


def count_places(session: Session, *, organisation_id: str, person_id: str) -> dict[str, int]:
    """Open places of a handler: act -> how many."""
    places = _open_places(organisation_id=organisation_id, person_id=person_id).subquery()
    counted = session.execute(select(places.c.act, func.count()).group_by(places.c.act))
    return {str(act): int(count) for act, count in counted}


def approved_places(
    session: Session, *, organisation_id: str, person_id: str
) -> Sequence[SignerRow]:
    """Places that a handler approved, of open agreements with form fields; at most `PAGE_MAX`, newest first."""
    fields = select(FormFieldRow.agreement_id)
    return session.scalars(
        select(SignerRow)
        .join(AgreementRow, AgreementRow.id == SignerRow.agreement_id)
        .where(
            SignerRow.organisation_id == organisation_id,
            SignerRow.person_id == person_id,
            SignerRow.approved_at.is_not(None),
            SignerRow.forwarded_at.is_(None),
            AgreementRow.state.in_(("published", "signing")),
            SignerRow.agreement_id.in_(fields),
        )
        .order_by(SignerRow.id.desc())
        .limit(PAGE_MAX)
    ).all()


def _open_places(*, organisation_id: str, person_id: str) -> Select[SignerRow]:
    return (
        select(SignerRow)
        .join(AgreementRow, AgreementRow.id == SignerRow.agreement_id)
        .where(
            SignerRow.organisation_id == organisation_id,
            SignerRow.person_id == person_id,
            SignerRow.approved_at.is_(None),
            SignerRow.signed_at.is_(None),
            SignerRow.refused_at.is_(None),
            SignerRow.forwarded_at.is_(None),
            AgreementRow.state.in_(("published", "signing")),
        )
    )
