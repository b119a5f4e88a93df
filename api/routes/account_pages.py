"""Pages: log in and out, register, my organisation, API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.access import KEYS_PER_ACCOUNT_MAX
from api.callers import Caller
from api.deps import (
    AtDep,
    Member,
    PortsDep,
    ReaderDep,
    SessionDep,
    Visitor,
    limit_attempts,
)
from api.edge import SESSION_COOKIE
from api.errors import Problem, problem_of, request_id_of
from api.flows import access, registration
from api.routes.accounts import (
    open_login,
    organisation_facts,
    set_password,
    set_session_cookie,
)
from api.routes.base import pages_of
from api.schemas.accounts import OrganisationOut
from api.web.pages import go, own_address
from ledger.core.errors import FuqiError, InputError
from ledger.core.ids import derived_id, new_id
from ledger.queries import access as access_queries
from ledger.queries import parties as party_queries
from ledger.tables.parties import PartyRow
from signing.identity_policy import Basis, LevelPolicy

router = APIRouter(include_in_schema=False)

TextField = Annotated[str, Form(max_length=400)]


@router.get("/login", response_class=HTMLResponse)
def login_page(request: Request, caller: Visitor, next: str = "/me") -> Response:  # noqa: A002 - the parameter's public name
    """The form to log in with."""
    if caller is not None:
        return go("/me")
    return pages_of(request).page(
        request,
        "login.html",
        caller=caller,
        next=own_address(next),
        login="",
        problem=None,
        registered="registered" in request.query_params,
    )


@router.post("/login", response_class=HTMLResponse)
def login(
    request: Request,
    reader: ReaderDep,
    session: SessionDep,
    at: AtDep,
    caller: Visitor,
    login: TextField,
    password: TextField,
    next: TextField = "/me",  # noqa: A002 - the field's public name
) -> Response:
    """Log in and go where one wanted to go."""
    try:
        _, token = open_login(request, reader, session, login=login, password=password, at=at)
    except FuqiError as error:
        problem = _problem(request, error)
        return pages_of(request).page(
            request,
            "login.html",
            caller=caller,
            status=problem.status,
            next=own_address(next),
            login=login,
            problem=problem,
        )
    response = go(next)
    set_session_cookie(request, response, token)
    return response


@router.get("/me/password", response_class=HTMLResponse)
def password_page(request: Request, caller: Member) -> Response:
    """The form to choose another password with."""
    return pages_of(request).page(request, "password.html", caller=caller, problem=None)


@router.post("/me/password", response_class=HTMLResponse)
def change_password(
    request: Request,
    reader: ReaderDep,
    session: SessionDep,
    at: AtDep,
    caller: Member,
    password: TextField,
    new_password: TextField,
    again: TextField,
) -> Response:
    """Choose another password; every other login ends."""
    try:
        if new_password != again:
            raise InputError(
                "the new password was typed in two ways",
                code="account.password_differs",
                field="again",
            )
        set_password(request, reader, session, caller, password=password, new=new_password, at=at)
    except FuqiError as error:
        problem = _problem(request, error)
        return pages_of(request).page(
            request, "password.html", caller=caller, status=problem.status, problem=problem
        )
    return go("/me?password=changed")


@router.post("/logout")
def logout(request: Request, session: SessionDep, caller: Visitor) -> Response:
    """End the session."""
    del caller
    access.log_out(session, token=request.cookies.get(SESSION_COOKIE, ""))
    response = go("/")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/register", response_class=HTMLResponse)
def register_page(request: Request, caller: Visitor, at: AtDep) -> Response:
    """The form to register an organisation with; it carries the id of this attempt."""
    return pages_of(request).page(
        request,
        "register.html",
        caller=caller,
        attempt=new_id("reg", at=at),
        values={},
        problem=None,
    )


@router.post("/register", response_class=HTMLResponse)
def register(
    request: Request,
    ports: PortsDep,
    at: AtDep,
    caller: Visitor,
    attempt: TextField,
    category: TextField,
    name: TextField,
    credit_code: TextField,
    place: TextField,
    receiving_system: TextField,
    handler_name: TextField,
    resident_id: TextField,
    login: TextField,
    password: TextField,
    consent: TextField = "",
    invented: TextField = "",
    representative: TextField = "",
) -> Response:
    """Register; the ids come from the form's attempt, so that sending it twice makes one account."""
    values = {
        "category": category,
        "name": name,
        "credit_code": credit_code,
        "place": place,
        "receiving_system": receiving_system,
        "handler_name": handler_name,
        "login": login,
        "invented": invented,
        "representative": representative,
    }
    try:
        limit_attempts(request, "register.address")
        if consent != "yes":
            raise access.NoConsentError("the real-name check needs the person's consent")
        ids = attempt_ids(attempt)
        registration.register(
            ports,
            registration.Registration(
                organisation_id=ids["org"],
                category=registration.require_category(category),
                name=name.strip(),
                number=credit_code,
                place=place.strip(),
                receiving_system=receiving_system.strip(),
                handler=registration.NewHandler(
                    person_id=ids["person"],
                    account_id=ids["account"],
                    authorisation_id=ids["authorisation"],
                    name=handler_name.strip(),
                    number=resident_id,
                    consent_id=ids["consent"],
                    login=login,
                    password=password,
                    invented=invented == "yes",
                ),
                representative=representative == "yes",
            ),
            at=at,
        )
    except FuqiError as error:
        problem = _problem(request, error)
        return pages_of(request).page(
            request,
            "register.html",
            caller=caller,
            status=problem.status,
            attempt=attempt,
            values=values,
            problem=problem,
        )
    return go("/login?registered=1")


