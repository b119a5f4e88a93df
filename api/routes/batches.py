"""Many documents read one by one and signed by one statement: the API and its two pages."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import HTMLResponse, Response

from api.callers import require_organisation
from api.deps import AtDep, Handler, Limit, PortsDep, SessionDep
from api.flows import batches, bulk
from api.routes.accounts import from_base64
from api.routes.base import pages_of
from api.schemas.agreements import ProofIn
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.batches import BatchIn, BatchOut, WaitingList
from api.views.batches import batch_facts, waiting_list
from api.web.pages import go
from ledger.core.ids import new_id
from ledger.queries.parties import parties_by_ids
from ledger.queries.seals import seals_in_force, usable_seals
from signing.annexes import ClauseKind
from signing.batch_intent import ITEMS_MAX

router = APIRouter(prefix="/api/v1", tags=["batches"])
pages = APIRouter(include_in_schema=False)
BULK_CLAUSE_ROWS = 3
"""Rows of the page; more clauses come through the API."""

BatchId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]
Before = Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX)]


@router.get("/waiting")
def list_waiting(
    session: SessionDep, caller: Handler, before: Before = None, limit: Limit = 50
) -> WaitingList:
    """The caller's own places that are to be signed or approved, newest first."""
    return waiting_list(session, caller, before=before, limit=limit)


@router.post("/batches", status_code=201)
def open_batch(session: SessionDep, at: AtDep, caller: Handler, body: BatchIn) -> BatchOut:
    """Put the caller's own open places together."""
    row = batches.open_batch(
        session,
        caller,
        batches.NewBatch(
            id=body.id,
            signers=None if body.signers is None else tuple(body.signers),
            act=body.act,
            seal=body.seal_id,
            seals=body.seals,
            leave_out=body.leave_out,
        ),
        at=at,
    )
    return batch_facts(session, row, at=at)


@router.get("/batches/{batch_id}")
def get_batch(session: SessionDep, at: AtDep, caller: Handler, batch_id: BatchId) -> BatchOut:
    """The batch, and how far each of its documents is."""
    return batch_facts(session, batches.batch_for(session, caller, batch_id), at=at)


@router.post("/batches/{batch_id}/leave-out")
def leave_out(session: SessionDep, at: AtDep, caller: Handler, batch_id: BatchId) -> BatchOut:
    """Take out what cannot be affirmed any more; the reasons stay with the batch."""
    row = batches.leave_out(session, caller, batch_id, at=at)
    return batch_facts(session, row, at=at)


@router.post("/batches/{batch_id}/statement", status_code=201)
def make_statement(session: SessionDep, at: AtDep, caller: Handler, batch_id: BatchId) -> BatchOut:
    """The sentence and the list of digests to affirm; needs every document read."""
    row = batches.make_batch_statement(session, caller, batch_id, at=at)
    return batch_facts(session, row, at=at)


@router.post("/batches/{batch_id}/affirm")
def express_batch(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    batch_id: BatchId,
    body: ProofIn,
) -> BatchOut:
    """Record consent and the will to sign, or the approval, for every document, or for none."""
    proof = from_base64(body.signature_base64, field="signature_base64")
    row = batches.express_batch(session, ports, caller, batch_id, proof=proof, at=at)
    return batch_facts(session, row, at=at)


@pages.get("/waiting", response_class=HTMLResponse)
def waiting_page(
    request: Request, session: SessionDep, at: AtDep, caller: Handler, before: Before = None
) -> Response:
    """What waits for the caller's signature or approval, to do one or many."""
    return pages_of(request).page(
        request,
        "waiting.html",
        caller=caller,
        found=waiting_list(session, caller, before=before, limit=100),
        batch_ids={act: new_id("bat", at=at) for act in ("approve", "sign")},
        seals=seals_in_force(session, organisation_id=require_organisation(caller), at=at),
        items_max=ITEMS_MAX,
    )


@pages.post("/waiting")
def start_batch(
    session: SessionDep,
    at: AtDep,
    caller: Handler,
    batch: Annotated[str, Form(max_length=ID_CHARACTERS_MAX)],
    signer: Annotated[list[str], Form(max_length=ITEMS_MAX)] = [],  # noqa: B006 - FastAPI copies it
    act: Annotated[Literal["sign", "approve"], Form()] = "sign",
    seal: Annotated[str, Form(max_length=ID_CHARACTERS_MAX)] = "",
    everything: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Put the chosen places together, or all that wait, and go there; what cannot be in it is named there."""
    row = batches.open_batch(
        session,
        caller,
        batches.NewBatch(
            id=batch,
            signers=None if everything == "yes" else tuple(signer),
            act=act,
            seal=seal or None,
            leave_out=True,
        ),
        at=at,
    )
    return go(f"/batches/{row.id}")


@pages.get("/batches/{batch_id}", response_class=HTMLResponse)
def batch_page(
    request: Request, session: SessionDep, at: AtDep, caller: Handler, batch_id: BatchId
) -> Response:
    """Read each document, affirm all with one statement, sign."""
    row = batches.batch_for(session, caller, batch_id)
    people = parties_by_ids(session, [row.person_id, row.organisation_id])
    return pages_of(request).page(
        request,
        "batch.html",
        caller=caller,
        facts=batch_facts(session, row, at=at),
        batch=row,
        person_name=people[row.person_id].name,
        organisation_name=people[row.organisation_id].name,
        seals=usable_seals(
            session, organisation_id=row.organisation_id, person_id=row.person_id, at=at
        ),
    )


@pages.get("/agreements/bulk", response_class=HTMLResponse)
def bulk_page(request: Request, at: AtDep, caller: Handler) -> Response:
    """Send one agreement for each row of a CSV file."""
    return pages_of(request).page(
        request,
        "bulk.html",
        caller=caller,
        order_id=new_id("blk", at=at),
        slice_max=bulk.SLICE_MAX,
        clause_kinds=list(ClauseKind),
        clause_rows=BULK_CLAUSE_ROWS,
    )


@pages.get("/agreements/bulk/example.csv", response_class=Response)
def bulk_example(caller: Handler) -> Response:
    """A file with every column of the donation template and one invented row."""
    del caller
    return Response(
        bulk.example(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="fuqi-bulk-example.csv"'},
    )
