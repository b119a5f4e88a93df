"""Wrong or changed: discrepancies with clocks, recalls, change of use, the fiscal receipt's number."""

from __future__ import annotations

from typing import Final

from api.flows.custody_lots import Done
from api.flows.custody_moves import discrepancy_body
from api.flows.custody_step import Place, Step, due, policy_digest
from api.schemas.custody import (
    AnswerDiscrepancy,
    AskPurpose,
    CloseRecall,
    DecidePurpose,
    OpenDiscrepancy,
    OpenRecall,
    ReferFiscal,
    SettleDiscrepancy,
)
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import require_id
from ledger.core.units import utc_text
from ledger.queries import custody as queries
from ledger.queries.custody import Batch
from ledger.tables.custody import DiscrepancyRow, LotRow, PurposeChangeRow, RecallRow
from ledger.tables.log import EntryRow
from signing.appearance import CHINA_TIME

OPEN: Final = ("open", "answered")


def open_discrepancy(step: Step, fields: OpenDiscrepancy) -> Done:
    """Something is wrong with units of one's own stock: they are set apart until it is settled.

    Raises:
        NotFoundError: `not_found`.  InputError: `id.malformed`.
        ConflictError: `custody.not_enough`, `custody.discrepancy_exists`.
    """
    require_id(fields.discrepancy_id, prefix="dsc")
    lot = step.lot(fields.lot_id)
    if step.session.get(DiscrepancyRow, fields.discrepancy_id) is not None:
        raise ConflictError("this discrepancy is open", code="custody.discrepancy_exists")
    row = DiscrepancyRow(
        id=fields.discrepancy_id,
        lot_id=lot.id,
        handover_id=None,
        kind=fields.kind,
        quantity=fields.quantity,
        holder_id=step.organisation,
        reported_by=step.organisation,
        note=fields.note,
        state="open",
        answer_due_at=due(step.at, "answer_hours"),
        settle_due_at=due(step.at, "settle_hours"),
        opened_at=step.at,
    )
    entry = step.record("discrepancy.opened", lot, discrepancy_body(row))
    step.session.add(row)
    step.session.flush()
    source, target = Place(step.organisation, "stock"), Place(step.organisation, "disputed")
    step.move(lot, source, target, quantity=fields.quantity, entry=entry)
    return Done(row.id, entry)


def answer_discrepancy(step: Step, fields: AnswerDiscrepancy) -> Done:
    """The side that holds the disputed units says what happened.

    Raises:
        NotFoundError: `not_found`.  ConflictError: `custody.discrepancy_closed`.
        ForbiddenError: `custody.other_side`.
    """
    row, lot = _discrepancy(step, fields.discrepancy_id)
    row.answer, row.state, row.answered_at = fields.answer, "answered", step.at
    body: dict[str, Json] = {
        "discrepancy": row.id,
        "lot": lot.id,
        "by": step.person,
        "answer": fields.answer,
        "late": step.at > row.answer_due_at,
    }
    return Done(row.id, step.record("discrepancy.answered", lot, body))


def settle_discrepancy(step: Step, fields: SettleDiscrepancy) -> Done:
    """Found again, or lost: lost units leave the books as lost and never come back.

    Raises:
        NotFoundError: `not_found`.  ConflictError: `custody.discrepancy_closed`.
        ForbiddenError: `custody.other_side`.
    """
    row, lot = _discrepancy(step, fields.discrepancy_id)
    body: dict[str, Json] = {
        "discrepancy": row.id,
        "lot": lot.id,
        "by": step.person,
        "outcome": fields.outcome,
        "quantity": row.quantity,
        "note": fields.note,
        "late": step.at > row.settle_due_at,
    }
    entry = step.record("discrepancy.settled", lot, body)
    target = "stock" if fields.outcome == "found" else "lost"
    step.move(
        lot,
        Place(row.holder_id, "disputed"),
        Place(row.holder_id, target),
        quantity=row.quantity,
        entry=entry,
    )
    row.state, row.settled_at = fields.outcome, step.at
    return Done(row.id, entry)


