"""Claims of imported offers, as JSON and as a page."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Handler, Limit, Operator, PortsDep, SessionDep, TenantOrOperator
from api.flows import offer_claims as flows
from api.flows.supply_rules import REASON_CHARACTERS_MAX
from api.routes.forms import form_page
from api.routes.supply import After, RecordId
from api.schemas.offer_claims import (
    ClaimDecisionIn,
    OfferClaimIn,
    OfferClaimOut,
    UnownedOfferOut,
)
from api.views import offer_claims as views
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id

router = APIRouter(prefix="/api/v1", tags=["supply"])
pages = APIRouter(include_in_schema=False)

ROWS: Final = 20
DONOR_CHARACTERS_MAX: Final = 200
Donor = Annotated[str, Query(max_length=DONOR_CHARACTERS_MAX, description="part of the name")]
State = Literal["open", "confirmed", "refused", "withdrawn"]
FIELDS: Final = {"offer.claim_statement": "statement"}


class ClaimForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    offer_id: str = ""
    statement: str = ""


@router.get("/unowned-offers")
def list_unowned(
    session: SessionDep,
    caller: TenantOrOperator,
    donor: Donor = "",
    after: After = "",
    limit: Limit = ROWS,
) -> list[UnownedOfferOut]:
    """Imported offers of organisations that nobody registered here stands behind."""
    del caller
    return views.unowned(session, donor=donor, after=after, limit=limit)


@router.get("/offer-claims")
def list_claims(
    session: SessionDep, caller: TenantOrOperator, state: State | None = None, limit: Limit = ROWS
) -> list[OfferClaimOut]:
    """Claims of my organisation, newest first; an operator sees all."""
    return views.claim_list(session, caller, state=state, limit=limit)


@router.post("/offer-claims", status_code=201)
def post_claim(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: OfferClaimIn
) -> OfferClaimOut:
    """Say that an imported offer is my organisation's; the operator decides."""
    row = flows.claim_offer(
        session,
        ports,
        caller,
        claim_id=body.id,
        offer_id=body.offer_id,
        statement=body.statement,
        at=at,
    )
    return views.claims_of(session, [row])[0]


@router.post("/offer-claims/{claim_id}/decision")
def decide(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    claim_id: RecordId,
    body: ClaimDecisionIn,
) -> OfferClaimOut:
    """Confirm a claim, and the organisation stands behind the offer; or refuse it."""
    row = flows.decide_claim(
        session,
        ports,
        caller,
        claim_id=claim_id,
        confirmed=body.outcome == "confirmed",
        reason=body.reason,
        at=at,
    )
    return views.claims_of(session, [row])[0]


@router.post("/offer-claims/{claim_id}/withdraw")
def withdraw(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, claim_id: RecordId
) -> OfferClaimOut:
    """Take an undecided claim back."""
    row = flows.withdraw_claim(session, ports, caller, claim_id=claim_id, at=at)
    return views.claims_of(session, [row])[0]


@pages.get("/supply/claims", response_class=HTMLResponse)
def claims_page(
    request: Request,
    session: SessionDep,
    at: AtDep,
    caller: TenantOrOperator,
    donor: Donor = "",
    after: After = "",
) -> Response:
    """Offers that nobody stands behind, and the claims on them."""
    values = {"attempt": new_id("clm", at=at), "offer_id": "", "statement": ""}
    return _page(request, session, caller, values, donor=donor, after=after)


@pages.post("/supply/claims")
def claim_form(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[ClaimForm, Form()],
) -> Response:
    """Claim an offer from the page; sending the form twice claims it once."""
    values = form.model_dump()
    reader = FormReader(values)
    offer_id = reader.text("offer_id")
    statement = reader.text("statement", characters_max=flows.STATEMENT_CHARACTERS_MAX)
    if reader.faults:
        return _page(request, session, caller, values, reader=reader)
    try:
        with session.begin_nested():
            flows.claim_offer(
                session,
                ports,
                caller,
                claim_id=form.attempt,
                offer_id=offer_id,
                statement=statement,
                at=at,
            )
    except FuqiError as error:
        return _page(request, session, caller, values, error=error)
    return go(f"/supply/claims#{form.attempt}")


@pages.post("/supply/claims/{claim_id}/decision")
def decision_form(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    claim_id: RecordId,
    outcome: Annotated[Literal["confirmed", "refused"], Form()],
    reason: Annotated[str, Form(min_length=1, max_length=REASON_CHARACTERS_MAX)],
) -> Response:
    """Decide a claim from the page."""
    flows.decide_claim(
        session,
        ports,
        caller,
        claim_id=claim_id,
        confirmed=outcome == "confirmed",
        reason=reason,
        at=at,
    )
    return go(f"/supply/claims#{claim_id}")


@pages.post("/supply/claims/{claim_id}/withdraw")
def withdraw_form(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, claim_id: RecordId
) -> Response:
    """Take a claim back from the page."""
    flows.withdraw_claim(session, ports, caller, claim_id=claim_id, at=at)
    return go(f"/supply/claims#{claim_id}")


def _page(
    request: Request,
    session: SessionDep,
    caller: Caller,
    values: dict[str, str],
    *,
    donor: str = "",
    after: str = "",
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    offers = views.unowned(session, donor=donor, after=after, limit=ROWS)
    return form_page(
        request,
        "offer_claims.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=FIELDS,
        offers=offers,
        next=offers[-1].id if len(offers) == ROWS else None,
        donor=donor,
        claims=views.claim_list(session, caller, state=None, limit=ROWS),
    )
