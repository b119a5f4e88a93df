"""Recalls both ways, as far as the caller may see: all holders of a batch, all batches of a holder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from api.callers import Caller, require_visible
from api.schemas import custody as shapes
from api.views.custody import lot_for
from ledger.core.errors import NotFoundError
from ledger.queries import custody as queries
from ledger.queries.custody import Batch, Held
from ledger.tables.custody import RecallRow
from ledger.tables.parties import PartyRow


def batch_of(session: Session, caller: Caller, lot_id: str) -> dict[str, Any]:
    """All holders of the batch of a lot, one query each for what exists and what is gone.

    The givers of the batch's lots, whoever recalled it and operators see all; others what concerns them.
    """
    lot = lot_for(session, caller, lot_id)
    batch = Batch(lot.batch_number, lot.item, lot.device)
    held, gone = queries.holders_of_batch(session, batch), queries.gone_of_batch(session, batch)
    recall = queries.open_recall_of_batch(session, batch)
    opener = None if recall is None else recall.opened_by
    return {
        "batch_number": lot.batch_number,
        "item": lot.item,
        "device": lot.device,
        "recall_id": None if recall is None else recall.id,
        "held": [one.model_dump(mode="json") for one in _held(held, caller, opener=opener)],
        "gone": [one.model_dump(mode="json") for one in _held(gone, caller, opener=opener)],
    }


def own_batches(session: Session, caller: Caller, holder_id: str) -> list[shapes.HeldOut]:
    """All batches of a holder: one's own, or any for an operator.

    Raises:
        NotFoundError: another organisation's.
    """
    require_visible(caller, holder_id)
    return [_held_out(one) for one in queries.batches_of_holder(session, holder_id=holder_id)]


def recall_list(session: Session, caller: Caller) -> list[shapes.RecallOut]:
    """Recalls that concern the caller, newest first; an operator sees all."""
    found = []
    for row in queries.recalls_page(session, limit=queries.ROWS_MAX):
        concerned = queries.organisations_of(session, row.id)
        if caller.is_operator or caller.organisation_id in concerned:
            found.append(_recall(session, caller, row))
    return found


def recall_facts(session: Session, caller: Caller, recall_id: str) -> shapes.RecallOut:
    """One recall with everybody it reaches.

    Raises:
        NotFoundError: absent, or it does not concern the caller.
    """
    row = session.get(RecallRow, recall_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, *queries.organisations_of(session, recall_id))
    return _recall(session, caller, row)


def _held(rows: Sequence[Held], caller: Caller, *, opener: str | None) -> list[shapes.HeldOut]:
    whole = caller.is_operator or (opener is not None and opener == caller.organisation_id)
    return [
        _held_out(one)
        for one in rows
        if whole or caller.organisation_id in (one.lot.giver_id, one.lot.receiver_id, one.holder.id)
    ]


def _held_out(one: Held) -> shapes.HeldOut:
    return shapes.HeldOut(
        lot_id=one.lot.id,
        batch_number=one.lot.batch_number,
        item=one.lot.item,
        expires_on=one.lot.expires_on,
        holder_id=one.holder.id,
        holder=one.holder.name,
        shelf=one.shelf,
        quantity=one.quantity,
    )


def _recall(session: Session, caller: Caller, row: RecallRow) -> shapes.RecallOut:
    batch = Batch(row.batch_number, row.item, row.device)
    return shapes.RecallOut(
        id=row.id,
        batch_number=row.batch_number,
        item=row.item,
        reason=row.reason,
        state=row.state,
        opened_by=session.get_one(PartyRow, row.opened_by).name,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        held=_held(queries.holders_of_batch(session, batch), caller, opener=row.opened_by),
        gone=_held(queries.gone_of_batch(session, batch), caller, opener=row.opened_by),
    )