def open_recall(step: Step, fields: OpenRecall) -> Done:
    """Call a batch back: no unit of it is used, accepted or handed on, save back to its giver.

    Each lot of the batch gets its own entry, so that every holder can prove what it was told.

    Raises:
        NotFoundError: `not_found`.  InputError: `id.malformed`.  ForbiddenError: `custody.ends_only`.
        ConflictError: `custody.recall_exists`.
    """
    require_id(fields.recall_id, prefix="rcl")
    known = step.session.get(LotRow, fields.lot_id)
    if known is None or step.organisation not in queries.organisations_of(step.session, known.id):
        raise NotFoundError("there is no such record")
    if step.organisation not in (known.giver_id, known.receiver_id):
        raise ForbiddenError("giver or receiver recall a batch", code="custody.ends_only")
    batch = Batch(known.batch_number, known.item, known.device)
    queries.lock_batch(step.session, batch)
    lots = queries.lock_lots_of_batch(step.session, batch)
    exists = queries.open_recall_of_batch(step.session, batch)
    if exists is not None or step.session.get(RecallRow, fields.recall_id) is not None:
        raise ConflictError("this batch is recalled already", code="custody.recall_exists")
    row = RecallRow(
        id=fields.recall_id,
        batch_number=batch.number,
        item=batch.item,
        device=batch.device,
        reason=fields.reason,
        opened_by=step.organisation,
        state="open",
        opened_at=step.at,
    )
    step.session.add(row)
    step.session.flush()
    held = queries.holders_of_batch(step.session, batch)
    entries = []
    for lot in lots:
        lot.recall_id = row.id
        body: dict[str, Json] = {
            "recall": row.id,
            "lot": lot.id,
            "batch": batch.number,
            "item": batch.item,
            "device": batch.device,
            "reason": fields.reason,
            "by": step.organisation,
            "held": [[one.holder.id, one.shelf, one.quantity] for one in held if one.lot is lot],
        }
        entries.append(step.record("recall.opened", lot, body))
    step.session.flush()
    return Done(row.id, _own(entries, known.id))


def close_recall(step: Step, fields: CloseRecall) -> Done:
    """Whoever opened it ends it.

    Raises:
        NotFoundError: `not_found`.  ConflictError: `custody.recall_closed`.
    """
    row = step.session.get(RecallRow, fields.recall_id, with_for_update=True)
    if row is None or row.opened_by != step.organisation:
        raise NotFoundError("there is no such record")
    if row.state != "open":
        raise ConflictError("this recall is closed", code="custody.recall_closed")
    lots = queries.lock_lots_of_batch(step.session, Batch(row.batch_number, row.item, row.device))
    entries = []
    for lot in lots:
        if lot.recall_id == row.id:
            lot.recall_id = None
        body: dict[str, Json] = {"recall": row.id, "lot": lot.id, "reason": fields.reason}
        entries.append(step.record("recall.closed", lot, body))
    row.state, row.closed_at = "closed", step.at
    step.session.flush()
    return Done(row.id, entries[0])


def ask_purpose(step: Step, fields: AskPurpose) -> Done:
    """The receiver asks to use a lot otherwise; nothing changes before the giver has signed.

    Raises:
        NotFoundError: `not_found`.  ForbiddenError: `custody.receiver_only`.
        InputError: `id.malformed`.  ConflictError: `custody.purpose_exists`.
    """
    require_id(fields.change_id, prefix="puc")
    lot = step.lot(fields.lot_id)
    if lot.receiver_id != step.organisation:
        raise ForbiddenError(
            "only the hospital the goods are for may ask this", code="custody.receiver_only"
        )
    waiting = [
        one for one in queries.purpose_changes_of(step.session, lot.id) if one.state == "asked"
    ]
    if waiting or step.session.get(PurposeChangeRow, fields.change_id) is not None:
        raise ConflictError(
            "a change of use waits for the giver's word", code="custody.purpose_exists"
        )
    row = PurposeChangeRow(
        id=fields.change_id,
        lot_id=lot.id,
        purpose=fields.purpose,
        reason=fields.reason,
        state="asked",
        due_at=due(step.at, "purpose_hours"),
        asked_at=step.at,
    )
    step.session.add(row)
    body: dict[str, Json] = {
        "change": row.id,
        "lot": lot.id,
        "before": lot.purpose,
        "purpose": row.purpose,
        "reason": row.reason,
        "due_at": utc_text(row.due_at),
        "policy": policy_digest(),
    }
    return Done(row.id, step.record("purpose.asked", lot, body))


