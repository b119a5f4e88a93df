"""How far accepted lines have come, as the public may see it: figures, no names, no wards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.orm import Session

from ledger.queries import custody as queries

_DISCLOSED: Final = ("opened", "arrived", "used", "lost")


def disclosed_ways(
    session: Session, allocation_ids: Sequence[str]
) -> Mapping[str, Mapping[str, int]]:
    """Allocation -> units opened, at the hospital, used, lost: what the public page shows, no names."""
    lots = queries.lots_of_allocations(session, allocation_ids)
    found: dict[str, dict[str, int]] = {}
    by_id = {one.id: one for one in lots}
    for one in lots:
        sums = found.setdefault(one.allocation_id, dict.fromkeys(_DISCLOSED, 0))
        sums["opened"] += one.quantity
    for place in queries.positions_of(session, list(by_id)):
        lot = by_id[place.lot_id]
        sums = found[lot.allocation_id]
        if place.shelf in ("used", "lost"):
            sums[place.shelf] += place.quantity
        if place.holder_id == lot.receiver_id and place.shelf in ("stock", "used", "quarantine"):
            sums["arrived"] += place.quantity
    return found
