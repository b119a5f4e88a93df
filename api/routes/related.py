"""The register of related parties, as JSON and as a page."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller, Role
from api.deps import AtDep, Handler, HandlerOrOperator, Limit, Operator, PortsDep, SessionDep
from api.deps import TenantOrOperator as Side
from api.files import SUFFIXES
from api.flows import related as flows
from api.routes.agreements import read_upload
from api.routes.forms import form_page, today_at
from api.routes.supply import RecordId
from api.schemas.agreements import ReasonIn
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.related import DecisionIn, RelationIn, RelationOut
from api.views import related as views
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError, NotFoundError
from ledger.core.ids import new_id
from ledger.queries import related as queries
from ledger.tables.related import RelatedPartyRow

router = APIRouter(prefix="/api/v1", tags=["supply"])
pages = APIRouter(include_in_schema=False)

ROWS: Final = 50
FIELDS: Final = {
    "party.not_found": "second",
    "related.self": "second",
    "related.exists": "second",
    "related.kind": "kind",
    "related.evidence": "evidence",
    "related.period": "valid_to",
}
Before = Annotated[
    str, Query(max_length=ID_CHARACTERS_MAX, description="last id of the page before")
]
Waiting = Annotated[bool, Query(description="only what an operator has to look at")]


class RelationForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    first: str = ""
    second: str = ""
    kind: str = ""
    evidence: str = ""
    valid_from: str = ""
    valid_to: str = ""


class DecisionForm(BaseModel):
    """The operator's form as typed."""

    outcome: str = ""
    reason: str = ""


class EndForm(BaseModel):
    """Why it should end, as typed."""

    reason: str = ""


@router.get("/related-parties")
def list_relations(
    session: SessionDep,
    at: AtDep,
    caller: Side,
    waiting: Waiting = False,
    before: Before = "~",
    limit: Limit = 20,
) -> list[RelationOut]:
    """Relations of my organisation, newest first; an operator sees all."""
    return views.relation_list(
        session, caller, waiting=waiting, before=before, limit=limit, today=today_at(at)
    )


@router.post("/related-parties", status_code=201)
def declare_relation(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: HandlerOrOperator, body: RelationIn
) -> RelationOut:
    """Declare a relation of my organisation; it keeps gifts apart at once."""
    row = flows.declare(session, ports, caller, flows.NewRelation(**body.model_dump()), at=at)
    return _shown(session, row, at)


@router.get("/related-parties/{relation_id}")
def get_relation(
    session: SessionDep, at: AtDep, caller: Side, relation_id: RecordId
) -> RelationOut:
    """One relation, for both sides and for operators."""
    return _shown(session, flows.relation_for(session, caller, relation_id), at)


@router.post("/related-parties/{relation_id}/evidence")
def add_evidence(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    relation_id: RecordId,
    file: Annotated[UploadFile, File(description="a JPEG, a PNG or a PDF")],
) -> RelationOut:
    """Add the document that shows it."""
    data = read_upload(file, bytes_max=flows.EVIDENCE_BYTES_MAX)
    row = flows.add_evidence(session, ports, caller, relation_id, data=data, at=at)
    return _shown(session, row, at)


