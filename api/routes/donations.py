"""Where every unit of a donation is: for its donor, for the public, as JSON and as pages."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

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
from api.flows.donation_bundle import (
    Progress,
    advance_donation_bundle,
    donation_bundle_for,
    donation_progress,
)
from api.routes.base import pages_of
from api.routes.evidence import bundle_download
from api.routes.supply import After, RecordId
from api.schemas.agreements import BundleOut
from api.schemas.donations import (
    BundleProgressOut,
    DonationBundleIn,
    DonationsOut,
    PublicWay,
    WayOut,
)
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


@router.post(
    "/api/v1/donations/bundles", status_code=201, responses={202: {"model": BundleProgressOut}}
)
def make_bundle(
    response: Response,
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    body: DonationBundleIn,
) -> BundleOut | BundleProgressOut:
    """Make one bundle about whole offers (`fuqi/donation-bundle/v1`): lots, agreements, certificates, lines.

    A large one takes several requests: while the answer is 202, send the same request again.
    """
    made = advance_donation_bundle(
        ports,
        caller,
        offer_ids=body.offer_ids,
        bundle_id=body.id,
        purpose=Purpose(body.purpose),
        recipient=body.recipient,
        at=at,
    )
    if isinstance(made, Progress):
        response.status_code = 202
        return BundleProgressOut.model_validate(made)
    return BundleOut.model_validate(made[0])


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
    bundle: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Make a bundle of the offers ticked on the page and hand it over; a large one in steps."""
    made = advance_donation_bundle(
        ports,
        caller,
        offer_ids=offer,
        bundle_id=bundle or new_id("bun", at=at),
        purpose=Purpose.PARTY,
        recipient=caller.organisation_id or caller.account_id,
        at=at,
    )
    if not isinstance(made, Progress) and not bundle:
        return bundle_download(*made)
    named = bundle or (made.id if isinstance(made, Progress) else made[0].id)
    query = urlencode([("offer", one) for one in offer])
    return RedirectResponse(f"/goods/donations/bundles/{named}?{query}", status_code=303)


@router.get(
    "/goods/donations/bundles/{donation_bundle_id}",
    response_class=HTMLResponse,
    include_in_schema=False,
)
def bundle_page(
    request: Request,
    session: SessionDep,
    caller: TenantOrOperator,
    donation_bundle_id: RecordId,
    offer: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> Response:
    """How far a large bundle has come, and where to get it."""
    facts = donation_progress(session, caller, offer_ids=offer or (), bundle_id=donation_bundle_id)
    return pages_of(request).page(request, "goods_bundle.html", caller=caller, facts=facts)


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
