"""What a round has on the chain, for its page, for JSON, and as the file that others check. Reads only."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.evidence import receipt_for
from api.flows.round_alarms import alarm_of
from api.flows.rounds import round_summary
from api.ports import Ports
from api.round_table import DOCUMENT_TAG
from api.schemas.acts import RoundActOut, RoundChainOut
from ledger.core.canonical import Json
from ledger.queries import acts as queries
from ledger.tables.acts import ChainActRow
from ledger.tables.round_chain import RoundChainRow

ACTS_MAX: Final = 20
"""Three acts make a round's way; each strike adds a posting, and there are at most three of those."""


def chain_facts(session: Session, round_id: str) -> RoundChainOut | None:
    """How far the round has come on the chain; None where nothing is recorded there."""
    row = session.get(RoundChainRow, round_id)
    if row is None:
        return None
    return RoundChainOut(
        state=row.state,
        reason=row.reason,
        rows=row.rows,
        columns=row.columns,
        inputs_root=row.inputs_root,
        policy_hash=row.policy_hash,
        chain_round=row.chain_round,
        plan_root=row.plan_root,
        objective=row.objective,
        attempt=row.attempt,
        alarm=alarm_of(row),
        closes_at=row.closes_at,
        acts=[_act(one) for one in queries.acts_of(session, round_id, limit=ACTS_MAX)],
    )


def chain_document(
    session: Session, ports: Ports, caller: Caller, round_id: str, *, at: datetime
) -> dict[str, Any]:
    """`fuqi/round-chain/v1`: receipts of every decided act of the round, opened; for `fuqi round verify`.

    Raises:
        NotFoundError: `round.not_found`.
    """
    round_summary(session, round_id=round_id)
    row = session.get(RoundChainRow, round_id)
    acts = queries.acts_of(session, round_id, limit=ACTS_MAX)
    receipts: list[Json] = [
        receipt_for(session, ports, caller, one.entry_id, at=at)
        for one in acts
        if one.entry_id is not None
    ]
    return {
        "v": DOCUMENT_TAG,
        "round": round_id,
        "chain_round": None if row is None else row.chain_round,
        "receipts": receipts,
    }


def _act(row: ChainActRow) -> RoundActOut:
    return RoundActOut.model_validate(row)