@router.get("/related-parties/{relation_id}/evidence", response_class=Response)
def get_evidence(
    session: SessionDep, ports: PortsDep, caller: Side, relation_id: RecordId
) -> Response:
    """The document that shows it."""
    row = flows.relation_for(session, caller, relation_id)
    if row.evidence_sha256 is None or row.evidence_type is None:
        raise NotFoundError("there is no such record")
    name = f"{row.id}.{SUFFIXES[row.evidence_type]}"
    return Response(
        ports.blobs.get(row.evidence_sha256),
        media_type=row.evidence_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.post("/related-parties/{relation_id}/end")
def ask_end(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    relation_id: RecordId,
    body: ReasonIn,
) -> RelationOut:
    """Say that it is over; it counts until an operator agrees."""
    row = flows.ask_end(session, ports, caller, relation_id, reason=body.reason, at=at)
    return _shown(session, row, at)


@router.post("/related-parties/{relation_id}/decision")
def decide(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    relation_id: RecordId,
    body: DecisionIn,
) -> RelationOut:
    """Confirm, refuse or end a relation."""
    row = flows.decide(
        session,
        ports,
        caller,
        relation_id,
        outcome=body.outcome,
        reason=body.reason,
        valid_to=body.valid_to,
        at=at,
    )
    return _shown(session, row, at)


@pages.get("/related-parties", response_class=HTMLResponse)
def register_page(request: Request, session: SessionDep, at: AtDep, caller: Side) -> Response:
    """The register, as it concerns me, with the form to declare a relation."""
    values = RelationForm(
        attempt=new_id("rel", at=at), kind="subsidiary", valid_from=today_at(at).isoformat()
    ).model_dump()
    return _page(request, session, caller, at, values)


@pages.post("/related-parties", response_class=HTMLResponse)
def declare_form(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    form: Annotated[RelationForm, Form()],
) -> Response:
    """Declare a relation from the page; sending the form twice declares one."""
    values = form.model_dump()
    reader = FormReader(values)
    second, kind = reader.text("second"), reader.choice("kind", flows.KINDS)
    evidence = reader.text("evidence", characters_max=flows.EVIDENCE_CHARACTERS_MAX)
    valid_from, valid_to = reader.day("valid_from"), reader.day("valid_to", required=False)
    first = reader.text("first") if caller.is_operator else caller.organisation_id or ""
    if reader.faults or valid_from is None:
        return _page(request, session, caller, at, values, reader=reader)
    try:
        with session.begin_nested():
            new = flows.NewRelation(
                id=form.attempt,
                first_id=_organisation(session, first),
                second_id=_organisation(session, second),
                kind=kind,
                evidence=evidence,
                valid_from=valid_from,
                valid_to=valid_to,
            )
            flows.declare(session, ports, caller, new, at=at)
    except FuqiError as error:
        return _page(request, session, caller, at, values, error=error)
    return go(f"/related-parties#{form.attempt}")


@pages.post("/related-parties/{relation_id}/evidence")
def evidence_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    relation_id: RecordId,
    file: Annotated[UploadFile, File()],
) -> Response:
    """Add the document from the page."""
    add_evidence(session, ports, at, caller, relation_id, file)
    return go(f"/related-parties#{relation_id}")


@pages.post("/related-parties/{relation_id}/end")
def end_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    relation_id: RecordId,
    form: Annotated[EndForm, Form()],
) -> Response:
    """Ask to end it from the page."""
    flows.ask_end(session, ports, caller, relation_id, reason=form.reason, at=at)
    return go(f"/related-parties#{relation_id}")


@pages.post("/related-parties/{relation_id}/decision")
def decision_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    relation_id: RecordId,
    form: Annotated[DecisionForm, Form()],
) -> Response:
    """Decide from the page."""
    flows.decide(
        session, ports, caller, relation_id, outcome=form.outcome, reason=form.reason, at=at
    )
    return go(f"/related-parties#{relation_id}")


def _organisation(session: Session, word: str) -> str:
    """The id typed, or the id of the one organisation of this name."""
    found = queries.organisations_named(session, word)
    if not word.startswith("pty_") and len(found) != 1:
        raise NotFoundError(
            "no organisation of this name or id is registered here", code="party.not_found"
        )
    return found[0].id if found else word


def _shown(session: Session, row: RelatedPartyRow, at: AtDep) -> RelationOut:
    return views.relations_shown(session, [row], today=today_at(at))[0]


def _page(
    request: Request,
    session: Session,
    caller: Caller,
    at: AtDep,
    values: dict[str, str],
    *,
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    relations = views.relation_list(
        session, caller, waiting=False, before="~", limit=ROWS, today=today_at(at)
    )
    return form_page(
        request,
        "related.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=FIELDS,
        kinds=flows.KINDS,
        relations=relations,
        more=len(relations) == ROWS,
        declaring=caller.has(Role.HANDLER) or caller.is_operator,
    )
