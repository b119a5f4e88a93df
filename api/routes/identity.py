"""JSON: real-name levels, checks, codes, reviews, and the callback of an outside service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Request, Response, UploadFile
from sqlalchemy.orm import Session

from api.callers import Caller
from api.deps import (
    PUBLIC,
    AtDep,
    Limit,
    Operator,
    PortsDep,
    SessionDep,
    Tenant,
    limit_attempts,
)
from api.flows import verification_levels as levels
from api.flows import verification_levels_codes as codes
from api.flows import verification_levels_reviews as reviews
from api.flows.verification_levels_asking import CheckView, ask, parties_of, view_of
from api.ports import Ports
from api.routes.agreements import read_upload
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.identity import (
    AnswerIn,
    CallbackOut,
    CheckIn,
    DecisionIn,
    DocumentOut,
    IdentityCheckOut,
    IdentityPartyOut,
    QueueOut,
    ReviewOut,
    TransferOut,
)
from ledger.core.canonical import canonical_bytes
from ledger.queries import identity as queries
from ledger.tables.parties import PartyRow
from signing.identity import Status

router = APIRouter(prefix="/api/v1/identity", tags=["real names"])

CheckId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]


@router.get("")
def identity(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Tenant
) -> list[IdentityPartyOut]:
    """The caller's own level, and as administrator the organisation's, computed now."""
    return [
        IdentityPartyOut(
            party_id=one.party.id,
            kind=one.party.kind,
            level=int(one.level.level),
            mock=one.level.mock,
            reasons=list(one.level.reasons),
            labels=list(one.level.labels),
            until=one.level.until,
            offered=list(one.offered),
            checks=[check_out(check) for check in one.checks],
        )
        for one in parties_of(session, ports, caller, at=at)
    ]


@router.post("/checks", status_code=201)
def ask_check(
    request: Request, ports: PortsDep, at: AtDep, caller: Tenant, body: CheckIn
) -> IdentityCheckOut:
    """Ask for a check. The same id with the same body answers the same check."""
    limit_attempts(request, "identity.account", who=caller.account_id)
    new = levels.NewCheck(
        id=body.id,
        party_id=body.party_id,
        kind=body.kind,
        factors=body.factors,
        consent_id=body.consent_id,
    )
    return check_out(ask(ports, caller, new, at=at))


@router.post("/checks/{code_id}/answer")
def answer_check(
    request: Request, ports: PortsDep, at: AtDep, caller: Tenant, code_id: CheckId, body: AnswerIn
) -> IdentityCheckOut:
    """Fill in the code or the amount that arrived."""
    limit_attempts(request, "identity.account", who=caller.account_id)
    asked = codes.answer(ports, caller, code_id, text=body.answer, at=at)
    return check_out(CheckView(asked.check, asked, ()))


@router.post("/checks/{check_id}/documents", status_code=201)
def upload_document(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    check_id: CheckId,
    id: Annotated[str, Form(max_length=ID_CHARACTERS_MAX)],  # noqa: A002 - the field's public name
    file: Annotated[UploadFile, File(description="JPEG, PNG or PDF")],
) -> IdentityCheckOut:
    """Attach a document to a review; it is sealed, and gone after the decision."""
    data = read_upload(file, bytes_max=reviews.DOCUMENT_BYTES_MAX)
    reviews.add_document(session, ports, caller, check_id, document_id=id, data=data, at=at)
    row = queries.lock_check(session, check_id)
    assert row is not None
    return check_out(view_of(session, ports, row))


@router.get("/reviews")
def queue(session: SessionDep, ports: PortsDep, caller: Operator, limit: Limit = 20) -> QueueOut:
    """What waits for the operator: reviews with documents, transfers to make."""
    return queue_of(session, ports, caller, limit=limit)


@router.post("/reviews/{check_id}")
def decide_review(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    check_id: CheckId,
    body: DecisionIn,
) -> IdentityCheckOut:
    """Decide a review by name and with a reason."""
    row = reviews.decide(
        session,
        ports,
        caller,
        check_id,
        status=Status(body.status),
        reviewer=body.reviewer,
        reason=body.reason,
        at=at,
    )
    return check_out(view_of(session, ports, row))


@router.get("/documents/{document_id}")
def read_document(
    session: SessionDep, ports: PortsDep, caller: Operator, document_id: CheckId
) -> Response:
    """A document of a review that is not decided."""
    row, data = reviews.read_document(session, ports, caller, document_id)
    return Response(
        data,
        media_type=row.media_type,
        headers={"Content-Disposition": f'attachment; filename="{row.id}"'},
    )


@router.post("/transfers/{check_id}")
def mark_transferred(
    ports: PortsDep, at: AtDep, caller: Operator, check_id: CheckId
) -> IdentityCheckOut:
    """The transfer is made; the party may fill in the amount."""
    asked = codes.mark_transferred(ports, caller, check_id, at=at)
    return check_out(CheckView(asked.check, asked, ()))


@router.post("/callbacks", dependencies=[Depends(PUBLIC)])
def callback(request: Request, ports: PortsDep, at: AtDep, body: dict[str, str]) -> CallbackOut:
    """A later answer of the outside service, `fuqi/identity-answer/v1` under the shared secret."""
    limit_attempts(request, "callback.address")
    row = levels.take_callback(ports, canonical_bytes(dict(body)), at=at)
    return CallbackOut(request=row.id, status=row.status)


def check_out(view: CheckView) -> IdentityCheckOut:
    """A check as its party sees it."""
    row, asked = view.check, view.asked
    return IdentityCheckOut(
        id=row.id,
        party_id=row.party_id,
        kind=row.kind,
        status=row.status,
        provider=row.provider,
        label_en=row.label_en,
        label_zh=row.label_zh,
        mock=row.mock,
        checked_at=row.checked_at,
        target_masked=None if asked is None else asked.target_masked,
        tries_left=None if asked is None else asked.tries_left,
        expires_at=None if asked is None else asked.challenge.expires_at,
        mock_answer=None if asked is None else asked.mock_answer,
        documents=[DocumentOut.model_validate(one) for one in view.documents],
    )


def queue_of(session: Session, ports: Ports, caller: Caller, *, limit: int) -> QueueOut:
    """The operator's queue: the same facts for page and JSON."""
    transfers = reviews.waiting_transfers(session, caller, limit=limit)
    sent = queries.challenges_of(session, [row.id for row in transfers])
    orders = {row.id: codes.transfer_order(session, ports, row, sent[row.id]) for row in transfers}
    return QueueOut(
        reviews=[
            ReviewOut(
                check_id=one.check.id,
                party_id=one.party.id,
                kind=one.check.kind,
                name=one.party.name,
                number_masked=one.party.number_masked,
                created_at=one.check.created_at,
                documents=[DocumentOut.model_validate(row) for row in one.documents],
            )
            for one in reviews.waiting_reviews(session, caller, limit=limit)
        ],
        transfers=[
            TransferOut(
                check_id=row.id,
                party_id=row.party_id,
                name=session.get_one(PartyRow, row.party_id).name,
                account=orders[row.id][0],
                amount_fen=orders[row.id][1],
                created_at=row.created_at,
            )
            for row in transfers
        ],
    )
