"""Every act on goods is signed by the handler's own device key, and carried out in the same transaction.

A statement names the act, its fields, who acts for whom and when; the device signs
`fuqi/custody-statement/v1 || 0x00 || canonical JSON`. Before anybody is asked to sign, the act is tried out and
undone, so that a mistake is told before it is signed. The entry about the act holds statement and signature, so
whoever has the entry's body can check who said what without asking us.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role
from api.flows.custody_acts import ACTS, Act
from api.flows.custody_lots import Done
from api.flows.custody_step import Step
from api.flows.parties import authorisation_of
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes, tagged_digest
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    InputError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import require_id
from ledger.core.units import utc_text
from ledger.queries import parties as party_queries
from ledger.tables.custody import CustodyStatementRow
from ledger.tables.parties import AuthorisationRow, CertificateRow, PartyRow
from signing.certificates import certificate_spki
from signing.identity import require_authority
from signing.keys.algorithms import verify_by_key

STATEMENT_TAG: Final = "fuqi/custody-statement/v1"
FRESH_FOR: Final = timedelta(minutes=10)
"""As for signatures on agreements: long enough to read, too short to collect."""
PROOF_BYTES_MAX: Final = 4096
FIELDS_BYTES_MAX: Final = 64 * 1024
"""Fields of one act: five hundred packages take half of it."""


def make_statement(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    statement_id: str,
    act: str,
    fields: Mapping[str, Any],
    at: datetime,
) -> CustodyStatementRow:
    """Try an act out and make the statement to be signed for it; nothing is changed yet.

    The same id again returns the same statement.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`, `authority.*`.
        InputError: `custody.act`, `custody.fields`, `id.malformed`, and what the act refuses.
        NotFoundError: `certificate.none`, and what the act does not find.
        ConflictError: what the act's state forbids.
        ExistsWithDifferentFieldError: same id, another act.
    """
    require_role(caller, Role.HANDLER)
    organisation_id = require_organisation(caller)
    require_id(statement_id, prefix="cst")
    known = ACTS.get(act)
    if known is None:
        raise InputError("there is no such act", code="custody.act")
    value = read_fields(known, fields)
    person_id = _person(caller)
    existing = session.get(CustodyStatementRow, statement_id)
    if existing is not None:
        _require_same(existing, person_id, act, value)
        return existing
    stated = _statement(session, act, value, organisation_id, person_id, at=at)
    row = CustodyStatementRow(
        id=statement_id,
        organisation_id=organisation_id,
        person_id=person_id,
        act=act,
        subject=next(iter(value.values())) if value else "",
        statement=canonical_bytes(stated).decode(),
        created_at=at,
    )
    certificate = usable_certificate(session, organisation_id, person_id, at=at)
    authority = _authority(session, organisation_id, person_id, power=known.power, at=at)
    trial = session.begin_nested()
    try:
        _carry_out(session, ports, caller, row, b"", certificate, authority, at=at)
    finally:
        trial.rollback()
    session.add(row)
    session.flush()
    return row


def complete_statement(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    statement_id: str,
    proof: bytes,
    at: datetime,
) -> CustodyStatementRow:
    """Check the signature and carry the act out; the same proof again returns what was done.

    Raises:
        NotFoundError: `not_found`, `certificate.none`, and what the act does not find.
        VerificationError: `custody.proof`.
        ForbiddenError: `authority.*`.
        ConflictError: `custody.statement_used`, `custody.statement_stale`, and the act's.
        InputError: what the act refuses.
    """
    row = session.get(CustodyStatementRow, statement_id, with_for_update=True)
    mine = row is not None and (row.person_id, row.organisation_id) == (
        caller.person_id,
        caller.organisation_id,
    )
    if row is None or not mine:
        raise NotFoundError("there is no such record")
    session.refresh(row)
    if row.done_at is not None:
        if row.proof == proof.hex():
            return row
        raise ConflictError("this statement is used; make a new one", code="custody.statement_used")
    if at - row.created_at > FRESH_FOR:
        raise ConflictError(
            "this statement is too old; make a new one", code="custody.statement_stale"
        )
    certificate = usable_certificate(session, row.organisation_id, row.person_id, at=at)
    require_proof(row.statement, proof=proof, certificate=certificate)
    power = ACTS[row.act].power
    authority = _authority(session, row.organisation_id, row.person_id, power=power, at=at)
    done = _carry_out(session, ports, caller, row, proof, certificate, authority, at=at)
    row.proof, row.done_at = proof.hex(), at
    row.entry_id, row.result_id = done.entry.id, done.result_id
    session.flush()
    return row


def message_of(statement: str) -> bytes:
    """The bytes that the device signs."""
    return STATEMENT_TAG.encode("ascii") + b"\x00" + statement.encode("utf-8")


def require_proof(statement: str, *, proof: bytes, certificate: CertificateRow) -> None:
    """Refuse a signature that is not by this certificate's key over this statement.

    Raises:
        VerificationError: `custody.proof`.
    """
    try:
        if len(proof) > PROOF_BYTES_MAX:
            raise VerificationError("too long for a signature", code="custody.proof")
        verify_by_key(
            message_of(statement),
            signature=proof,
            public_spki=certificate_spki(certificate.der),
        )
    except VerificationError as exc:
        raise VerificationError(
            "the statement was not signed by the key of your certificate", code="custody.proof"
        ) from exc


def read_fields(act: Act, fields: Mapping[str, Any]) -> dict[str, Json]:
    """The fields of an act as canonical JSON, in the order of its shape.

    Raises:
        InputError: `custody.fields` with the first field that is missing or malformed.
    """
    try:
        model = act.shape.model_validate_json(json.dumps(dict(fields)))
    except (ValidationError, ValueError, TypeError) as exc:
        faults = exc.errors() if isinstance(exc, ValidationError) else []
        named = ".".join(str(part) for part in faults[0]["loc"]) if faults else "fields"
        raise InputError(
            f"{named} is missing or is not what it must be: see the description of this act",
            code="custody.fields",
            field=named,
        ) from exc
    value: dict[str, Json] = model.model_dump(mode="json")
    if len(canonical_bytes(value)) > FIELDS_BYTES_MAX:
        raise InputError("this act is too large", code="custody.fields", field="fields")
    return value


def usable_certificate(
    session: Session, organisation_id: str, person_id: str, *, at: datetime
) -> CertificateRow:
    """The handler's certificate.

    Raises:
        NotFoundError: `certificate.none`.
    """
    for one in party_queries.usable_certificates(
        session, organisation_id=organisation_id, person_id=person_id, at=at
    ):
        # Held until the act is recorded: the loss of the key is reported before it, or after it.
        if party_queries.hold_certificate(session, one.id).revoked_at is None:
            return one
    raise NotFoundError(
        "you hold no valid certificate; make a device key and send its certificate request",
        code="certificate.none",
    )


def _carry_out(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: CustodyStatementRow,
    proof: bytes,
    certificate: CertificateRow,
    authority: AuthorisationRow,
    *,
    at: datetime,
) -> Done:
    stated = json.loads(row.statement)
    signed: dict[str, Json] = {
        "statement": stated,
        "statement_sha256": tagged_digest(STATEMENT_TAG, stated).hex(),
        "proof": proof.hex(),
        "certificate": certificate.id,
        "serial": certificate.serial,
        "authorisation": authority.id,
    }
    step = Step(
        session=session,
        ports=ports,
        caller=caller,
        organisation=row.organisation_id,
        person=row.person_id,
        statement_id=row.id,
        signed=signed,
        at=at,
    )
    act = ACTS[row.act]
    return act.work(step, act.shape.model_validate_json(json.dumps(stated["fields"])))


def _statement(
    session: Session,
    act: str,
    fields: Mapping[str, Json],
    organisation_id: str,
    person_id: str,
    *,
    at: datetime,
) -> dict[str, Json]:
    # The organisation's name, never the person's: entries with this statement go to other parties.
    name = session.get_one(PartyRow, organisation_id).name
    said = ACTS[act]
    return {
        "v": STATEMENT_TAG,
        "act": act,
        "fields": dict(fields),
        "organisation": organisation_id,
        "organisation_name": name,
        "person": person_id,
        "at": utc_text(at),
        "nonce": secrets.token_hex(16),
        "text_zh": f"本人代表{name}，{said.zh}。",
        "text_en": f"I, for {name}, {said.en}.",
    }


def _authority(
    session: Session, organisation_id: str, person_id: str, *, power: str, at: datetime
) -> AuthorisationRow:
    """An authorisation that covers this power in donations or orders now."""
    held = party_queries.authorisations_of(
        session, organisation_id=organisation_id, person_id=person_id
    )
    fault: ForbiddenError | None = None
    for one in sorted(held, key=lambda one: one.revoked_at is not None):
        for matter in ("donation", "manufacturing"):
            try:
                require_authority(
                    authorisation_of(one),
                    act=power,
                    matter=matter,
                    at=at,
                    organisation=organisation_id,
                    person=person_id,
                    amount=0,
                )
            except ForbiddenError as exc:
                fault = fault or exc
            else:
                return one
    raise fault or ForbiddenError(
        "this person holds no authority of this organisation", code="authority.none"
    )


def _person(caller: Caller) -> str:
    if caller.person_id is None:
        raise ForbiddenError("only a person signs", code="custody.person")
    return caller.person_id


def _require_same(
    row: CustodyStatementRow, person_id: str, act: str, fields: Mapping[str, Json]
) -> None:
    if row.person_id != person_id:
        raise NotFoundError("there is no such record")
    stored = json.loads(row.statement)
    for name, before, now in (("act", row.act, act), ("fields", stored["fields"], dict(fields))):
        if before != now:
            raise ExistsWithDifferentFieldError(
                f"{row.id} was made with a different {name}", field=name, id=row.id
            )
