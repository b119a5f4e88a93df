"""JSON: goods on their way. Acts are stated, signed on the device, then carried out."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.deps import AtDep, Handler, Limit, Member, PortsDep, SessionDep, TenantOrOperator
from api.flows import custody, custody_evidence
from api.flows.custody_acts import ACTS
from api.goods_papers import LABEL_CHARACTERS_MAX, read_label
from api.routes.supply import After, RecordId
from api.schemas import custody as shapes
from api.views import custody as views
from api.views import recalls
from ledger.core.errors import InputError, NotFoundError
from ledger.tables.custody import CustodyStatementRow, PackageRow

router = APIRouter(prefix="/api/v1", tags=["goods"])

PDF = "application/pdf"


@router.get("/custody/acts")
def list_acts(caller: Member) -> dict[str, dict[str, Any]]:
    """Every act on goods: what it says, the power it needs, and the JSON schema of its fields."""
    del caller
    return {
        name: {
            "zh": act.zh,
            "en": act.en,
            "power": act.power,
            "fields": act.shape.model_json_schema(),
        }
        for name, act in ACTS.items()
    }


@router.post("/custody/statements", status_code=201)
def make_statement(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: shapes.StatementIn
) -> shapes.StatementOut:
    """Try an act out and get the statement to sign; nothing has happened yet."""
    row = custody.make_statement(
        session,
        ports,
        caller,
        statement_id=body.id,
        act=body.act,
        fields=body.fields,
        at=at,
    )
    return _statement(row)


@router.post("/custody/statements/{statement_id}/sign")
def sign_statement(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    statement_id: RecordId,
    body: shapes.ProofIn,
) -> shapes.DoneOut:
    """Send the device's signature; the act is carried out with it, in one transaction."""
    try:
        proof = base64.b64decode(body.signature_base64, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InputError("the signature is no base64", code="custody.signature_base64") from exc
    row = custody.complete_statement(
        session, ports, caller, statement_id=statement_id, proof=proof, at=at
    )
    assert row.entry_id is not None
    assert row.result_id is not None
    return shapes.DoneOut(id=row.id, act=row.act, result_id=row.result_id, entry_id=row.entry_id)


@router.get("/custody/overdue")
def list_overdue(session: SessionDep, at: AtDep, caller: TenantOrOperator) -> shapes.OverdueOut:
    """What waits beyond its deadline, and the policy that sets the deadlines."""
    return views.overdue(session, caller, at=at)


@router.get("/lots")
def list_lots(
    session: SessionDep, caller: TenantOrOperator, after: After = "", limit: Limit = 20
) -> list[shapes.LotOut]:
    """Lots my organisation gives, receives, holds or is asked to take."""
    return views.lot_list(session, caller, after=after, limit=limit)


@router.get("/lots/{lot_id}")
def get_lot(
    session: SessionDep, at: AtDep, caller: TenantOrOperator, lot_id: RecordId
) -> shapes.LotDetailOut:
    """Where every unit of a lot is, and each step with its entry."""
    return views.lot_facts(session, caller, lot_id, at=at)


@router.get("/lots/{lot_id}/receipts", response_class=Response)
def get_receipts(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: TenantOrOperator, lot_id: RecordId
) -> Response:
    """One zip with the receipt of every step, and what a stranger pins to check them."""
    data = custody_evidence.receipts_zip(session, ports, caller, lot_id, at=at)
    return _file(data, f"{lot_id}-receipts.zip", media_type="application/zip")


@router.get("/lots/{lot_id}/labels", response_class=Response)
def get_labels(session: SessionDep, caller: TenantOrOperator, lot_id: RecordId) -> Response:
    """Labels of a lot's closed packages, as PDF."""
    data = custody_evidence.lot_labels(session, caller, lot_id)
    return _file(data, f"{lot_id}-labels.pdf", media_type=PDF)


@router.get("/lots/{lot_id}/certificate", response_class=Response)
def get_certificate(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: TenantOrOperator, lot_id: RecordId
) -> Response:
    """The donation certificate, as PDF. It is no fiscal receipt."""
    data = custody_evidence.lot_certificate(session, ports, caller, lot_id, at=at)
    return _file(data, f"{lot_id}-certificate.pdf", media_type=PDF)


@router.get("/lots/{lot_id}/batch")
def get_batch(session: SessionDep, caller: TenantOrOperator, lot_id: RecordId) -> dict[str, Any]:
    """Everybody who holds units of the batch this lot is of, as far as the caller may see."""
    return recalls.batch_of(session, caller, lot_id)


@router.get("/labels")
def read_a_label(
    session: SessionDep,
    caller: TenantOrOperator,
    code: Annotated[str, Query(max_length=LABEL_CHARACTERS_MAX, description="as scanned")],
) -> shapes.PackageOut:
    """The package behind a label, for those whom its lot concerns."""
    row = session.get(PackageRow, read_label(code))
    if row is None:
        raise NotFoundError("there is no such record")
    views.lot_for(session, caller, row.lot_id)
    return shapes.PackageOut.model_validate(row)


@router.get("/batches")
def list_batches(
    session: SessionDep,
    caller: TenantOrOperator,
    holder_id: Annotated[
        str, Query(max_length=40, description="an operator may name any holder; else one's own")
    ] = "",
) -> list[shapes.HeldOut]:
    """All batches of a holder."""
    return recalls.own_batches(session, caller, holder_id or caller.organisation_id or "")


@router.get("/recalls")
def list_recalls(session: SessionDep, caller: TenantOrOperator) -> list[shapes.RecallOut]:
    """Recalls that concern my organisation."""
    return recalls.recall_list(session, caller)


@router.get("/recalls/{recall_id}")
def get_recall(
    session: SessionDep, caller: TenantOrOperator, recall_id: RecordId
) -> shapes.RecallOut:
    """One recall, with everybody it reaches as far as the caller may see."""
    return recalls.recall_facts(session, caller, recall_id)


def _statement(row: CustodyStatementRow) -> shapes.StatementOut:
    return shapes.StatementOut(
        id=row.id,
        act=row.act,
        statement=json.loads(row.statement),
        message_base64=base64.b64encode(custody.message_of(row.statement)).decode(),
        done=row.done_at is not None,
    )


def _file(data: bytes, name: str, *, media_type: str) -> Response:
    return Response(
        data,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
