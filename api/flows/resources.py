"""Resources that several offers share: a plant, line, machine, product or team, so much of it each day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.supply_rules import WINDOWS_MAX, mark_withdrawn, supply_entry
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import require_id
from ledger.core.units import QUANTITY_MAX
from ledger.log import record
from ledger.queries import supply_limits as queries
from ledger.queries.live import lock_market
from ledger.tables.supply import ResourceRow
from matching.catalogue import to_day
from matching.problem import DAY_MAX, DAY_MIN, RESOURCE_KINDS

UNITS: Final = ("minute", "hour", "piece", "kilogram")
OPEN_MAX: Final = 200
"""Open resources of one organisation: more is a list that nobody keeps."""
NAME_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class NewResource:
    """A resource to post.

    Attributes:
        id: `res_…`, made by the caller.
        kind: plant, line, machine, product or service.
        unit: what `capacity` counts; an offer says how much of it one of its units takes.
        capacity: of each day.
        windows: days from `available_on`.
    """

    id: str
    kind: str
    name: str
    unit: str
    capacity: int
    available_on: date
    windows: int


def post_resource(
    session: Session, ports: Ports, caller: Caller, new: NewResource, *, at: datetime
) -> ResourceRow:
    """Post a resource of the caller's organisation; the same request again returns the same row.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        InputError: `id.malformed`, `resource.invalid`, `resource.name`, `resource.unit`, `resource.windows`,
            `resource.window_past`.
        LimitError: `resource.too_many`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.HANDLER)
    organisation = require_organisation(caller)
    require_id(new.id, prefix="res")
    fields: dict[str, Json] = {
        "kind": new.kind,
        "name": new.name,
        "unit": new.unit,
        "capacity": new.capacity,
        "available_on": new.available_on.isoformat(),
        "windows": new.windows,
    }
    existing = session.get(ResourceRow, new.id)
    if existing is not None:
        require_visible(caller, existing.organisation_id)
        require_same(existing.fingerprint, fields, id=new.id)
        return existing
    _require_sensible(new, today=at.date())
    mine = queries.resources_page(
        session, organisation_id=organisation, state="open", limit=OPEN_MAX
    )
    if len(mine) >= OPEN_MAX:
        raise LimitError(
            f"at most {OPEN_MAX} resources are open at a time: withdraw one that is not used",
            code="resource.too_many",
            limit=OPEN_MAX,
        )
    row = ResourceRow(
        id=new.id,
        organisation_id=organisation,
        kind=new.kind,
        name=new.name.strip(),
        unit=new.unit,
        capacity=new.capacity,
        available_on=new.available_on,
        windows=new.windows,
        state="open",
        withdrawn_reason=None,
        fingerprint=fingerprint(fields),
        created_by=caller.account_id,
        created_at=at,
    )
    session.add(row)
    session.flush()
    body: dict[str, Json] = {"resource": row.id, "organisation": organisation, **fields}
    record(session, ports.vault, supply_entry("resource.posted", row.id, caller, at=at, body=body))
    return row


def withdraw_resource(
    session: Session, ports: Ports, caller: Caller, *, resource_id: str, reason: str, at: datetime
) -> ResourceRow:
    """Withdraw a resource that no open offer draws on; again is harmless.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `round.in_progress`, `resource.in_use`.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(ResourceRow, resource_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    lock_market(session)
    session.refresh(row, with_for_update=True)
    offers = queries.open_offers_of_resource(session, row.id)
    if row.state != "withdrawn" and offers:
        raise ConflictError(
            f"{offers} open offers draw on this resource: withdraw those first",
            code="resource.in_use",
            offers=offers,
        )
    mark_withdrawn(session, ports, caller, row, what="resource", reason=reason, at=at)
    return row


def _require_sensible(new: NewResource, *, today: date) -> None:
    if new.kind not in RESOURCE_KINDS or not 1 <= new.capacity <= QUANTITY_MAX:
        raise InputError(
            "a resource is a plant, line, machine, product or service with a daily capacity above zero",
            code="resource.invalid",
        )
    if not 1 <= len(new.name.strip()) <= NAME_CHARACTERS_MAX:
        raise InputError(
            f"name the resource, in at most {NAME_CHARACTERS_MAX} characters", code="resource.name"
        )
    if new.unit not in UNITS:
        raise InputError(
            "a capacity counts minutes, hours, pieces or kilograms", code="resource.unit"
        )
    first = to_day(new.available_on)
    if not 1 <= new.windows <= WINDOWS_MAX or not DAY_MIN <= first <= DAY_MAX - new.windows:
        raise InputError(
            f"a resource is there for 1 to {WINDOWS_MAX} days between 1970 and 2099",
            code="resource.windows",
            limit=WINDOWS_MAX,
        )
    if first + new.windows <= to_day(today):
        raise InputError("every day of this resource is past", code="resource.window_past")
