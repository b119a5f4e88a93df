"""Ratification: an act beyond a handler's authority binds its organisation once that ratifies it.

Asked for before the act, so that nobody signs beyond an authority unknowingly; the organisation has 30 days
and silence is refusal (Civil Code 171). Whoever decides holds an authority that covers the act, by law or by
a signed letter, and is not the handler. What it does is seen in the evidence: the check of the authority in
a bundle is indeterminate while it is open, passed when ratified, failed when refused or expired.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import OPERATOR, Caller, require_organisation
from api.flows.agreements import agreement_for, authority_at, record_step, signer_for
from api.flows.authority import RATIFIABLE
from api.flows.parties import LETTERS, authorisation_of
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import new_id, require_id
from ledger.core.units import utc_text
from ledger.queries import identity as queries
from ledger.queries import notices as notice_queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.notices import NoticeRow
from ledger.tables.parties import AuthorisationRow, PartyRow, RatificationRow
from signing.identity import Basis, require_authority

TERM: Final = timedelta(days=30)
REASON_CHARS_MAX: Final = 500
DUE_MAX: Final = 50
OPEN_STATES: Final = ("published", "signing")


def ask_ratification(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    ratification_id: str,
    reason: str,
    at: datetime,
) -> RatificationRow:
    """The handler asks their organisation to ratify what they are about to do beyond their authority.

    Raises:
        NotFoundError: another person's place.
        InputError: `id.malformed`, `ratification.reason`.
        ConflictError: `agreement.closed`, `ratification.not_needed`, `ratification.asked`,
            `ratification.nobody`.
        ForbiddenError: `authority.*`: what cannot be ratified.
    """
    require_id(ratification_id, prefix="rat")
    row, signer = signer_for(session, caller, signer_id)
    known = queries.ratification_of_signer(session, signer.id)
    if known is not None:
        if known.id == ratification_id:
            return known
        raise ConflictError("it was asked for already", code="ratification.asked")
    text = _reason(reason)
    if row.state not in OPEN_STATES:
        raise ConflictError("this agreement is closed", code="agreement.closed", state=row.state)
    lack = lack_of(session, ports, signer, row, at=at)
    if lack is None:
        raise ConflictError("your authority covers it", code="ratification.not_needed")
    organisation = session.get_one(PartyRow, signer.organisation_id)
    if organisation.representative_id in (None, signer.person_id):
        raise ConflictError(
            "your organisation has nobody who could ratify; have its legal representative checked",
            code="ratification.nobody",
        )
    held = party_queries.authorisations_of(
        session, organisation_id=signer.organisation_id, person_id=signer.person_id
    )
    standing = [one for one in held if one.revoked_at is None]
    made = RatificationRow(
        id=ratification_id,
        agreement_id=row.id,
        signer_id=signer.id,
        organisation_id=signer.organisation_id,
        authorisation_id=standing[0].id,
        lack=lack,
        reason=text,
        state="asked",
        asked_by=signer.person_id,
        asked_at=at,
        due_at=at + TERM,
    )
    session.add(made)
    session.flush()
    _step(
        session,
        ports,
        caller,
        row,
        "ratification.requested",
        made,
        {
            "by": signer.person_id,
            "authorisation": made.authorisation_id,
            "lack": lack,
            "reason": text,
            "due_at": utc_text(made.due_at),
        },
        at=at,
    )
    _notify(session, made, "ratification.requested", at=at)
    return made


def lack_of(
    session: Session, ports: Ports, signer: SignerRow, row: AgreementRow, *, at: datetime
) -> str | None:
    """What the signer's authority lacks for this act; None where it covers it.

    Raises:
        ForbiddenError: `authority.*`: what cannot be ratified.
    """
    need = ports.levels.need(matter=row.matter, amount=row.amount_minor)
    try:
        authority_at(session, signer, row, act=signer.act, at=at, need=need)
    except ForbiddenError as refusal:
        # A letter of authority that its own signer lacks the authority for is no matter to ratify later.
        if refusal.error_code not in RATIFIABLE or row.matter == LETTERS:
            raise
        return refusal.error_code
    return None


def decide_ratification(
    session: Session,
    ports: Ports,
    caller: Caller,
    ratification_id: str,
    *,
    ratify: bool,
    reason: str,
    at: datetime,
) -> RatificationRow:
    """Ratify or refuse, for good. The same decision again changes nothing.

    Raises:
        NotFoundError: another organisation's.
        ForbiddenError: `ratification.own_act`; `authority.*`: the decider's own authority does not cover it.
        ConflictError: `ratification.decided`, `ratification.expired`.
        InputError: `ratification.reason`.
    """
    row = queries.lock_ratification(session, ratification_id)
    if row is None or row.organisation_id != require_organisation(caller):
        raise NotFoundError("there is no such record")
    state = "ratified" if ratify else "refused"
    if row.state != "asked":
        if row.state == state and row.decided_by == caller.person_id:
            return row
        raise ConflictError("this is decided", code="ratification.decided", state=row.state)
    text = _reason(reason)
    if at >= row.due_at:
        raise ConflictError(
            "the 30 days are over, and silence was refusal", code="ratification.expired"
        )
    agreement = session.get_one(AgreementRow, row.agreement_id)
    signer = session.get_one(SignerRow, row.signer_id)
    if caller.person_id is None or caller.person_id == signer.person_id:
        raise ForbiddenError("nobody ratifies their own act", code="ratification.own_act")
    authority = _covering(session, caller.person_id, signer, agreement, at=at)
    row.state, row.decided_at = state, at
    row.decided_by, row.decision_reason = caller.person_id, text
    _step(
        session,
        ports,
        caller,
        agreement,
        "ratification.decided",
        row,
        {
            "decision": state,
            "by": caller.person_id,
            "authorisation": authorisation_of(authority).as_json(),
            "reason": text,
        },
        at=at,
    )
    _notify(session, row, f"ratification.{state}", at=at)
    session.flush()
    return row


def expire_ratifications(session: Session, ports: Ports, *, at: datetime) -> int:
    """End what nobody decided in time; for the worker. Returns how many."""
    due = queries.due_ratifications(session, at=at, limit=DUE_MAX)
    for row in due:
        row.state, row.decided_at = "expired", at
        agreement = session.get_one(AgreementRow, row.agreement_id)
        body: dict[str, Json] = {
            "decision": "expired",
            "by": None,
            "authorisation": None,
            "reason": "",
        }
        _step(session, ports, OPERATOR, agreement, "ratification.decided", row, body, at=at)
        _notify(session, row, "ratification.expired", at=at)
    session.flush()
    return len(due)


def ratifications_of(session: Session, caller: Caller, agreement_id: str) -> list[RatificationRow]:
    """What was asked for in an agreement that the caller takes part in.

    Raises:
        NotFoundError: absent or another organisation's.
    """
    agreement_for(session, caller, agreement_id)
    return list(queries.ratifications_of(session, agreement_id))


def _covering(
    session: Session, person_id: str, signer: SignerRow, agreement: AgreementRow, *, at: datetime
) -> AuthorisationRow:
    """An authority of the decider, by law or signed, that covers the act itself."""
    held = party_queries.authorisations_of(
        session, organisation_id=signer.organisation_id, person_id=person_id
    )
    fault: ForbiddenError | None = None
    for one in held:
        if one.basis == Basis.DECLARED.value:
            continue
        try:
            require_authority(
                authorisation_of(one),
                act="sign",
                matter=agreement.matter,
                at=at,
                organisation=signer.organisation_id,
                person=person_id,
                amount=agreement.amount_minor,
            )
        except ForbiddenError as refusal:
            fault = fault or refusal
        else:
            return one
    raise fault or ForbiddenError(
        "whoever ratifies is the legal representative or holds a letter signed by them",
        code="authority.not_signed",
    )


def _reason(text: str) -> str:
    reason = text.strip()
    if not 0 < len(reason) <= REASON_CHARS_MAX:
        raise InputError(
            f"a reason has 1 to {REASON_CHARS_MAX} characters",
            code="ratification.reason",
            field="reason",
        )
    return reason


def _step(
    session: Session,
    ports: Ports,
    caller: Caller,
    agreement: AgreementRow,
    kind: str,
    row: RatificationRow,
    body: dict[str, Json],
    *,
    at: datetime,
) -> None:
    record_step(
        session,
        ports,
        caller,
        agreement,
        kind,
        {
            "ratification": row.id,
            "signer": row.signer_id,
            "organisation": row.organisation_id,
            **body,
        },
        at=at,
    )


def _notify(session: Session, row: RatificationRow, kind: str, *, at: datetime) -> None:
    for organisation_id in sorted(notice_queries.parties_of(session, row.agreement_id)):
        session.add(
            NoticeRow(
                id=new_id("ntc", at=at),
                organisation_id=organisation_id,
                kind=kind,
                subject=row.agreement_id,
                cause=row.id,
                created_at=at,
            )
        )
