"""What a handler sees of waiting places and of a batch."""

from __future__ import annotations

import base64
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import state_of
from api.flows.annexes import require_annexed
from api.flows.batches import NOT_TO_SIGN, opened_items, standing_of
from api.schemas.batches import BatchItemOut, BatchOut, WaitingList, WaitingOut
from ledger.core.canonical import canonical_parse
from ledger.core.errors import ConflictError, ForbiddenError
from ledger.queries import batches as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.batches import BatchRow
from signing import agreement as rules
from signing.batch_intent import batch_message


def waiting_list(
    session: Session, caller: Caller, *, before: str | None = None, limit: int = 50
) -> WaitingList:
    """The caller's own places that are to be signed, newest first.

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
    return WaitingList(items=items, next=found[-1].id if len(found) == limit else None)


def _alone(session: Session, row: AgreementRow, signer: SignerRow) -> str:
    if signer.act != rules.Act.SIGN:
        return NOT_TO_SIGN
    try:
        require_annexed(session, row, signer)
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
        created_at=batch.created_at,
        affirmed_at=batch.affirmed_at,
        items=[
            BatchItemOut(
                number=one.number,
                signer_id=one.signer.id,
                agreement_id=one.agreement.id,
                title=one.agreement.title,
                owner_name=names[one.agreement.owner_organisation_id].name,
                amount_minor=one.agreement.amount_minor,
                pages=one.agreement.pages,
                document_sha256=one.agreement.document_sha256,
                field=one.signer.field,
                state=one.code,
            )
            for one in standing
        ],
        statement=statement,
        message_base64=None
        if statement is None
        else base64.b64encode(batch_message(statement)).decode(),
        opened=opened_items(session, batch),
    )
