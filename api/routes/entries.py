"""JSON: records of outside systems, one by one or in batches, and proofs over the log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.deps import PUBLIC, AtDep, Integration, Limit, Member, PortsDep, SessionDep, limit_attempts
from api.flows import entries
from api.routes.supply import RecordId
from api.schemas.entries import (
    ConsistencyOut,
    EntriesIn,
    EntriesOut,
    EntryIn,
    EntryOut,
    EntryPage,
    InclusionOut,
    RecordedOut,
)
from ledger.core.merkle import SIZE_MAX
from ledger.core.units import utc_text
from ledger.tables.log import EntryRow

router = APIRouter(prefix="/api/v1", tags=["entries"])

After = Annotated[int, Query(ge=0, le=SIZE_MAX, description="order number of the last row seen")]
Size = Annotated[
    int | None, Query(ge=1, le=SIZE_MAX, description="of a signed checkpoint; left out: the newest")
]
LeafHash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="leaf hash, hex")]


@router.post(
    "/entries",
    status_code=201,
    responses={200: {"description": "The same record was sent before; its receipt"}},
)
def record_entry(
    request: Request,
    response: Response,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Integration,
    body: EntryIn,
) -> dict[str, Any]:
    """Record one thing that happened in an outside system; answers its receipt (`fuqi/receipt/v1`).

    201 for a new record, 200 for one that was sent before, 409 naming the first field that differs.
    """
    limit_attempts(request, "entries.account", who=caller.account_id)
    (made,) = entries.record_outside(session, ports, caller, [_outside(body)], at=at)
    if not made.new:
        response.status_code = 200
    return dict(entries.receipt_of(session, ports, made.id))


@router.post(
    "/entries/batch",
    status_code=201,
    responses={200: {"description": "Every record was sent before"}},
)
def record_entries(
    request: Request,
    response: Response,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Integration,
    body: EntriesIn,
) -> EntriesOut:
    """Record up to 4 096 entries (8 MiB) in one transaction, all or none."""
    limit_attempts(request, "entries.account", who=caller.account_id)
    wanted = [_outside(one) for one in body.entries]
    made = entries.record_outside(session, ports, caller, wanted, at=at)
    new = sum(one.new for one in made)
    if not new:
        response.status_code = 200
    return EntriesOut(
        new=new,
        entries=[
            RecordedOut(id=one.id, leaf=one.leaf, index=one.index, new=one.new) for one in made
        ],
    )


@router.get("/entries")
def list_entries(
    session: SessionDep,
    caller: Integration,
    subject: Annotated[str | None, Query(max_length=40)] = None,
    after: After = 0,
    limit: Limit = 20,
) -> EntryPage:
    """What the caller's organisation has recorded from outside, oldest first."""
    rows = entries.entries_page(session, caller, subject=subject, after=after, limit=limit)
    return EntryPage(
        entries=[_entry(row) for row in rows],
        after=rows[-1].order if len(rows) == limit else None,
    )


@router.get(
    "/entries/{entry_id}/proof",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def entry_proof(
    session: SessionDep, caller: Member, entry_id: RecordId, size: Size = None
) -> Response:
    """The entry's inclusion proof as a C2SP `tlog-proof@v1` text, with the entry's bytes in it."""
    text = entries.proof_of_entry(session, caller, entry_id, size=size)
    return Response(text, media_type="text/plain; charset=utf-8")


@router.get("/log/inclusion/{leaf}", dependencies=[Depends(PUBLIC)])
def leaf_inclusion(
    request: Request, session: SessionDep, leaf: LeafHash, size: Size = None
) -> InclusionOut:
    """The path from a leaf hash to a signed root; needs no account, for the log is public."""
    limit_attempts(request, "proofs.address")
    return InclusionOut(**entries.inclusion_of_leaf(session, leaf, size=size))


@router.get("/log/consistency", dependencies=[Depends(PUBLIC)])
def log_consistency(
    request: Request,
    session: SessionDep,
    old: Annotated[int, Query(ge=1, le=SIZE_MAX, description="size of the older checkpoint")],
    new: Size = None,
) -> ConsistencyOut:
    """That a checkpoint extends an older one; both must have been signed."""
    limit_attempts(request, "proofs.address")
    proof: dict[str, Any] = dict(entries.consistency_between(session, old, new))
    return ConsistencyOut(**proof)


def _outside(body: EntryIn) -> entries.OutsideEntry:
    return entries.OutsideEntry(
        id=body.id,
        subject=body.subject,
        kind=body.kind,
        happened_at=body.happened_at,
        data=body.data,
        disclosable=body.disclosable,
    )


def _entry(row: EntryRow) -> EntryOut:
    return EntryOut(
        id=row.id,
        type=row.type,
        subject=row.subject,
        at=utc_text(row.at),
        leaf=row.leaf,
        index=row.seq,
        order=row.order,
    )
