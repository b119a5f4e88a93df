"""Pages: my real-name level and its checks; the operator's queue of reviews and transfers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Path, Request, UploadFile
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Operator, PortsDep, ReaderDep, SessionDep, Tenant, limit_attempts
from api.errors import problem_of, request_id_of
from api.flows import verification_levels as levels
from api.flows import verification_levels_codes as codes
from api.flows import verification_levels_reviews as reviews
from api.flows.access import NoConsentError
from api.flows.registration import EPOCH
from api.flows.verification_levels_asking import ask, parties_of
from api.ports import Ports
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.routes.identity import queue_of
from api.schemas.base import ID_CHARACTERS_MAX
from api.web.pages import go
from ledger.core.errors import ConflictError, FuqiError, InputError
from ledger.core.ids import derived_id, new_id, require_id
from signing.identity import KINDS, Status

router = APIRouter(include_in_schema=False)

CheckId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]
QUEUE_SHOWN: Final = 50


class CheckForm(BaseModel):
    """The form to ask with; the factors are those of the kind."""

    attempt: str = ""
    party_id: str = ""
    kind: str = ""
    phone: str = ""
    email: str = ""
    account: str = ""
    card: str = ""
    capture: str = ""
    representative: str = ""
    representative_number: str = ""
    letter: str = ""
    consent: str = ""


class AnswerForm(BaseModel):
    """The code or amount as typed."""

    answer: str = ""


class DecisionForm(BaseModel):
    """The operator's decision."""

    status: str = ""
    reviewer: str = ""
    reason: str = ""


@router.get("/me/identity", response_class=HTMLResponse)
def identity_page(
    request: Request, session: SessionDep, ports: PortsDep, at: AtDep, caller: Tenant
) -> Response:
    """The level of the caller and of the organisation they administer, and how to raise it."""
    return _page(request, session, ports, caller, at=at)


@router.post("/me/identity/checks", response_class=HTMLResponse)
def ask_check(
    request: Request,
    reader: ReaderDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    form: Annotated[CheckForm, Form()],
) -> Response:
    """Ask for a check; sending the form twice asks once."""
    typed = form.model_dump()
    try:
        limit_attempts(request, "identity.account", who=caller.account_id)
        if form.consent != "yes":
            raise NoConsentError("the real-name check needs the person's consent")
        require_id(form.attempt, prefix="chk")
        ask(
            ports,
            caller,
            levels.NewCheck(
                id=form.attempt,
                party_id=form.party_id,
                kind=form.kind,
                factors={name: typed[name].strip() for name in _extra(form.kind) if typed[name]},
                consent_id=derived_id("cst", at=EPOCH, seed=form.attempt),
            ),
            at=at,
        )
    except FuqiError as error:
        return _page(request, reader, ports, caller, at=at, error=error, kind=form.kind)
    return go(f"/me/identity#{form.attempt}")


@router.post("/me/identity/checks/{code_id}/answer", response_class=HTMLResponse)
def answer_check(
    request: Request,
    reader: ReaderDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    code_id: CheckId,
    form: Annotated[AnswerForm, Form()],
) -> Response:
    """Fill in the code or the amount."""
    try:
        limit_attempts(request, "identity.account", who=caller.account_id)
        codes.answer(ports, caller, code_id, text=form.answer[:16], at=at)
    except (InputError, ConflictError) as error:
        return _page(request, reader, ports, caller, at=at, error=error)
    return go(f"/me/identity#{code_id}")


@router.post("/me/identity/checks/{check_id}/documents", response_class=HTMLResponse)
def upload_document(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    check_id: CheckId,
    file: Annotated[UploadFile, File()],
    document: Annotated[str, Form(max_length=ID_CHARACTERS_MAX)],
) -> Response:
    """Attach a document to a review."""
    data = read_upload(file, bytes_max=reviews.DOCUMENT_BYTES_MAX)
    reviews.add_document(session, ports, caller, check_id, document_id=document, data=data, at=at)
    return go(f"/me/identity#{check_id}")


@router.get("/identity/reviews", response_class=HTMLResponse)
def queue_page(
    request: Request, session: SessionDep, ports: PortsDep, caller: Operator, done: str = ""
) -> Response:
    """What waits for the operator."""
    return _queue(request, session, ports, caller, done=done)


@router.post("/identity/reviews/{check_id}", response_class=HTMLResponse)
def decide_review(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    check_id: CheckId,
    form: Annotated[DecisionForm, Form()],
) -> Response:
    """Decide, by name and with a reason."""
    try:
        status = Status(form.status)
    except ValueError as exc:
        raise InputError(
            "a review ends with match, mismatch or no_record", code="identity.decision"
        ) from exc
    reviews.decide(
        session,
        ports,
        caller,
        check_id,
        status=status,
        reviewer=form.reviewer,
        reason=form.reason,
        at=at,
    )
    return go("/identity/reviews?done=1")


@router.get("/identity/documents/{document_id}")
def read_document(
    session: SessionDep, ports: PortsDep, caller: Operator, document_id: CheckId
) -> Response:
    """A document under review."""
    row, data = reviews.read_document(session, ports, caller, document_id)
    return Response(
        data,
        media_type=row.media_type,
        headers={
            "Content-Disposition": f'inline; filename="{row.id}"',
            # Whatever the file holds, it runs nothing and reaches nothing here.
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


@router.post("/identity/transfers/{check_id}")
def mark_transferred(ports: PortsDep, at: AtDep, caller: Operator, check_id: CheckId) -> Response:
    """The transfer is made."""
    codes.mark_transferred(ports, caller, check_id, at=at)
    return go("/identity/reviews?done=1")


def _extra(kind: str) -> tuple[str, ...]:
    """What a form asks for beyond the record: the kind's own factors."""
    rule = KINDS.get(kind)
    hidden = levels.FROM_RECORD | levels.FILLED_LATER
    return () if rule is None else tuple(one for one in rule.factors if one not in hidden)


def _page(
    request: Request,
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    at: datetime,
    error: FuqiError | None = None,
    kind: str = "",
) -> Response:
    problem = None if error is None else problem_of(error, request_id=request_id_of(request))
    parties = parties_of(session, ports, caller, at=at)
    return pages_of(request).page(
        request,
        "identity.html",
        caller=caller,
        status=200 if problem is None else problem.status,
        parties=parties,
        problem=problem,
        faulty_kind=kind,
        extra={one: _extra(one) for party in parties for one in party.offered},
        fresh=lambda prefix: new_id(prefix, at=at),
        at=at,
    )


def _queue(
    request: Request, session: Session, ports: Ports, caller: Caller, *, done: str
) -> Response:
    return pages_of(request).page(
        request,
        "reviews.html",
        caller=caller,
        queue=queue_of(session, ports, caller, limit=QUEUE_SHOWN),
        done=bool(done),
    )
