"""Pages: my needs and offers, post a need, post an offer, withdraw either."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Handler, PortsDep, SessionDep
from api.flows import supply
from api.routes.base import pages_of
from api.routes.forms import form_page, today_at
from api.routes.supply import RecordId, own_organisation
from api.schemas.board import TIERS
from api.views.public import catalogue, item_names
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.queries import supply as queries
from matching.problem import Place

router = APIRouter(include_in_schema=False)

ROWS: Final = 50
QUANTITY_MAX: Final = 10**9
REMAINING_DAYS_MAX: Final = 3650
CERTIFICATE_MAX: Final = 2
SPECIFICATION_CHARACTERS_MAX: Final = 500
KINDS: Final = ("lot", "capacity")
NEED_FIELDS: Final = {
    "item.": "item",
    "specification.": "specification",
    "need.quantity": "quantity",
    "need.deadline": "deadline_on",
    "need.remaining_days": "remaining_days_min",
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
    "offer.certificate": "certificate",
    "offer.place": "longitude",
    "offer.standard": "standard",
}
WITHDRAWN_BY_OWNER: Final = "withdrawn on the page of needs and offers"


class NeedForm(BaseModel):
    """The form as typed; everything is text until `FormReader` has read it."""

    attempt: str = ""
    hospital_id: str = ""
    item: str = ""
    specification: str = ""
    quantity: str = ""
    urgency: str = ""
    deadline_on: str = ""
    remaining_days_min: str = ""
    accepts_substitutes: str = ""


class OfferForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    kind: str = ""
    item: str = ""
    quantity: str = ""
    windows: str = ""
    province: str = ""
    city: str = ""
    longitude: str = ""
    latitude: str = ""
    available_on: str = ""
    produced_on: str = ""
    expires_on: str = ""
    batch_number: str = ""
    standard: str = ""
    edition: str = ""
    certificate: str = ""
    sterile: str = ""


@router.get("/supply", response_class=HTMLResponse)
def supply_page(request: Request, session: SessionDep, caller: Handler) -> Response:
    """Needs and offers of my organisation."""
    mine = own_organisation(caller)
    needs = queries.needs_page(session, state=None, organisation_id=mine, limit=ROWS)
    offers = queries.offers_page(session, state=None, organisation_id=mine, limit=ROWS)
    return pages_of(request).page(
        request,
        "supply.html",
        caller=caller,
        needs=needs,
        offers=offers,
        hospitals=queries.hospitals_page(session, organisation_id=mine, limit=1),
        item_name=item_names,
        tiers=TIERS,
        rows=ROWS,
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
    hospital_id = reader.text("hospital_id")
    item = reader.text("item")
    specification = reader.text(
        "specification", required=False, characters_max=SPECIFICATION_CHARACTERS_MAX
    )
    quantity = reader.integer("quantity", low=1, high=QUANTITY_MAX)
    urgency = reader.choice("urgency", TIERS)
    deadline_on = reader.day("deadline_on")
    remaining = reader.integer("remaining_days_min", low=0, high=REMAINING_DAYS_MAX, required=False)
    if reader.faults or quantity is None or deadline_on is None:
        return _need_page(request, session, caller, values, at=at, reader=reader)
    try:
        # A refusal undoes this step only: the form is then shown from the same transaction.
        with session.begin_nested():
            supply.post_need(
                session,
                ports,
                caller,
                supply.NewNeed(
                    id=form.attempt,
                    hospital_id=hospital_id,
                    item=item,
                    specification=specification,
                    quantity=quantity,
                    tier=tuple(TIERS).index(urgency),
                    deadline_on=deadline_on,
                    remaining_days_min=remaining,
                    accepts_substitutes=reader.checked("accepts_substitutes"),
                ),
                at=at,
            )
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
    return _offer_page(request, caller, values)


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
    offer = _read_offer(reader)
    if offer is None:
        return _offer_page(request, caller, values, reader=reader)
    try:
        with session.begin_nested():
            supply.post_offer(session, ports, caller, offer, at=at)
    except FuqiError as error:
        return _offer_page(request, caller, values, error=error)
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


def _read_offer(reader: FormReader) -> supply.NewOffer | None:
    """The offer, or None with its faults in the reader."""
    kind = reader.choice("kind", KINDS)
    capacity = kind == "capacity"
    item = reader.choice("item", tuple(catalogue().items))
    quantity = reader.integer("quantity", low=1, high=QUANTITY_MAX)
    windows = reader.integer("windows", low=1, high=supply.WINDOWS_MAX) if capacity else 1
    province, city = reader.text("province"), reader.text("city")
    longitude, latitude = (
        reader.degrees("longitude", limit=180),
        reader.degrees("latitude", limit=90),
    )
    available_on = reader.day("available_on")
    produced_on = None if capacity else reader.day("produced_on")
    expires_on = None if capacity else reader.day("expires_on", required=False)
    batch_number = "" if capacity else reader.text("batch_number", characters_max=60)
    standard = reader.text("standard", required=False) or None
    edition = reader.text("edition", required=False) or None
    certificate = reader.integer("certificate", low=0, high=CERTIFICATE_MAX)
    missing = None in (quantity, windows, longitude, latitude, available_on, certificate)
    if reader.faults or missing:
        return None
    assert quantity is not None and windows is not None and certificate is not None  # noqa: PT018
    assert longitude is not None and latitude is not None and available_on is not None  # noqa: PT018
    return supply.NewOffer(
        id=reader.values["attempt"],
        kind=kind,
        item=item,
        quantity=quantity,
        place=Place(
            province=province, city=city, longitude_micro=longitude, latitude_micro=latitude
        ),
        available_on=available_on,
        windows=windows,
        produced_on=produced_on,
        expires_on=expires_on,
        batch_number=batch_number,
        standard=standard,
        edition=edition,
        certificate=certificate,
        sterile=reader.checked("sterile"),
    )


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
        items=catalogue().items,
        kinds=KINDS,
        windows_max=supply.WINDOWS_MAX,
    )