@router.get("/me", response_class=HTMLResponse)
def me_page(
    request: Request, session: SessionDep, ports: PortsDep, at: AtDep, caller: Member
) -> Response:
    """My organisation, my authority, my API keys."""
    facts = None if caller.organisation_id is None else organisation_facts(session, caller)
    person = None if caller.person_id is None else session.get(PartyRow, caller.person_id)
    return pages_of(request).page(
        request,
        "me.html",
        caller=caller,
        facts=facts,
        person=person,
        names=_names(session, facts),
        at=at,
        policy=ports.levels,
        only_declared=_only_declared(ports.levels, facts, caller, at=at),
        keys=access_queries.keys_of(session, caller.account_id, limit=KEYS_PER_ACCOUNT_MAX),
        key_id=new_id("key", at=at),
        password_changed=request.query_params.get("password") == "changed",
    )


@router.post("/me/keys", response_class=HTMLResponse)
def make_key(
    request: Request,
    session: SessionDep,
    at: AtDep,
    caller: Member,
    key_id: TextField,
    name: TextField,
    days: Annotated[int, Form(ge=1, le=400)] = 90,
) -> Response:
    """Make a key and show it: the one page that answers a POST, since the key is nowhere else."""
    row, key = access.make_key(session, caller, key_id=key_id, name=name, days=days, at=at)
    return pages_of(request).page(request, "key.html", caller=caller, row=row, key=key)


@router.post("/me/keys/{key_id}/revoke")
def revoke_key(session: SessionDep, at: AtDep, caller: Member, key_id: str) -> Response:
    """Revoke a key."""
    access.revoke_key(session, caller, key_id=key_id, at=at)
    return go("/me")


def attempt_ids(attempt: str) -> dict[str, str]:
    """Ids of what one registration form makes, the same for the same form.

    Raises:
        InputError: `id.malformed`.
    """
    at = registration.attempt_time(attempt)
    return {
        name: derived_id(prefix, at=at, seed=f"{attempt}/{name}")
        for name, prefix in (
            ("org", "pty"),
            ("person", "pty"),
            ("account", "acc"),
            ("authorisation", "aut"),
            ("consent", "cst"),
        )
    }


def _only_declared(
    policy: LevelPolicy, facts: OrganisationOut | None, caller: Caller, *, at: datetime
) -> bool:
    """Whether the caller acts on what was declared and nobody signed, where that has a limit here."""
    bases = {
        one.basis
        for one in (() if facts is None else facts.authorisations)
        if one.person_id == caller.person_id and one.revoked_at is None and one.valid_to > at
    }
    return policy.declared_below is not None and bases == {Basis.DECLARED.value}


def _names(session: Session, facts: OrganisationOut | None) -> dict[str, str]:
    """Names of the handlers that hold an authorisation, by party id."""
    ids = [] if facts is None else [one.person_id for one in facts.authorisations]
    return {key: row.name for key, row in party_queries.parties_by_ids(session, ids).items()}


def _problem(request: Request, error: FuqiError) -> Problem:
    return problem_of(error, request_id=request_id_of(request))
