"""Real-name parties: register, check, authorise a handler, certify its key.

Outside answers (the verification provider) are fetched before the transaction that records them.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final, Literal

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.verification_levels import levels_of, pending_row, reason_of, settle
from api.ports import Ports
from ledger.core.canonical import Json, commitment
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    UnavailableError,
)
from ledger.core.ids import new_id, require_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, record
from ledger.queries import parties as queries
from ledger.store import transaction
from ledger.tables.parties import AuthorisationRow, CertificateRow, PartyRow
from signing.ca import CertificateSubject, IssuedCertificate, requested_spki
from signing.ca_names import NAME_CHARS_MAX, common_name_text, name_text
from signing.fonts import require_glyphs
from signing.identity import (
    Authorisation,
    Basis,
    Status,
    VerificationRequest,
    VerificationResult,
    check_resident_id,
    check_uscc,
    derive_level,
    is_invented,
    mask_number,
)

PLACE_CHARACTERS_MAX: Final = 200
CATEGORIES: Final = ("donor", "manufacturer", "hospital", "arbitration", "carrier", "person")
AUTHORISATION_DAYS_MAX: Final = 366
"""A written authority is renewed at least once a year, as is practice for legal representatives."""

LETTERS: Final = "authorisation"
"""The matter of letters of authority: the legal representative alone deals with it."""
MATTERS: Final = frozenset({"donation", "manufacturing", "other"})
POWERS: Final = frozenset({"accept", "consent", "read", "sign"})
APPROVE: Final = "approve"
"""To approve the use of a seal (用印审批): given by a letter, so that who signs does not approve too."""

Category = Literal["donor", "manufacturer", "hospital", "arbitration", "carrier", "person"]


@dataclass(frozen=True, slots=True)
class NewParty:
    """A legal or natural person to register.

    Attributes:
        id: `pty_…`, made by the caller.
        number: unified social credit code or resident-identity number; checked, sealed, never logged.
        consent_id: id of the consent to the real-name check.
        invented: the identity was made up for a demonstration or test.
    """

    id: str
    kind: Literal["organisation", "person"]
    category: Category
    name: str
    number: str
    place: str
    receiving_system: str
    consent_id: str
    invented: bool


def verify_and_register(ports: Ports, party: NewParty, *, at: datetime) -> PartyRow:
    """Check locally, ask the provider, then record both in one transaction.

    Returns the identical party where an earlier attempt made it.

    Raises:
        InputError: `id.malformed`, `party.name`, `party.text`, `party.category`, `identity.*` (the exact
            fault), `identity.invented` in production, `identity.mismatch`.
        UnavailableError: `identity.source_down`.
        ConflictError: `party.number_taken`, `identity.attempts_exhausted`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    number = require_number(party, today=at.date())
    if ports.settings.production and (party.invented or is_invented(number)):
        raise InputError(
            "an installation in production registers nobody who was made up",
            code="identity.invented",
        )
    with transaction(ports.readers) as session:
        existing = session.get(PartyRow, party.id)
    if existing is not None:
        require_same(existing.fingerprint, _fields(ports, party, number), id=party.id)
        return existing
    request = VerificationRequest(
        request_id="chk_" + party.id.partition("_")[2],
        kind="organisation_name_code" if party.kind == "organisation" else "person_name_number",
        subject=party.id,
        factors={
            "name": party.name,
            ("uscc" if party.kind == "organisation" else "number"): number,
        },
        purpose="register",
        consent_id=party.consent_id,
        nonce=secrets.token_hex(16),
        at=at,
    )
    # Asked outside the transaction: a slow provider must hold no lock. A crash here leaves nothing.
    result = ports.provider.verify(request)
    _require_usable(result)
    with transaction(ports.sessions) as session:
        return _record(session, ports, party, number=number, request=request, result=result, at=at)


def _require_usable(result: VerificationResult) -> None:
    """A mismatch registers nobody; an outage says so and is tried again. No record stays at level 0,
    and so does an answer that comes later."""
    if result.status is Status.MISMATCH:
        raise InputError(
            "name and number do not belong together; correct them and send them under a new id",
            code="identity.mismatch",
        )
    if result.status is Status.SOURCE_DOWN:
        raise UnavailableError(
            "the verification provider's source does not answer; nothing was recorded",
            code="identity.source_down",
        )


