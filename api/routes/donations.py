"""Where every unit of a donation is: for its donor, for the public, as JSON and as pages."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from api.deps import (
    PUBLIC,
    AtDep,
    Limit,
    PortsDep,
    SessionDep,
    Tenant,
    TenantOrOperator,
    Visitor,
)
from api.flows.donation_bundle import donation_bundle_for, export_donation_bundle
from api.routes.base import pages_of
from api.routes.evidence import bundle_download
from api.routes.supply import After, RecordId
from api.schemas.agreements import BundleOut
from api.schemas.donations import DonationBundleIn, DonationsOut, PublicWay, WayOut
from api.views import donations as views
from arbitration.contents import Purpose
from ledger.core.ids import new_id

router = APIRouter(tags=["goods"])

ROWS: Final = 20
Item = Annotated[str | None, Query(max_length=40, description="catalogue item")]


@router.get("/api/v1/offers/{offer_id}/way")
def get_way(session: SessionDep, caller: TenantOrOperator, offer_id: RecordId) -> WayOut:
    """Where every unit of my offer is, over all rounds, urgent decisions, lots and batches."""
    return views.offer_way(session, caller, offer_id)


@router.get("/api/v1/donations")
def get_donations(
    session: SessionDep, caller: Tenant, item: Item = None, after: After = "", limit: Limit = 20
) -> DonationsOut:
    """Where every unit of all my offers is; the sums are over all of them, the list is paged."""
    return views.donations(session, caller, item=item or None, after=after, limit=limit)


@router.get("/api/v1/disclosure/donations/{offer_id}", dependencies=[Depends(PUBLIC)])
def get_public_way(session: SessionDep, offer_id: RecordId) -> PublicWay:
    """Where every unit of a donation is, for everybody: no people, no wards, natural persons masked."""
    return views.public_way(session, offer_id)


@router.post("/api/v1/donations/bundles", status_code=201)
def make_bundle(
    ports: PortsDep, at: AtDep, caller: TenantOrOperator, body: DonationBundleIn
) -> BundleOut:
    """Make one bundle about whole offers (`fuqi/donation-bundle/v1`): lots, agreements, certificates, lines."""
    row, _ = export_donation_bundle(
        ports,
        caller,
        offer_ids=body.offer_ids,
        bundle_id=body.id,
        purpose=Purpose(body.purpose),
        recipient=body.recipient,
        at=at,
    )
    return BundleOut.model_validate(row)


@router.get("/api/v1/donations/bundles/{donation_bundle_id}", response_class=Response)
def get_bundle(
    session: SessionDep, ports: PortsDep, caller: TenantOrOperator, donation_bundle_id: RecordId
) -> Response:
    """The bytes of a bundle that I made."""
    row = donation_bundle_for(session, caller, donation_bundle_id)
    return bundle_download(row, ports.blobs.get(row.sha256))


@router.post("/goods/donations/bundle", include_in_schema=False)
def make_bundle_form(
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    offer: Annotated[list[str], Form(max_length=20)],
) -> Response:
    """Make a bundle of the offers ticked on the page and hand it over."""
    row, data = export_donation_bundle(
        ports,
        caller,
        offer_ids=offer,
        bundle_id=new_id("bun", at=at),
        purpose=Purpose.PARTY,
        recipient=caller.organisation_id or caller.account_id,
        at=at,
    )
    return bundle_download(row, data)


@router.get("/goods/donations", response_class=HTMLResponse, include_in_schema=False)
def donations_page(
    request: Request, session: SessionDep, caller: Tenant, item: Item = None, after: After = ""
) -> Response:
    """All my offers together."""
    return pages_of(request).page(
        request,
        "goods_donations.html",
        caller=caller,
        facts=views.donations(session, caller, item=item or None, after=after, limit=ROWS),
        item=item or "",
    )


@router.get("/goods/offers/{offer_id}", response_class=HTMLResponse, include_in_schema=False)
def way_page(
    request: Request, session: SessionDep, caller: TenantOrOperator, offer_id: RecordId
) -> Response:
    """Where every unit of my offer is."""
    return pages_of(request).page(
        request,
        "goods_way.html",
        caller=caller,
        facts=views.offer_way(session, caller, offer_id),
    )


@router.get(
    "/disclosure/donations/{offer_id}", response_class=HTMLResponse, include_in_schema=False
)
def public_way_page(
    request: Request, session: SessionDep, caller: Visitor, offer_id: RecordId
) -> Response:
    """Where every unit of a donation is, for everybody."""
    return pages_of(request).page(
        request,
        "disclosure_way.html",
        caller=caller,
        facts=views.public_way(session, offer_id),
    )
