"""Orders and leases, as JSON and as pages. Steps are stated and signed through /api/v1/custody/statements."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, File, Query, Request, UploadFile
from starlette.responses import HTMLResponse, Response

from api.callers import Role
from api.deps import AtDep, Handler, Limit, PortsDep, SessionDep, TenantOrOperator
from api.flows import manufacturing
from api.flows.manufacturing_rules import DOCUMENTS
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.routes.supply import RecordId
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.orders import FileOut, OrderOut
from api.views import orders as views
from api.views.custody_forms import PARTIES_MAX
from ledger.queries import agreements as agreement_queries
from ledger.queries import parties as party_queries

router = APIRouter(tags=["orders"])

ROWS: Final = 50
NEWEST: Final = "~"
Before = Annotated[str, Query(max_length=ID_CHARACTERS_MAX)]


@router.get("/api/v1/orders")
def list_orders(
    session: SessionDep, caller: TenantOrOperator, before: Before = NEWEST, limit: Limit = 20
) -> list[OrderOut]:
    """Orders and leases of my organisation, newest first."""
    return views.order_list(session, caller, before=before, limit=limit)


@router.get("/api/v1/orders/{order_id}")
def get_order(session: SessionDep, caller: TenantOrOperator, order_id: RecordId) -> OrderOut:
    """One order, its documents, and the steps my side can take now."""
    return views.order_facts(session, caller, order_id)


@router.post("/api/v1/orders/{order_id}/files", status_code=201)
def upload_file(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    order_id: RecordId,
    file: Annotated[UploadFile, File()],
) -> FileOut:
    """Keep a file; it becomes a document of the order when `order.document` is signed over its digest."""
    data = read_upload(file, bytes_max=ports.settings.upload_bytes_max)
    row = manufacturing.keep_file(session, ports, caller, order_id, data, at=at)
    return FileOut(sha256=row.sha256, size=row.size)


@router.get("/api/v1/orders/{order_id}/documents/{paper_id}", response_class=Response)
def get_document(
    session: SessionDep,
    ports: PortsDep,
    caller: TenantOrOperator,
    order_id: RecordId,
    paper_id: RecordId,
) -> Response:
    """The bytes of a document."""
    row = views.document_of(session, caller, order_id, paper_id)
    return Response(
        ports.blobs.get(row.sha256),
        media_type="application/octet-stream",
        headers={
            # Somebody else's bytes: never shown by the browser, only saved.
            "Content-Disposition": f'attachment; filename="{row.id}.bin"',
            "X-Content-SHA256": row.sha256,
        },
    )


@router.get("/orders", response_class=HTMLResponse, include_in_schema=False)
def orders_page(
    request: Request,
    session: SessionDep,
    caller: TenantOrOperator,
    allocation: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX)] = None,
) -> Response:
    """My orders and leases; the form to ask for a quote, filled in from the line of a round if one is named."""
    makers = [
        one
        for one in party_queries.parties_page(session, category="manufacturer", limit=PARTIES_MAX)
        if one.id != caller.organisation_id
    ]
    return pages_of(request).page(
        request,
        "orders.html",
        caller=caller,
        orders=views.order_list(session, caller, before=NEWEST, limit=ROWS),
        makers=makers,
        line=None if allocation is None else views.line_to_order(session, caller, allocation),
        handler=caller.has(Role.HANDLER) and caller.organisation_id is not None,
    )


@router.get("/orders/{order_id}", response_class=HTMLResponse, include_in_schema=False)
def order_page(
    request: Request, session: SessionDep, caller: TenantOrOperator, order_id: RecordId
) -> Response:
    """One order: where it stands, its documents, what my side can do."""
    facts = views.order_facts(session, caller, order_id)
    handler = caller.has(Role.HANDLER) and bool(facts.side)
    formed = []
    if handler and "place" in facts.possible:
        found = agreement_queries.agreements_page(
            session, organisation_id=caller.organisation_id, limit=ROWS
        )
        formed = [one for one in found if one.state == "formed"]
    return pages_of(request).page(
        request,
        "order.html",
        caller=caller,
        facts=facts,
        handler=handler,
        formed=formed,
        kinds=DOCUMENTS,
    )