def require_number(party: NewParty, *, today: date) -> str:
    """The identity number in its normal form.

    Raises:
        InputError: `id.malformed`, `party.name`, `font.*`, `party.text`, `party.category`, `identity.*`.
    """
    require_id(party.id, prefix="pty")
    _require_name(party)
    for field in ("place", "receiving_system"):
        if len(getattr(party, field)) > PLACE_CHARACTERS_MAX:
            raise InputError(
                f"{field} has at most {PLACE_CHARACTERS_MAX} characters",
                code="party.text",
                field=field,
            )
    if party.category not in CATEGORIES or (party.kind == "person") != (party.category == "person"):
        raise InputError("no such category of party", code="party.category", known=CATEGORIES)
    if party.kind == "organisation":
        return check_uscc(party.number).code
    return check_resident_id(party.number, today=today).number


def _require_name(party: NewParty) -> None:
    """Refuse now what no certificate could name and no page show: it would be found at the first signature.

    A machine without a font for Chinese registers all the same: it says so where it has to draw.

    Raises:
        InputError: `party.name`, `font.unprintable`, `font.missing_glyph`.
    """
    with contextlib.suppress(UnavailableError):
        require_glyphs(party.name)
    try:
        (common_name_text if party.kind == "person" else name_text)(party.name)
    except InputError as exc:
        raise InputError(
            f"a name has 1 to {NAME_CHARS_MAX} characters in one line (a person's {NAME_CHARS_MAX} "
            f"bytes: {NAME_CHARS_MAX // 3} Chinese ones), as its certificate will show it",
            code="party.name",
            field="name",
        ) from exc


def _fields(ports: Ports, party: NewParty, number: str) -> dict[str, Json]:
    return {
        "kind": party.kind,
        "category": party.category,
        "name": party.name,
        "number": _number_index(ports, number),
        "place": party.place,
        "receiving_system": party.receiving_system,
        "invented": party.invented,
    }


def _number_index(ports: Ports, number: str) -> str:
    return ports.keyed_digest(number)


def _record(
    session: Session,
    ports: Ports,
    party: NewParty,
    *,
    number: str,
    request: VerificationRequest,
    result: VerificationResult,
    at: datetime,
) -> PartyRow:
    fields = _fields(ports, party, number)
    existing = session.get(PartyRow, party.id)
    if existing is not None:
        require_same(existing.fingerprint, fields, id=party.id)
        return existing
    index = _number_index(ports, number)
    taken = queries.party_by_number(session, kind=party.kind, number_index=index)
    if taken is not None:
        raise ConflictError(
            "this identity number is registered already; log in or recover that account",
            code="party.number_taken",
        )
    salt = secrets.token_bytes(32)
    promised = commitment(salt, {"kind": party.kind, "number": number, "name": party.name}).hex()
    sealed = ports.vault.seal_value(
        session,
        {"number": number, "salt": salt.hex()},
        subject=party.id,
        name="number",
        at=at,
    )
    level = derive_level([result], subject=party.id, allow_mock=not ports.settings.production)
    row = PartyRow(
        id=party.id,
        kind=party.kind,
        category=party.category,
        name=party.name,
        number_masked=mask_number(number),
        number_index=index,
        number_commitment=promised,
        number_sealed=sealed,
        level=int(level.level),
        level_reason=reason_of(level),
        invented=party.invented or is_invented(number),
        place=party.place,
        receiving_system=party.receiving_system,
        fingerprint=fingerprint(fields),
        created_at=at,
    )
    session.add(row)
    session.flush()
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="party.registered",
            at=at,
            subject=party.id,
            actor=party.id,
            body={
                "party": party.id,
                "kind": party.kind,
                "category": party.category,
                "name": party.name,
                "number_masked": row.number_masked,
                "number_commitment": promised,
                "level": row.level,
                "invented": row.invented,
                "place": party.place,
                "receiving_system": party.receiving_system,
                "demo": ports.settings.demo,
            },
        ),
    )
    check = pending_row(request, result, asked_by="system", at=at)
    session.add(check)
    if result.status is not Status.PENDING:
        settle(session, ports, check, result, actor="system", at=at)
    session.flush()
    return row


@dataclass(frozen=True, slots=True)
class NewAuthorisation:
    """A handler's authority to register: matters, powers, period (CC-165)."""

    id: str
    organisation_id: str
    person_id: str
    matters: frozenset[str]
    powers: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    seal_scope: str = "none"
    amount_max_minor: int | None = None
    basis: Basis = Basis.DECLARED


