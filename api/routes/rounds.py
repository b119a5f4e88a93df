"""Matching rounds and their lines, as JSON and as pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import (
    AtDep,
    Handler,
    Limit,
    Member,
    Operator,
    PortsDep,
    SessionDep,
    Tenant,
    TenantOrOperator,
)
from api.flows import rounds
from api.flows.objecting import REASONS
from api.flows.round_notices import PREFIX, mark_all_seen
from api.routes.base import pages_of
from api.routes.forms import form_page
from api.routes.supply import After, RecordId
from api.schemas.agreements import ReasonIn
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.supply import (
    AllocationOut,
    LotOutcomeOut,
    NeedOutcomeOut,
    PolicyOut,
    RoundIn,
    RoundOut,
    RoundSummaryOut,
)
from api.views import objections, outcomes, round_chain
from api.views import rounds as views
from api.views.public import item_names
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.queries.notices import unseen_of
from ledger.queries.objections import count_objections
from ledger.queries.round_chain import alarmed_rounds
from ledger.store import transaction

router = APIRouter(tags=["rounds"])

ROWS = 20
NOTHING_TYPED = {"reason": "misread", "subject": "", "statement": ""}
NEWEST = "~"
"""Sorts after every id."""
Before = Annotated[str, Query(max_length=ID_CHARACTERS_MAX)]


@router.get("/api/v1/rounds")
def list_rounds(
    session: SessionDep, caller: Member, before: Before = NEWEST, limit: Limit = ROWS
) -> list[RoundSummaryOut]:
    """Rounds, newest first."""
    del caller
    return views.round_list(session, before=before, limit=limit)


@router.post("/api/v1/rounds", status_code=201)
def run_round(ports: PortsDep, at: AtDep, caller: Operator, body: RoundIn) -> RoundOut:
    """Commit inputs and policy, solve, have the plan checked, record it. The same id goes on."""
    rounds.open_round(ports, caller, round_id=body.id, at=at, as_of=body.as_of)
    rounds.solve_and_close_round(ports, caller, round_id=body.id, at=at)
    with transaction(ports.readers) as session:
        return views.round_facts(session, body.id)


@router.get("/api/v1/rounds/{round_id}")
def get_round(session: SessionDep, caller: Member, round_id: RecordId) -> RoundOut:
    """A round: digests, figures, the checker's report, its entries."""
    del caller
    return views.round_facts(session, round_id)


@router.get("/api/v1/rounds/{round_id}/policy")
def get_round_policy(session: SessionDep, caller: Member, round_id: RecordId) -> PolicyOut:
    """The published rule of the round and its digest: levels, ties, segments, transport."""
    del caller
    return views.round_policy(session, round_id)


@router.get("/api/v1/rounds/{round_id}/chain")
def get_round_chain(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Member, round_id: RecordId
) -> dict[str, Any]:
    """Receipts of what the round did on the chain (`fuqi/round-chain/v1`); `fuqi round verify` checks them."""
    return round_chain.chain_document(session, ports, caller, round_id, at=at)


@router.get("/api/v1/rounds/{round_id}/documents/{name}")
def get_round_document(
    session: SessionDep,
    caller: Operator,
    round_id: RecordId,
    name: Literal["problem", "plan", "certificate", "outcomes"],
) -> dict[str, Any]:
    """The committed problem, plan, certificate or outcomes; they hold every donor's places."""
    del caller
    return dict(rounds.round_document(session, round_id=round_id, name=name))


@router.get("/api/v1/rounds/{round_id}/outcomes")
def get_own_outcomes(
    session: SessionDep, caller: TenantOrOperator, round_id: RecordId
) -> list[NeedOutcomeOut]:
    """Why each of my needs was filled, in part, or not."""
    return outcomes.own_outcomes(session, caller, round_id)


@router.get("/api/v1/rounds/{round_id}/supplies")
def get_own_supplies(
    session: SessionDep, caller: TenantOrOperator, round_id: RecordId
) -> list[LotOutcomeOut]:
    """Where each piece my organisation offered went, and why there."""
    return outcomes.own_supplies(session, caller, round_id)


@router.get("/api/v1/allocations")
def list_allocations(
    session: SessionDep,
    caller: TenantOrOperator,
    round_id: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX)] = None,
    state: Literal["proposed", "accepted", "declined"] | None = None,
    after: After = "",
    limit: Limit = ROWS,
) -> list[AllocationOut]:
    """Lines in which my organisation gives or receives."""
    return views.own_allocations(
        session, caller, round_id=round_id, state=state, after=after, limit=limit
    )


@router.post("/api/v1/allocations/{allocation_id}/accept")
def accept_allocation(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, allocation_id: RecordId
) -> AllocationOut:
    """Accept a proposed line of my organisation's offer."""
    row = rounds.accept_allocation(session, ports, caller, allocation_id=allocation_id, at=at)
    return views.allocation_facts(session, caller, row)


