"""Pages: my needs and offers, post a need, post an offer, withdraw either."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Handler, PortsDep, SessionDep
from api.flows import supply
from api.flows.lanes import is_carrier, provinces
from api.flows.supply_rules import WINDOWS_MAX
from api.routes.base import pages_of
from api.routes.forms import form_page, today_at
from api.routes.supply import RecordId, own_organisation
from api.routes.supply_reading import KINDS, NeedForm, OfferForm, read_need, read_offer
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.board import TIERS
from api.views.outcomes import reason_texts
from api.views.public import catalogue, item_names
from api.views.supply import why_unusable
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.queries import supply as queries
from ledger.queries import supply_limits as limit_queries
from ledger.queries.live import urgent_among
from matching.catalogue import Item
from matching.services import SERVICE_PREFIX

router = APIRouter(include_in_schema=False)

ROWS: Final = 50
NEWEST: Final = "~"
"""Sorts after every id."""
Before = Annotated[str, Query(max_length=ID_CHARACTERS_MAX)]
NEED_FIELDS: Final = {
    "item.": "item",
    "specification.": "specification",
    "need.quantity": "quantity",
    "need.deadline": "deadline_on",
    "need.remaining_days": "remaining_days_min",
    "need.certificate": "certificate_min",
    "not_found": "hospital_id",
}
OFFER_FIELDS: Final = {
    "item.": "item",
    "offer.kind": "kind",
    "offer.quantity": "quantity",
    "offer.windows": "windows",
    "offer.produced": "produced_on",
    "offer.dates": "expires_on",
    "offer.expir": "expires_on",
    "offer.batch": "batch_number",
    "offer.window_past": "available_on",
    "offer.pack": "pack",
    "offer.receivers_max": "receivers_max",
    "offer.resource_capacity": "per_unit",
    "offer.resource": "resource_id",
    "resource.": "resource_id",
    "offer.directed": "directed_to",
    "offer.hospital": "directed_to",
    "offer.certificate": "certificate",
    "offer.place": "longitude",
    "offer.standard": "standard",
}
WITHDRAWN_BY_OWNER: Final = "withdrawn on the page of needs and offers"


@router.get("/supply", response_class=HTMLResponse)
def supply_page(
    request: Request,
    session: SessionDep,
    caller: Handler,
    needs_before: Before = NEWEST,
    offers_before: Before = NEWEST,
) -> Response:
    """Needs and offers of my organisation, newest first."""
    mine = own_organisation(caller)
    needs = queries.needs_page(
        session, state=None, organisation_id=mine, before=needs_before, limit=ROWS
    )
    offers = queries.offers_page(
        session, state=None, organisation_id=mine, before=offers_before, limit=ROWS
    )
    resources = limit_queries.resources_page(session, organisation_id=mine, limit=ROWS)
    return pages_of(request).page(
        request,
        "supply.html",
        caller=caller,
        needs=needs,
        held=queries.held_of_needs(session, [need.id for need, _ in needs]),
        rounds=queries.newest_rounds_of_needs(session, [need.id for need, _ in needs]),
        urgent=urgent_among(session, [need.id for need, _ in needs]),
        offers=offers,
        resources=resources,
        unusable={one.id: why_unusable(one) for one in offers},
        reason_text=reason_texts,
        resource_names={one.id: one.name for one in resources},
        lanes=limit_queries.lanes_of(session, organisation_id=mine, limit=ROWS),
        carrier=is_carrier(session, caller),
        hospitals=queries.hospitals_page(session, organisation_id=mine, limit=1),
        item_name=item_names,
        tiers=TIERS,
        next_need=needs[-1][0].id if len(needs) == ROWS else None,
        next_offer=offers[-1].id if len(offers) == ROWS else None,
    )


@router.get("/supply/needs/new", response_class=HTMLResponse)
def need_form(request: Request, session: SessionDep, at: AtDep, caller: Handler) -> Response:
    """The form to post a need with; it carries the id of this attempt."""
    values = NeedForm(
        attempt=new_id("need", at=at), urgency="high", accepts_substitutes="yes"
    ).model_dump()
    return _need_page(request, session, caller, values, at=at)


@router.post("/supply/needs", response_class=HTMLResponse)
def post_need(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[NeedForm, Form()],
) -> Response:
    """Post a need. The id comes from the form, so that sending it twice posts one need."""
    values = form.model_dump()
    reader = FormReader(values)
    need = read_need(reader)
    if need is None:
        return _need_page(request, session, caller, values, at=at, reader=reader)
    try:
        # A refusal undoes this step only: the form is then shown from the same transaction.
        with session.begin_nested():
            supply.post_need(session, ports, caller, need, at=at)
    except FuqiError as error:
        return _need_page(request, session, caller, values, at=at, error=error)
    return go("/supply#needs")


@router.get("/supply/offers/new", response_class=HTMLResponse)
def offer_form(request: Request, session: SessionDep, at: AtDep, caller: Handler) -> Response:
    """The form to post an offer with; the place is the one of the last offer."""
    values = OfferForm(
        attempt=new_id("offer", at=at),
        kind="lot",
        windows="1",
        certificate="0",
        available_on=today_at(at).isoformat(),
        donor_kind="organisation",
        pack="1",
        smallest="1",
    ).model_dump()
    earlier = queries.offers_page(
        session, state=None, organisation_id=own_organisation(caller), limit=ROWS
    )
    if earlier:
        last = earlier[-1]
        values |= {
            "province": last.province,
            "city": last.city,
            "longitude": show_degrees(last.longitude_micro),
            "latitude": show_degrees(last.latitude_micro),
        }
    return _offer_page(request, session, caller, values)


@router.post("/supply/offers", response_class=HTMLResponse)
def post_offer(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[OfferForm, Form()],
) -> Response:
    """Post a lot or a capacity."""
    values = form.model_dump()
    reader = FormReader(values)
    offer = read_offer(reader, session)
    if offer is None:
        return _offer_page(request, session, caller, values, reader=reader)
    try:
        with session.begin_nested():
            supply.post_offer(session, ports, caller, offer, at=at)
    except FuqiError as error:
        return _offer_page(request, session, caller, values, error=error)
    return go("/supply#offers")


@router.post("/supply/needs/{need_id}/withdraw")
def withdraw_need(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, need_id: RecordId
) -> Response:
    """Withdraw a need."""
    supply.withdraw_need(session, ports, caller, need_id=need_id, reason=WITHDRAWN_BY_OWNER, at=at)
    return go("/supply#needs")


@router.post("/supply/offers/{offer_id}/withdraw")
def withdraw_offer(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, offer_id: RecordId
) -> Response:
    """Withdraw an offer."""
    supply.withdraw_offer(
        session, ports, caller, offer_id=offer_id, reason=WITHDRAWN_BY_OWNER, at=at
    )
    return go("/supply#offers")


def show_degrees(micro: int) -> str:
    """`114.305` for 114305000; exact, since no float is involved."""
    sign = "-" if micro < 0 else ""
    whole, part = divmod(abs(micro), 10**6)
    return f"{sign}{whole}.{part:06d}".rstrip("0").rstrip(".")


def item_groups() -> list[tuple[str, list[Item]]]:
    """Goods and services, each under its heading."""
    items = list(catalogue().items.values())
    services = [one for one in items if one.id.startswith(SERVICE_PREFIX)]
    return [
        ("offer.goods", [one for one in items if one not in services]),
        ("offer.services", services),
    ]


def _need_page(
    request: Request,
    session: Session,
    caller: Caller,
    values: dict[str, str],
    *,
    at: datetime,
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    hospitals = queries.hospitals_page(
        session, organisation_id=own_organisation(caller), limit=ROWS
    )
    if not values["hospital_id"] and len(hospitals) == 1:
        values = {**values, "hospital_id": hospitals[0].id}
    return form_page(
        request,
        "need_form.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=NEED_FIELDS,
        hospitals=hospitals,
        items=catalogue().items,
        tiers=TIERS,
        today=today_at(at).isoformat(),
    )


def _offer_page(
    request: Request,
    session: Session,
    caller: Caller,
    values: dict[str, str],
    *,
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    return form_page(
        request,
        "offer_form.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=OFFER_FIELDS,
        item_groups=item_groups(),
        provinces=provinces(),
        resources=limit_queries.resources_page(
            session, organisation_id=own_organisation(caller), state="open", limit=ROWS
        ),
        kinds=KINDS,
        windows_max=WINDOWS_MAX,
    )
