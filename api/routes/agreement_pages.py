"""Pages: my agreements, one agreement with its pages, signers, states, receipts and events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Handler, PortsDep, SessionDep, Tenant, TenantOrOperator
from api.flows import agreements, places, relations
from api.routes.agreements import AgreementId
from api.routes.base import pages_of
from api.schemas.agreements import AgreementOut
from api.schemas.base import ID_CHARACTERS_MAX
from api.views.agreements import agreement_facts, agreement_list, my_place
from api.web.pages import go
from ledger.core.errors import NotFoundError
from ledger.queries import agreements as queries
from ledger.queries import parties as party_queries
from ledger.tables.parties import PartyRow

router = APIRouter(include_in_schema=False)

ROWS = 20
PICTURES_PER_PAGE = 10
"""Page pictures shown at once: a phone on a slow network should not fetch a hundred."""


@router.get("/agreements", response_class=HTMLResponse)
def list_page(
    request: Request,
    session: SessionDep,
    caller: TenantOrOperator,
    before: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX)] = None,
) -> Response:
    """Agreements of my organisation."""
    found = agreement_list(session, caller, before=before, limit=ROWS)
    return pages_of(request).page(request, "agreements.html", caller=caller, found=found)


@router.get("/agreements/{agreement_id}", response_class=HTMLResponse)
def agreement_page(
    request: Request,
    session: SessionDep,
    at: AtDep,
    caller: TenantOrOperator,
    agreement_id: AgreementId,
    page: Annotated[int, Query(ge=1, le=2000)] = 1,
) -> Response:
    """One agreement."""
    facts = agreement_facts(session, caller, agreement_id)
    first = min(page, facts.pages)
    last = min(first + PICTURES_PER_PAGE - 1, facts.pages)
    return pages_of(request).page(
        request,
        "agreement.html",
        caller=caller,
        record_demo=facts.demo,
        facts=facts,
        bundles=queries.bundles_of(session, agreement_id),
        mine=my_place(facts),
        colleagues=_colleagues(session, caller, facts, at=at),
        pictures=range(first, last + 1),
        before=max(first - PICTURES_PER_PAGE, 1) if first > 1 else None,
        after=last + 1 if last < facts.pages else None,
        open=facts.state in ("published", "signing") and at < facts.expires_at,
    )


@router.post("/agreements/{agreement_id}/open")
def open_document(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, agreement_id: AgreementId
) -> Response:
    """Record that I opened the document."""
    signer_id = _my_signer_id(session, caller, agreement_id)
    agreements.open_document(session, ports, caller, signer_id, at=at)
    return go(f"/agreements/{agreement_id}#document")


@router.post("/agreements/{agreement_id}/decline")
def decline(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    agreement_id: AgreementId,
    reason: Annotated[str, Form(min_length=1, max_length=400)],
    signer: Annotated[str | None, Form(max_length=ID_CHARACTERS_MAX)] = None,
) -> Response:
    """Refuse to sign."""
    signer_id = _my_signer_id(session, caller, agreement_id, place=signer)
    agreements.decline(session, ports, caller, signer_id, reason=reason, at=at)
    return go(f"/agreements/{agreement_id}")


@router.post("/agreements/{agreement_id}/forward")
def forward(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    agreement_id: AgreementId,
    person: Annotated[str, Form(max_length=ID_CHARACTERS_MAX)],
    reason: Annotated[str, Form(min_length=1, max_length=400)],
    signer: Annotated[str | None, Form(max_length=ID_CHARACTERS_MAX)] = None,
) -> Response:
    """Hand my place on to another handler of my organisation."""
    signer_id = _my_signer_id(session, caller, agreement_id, place=signer)
    places.forward(session, ports, caller, signer_id, to_person=person, reason=reason, at=at)
    return go(f"/agreements/{agreement_id}")


@router.post("/agreements/{agreement_id}/remind")
def remind(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Tenant, agreement_id: AgreementId
) -> Response:
    """Remind whoever is waited for."""
    places.remind(session, ports, caller, agreement_id, at=at)
    return go(f"/agreements/{agreement_id}")


@router.get("/agreements/{agreement_id}/difference", response_class=HTMLResponse)
def difference_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    caller: TenantOrOperator,
    agreement_id: AgreementId,
) -> Response:
    """What the text says otherwise than the agreement it refers to."""
    facts = agreement_facts(session, caller, agreement_id)
    return pages_of(request).page(
        request,
        "difference.html",
        caller=caller,
        record_demo=facts.demo,
        facts=facts,
        found=relations.difference(session, ports, caller, agreement_id),
    )


def _my_signer_id(
    session: Session, caller: Caller, agreement_id: str, *, place: str | None = None
) -> str:
    """The caller's own place in this agreement.

    Raises:
        NotFoundError: none, or not the caller's agreement.
    """
    found = my_place(agreement_facts(session, caller, agreement_id), place=place)
    if found is None:
        raise NotFoundError("there is no such record")
    return found.id


def _colleagues(
    session: Session, caller: Caller, facts: AgreementOut, *, at: datetime
) -> list[PartyRow]:
    """Whom the caller could hand a place to."""
    mine = my_place(facts)
    if mine is None or caller.organisation_id is None:
        return []
    held = {one.person_id for one in facts.signers if one.act == mine.act}
    people = party_queries.handlers_of(session, caller.organisation_id, at=at)
    return [one for one in people if one.id not in held]
