"""Claims of imported offers: an organisation says that an offer of the data is its own, an operator decides.

Only then can its lines be accepted: a donor's word is needed for every line, and nobody registered stands
behind an imported offer. The operator looks at what the claim names (a contact of the data that answers, a
letter) and writes down what it went by; the data holds no telephone or mailbox that a program could ask.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.round_notices import CLAIM_CONFIRMED, CLAIM_REFUSED, tell
from api.flows.supply import link_offer
from api.flows.supply_rules import require_reason
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    InputError,
    LimitError,
    NotFoundError,
)
from ledger.core.ids import derived_id, require_id
from ledger.log import NewEntry, record
from ledger.queries import offer_claims as queries
from ledger.tables.offer_claims import OfferClaimRow

STATEMENT_CHARACTERS_MAX: Final = 400
OPEN_CLAIMS_MAX: Final = 50
"""Claims of one organisation that wait: an operator looks at each."""
OTHER: Final = "another organisation's claim was confirmed"


def claim_offer(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    claim_id: str,
    offer_id: str,
    statement: str,
    at: datetime,
) -> OfferClaimRow:
    """Say that an imported offer is the caller's organisation's; the same request again returns the same claim.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        NotFoundError: `not_found`: no such offer, or one of a natural person.
        InputError: `id.malformed`, `offer.claim_statement`.
        ExistsWithDifferentFieldError: same id, other body.
        ConflictError: `offer.claimed_before`: by the caller's organisation, and not decided;
            `supply.linked_elsewhere`: somebody stands behind it already.
        LimitError: `offer.claims_open`.
    """
    require_role(caller, Role.HANDLER)
    organisation = require_organisation(caller)
    require_id(claim_id, prefix="clm")
    text = statement.strip()
    existing = queries.claim_of(session, claim_id)
    if existing is not None:
        return _same(existing, organisation=organisation, offer_id=offer_id, statement=text)
    if not 1 <= len(text) <= STATEMENT_CHARACTERS_MAX:
        raise InputError(
            f"say in at most {STATEMENT_CHARACTERS_MAX} characters how the operator can see that it is yours",
            code="offer.claim_statement",
            limit=STATEMENT_CHARACTERS_MAX,
        )
    offer = queries.locked_offer(session, offer_id)
    if offer is None or offer.donor_kind != "organisation" or offer.state != "open":
        raise NotFoundError("there is no such record")
    if offer.organisation_id is not None:
        raise ConflictError("another organisation stands behind it", code="supply.linked_elsewhere")
    if any(
        one.organisation_id == organisation for one in queries.open_claims_on(session, offer.id)
    ):
        raise ConflictError(
            "your organisation has claimed this offer: wait for the operator, or withdraw that claim",
            code="offer.claimed_before",
        )
    if queries.open_claims_by(session, organisation) >= OPEN_CLAIMS_MAX:
        raise LimitError(
            f"at most {OPEN_CLAIMS_MAX} claims wait at once: withdraw one, or wait for the operator",
            code="offer.claims_open",
            limit=OPEN_CLAIMS_MAX,
        )
    row = OfferClaimRow(
        id=claim_id,
        offer_id=offer.id,
        organisation_id=organisation,
        statement=text,
        state="open",
        reason=None,
        claimed_by=caller.account_id,
        claimed_at=at,
        decided_by=None,
        decided_at=None,
    )
    session.add(row)
    session.flush()
    body: dict[str, Json] = {
        "claim": row.id,
        "offer": offer.id,
        "organisation": organisation,
        "statement": text,
    }
    record(session, ports.vault, _entry("offer.claimed", row, caller.account_id, at, body))
    return row


def decide_claim(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    claim_id: str,
    confirmed: bool,
    reason: str,
    at: datetime,
) -> OfferClaimRow:
    """The operator's word. Confirmed, the organisation stands behind the offer; every other claim is refused.

    The same word again is harmless. It cannot be undone: a wrong link is a matter between the organisations.

    Args:
        reason: what the operator went by, or why not.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `offer.claim_decided`; `supply.linked_elsewhere`.
    """
    require_role(caller, Role.OPERATOR)
    row = queries.claim_of(session, claim_id)
    if row is None:
        raise NotFoundError("there is no such record")
    # The offer first: who confirms one claim of it refuses the others, and two of them would wait in a circle.
    queries.locked_offer(session, row.offer_id)
    session.refresh(row, with_for_update=True)
    wanted = "confirmed" if confirmed else "refused"
    if row.state == wanted:
        return row
    _require_open(row)
    require_reason(reason)
    if confirmed:
        link_offer(
            session,
            ports,
            caller,
            offer_id=row.offer_id,
            organisation_id=row.organisation_id,
            at=at,
        )
    _decide(session, ports, caller, row, state=wanted, reason=reason.strip(), at=at)
    if confirmed:
        for other in queries.open_claims_on(session, row.offer_id):
            _decide(session, ports, caller, other, state="refused", reason=OTHER, at=at)
    return row


def withdraw_claim(
    session: Session, ports: Ports, caller: Caller, *, claim_id: str, at: datetime
) -> OfferClaimRow:
    """Take an undecided claim back; again is harmless.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `not_found`: no such claim, or another organisation's.
        ConflictError: `offer.claim_decided`.
    """
    require_role(caller, Role.HANDLER)
    row = queries.claim_of(session, claim_id, lock=True)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    if row.state == "withdrawn":
        return row
    _require_open(row)
    _decide(session, ports, caller, row, state="withdrawn", reason=None, at=at)
    return row


def _decide(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: OfferClaimRow,
    *,
    state: str,
    reason: str | None,
    at: datetime,
) -> None:
    row.state, row.reason, row.decided_by, row.decided_at = state, reason, caller.account_id, at
    session.flush()
    body: dict[str, Json] = {
        "claim": row.id,
        "offer": row.offer_id,
        "organisation": row.organisation_id,
        "outcome": state,
        "reason": reason,
    }
    record(session, ports.vault, _entry("claim.decided", row, caller.account_id, at, body))
    if state != "withdrawn":
        kind = CLAIM_CONFIRMED if state == "confirmed" else CLAIM_REFUSED
        tell(session, [row.organisation_id], kind=kind, subject=row.offer_id, cause=row.id, at=at)


def _require_open(row: OfferClaimRow) -> None:
    if row.state != "open":
        raise ConflictError(
            f"this claim is {row.state}: claim the offer anew if that was wrong",
            code="offer.claim_decided",
            state=row.state,
        )


def _same(row: OfferClaimRow, *, organisation: str, offer_id: str, statement: str) -> OfferClaimRow:
    if row.organisation_id != organisation:
        raise NotFoundError("there is no such record")
    for field, value in (("offer_id", offer_id), ("statement", statement)):
        if getattr(row, field) != value:
            raise ExistsWithDifferentFieldError(
                f"{row.id} was sent before with a different {field}", field=field, id=row.id
            )
    return row


def _entry(
    kind: str, row: OfferClaimRow, actor: str, at: datetime, body: dict[str, Json]
) -> NewEntry:
    return NewEntry(
        id=derived_id("ent", at=row.claimed_at, seed=f"{kind}|{row.id}"),
        type=kind,
        at=at,
        subject=row.id,
        actor=actor,
        body=body,
    )
