"""A small client of our own JSON interface, for commands that run on a signer's machine."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.core.errors import ConflictError, InputError, UnavailableError

SECONDS: Final = 60
"""A signature is embedded, stamped and validated meanwhile."""
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Remote:
    """An installation and the API key of one account.

    Attributes:
        url: `https://host`; `http://` only for this machine, because the key goes with each request.
        key: `fq_…`.
    """

    url: str
    key: str

    def __post_init__(self) -> None:
        """Refuse an address over which the key would travel in clear.

        Raises:
            InputError: `remote.url`.
        """
        parts = urlsplit(self.url)
        clear = parts.scheme == "http" and parts.hostname in LOCAL
        if not parts.hostname or not (parts.scheme == "https" or clear):
            raise InputError(
                "the server's address begins with https:// (http:// only for this machine)",
                code="remote.url",
            )

    def get(self, path: str) -> Any:
        """The JSON at `path`. Raises as `post`."""
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send `body` to `path` and return the answer's JSON.

        Raises:
            UnavailableError: `remote.unreachable`: nothing is known to have happened; send it again.
            ConflictError: `remote.refused`, with the server's own code as `refusal`.
        """
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        parts = urlsplit(self.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        try:
            with closing(kind(parts.hostname or "", parts.port, timeout=SECONDS)) as connection:
                base = parts.path.rstrip("/")
                connection.request(method, base + path, body=body, headers=headers)
                answer = connection.getresponse()
                data = answer.read(ANSWER_BYTES_MAX + 1)
            value = json.loads(data)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise UnavailableError(
                "the server did not answer as expected", code="remote.unreachable"
            ) from exc
        if answer.status >= 400:
            refusal = value if isinstance(value, dict) else {}
            raise ConflictError(
                str(refusal.get("detail", "the server refused")),
                code="remote.refused",
                refusal=str(refusal.get("code", answer.status)),
                status=answer.status,
            )
        return value
