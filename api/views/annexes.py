"""Facts about clauses and files that pages and JSON share. Reads only."""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.annexes import may_see
from api.flows.form_filling import visible_values
from api.schemas.annexes import (
    AttachmentOut,
    ClauseOut,
    ConfirmationOut,
    DemandOut,
    FieldOut,
    FormFieldOut,
)
from ledger.queries import annexes as queries
from ledger.queries import form_fields as form_queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.annexes import AttachmentRow
from signing.field_kinds import Kind
from signing.form_fields import FormField


def clause_facts(session: Session, row: AgreementRow) -> list[ClauseOut]:
    """Clauses that are pointed out, with the lines on which they stand."""
    return [
        ClauseOut(
            number=one.number,
            kind=one.kind,
            page=one.page,
            text=one.text,
            explanation=one.explanation,
            sha256=one.sha256,
            boxes=json.loads(one.boxes),
        )
        for one in queries.clauses_of(session, row.id)
    ]


def confirmation_facts(session: Session, signers: list[str]) -> dict[str, list[ConfirmationOut]]:
    """Place -> what was confirmed there, in the order of the clauses."""
    return {
        signer: [ConfirmationOut.model_validate(found[number]) for number in sorted(found)]
        for signer, found in queries.confirmations_of(session, signers).items()
    }


def demand_facts(session: Session, row: AgreementRow) -> list[DemandOut]:
    """Files that signers are asked for, and what was sent."""
    sent = {one.demand: one.id for one in queries.attachments_of(session, row.id)}
    return [
        DemandOut(
            number=one.number,
            field=one.field,
            label=one.label,
            required=one.required,
            attachment_id=sent.get(one.number),
        )
        for one in queries.demands_of(session, row.id)
    ]


def attachments_facts(session: Session, caller: Caller, row: AgreementRow) -> list[AttachmentOut]:
    """Files that belong to the agreement; that there are some is said to every party."""
    return [
        attachment_facts(
            one, readable=caller.is_operator or may_see(row, one, caller.organisation_id)
        )
        for one in queries.attachments_of(session, row.id)
    ]


def field_facts(session: Session, caller: Caller, row: AgreementRow) -> list[FieldOut]:
    """Form fields that signers may fill.

    A value shows once it is signed for; before that to its writer, and to whoever approves for that side.
    """
    shown = {one.name: one for one in visible_values(session, caller, row)}
    found = []
    for one in form_queries.fields_of(session, row.id):
        value = shown.get(one.name)
        found.append(
            FieldOut(
                number=one.number,
                name=one.name,
                field=one.field,
                label=one.label,
                required=one.required,
                page=one.page,
                kind=Kind(one.kind),
                options=json.loads(one.options),
                preset=one.preset,
                value="" if value is None else value.value,
                filled_at=None if value is None else value.filled_at,
            )
        )
    return found


def form_field_facts(one: FormField) -> FormFieldOut:
    """One field of a PDF's form; pages count from 1."""
    return FormFieldOut(**{**asdict(one), "page": one.page + 1, "options": [*one.options]})


def attachment_facts(row: AttachmentRow, *, readable: bool) -> AttachmentOut:
    """One file."""
    return AttachmentOut(
        id=row.id,
        signer_id=row.signer_id,
        demand=row.demand,
        organisation_id=row.organisation_id,
        name=row.name if readable else "",
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
        readable=readable,
    )
