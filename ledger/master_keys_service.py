"""Master keys in a key service that speaks the transit protocol of HashiCorp Vault and OpenBao.

    POST {url}/v1/{mount}/encrypt/{key}   {"plaintext": base64}            -> data.ciphertext `vault:v3:…`
    POST {url}/v1/{mount}/decrypt/{key}   {"ciphertext": …}                -> data.plaintext
    GET  {url}/v1/{mount}/keys/{key}                                      -> data.latest_version
    POST {url}/v1/{mount}/keys/{key}/rotate

The service keeps every version of the key. What is sealed begins with a digest of the subject, so that a
wrapped key moved to another row is found out whatever the service binds. The access token stays out of every
message.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http.client
import json
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.core.errors import InputError, UnavailableError
from ledger.master_keys import subject_digest

TIMEOUT_SECONDS: Final = 5
ANSWER_BYTES_MAX: Final = 64 * 1024
DIGEST_BYTES: Final = 32


class ServiceMasterKeys:
    """`MasterKeys` in a transit engine."""

    kind: Final = "service"

    def __init__(
        self,
        url: str,
        *,
        token: str,
        key: str,
        mount: str = "transit",
        timeout: int = TIMEOUT_SECONDS,
    ) -> None:
        """Ask the service once, so that a wrong address or token stops the start.

        Raises:
            InputError: `vault.service_url`.
            UnavailableError: `vault.service_unreachable`, `vault.service_refused`, `vault.service_answer`.
        """
        parts = urlsplit(url)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.hostname is None or not (
            parts.scheme == "https" or (parts.scheme == "http" and local)
        ):
            raise InputError(
                "FUQI_VAULT_URL begins with https:// (http:// only on this machine)",
                code="vault.service_url",
            )
        self._parts, self._token, self._key, self._mount = parts, token, key, mount
        self._timeout = timeout
        self._version()

    def describe(self) -> str:
        """See `MasterKeys`."""
        return f"key service at {self._parts.hostname}, {self._mount}/{self._key}"

    def current(self) -> str:
        """See `MasterKeys`."""
        return f"service:{self._key}:{self._version()}"

    def rotate(self) -> str:
        """See `MasterKeys`."""
        self._ask("POST", f"keys/{self._key}/rotate", {})
        return self.current()

    def encrypt(self, ref: str, plain: bytes, *, bound_to: bytes) -> bytes:
        """See `MasterKeys`."""
        text = base64.b64encode(subject_digest(bound_to) + plain).decode()
        version = int(ref.rpartition(":")[2])
        answer = self._ask(
            "POST", f"encrypt/{self._key}", {"plaintext": text, "key_version": version}
        )
        sealed = answer.get("ciphertext")
        if not isinstance(sealed, str) or not sealed.isascii() or len(sealed) > ANSWER_BYTES_MAX:
            raise _malformed()
        return sealed.encode("ascii")

    def decrypt(self, ref: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """See `MasterKeys`."""
        text = sealed.decode("ascii", errors="replace")
        answer = self._ask("POST", f"decrypt/{self._key}", {"ciphertext": text})
        try:
            plain = base64.b64decode(answer["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error) as exc:
            raise _malformed() from exc
        if not hmac.compare_digest(plain[:DIGEST_BYTES], subject_digest(bound_to)):
            raise UnavailableError(
                "this data key was wrapped for another subject",
                code="vault.key_unavailable",
                key=ref,
            )
        return plain[DIGEST_BYTES:]

    def _version(self) -> int:
        version = self._ask("GET", f"keys/{self._key}", None).get("latest_version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise _malformed()
        return version

    def _ask(self, method: str, path: str, body: dict[str, object] | None) -> dict[str, Any]:
        status, data = self._exchange(method, path, body)
        if status == 204:
            return {}
        if status != 200:
            raise UnavailableError(
                "the key service refuses; nothing is lost. Look at its token, its policy and the key's name",
                code="vault.service_refused",
                status=status,
            )
        try:
            found = json.loads(data)["data"]
        except (KeyError, TypeError, ValueError, RecursionError) as exc:
            raise _malformed() from exc
        if not isinstance(found, dict):
            raise _malformed()
        return found

    def _exchange(
        self, method: str, path: str, body: dict[str, object] | None
    ) -> tuple[int, bytes]:
        https = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        assert self._parts.hostname is not None
        connection = kind(self._parts.hostname, self._parts.port, timeout=self._timeout)
        try:
            connection.request(
                method,
                f"{self._parts.path.rstrip('/')}/v1/{self._mount}/{path}",
                body=None if body is None else json.dumps(body),
                headers={"X-Vault-Token": self._token, "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise UnavailableError(
                "the key service does not answer; nothing is lost, try again",
                code="vault.service_unreachable",
            ) from exc
        finally:
            connection.close()


def _malformed() -> UnavailableError:
    return UnavailableError(
        "the key service answered with something that makes no sense", code="vault.service_answer"
    )
