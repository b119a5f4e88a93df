"""Objections against published rounds, as JSON and as the operator's page; the form is on the round's page."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, Response

from api.deps import AtDep, Handler, Limit, Member, Operator, PortsDep, SessionDep, TenantOrOperator
from api.flows import objecting as flows
from api.routes.base import pages_of
from api.routes.rounds import shown_round
from api.routes.supply import RecordId
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.objections import AnswerIn, ObjectionIn, ObjectionOut, RoundObjectionsOut
from api.views import objections as views
from api.web.pages import go
from ledger.core.errors import FuqiError

router = APIRouter(prefix="/api/v1", tags=["rounds"])
pages = APIRouter(include_in_schema=False)

ROWS: Final = 20
TYPED_MAX: Final = 2_000
"""A form's line ends are two characters each; the flow says what is too long."""
State = Literal["open", "withdrawn", "dismissed", "upheld"]
Before = Annotated[
    str, Query(max_length=ID_CHARACTERS_MAX, description="last id of the page before")
]
Typed = Annotated[str, Form(max_length=TYPED_MAX)]
Choice = Annotated[str, Form(max_length=ID_CHARACTERS_MAX)]


class ObjectionForm(BaseModel):
    """The form as typed."""

    attempt: Annotated[str, Field(max_length=ID_CHARACTERS_MAX)] = ""
    reason: Annotated[str, Field(max_length=ID_CHARACTERS_MAX)] = ""
    subject: Annotated[str, Field(max_length=ID_CHARACTERS_MAX)] = ""
    statement: Annotated[str, Field(max_length=TYPED_MAX)] = ""


@router.get("/objections")
def list_objections(
    session: SessionDep,
    caller: TenantOrOperator,
    state: State | None = None,
    before: Before = "~",
    limit: Limit = ROWS,
) -> list[ObjectionOut]:
    """Objections of my organisation, newest first; an operator sees all."""
    return views.objection_list(session, caller, state=state, before=before, limit=limit)


@router.get("/rounds/{round_id}/objections")
def get_round_objections(
    session: SessionDep, at: AtDep, caller: Member, round_id: RecordId
) -> RoundObjectionsOut:
    """Until when one can object to a round, how many did, and my organisation's own objections."""
    return views.round_objections(session, caller, round_id, at=at, limit=ROWS)


@router.post("/rounds/{round_id}/objections", status_code=201)
def file_objection(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    round_id: RecordId,
    body: ObjectionIn,
) -> ObjectionOut:
    """Object to a published round; the lines it concerns are not accepted until it is answered."""
    new = flows.NewObjection(round_id=round_id, **body.model_dump())
    row = flows.file_objection(session, ports, caller, new, at=at)
    return views.objections_shown(session, [row])[0]


@router.post("/objections/{objection_id}/withdraw")
def withdraw(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, objection_id: RecordId
) -> ObjectionOut:
    """Take an objection back that was not answered."""
    row = flows.withdraw_objection(session, ports, caller, objection_id=objection_id, at=at)
    return views.objections_shown(session, [row])[0]


@router.post("/objections/{objection_id}/answer")
def answer(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    objection_id: RecordId,
    body: AnswerIn,
) -> ObjectionOut:
    """Dismiss an objection with a reason, or uphold it: its lines are released to the next round."""
    row = flows.answer_objection(
        session,
        ports,
        caller,
        objection_id=objection_id,
        outcome=body.outcome,
        answer=body.answer,
        at=at,
    )
    return views.objections_shown(session, [row])[0]


@pages.get("/objections", response_class=HTMLResponse)
def objections_page(
    request: Request,
    session: SessionDep,
    caller: TenantOrOperator,
    state: State | None = None,
    before: Before = "~",
) -> Response:
    """Objections: an operator answers them here, an organisation sees its own."""
    wanted = state or ("open" if caller.is_operator else None)
    found = views.objection_list(session, caller, state=wanted, before=before, limit=ROWS)
    return pages_of(request).page(
        request,
        "objections.html",
        caller=caller,
        objections=found,
        wanted=wanted,
        next=found[-1].id if len(found) == ROWS else None,
    )


@pages.post("/rounds/{round_id}/objections", response_class=HTMLResponse)
def file_form(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    round_id: RecordId,
    form: Annotated[ObjectionForm, Form()],
) -> Response:
    """Object from the round's page; sending the form twice files one."""
    new = flows.NewObjection(
        id=form.attempt,
        round_id=round_id,
        reason=form.reason,
        subject=form.subject or None,
        statement=form.statement,
    )
    try:
        with session.begin_nested():
            flows.file_objection(session, ports, caller, new, at=at)
    except FuqiError as error:
        typed = form.model_dump()
        return shown_round(request, session, caller, round_id, at=at, values=typed, error=error)
    return go(f"/rounds/{round_id}#objections")


@pages.post("/objections/{objection_id}/withdraw")
def withdraw_form(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, objection_id: RecordId
) -> Response:
    """Take an objection back from a page."""
    row = flows.withdraw_objection(session, ports, caller, objection_id=objection_id, at=at)
    return go(f"/rounds/{row.round_id}#objections")


@pages.post("/objections/{objection_id}/answer")
def answer_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    objection_id: RecordId,
    outcome: Choice,
    answer: Typed,
) -> Response:
    """Answer from the operator's page."""
    flows.answer_objection(
        session, ports, caller, objection_id=objection_id, outcome=outcome, answer=answer, at=at
    )
    return go(f"/objections?state={outcome}#{objection_id}")
