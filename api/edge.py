"""The outermost layer of the HTTP shell: request id, headers, host, origin, body size, last resort.

Plain ASGI, so that nothing is buffered and context variables reach the endpoint's thread.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BodyTooLargeError, respond
from ledger.core.errors import ForbiddenError, InputError
from signing.seal_pictures import BYTES_MAX as SEAL_PICTURE_BYTES_MAX

SESSION_COOKIE: Final = "fuqi_session"
LANGUAGE_COOKIE: Final = "fuqi_lang"

BODY_BYTES_MAX: Final = 1 << 20
"""JSON and forms: the largest honest one (an intent statement with a signature) is under 20 kB."""
MULTIPART_BYTES: Final = 1 << 20
"""What boundaries and text fields may add to an uploaded file."""
BUNDLE_FILES: Final = 8
"""A bundle holds a document and its revisions: it may be this many times larger than one PDF."""
UPLOAD_PATHS: Final = re.compile(
    r"^(/api/v1)?/agreements/upload$|^(/api/v1|/me)/identity/checks/[a-z0-9_]{1,40}/documents$"
    r"|^/api/v1/attachments$|^/api/v1/form-fields$|^/api/v1/signers/[a-z0-9_]{1,40}/uploads$"
    r"|^/api/v1/orders/[a-z0-9_]{1,40}/files$|^/api/v1/placement/[a-z0-9_]{1,40}$"
    r"|^(/api/v1)?/related-parties/[a-z0-9_]{1,40}/evidence$"
)
VERIFY_PATHS: Final = re.compile(r"^(/api/v1)?/verify$")
ENTRIES_PATH: Final = "/api/v1/entries/batch"
ENTRIES_BYTES_MAX: Final = 8 << 20
"""4 096 entries of 2 kB; parsing it takes a tenth of a second."""
BULK_PATH: Final = "/api/v1/agreements/bulk"
BULK_BYTES_MAX: Final = 8 << 20
"""A CSV file of two thousand rows of four thousand bytes; those of the example take some five hundred."""
SEAL_PATHS: Final = re.compile(r"^/api/v1/seals/upload$|^/me/seals$")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": browsers then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS: Final = "max-age=31536000"
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROBE_PATHS: Final = frozenset({"/api/v1/health", "/api/v1/metrics"})
"""What a supervisor on the same machine asks, past the reverse proxy."""

_LOG: Final = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class Site:
    """Under which names this installation answers.

    Attributes:
        public_url: the address people use, scheme and host, e.g. `https://fuqi.example`.
        more_hosts: further host names (without port) that are ours.
        public_only: in production: this machine's own names answer probes (`PROBE_PATHS`) and nothing else,
            and a form counts as ours only with the public address as its origin.
    """

    public_url: str
    more_hosts: frozenset[str] = field(default_factory=frozenset)
    public_only: bool = False

    @property
    def secure(self) -> bool:
        """Whether people reach us over HTTPS."""
        return urlsplit(self.public_url).scheme == "https"

    def knows_host(self, host: str, *, path: str = "/") -> bool:
        """Whether a Host header names us: refusing others stops DNS rebinding and poisoned links."""
        name = _host_name(host)
        ours = _host_name(urlsplit(self.public_url).netloc)
        local = name in LOCAL_HOSTS and (not self.public_only or path in PROBE_PATHS)
        return name == ours or local or name in self.more_hosts

    def is_same_origin(self, origin: str, *, host: str) -> bool:
        """Whether `Origin` is the site itself, as addressed by this request or by its public URL."""
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"}:
            return False
        public = urlsplit(self.public_url)
        return (parts.netloc == host and not self.public_only) or (parts.scheme, parts.netloc) == (
            public.scheme,
            public.netloc,
        )


class RequestEdge:
    """Gives each request an id, adds the security headers, and turns what nobody caught into a 500.

    HEAD is answered as GET without its body, so that link checkers and monitors need no routes of their own.
    """

    def __init__(self, app: ASGIApp, *, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = "req_" + secrets.token_hex(8)
        head_only = scope["method"] == "HEAD"
        # A copy: the server under us goes by the method that was asked with.
        scope = {
            **scope,
            "fuqi.request_id": request_id,
            "method": "GET" if head_only else scope["method"],
        }
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(MutableHeaders(scope=message), request_id)
            elif head_only and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_headers)
            except Exception as exc:
                # The app edge: the one place outside the worker that may catch everything.
                response = respond(Request(scope), exc)
                if started:
                    raise
                await response(scope, receive, send_with_headers)

    def _add_headers(self, headers: MutableHeaders, request_id: str) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-Id"] = request_id
        if self.site.secure:
            headers["Strict-Transport-Security"] = HSTS


class OwnSiteOnly:
    """Refuses unknown hosts, and state-changing requests that another site made a browser send."""

    def __init__(self, app: ASGIApp, *, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                response = respond(Request(scope), refusal)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> InputError | ForbiddenError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.site.knows_host(host, path=scope["path"]):
            return InputError(
                "this host name is not ours; the operator sets FUQI_PUBLIC_URL", code="host.unknown"
            )
        if scope["method"] in SAFE_METHODS or has_bearer(headers):
            return None
        fetched_from = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        if origin is not None:
            allowed = self.site.is_same_origin(origin, host=host)
        elif fetched_from is not None:
            allowed = fetched_from in {"same-origin", "none"}
        else:
            # No browser of the last years omits both. A program may, as long as it brings no cookie
            # that a browser would have added by itself.
            allowed = SESSION_COOKIE not in headers.get("cookie", "")
        if allowed and fetched_from in {"cross-site", "same-site"}:
            allowed = False
        return (
            None
            if allowed
            else ForbiddenError("this form was sent from another site", code="csrf.origin")
        )


class BodyLimit:
    """Stops reading a body that is larger than its route allows, whatever the headers claimed."""

    def __init__(self, app: ASGIApp, *, file_bytes_max: int) -> None:
        self.app = app
        self.file_bytes_max = file_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bytes_max = self._bytes_max(scope["path"])
        claimed = Headers(scope=scope).get("content-length", "0")
        if not claimed.isascii() or not claimed.isdigit() or int(claimed) > bytes_max:
            response = respond(Request(scope), BodyTooLargeError(bytes_max=bytes_max))
            await response(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > bytes_max:
                    raise BodyTooLargeError(bytes_max=bytes_max)
            return message

        await self.app(scope, receive_counted, send)

    def _bytes_max(self, path: str) -> int:
        if UPLOAD_PATHS.match(path):
            return self.file_bytes_max + MULTIPART_BYTES
        if VERIFY_PATHS.match(path):
            return verify_bytes_max(self.file_bytes_max) + MULTIPART_BYTES
        if path == ENTRIES_PATH:
            return ENTRIES_BYTES_MAX
        if path == BULK_PATH:
            return BULK_BYTES_MAX + MULTIPART_BYTES
        if SEAL_PATHS.match(path):
            return SEAL_PICTURE_BYTES_MAX + MULTIPART_BYTES
        return BODY_BYTES_MAX


def verify_bytes_max(file_bytes_max: int) -> int:
    """Largest file the verify page takes, bytes."""
    return BUNDLE_FILES * file_bytes_max


def has_bearer(headers: Headers) -> bool:
    """Whether the request brings an API key; then cookies are ignored and no browser can forge it."""
    return headers.get("authorization", "").lower().startswith("bearer ")


def _host_name(host: str) -> str:
    """Host header without its port, lower case; IPv6 keeps its brackets."""
    return re.sub(r":\d+$", "", host.strip().lower())
