"""Urgent needs, as JSON and as pages: post one and read its decision at once; what donors are asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import BaseModel
from starlette.responses import HTMLResponse

from api.callers import Caller
from api.deps import (
    AtDep,
    Handler,
    Limit,
    Member,
    PortsDep,
    ReaderDep,
    SessionDep,
    TenantOrOperator,
    limit_attempts,
)
from api.flows import urgent
from api.flows.supply import NewNeed
from api.routes.base import pages_of
from api.routes.forms import form_page, today_at
from api.routes.supply import RecordId, own_organisation
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.urgent import (
    LiveClassOut,
    UrgentNeedIn,
    UrgentNeedOut,
    UrgentPolicyOut,
    UrgentSummaryOut,
)
from api.views import urgent as views
from api.views.public import catalogue
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.queries import supply as queries
from ledger.store import transaction

router = APIRouter(tags=["urgent needs"])

ROWS: Final = 20
HOSPITALS: Final = 50
QUANTITY_MAX: Final = 10**9
NEWEST: Final = "~"
TIER: Final = 0
"""Whatever a form says: the flow takes the policy's."""
FIELDS: Final = {
    "item.": "item",
    "specification.": "specification",
    "need.quantity": "quantity",
    "need.deadline": "deadline_on",
    "urgent.deadline": "deadline_on",
    "supply.reason": "reason",
    "not_found": "hospital_id",
}
Before = Annotated[str, Query(max_length=ID_CHARACTERS_MAX)]


class UrgentForm(BaseModel):
    """The form as typed; everything is text until `FormReader` has read it."""

    attempt: str = ""
    hospital_id: str = ""
    item: str = ""
    specification: str = ""
    quantity: str = ""
    deadline_on: str = ""
    reason: str = ""
    accepts_substitutes: str = ""


@router.post(
    "/api/v1/urgent-needs",
    status_code=201,
    responses={200: {"description": "The same need was sent before; its decision"}},
)
def post_urgent_need(
    request: Request,
    response: Response,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    body: UrgentNeedIn,
) -> UrgentNeedOut:
    """Post a need that cannot wait; the answer says what it was given, with proof and receipt."""
    limit_attempts(request, "urgent.account", who=caller.account_id)
    need = NewNeed(
        id=body.id,
        hospital_id=body.hospital_id,
        item=body.item,
        specification=body.specification,
        quantity=body.quantity,
        tier=TIER,
        deadline_on=body.deadline_on,
        remaining_days_min=body.remaining_days_min,
        accepts_substitutes=body.accepts_substitutes,
    )
    # No session of this request beside it: the decision is a transaction of its own.
    made = urgent.post_urgent_need(
        ports, caller, urgent.NewUrgentNeed(need=need, reason=body.reason), at=at
    )
    if made.created_at != at:
        response.status_code = 200
    with transaction(ports.readers) as session:
        return views.urgent_facts(session, ports, caller, made.need_id)


@router.get("/api/v1/urgent-needs")
def list_urgent_needs(
    session: SessionDep, caller: TenantOrOperator, before: Before = NEWEST, limit: Limit = ROWS
) -> list[UrgentSummaryOut]:
    """Urgent needs of the caller's hospitals, newest first; an operator sees all."""
    return views.urgent_list(session, caller, before=before, limit=limit)


@router.get("/api/v1/urgent-needs/{urgent_id}")
def get_urgent_need(
    session: SessionDep, ports: PortsDep, caller: TenantOrOperator, urgent_id: RecordId
) -> UrgentNeedOut:
    """The decision on an urgent need."""
    return views.urgent_facts(session, ports, caller, urgent_id)


@router.get("/api/v1/urgent-policy")
def get_urgent_policy(ports: PortsDep, caller: Member) -> UrgentPolicyOut:
    """Who may mark a need urgent, how often a day, and how long donors have."""
    del caller
    return views.policy_facts(ports)


@router.get("/api/v1/live")
def list_live_classes(session: SessionDep, caller: Member) -> list[LiveClassOut]:
    """Item classes whose plan is kept optimal as needs and lots come and go."""
    del caller
    return views.live_facts(session)


