"""JSON: needs, offers and the hospitals of the caller's organisation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.callers import Caller
from api.deps import (
    AtDep,
    Handler,
    HandlerOrOperator,
    Limit,
    PortsDep,
    SessionDep,
    TenantOrOperator,
)
from api.flows import supply
from api.schemas.agreements import ReasonIn
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.board import TIERS
from api.schemas.supply import HospitalOut, NeedIn, NeedOut, OfferIn, OfferOut
from api.views.rounds import NOBODY
from api.views.supply import offer_facts
from ledger.queries import supply as queries
from matching.problem import Place

router = APIRouter(prefix="/api/v1", tags=["supply"])

RecordId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]
After = Annotated[
    str, Query(max_length=ID_CHARACTERS_MAX, description="last id of the page before")
]


def own_organisation(caller: Caller) -> str | None:
    """The filter of a list: an operator sees all, everybody else its own organisation's."""
    return None if caller.is_operator else caller.organisation_id or NOBODY


@router.get("/hospitals")
def list_hospitals(
    session: SessionDep, caller: TenantOrOperator, after: After = "", limit: Limit = 20
) -> list[HospitalOut]:
    """Hospitals the caller's organisation stands behind; an operator sees all."""
    rows = queries.hospitals_page(
        session, organisation_id=own_organisation(caller), after=after, limit=limit
    )
    return [HospitalOut.model_validate(row) for row in rows]


@router.get("/needs")
def list_needs(
    session: SessionDep, caller: TenantOrOperator, after: After = "", limit: Limit = 20
) -> list[NeedOut]:
    """Needs of the caller's organisation, withdrawn ones included."""
    rows = queries.needs_page(
        session, state=None, organisation_id=own_organisation(caller), after=after, limit=limit
    )
    return [NeedOut.model_validate(need) for need, _ in rows]


@router.post("/needs", status_code=201)
def post_need(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: NeedIn
) -> NeedOut:
    """Post a need."""
    row = supply.post_need(
        session,
        ports,
        caller,
        supply.NewNeed(
            id=body.id,
            hospital_id=body.hospital_id,
            item=body.item,
            specification=body.specification,
            quantity=body.quantity,
            tier=TIERS.index(body.urgency),
            deadline_on=body.deadline_on,
            remaining_days_min=body.remaining_days_min,
            accepts_substitutes=body.accepts_substitutes,
            certificate_min=body.certificate_min,
            sterile=body.sterile,
        ),
        at=at,
    )
    return NeedOut.model_validate(row)


@router.post("/needs/{need_id}/withdraw")
def withdraw_need(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    need_id: RecordId,
    body: ReasonIn,
) -> NeedOut:
    """Withdraw a need. What is allocated stays."""
    row = supply.withdraw_need(session, ports, caller, need_id=need_id, reason=body.reason, at=at)
    return NeedOut.model_validate(row)


@router.get("/offers")
def list_offers(
    session: SessionDep, caller: TenantOrOperator, after: After = "", limit: Limit = 20
) -> list[OfferOut]:
    """Offers of the caller's organisation, withdrawn ones included."""
    rows = queries.offers_page(
        session, state=None, organisation_id=own_organisation(caller), after=after, limit=limit
    )
    return [offer_facts(row) for row in rows]


@router.post("/offers", status_code=201)
def post_offer(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: OfferIn
) -> OfferOut:
    """Post an offer."""
    row = supply.post_offer(
        session,
        ports,
        caller,
        supply.NewOffer(
            id=body.id,
            kind=body.kind,
            item=body.item,
            quantity=body.quantity,
            place=Place(
                province=body.place.province,
                city=body.place.city,
                longitude_micro=body.place.longitude_micro,
                latitude_micro=body.place.latitude_micro,
            ),
            available_on=body.available_on,
            windows=body.windows,
            produced_on=body.produced_on,
            expires_on=body.expires_on,
            batch_number=body.batch_number,
            standard=body.standard,
            edition=body.edition,
            certificate=body.certificate,
            sterile=body.sterile,
            donor_kind=body.donor_kind,
            directed_to=body.directed_to,
            related_to=body.related_to,
            pack=body.pack,
            smallest=body.smallest,
            receivers_max=body.receivers_max,
            resource_id=body.resource_id,
            per_unit=body.per_unit,
        ),
        at=at,
    )
    return offer_facts(row)


@router.post("/offers/{offer_id}/withdraw")
def withdraw_offer(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    offer_id: RecordId,
    body: ReasonIn,
) -> OfferOut:
    """Withdraw an offer. What is allocated stays."""
    row = supply.withdraw_offer(
        session, ports, caller, offer_id=offer_id, reason=body.reason, at=at
    )
    return offer_facts(row)