@router.post("/api/v1/allocations/{allocation_id}/decline")
def decline_allocation(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    allocation_id: RecordId,
    body: ReasonIn,
) -> AllocationOut:
    """Decline a proposed line of my organisation's offer; its units are free again."""
    row = rounds.decline_allocation(
        session, ports, caller, allocation_id=allocation_id, reason=body.reason, at=at
    )
    return views.allocation_facts(session, caller, row)


@router.get("/rounds", response_class=HTMLResponse, include_in_schema=False)
def rounds_page(
    request: Request, session: SessionDep, at: AtDep, caller: Member, before: Before = NEWEST
) -> Response:
    """Rounds, newest first."""
    found = views.round_list(session, before=before, limit=ROWS)
    return pages_of(request).page(
        request,
        "rounds.html",
        caller=caller,
        rounds=found,
        next=found[-1].id if len(found) == ROWS else None,
        first=before == NEWEST,
        notices=[]
        if caller.organisation_id is None
        else unseen_of(session, caller.organisation_id, prefix=PREFIX, limit=ROWS),
        alarms=alarmed_rounds(session, at=at, limit=ROWS) if caller.is_operator else [],
        objected=count_objections(session, state="open") if caller.is_operator else 0,
        round_id=new_id("rnd", at=at),
    )


@router.post("/rounds/notices/seen", include_in_schema=False)
def notices_seen(session: SessionDep, at: AtDep, caller: Tenant) -> Response:
    """Mark the notices about rounds as seen."""
    mark_all_seen(session, caller, at=at)
    return go("/rounds")


@router.post("/rounds", include_in_schema=False)
def run_round_form(
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    round_id: Annotated[str, Form(max_length=ID_CHARACTERS_MAX)],
) -> Response:
    """Run a round from the page."""
    rounds.open_round(ports, caller, round_id=round_id, at=at)
    rounds.solve_and_close_round(ports, caller, round_id=round_id, at=at)
    return go(f"/rounds/{round_id}")


@router.get("/rounds/{round_id}", response_class=HTMLResponse, include_in_schema=False)
def round_page(
    request: Request,
    session: SessionDep,
    at: AtDep,
    caller: Member,
    round_id: RecordId,
    after: After = "",
) -> Response:
    """One round: fill rates, the certificate, the checker's verdict, why needs went unmet."""
    return shown_round(request, session, caller, round_id, at=at, after=after)


def shown_round(
    request: Request,
    session: Session,
    caller: Caller,
    round_id: str,
    *,
    at: datetime,
    after: str = "",
    values: Mapping[str, str] | None = None,
    error: FuqiError | None = None,
) -> Response:
    """The page of a round.

    Args:
        values: the form of an objection as it was typed, with what was refused.

    Raises:
        NotFoundError: `round.not_found`.
    """
    facts = views.round_facts(session, round_id)
    party = caller.is_operator or caller.organisation_id is not None
    lines = (
        views.own_allocations(session, caller, round_id=round_id, after=after, limit=ROWS)
        if party
        else []
    )
    heard = objections.round_objections(session, caller, round_id, at=at, limit=ROWS)
    return form_page(
        request,
        "round.html",
        caller=caller,
        values=values or {"attempt": new_id("obj", at=at), **NOTHING_TYPED},
        error=error,
        fields={"objection.text": "statement", "font.unprintable": "statement"},
        facts=facts,
        # A decision on an urgent need has no figures of its own, an open round has nothing yet.
        summary={"gap": None, **(facts.summary or {})},
        heard=heard,
        heard_until=heard.until if heard.possible else None,
        reasons=REASONS,
        item_name=item_names,
        reason_text=outcomes.reason_texts,
        lines=lines,
        next_line=lines[-1].id if len(lines) == ROWS else None,
        outcomes=outcomes.own_outcomes(session, caller, round_id) if facts.closed_at else [],
        supplies=outcomes.own_supplies(session, caller, round_id) if facts.closed_at else [],
    )


@router.post("/allocations/{allocation_id}/accept", include_in_schema=False)
def accept_allocation_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    allocation_id: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)],
) -> Response:
    """Accept a line from the round's page."""
    row = rounds.accept_allocation(session, ports, caller, allocation_id=allocation_id, at=at)
    return go(f"/rounds/{row.round_id}#lines")


@router.post("/allocations/{allocation_id}/decline", include_in_schema=False)
def decline_allocation_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    allocation_id: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)],
    reason: Annotated[str, Form(min_length=1, max_length=200)],
) -> Response:
    """Decline a line from the round's page."""
    row = rounds.decline_allocation(
        session, ports, caller, allocation_id=allocation_id, reason=reason, at=at
    )
    return go(f"/rounds/{row.round_id}#lines")
