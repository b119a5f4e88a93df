"""Lanes of carriers: from a province, or the whole country, to a city, on the days the carrier says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.supply_rules import mark_withdrawn, supply_entry
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ForbiddenError, InputError, LimitError, NotFoundError
from ledger.core.ids import require_id
from ledger.log import record
from ledger.queries import supply_limits as queries
from ledger.tables.parties import PartyRow
from ledger.tables.supply import LaneRow
from matching.catalogue import to_day
from matching.policy import load_import_policy
from matching.problem import DAY_MAX, DAY_MIN, LANES_MAX, Place, require_place

CARRIER: Final = "carrier"
OWN_MAX: Final = 100
"""Open lanes of one carrier: together all carriers have LANES_MAX in a round."""


@dataclass(frozen=True, slots=True)
class NewLane:
    """A lane to publish.

    Attributes:
        id: `lane_…`, made by the caller.
        origin: a province; None = the whole country.
        destination: the city it ends in, and where in it.
        individuals: whether it takes gifts of individuals.
        open_from, open_to: first and last day on which goods may leave; open_to None = until withdrawn.
    """

    id: str
    origin: str | None
    destination: Place
    individuals: bool
    open_from: date
    open_to: date | None = None


def post_lane(
    session: Session, ports: Ports, caller: Caller, new: NewLane, *, at: datetime
) -> LaneRow:
    """Publish a lane of the caller's organisation, a carrier; the same request again returns the same row.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`, `lane.carrier_only`.
        InputError: `id.malformed`, `lane.origin_unknown`, `lane.place`, `lane.dates`.
        LimitError: `lane.too_many`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.HANDLER)
    organisation = session.get_one(PartyRow, require_organisation(caller))
    if organisation.category != CARRIER:
        raise ForbiddenError("only a registered carrier publishes lanes", code="lane.carrier_only")
    require_id(new.id, prefix="lane")
    place = new.destination
    fields: dict[str, Json] = {
        "origin": new.origin,
        "destination": [place.province, place.city, place.longitude_micro, place.latitude_micro],
        "individuals": new.individuals,
        "open_from": new.open_from.isoformat(),
        "open_to": None if new.open_to is None else new.open_to.isoformat(),
    }
    existing = session.get(LaneRow, new.id)
    if existing is not None:
        require_visible(caller, existing.organisation_id)
        require_same(existing.fingerprint, fields, id=new.id)
        return existing
    _require_sensible(new, today=at.date())
    _require_room(session, organisation.id)
    row = LaneRow(
        id=new.id,
        run_id=None,
        source_key=None,
        name=organisation.name,
        origin=new.origin,
        province=place.province,
        city=place.city,
        longitude_micro=place.longitude_micro,
        latitude_micro=place.latitude_micro,
        individuals=new.individuals,
        published_on=at.date(),
        organisation_id=organisation.id,
        open_from=new.open_from,
        open_to=new.open_to,
        state="open",
        withdrawn_reason=None,
        fingerprint=fingerprint(fields),
        created_by=caller.account_id,
        created_at=at,
    )
    session.add(row)
    session.flush()
    body: dict[str, Json] = {"lane": row.id, "organisation": organisation.id, **fields}
    record(session, ports.vault, supply_entry("lane.posted", row.id, caller, at=at, body=body))
    return row


def withdraw_lane(
    session: Session, ports: Ports, caller: Caller, *, lane_id: str, reason: str, at: datetime
) -> LaneRow:
    """Withdraw a lane; again is harmless. What was allocated over it stays.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `round.in_progress`.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(LaneRow, lane_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    mark_withdrawn(session, ports, caller, row, what="lane", reason=reason, at=at)
    return row


def is_carrier(session: Session, caller: Caller) -> bool:
    """Whether the caller acts for a registered carrier."""
    if caller.organisation_id is None:
        return False
    return session.get_one(PartyRow, caller.organisation_id).category == CARRIER


def provinces() -> tuple[str, ...]:
    """The provinces that a lane may start in."""
    return tuple(load_import_policy().provinces.values())


def _require_sensible(new: NewLane, *, today: date) -> None:
    if new.origin is not None and new.origin not in provinces():
        raise InputError(
            "a lane starts in a province, or in the whole country", code="lane.origin_unknown"
        )
    place = new.destination
    require_place(place, code="lane.place")
    if not place.city.strip() or place.province not in provinces():
        raise InputError("name province, city and place of the lane's end", code="lane.place")
    days = [to_day(new.open_from), to_day(new.open_to or new.open_from)]
    if not DAY_MIN <= days[0] <= days[1] <= DAY_MAX or (
        new.open_to is not None and new.open_to < today
    ):
        raise InputError(
            "a lane opens before it closes, and closes today or later", code="lane.dates"
        )


def _require_room(session: Session, organisation_id: str) -> None:
    if (
        queries.count_lanes(session, organisation_id=organisation_id) >= OWN_MAX
        or queries.count_lanes(session) >= LANES_MAX
    ):
        raise LimitError(
            f"at most {OWN_MAX} lanes of a carrier and {LANES_MAX} in all are open: "
            "withdraw one that is not served",
            code="lane.too_many",
            limit=OWN_MAX,
        )
