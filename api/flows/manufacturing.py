"""Acts on orders: ask, quote, place, sample, produce, inspect, accept; lend, take, return, close.

Each is signed and carried out as acts on goods are (api/flows/custody.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.custody_lots import Done
from api.flows.custody_step import Step
from api.flows.manufacturing_rules import BUYER, MAKER, next_state
from api.ports import Ports
from api.schemas.orders import AddDocument, RequestOrder, StepOrder
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import derived_id, require_id
from ledger.log import NewEntry, record
from ledger.queries import orders as queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.log import EntryRow
from ledger.tables.orders import OrderDocumentRow, OrderFileRow, WorkOrderRow
from ledger.tables.parties import PartyRow

FILES_MAX: Final = 200
"""Files of one order: drawings and reports; more belong into an archive of their own."""


def request_order(step: Step, fields: RequestOrder) -> Done:
    """Ask an enterprise for a quote.

    Raises:
        NotFoundError: `party.not_found`, `not_found`.
        InputError: `id.malformed`, `order.to_oneself`, `order.dates`.  ConflictError: `order.exists`.
    """
    require_id(fields.order_id, prefix="ord")
    if step.session.get(WorkOrderRow, fields.order_id) is not None:
        raise ConflictError("this order exists already", code="order.exists")
    maker = step.session.get(PartyRow, fields.maker_id)
    if maker is None or maker.kind != "organisation":
        raise NotFoundError("there is no such organisation", code="party.not_found")
    if maker.id == step.organisation:
        raise InputError("order from somebody else", code="order.to_oneself")
    today = step.at.date()
    late = fields.due_on < today or (fields.from_on is not None and fields.from_on > fields.due_on)
    if late or (fields.kind == "lease" and fields.from_on is None):
        raise InputError(
            "the days must lie ahead and in order; a lease has a first and a last day",
            code="order.dates",
        )
    if fields.allocation_id is not None:
        sides = queries.sides_of_allocation(step.session, fields.allocation_id)
        if sides != (maker.id, step.organisation):
            raise NotFoundError("there is no such record")
    row = WorkOrderRow(
        id=fields.order_id,
        kind=fields.kind,
        buyer_id=step.organisation,
        maker_id=maker.id,
        allocation_id=fields.allocation_id,
        agreement_id=None,
        what=fields.what,
        specification=fields.specification,
        quantity=fields.quantity,
        state="requested",
        from_on=fields.from_on,
        due_on=fields.due_on,
        opened_at=step.at,
        changed_at=step.at,
    )
    step.session.add(row)
    step.session.flush()
    entry = _record(
        step, row, "order.requested", fields.model_dump(mode="json", exclude={"order_id"})
    )
    return Done(row.id, entry)


def step_order(step: Step, fields: StepOrder) -> Done:
    """Take one step of an order.

    Raises:
        NotFoundError: `not_found`.
        InputError: `order.step`, `order.price`, `order.counts`, `order.deposit`, `order.reason`.
        ForbiddenError: `order.other_side`.
        ConflictError: `order.state`, `order.document_missing`, `order.no_agreement`.
    """
    row, side = _own(step, fields.order_id)
    held = _counting(row, queries.documents_of(step.session, row.id))
    state = next_state(
        row.kind,
        fields.step,
        state=row.state,
        side=side,
        outcome=fields.outcome,
        documents=held,
    )
    _apply(step, row, fields)
    before, row.state, row.changed_at, row.steps = row.state, state, step.at, row.steps + 1
    body: dict[str, Json] = {
        "step": fields.step,
        "before": before,
        "state": state,
        "by": step.person,
        "details": fields.model_dump(mode="json", exclude={"order_id", "step"}),
        "documents": sorted(one.sha256 for one in queries.documents_of(step.session, row.id)),
    }
    entry = _record(step, row, "order.stepped", body)
    step.session.flush()
    return Done(row.id, entry)


def add_document(step: Step, fields: AddDocument) -> Done:
    """Make a file that was uploaded a document of its order: its digest is what was signed.

    Raises:
        NotFoundError: `not_found`, `order.file_not_found`.
        InputError: `id.malformed`.  ConflictError: `order.document_exists`.
    """
    require_id(fields.document_id, prefix="doc")
    row, _ = _own(step, fields.order_id)
    key = (row.id, step.organisation, fields.sha256)
    file = step.session.get(OrderFileRow, key)
    if file is None:
        raise NotFoundError("upload the file first", code="order.file_not_found")
    if step.session.get(OrderDocumentRow, fields.document_id) is not None:
        raise ConflictError("this document exists already", code="order.document_exists")
    body: dict[str, Json] = {
        "document": fields.document_id,
        "kind": fields.kind,
        "sha256": file.sha256,
        "size": file.size,
        "by": step.person,
    }
    entry = _record(step, row, "order.documented", body)
    step.session.add(
        OrderDocumentRow(
            id=fields.document_id,
            order_id=row.id,
            kind=fields.kind,
            sha256=file.sha256,
            size=file.size,
            organisation_id=step.organisation,
            entry_id=entry.id,
            added_at=step.at,
        )
    )
    step.session.flush()
    return Done(row.id, entry)


def keep_file(
    session: Session, ports: Ports, caller: Caller, order_id: str, data: bytes, *, at: datetime
) -> OrderFileRow:
    """Keep an uploaded file of an order by its digest; the same file again is the same row.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `order.file_empty`.  LimitError: `order.too_many_files`.
    """
    require_role(caller, Role.HANDLER)
    row = order_for(session, caller, order_id)
    organisation = require_organisation(caller)
    if not data:
        raise InputError("this file is empty", code="order.file_empty")
    digest = hashlib.sha256(data).hexdigest()
    existing = session.get(OrderFileRow, (row.id, organisation, digest))
    if existing is not None:
        return existing
    if queries.count_files(session, row.id) >= FILES_MAX:
        raise LimitError(
            "this order has too many files", code="order.too_many_files", limit=FILES_MAX
        )
    # A crash after this leaves a file that no row names: harmless, and the same bytes are put again.
    kept = ports.blobs.put(data)
    assert kept == digest
    file = OrderFileRow(
        order_id=row.id, organisation_id=organisation, sha256=digest, size=len(data), added_at=at
    )
    session.add(file)
    session.flush()
    return file


def order_for(session: Session, caller: Caller, order_id: str) -> WorkOrderRow:
    """An order of the caller's organisation.

    Raises:
        NotFoundError: absent, or between others.
    """
    row = session.get(WorkOrderRow, order_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.buyer_id, row.maker_id)
    return row


def _counting(row: WorkOrderRow, documents: Sequence[OrderDocumentRow]) -> frozenset[str]:
    """Kinds of the documents that the next step may rest on.

    What was rejected is not sent again with the papers of before: after a refused sample, and in a rework,
    a document counts that was added since and is another file.
    """
    again = row.state == "sample_rejected" or (row.state == "producing" and row.rejected > 0)
    if not again:
        return frozenset(one.kind for one in documents)
    older = {one.sha256 for one in documents if one.added_at <= row.changed_at}
    return frozenset(one.kind for one in documents if one.sha256 not in older)


def _own(step: Step, order_id: str) -> tuple[WorkOrderRow, str]:
    row = queries.lock_order(step.session, order_id)
    if row is None or step.organisation not in (row.buyer_id, row.maker_id):
        raise NotFoundError("there is no such record")
    return row, BUYER if step.organisation == row.buyer_id else MAKER


def _apply(step: Step, row: WorkOrderRow, fields: StepOrder) -> None:
    """What a step changes besides the state."""
    if fields.step == "quote":
        if fields.price_minor is None:
            raise InputError("say the price, in fen; 0 for a gift", code="order.price")
        row.price_minor, row.deposit_minor = fields.price_minor, fields.deposit_minor
        row.due_on = fields.due_on or row.due_on
    elif fields.step == "place":
        row.agreement_id = _require_agreement(step, row, fields.agreement_id).id
    elif fields.step == "accept":
        if fields.accepted + fields.rejected != row.quantity or (
            (fields.outcome == "yes") != (fields.rejected == 0)
        ):
            raise InputError(
                f"accepted and rejected add up to {row.quantity}; with rejected ones the answer is no",
                code="order.counts",
                quantity=row.quantity,
            )
        row.accepted, row.rejected = fields.accepted, fields.rejected
    elif fields.step == "close":
        if fields.kept_minor > row.deposit_minor or (fields.kept_minor and not fields.note):
            raise InputError(
                "at most the deposit is kept, and the reason is said", code="order.deposit"
            )
        row.kept_minor = fields.kept_minor
    elif fields.step == "decline" and not fields.note:
        raise InputError("say why", code="order.reason")


def _require_agreement(step: Step, row: WorkOrderRow, agreement_id: str | None) -> AgreementRow:
    """The formed agreement that both sides signed, about this order's line where it has one."""
    agreement = None if agreement_id is None else step.session.get(AgreementRow, agreement_id)
    signed = agreement is not None and {row.buyer_id, row.maker_id} <= queries.signed_by(
        step.session, agreement.id
    )
    fits = agreement is not None and (
        row.allocation_id is None or agreement.allocation_id == row.allocation_id
    )
    if agreement is None or agreement.state != "formed" or not (signed and fits):
        raise ConflictError(
            "an order is placed under a formed agreement that both sides signed",
            code="order.no_agreement",
        )
    return agreement


def _record(step: Step, row: WorkOrderRow, kind: str, body: Mapping[str, Json]) -> EntryRow:
    entry = NewEntry(
        id=derived_id("ent", at=step.at, seed=f"{kind}|{step.statement_id}"),
        type=kind,
        at=step.at,
        subject=row.id,
        actor=step.caller.account_id,
        body={"order": row.id, **body, "signed": dict(step.signed)},
    )
    return record(step.session, step.ports.vault, entry)
