"""JSON: acts on the chain and their state."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import AtDep, Limit, Member, PortsDep, SessionDep, TenantOrOperator
from api.flows import acts
from api.flows.promoting import promote_agreement
from api.routes.supply import RecordId
from api.schemas.acts import ActOut
from ledger.tables.acts import ChainActRow

router = APIRouter(prefix="/api/v1", tags=["acts"])


@router.get("/acts")
def list_acts(
    session: SessionDep,
    caller: Member,
    subject: Annotated[str, Query(max_length=40, description="what the acts are about")],
    limit: Limit = 20,
) -> list[ActOut]:
    """Acts on the chain about a subject that the caller may see, oldest first."""
    return [_act(row) for row in acts.acts_about(session, caller, subject, limit=limit)]


@router.get("/acts/{act_id}")
def get_act(session: SessionDep, caller: Member, act_id: RecordId) -> ActOut:
    """One act: queued, sent, mined, final or refused."""
    return _act(acts.act_for(session, caller, act_id))


@router.post("/agreements/{agreement_id}/promotion", status_code=202)
def promote(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: TenantOrOperator,
    agreement_id: RecordId,
) -> list[ActOut]:
    """Have the chain itself check every party's signature in the PDF; any party may ask, alone.

    Answers the acts that were queued or are there already; their state says how far they have come.
    """
    return [_act(row) for row in promote_agreement(session, ports, caller, agreement_id, at=at)]


def _act(row: ChainActRow) -> ActOut:
    return ActOut(
        id=row.id,
        contract=row.contract,
        call=row.call,
        subject=row.subject,
        state=row.state,
        reason=row.reason,
        chain_id=row.chain_id,
        tx_hash=row.tx_hash,
        block_number=row.block_number,
        block_hash=row.block_hash,
        gas_used=row.gas_used,
        entry_id=row.entry_id,
        payload=json.loads(row.payload),
    )
