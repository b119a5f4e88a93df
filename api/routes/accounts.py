"""JSON: register, log in and out, the caller's organisation, handlers, API keys, certificates."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import replace
from datetime import datetime

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.deps import (
    Admin,
    AtDep,
    Handler,
    Limit,
    Member,
    PortsDep,
    ReaderDep,
    SessionDep,
    Tenant,
    Visitor,
    address_of,
    limit_attempts,
)
from api.edge import SESSION_COOKIE
from api.flows import access, parties, registration
from api.routes.base import pages_of
from api.schemas.accounts import (
    AccountOut,
    AuthorisationOut,
    CertificateIn,
    CertificateOut,
    CertificateSummary,
    HandlerIn,
    KeyIn,
    KeyOut,
    LoginIn,
    NewKeyOut,
    OrganisationOut,
    PartyOut,
    PasswordIn,
    RegisteredOut,
    RegistrationIn,
)
from ledger.core.errors import InputError
from ledger.queries import access as access_queries
from ledger.queries import parties as party_queries
from ledger.tables.access import AccountRow, ApiKeyRow
from ledger.tables.parties import CertificateRow, PartyRow

router = APIRouter(prefix="/api/v1", tags=["accounts"])


@router.post("/register", status_code=201)
def register(
    request: Request, ports: PortsDep, at: AtDep, caller: Visitor, body: RegistrationIn
) -> RegisteredOut:
    """Register an organisation and its first handler; both real names are checked."""
    del caller
    limit_attempts(request, "register.address")
    made = registration.register(
        ports,
        registration.Registration(
            organisation_id=body.organisation_id,
            category=body.category,
            name=body.name,
            number=body.credit_code,
            place=body.place,
            receiving_system=body.receiving_system,
            handler=new_handler(body.handler),
            representative=body.representative,
        ),
        at=at,
    )
    return RegisteredOut(
        organisation=PartyOut.model_validate(made.organisation),
        person=PartyOut.model_validate(made.person),
        account_id=made.account.id,
        login=made.account.login,
    )


@router.post("/login")
def login(
    request: Request,
    response: Response,
    reader: ReaderDep,
    session: SessionDep,
    at: AtDep,
    caller: Visitor,
    body: LoginIn,
) -> AccountOut:
    """Open a session; the token is in the cookie. Machines use an API key instead."""
    del caller
    account, token = open_login(
        request,
        reader,
        session,
        login=body.login,
        password=body.password.get_secret_value(),
        at=at,
    )
    set_session_cookie(request, response, token)
    return AccountOut(
        account_id=account.id,
        person_id=account.person_id,
        organisation_id=account.organisation_id,
        roles=account.roles.split(),
        via="session",
    )


@router.post("/logout", status_code=204)
def logout(request: Request, response: Response, session: SessionDep, caller: Visitor) -> None:
    """End the session of the cookie."""
    del caller
    access.log_out(session, token=request.cookies.get(SESSION_COOKIE, ""))
    response.delete_cookie(SESSION_COOKIE)


@router.post("/password", status_code=204)
def change_password(
    request: Request,
    reader: ReaderDep,
    session: SessionDep,
    at: AtDep,
    caller: Member,
    body: PasswordIn,
) -> None:
    """Choose another password; every other login of the account ends."""
    set_password(
        request,
        reader,
        session,
        caller,
        password=body.password.get_secret_value(),
        new=body.new_password.get_secret_value(),
        at=at,
    )


@router.get("/me")
def me(caller: Member) -> AccountOut:
    """Who the caller is."""
    return AccountOut(
        account_id=caller.account_id,
        person_id=caller.person_id,
        organisation_id=caller.organisation_id,
        roles=sorted(role.value for role in caller.roles),
        via=caller.via,
    )


@router.get("/organisation")
def organisation(session: SessionDep, caller: Tenant) -> OrganisationOut:
    """The caller's organisation and the authorities of its handlers."""
    return organisation_facts(session, caller)


@router.post("/handlers", status_code=201)
def add_handler(ports: PortsDep, at: AtDep, caller: Admin, body: HandlerIn) -> AccountOut:
    """Add a handler to the caller's organisation."""
    handler = replace(new_handler(body), temporary=True)
    account = registration.add_handler(ports, caller, handler, at=at)
    return AccountOut(
        account_id=account.id,
        person_id=account.person_id,
        organisation_id=account.organisation_id,
        roles=account.roles.split(),
        via="session",
    )


@router.post("/authorisations/{authorisation_id}/revoke")
def revoke_authorisation(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Admin, authorisation_id: str
) -> AuthorisationOut:
    """End a handler's authority at once."""
    row = parties.revoke_authorisation(
        session, ports, caller, authorisation_id, reason="revoked by administrator", at=at
    )
    return AuthorisationOut.model_validate(row)


@router.get("/keys")
def keys(session: SessionDep, caller: Member, limit: Limit = 20) -> list[KeyOut]:
    """The caller's API keys, newest first."""
    rows = access_queries.keys_of(session, caller.account_id, limit=limit)
    return [KeyOut.model_validate(row) for row in rows]


