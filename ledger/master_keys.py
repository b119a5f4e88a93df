"""Master keys of the vault behind one interface: in files, in a PKCS#11 token, or in a key service.

A data key of a subject is wrapped under the current master key; the wrapped form names that key, so that a
master key can be replaced (`rewrap`) while older wrapped keys still open. Form of a wrapped key:

    0x01 ‖ nonce ‖ AES-256-GCM          under `vault.key` (FileKeyProvider; read for ever)
    0x02 ‖ length of ref ‖ ref ‖ sealed   under the master key `ref`, e.g. `pkcs11:fuqi-vault-1`

The subject is bound in: a wrapped key moved to another subject's row does not open. Erasing a subject destroys
its wrapped key; no master key is touched.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session, sessionmaker

from ledger.core.errors import UnavailableError
from ledger.key_file import read_or_make
from ledger.queries import log as queries
from ledger.store import transaction
from ledger.tables.log import DataKeyRow
from ledger.vault import KEY_BYTES, NONCE_BYTES, FileKeyProvider, KeyProvider

_WRAPPED_V1: Final = b"\x01"
_WRAPPED_V2: Final = b"\x02"
REF_BYTES_MAX: Final = 120
GENERATIONS_MAX: Final = 1000
"""A key made anew every day lasts three years; beyond that something loops."""
REWRAP_BATCH: Final = 200
"""Data keys of one transaction: a token takes a millisecond for each, and the lock is short."""
INDEX_SUBJECT: Final = "fuqi:number-index"
"""The row of `data_key` that holds the key of the number index, wrapped like any other."""


class MasterKeys(Protocol):
    """Where master keys are. None of them ever leaves it but those in files."""

    @property
    def kind(self) -> str:
        """`file`, `pkcs11` or `service`: how its refs begin."""
        ...

    def describe(self) -> str:
        """One line for `fuqi doctor`: which, where; no secret."""
        ...

    def current(self) -> str:
        """Ref of the key that new data keys are wrapped under; made where there is none."""
        ...

    def rotate(self) -> str:
        """Make a new master key and return its ref; it is current from now on."""
        ...

    def encrypt(self, ref: str, plain: bytes, *, bound_to: bytes) -> bytes:
        """Seal under the key `ref`.

        Raises:
            UnavailableError: `vault.key_unavailable` and the codes of the kind.
        """
        ...

    def decrypt(self, ref: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """The reverse; the same errors."""
        ...


class MasterKeyProvider:
    """A `KeyProvider` over master keys, which still opens what other kinds have wrapped before.

    Args:
        keys: the kind in use; wraps.
        former: kinds that only open, by their name: what is not rewrapped yet.
        legacy: opens the first form, of `vault.key`.
    """

    def __init__(
        self,
        keys: MasterKeys,
        *,
        former: Mapping[str, MasterKeys] | None = None,
        legacy: FileKeyProvider | None = None,
    ) -> None:
        self.keys = keys
        self.legacy = legacy
        self._all = {**(former or {}), keys.kind: keys}

    def wrap(self, key: bytes, *, subject: str) -> bytes:
        """Under the current master key."""
        ref = self.keys.current()
        sealed = self.keys.encrypt(ref, key, bound_to=subject.encode())
        name = ref.encode("ascii")
        assert 0 < len(name) <= REF_BYTES_MAX
        return _WRAPPED_V2 + bytes([len(name)]) + name + sealed

    def unwrap(self, wrapped: bytes, *, subject: str) -> bytes:
        """The reverse, by whichever master key it names.

        Raises:
            UnavailableError: `vault.key_unavailable`, and the codes of the kind.
        """
        ref = ref_of(wrapped)
        if ref is None:
            if self.legacy is None:
                raise _unavailable("file:1")
            return self.legacy.unwrap(wrapped, subject=subject)
        keys = self._all.get(ref.partition(":")[0])
        if keys is None:
            raise _unavailable(ref)
        return keys.decrypt(ref, wrapped[2 + len(ref) :], bound_to=subject.encode())


class FileMasterKeys:
    """Master keys in files that only their owner can read: `vault.key`, `vault-2.key`, `vault-3.key`, …"""

    kind: Final = "file"

    def __init__(self, folder: Path) -> None:
        """Keys in `folder`; makes nothing yet."""
        self._folder = folder
        self._ciphers: dict[str, AESGCM] = {}
        self._newest = 1
        while self._newest < GENERATIONS_MAX and self._path(self._newest + 1).exists():
            self._newest += 1

    def describe(self) -> str:
        """See `MasterKeys`."""
        return f"file {self._path(self._newest).name}, readable by its owner only"

    def current(self) -> str:
        """See `MasterKeys`."""
        return f"file:{self._newest}"

    def rotate(self) -> str:
        """See `MasterKeys`."""
        self._newest += 1
        self._cipher(self.current(), make=True)
        return self.current()

    def encrypt(self, ref: str, plain: bytes, *, bound_to: bytes) -> bytes:
        """See `MasterKeys`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(ref, make=True).encrypt(nonce, plain, bound_to)

    def decrypt(self, ref: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """See `MasterKeys`."""
        cipher = self._cipher(ref, make=False)
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except InvalidTag as exc:
            raise _unavailable(ref) from exc

    def _path(self, number: int) -> Path:
        return self._folder / ("vault.key" if number == 1 else f"vault-{number}.key")

    def _cipher(self, ref: str, *, make: bool) -> AESGCM:
        found = self._ciphers.get(ref)
        if found is None:
            path = self._path(int(ref.partition(":")[2]))
            if not make and not path.exists():
                raise _unavailable(ref)
            key = read_or_make(
                path, lambda: secrets.token_bytes(KEY_BYTES), size=KEY_BYTES, code="vault.key_file"
            )
            found = self._ciphers[ref] = AESGCM(key)
        return found


def ref_of(wrapped: bytes) -> str | None:
    """Ref of the master key that a wrapped key names; None for the first form."""
    if wrapped[:1] == _WRAPPED_V1:
        return None
    assert wrapped[:1] == _WRAPPED_V2, "wrapped by a newer version"
    return wrapped[2 : 2 + wrapped[1]].decode("ascii")


def rewrap(sessions: sessionmaker[Session], provider: MasterKeyProvider) -> int:
    """Wrap every data key under the current master key; returns how many were not yet.

    Killed anywhere, it loses nothing: each row is under the old key or under the new one. Subjects that were
    erased have no key and stay so.

    Raises:
        UnavailableError: a key cannot be opened or wrapped; what was done stays done.
    """
    target, done, after = provider.keys.current(), 0, ""
    while True:
        with transaction(sessions) as session:
            rows = queries.wrapped_after(session, after, limit=REWRAP_BATCH)
            for row in rows:
                assert row.wrapped is not None
                if ref_of(row.wrapped) != target:
                    key = provider.unwrap(row.wrapped, subject=row.subject)
                    row.wrapped = provider.wrap(key, subject=row.subject)
                    done += 1
            if not rows:
                return done
            after = rows[-1].subject


def require_opens(sessions: sessionmaker[Session], provider: KeyProvider) -> None:
    """Refuse to start over a database whose data keys were wrapped elsewhere.

    Without this, a restored database and a fresh master key would go on together, and half of the bodies would
    turn out to be unreadable months later.

    Raises:
        UnavailableError: `vault.key_unavailable` and the codes of the kind.
    """
    with transaction(sessions) as session:
        for row in queries.wrapped_after(session, "", limit=1):
            assert row.wrapped is not None
            provider.unwrap(row.wrapped, subject=row.subject)


def count_refs(sessions: sessionmaker[Session]) -> dict[str, int]:
    """How many data keys are under each master key; the first form counts as `file:1`."""
    found: dict[str, int] = {}
    after = ""
    while True:
        with transaction(sessions) as session:
            rows = queries.wrapped_after(session, after, limit=REWRAP_BATCH)
            for row in rows:
                assert row.wrapped is not None
                ref = ref_of(row.wrapped) or "file:1"
                found[ref] = found.get(ref, 0) + 1
            if not rows:
                return found
            after = rows[-1].subject


def number_index_key(
    sessions: sessionmaker[Session],
    provider: KeyProvider,
    *,
    legacy: FileKeyProvider | None,
    at: datetime,
) -> bytes:
    """The key of the number index, kept wrapped in the database so that it outlives any master key.

    An installation that began with `vault.key` keeps the key it derived from that.

    Raises:
        UnavailableError: `vault.key_unavailable` and the codes of the kind.
    """
    with transaction(sessions) as session:
        row = session.get(DataKeyRow, INDEX_SUBJECT)
        if row is not None and row.wrapped is not None:
            return provider.unwrap(row.wrapped, subject=INDEX_SUBJECT)
        key = secrets.token_bytes(KEY_BYTES) if legacy is None else legacy.index_key()
        wrapped = provider.wrap(key, subject=INDEX_SUBJECT)
        session.add(DataKeyRow(subject=INDEX_SUBJECT, wrapped=wrapped, created_at=at))
        return key


def stored_index_key(sessions: sessionmaker[Session], provider: KeyProvider) -> bytes | None:
    """The key of the number index where the database holds it.

    Raises:
        UnavailableError: as `number_index_key`.
    """
    with transaction(sessions) as session:
        row = session.get(DataKeyRow, INDEX_SUBJECT)
        if row is None or row.wrapped is None:
            return None
        return provider.unwrap(row.wrapped, subject=INDEX_SUBJECT)


def subject_digest(bound_to: bytes) -> bytes:
    """What stands before a key in services that bind nothing themselves."""
    return hashlib.sha256(b"fuqi/wrapped-for/v1\x00" + bound_to).digest()


def _unavailable(ref: str) -> UnavailableError:
    return UnavailableError(
        "the master key that this data key was wrapped under is not there, or is another; put it back",
        code="vault.key_unavailable",
        key=ref,
    )
