"""One careful HTTP request to a configured authority, a list of them to fall back on, and rests between.

Invariants:
    - only addresses from the settings are called: none from a certificate, a request or a redirect.
    - the address that was checked is the address that is connected to, so a name that answers
      differently the second time (DNS rebinding) gains nothing.
    - private, loopback and link-local addresses are refused unless the settings allow that endpoint.
    - an answer is read up to a limit and within a deadline, however slowly it drips.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ledger.core.errors import FuqiError, InputError, UnavailableError, VerificationError

SECONDS: Final = 10
"""Deadline of one exchange: a time-stamp authority answers in well under one second."""
REST_SECONDS: Final = 2
REST_SECONDS_MAX: Final = 300
"""An endpoint that failed rests 2, 4, 8 … at most 300 seconds while others are asked."""
ENDPOINTS_MAX: Final = 8
_CHUNK: Final = 16_384
_SCHEMES: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address from the settings.

    Attributes:
        url: `https://host[:port]/path`, or `http://` for signed answers (time stamps, OCSP).
        allow_private: whether it may lie on a private network or on this machine.
    """

    url: str
    allow_private: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no address.

        Raises:
            InputError: `outside.url`.
        """
        parts = urlsplit(self.url)
        if (
            parts.scheme not in _SCHEMES
            or not parts.hostname
            or parts.username is not None
            or parts.fragment
            or not self.url.isascii()
            or any(char.isspace() for char in self.url)
        ):
            raise InputError(
                "an authority's address is http(s)://host/path without a user name",
                code="outside.url",
            )

    @property
    def host(self) -> str:
        """Host name, for labels and logs."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent and what may come back.

    Attributes:
        path: put behind the endpoint's own path.
        body: None for a GET.
        answer_type: media type that the answer must have.
        answer_bytes_max: longest answer that is read.
        headers: more headers (an authorisation).
    """

    body: bytes | None
    content_type: str
    answer_type: str
    answer_bytes_max: int
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()


Send = Callable[[Endpoint, Message], bytes]
"""Seam for tests: raises `UnavailableError` or `VerificationError` as `send` does."""


def send(endpoint: Endpoint, message: Message) -> bytes:
    """One request and its answer; no redirect is followed.

    Raises:
        UnavailableError: `outside.unreachable`, `outside.status`.
        VerificationError: `outside.private_address`, `outside.answer_type`, `outside.too_large`.
    """
    parts = urlsplit(endpoint.url)
    deadline = time.monotonic() + SECONDS
    try:
        port = parts.port or _SCHEMES[parts.scheme]
        address = _address(endpoint, port)
        connection = http.client.HTTPConnection(endpoint.host, port, timeout=SECONDS)
        sock = socket.create_connection(address, timeout=SECONDS)
        try:
            if parts.scheme == "https":
                context = ssl.create_default_context()
                sock = context.wrap_socket(sock, server_hostname=endpoint.host)
            connection.sock = sock
            return _exchange(connection, sock, endpoint, message, deadline=deadline)
        finally:
            sock.close()
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise UnavailableError(
            "the authority did not answer", code="outside.unreachable", host=endpoint.host
        ) from exc


@dataclass(slots=True)
class Fallback:
    """Endpoints in order of preference; one that failed rests, longer each time.

    Attributes:
        endpoints: 1 to `ENDPOINTS_MAX`.
        send: makes one exchange.
        clock: seconds that never go back.
    """

    endpoints: Sequence[Endpoint]
    send: Send = send
    clock: Callable[[], float] = time.monotonic
    _rests: dict[str, tuple[int, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Refuse an empty or endless list.

        Raises:
            InputError: `outside.endpoints`.
        """
        if not 1 <= len(self.endpoints) <= ENDPOINTS_MAX:
            raise InputError(
                f"name 1 to {ENDPOINTS_MAX} addresses of authorities", code="outside.endpoints"
            )

    def ask(self, message: Message, *, accept: Callable[[bytes], bytes]) -> bytes:
        """What `accept` makes of the first answer that it does not refuse.

        Args:
            accept: validates an answer; a `FuqiError` from it counts like an outage of that endpoint.

        Raises:
            UnavailableError: `outside.resting` (all failed a moment ago), `outside.all_failed`,
                with the code of the last failure as `reason`.
        """
        now = self.clock()
        awake = [one for one in self.endpoints if self._rests.get(one.url, (0, 0.0))[1] <= now]
        if not awake:
            until = min(rest for _count, rest in self._rests.values())
            raise UnavailableError(
                "no authority answered a moment ago; try again later",
                code="outside.resting",
                retry_after_seconds=max(1, int(until - now) + 1),
            )
        reason = ""
        for endpoint in awake:
            try:
                answer = accept(self.send(endpoint, message))
            except FuqiError as exc:
                reason = exc.error_code
                self._failed(endpoint)
            else:
                with self._lock:
                    self._rests.pop(endpoint.url, None)
                return answer
        raise UnavailableError(
            "no authority gave an answer that can be used",
            code="outside.all_failed",
            reason=reason,
            asked=len(awake),
        )

    def resting(self) -> int:
        """How many of the addresses failed last and rest now."""
        now = self.clock()
        with self._lock:
            return sum(until > now for _count, until in self._rests.values())

    def _failed(self, endpoint: Endpoint) -> None:
        with self._lock:
            count = self._rests.get(endpoint.url, (0, 0.0))[0] + 1
            rest = min(REST_SECONDS << min(count - 1, 20), REST_SECONDS_MAX)
            self._rests[endpoint.url] = (count, self.clock() + rest)


