"""Private bodies and salts under per-subject data keys (AES-256-GCM, envelope encryption).

An entry in the log holds only `HMAC-SHA256(salt, canonical body)`. Body and salt are sealed here under a
key of their subject; the key is wrapped under the installation's key. Erasing the data key leaves a leaf
that nobody can link to anything, while the log still verifies.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import (
    ConflictError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.key_file import read_or_make
from ledger.queries import log as queries
from ledger.tables.log import DataKeyRow, PrivateBodyRow

SALT_BYTES: Final = 32
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_SEALED_V1: Final = b"\x01"
"""First byte of every sealed value: format version."""


class KeyProvider(Protocol):
    """Wraps data keys; the wrapping key may live in a file, a token or a key service."""

    def wrap(self, key: bytes, *, subject: str) -> bytes:
        """Encrypt a 32-byte data key, bound to `subject`."""
        ...

    def unwrap(self, wrapped: bytes, *, subject: str) -> bytes:
        """The reverse. Raises UnavailableError `vault.key_unavailable` when it cannot."""
        ...


class FileKeyProvider:
    """Installation key in a file that only its owner can read; for embedded use."""

    def __init__(self, path: Path) -> None:
        """Load the key, making it at first start.

        Raises:
            UnavailableError: `vault.key_file`: the file is there but is not a key.
        """
        key = read_or_make(
            path,
            lambda: secrets.token_bytes(KEY_BYTES),
            size=KEY_BYTES,
            code="vault.key_file",
        )
        self._cipher = AESGCM(key)
        self._key = key

    def wrap(self, key: bytes, *, subject: str) -> bytes:
        """AES-256-GCM with the subject as associated data."""
        return _seal(self._cipher, key, subject)

    def unwrap(self, wrapped: bytes, *, subject: str) -> bytes:
        """The reverse of `wrap`."""
        try:
            return _open(self._cipher, wrapped, subject)
        except InvalidTag as exc:
            raise UnavailableError(
                "the vault key does not open this data key", code="vault.key_unavailable"
            ) from exc

    def index_key(self) -> bytes:
        """Key of the keyed digests that find duplicates of identity numbers without storing them."""
        return b"fuqi/number-index/v1" + self._key


@dataclass(frozen=True, slots=True)
class PrivateBody:
    """What an entry commits to."""

    salt: bytes
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SealedLater:
    """A body on its way into the vault: `body` in canonical bytes, so that it is encoded only once."""

    entry_id: str
    subject: str
    salt: bytes
    body: bytes


class Vault:
    """Seals and opens private bodies. Stateless but for the key provider."""

    def __init__(self, provider: KeyProvider) -> None:
        """A vault over `provider`."""
        self._provider = provider

    def seal_many(
        self, session: Session, items: Sequence[SealedLater], *, at: datetime
    ) -> list[dict[str, object]]:
        """Seal bodies, making a subject's key with its first record.

        Adds new data keys to the session; returns the columns of `private_body` for the caller to insert.

        Raises:
            ConflictError: `vault.erased`: the subject's data was erased; nothing may be added.
                `vault.restricted`: its use was stopped.
        """
        keys = self._data_keys(session, [item.subject for item in items], at=at)
        ciphers = {subject: AESGCM(key) for subject, key in keys.items()}
        rows: list[dict[str, object]] = []
        for item in items:
            # Canonical by construction: what is between the braces is canonical, and the keys are in order.
            plain = b'{"body":%b,"salt":"%b"}' % (item.body, item.salt.hex().encode())
            sealed = _seal(ciphers[item.subject], plain, item.entry_id)
            rows.append({"entry_id": item.entry_id, "subject": item.subject, "sealed": sealed})
        return rows

    def seal_value(
        self, session: Session, value: Mapping[str, Json], *, subject: str, name: str, at: datetime
    ) -> bytes:
        """Seal one value of a subject outside any entry, e.g. its identity number.

        Raises:
            ConflictError: `vault.erased`, `vault.restricted`.
        """
        key = self._data_keys(session, [subject], at=at)[subject]
        return _seal(AESGCM(key), canonical_bytes(value), f"{subject}/{name}")

    def open_value(
        self, session: Session, sealed: bytes, *, subject: str, name: str
    ) -> Mapping[str, Json]:
        """The reverse of `seal_value`.

        Raises:
            ConflictError: `vault.restricted`: the data key was erased, or its use stopped.
            VerificationError: `vault.damaged`: what is stored is not what was sealed.
        """
        cipher = AESGCM(self._readable_key(session, subject))
        value = canonical_parse(_open_stored(cipher, sealed, f"{subject}/{name}"))
        assert isinstance(value, dict)
        return value

    def get(self, session: Session, entry_id: str) -> PrivateBody:
        """Open the private body of an entry.

        Raises:
            NotFoundError: `vault.not_found`.
            ConflictError: `vault.restricted`: the data key was erased, or its use stopped.
            VerificationError: `vault.damaged`: what is stored is not what was sealed.
        """
        row = session.get(PrivateBodyRow, entry_id)
        if row is None:
            raise NotFoundError("no private body for this entry", code="vault.not_found")
        cipher = AESGCM(self._readable_key(session, row.subject))
        value = canonical_parse(_open_stored(cipher, row.sealed, entry_id))
        assert isinstance(value, dict)
        return PrivateBody(salt=bytes.fromhex(value["salt"]), body=value["body"])

    def erase(self, session: Session, subject: str, *, at: datetime) -> None:
        """Destroy the subject's data key: bodies stay sealed for ever, leaves become unlinkable.

        Raises:
            NotFoundError: `vault.not_found`.
        """
        row = session.get(DataKeyRow, subject)
        if row is None:
            raise NotFoundError("nothing is kept for this subject", code="vault.not_found")
        row.wrapped = None
        row.erased_at = row.erased_at or at

    def restrict(self, session: Session, subject: str, *, at: datetime) -> None:
        """Keep the subject's data and do nothing else with it (PIPL Art. 47); reads are refused.

        Raises:
            NotFoundError: `vault.not_found`.
        """
        row = session.get(DataKeyRow, subject)
        if row is None:
            raise NotFoundError("nothing is kept for this subject", code="vault.not_found")
        row.restricted_at = row.restricted_at or at

    def _readable_key(self, session: Session, subject: str) -> bytes:
        row = session.get(DataKeyRow, subject)
        if row is None or row.wrapped is None:
            raise ConflictError("this record was erased on request", code="vault.restricted")
        if row.restricted_at is not None:
            raise ConflictError(
                "this record is stored and not used, on request", code="vault.restricted"
            )
        return self._provider.unwrap(row.wrapped, subject=subject)

    def _data_keys(
        self, session: Session, subjects: Sequence[str], *, at: datetime
    ) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(subjects))
        keys: dict[str, bytes] = {}
        for row in queries.data_keys(session, wanted):
            if row.wrapped is None:
                raise ConflictError("this record was erased on request", code="vault.erased")
            if row.restricted_at is not None:
                raise ConflictError(
                    "this record is stored and not used, on request", code="vault.restricted"
                )
            keys[row.subject] = self._provider.unwrap(row.wrapped, subject=row.subject)
        for subject in wanted:
            if subject not in keys:
                keys[subject] = secrets.token_bytes(KEY_BYTES)
                wrapped = self._provider.wrap(keys[subject], subject=subject)
                session.add(DataKeyRow(subject=subject, wrapped=wrapped, created_at=at))
        return keys


def _seal(cipher: AESGCM, plain: bytes, bound_to: str) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return _SEALED_V1 + nonce + cipher.encrypt(nonce, plain, bound_to.encode())


def _open_stored(cipher: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    try:
        return _open(cipher, sealed, bound_to)
    except InvalidTag as exc:
        raise VerificationError(
            "the sealed record was altered in the database", code="vault.damaged"
        ) from exc


def _open(cipher: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    assert sealed[:1] == _SEALED_V1, "sealed by a newer version"
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    return cipher.decrypt(nonce, body, bound_to.encode())
