"""JSON: letters of authority, ratifications, and the table of levels."""

from __future__ import annotations

import base64
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy.orm import Session

from api.callers import require_organisation
from api.deps import PUBLIC, Admin, AtDep, Handler, Limit, PortsDep, SessionDep, Tenant
from api.flows import authority, ratification
from api.routes.accounts import from_base64
from api.schemas.agreements import ProofIn
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.identity import (
    DecisionStatementOut,
    LetterIn,
    LetterOut,
    PolicyOut,
    PolicyRowOut,
    RatificationDecisionIn,
    RatificationIn,
    RatificationOut,
)
from ledger.queries import identity as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.parties import AuthorisationRow
from signing.ratification_intent import ratification_digest, ratification_message

router = APIRouter(prefix="/api/v1", tags=["authority"])

RecordId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]


@router.get("/level-policy", dependencies=[Depends(PUBLIC)])
def level_policy(ports: PortsDep) -> PolicyOut:
    """Which real-name level and which kind of authority each agreement needs here."""
    policy = ports.levels
    return PolicyOut(
        v=str(policy.as_json()["v"]),
        edition=policy.edition,
        sha256=policy.digest.hex(),
        unstated_as=policy.unstated_as,
        rows=[PolicyRowOut.model_validate(row) for row in policy.rows],
    )


@router.get("/letters")
def list_letters(session: SessionDep, caller: Tenant) -> list[LetterOut]:
    """Letters of authority of the caller's organisation, newest first."""
    rows = party_queries.letters_of(session, require_organisation(caller))
    return [letter_out(session, row) for row in rows]


@router.post("/letters", status_code=201)
def propose_letter(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Admin, body: LetterIn
) -> LetterOut:
    """Draw up a letter of authority and put it before the legal representative to sign."""
    new = authority.NewLetter(
        id=body.id,
        agreement_id=body.agreement_id,
        person_id=body.person_id,
        matters=frozenset(body.matters),
        powers=frozenset(body.powers),
        valid_from=body.valid_from,
        valid_to=body.valid_to,
        amount_max=body.amount_max_fen,
        seal_scope=frozenset(body.seals),
    )
    return letter_out(session, authority.propose_letter(session, ports, caller, new, at=at))


@router.get("/ratifications")
def list_ratifications(
    session: SessionDep, caller: Tenant, limit: Limit = 20
) -> list[RatificationOut]:
    """What the caller's organisation was asked to ratify, newest first."""
    rows = queries.ratifications_for(session, require_organisation(caller), limit=limit)
    return [RatificationOut.model_validate(row) for row in rows]


@router.get("/agreements/{agreement_id}/ratifications")
def ratifications_of_agreement(
    session: SessionDep, caller: Tenant, agreement_id: RecordId
) -> list[RatificationOut]:
    """Acts beyond an authority in an agreement that the caller takes part in."""
    rows = ratification.ratifications_of(session, caller, agreement_id)
    return [RatificationOut.model_validate(row) for row in rows]


@router.post("/signers/{signer_id}/ratification", status_code=201)
def ask_ratification(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: RecordId,
    body: RatificationIn,
) -> RatificationOut:
    """Ask one's own organisation to ratify an act beyond one's authority; it has 30 days."""
    row = ratification.ask_ratification(
        session, ports, caller, signer_id, ratification_id=body.id, reason=body.reason, at=at
    )
    return RatificationOut.model_validate(row)


@router.post("/ratifications/{ratification_id}/statement", status_code=201)
def make_decision(
    session: SessionDep,
    at: AtDep,
    caller: Handler,
    ratification_id: RecordId,
    body: RatificationDecisionIn,
) -> DecisionStatementOut:
    """The exact sentence by which the organisation ratifies or refuses, for the decider's device to sign."""
    row = ratification.make_decision(
        session, caller, ratification_id, ratify=body.ratify, reason=body.reason, at=at
    )
    value = json.loads(row.statement or "{}")
    return DecisionStatementOut(
        id=row.id,
        statement=value,
        statement_sha256=ratification_digest(value).hex(),
        message_base64=base64.b64encode(ratification_message(value)).decode(),
    )


@router.post("/ratifications/{ratification_id}")
def decide_ratification(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    ratification_id: RecordId,
    body: ProofIn,
) -> RatificationOut:
    """Ratify or refuse, for good: the statement, signed by the key in the decider's certificate."""
    proof = from_base64(body.signature_base64, field="signature_base64")
    row = ratification.decide_ratification(
        session, ports, caller, ratification_id, proof=proof, at=at
    )
    return RatificationOut.model_validate(row)


def letter_out(session: Session, row: AuthorisationRow) -> LetterOut:
    """A letter with the state of its agreement."""
    assert row.agreement_id is not None
    return LetterOut(
        id=row.id,
        agreement_id=row.agreement_id,
        state=session.get_one(AgreementRow, row.agreement_id).state,
        person_id=row.person_id,
        matters=row.matters.split(","),
        powers=row.powers.split(","),
        amount_max_fen=row.amount_max_minor,
        seals=[] if row.seal_scope in ("", "none") else row.seal_scope.split(","),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        revoked_at=row.revoked_at,
    )