def decide_purpose(step: Step, fields: DecidePurpose) -> Done:
    """The giver's signed consent or refusal (Gift Act 18, Charity Law 56).

    Raises:
        NotFoundError: `not_found`.  ForbiddenError: `custody.giver_only`.
        ConflictError: `custody.purpose_decided`.  InputError: `custody.reason`.
    """
    row = step.session.get(PurposeChangeRow, fields.change_id)
    if row is None:
        raise NotFoundError("there is no such record")
    lot = step.lot(row.lot_id)
    step.session.refresh(row)
    if lot.giver_id != step.organisation:
        raise ForbiddenError("only the giver consents to this", code="custody.giver_only")
    if row.state != "asked":
        raise ConflictError("this is decided", code="custody.purpose_decided", state=row.state)
    if not fields.consent and not fields.reason:
        raise InputError("say why you refuse", code="custody.reason")
    before = lot.purpose
    row.state, row.decided_at = ("agreed" if fields.consent else "refused"), step.at
    if fields.consent:
        lot.purpose = row.purpose
    body: dict[str, Json] = {
        "change": row.id,
        "lot": lot.id,
        "consent": fields.consent,
        "reason": fields.reason,
        "before": before,
        "purpose": lot.purpose,
    }
    return Done(row.id, step.record("purpose.decided", lot, body))


def refer_fiscal(step: Step, fields: ReferFiscal) -> Done:
    """Write down the number of a fiscal receipt that was issued elsewhere; again replaces it.

    Raises:
        NotFoundError: `not_found`.  ForbiddenError: `custody.ends_only`.
        InputError: `custody.fiscal_date`.
    """
    lot = step.lot(fields.lot_id)
    if step.organisation not in (lot.giver_id, lot.receiver_id):
        raise ForbiddenError(
            "giver or receiver write down the fiscal receipt", code="custody.ends_only"
        )
    # Receipts bear the day of China, which has begun while it is still yesterday in UTC.
    if fields.issued_on > step.at.astimezone(CHINA_TIME).date():
        raise InputError("this day lies in the future", code="custody.fiscal_date")
    lot.fiscal_number, lot.fiscal_on = fields.number, fields.issued_on
    lot.fiscal_issuer = fields.issuer
    body: dict[str, Json] = {
        "lot": lot.id,
        "number": fields.number,
        "issued_on": fields.issued_on.isoformat(),
        "issuer": fields.issuer,
    }
    return Done(lot.id, step.record("fiscal.referenced", lot, body))


def _discrepancy(step: Step, discrepancy_id: str) -> tuple[DiscrepancyRow, LotRow]:
    row = step.session.get(DiscrepancyRow, discrepancy_id)
    if row is None:
        raise NotFoundError("there is no such record")
    lot = step.lot(row.lot_id)
    step.session.refresh(row)
    if row.state not in OPEN:
        raise ConflictError("this is settled", code="custody.discrepancy_closed", state=row.state)
    if row.holder_id != step.organisation:
        raise ForbiddenError(
            "the side that holds these units answers for them", code="custody.other_side"
        )
    return row, lot


def _own(entries: list[EntryRow], lot_id: str) -> EntryRow:
    return next(one for one in entries if one.subject == lot_id)
