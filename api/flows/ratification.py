"""Ratification: an act beyond a handler's authority binds its organisation once that ratifies it.

Asked for before the act, so that nobody signs beyond an authority unknowingly; the organisation has 30 days
and silence is refusal (Civil Code 171). Whoever decides holds an authority that covers the act, by law or by
a signed letter, and is not the handler. What it does is seen in the evidence: the check of the authority in
a bundle is indeterminate while it is open, passed when ratified, failed when refused or expired.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import OPERATOR, Caller, require_organisation
from api.flows.agreements import agreement_for, authority_at, record_step, signer_for
from api.flows.authority import RATIFIABLE
from api.flows.parties import LETTERS, authorisation_of
from api.flows.signatures import newest_certificate
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import new_id, require_id
from ledger.core.units import utc_text
from ledger.queries import identity as queries
from ledger.queries import notices as notice_queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.notices import NoticeRow
from ledger.tables.parties import AuthorisationRow, PartyRow, RatificationRow
from signing.certificates import certificate_spki
from signing.identity import Basis, require_authority
from signing.intent import require_fresh
from signing.keys.algorithms import PROOF_BYTES_MAX
from signing.ratification_intent import (
    REASON_CHARS_MAX,
    ratification_digest,
    ratification_statement,
    require_ratification,
)

TERM: Final = timedelta(days=30)
RATIFIED: Final = "ratified"
REFUSED: Final = "refused"
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


def make_decision(
    session: Session,
    caller: Caller,
    ratification_id: str,
    *,
    ratify: bool,
    reason: str,
    at: datetime,
) -> RatificationRow:
    """The exact sentence that whoever decides is asked to sign, with a fresh nonce; an earlier one is void.

    Raises:
        NotFoundError: another organisation's.
        ForbiddenError: `ratification.own_act`; `authority.*`: the decider's own authority does not cover it.
        ConflictError: `ratification.decided`, `ratification.expired`.
        InputError: `ratification.reason`.
    """
    row = _own(session, caller, ratification_id)
    if row.state != "asked":
        raise ConflictError("this is decided", code="ratification.decided", state=row.state)
    agreement, signer, person, _ = _deciding(session, caller, row, at=at)
    people = party_queries.parties_by_ids(session, [person, row.organisation_id, signer.person_id])
    row.statement = canonical_bytes(
        ratification_statement(
            ratification=row.id,
            agreement=agreement.id,
            document_sha256=agreement.document_sha256,
            person=person,
            person_name=people[person].name,
            organisation=row.organisation_id,
            organisation_name=people[row.organisation_id].name,
            handler=signer.person_id,
            handler_name=people[signer.person_id].name,
            lack=row.lack,
            decision=RATIFIED if ratify else REFUSED,
            reason=_reason(reason),
            at=at,
            nonce=secrets.token_hex(16),
        )
    ).decode()
    session.flush()
    return row


def decide_ratification(
    session: Session,
    ports: Ports,
    caller: Caller,
    ratification_id: str,
    *,
    proof: bytes,
    at: datetime,
) -> RatificationRow:
    """Ratify or refuse, for good, by the statement that the decider's device signed. Again it changes nothing.

    Raises:
        NotFoundError: another organisation's; `certificate.none`.
        ForbiddenError: `ratification.own_act`; `authority.*`: the decider's own authority does not cover it.
        ConflictError: `ratification.decided`, `ratification.expired`, `ratification.no_statement`.
        VerificationError: `intent.*`.  InputError: `intent.proof_size`.
    """
    row = _own(session, caller, ratification_id)
    if row.state != "asked":
        if row.proof == proof.hex() and row.decided_by == caller.person_id:
            return row
        raise ConflictError("this is decided", code="ratification.decided", state=row.state)
    agreement, signer, person, authority = _deciding(session, caller, row, at=at)
    if row.statement is None:
        raise ConflictError("ask for the statement first", code="ratification.no_statement")
    if len(proof) > PROOF_BYTES_MAX:
        raise InputError("this is too long for a signature", code="intent.proof_size")
    value = canonical_parse(row.statement.encode())
    assert isinstance(value, dict)
    certificate = newest_certificate(
        session, organisation_id=row.organisation_id, person_id=person, at=at
    )
    require_ratification(
        value,
        signature=proof,
        public_spki=certificate_spki(certificate.der),
        wanted={
            "ratification": row.id,
            "agreement": agreement.id,
            "document_sha256": agreement.document_sha256,
            "person": person,
            "organisation": row.organisation_id,
            "handler": signer.person_id,
            "lack": row.lack,
        },
    )
    require_fresh(value, at=at)
    state = str(value["decision"])
    row.state, row.decided_at = state, at
    row.decided_by, row.decision_reason = person, str(value["reason"])
    row.proof, row.certificate_id = proof.hex(), certificate.id
    _step(
        session,
        ports,
        caller,
        agreement,
        "ratification.decided",
        row,
        {
            "decision": state,
            "by": person,
            "authorisation": authorisation_of(authority).as_json(),
            "reason": row.decision_reason,
            "statement": value,
            "statement_sha256": ratification_digest(value).hex(),
            "method": "device_key",
            "proof": proof.hex(),
            "certificate": certificate.id,
            "serial": certificate.serial,
        },
        at=at,
    )
    _notify(session, row, f"ratification.{state}", at=at)
    session.flush()
    return row


def _own(session: Session, caller: Caller, ratification_id: str) -> RatificationRow:
    row = queries.lock_ratification(session, ratification_id)
    if row is None or row.organisation_id != require_organisation(caller):
        raise NotFoundError("there is no such record")
    return row


def _deciding(
    session: Session, caller: Caller, row: RatificationRow, *, at: datetime
) -> tuple[AgreementRow, SignerRow, str, AuthorisationRow]:
    """What is decided about, who decides, and under which authority."""
    if at >= row.due_at:
        raise ConflictError(
            "the 30 days are over, and silence was refusal", code="ratification.expired"
        )
    agreement = session.get_one(AgreementRow, row.agreement_id)
    signer = session.get_one(SignerRow, row.signer_id)
    if caller.person_id is None or caller.person_id == signer.person_id:
        raise ForbiddenError("nobody ratifies their own act", code="ratification.own_act")
    authority = _covering(session, caller.person_id, signer, agreement, at=at)
    return agreement, signer, caller.person_id, authority


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
            "statement": None,
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
                act=signer.act,
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
    reason = " ".join(text.split())
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
