"""Agreements as rows: who may see one, whose place it is, what the rules make of it, and its journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller, require_visible
from api.flows.parties import authorisation_of
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ForbiddenError, NotFoundError
from ledger.core.ids import new_id
from ledger.core.units import Digest32, digest32
from ledger.log import NewEntry, record
from ledger.queries import agreements as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.parties import AuthorisationRow
from signing import agreement as rules
from signing.amounts import UNSTATED, amount_text
from signing.identity import Basis, require_authority
from signing.identity_policy import STRENGTH, Need, require_basis


def agreement_for(session: Session, caller: Caller, agreement_id: str) -> AgreementRow:
    """The agreement, if the caller's organisation takes part in it.

    Raises:
        NotFoundError: absent or another organisation's.
    """
    row = session.get(AgreementRow, agreement_id)
    if row is None:
        raise NotFoundError("there is no such record")
    signers = queries.signers_of(session, agreement_id)
    require_visible(
        caller, row.owner_organisation_id, *(signer.organisation_id for signer in signers)
    )
    return row


def require_handed_out(row: AgreementRow, number: int) -> None:
    """Refuse a file with some of its signatures, unless the sender chose to hand it out.

    Raises:
        ForbiddenError: `agreement.half_signed`.
    """
    if number > 0 and row.formed_at is None and not row.hand_out_partial:
        raise ForbiddenError(
            "signatures are missing: the file is handed out when all stand",
            code="agreement.half_signed",
        )


def shown_sha256(row: AgreementRow) -> str:
    """The file whose pages are shown: the newest, or the unsigned one while signatures are missing."""
    whole = row.formed_at is not None or row.hand_out_partial
    return row.current_sha256 if whole else row.document_sha256


def signer_for(session: Session, caller: Caller, signer_id: str) -> tuple[AgreementRow, SignerRow]:
    """The caller's own place in an agreement; the sender never obtains somebody else's.

    Raises:
        NotFoundError: absent, or another person's.
    """
    signer = session.get(SignerRow, signer_id)
    if (
        signer is None
        or caller.person_id != signer.person_id
        or caller.organisation_id != signer.organisation_id
        or signer.forwarded_at is not None
    ):
        raise NotFoundError("there is no such record")
    # Without the lock a withdrawal and the last signature could both go through on PostgreSQL.
    row = queries.lock_agreement(session, signer.agreement_id)
    assert row is not None
    session.refresh(signer)
    return row, signer


def state_of(session: Session, row: AgreementRow) -> rules.Agreement:
    """The rule-side value of the rows."""
    signers = queries.signers_of(session, row.id)
    members = {signer.id: member_of(signer) for signer in signers}
    value = rules.draft(
        row.id,
        initiator=row.owner_organisation_id,
        signers=list(members.values()),
        quorums=quorums_of(row),
    )
    document = digest32(bytes.fromhex(row.document_sha256))
    value = rules.publish(
        value, document_sha256=document, expires_at=row.expires_at, at=row.created_at
    ).agreement
    # A party's consent stands when the place of whoever gave it has been handed on.
    for signer in queries.all_places_of(session, row.id):
        if signer.consented_at is not None and signer.organisation_id in value.parties:
            value = rules.consent(
                value, party=signer.organisation_id, at=signer.consented_at
            ).agreement
    value = _acted(session, row, value, signers=signers, document=document)
    refused = frozenset(signer.field for signer in signers if signer.refused_at is not None)
    state = rules.State(row.state)
    if state is rules.State.RELEASED:
        return replace(value, refusals=refused, state=state, released_at=row.released_at)
    if state in rules.FINAL_STATES and state is not rules.State.FORMED:
        value = replace(value, state=state, ended_at=row.ended_at, end_reason=row.ended_reason)
    return replace(value, refusals=refused)


def _acted(
    session: Session,
    row: AgreementRow,
    value: rules.Agreement,
    *,
    signers: Sequence[SignerRow],
    document: Digest32,
) -> rules.Agreement:
    """Replay what was done, stage by stage; inside a stage in the order of the revisions."""
    order = {
        one.signer_id: one.number for one in queries.revisions_of(session, row.id) if one.signer_id
    }
    base = document
    for signer in sorted(signers, key=lambda one: (one.stage, order.get(one.id, 0))):
        if signer.approved_at is not None:
            # A member of a stage that was done without them may have approved again in its place.
            approve = rules.approve if value.needed(signer.stage) else rules.approve_again
            value = approve(
                value,
                person=signer.person_id,
                field=signer.field,
                document_sha256=document,
                at=signer.approved_at,
            ).agreement
        if signer.signed_at is None or signer.revision_sha256 is None:
            continue
        revision = digest32(bytes.fromhex(signer.revision_sha256))
        value = rules.sign(
            value,
            person=signer.person_id,
            field=signer.field,
            document_sha256=document,
            base_sha256=base,
            revision_sha256=revision,
            at=signer.signed_at,
        ).agreement
        base = revision
    return value


def member_of(signer: SignerRow) -> rules.Signer:
    """The rule-side value of one place."""
    return rules.Signer(
        person=signer.person_id,
        organisation=signer.organisation_id,
        field=signer.field,
        order=signer.stage,
        act=rules.Act(signer.act),
    )


def stated_amount(row: AgreementRow) -> str | None:
    """What the sender stated of money, as a statement names it; None where nothing was (older agreements)."""
    stated = amount_text(row.amount_minor, none=row.no_amount)
    return None if stated == UNSTATED else stated


def quorums_of(row: AgreementRow) -> dict[int, int]:
    """Stage -> how many of its members must act."""
    return {int(stage): int(need) for stage, need in json.loads(row.quorums).items()}


def authority_at(
    session: Session,
    signer: SignerRow,
    row: AgreementRow,
    *,
    act: str,
    at: datetime,
    seal: str | None = None,
    need: Need | None = None,
) -> AuthorisationRow:
    """An authorisation of the signer's organisation that covers this act now.

    Args:
        need: what the policy table asks of the authority itself.

    Raises:
        ForbiddenError: `authority.none`, or what the newest authorisation lacks (`authority.*`).
    """
    held = party_queries.authorisations_of(
        session, organisation_id=signer.organisation_id, person_id=signer.person_id
    )
    fault: ForbiddenError | None = None
    # What a valid authority lacks says more than that an earlier one was revoked; and an act rests on the best
    # authority that covers it, so that the evidence does not name a mere declaration where a letter stands.
    for one in sorted(
        held, key=lambda one: (one.revoked_at is not None, -STRENGTH[Basis(one.basis)])
    ):
        try:
            require_authority(
                authorisation_of(one),
                act=act,
                matter=row.matter,
                at=at,
                organisation=signer.organisation_id,
                person=signer.person_id,
                amount=row.amount_minor,
                seal=seal,
            )
            if need is not None:
                require_basis(need, Basis(one.basis))
        except ForbiddenError as exc:
            fault = fault or exc
        else:
            return one
    raise fault or ForbiddenError(
        "this person holds no authority of this organisation", code="authority.none"
    )


def record_step(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    kind: str,
    body: Mapping[str, Json],
    *,
    at: datetime,
) -> None:
    """Journal one step of an agreement in the caller's transaction."""
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type=kind,
            at=at,
            subject=row.id,
            actor=caller.account_id,
            body={"agreement": row.id, **body},
        ),
    )
