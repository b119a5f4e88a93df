"""What an endpoint may ask for: a session, the caller, the ports, the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, cast

from fastapi import Depends, FastAPI, Query, Request
from sqlalchemy.orm import Session

from api.callers import Caller, Role
from api.edge import SAFE_METHODS, SESSION_COOKIE, has_bearer
from api.errors import UnauthenticatedError
from api.flows import access
from api.limits import RateLimiter
from api.ports import Ports
from ledger.core.errors import ForbiddenError
from ledger.store import transaction

PAGE_ROWS_MAX: Final = 100
"""Rows of one list answer: a phone shows twenty, a machine asks again."""
PASSWORD_PATHS: Final = frozenset({"/me/password", "/api/v1/password"})
"""All that is open to whoever still has a password that somebody else knows."""
OFFSET_MAX: Final = 100_000
"""Deeper pages would make the database count rows for nobody."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What `create_app` puts together once, in its lifespan."""

    ports: Ports
    clock: Callable[[], datetime]
    limiter: RateLimiter


def shell_of(app: FastAPI) -> Shell:
    """The shell of a started app."""
    return cast("Shell", app.state.shell)


def open_session(request: Request) -> Iterator[Session]:
    """One transaction per request: commit on return, roll back on raise.

    Requests that change nothing get a session that does not queue behind writers.

    Raises:
        ConflictError: `concurrent_write` when the commit loses a race.
        UnavailableError: `database.busy`, `database.disk_full`, `database.unavailable`.
    """
    ports = shell_of(request.app).ports
    factory = ports.readers if request.method in SAFE_METHODS else ports.sessions
    with transaction(factory) as session:
        yield session


def open_reader(request: Request) -> Iterator[Session]:
    """A read-only session beside the writing one, for slow checks that must hold no lock."""
    with transaction(shell_of(request.app).ports.readers) as session:
        yield session


def get_ports(request: Request) -> Ports:
    """The ports composed at start."""
    return shell_of(request.app).ports


def get_at(request: Request) -> datetime:
    """The time of this request: read once, here, and passed on as a value."""
    at = getattr(request.state, "at", None)
    if at is None:
        at = shell_of(request.app).clock()
        request.state.at = at
    return cast("datetime", at)


def identify(request: Request) -> Caller | None:
    """Who asks, or None. An API key comes first; with one, the cookie is not looked at.

    Raises:
        UnauthenticatedError: `auth.key_invalid` for a key that is unknown, ended or revoked.
    """
    if hasattr(request.state, "caller"):
        return cast("Caller | None", request.state.caller)
    caller: Caller | None = None
    at = get_at(request)
    token = request.cookies.get(SESSION_COOKIE)
    if has_bearer(request.headers):
        key = request.headers["authorization"][len("bearer ") :].strip()
        with transaction(shell_of(request.app).ports.readers) as session:
            caller = access.caller_of_key(session, key=key, at=at)
        if caller is None:
            raise UnauthenticatedError("this API key does not work", code="auth.key_invalid")
    elif token:
        with transaction(shell_of(request.app).ports.readers) as session:
            caller = access.caller_of_token(session, token=token, at=at)
    request.state.caller = caller
    return caller


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a route. Every route has exactly one, or the app does not start.

    Attributes:
        roles: roles of which the caller needs one; empty means everybody, logged in or not.
    """

    roles: frozenset[Role] = field(default_factory=frozenset)

    @property
    def public(self) -> bool:
        """Whether nobody needs to be logged in."""
        return not self.roles

    def __call__(self, request: Request) -> Caller | None:
        """The caller, if the rule lets it pass.

        Raises:
            UnauthenticatedError: `auth.required`, `auth.key_invalid`.
            ForbiddenError: `auth.password_temporary`, `auth.role`.
        """
        caller = identify(request)
        if self.public:
            return caller
        if caller is None:
            raise UnauthenticatedError("log in first")
        if caller.password_temporary and request.url.path not in PASSWORD_PATHS:
            raise ForbiddenError(
                "somebody else set your password: choose one of your own first, at /me/password",
                code="auth.password_temporary",
            )
        if not caller.roles & self.roles:
            raise ForbiddenError(
                "this needs a role you do not hold",
                code="auth.role",
                needed=sorted(role.value for role in self.roles),
            )
        return caller


PUBLIC: Final = Rule()
MEMBER: Final = Rule(frozenset(Role))
TENANT: Final = Rule(frozenset({Role.HANDLER, Role.ADMIN}))
HANDLER: Final = Rule(frozenset({Role.HANDLER}))
ADMIN: Final = Rule(frozenset({Role.ADMIN}))
OPERATOR: Final = Rule(frozenset({Role.OPERATOR}))
TENANT_OR_OPERATOR: Final = Rule(frozenset({Role.HANDLER, Role.ADMIN, Role.OPERATOR}))
INTEGRATION: Final = Rule(frozenset({Role.INTEGRATION}))
HANDLER_OR_OPERATOR: Final = Rule(frozenset({Role.HANDLER, Role.OPERATOR}))

SessionDep = Annotated[Session, Depends(open_session, scope="function")]
ReaderDep = Annotated[Session, Depends(open_reader, scope="function")]
PortsDep = Annotated[Ports, Depends(get_ports)]
AtDep = Annotated[datetime, Depends(get_at)]
Visitor = Annotated[Caller | None, Depends(PUBLIC)]
Member = Annotated[Caller, Depends(MEMBER)]
Tenant = Annotated[Caller, Depends(TENANT)]
Handler = Annotated[Caller, Depends(HANDLER)]
Admin = Annotated[Caller, Depends(ADMIN)]
Operator = Annotated[Caller, Depends(OPERATOR)]
TenantOrOperator = Annotated[Caller, Depends(TENANT_OR_OPERATOR)]
HandlerOrOperator = Annotated[Caller, Depends(HANDLER_OR_OPERATOR)]
Integration = Annotated[Caller, Depends(INTEGRATION)]
Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="rows of this page")]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX, description="rows to skip")]


def limit_attempts(request: Request, rule: str, *, who: str | None = None) -> None:
    """Count one attempt by this address, or by `who`.

    Raises:
        RateLimitError: `rate.limited`.
    """
    shell_of(request.app).limiter.attempt(rule, who=who or address_of(request), at=get_at(request))


def address_of(request: Request) -> str:
    """The address that asks, behind a trusted proxy the one that it reports."""
    return request.client.host if request.client is not None else "unknown"
