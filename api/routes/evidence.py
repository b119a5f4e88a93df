"""Receipts, the trust file and bundles, as JSON, download and page."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from api.deps import PUBLIC, AtDep, Member, PortsDep, SessionDep, TenantOrOperator
from api.flows import evidence, exporting
from api.routes.base import pages_of
from api.routes.supply import RecordId
from api.schemas.agreements import BundleIn, BundleOut
from api.views.agreements import bundle_for
from arbitration.contents import Purpose
from ledger.core.ids import new_id
from ledger.tables.agreements import BundleRow

router = APIRouter(tags=["evidence"])

BUNDLE_TYPE = "application/zip"


@router.get("/api/v1/entries/{entry_id}/receipt")
def receipt(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Member, entry_id: RecordId
) -> dict[str, Any]:
    """The receipt of an entry (`fuqi/receipt/v1`), with its private body for those it is about.

    `status` is the log's signed word on what came later, as of this request.
    """
    return dict(evidence.receipt_for(session, ports, caller, entry_id, at=at))


@router.get("/entries/{entry_id}", response_class=HTMLResponse, include_in_schema=False)
def receipt_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Member,
    entry_id: RecordId,
) -> Response:
    """The receipt for people: what it says, what a check of it finds, and how to check it elsewhere."""
    found: dict[str, Any] = dict(evidence.receipt_for(session, ports, caller, entry_id, at=at))
    log, anchor = found["log"], found["anchor"]
    return pages_of(request).page(
        request,
        "receipt.html",
        caller=caller,
        receipt=found,
        entry=json.loads(base64.b64decode(found["entry"]["bytes"])),
        # One line is the log's own; what the page calls cosignatures, the check below verifies.
        cosignatures=0 if log is None else log["note"].count("\n— ") - 1,
        anchored_at=None if anchor is None else datetime.fromtimestamp(anchor["block_time"], UTC),
        report=evidence.receipt_report(session, ports, found, at=at).as_json(),
        entry_id=entry_id,
    )


@router.get("/api/v1/trust", dependencies=[Depends(PUBLIC)])
def trust(session: SessionDep, ports: PortsDep, at: AtDep) -> dict[str, Any]:
    """What a verifier pins: roots, log key, chain and contract (`fuqi/trust/v1`)."""
    return evidence.installation_trust(session, ports, at=at).as_json()


@router.post("/api/v1/agreements/{agreement_id}/bundles", status_code=201)
def export_bundle(
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    agreement_id: RecordId,
    body: BundleIn,
) -> BundleOut:
    """Make the evidence bundle of a formed agreement; download it under its id."""
    row, _ = exporting.export_bundle(
        ports,
        caller,
        agreement_id=agreement_id,
        bundle_id=body.id,
        purpose=Purpose(body.purpose),
        recipient=body.recipient,
        at=at,
    )
    return BundleOut.model_validate(row)


@router.get("/api/v1/bundles/{bundle_id}", response_class=Response)
def get_bundle(
    session: SessionDep, ports: PortsDep, caller: TenantOrOperator, bundle_id: RecordId
) -> Response:
    """The bytes of an exported bundle."""
    row = bundle_for(session, caller, bundle_id)
    return bundle_download(row, ports.blobs.get(row.sha256))


@router.post("/agreements/{agreement_id}/bundle", include_in_schema=False)
def export_bundle_form(
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    agreement_id: RecordId,
) -> Response:
    """Make a bundle from the agreement's page and hand it over."""
    row, data = exporting.export_bundle(
        ports,
        caller,
        agreement_id=agreement_id,
        bundle_id=new_id("bun", at=at),
        purpose=Purpose.PARTY,
        recipient=caller.organisation_id or caller.account_id,
        at=at,
    )
    return bundle_download(row, data)


def bundle_download(row: BundleRow, data: bytes) -> Response:
    """A bundle as a file, with its digest in a header."""
    return Response(
        data,
        media_type=BUNDLE_TYPE,
        headers={
            "Content-Disposition": f'attachment; filename="{row.id}.zip"',
            "X-Content-SHA256": row.sha256,
        },
    )
