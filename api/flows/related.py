"""The register of related parties: declared by organisations, reviewed by operators, used by every round.

Charity Law 40: a gift may not go to a related party of its donor. What an organisation says of itself counts at
once; an operator's word is needed to undo it, for ending a relation opens a way that was closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.files import media_type_of
from api.flows.idempotency import fingerprint, require_same
from api.flows.supply_rules import require_reason, supply_entry
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import require_id
from ledger.log import record
from ledger.queries import related as queries
from ledger.queries.live import lock_market
from ledger.tables.parties import PartyRow
from ledger.tables.related import RelatedPartyRow

KINDS: Final = (
    "parent",
    "subsidiary",
    "same_control",
    "same_representative",
    "shareholder",
    "manager",
    "family",
    "other",
)
EVIDENCE_CHARACTERS_MAX: Final = 500
STANDING_MAX: Final = 200
"""Relations one organisation declares: a group of companies has fewer that give or receive."""
EVIDENCE_BYTES_MAX: Final = 5 * 1024 * 1024
"""A scanned extract of a register."""
OUTCOMES: Final = {
    "declared": ("confirmed", "refused", "ended"),
    "confirmed": ("confirmed", "refused", "ended"),
}
"""State -> what an operator may decide; `confirmed` again refuses a wish to end it. The others are final."""


@dataclass(frozen=True, slots=True)
class NewRelation:
    """A relation to declare.

    Attributes:
        id: `rel_…`, made by the caller.
        first_id: the caller's own organisation; an operator names any.
        kind: what the second is to the first.
        evidence: where it can be read.
        valid_to: the last day; None while it lasts.
    """

    id: str
    first_id: str
    second_id: str
    kind: str
    evidence: str
    valid_from: date
    valid_to: date | None = None


def declare(
    session: Session, ports: Ports, caller: Caller, new: NewRelation, *, at: datetime
) -> RelatedPartyRow:
    """Put a relation into the register; the same request again returns the same row.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        NotFoundError: `party.not_found`; `not_found`: another organisation's first side.
        InputError: `id.malformed`, `related.kind`, `related.evidence`, `related.period`, `related.self`.
        LimitError: `related.too_many`.
        ConflictError: `related.exists`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    operator = caller.has(Role.OPERATOR)
    if not operator:
        require_organisation(caller)
        require_visible(caller, new.first_id)
    require_id(new.id, prefix="rel")
    fields = _fields(new)
    # A round that opens now, and a donor who accepts now, do so before the relation or keep to it.
    lock_market(session)
    queries.lock_sides(session, (new.first_id, new.second_id), shared=False)
    existing = session.get(RelatedPartyRow, new.id)
    if existing is not None:
        require_visible(caller, existing.first_id)
        require_same(existing.fingerprint, fields, id=new.id)
        return existing
    _require_sensible(session, new)
    row = RelatedPartyRow(
        id=new.id,
        first_id=new.first_id,
        second_id=new.second_id,
        kind=new.kind,
        evidence=new.evidence.strip(),
        evidence_sha256=None,
        evidence_type=None,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        state="confirmed" if operator else "declared",
        end_reason=None,
        reason=None,
        fingerprint=fingerprint(fields),
        created_by=caller.account_id,
        created_at=at,
        decided_at=at if operator else None,
    )
    session.add(row)
    session.flush()
    body: dict[str, Json] = {"relation": row.id, **fields, "state": row.state}
    record(session, ports.vault, supply_entry("related.declared", row.id, caller, at=at, body=body))
    return row


