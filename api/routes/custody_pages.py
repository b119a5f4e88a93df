"""Pages: goods on their way, one lot, where an offer's units went, recalls."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from api.callers import Role
from api.deps import AtDep, Handler, SessionDep, Tenant, TenantOrOperator
from api.flows.custody_notices import PREFIX, mark_all_seen
from api.goods_papers import LABEL_CHARACTERS_MAX, label_text, read_label
from api.routes.base import pages_of
from api.routes.supply import RecordId
from api.views import custody as views
from api.views import custody_forms as forms
from api.views import recalls
from api.views.public import item_names
from api.views.rounds import own_allocations
from api.web.pages import go
from ledger.core.errors import NotFoundError
from ledger.queries import notices as notice_queries
from ledger.tables.custody import PackageRow

router = APIRouter(include_in_schema=False)

ROWS: Final = 50
NOTICES_SHOWN: Final = 20


@router.get("/goods", response_class=HTMLResponse)
def goods_page(
    request: Request, session: SessionDep, at: AtDep, caller: TenantOrOperator
) -> Response:
    """My lots, what waits for me, what is late."""
    mine = None if caller.is_operator else caller.organisation_id or "-"
    openable = []
    if caller.organisation_id is not None and caller.has(Role.HANDLER):
        lines = own_allocations(
            session, caller, round_id=None, state="accepted", after="", limit=ROWS
        )
        given = [one for one in lines if one.giving]
        openable = forms.not_all_opened(session, given)
    return pages_of(request).page(
        request,
        "goods.html",
        caller=caller,
        lots=views.lot_list(session, caller, limit=ROWS),
        tasks=views.tasks(session, organisation_id=mine),
        late=views.overdue(session, caller, at=at),
        recalls=recalls.recall_list(session, caller),
        openable=openable,
        notices=[]
        if caller.organisation_id is None
        else notice_queries.unseen_of(
            session, caller.organisation_id, prefix=PREFIX, limit=NOTICES_SHOWN
        ),
    )


@router.post("/goods/notices/seen")
def notices_seen(session: SessionDep, at: AtDep, caller: Tenant) -> Response:
    """Mark what the page showed as seen."""
    mark_all_seen(session, caller, at=at)
    return go("/goods")


@router.get("/goods/scan", response_class=HTMLResponse)
def scan_page(
    request: Request,
    session: SessionDep,
    caller: TenantOrOperator,
    code: Annotated[str, Query(max_length=LABEL_CHARACTERS_MAX)] = "",
) -> Response:
    """Where a scanned label leads."""
    del request
    row = session.get(PackageRow, read_label(code))
    if row is None:
        raise NotFoundError("there is no such record")
    views.lot_for(session, caller, row.lot_id)
    return go(f"/goods/{row.lot_id}#package-{row.number}")


@router.get("/goods/batches", response_class=HTMLResponse)
def batches_page(request: Request, session: SessionDep, caller: Handler) -> Response:
    """Every batch my organisation holds, and the recalls that reach it."""
    return pages_of(request).page(
        request,
        "goods_batches.html",
        caller=caller,
        held=recalls.own_batches(session, caller, caller.organisation_id or ""),
        recalls=recalls.recall_list(session, caller),
    )


@router.get("/goods/recalls/{recall_id}", response_class=HTMLResponse)
def recall_page(
    request: Request, session: SessionDep, caller: TenantOrOperator, recall_id: RecordId
) -> Response:
    """A recall and everybody it reaches."""
    return pages_of(request).page(
        request,
        "recall.html",
        caller=caller,
        facts=recalls.recall_facts(session, caller, recall_id),
    )


@router.get("/goods/new/{allocation_id}", response_class=HTMLResponse)
def open_page(
    request: Request, session: SessionDep, caller: Handler, allocation_id: RecordId
) -> Response:
    """The form with which a lot of an accepted line is opened."""
    line, offer, agreement, left = forms.openable_line(session, caller, allocation_id)
    return pages_of(request).page(
        request,
        "goods_open.html",
        caller=caller,
        line=line,
        offer=offer,
        agreement=agreement,
        left=left,
        item_name=item_names,
    )


@router.get("/goods/{lot_id}", response_class=HTMLResponse)
def lot_page(
    request: Request, session: SessionDep, at: AtDep, caller: TenantOrOperator, lot_id: RecordId
) -> Response:
    """A lot: where its units are, its boxes, hand-overs, everything that can be done with it."""
    facts = views.lot_facts(session, caller, lot_id, at=at)
    own = {
        one.shelf: one.quantity for one in facts.places if one.holder_id == caller.organisation_id
    }
    return pages_of(request).page(
        request,
        "lot.html",
        caller=caller,
        facts=facts,
        own=own,
        partners=forms.partners_of(session, caller, facts),
        handler=caller.has(Role.HANDLER) and caller.organisation_id is not None,
        label=label_text,
    )
