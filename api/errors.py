"""Domain error -> HTTP status, in one table, and the problem document (RFC 9457).

Status codes exist only here. The body is `application/problem+json` with `code`, `context` and
`request_id` beside the standard members; a browser asking for a page gets the same facts as a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import IntegrityError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    FuqiError,
    InputError,
    LimitError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)


class UnauthenticatedError(ForbiddenError):
    """Nobody is logged in, or the session or key has ended."""

    code = "auth.required"


STATUS: Final[tuple[tuple[type[FuqiError], int], ...]] = (
    (UnauthenticatedError, 401),
    (LimitError, 413),
    (InputError, 422),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (VerificationError, 422),
    (UnavailableError, 503),
)
"""First match wins: subclasses stand before their base."""

STATUS_OF_CODE: Final[Mapping[str, int]] = {
    # The tree of errors knows no HTTP; these have a status of their own there.
    "auth.wrong_password": 401,
    "rate.limited": 429,
    "host.unknown": 400,
}

RETRYABLE_CODES: Final = frozenset({"concurrent_write"})
"""Conflicts that a repetition of the same request resolves."""
RETRY_AFTER_SECONDS: Final = 2
"""What a 503 suggests: a restart of a node or a busy writer is over by then."""
FAULTS_MAX: Final = 20
"""A malformed body can have thousands of faults; the first ones are enough to mend it."""
TYPE_PREFIX: Final = "urn:fuqi:error:"

_LOG: Final = structlog.get_logger("api")

PageOfProblem = Callable[[Request, "Problem"], Response]


class BodyTooLargeError(HTTPException):
    """Raised while the body is being read. FastAPI passes on HTTP exceptions only, and hides others."""

    def __init__(self, *, bytes_max: int) -> None:
        super().__init__(status_code=413)
        self.bytes_max = bytes_max


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal as the client sees it."""

    status: int
    code: str
    detail: str
    context: Mapping[str, object]
    retryable: bool
    request_id: str

    @property
    def title(self) -> str:
        """The standard phrase of the status."""
        return HTTPStatus(self.status).phrase

    def as_json(self) -> dict[str, object]:
        """RFC 9457 members, then ours."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "context": {key: _plain(value) for key, value in self.context.items()},
            "retryable": self.retryable,
            "request_id": self.request_id,
        }

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` where trying again may help, `WWW-Authenticate` on 401."""
        headers: dict[str, str] = {}
        after = self.context.get("retry_after_seconds")
        if isinstance(after, int):
            headers["Retry-After"] = str(after)
        elif self.status == 503:
            headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="fuqi"'
        return headers


def status_of(error: FuqiError) -> int:
    """HTTP status of a domain error; one outside the tree's branches is our own bug."""
    special = STATUS_OF_CODE.get(error.error_code)
    if special is not None:
        return special
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return 500


def problem_of(error: BaseException, *, request_id: str) -> Problem:
    """The problem document of any exception; unknown ones tell the client nothing but 'internal'."""
    if isinstance(error, FuqiError):
        return Problem(
            status=status_of(error),
            code=error.error_code,
            detail=error.message,
            context=error.context,
            retryable=error.retryable or error.error_code in RETRYABLE_CODES,
            request_id=request_id,
        )
    if isinstance(error, RequestValidationError):
        # Only where and why: the value sent may be a password or somebody's number.
        faults = [
            {"where": ".".join(str(part) for part in fault["loc"]), "why": str(fault["msg"])}
            for fault in error.errors()[:FAULTS_MAX]
        ]
        return _known(
            422, "input.invalid", "the request is malformed", request_id, context={"faults": faults}
        )
    if isinstance(error, HTTPException):
        code, detail = _HTTP_CODES.get(error.status_code, ("http.refused", "refused"))
        context = {"bytes_max": error.bytes_max} if isinstance(error, BodyTooLargeError) else {}
        return _known(error.status_code, code, detail, request_id, context=context)
    # A lost race is a ConflictError by now (`ledger.store.translated`): any other row that the database
    # refuses is our own bug, and sending it again is no help.
    if isinstance(error, OperationalError):
        text = "the database did not answer"
        return _known(503, "database.unavailable", text, request_id, retryable=True)
    return _known(500, "internal", "this is our fault; it has been logged", request_id)


def respond(request: Request, error: BaseException) -> Response:
    """Log the refusal and shape it for whoever asked."""
    problem = problem_of(error, request_id=request_id_of(request))
    log = _LOG.error if problem.status >= 500 else _LOG.info
    log(
        "request.refused",
        code=problem.code,
        status=problem.status,
        method=request.method,
        # The route's template, never the path itself: paths may hold ids of evidence.
        route=getattr(request.scope.get("route"), "path", None),
        exc_info=error if problem.status == 500 else None,
    )
    if wants_page(request):
        if problem.code == "auth.required":
            return RedirectResponse(login_address(request), status_code=303)
        if problem.code == "auth.password_temporary":
            return RedirectResponse("/me/password", status_code=303)
        page: PageOfProblem | None = getattr(request.app.state, "page_of_problem", None)
        if page is not None:
            response = page(request, problem)
            response.headers.update(problem.headers)
            return response
    return problem_response(problem)


def problem_response(problem: Problem) -> JSONResponse:
    """The problem as `application/problem+json`."""
    return JSONResponse(
        problem.as_json(),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )


def add_error_handlers(app: FastAPI) -> None:
    """Register `respond` for everything that is raised on purpose or by the database."""

    def handle(request: Request, error: Exception) -> Response:
        return respond(request, error)

    for kind in (
        FuqiError,
        RequestValidationError,
        HTTPException,
        IntegrityError,
        OperationalError,
    ):
        app.add_exception_handler(kind, handle)


def wants_page(request: Request) -> bool:
    """Whether the answer should be a page: outside /api/ and the client accepts HTML."""
    if request.url.path.startswith("/api/"):
        return False
    return "text/html" in request.headers.get("accept", "")


def login_address(request: Request) -> str:
    """Where to log in, coming back to the page that was asked for (GET only)."""
    if request.method != "GET":
        return "/login"
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login?" + urlencode({"next": target})


def request_id_of(request: Request) -> str:
    """The id bound to this request by `api.edge`."""
    return str(request.scope.get("fuqi.request_id", ""))


def _known(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    retryable: bool = False,
    context: Mapping[str, object] | None = None,
) -> Problem:
    return Problem(
        status=status,
        code=code,
        detail=detail,
        context=context or {},
        retryable=retryable,
        request_id=request_id,
    )


_HTTP_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("http.bad_request", "the request could not be read"),
    404: ("not_found", "there is no such page or record"),
    405: ("http.method_not_allowed", "this address does not answer to that method"),
    413: ("body.too_large", "the request body is larger than the limit"),
}


def _plain(value: Any) -> object:
    """Context as JSON; whatever is no JSON type is shown as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)
