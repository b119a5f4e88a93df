"""Resources that offers share and lanes of carriers, as JSON and as pages."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import (
    AtDep,
    Handler,
    HandlerOrOperator,
    Limit,
    PortsDep,
    SessionDep,
    TenantOrOperator,
)
from api.flows import lanes, resources
from api.flows.supply_rules import WINDOWS_MAX
from api.routes.forms import form_page, today_at
from api.routes.supply import After, RecordId, own_organisation
from api.schemas.agreements import ReasonIn
from api.schemas.supply import LaneIn, LaneOut, ResourceIn, ResourceOut
from api.web.forms import Fault, FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.core.units import QUANTITY_MAX
from ledger.queries import supply_limits as queries
from matching.problem import RESOURCE_KINDS, Place

router = APIRouter(prefix="/api/v1", tags=["supply"])
pages = APIRouter(include_in_schema=False)

WITHDRAWN_BY_OWNER: Final = "withdrawn on the page of needs and offers"
NATIONWIDE: Final = "*"
RESOURCE_FIELDS: Final = {
    "resource.name": "name",
    "resource.unit": "unit",
    "resource.window": "available_on",
    "resource.invalid": "capacity",
}
LANE_FIELDS: Final = {"lane.origin": "origin", "lane.place": "city", "lane.dates": "open_to"}


class ResourceForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    kind: str = ""
    name: str = ""
    unit: str = ""
    capacity: str = ""
    available_on: str = ""
    windows: str = ""


class LaneForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    origin: str = ""
    province: str = ""
    city: str = ""
    longitude: str = ""
    latitude: str = ""
    individuals: str = ""
    open_from: str = ""
    open_to: str = ""


@router.get("/resources")
def list_resources(
    session: SessionDep, caller: TenantOrOperator, after: After = "", limit: Limit = 20
) -> list[ResourceOut]:
    """Resources of the caller's organisation, withdrawn ones included."""
    rows = queries.resources_page(
        session, organisation_id=own_organisation(caller), after=after, limit=limit
    )
    return [ResourceOut.model_validate(row) for row in rows]


@router.post("/resources", status_code=201)
def post_resource(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: ResourceIn
) -> ResourceOut:
    """Post a resource."""
    new = resources.NewResource(
        id=body.id,
        kind=body.kind,
        name=body.name,
        unit=body.unit,
        capacity=body.capacity,
        available_on=body.available_on,
        windows=body.windows,
    )
    return ResourceOut.model_validate(resources.post_resource(session, ports, caller, new, at=at))


@router.post("/resources/{resource_id}/withdraw")
def withdraw_resource(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    resource_id: RecordId,
    body: ReasonIn,
) -> ResourceOut:
    """Withdraw a resource that no open offer draws on."""
    row = resources.withdraw_resource(
        session, ports, caller, resource_id=resource_id, reason=body.reason, at=at
    )
    return ResourceOut.model_validate(row)


@router.get("/lanes")
def list_lanes(
    session: SessionDep, caller: TenantOrOperator, after: After = "", limit: Limit = 20
) -> list[LaneOut]:
    """Lanes of the caller's organisation, withdrawn ones included; an operator sees all."""
    rows = queries.lanes_of(
        session, organisation_id=own_organisation(caller), after=after, limit=limit
    )
    return [LaneOut.model_validate(row) for row in rows]


@router.post("/lanes", status_code=201)
def post_lane(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: LaneIn
) -> LaneOut:
    """Publish a lane; for registered carriers."""
    place = body.destination
    new = lanes.NewLane(
        id=body.id,
        origin=body.origin,
        destination=Place(place.province, place.city, place.longitude_micro, place.latitude_micro),
        individuals=body.individuals,
        open_from=body.open_from,
        open_to=body.open_to,
    )
    return LaneOut.model_validate(lanes.post_lane(session, ports, caller, new, at=at))


@router.post("/lanes/{lane_id}/withdraw")
def withdraw_lane(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    lane_id: RecordId,
    body: ReasonIn,
) -> LaneOut:
    """Withdraw a lane. What was allocated over it stays."""
    row = lanes.withdraw_lane(session, ports, caller, lane_id=lane_id, reason=body.reason, at=at)
    return LaneOut.model_validate(row)


@pages.get("/supply/resources/new", response_class=HTMLResponse)
def resource_form(request: Request, at: AtDep, caller: Handler) -> Response:
    """The form to post a resource with; it carries the id of this attempt."""
    values = ResourceForm(
        attempt=new_id("res", at=at),
        kind="line",
        unit="minute",
        available_on=today_at(at).isoformat(),
        windows="1",
    ).model_dump()
    return _resource_page(request, caller, values)