def _address(endpoint: Endpoint, port: int) -> tuple[str, int]:
    """The first address of the host, if every one of them may be called."""
    found = socket.getaddrinfo(endpoint.host, port, type=socket.SOCK_STREAM)
    addresses = [str(item[4][0]) for item in found]
    if not endpoint.allow_private:
        for text in addresses:
            ip = ipaddress.ip_address(text.partition("%")[0])
            mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
            if not (mapped or ip).is_global or (mapped or ip).is_multicast:
                raise VerificationError(
                    "this authority lies on a private network, which its setting does not allow",
                    code="outside.private_address",
                    host=endpoint.host,
                )
    return addresses[0], port


def _exchange(
    connection: http.client.HTTPConnection,
    sock: socket.socket,
    endpoint: Endpoint,
    message: Message,
    *,
    deadline: float,
) -> bytes:
    parts = urlsplit(endpoint.url)
    path = (parts.path.rstrip("/") if message.path else parts.path) + message.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    headers = {"Accept": message.answer_type, "Connection": "close", **dict(message.headers)}
    if message.body is not None:
        headers["Content-Type"] = message.content_type
    connection.request(
        "GET" if message.body is None else "POST", target, body=message.body, headers=headers
    )
    with closing(connection.getresponse()) as answer:
        return _read(answer, sock, endpoint, message, deadline=deadline)


def _read(
    answer: http.client.HTTPResponse,
    sock: socket.socket,
    endpoint: Endpoint,
    message: Message,
    *,
    deadline: float,
) -> bytes:
    if answer.status != 200:
        # A redirect is an outage too: where it leads is not for the other side to choose.
        raise UnavailableError(
            f"the authority answered {answer.status}",
            code="outside.status",
            host=endpoint.host,
            status=answer.status,
        )
    kind = answer.headers.get_content_type()
    if kind != message.answer_type:
        raise VerificationError(
            f"the authority answered {kind}", code="outside.answer_type", host=endpoint.host
        )
    parts_read: list[bytes] = []
    size = 0
    while (
        not answer.isclosed()
    ):  # Python 3.13 closes with the last byte; a closed socket takes no new limit.
        left = deadline - time.monotonic()
        if left <= 0:
            raise UnavailableError(
                "the authority answers too slowly", code="outside.unreachable", host=endpoint.host
            )
        sock.settimeout(left)
        chunk = answer.read1(_CHUNK)
        if not chunk:
            break
        size += len(chunk)
        if size > message.answer_bytes_max:
            raise VerificationError(
                "the authority's answer is too large", code="outside.too_large", host=endpoint.host
            )
        parts_read.append(chunk)
    return b"".join(parts_read)
