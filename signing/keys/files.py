"""Key files and registers on disk: written once or replaced whole, durable, never half.

Several processes may use one folder: names are taken with link(2), counters under flock(2).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ledger.core.errors import ConflictError

SECRET_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
COUNTER_BLOCK: Final = 64
"""Numbers reserved per durable write: one fsync serves 64; a crash skips at most 64 numbers."""


def write_once(path: Path, data: bytes) -> bool:
    """Create `path` holding `data`, durably; return False where the name is already taken."""
    draft = _draft(path, data)
    try:
        # A crash before the link leaves only a draft that nothing reads.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    _sync_folder(path.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: readers see the old bytes or the new ones."""
    draft = _draft(path, data)
    # A crash before the rename leaves the old file and a draft that nothing reads.
    draft.replace(path)
    _sync_folder(path.parent)


def ensure_folder(folder: Path) -> None:
    """Make `folder` inside an existing one, durably; nothing happens where it is there already."""
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    _sync_folder(folder.parent)


def create_folder(folder: Path, files: Mapping[str, bytes], *, folders: tuple[str, ...]) -> bool:
    """Create `folder` with all its files at once; return False where it already holds something.

    A crash midway leaves a hidden sibling that nothing reads, never a folder with half its files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.parent / f".{folder.name}.{secrets.token_hex(8)}"
    draft.mkdir(mode=FOLDER_MODE)
    try:
        for name in folders:
            (draft / name).mkdir(mode=FOLDER_MODE)
        for name, data in files.items():
            _write(draft / name, data)
        for name in (*folders, "."):
            _sync_folder(draft / name)
        try:
            draft.rename(folder)
        except OSError:
            if folder.exists():
                return False
            raise
    finally:
        if draft.exists():
            shutil.rmtree(draft)
    _sync_folder(folder.parent)
    return True


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 PEM without a password: the file's mode is what protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def spki_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo DER with a named curve and an uncompressed point: one form per key."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key that only its owner may read.

    Raises:
        ConflictError: `keys.permissions`, `keys.damaged`.
    """
    require_private_mode(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConflictError("this key file cannot be read", code="keys.damaged") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConflictError("this key file holds no P-256 key", code="keys.damaged")
    return key


def require_private_mode(path: Path) -> None:
    """Refuse a key file that others may read.

    Raises:
        ConflictError: `keys.permissions`.
    """
    if path.stat().st_mode & 0o077:
        raise ConflictError(
            "this key file may be read by others; set its mode to 0600", code="keys.permissions"
        )


class Counter:
    """Numbers 1, 2, 3 … that are never handed out twice, by any process, across any crash.

    The file holds the last *reserved* number and is durable before a number of its block is used.
    """

    def __init__(self, path: Path, *, block: int = COUNTER_BLOCK) -> None:
        self._path = path
        self._block = block
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._next = 1
        self._end = 0

    def take(self) -> int:
        """The next number.

        Raises:
            ConflictError: `keys.counter_damaged` (guessing a number could repeat one).
        """
        with self._lock:
            # A forked child must not use up the block of its parent.
            if self._next > self._end or self._process != os.getpid():
                self._reserve()
            number = self._next
            self._next += 1
            return number

    def _reserve(self) -> None:
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, SECRET_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                reserved = int(self._path.read_text("ascii"))
            except (OSError, ValueError) as exc:
                raise ConflictError(
                    "the counter file is missing or damaged", code="keys.counter_damaged"
                ) from exc
            replace(self._path, str(reserved + self._block).encode("ascii"))
        finally:
            os.close(lock)
        # A crash from here on skips what is left of the block; it repeats nothing.
        self._next, self._end = reserved + 1, reserved + self._block
        self._process = os.getpid()


def _draft(path: Path, data: bytes) -> Path:
    draft = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    _write(draft, data)
    return draft


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
