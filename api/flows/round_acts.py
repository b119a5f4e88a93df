"""What a matching round does on the chain: its commitment, before anything is solved."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from api.ports import Ports
from ledger.acts_outbox import NewAct, queue
from ledger.core.canonical import tagged_digest
from ledger.core.ids import derived_id
from ledger.tables.supply import RoundRow

POLICY_TAG = "fuqi/chain-round-policy/v1"


def commit_round(
    session: Session, ports: Ports, row: RoundRow, *, actor: str, at: datetime
) -> None:
    """Queue `Rounds.open` over the round's inputs and policy, in the transaction that opens the round.

    The policy hash binds the round's id too, so that two rounds on the same inputs are two on the chain.
    """
    if not ports.settings.acts_enabled:
        return
    policy = tagged_digest(POLICY_TAG, {"policy_sha256": row.policy_sha256, "round": row.id})
    act = NewAct(
        id=derived_id("act", at=at, seed=f"Rounds.open|{row.id}"),
        contract="Rounds",
        call="open",
        subject=row.id,
        payload={"inputs_root": row.inputs_sha256, "policy_hash": policy.hex()},
        actor=actor,
    )
    queue(session, act, at=at)
