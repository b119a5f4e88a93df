"""The page on which a handler reads, consents and signs with the key of their own device."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from api.deps import AtDep, Handler, PortsDep, SessionDep, Tenant
from api.flows import agreements
from api.flows.marks import edge_kept
from api.routes.agreements import AgreementId
from api.routes.base import pages_of
from api.schemas.base import ID_CHARACTERS_MAX
from api.views.agreements import agreement_facts, my_place
from api.web.pages import go
from ledger.core.errors import NotFoundError
from ledger.queries.seals import seals_in_force, usable_seals

router = APIRouter(include_in_schema=False)


@router.get("/agreements/{agreement_id}/sign", response_class=HTMLResponse)
def sign_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    agreement_id: AgreementId,
    place: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX)] = None,
) -> Response:
    """All pages and the steps of this signer. Only a named signer gets it, never the sender for them.

    Raises:
        NotFoundError: not a signer of this agreement.
    """
    facts = agreement_facts(session, caller, agreement_id)
    mine = my_place(facts, place=place)
    if mine is None:
        raise NotFoundError("there is no such record")
    seals = usable_seals(
        session, organisation_id=mine.organisation_id, person_id=caller.person_id or "", at=at
    )
    return pages_of(request).page(
        request,
        "sign.html",
        caller=caller,
        record_demo=facts.demo,
        facts=facts,
        mine=mine,
        seals=seals,
        # The file is looked at only where the answer is shown.
        edge_kept=bool(seals) and mine.act == "sign" and edge_kept(session, ports, mine.id),
        # Whoever approves says which of these, or any.
        approvable=seals_in_force(session, organisation_id=mine.organisation_id, at=at)
        if mine.act == "approve"
        else (),
    )


@router.post("/agreements/{agreement_id}/withdraw")
def withdraw(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    agreement_id: AgreementId,
    reason: Annotated[str, Form(min_length=1, max_length=400)],
) -> Response:
    """Take an agreement back before the last signature."""
    agreements.withdraw(session, ports, caller, agreement_id, reason=reason, at=at)
    return go(f"/agreements/{agreement_id}")
