"""What an offer must keep before it is stored, and what every change of supplies shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.related_rules import why_kin
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import derived_id
from ledger.log import NewEntry, record
from ledger.queries import supply as queries
from ledger.queries.live import lock_market
from ledger.tables.supply import LaneRow, NeedRow, OfferRow, ResourceRow
from matching.catalogue import Catalogue, to_day
from matching.problem import Lot, require_lot
from matching.services import published_catalogue

if TYPE_CHECKING:
    from api.flows.supply import NewOffer

Withdrawable = NeedRow | OfferRow | LaneRow | ResourceRow
REASON_CHARACTERS_MAX: Final = 200
WINDOWS_MAX: Final = 90
"""Days of capacity in one offer or resource: longer promises are made anew."""
NAMED_HOSPITALS_MAX: Final = 50
RECEIVERS_MAX: Final = 10_000
"""More hospitals than a donor could name a limit for."""
BATCH_CHARACTERS_MAX: Final = 60


def require_offer(session: Session, offer: NewOffer, *, organisation_id: str, today: date) -> None:
    """First fault in the declared order: kind, quantity and item, dates, limits, resource, hospitals.

    Raises:
        InputError: `offer.*`, `item.unknown`.
        LimitError: `offer.hospitals_limit`.
        NotFoundError: `resource.not_found`, `offer.hospital_not_found`.
        ConflictError: `resource.withdrawn`.
    """
    catalogue = published_catalogue()
    _require_kind(offer)
    require_lot(_as_lot(offer), catalogue=catalogue)
    _require_dates(offer, catalogue=catalogue, today=today)
    if offer.receivers_max is not None and offer.receivers_max > RECEIVERS_MAX:
        raise InputError(
            f"at most {RECEIVERS_MAX} hospitals, or no limit",
            code="offer.receivers_max",
            limit=RECEIVERS_MAX,
        )
    if offer.resource_id is not None:
        _require_resource(session, offer, organisation_id=organisation_id)
    _require_hospitals(session, offer, organisation_id=organisation_id, today=today)


def require_reason(reason: str) -> None:
    """Raises InputError `supply.reason`."""
    if not 1 <= len(reason.strip()) <= REASON_CHARACTERS_MAX:
        raise InputError(
            f"say why, in at most {REASON_CHARACTERS_MAX} characters", code="supply.reason"
        )


def require_no_round(session: Session) -> None:
    """Raises ConflictError `round.in_progress`."""
    if queries.open_round(session) is not None:
        raise ConflictError(
            "a round is being solved on these inputs: try again when it is closed",
            code="round.in_progress",
        )


def mark_withdrawn(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: Withdrawable,
    *,
    what: str,
    reason: str,
    at: datetime,
) -> None:
    """Take a row out of the market and record it; again is harmless.

    Args:
        what: `need`, `offer`, `lane` or `resource`: the entry is `<what>.withdrawn`.

    Raises:
        InputError: `supply.reason`.
        ConflictError: `round.in_progress`: a round is being solved on these inputs.
    """
    if row.state == "withdrawn":
        return
    require_reason(reason)
    # A round that is collecting its inputs at this moment has it, or it is gone before; never both.
    lock_market(session)
    session.refresh(row, with_for_update=True)
    if row.state == "withdrawn":
        return
    require_no_round(session)
    row.state, row.withdrawn_reason = "withdrawn", reason
    body: dict[str, Json] = {what: row.id, "reason": reason}
    record(
        session,
        ports.vault,
        supply_entry(f"{what}.withdrawn", row.id, caller, at=at, body=body),
    )


def supply_entry(
    kind: str, subject: str, caller: Caller, *, at: datetime, body: dict[str, Json]
) -> NewEntry:
    """The entry of one step; its id follows from what happened, so a retry is no second one."""
    return NewEntry(
        id=derived_id("ent", at=at, seed=f"{kind}|{subject}"),
        type=kind,
        at=at,
        subject=subject,
        actor=caller.account_id,
        body=body,
    )


def _require_kind(offer: NewOffer) -> None:
    if offer.kind not in ("lot", "capacity"):
        raise InputError("an offer is a lot or a capacity", code="offer.kind")
    if not 1 <= offer.windows <= (WINDOWS_MAX if offer.kind == "capacity" else 1):
        raise InputError(
            f"a capacity runs 1 to {WINDOWS_MAX} days, a lot has one", code="offer.windows"
        )
    if offer.kind == "lot" and offer.produced_on is None:
        raise InputError("a lot names its production date", code="offer.produced_missing")
    if len(offer.batch_number) > BATCH_CHARACTERS_MAX or (
        offer.kind == "lot" and not offer.batch_number.strip()
    ):
        raise InputError(
            f"a lot names its batch number, at most {BATCH_CHARACTERS_MAX} characters",
            code="offer.batch_number",
        )


def _as_lot(offer: NewOffer) -> Lot:
    """The offer as rounds would see its first day."""
    return Lot(
        id=offer.id,
        donor="",
        donor_kind=offer.donor_kind,
        item=offer.item,
        quantity=offer.quantity,
        place=offer.place,
        available_day=to_day(offer.available_on),
        produced_day=to_day(offer.produced_on or offer.available_on),
        expires_day=None if offer.expires_on is None else to_day(offer.expires_on),
        standard=offer.standard,
        edition=offer.edition,
        certificate=offer.certificate,
        sterile=offer.sterile,
        directed_to=(),
        related_to=(),
        frozen=False,
        pack=offer.pack,
        smallest=offer.smallest,
        receivers_max=offer.receivers_max,
        resource=offer.resource_id,
        per_unit=offer.per_unit,
    )


def _last_day(offer: NewOffer, *, catalogue: Catalogue) -> Lot:
    """The offer as rounds would see the last day of its capacity."""
    first = _as_lot(offer)
    available = first.available_day + offer.windows - 1
    produced = available if offer.produced_on is None else first.produced_day
    life = catalogue.items[offer.item].shelf_days
    expires = first.expires_day
    if expires is None and life is not None:
        expires = produced + life
    return replace(first, available_day=available, produced_day=produced, expires_day=expires)


def _require_dates(offer: NewOffer, *, catalogue: Catalogue, today: date) -> None:
    if offer.kind == "capacity":
        if to_day(offer.available_on) + offer.windows <= to_day(today):
            raise InputError("every day of this capacity is past", code="offer.window_past")
        # A round takes every day of it as a lot: one that cannot be a lot would stop the round of everybody.
        require_lot(_last_day(offer, catalogue=catalogue), catalogue=catalogue)
        return
    if catalogue.items[offer.item].shelf_days is not None:
        if offer.expires_on is None:
            raise InputError("these goods expire: name the date", code="offer.expiry_missing")
        if offer.expires_on <= today:
            raise InputError("this lot is past its expiry", code="offer.expired")


def _require_resource(session: Session, offer: NewOffer, *, organisation_id: str) -> None:
    if offer.kind != "capacity":
        raise InputError(
            "goods that are made already draw on no resource: leave it out, or offer a capacity",
            code="offer.resource_of_lot",
        )
    # Held until the offer stands: nobody withdraws the resource from under it.
    row = session.get(ResourceRow, offer.resource_id, with_for_update={"read": True})
    if row is None or row.organisation_id != organisation_id:
        raise NotFoundError(
            "your organisation has no such resource: post it first", code="resource.not_found"
        )
    if row.state != "open":
        raise ConflictError("this resource is withdrawn", code="resource.withdrawn")
    first = (offer.available_on - row.available_on).days
    if first < 0 or first + offer.windows > row.windows:
        raise InputError(
            "the capacity has days on which its resource is not there",
            code="offer.resource_window",
            limit=row.windows,
        )
    if offer.per_unit > row.capacity:
        raise InputError(
            "one unit takes more than the resource has in a day",
            code="offer.resource_capacity",
            limit=row.capacity,
        )


def _require_hospitals(
    session: Session, offer: NewOffer, *, organisation_id: str, today: date
) -> None:
    named = [*offer.directed_to, *offer.related_to]
    if len(named) > NAMED_HOSPITALS_MAX:
        raise LimitError(
            f"at most {NAMED_HOSPITALS_MAX} hospitals are named",
            code="offer.hospitals_limit",
            limit=NAMED_HOSPITALS_MAX,
        )
    if set(offer.directed_to) & set(offer.related_to):
        raise InputError(
            "a directed gift may not go to a related party", code="offer.directed_to_related"
        )
    hospitals = queries.hospitals_by_ids(session, named)
    if len(hospitals) != len(set(named)):
        raise NotFoundError("a hospital named does not exist", code="offer.hospital_not_found")
    for one in offer.directed_to:
        if why_kin(session, organisation_id, hospitals[one], on=today) is not None:
            raise InputError(
                "a directed gift may not go to a related party", code="offer.directed_to_related"
            )