@router.post("/keys", status_code=201)
def make_key(session: SessionDep, at: AtDep, caller: Member, body: KeyIn) -> NewKeyOut:
    """Make an API key. It is shown once."""
    row, key = access.make_key(
        session, caller, key_id=body.id, name=body.name, days=body.days, at=at
    )
    return NewKeyOut(**KeyOut.model_validate(row).model_dump(), key=key)


@router.post("/keys/{key_id}/revoke")
def revoke_key(session: SessionDep, at: AtDep, caller: Member, key_id: str) -> KeyOut:
    """Revoke one of the caller's own keys."""
    row: ApiKeyRow = access.revoke_key(session, caller, key_id=key_id, at=at)
    return KeyOut.model_validate(row)


@router.get("/certificates")
def list_certificates(session: SessionDep, at: AtDep, caller: Handler) -> list[CertificateSummary]:
    """The caller's certificates that are valid now, newest first: signatures use the first one."""
    if caller.person_id is None or caller.organisation_id is None:
        return []
    rows = party_queries.usable_certificates(
        session, organisation_id=caller.organisation_id, person_id=caller.person_id, at=at
    )
    return [
        CertificateSummary(
            id=row.id,
            serial=row.serial,
            sha256=hashlib.sha256(row.der).hexdigest(),
            spki_sha256=row.spki_sha256,
            not_before=row.not_before,
            not_after=row.not_after,
        )
        for row in rows
    ]


@router.post("/certificates", status_code=201)
def issue_certificate(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: CertificateIn
) -> CertificateOut:
    """Certify the caller's device key. The key itself never leaves the device."""
    assert caller.person_id is not None
    organisation_id = require_organisation(caller)
    csr = from_base64(body.csr_base64, field="csr_base64")
    # Before the session's first statement: no lock is held while an authority outside answers.
    issued = parties.fetch_certificate(
        ports,
        caller,
        organisation_id=organisation_id,
        person_id=caller.person_id,
        csr_der=csr,
        at=at,
    )
    row: CertificateRow = parties.issue_certificate(
        session,
        ports,
        caller,
        organisation_id=organisation_id,
        person_id=caller.person_id,
        csr_der=csr,
        at=at,
        issued=issued,
    )
    return CertificateOut(
        id=row.id,
        serial=row.serial,
        certificate_base64=base64.b64encode(row.der).decode(),
        chain_base64=base64.b64encode(row.chain).decode(),
        not_before=row.not_before,
        not_after=row.not_after,
    )


def open_login(
    request: Request, reader: Session, session: Session, *, login: str, password: str, at: datetime
) -> tuple[AccountRow, str]:
    """Count the attempt, check the password, open the session: shared by API and page.

    Raises:
        RateLimitError: `rate.limited`.
        WrongPasswordError: `auth.wrong_password`.
    """
    limit_attempts(request, "login.address")
    name = login.strip().lower()[:64]
    limit_attempts(request, "login.account", who=f"{name}/{address_of(request)}")
    limit_attempts(request, "login.everywhere", who=name)
    account = access.check_password(reader, login=login, password=password)
    pages = pages_of(request)
    token = access.log_in(
        session,
        account_id=account.id,
        hours=pages.settings.session_hours,
        at=at,
    )
    return account, token


def set_password(
    request: Request,
    reader: Session,
    session: Session,
    caller: Caller,
    *,
    password: str,
    new: str,
    at: datetime,
) -> None:
    """Count the attempt and change the password: shared by API and page.

    Raises:
        RateLimitError: `rate.limited`.  Others: those of `access.change_password`.
    """
    limit_attempts(request, "login.account", who=caller.account_id)
    token = request.cookies.get(SESSION_COOKIE, "")
    access.change_password(session, reader, caller, password=password, new=new, token=token, at=at)


def set_session_cookie(request: Request, response: Response, token: str) -> None:
    """Hand the token to the browser: no script reads it, no other site sends it."""
    pages = pages_of(request)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=pages.settings.session_hours * 3600,
        httponly=True,
        samesite="lax",
        secure=pages.site.secure,
    )


def organisation_facts(session: Session, caller: Caller) -> OrganisationOut:
    """The caller's organisation: the same facts for page and JSON."""
    organisation_id = require_organisation(caller)
    row = session.get(PartyRow, organisation_id)
    assert row is not None, "an account acts for an organisation that is not there"
    held = party_queries.authorisations_of(session, organisation_id=organisation_id)
    return OrganisationOut(
        organisation=PartyOut.model_validate(row),
        authorisations=[AuthorisationOut.model_validate(one) for one in held],
    )


def new_handler(body: HandlerIn) -> registration.NewHandler:
    """The flow's value of a handler."""
    return registration.NewHandler(
        person_id=body.person_id,
        account_id=body.account_id,
        authorisation_id=body.authorisation_id,
        name=body.name,
        number=body.resident_id.get_secret_value(),
        consent_id=body.consent_id,
        login=body.login,
        password=body.password.get_secret_value(),
        invented=body.invented,
    )


def from_base64(text: str, *, field: str) -> bytes:
    """Strict base64.

    Raises:
        InputError: `input.base64`, naming the field.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InputError("this is not base64", code="input.base64", field=field) from exc
