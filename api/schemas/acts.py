"""Shapes of acts on the chain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.base import Output


class ActOut(Output):
    """One act of a contract and how far it has come."""

    id: str
    contract: str
    call: str
    subject: str
    state: str = Field(description="queued, sent, mined, final or refused")
    reason: str | None = Field(
        description="why it was refused: the contract's own error, or our code"
    )
    chain_id: int | None
    tx_hash: str | None = Field(description="null where it had happened already")
    block_number: int | None
    block_hash: str | None
    gas_used: int | None
    entry_id: str | None = Field(description="the log's entry about it, once decided")
    payload: dict[str, Any] = Field(description="what the call is made from; public on the chain")


class RoundActOut(Output):
    """One act about a round; its payload is at /api/v1/acts/{id}."""

    id: str
    call: str = Field(description="open, prove, post or finalise")
    state: str = Field(description="queued, sent, mined, final or refused")
    reason: str | None
    chain_id: int | None
    tx_hash: str | None
    block_number: int | None
    gas_used: int | None
    entry_id: str | None


class RoundChainOut(Output):
    """What a round has in the contract `Rounds`."""

    state: str = Field(
        description="waiting, committed, proving, proven (the chain checked plan and prices), posting, posted "
        "(anyone may strike it until closes_at), closing, final (nobody did), withheld (no result is claimed: "
        "reason), struck, refused"
    )
    reason: str | None
    rows: int = Field(description="of the table that the chain holds; 0: the problem's digest only")
    columns: int
    inputs_root: str | None = Field(description="what was committed to before solving")
    policy_hash: str | None
    chain_round: str | None = Field(description="the round's id in the contract")
    plan_root: str | None = Field(description="roots of plan and prices, or the hash of the proof")
    objective: str | None = Field(description="value of the table's best plan, decimal")
    attempt: int = Field(description="how often a result was struck before this one")
    alarm: str = Field(
        description="struck (another result is being made), struck_for_good (none is posted again by itself), "
        "refused, restated (another one was posted after a strike), or empty"
    )
    closes_at: datetime | None
    acts: list[RoundActOut]