def add_evidence(
    session: Session, ports: Ports, caller: Caller, relation_id: str, *, data: bytes, at: datetime
) -> RelatedPartyRow:
    """Add the document that shows it; another one replaces it until an operator has decided.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        LimitError: `related.evidence_size`.  InputError: `related.evidence_type`.
        ConflictError: `related.decided`.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = relation_for(session, caller, relation_id)
    require_visible(caller, row.first_id)
    session.refresh(row, with_for_update=True)
    if row.state not in OUTCOMES or (row.state != "declared" and not caller.is_operator):
        raise ConflictError(
            "an operator has decided on this: declare it anew", code="related.decided"
        )
    if len(data) > EVIDENCE_BYTES_MAX:
        raise LimitError(
            f"the document has at most {EVIDENCE_BYTES_MAX} bytes",
            code="related.evidence_size",
            limit=EVIDENCE_BYTES_MAX,
        )
    media_type = media_type_of(data)
    if media_type is None:
        raise InputError("the document is a JPEG, a PNG or a PDF", code="related.evidence_type")
    sha256 = ports.blobs.put(data)
    if row.evidence_sha256 != sha256:
        row.evidence_sha256, row.evidence_type = sha256, media_type
        body: dict[str, Json] = {"relation": row.id, "sha256": sha256, "media_type": media_type}
        record(
            session, ports.vault, supply_entry("related.shown", row.id, caller, at=at, body=body)
        )
    return row


def ask_end(
    session: Session, ports: Ports, caller: Caller, relation_id: str, *, reason: str, at: datetime
) -> RelatedPartyRow:
    """A side says that it is over; it keeps counting until an operator agrees. Again is harmless.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`.  ConflictError: `related.decided`.
    """
    require_role(caller, Role.HANDLER)
    row = relation_for(session, caller, relation_id)
    require_reason(reason)
    session.refresh(row, with_for_update=True)
    if row.state not in OUTCOMES:
        raise ConflictError("this relation is over or was refused", code="related.decided")
    if row.end_reason is None:
        row.end_reason = reason
        body: dict[str, Json] = {"relation": row.id, "reason": reason}
        record(
            session,
            ports.vault,
            supply_entry("related.asked", row.id, caller, at=at, body=body),
        )
    return row


def decide(
    session: Session,
    ports: Ports,
    caller: Caller,
    relation_id: str,
    *,
    outcome: str,
    reason: str,
    at: datetime,
    valid_to: date | None = None,
) -> RelatedPartyRow:
    """An operator confirms, refuses or ends a relation; the same decision again is harmless.

    Args:
        valid_to: of `ended`: the last day it counts; None = the day of `at`.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`, `related.outcome`, `related.period`.
        ConflictError: `related.decided`.
    """
    require_role(caller, Role.OPERATOR)
    row = relation_for(session, caller, relation_id)
    session.refresh(row, with_for_update=True)  # two operators may decide at once
    require_reason(reason)
    if outcome not in ("confirmed", "refused", "ended"):
        raise InputError("say confirmed, refused or ended", code="related.outcome")
    if row.state == outcome and row.end_reason is None:
        return row
    if outcome not in OUTCOMES.get(row.state, ()):
        raise ConflictError(
            "this was decided for good: declare the relation anew", code="related.decided"
        )
    if outcome == "ended":
        last = valid_to or at.date()
        if last < row.valid_from:
            raise InputError("it cannot end before it began", code="related.period")
        row.valid_to = last
    row.state, row.reason, row.end_reason, row.decided_at = outcome, reason, None, at
    body: dict[str, Json] = {
        "relation": row.id,
        "outcome": outcome,
        "reason": reason,
        "valid_to": None if row.valid_to is None else row.valid_to.isoformat(),
    }
    record(session, ports.vault, supply_entry("related.decided", row.id, caller, at=at, body=body))
    return row


def relation_for(session: Session, caller: Caller, relation_id: str) -> RelatedPartyRow:
    """A relation of the caller's organisation, on either side; operators see all.

    Raises:
        NotFoundError: absent, or between others.
    """
    row = session.get(RelatedPartyRow, relation_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.first_id, row.second_id)
    return row


def _fields(new: NewRelation) -> dict[str, Json]:
    return {
        "first": new.first_id,
        "second": new.second_id,
        "kind": new.kind,
        "evidence": new.evidence.strip(),
        "valid_from": new.valid_from.isoformat(),
        "valid_to": None if new.valid_to is None else new.valid_to.isoformat(),
    }


def _require_sensible(session: Session, new: NewRelation) -> None:
    if new.kind not in KINDS:
        raise InputError("not a kind of relation", code="related.kind")
    if not 1 <= len(new.evidence.strip()) <= EVIDENCE_CHARACTERS_MAX:
        raise InputError(
            "say where the relation can be read: a register and its number, a contract, a report",
            code="related.evidence",
        )
    if new.valid_to is not None and new.valid_to < new.valid_from:
        raise InputError("it cannot end before it began", code="related.period")
    if new.first_id == new.second_id:
        raise InputError("an organisation is not related to itself", code="related.self")
    for one in (new.first_id, new.second_id):
        party = session.get(PartyRow, one)
        if party is None or party.kind != "organisation":
            raise NotFoundError(
                "no organisation of this name or id is registered here", code="party.not_found"
            )
    if queries.count_standing(session, new.first_id) >= STANDING_MAX:
        raise LimitError(
            f"at most {STANDING_MAX} relations of one organisation",
            code="related.too_many",
            limit=STANDING_MAX,
        )
    same = queries.relation_between(session, new.first_id, new.second_id, on=new.valid_from)
    if same is not None and same.state != "ended":
        raise ConflictError(
            "the register has this relation already", code="related.exists", relation=same.id
        )
