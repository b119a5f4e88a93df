"""What a handler sees of waiting places and of a batch."""

from __future__ import annotations

import base64
import json
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import state_of
from api.flows.annexes import require_annexed
from api.flows.approvals import may_approve_again, require_approved_values
from api.flows.batch_places import Standing, standing_of
from api.flows.batches import opened_items
from api.flows.form_filling import statement_values
from api.schemas.batches import (
    AgainOut,
    BatchItemOut,
    BatchOut,
    BatchValueOut,
    LeftOutOut,
    WaitingList,
    WaitingOut,
)
from ledger.core.canonical import canonical_parse
from ledger.core.errors import ConflictError, ForbiddenError
from ledger.queries import batches as queries
from ledger.queries import form_fields as form_queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.batches import BatchRow
from signing import agreement as rules
from signing.amounts import amount_text
from signing.batch_intent import batch_message


def waiting_list(
    session: Session, caller: Caller, *, before: str | None = None, limit: int = 50
) -> WaitingList:
    """The caller's own places that are to be signed or approved, newest first.

    Raises:
        ForbiddenError: `auth.role` for a caller who is no person.
    """
    organisation = require_organisation(caller)
    if caller.person_id is None:
        raise ForbiddenError("only a person signs", code="auth.role")
    found = queries.waiting_places(
        session,
        organisation_id=organisation,
        person_id=caller.person_id,
        before=before,
        limit=limit,
    )
    rows = {one.id: session.get_one(AgreementRow, one.agreement_id) for one in found}
    names = party_queries.parties_by_ids(
        session, sorted({row.owner_organisation_id for row in rows.values()})
    )
    items = [
        WaitingOut(
            signer_id=one.id,
            agreement_id=one.agreement_id,
            act=one.act,
            title=rows[one.id].title,
            matter=rows[one.id].matter,
            owner_name=names[rows[one.id].owner_organisation_id].name,
            amount_minor=rows[one.id].amount_minor,
            pages=rows[one.id].pages,
            document_sha256=rows[one.id].document_sha256,
            read_at=one.read_at,
            turn=one.field in {other.field for other in state_of(session, rows[one.id]).waiting},
            alone=_alone(session, rows[one.id], one),
            expires_at=rows[one.id].expires_at,
        )
        for one in found
    ]
    again = [
        AgainOut(signer_id=one.id, agreement_id=row.id, title=row.title)
        for one in queries.approved_places(
            session, organisation_id=organisation, person_id=caller.person_id
        )
        if may_approve_again(session, row := session.get_one(AgreementRow, one.agreement_id), one)
    ]
    counted = queries.count_places(
        session, organisation_id=organisation, person_id=caller.person_id
    )
    return WaitingList(
        items=items,
        again=again,
        sign=counted.get("sign", 0),
        approve=counted.get("approve", 0),
        next=found[-1].id if len(found) == limit else None,
    )


def _alone(session: Session, row: AgreementRow, signer: SignerRow) -> str:
    try:
        require_annexed(session, row, signer)
        require_approved_values(session, row, signer)
    except ConflictError as exc:
        return exc.error_code
    return ""


def batch_facts(session: Session, batch: BatchRow, *, at: datetime) -> BatchOut:
    """The batch as it stands."""
    standing = standing_of(session, batch, at=at)
    names = party_queries.parties_by_ids(
        session, sorted({one.agreement.owner_organisation_id for one in standing})
    )
    statement = None if batch.statement is None else canonical_parse(batch.statement.encode())
    assert statement is None or isinstance(statement, dict)
    return BatchOut(
        id=batch.id,
        act=batch.act,
        created_at=batch.created_at,
        affirmed_at=batch.affirmed_at,
        items=[
            _item(session, one, batch, owner=names[one.agreement.owner_organisation_id].name)
            for one in standing
        ],
        left_out=[
            LeftOutOut(
                signer_id=place,
                agreement_id=agreement,
                title=session.get_one(AgreementRow, agreement).title,
                code=code,
            )
            for place, agreement, code in json.loads(batch.left_out)
        ],
        statement=statement,
        message_base64=None
        if statement is None
        else base64.b64encode(batch_message(statement)).decode(),
        opened=opened_items(session, batch),
    )


def _item(session: Session, one: Standing, batch: BatchRow, *, owner: str) -> BatchItemOut:
    row, seal = one.agreement, one.seal
    approves = batch.act == rules.Act.APPROVE
    return BatchItemOut(
        number=one.number,
        signer_id=one.signer.id,
        agreement_id=row.id,
        title=row.title,
        owner_name=owner,
        amount_minor=row.amount_minor,
        amount=amount_text(row.amount_minor, none=row.no_amount),
        pages=row.pages,
        document_sha256=row.document_sha256,
        field=one.signer.field,
        seal_id=None if seal is None else seal.id,
        seal_name=None if seal is None else seal.name,
        seal_kind=None if seal is None else seal.kind,
        seal_picture_sha256=None if seal is None else seal.picture_sha256,
        values=_values(session, row, one.signer) if approves else [],
        annex=one.annex if approves else None,
        state=one.code,
    )


def _values(session: Session, row: AgreementRow, signer: SignerRow) -> list[BatchValueOut]:
    """What the approver is shown beside the pages; the annex lists the same."""
    fields = {one.name: one for one in form_queries.fields_of(session, row.id)}
    return [
        BatchValueOut(
            name=one.name,
            field=one.field,
            kind=fields[one.name].kind,
            label=fields[one.name].label,
            value=one.value,
        )
        for one in statement_values(session, row, signer)
    ]