@pages.post("/supply/resources", response_class=HTMLResponse)
def post_resource_form(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[ResourceForm, Form()],
) -> Response:
    """Post a resource from the page; sending the form twice posts one."""
    values = form.model_dump()
    reader = FormReader(values)
    kind, name = reader.choice("kind", RESOURCE_KINDS), reader.text("name")
    unit = reader.choice("unit", resources.UNITS)
    capacity = reader.integer("capacity", low=1, high=QUANTITY_MAX)
    available_on = reader.day("available_on")
    windows = reader.integer("windows", low=1, high=WINDOWS_MAX)
    if reader.faults or capacity is None or available_on is None or windows is None:
        return _resource_page(request, caller, values, faults=reader.faults)
    new = resources.NewResource(
        id=form.attempt,
        kind=kind,
        name=name,
        unit=unit,
        capacity=capacity,
        available_on=available_on,
        windows=windows,
    )
    try:
        with session.begin_nested():
            resources.post_resource(session, ports, caller, new, at=at)
    except FuqiError as error:
        return _resource_page(request, caller, values, error=error)
    return go("/supply#resources")


@pages.post("/supply/resources/{resource_id}/withdraw")
def withdraw_resource_form(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, resource_id: RecordId
) -> Response:
    """Withdraw a resource."""
    resources.withdraw_resource(
        session, ports, caller, resource_id=resource_id, reason=WITHDRAWN_BY_OWNER, at=at
    )
    return go("/supply#resources")


@pages.get("/supply/lanes/new", response_class=HTMLResponse)
def lane_form(request: Request, at: AtDep, caller: Handler) -> Response:
    """The form to publish a lane with."""
    values = LaneForm(
        attempt=new_id("lane", at=at), origin=NATIONWIDE, open_from=today_at(at).isoformat()
    ).model_dump()
    return _lane_page(request, caller, values)


@pages.post("/supply/lanes", response_class=HTMLResponse)
def post_lane_form(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[LaneForm, Form()],
) -> Response:
    """Publish a lane from the page; sending the form twice publishes one."""
    values = form.model_dump()
    reader = FormReader(values)
    origin = reader.choice("origin", (NATIONWIDE, *lanes.provinces()))
    province, city = reader.choice("province", lanes.provinces()), reader.text("city")
    longitude = reader.degrees("longitude", limit=180)
    latitude = reader.degrees("latitude", limit=90)
    open_from, open_to = reader.day("open_from"), reader.day("open_to", required=False)
    if reader.faults or longitude is None or latitude is None or open_from is None:
        return _lane_page(request, caller, values, faults=reader.faults)
    new = lanes.NewLane(
        id=form.attempt,
        origin=None if origin == NATIONWIDE else origin,
        destination=Place(province, city, longitude, latitude),
        individuals=reader.checked("individuals"),
        open_from=open_from,
        open_to=open_to,
    )
    try:
        with session.begin_nested():
            lanes.post_lane(session, ports, caller, new, at=at)
    except FuqiError as error:
        return _lane_page(request, caller, values, error=error)
    return go("/supply#lanes")


@pages.post("/supply/lanes/{lane_id}/withdraw")
def withdraw_lane_form(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, lane_id: RecordId
) -> Response:
    """Withdraw a lane."""
    lanes.withdraw_lane(session, ports, caller, lane_id=lane_id, reason=WITHDRAWN_BY_OWNER, at=at)
    return go("/supply#lanes")


def _resource_page(
    request: Request,
    caller: Caller,
    values: dict[str, str],
    *,
    faults: dict[str, Fault] | None = None,
    error: FuqiError | None = None,
) -> Response:
    return form_page(
        request,
        "resource_form.html",
        caller=caller,
        values=values,
        faults=faults,
        error=error,
        fields=RESOURCE_FIELDS,
        kinds=RESOURCE_KINDS,
        units=resources.UNITS,
        windows_max=WINDOWS_MAX,
    )


def _lane_page(
    request: Request,
    caller: Caller,
    values: dict[str, str],
    *,
    faults: dict[str, Fault] | None = None,
    error: FuqiError | None = None,
) -> Response:
    return form_page(
        request,
        "lane_form.html",
        caller=caller,
        values=values,
        faults=faults,
        error=error,
        fields=LANE_FIELDS,
        provinces=lanes.provinces(),
        nationwide=NATIONWIDE,
    )