def grant_authorisation(
    session: Session, ports: Ports, caller: Caller, new: NewAuthorisation, *, at: datetime
) -> AuthorisationRow:
    """Record a handler's authority for the caller's own organisation.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: another organisation, or an unknown person.
        InputError: `authorisation.period`, `authority.malformed`, `authority.reserved`.
    """
    require_role(caller, Role.ADMIN, Role.OPERATOR)
    require_visible(caller, new.organisation_id)
    require_id(new.id, prefix="aut")
    if LETTERS in new.matters and new.basis is not Basis.STATUTORY:
        raise InputError(
            "only the legal representative gives letters of authority", code="authority.reserved"
        )
    fields: dict[str, Json] = {
        "organisation": new.organisation_id,
        "person": new.person_id,
        "matters": sorted(new.matters),
        "powers": sorted(new.powers),
        "valid_from": utc_text(new.valid_from),
        "valid_to": utc_text(new.valid_to),
        "seal_scope": new.seal_scope,
        "amount_max_minor": new.amount_max_minor,
        **({} if new.basis is Basis.DECLARED else {"basis": new.basis.value}),
    }
    existing = session.get(AuthorisationRow, new.id)
    if existing is not None:
        require_same(existing.fingerprint, fields, id=new.id)
        return existing
    people = queries.parties_by_ids(session, [new.organisation_id, new.person_id])
    organisation, person = people.get(new.organisation_id), people.get(new.person_id)
    if organisation is None or organisation.kind != "organisation":
        raise NotFoundError("there is no such organisation", code="party.not_found")
    if person is None or person.kind != "person":
        raise NotFoundError("there is no such person", code="party.not_found")
    if not timedelta(0) < new.valid_to - new.valid_from <= timedelta(days=AUTHORISATION_DAYS_MAX):
        raise InputError(
            f"an authorisation runs for one second to {AUTHORISATION_DAYS_MAX} days",
            code="authorisation.period",
        )
    row = AuthorisationRow(
        id=new.id,
        organisation_id=new.organisation_id,
        person_id=new.person_id,
        matters=",".join(sorted(new.matters)),
        powers=",".join(sorted(new.powers)),
        seal_scope=new.seal_scope,
        amount_max_minor=new.amount_max_minor,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        basis=new.basis.value,
        fingerprint=fingerprint(fields),
        created_at=at,
    )
    frozen = authorisation_of(row).as_json()
    session.add(row)
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="authorisation.granted",
            at=at,
            subject=new.organisation_id,
            actor=caller.account_id,
            body={"authorisation": frozen, "demo": ports.settings.demo},
        ),
    )
    return row


