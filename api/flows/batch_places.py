"""Places in a batch: the caller's own, whether each can be affirmed now and why not, and the seal it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import signer_for, state_of
from api.flows.annexes import require_annexed
from api.flows.approvals import (
    OTHER_SEAL,
    SEAL_STOPPED,
    approved_seals,
    in_force,
    may_approve_again,
    require_approved_values,
)
from ledger.core.canonical import Json, canonical_parse
from ledger.core.errors import ConflictError, FuqiError, LimitError
from ledger.queries import batches as queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.batches import BatchRow
from ledger.tables.seals import SealRow
from signing import agreement as rules
from signing.batch_intent import ITEMS_MAX

NAMED_MAX: Final = 20
"""As many places an error names; the page shows the state of each."""
OTHER_ACT: Final = "batch.other_act"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one document of a batch is.

    Attributes:
        code: `unread`, `ready`, `affirmed`, `awaiting` (affirmed; another party has not consented yet),
            `approved`, `signed`, or why it cannot be in the batch any more.
        seal: of an approval the seal that it is for; of a place to sign the one that was approved for it.
        annex: what its line of the statement names beside the document; None for nothing, or before it.
    """

    number: int
    signer: SignerRow
    agreement: AgreementRow
    code: str
    seal: SealRow | None
    annex: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the caller, locked."""

    agreement: AgreementRow
    signer: SignerRow


def waiting_ids(session: Session, caller: Caller, *, act: str) -> list[str]:
    """The caller's open places of one act, those that end first at the front; as many as a batch may have."""
    assert caller.person_id is not None
    return [
        one.id
        for one in queries.places_by_end(
            session,
            organisation_id=require_organisation(caller),
            person_id=caller.person_id,
            act=act,
            limit=ITEMS_MAX,
        )
    ]


def own_places(session: Session, caller: Caller, signers: Sequence[str]) -> dict[str, Place]:
    """The caller's places by id, each locked.

    They are locked in one order whatever the list says, so that two batches cannot wait for each other.

    Raises:
        NotFoundError: a place that is absent or another person's.
    """
    known = {one: session.get(SignerRow, one) for one in signers}
    ordered = sorted(
        signers, key=lambda one: ("" if (row := known[one]) is None else row.agreement_id, one)
    )
    return {one: Place(*signer_for(session, caller, one)) for one in ordered}


def fault_of(
    session: Session, place: Place, *, act: str, seal: SealRow | None, at: datetime
) -> str | None:
    """Why this place cannot be affirmed now, or None."""
    row, signer = place.agreement, place.signer
    if signer.act != act:
        return OTHER_ACT
    value = state_of(session, row)
    try:
        rules.consent(value, party=signer.organisation_id, at=at)
        if signer.signed_at is None:
            # The batch lists what its reader has decided on; these are decided on each agreement's own page.
            require_annexed(session, row, signer)
            require_approved_values(session, row, signer)
    except FuqiError as exc:
        return exc.error_code
    if signer.signed_at is not None:
        return None
    again = may_approve_again(session, row, signer)
    if signer.approved_at is not None and not again:
        return "agreement.already_signed"
    if signer.field not in {one.field for one in value.waiting} and not again:
        return "agreement.not_your_turn"
    if seal is None:
        return None
    if not in_force(session, seal, at=at):
        return SEAL_STOPPED
    other = {one.id for one in approved_seals(session, row, signer, but=signer.id)} - {seal.id}
    return OTHER_SEAL if other else None


def standing_of(session: Session, batch: BatchRow, *, at: datetime) -> list[Standing]:
    """How far each document is, in the order of the list."""
    found = []
    for item in queries.items_of(session, batch.id):
        signer = session.get_one(SignerRow, item.signer_id)
        row = session.get_one(AgreementRow, item.agreement_id)
        seal = None if item.seal_id is None else session.get_one(SealRow, item.seal_id)
        code = _code(session, batch, Place(row, signer), seal=seal, at=at)
        if batch.act == rules.Act.SIGN:
            seal = next(iter(approved_seals(session, row, signer)), None)
        annex = None if item.annex is None else canonical_parse(item.annex.encode())
        assert annex is None or isinstance(annex, dict)
        found.append(Standing(item.number, signer, row, code, seal, annex))
    return found


def require_none(faults: Mapping[str, str | None]) -> None:
    """Refuse where any place has a fault.

    Raises:
        ConflictError: `batch.not_ready` (`context["places"]`: place and reason of the first twenty).
    """
    named = [(one, fault) for one, fault in faults.items() if fault is not None]
    if named:
        raise ConflictError(
            f"{len(named)} documents cannot be in the batch; leave them out, or start one without them",
            code="batch.not_ready",
            places=[f"{one}: {fault}" for one, fault in named[:NAMED_MAX]],
        )


def require_count(count: int) -> None:
    """Refuse an empty list and one that nobody reads in a day.

    Raises:
        LimitError: `batch.items`.
    """
    if not 1 <= count <= ITEMS_MAX:
        raise LimitError(f"a batch has 1 to {ITEMS_MAX} documents", code="batch.items")


def _code(
    session: Session, batch: BatchRow, place: Place, *, seal: SealRow | None, at: datetime
) -> str:
    row, signer = place.agreement, place.signer
    if signer.signed_at is not None:
        return "signed"
    if batch.affirmed_at is not None and signer.approved_at is not None:
        return "approved"
    fault = fault_of(session, place, act=batch.act, seal=seal, at=at)
    if fault is not None:
        return fault
    if signer.intent_at is not None:
        value = state_of(session, row)
        return "affirmed" if set(value.parties) <= set(value.consents) else "awaiting"
    return "unread" if signer.read_at is None else "ready"