@router.get("/urgent", response_class=HTMLResponse, include_in_schema=False)
def urgent_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    before: Before = NEWEST,
) -> Response:
    """My urgent needs, and what my organisation is asked for as a donor."""
    found = views.urgent_list(session, caller, before=before, limit=ROWS)
    hospitals = queries.hospitals_page(
        session, organisation_id=caller.organisation_id or "-", limit=1
    )
    return pages_of(request).page(
        request,
        "urgent.html",
        caller=caller,
        urgents=found,
        asked=views.asked_of(session, caller, limit=ROWS),
        policy=views.policy_facts(ports).policy,
        hospitals=hospitals,
        next=found[-1].need_id if len(found) == ROWS else None,
        first=before == NEWEST,
        now=at,
    )


@router.get("/urgent/new", response_class=HTMLResponse, include_in_schema=False)
def urgent_form(
    request: Request, reader: ReaderDep, ports: PortsDep, at: AtDep, caller: Handler
) -> Response:
    """The form; it carries the id of this attempt."""
    values = UrgentForm(
        attempt=new_id("need", at=at),
        deadline_on=(today_at(at) + timedelta(days=1)).isoformat(),
        accepts_substitutes="yes",
    ).model_dump()
    return _form(request, reader, ports, caller, values, at=at)


@router.post("/urgent", response_class=HTMLResponse, include_in_schema=False)
def post_urgent_form(
    request: Request,
    reader: ReaderDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[UrgentForm, Form()],
) -> Response:
    """Post an urgent need from the form; sending it twice posts and decides one."""
    limit_attempts(request, "urgent.account", who=caller.account_id)
    values = form.model_dump()
    read = FormReader(values)
    hospital_id, item = read.text("hospital_id"), read.text("item")
    specification = read.text("specification", required=False, characters_max=500)
    quantity = read.integer("quantity", low=1, high=QUANTITY_MAX)
    deadline_on, reason = read.day("deadline_on"), read.text("reason", characters_max=200)
    if read.faults or quantity is None or deadline_on is None:
        return _form(request, reader, ports, caller, values, at=at, read=read)
    need = NewNeed(
        id=form.attempt,
        hospital_id=hospital_id,
        item=item,
        specification=specification,
        quantity=quantity,
        tier=TIER,
        deadline_on=deadline_on,
        accepts_substitutes=read.checked("accepts_substitutes"),
    )
    try:
        urgent.post_urgent_need(
            ports, caller, urgent.NewUrgentNeed(need=need, reason=reason), at=at
        )
    except FuqiError as error:
        return _form(request, reader, ports, caller, values, at=at, error=error)
    return go(f"/urgent/{form.attempt}")


@router.get("/urgent/{urgent_id}", response_class=HTMLResponse, include_in_schema=False)
def urgent_decision_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    urgent_id: RecordId,
) -> Response:
    """What an urgent need was given, by whom, until when they have time, and the proof."""
    facts = views.urgent_facts(session, ports, caller, urgent_id)
    return pages_of(request).page(
        request, "urgent_decision.html", caller=caller, facts=facts, now=at
    )


def _form(
    request: Request,
    reader: ReaderDep,
    ports: PortsDep,
    caller: Caller,
    values: dict[str, str],
    *,
    at: AtDep,
    read: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    hospitals = queries.hospitals_page(
        reader, organisation_id=own_organisation(caller), limit=HOSPITALS
    )
    left = {
        one.id: urgent.urgent_left(reader, ports, hospital_id=one.id, day=at.date())
        for one in hospitals
    }
    if not values["hospital_id"] and len(hospitals) == 1:
        values = {**values, "hospital_id": hospitals[0].id}
    return form_page(
        request,
        "urgent_form.html",
        caller=caller,
        values=values,
        faults=None if read is None else read.faults,
        error=error,
        fields=FIELDS,
        hospitals=hospitals,
        left=left,
        policy=views.policy_facts(ports).policy,
        items=catalogue().items,
        today=today_at(at).isoformat(),
    )
