"""Master keys in a PKCS#11 token: AES-256, made inside it, never to be extracted.

Keys are named `<label>-<number>-<random>`; the highest number is current. One session is kept open; where the
token was taken out and put back, it is opened once more with the same PIN. A wrong PIN is tried exactly once:
tokens lock themselves after a few.
"""

from __future__ import annotations

import re
import secrets
import threading
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.mechanisms import GCMParams

from ledger.core.errors import UnavailableError
from ledger.vault import NONCE_BYTES

KEY_BITS: Final = 256
TAG_BITS: Final = 128
OBJECTS_MAX: Final = 1000
"""A token of ours holds a key a year; one with more is shared with something that floods it."""


class Pkcs11MasterKeys:
    """`MasterKeys` in the token named `token`."""

    kind: Final = "pkcs11"

    def __init__(self, module: Path, *, token: str, pin: str, label: str) -> None:
        """Log in once, so that a wrong PIN or an absent token stops the start.

        Args:
            module: the vendor's PKCS#11 library.

        Raises:
            UnavailableError: `vault.token_module`, `vault.token_absent`, `vault.pin_wrong`,
                `vault.pin_locked`, `vault.token_failed`.
        """
        self._module, self._token, self._pin, self._label = module, token, pin, label
        self._lock = threading.RLock()
        self._session = self._open()

    def close(self) -> None:
        """Log out."""
        with self._lock:
            self._session.close()

    def describe(self) -> str:
        """See `MasterKeys`."""
        return f"PKCS#11 token {self._token!r} ({self._module.name}), key {self._label}"

    def current(self) -> str:
        """See `MasterKeys`."""
        with self._lock:
            names = self._names()
            return f"pkcs11:{names[-1]}" if names else self.rotate()

    def rotate(self) -> str:
        """See `MasterKeys`. A name is never used twice, not even for a key that was lost."""
        with self._lock:
            names = self._names()
            number = int(names[-1].split("-")[-2]) + 1 if names else 1
            name = f"{self._label}-{number:04}-{secrets.token_hex(4)}"
            self._do(partial(_make, name=name))
            return f"pkcs11:{name}"

    def encrypt(self, ref: str, plain: bytes, *, bound_to: bytes) -> bytes:
        """See `MasterKeys`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        options = {
            "mechanism": Mechanism.AES_GCM,
            "mechanism_param": GCMParams(nonce, bound_to, TAG_BITS),
        }
        sealed = self._do(lambda session: self._key(session, ref).encrypt(plain, **options))
        return nonce + bytes(sealed)

    def decrypt(self, ref: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """See `MasterKeys`."""
        nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        options = {
            "mechanism": Mechanism.AES_GCM,
            "mechanism_param": GCMParams(nonce, bound_to, TAG_BITS),
        }
        try:
            return bytes(self._do(lambda session: self._key(session, ref).decrypt(body, **options)))
        except UnavailableError as exc:
            # Tokens have several words for a tag that does not fit; SoftHSM says "general error".
            if exc.context.get("reason") in ("GeneralError", "FunctionFailed"):
                raise _unopened() from exc
            raise

    def _names(self) -> list[str]:
        """Our keys in the token, oldest first."""
        form = re.compile(re.escape(self._label) + r"-[0-9]{4}-[0-9a-f]{8}")
        found = self._do(_labels)
        return sorted(name for name in found if form.fullmatch(name))

    def _key(self, session: Any, ref: str) -> Any:
        found = _find(session, name=ref.partition(":")[2])
        if found is None:
            raise UnavailableError(
                "the token does not hold the master key that this data key was wrapped under",
                code="vault.key_unavailable",
                key=ref,
            )
        return found

    def _do(self, act: Any) -> Any:
        """Do it, and once more in a fresh session where the old one is gone."""
        with self._lock:
            try:
                return act(self._session)
            except (
                pkcs11.SessionHandleInvalid,
                pkcs11.SessionClosed,
                pkcs11.DeviceRemoved,
                pkcs11.UserNotLoggedIn,
            ):
                self._session = self._open()
                return self._told(act)
            except (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange) as exc:
                raise _unopened() from exc
            except pkcs11.PKCS11Error as exc:
                raise _failed(exc) from exc

    def _told(self, act: Any) -> Any:
        try:
            return act(self._session)
        except pkcs11.PKCS11Error as exc:
            raise _failed(exc) from exc

    def _open(self) -> Any:
        try:
            library = pkcs11.lib(str(self._module))
        except (RuntimeError, pkcs11.PKCS11Error) as exc:
            raise UnavailableError(
                "FUQI_VAULT_MODULE cannot be loaded; name the vendor's PKCS#11 library",
                code="vault.token_module",
            ) from exc
        try:
            found = library.get_token(token_label=self._token)
            try:
                return found.open(rw=True, user_pin=self._pin)
            except pkcs11.UserAlreadyLoggedIn:
                # Logging in is of the whole process: another part of it uses the same token.
                return found.open(rw=True)
        except (pkcs11.NoSuchToken, pkcs11.TokenNotPresent) as exc:
            raise UnavailableError(
                "no token of this name is plugged in; nothing is lost, put it back and start again",
                code="vault.token_absent",
                token=self._token,
            ) from exc
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as exc:
            raise UnavailableError(
                "the token refuses FUQI_VAULT_PIN; too many wrong ones lock it",
                code="vault.pin_wrong",
                token=self._token,
            ) from exc
        except pkcs11.PinLocked as exc:
            raise UnavailableError(
                "the token is locked after too many wrong PINs; its security officer can unlock it",
                code="vault.pin_locked",
                token=self._token,
            ) from exc
        except pkcs11.PKCS11Error as exc:
            raise _failed(exc) from exc


def _find(session: Any, *, name: str) -> Any:
    wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: name}
    for found in session.get_objects(wanted):
        return found
    return None


def _labels(session: Any) -> list[str]:
    keys = islice(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY}), OBJECTS_MAX)
    return [str(key.label) for key in keys]


def _make(session: Any, *, name: str) -> None:
    session.generate_key(
        KeyType.AES,
        KEY_BITS,
        label=name,
        id=secrets.token_bytes(16),
        store=True,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _unopened() -> UnavailableError:
    return UnavailableError(
        "the master key in the token does not open this data key", code="vault.key_unavailable"
    )


def _failed(exc: Exception) -> UnavailableError:
    return UnavailableError(
        "the token did not do it; nothing is lost",
        code="vault.token_failed",
        reason=type(exc).__name__,
    )
