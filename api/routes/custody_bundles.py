"""The bundle of a lot: made, downloaded, and handed over from the lot's page."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.deps import AtDep, PortsDep, SessionDep, TenantOrOperator
from api.flows.custody_bundle import export_lot_bundle, lot_bundle_for
from api.routes.evidence import bundle_download
from api.routes.supply import RecordId
from api.schemas.agreements import BundleIn, BundleOut
from arbitration.contents import Purpose
from ledger.core.ids import new_id

router = APIRouter(tags=["goods"])


@router.post("/api/v1/lots/{lot_id}/bundles", status_code=201)
def make_bundle(
    ports: PortsDep, at: AtDep, caller: TenantOrOperator, lot_id: RecordId, body: BundleIn
) -> BundleOut:
    """Make the bundle of a lot (`fuqi/lot-bundle/v1`): my own acts whole, of others' what custody needs."""
    row, _ = export_lot_bundle(
        ports,
        caller,
        lot_id=lot_id,
        bundle_id=body.id,
        purpose=Purpose(body.purpose),
        recipient=body.recipient,
        at=at,
    )
    return BundleOut.model_validate(row)


@router.get("/api/v1/lots/{lot_id}/bundles/{lot_bundle_id}", response_class=Response)
def get_bundle(
    session: SessionDep,
    ports: PortsDep,
    caller: TenantOrOperator,
    lot_id: RecordId,
    lot_bundle_id: RecordId,
) -> Response:
    """The bytes of a bundle that I made."""
    row = lot_bundle_for(session, caller, lot_id, lot_bundle_id)
    return bundle_download(row, ports.blobs.get(row.sha256))


@router.post("/goods/{lot_id}/bundle", include_in_schema=False)
def make_bundle_form(
    ports: PortsDep, at: AtDep, caller: TenantOrOperator, lot_id: RecordId
) -> Response:
    """Make a bundle from the lot's page and hand it over."""
    row, data = export_lot_bundle(
        ports,
        caller,
        lot_id=lot_id,
        bundle_id=new_id("bun", at=at),
        purpose=Purpose.PARTY,
        recipient=caller.organisation_id or caller.account_id,
        at=at,
    )
    return bundle_download(row, data)
