"""Reads of form fields that signers may fill, and of what they filled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables.agreements import SignerRow
from ledger.tables.batches import BatchItemRow
from ledger.tables.form_fields import FormFieldRow, FormValueRow

DIGESTS_MAX: Final = 1_000
"""Revisions of one file that are looked up; a file of ours has one for each signature and one before."""

PREPARED_MAX: Final = 10_000
"""Of one agreement: fifty signers who prepared two hundred times each."""


def fields_of(session: Session, agreement_id: str) -> Sequence[FormFieldRow]:
    """Fields that signers may fill, in their order (at most `signing.form_fill.FIELDS_MAX`)."""
    return session.scalars(
        select(FormFieldRow)
        .where(FormFieldRow.agreement_id == agreement_id)
        .order_by(FormFieldRow.number)
    ).all()


def values_of(session: Session, agreement_id: str) -> Sequence[tuple[FormValueRow, SignerRow]]:
    """What signers wrote, and the place of each, by the field's name; also what is not signed for yet."""
    rows = session.execute(
        select(FormValueRow, SignerRow)
        .join(SignerRow, SignerRow.id == FormValueRow.signer_id)
        .where(FormValueRow.agreement_id == agreement_id)
        .order_by(FormValueRow.name, SignerRow.position)
    )
    return [(value, signer) for value, signer in rows]


def filled_with(
    session: Session, digests: Collection[str]
) -> Sequence[tuple[FormValueRow, SignerRow]]:
    """Values whose revision is one of these (hex, at most `DIGESTS_MAX` are looked up)."""
    wanted = sorted(digests)[:DIGESTS_MAX]
    rows = session.execute(
        select(FormValueRow, SignerRow)
        .join(SignerRow, SignerRow.id == FormValueRow.signer_id)
        .where(FormValueRow.revision_sha256.in_(wanted))
        .order_by(FormValueRow.revision_sha256, FormValueRow.name)
    )
    return [(value, signer) for value, signer in rows]


def batch_items_of(session: Session, agreement_id: str) -> Sequence[BatchItemRow]:
    """Lines of batches about an agreement, whose annex lists values."""
    return session.scalars(
        select(BatchItemRow).where(BatchItemRow.agreement_id == agreement_id).limit(PREPARED_MAX)
    ).all()
