"""Shapes of acts on the chain."""

from __future__ import annotations

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
