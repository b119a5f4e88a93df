"""What an erasure clears of one agreement: every text, every proof and every file, in each table that has some.

Ids, times, states, counts and digests stay: they say that something was signed here, and without the texts and
the data key they say nothing more. Digests of files stay so that a removal which was cut off can be repeated.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from ledger.queries import agreements as agreement_queries
from ledger.queries import annexes as annex_queries
from ledger.queries import erasure as queries
from ledger.queries import form_fields as form_queries
from ledger.queries import identity as identity_queries
from ledger.tables.agreements import AgreementRow

ERASED: Final = "（已删除 erased）"
FIELD: Final = "erased-"
"""In place of a form field's name, before its number."""


def clear_agreement(session: Session, agreement: AgreementRow) -> None:
    """Clear what an agreement's tables say. Doing it again changes nothing."""
    agreement.title, agreement.fingerprint = ERASED, "{}"
    agreement.place_of_formation = agreement.ended_reason = None
    clear_signatures(session, agreement.id)
    _clear_annexes(session, agreement.id)
    _clear_form(session, agreement.id)
    _clear_batches(session, agreement.id)
    for asked in identity_queries.ratifications_of(session, agreement.id):
        asked.reason, asked.decision_reason = "", None
        asked.statement = asked.proof = None


def clear_signatures(session: Session, subject: str) -> None:
    """Clear the statements and half-done signatures of a party, or in an agreement."""
    signers = [row.id for row in queries.signers_about(session, subject)]
    for statement in queries.statements_of(session, signers):
        statement.statement, statement.proof, statement.annex = "{}", None, None
    for prepared in queries.preparations_of(session, signers):
        prepared.state, prepared.signed_attrs = "{}", ""


def _clear_annexes(session: Session, agreement_id: str) -> None:
    """Passages of the document with the digest of each, who dwelt on which, names of files, what was asked for.

    A clause is a few known words, which its digest would find again: nothing of it stays.
    """
    signers = [row.id for row in queries.signers_about(session, agreement_id)]
    for confirmed in annex_queries.confirmations_of(session, signers).values():
        for one in confirmed.values():
            session.delete(one)
    for clause in annex_queries.clauses_of(session, agreement_id):
        session.delete(clause)
    for demand in annex_queries.demands_of(session, agreement_id):
        demand.label = ERASED
    for file in annex_queries.attachments_of(session, agreement_id, replaced=True):
        file.name = ERASED


def _clear_form(session: Session, agreement_id: str) -> None:
    """What was asked for in form fields, what signers wrote, and every copy of it.

    A field's name is a text of the document too: only its number stays.
    """
    numbers = {}
    for field in form_queries.fields_of(session, agreement_id):
        numbers[field.name] = f"{FIELD}{field.number}"
        field.label, field.preset, field.name = ERASED, "", numbers[field.name]
        field.options = "[]"
    for value, _signer in form_queries.values_of(session, agreement_id):
        value.value, value.old = "", None
        value.name = numbers.get(value.name, value.name)
    for place in agreement_queries.all_places_of(session, agreement_id):
        place.approved_values = None


def _clear_batches(session: Session, agreement_id: str) -> None:
    """Without its random bytes nobody can tell which digest of a batch's list is of this agreement."""
    for item in form_queries.batch_items_of(session, agreement_id):
        item.annex = item.salt = None
