"""What the forms of goods need: the line to open, the agreement drawn from it, the partners to hand to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from api.callers import Caller, require_visible
from api.flows.agreements import NewAgreement
from api.schemas.custody import LotDetailOut
from api.schemas.supply import AllocationOut
from api.views.public import item_names
from ledger.core.canonical import Json
from ledger.core.errors import InputError, NotFoundError
from ledger.queries import custody as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.parties import PartyRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

PARTIES_MAX = 200
"""Carriers offered in one list; with more, the API takes any id."""


def openable_line(
    session: Session, caller: Caller, allocation_id: str
) -> tuple[AllocationRow, OfferRow, AgreementRow | None, int]:
    """An accepted line of the caller's offer, the newest agreement about it, units not in lots yet.

    Raises:
        NotFoundError: absent, or another organisation's offer.
    """
    sides = queries.allocation_with_sides(session, allocation_id)
    if sides is None:
        raise NotFoundError("there is no such record")
    line, _, _, offer = sides
    require_visible(caller, offer.organisation_id)
    agreement = queries.formed_agreement_about(session, line.id)
    left = line.quantity - queries.opened_of_allocation(session, line.id)
    return line, offer, agreement, left


def not_all_opened(session: Session, lines: Sequence[AllocationOut]) -> list[AllocationOut]:
    """Lines of which units are not in lots yet; a page of them at most."""
    return [one for one in lines if queries.opened_of_allocation(session, one.id) < one.quantity]


def allocation_values(session: Session, caller: Caller, allocation_id: str) -> dict[str, str]:
    """What the donation form takes from an accepted line: its goods, its hospital, its quantity.

    Raises:
        NotFoundError: absent, or another organisation's offer.
    """
    line, offer, _, _ = openable_line(session, caller, allocation_id)
    need = session.get_one(NeedRow, line.need_id)
    hospital = session.get_one(HospitalRow, need.hospital_id)
    name, _ = item_names(offer.item)
    return {
        "allocation": line.id,
        "title": f"{name}捐赠协议",
        "name": name,
        "standard": offer.standard or need.standard or "",
        "edition": offer.edition or "",
        "lot": offer.batch_number,
        "expiry": "" if offer.expires_on is None else offer.expires_on.isoformat(),
        "quantity": str(line.quantity),
        "unit": "件",
        "delivery_place": f"{hospital.province}{hospital.city}{hospital.district} {hospital.name}",
        "who_2": hospital.organisation_id or "",
    }


def of_allocation(
    session: Session,
    caller: Caller,
    allocation_id: str,
    new: NewAgreement,
    data: Mapping[str, Json],
) -> tuple[NewAgreement, Mapping[str, Json]]:
    """The agreement bound to its line; one about other goods than were matched is refused.

    Raises:
        NotFoundError: absent, or another organisation's offer.
        InputError: `template.allocation_differs`.
    """
    if not allocation_id:
        return new, data
    line, _, _, _ = openable_line(session, caller, allocation_id)
    items = data["items"]
    assert isinstance(items, list)
    quantities = [one["quantity"] for one in items if isinstance(one, dict)]
    if quantities != [line.quantity]:
        raise InputError(
            f"the matched line brings {line.quantity} units: an agreement about it says the same",
            code="template.allocation_differs",
            field="quantity",
        )
    return replace(new, allocation_id=line.id), {**data, "allocation": line.id}


def partners_of(session: Session, caller: Caller, lot: LotDetailOut) -> list[PartyRow]:
    """To whom goods of a lot can be handed: carriers, its giver, its hospital."""
    carriers = party_queries.parties_page(session, category="carrier", limit=PARTIES_MAX)
    ends = party_queries.parties_by_ids(session, [lot.receiver_id, lot.giver_id])
    found = [ends[lot.receiver_id], *carriers, ends[lot.giver_id]]
    return [one for one in found if one.id != caller.organisation_id]
