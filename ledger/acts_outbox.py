"""The outbox of contract acts: what is to happen on the chain is queued in the transaction that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from ledger import acts_calls
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import ExistsWithDifferentFieldError, InputError, LimitError
from ledger.core.ids import require_id
from ledger.queries import acts as queries
from ledger.tables.acts import ChainActRow

PAYLOAD_BYTES_MAX: Final = 64 * 1024
"""Half of what a node takes as one transaction; the rest is signatures and words."""


@dataclass(frozen=True, slots=True)
class NewAct:
    """Something to be done on the chain once.

    Attributes:
        id: `act_…`; the same id again is the same act.
        subject: what it is about, e.g. a round's id.
        payload: see `ledger.acts_calls`; it becomes public.
        after: act that must be final first.
    """

    id: str
    contract: str
    call: str
    subject: str
    payload: Mapping[str, Json]
    actor: str
    after: str | None = None


def queue(session: Session, act: NewAct, *, at: datetime) -> ChainActRow:
    """Put an act into the outbox, in the caller's transaction.

    Raises:
        InputError: `id.malformed`, `acts.call_unknown`.
        LimitError: `acts.payload_size`.
        ExistsWithDifferentFieldError: same id, another act.
    """
    require_id(act.id, prefix="act")
    if act.call not in acts_calls.CALLS.get(act.contract, ()):
        raise InputError("our contracts have no such call", code="acts.call_unknown")
    payload = canonical_bytes(act.payload)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise LimitError("this act is too large", code="acts.payload_size", limit=PAYLOAD_BYTES_MAX)
    existing = session.get(ChainActRow, act.id)
    if existing is not None:
        for field, value in (
            ("contract", act.contract),
            ("call", act.call),
            ("subject", act.subject),
            ("payload", payload),
        ):
            if getattr(existing, field) != value:
                raise ExistsWithDifferentFieldError(f"different {field}", field=field, id=act.id)
        return existing
    row = ChainActRow(
        id=act.id,
        contract=act.contract,
        call=act.call,
        subject=act.subject,
        payload=payload,
        after=act.after,
        state="queued",
        actor=act.actor,
        order=queries.last_order(session) + 1,
        queued_at=at,
    )
    session.add(row)
    session.flush()
    return row
