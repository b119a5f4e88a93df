"""Who may not give to whom: the one rule that rounds, offers, accepted lines and opened lots share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy.orm import Session

from ledger.core.errors import ConflictError
from ledger.queries import related as queries
from ledger.queries.custody import shared_handlers
from ledger.queries.supply_limits import hospitals_of
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow


def kept_apart(session: Session, rows: Iterable[OfferRow], *, on: date) -> dict[str, set[str]]:
    """Donor's organisation -> hospitals that its gifts may not reach on a day.

    Its own, those of organisations it is related to by the register, and those with which it shares a handler:
    what `lot.open` would refuse later, no round gives in the first place.
    """
    donors = {row.organisation_id for row in rows if row.organisation_id is not None}
    kin = queries.related_to(session, donors, on=on)
    for donor, others in queries.sharing_handlers(session, donors).items():
        kin.setdefault(donor, set()).update(others)
    hospitals = hospitals_of(
        session, {*donors, *(one for others in kin.values() for one in others)}
    )
    return {
        donor: set().union(*(hospitals.get(one, set()) for one in (donor, *kin.get(donor, ()))))
        for donor in donors
    }


def why_related(
    session: Session, offer: OfferRow, hospital: HospitalRow, *, on: date
) -> str | None:
    """Why the gift of an offer may not reach a hospital on a day, in words; None where it may.

    Until the transaction ends nobody declares a relation of the two.
    """
    sides = {offer.organisation_id, hospital.organisation_id}
    queries.lock_sides(session, [one for one in sides if one is not None], shared=True)
    if hospital.id in offer.related_to:
        return "the giver named it as related"
    return (
        None
        if offer.organisation_id is None
        else why_kin(session, offer.organisation_id, hospital, on=on)
    )


def why_kin(session: Session, giver: str, hospital: HospitalRow, *, on: date) -> str | None:
    """Why gifts of an organisation may not reach a hospital on a day, whatever their offer says."""
    receiver = hospital.organisation_id
    if receiver is None:
        return None
    if giver == receiver:
        return "it is the same organisation"
    relation = queries.relation_between(session, giver, receiver, on=on)
    if relation is not None:
        return f"the register of related parties says so: {relation.kind}"
    if shared_handlers(session, giver, receiver):
        return "one person is authorised by both"
    return None


def require_unrelated(session: Session, line: AllocationRow, *, on: date) -> None:
    """Refuse a line whose sides became related, or were declared to be, after its round.

    Raises:
        ConflictError: `allocation.related_parties`.
    """
    need = session.get_one(NeedRow, line.need_id)
    hospital = session.get_one(HospitalRow, need.hospital_id)
    why = why_related(session, session.get_one(OfferRow, line.offer_id), hospital, on=on)
    if why is not None:
        raise ConflictError(
            f"giver and receiver are related ({why}): decline this line, so that the next round "
            "brings it to somebody else",
            code="allocation.related_parties",
        )