def revoke_authorisation(
    session: Session,
    ports: Ports,
    caller: Caller,
    authorisation_id: str,
    *,
    reason: str,
    at: datetime,
) -> AuthorisationRow:
    """End a handler's authority at once. Cannot be undone; grant a new one instead.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: unknown or another organisation's.
    """
    require_role(caller, Role.ADMIN, Role.OPERATOR)
    row = session.get(AuthorisationRow, authorisation_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    session.refresh(row, with_for_update=True)  # two may revoke at once, or a handler sign under it
    if row.revoked_at is None:
        row.revoked_at = at
        record(
            session,
            ports.vault,
            NewEntry(
                id=new_id("ent", at=at),
                type="authorisation.revoked",
                at=at,
                subject=row.organisation_id,
                actor=caller.account_id,
                body={"authorisation": row.id, "reason": reason[:200]},
            ),
        )
    return row


def authorisation_of(row: AuthorisationRow) -> Authorisation:
    """The rule-side value of a row."""
    scope = frozenset() if row.seal_scope in ("", "none") else frozenset(row.seal_scope.split(","))
    return Authorisation(
        id=row.id,
        organisation=row.organisation_id,
        person=row.person_id,
        matters=frozenset(row.matters.split(",")),
        powers=frozenset(row.powers.split(",")),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        amount_max=row.amount_max_minor,
        seal_scope=scope,
        revoked_at=row.revoked_at,
        basis=Basis(row.basis),
        agreement=row.agreement_id,
    )


@dataclass(frozen=True, slots=True)
class _Certifiable:
    """A key that may be certified, for whom, and what was issued for it before."""

    organisation: PartyRow
    person: PartyRow
    spki: bytes
    existing: CertificateRow | None


def fetch_certificate(
    ports: Ports,
    caller: Caller,
    *,
    organisation_id: str,
    person_id: str,
    csr_der: bytes,
    at: datetime,
) -> IssuedCertificate | None:
    """Have the authority certify a key, before the transaction that records it; None if it was before.

    A crash in between leaves a certificate without a row; the same request again gets the same one.

    Raises:
        NotFoundError, ForbiddenError, InputError, ConflictError: as `issue_certificate`.
        UnavailableError: `outside.resting`, `outside.all_failed`, `sm2.unavailable`, `sm2.self_test`.
    """
    with transaction(ports.readers) as session:
        may = _certifiable(
            session,
            ports,
            caller,
            organisation_id=organisation_id,
            person_id=person_id,
            csr_der=csr_der,
            at=at,
        )
    return None if may.existing is not None else _issued(ports, may, csr_der, at=at)


def issue_certificate(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    organisation_id: str,
    person_id: str,
    csr_der: bytes,
    at: datetime,
    issued: IssuedCertificate | None = None,
) -> CertificateRow:
    """Certify the key behind a certificate request, for a checked person of a checked organisation.

    The same request again returns the certificate that was issued.

    Args:
        issued: as `fetch_certificate` got it; None asks the authority now, for one that answers at once.

    Raises:
        NotFoundError: another organisation, or an unknown party.
        ForbiddenError: `certificate.level`: a real name that no check confirmed;
            `certificate.no_authority`: the person holds no authority of the organisation.
        InputError: `ca.csr_*`.  ConflictError: `ca.key_in_use`, `certificate.other_holder`.
    """
    may = _certifiable(
        session,
        ports,
        caller,
        organisation_id=organisation_id,
        person_id=person_id,
        csr_der=csr_der,
        at=at,
    )
    if may.existing is not None:
        return may.existing
    if issued is None:
        issued = _issued(ports, may, csr_der, at=at)
    spki = may.spki
    row = CertificateRow(
        id=new_id("crt", at=at),
        organisation_id=organisation_id,
        person_id=person_id,
        serial=issued.serial_hex,
        spki_sha256=sha256(spki).hexdigest(),
        der=issued.der,
        chain=b"".join(issued.chain),
        not_before=issued.not_before,
        not_after=issued.not_after,
        created_at=at,
    )
    session.add(row)
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="certificate.issued",
            at=at,
            subject=person_id,
            actor=caller.account_id,
            body={
                "certificate": row.id,
                "organisation": organisation_id,
                "issuer": ports.authority.label_en,
                "serial": row.serial,
                "sha256": sha256(issued.der).hexdigest(),
                "spki_sha256": row.spki_sha256,
                "not_before": utc_text(issued.not_before),
                "not_after": utc_text(issued.not_after),
                "label": ports.authority.label_zh,
            },
        ),
    )
    return row


def _certifiable(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    organisation_id: str,
    person_id: str,
    csr_der: bytes,
    at: datetime,
) -> _Certifiable:
    require_visible(caller, organisation_id)
    if not caller.is_operator and caller.person_id != person_id:
        raise NotFoundError("there is no such record")
    people = queries.parties_by_ids(session, [organisation_id, person_id])
    if organisation_id not in people or person_id not in people:
        raise NotFoundError("there is no such record")
    organisation, person = people[organisation_id], people[person_id]
    known = levels_of(session, ports, [organisation_id, person_id], at=at)
    if min(one.level for one in known.values()) < 1:
        raise ForbiddenError(
            "organisation and handler must pass the real-name check first",
            code="certificate.level",
            organisation_level=int(known[organisation_id].level),
            person_level=int(known[person_id].level),
        )
    held = queries.authorisations_of(session, organisation_id=organisation_id, person_id=person_id)
    if not any(row.revoked_at is None and row.valid_to > at for row in held):
        raise ForbiddenError(
            "this person holds no authority of this organisation", code="certificate.no_authority"
        )
    spki = requested_spki(csr_der)
    existing = queries.certificate_of_key(session, sha256(spki).hexdigest())
    if existing is not None and (existing.organisation_id, existing.person_id) != (
        organisation_id,
        person_id,
    ):
        raise ConflictError("this key belongs to somebody else", code="certificate.other_holder")
    if existing is not None and existing.revoked_at is not None:
        raise ForbiddenError("this key is blocked for good; make a new one", code="key.blocked")
    return _Certifiable(organisation, person, spki, existing)


def _issued(ports: Ports, may: _Certifiable, csr_der: bytes, *, at: datetime) -> IssuedCertificate:
    earlier = [one for one in ports.authority.issued_for(may.spki) if one.not_after > at]
    if earlier:
        return earlier[-1]
    assert may.person.number_commitment is not None
    return ports.authority.issue(
        csr_der,
        subject=CertificateSubject(
            common_name=may.person.name,
            organisation=may.organisation.name,
            reference=may.person.id,
            identity_commitment=bytes.fromhex(may.person.number_commitment),
        ),
        at=at,
    )
