"""The limits of a round: what is left of shared resources, and of the hospitals that a donor splits to.

Earlier rounds count. A resource has what their lines left of each of its days, and a donor that wants at most
three hospitals and gave to two already may give to one more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy.orm import Session

from ledger.queries import supply_limits as queries
from ledger.tables.supply import ResourceRow
from matching.pallets import donors_limits
from matching.problem import Lot, Resource


def resource_day(row: ResourceRow, first: date, *, window: int) -> str:
    """Id in a problem of the day on which a window of an offer from `first` on draws on the resource."""
    return f"{row.id}.{(first - row.available_on).days + window:03d}"


def within_limits(session: Session, lots: Sequence[Lot]) -> tuple[list[Lot], list[Resource]]:
    """The lots with what earlier rounds left of their limits, and the resources they draw on.

    A lot for whose resource, or for whose donor, nothing is left drops out.
    """
    kept = _within_donors(session, lots)
    spare = _spare(session, kept)
    made = [lot for lot in kept if lot.resource is None or _possible(lot, spare)]
    used = {lot.resource for lot in made}
    resources = [resource for name, resource in sorted(spare.items()) if name in used]
    return made, resources


def _within_donors(session: Session, lots: Sequence[Lot]) -> list[Lot]:
    limits = donors_limits(lots)
    if not limits:
        return list(lots)
    receivers = queries.receivers_of(session, limits)
    kept: list[Lot] = []
    for lot in lots:
        so_far = receivers.get(lot.donor, set())
        if lot.donor not in limits or not so_far:
            kept.append(lot)
            continue
        more = limits[lot.donor] - len(so_far)
        if more > 0:
            # Those who got something count again: the sum of both rounds cannot pass the limit.
            kept.append(lot if lot.receivers_max is None else replace(lot, receivers_max=more))
            continue
        named = so_far & set(lot.directed_to) if lot.directed_to else so_far
        if named:
            kept.append(replace(lot, directed_to=tuple(sorted(named)), receivers_max=None))
    return kept


def _possible(lot: Lot, spare: dict[str, Resource]) -> bool:
    """Whether the rest of the resource makes one line of this lot."""
    resource = spare.get(lot.resource or "")
    least = -(-max(lot.pack, lot.smallest) // lot.pack) * lot.pack
    return resource is not None and resource.capacity >= least * lot.per_unit


def _spare(session: Session, lots: Sequence[Lot]) -> dict[str, Resource]:
    """Resource day -> what is left of it; days with nothing left, or withdrawn, are absent."""
    days = {lot.resource for lot in lots if lot.resource is not None}
    ids = {day.partition(".")[0] for day in days}
    rows = queries.resources_by_ids(session, ids)
    held: dict[str, int] = {}
    for (resource, first, window), units in queries.held_of_resources(session, ids).items():
        day = resource_day(rows[resource], first, window=window)
        held[day] = held.get(day, 0) + units
    found: dict[str, Resource] = {}
    for day in sorted(days):
        row = rows[day.partition(".")[0]]
        left = row.capacity - held.get(day, 0)
        if row.state == "open" and left > 0:
            found[day] = Resource(day, row.kind, left)
    return found
