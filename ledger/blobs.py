"""Files by digest: documents and bundles. A folder when embedded; an S3-compatible store fits the same port."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from pathlib import Path
from typing import Final, Protocol

from ledger.core.canonical import sha256
from ledger.core.errors import InputError, NotFoundError, UnavailableError, VerificationError

BLOB_BYTES_MAX: Final = 256 * 1024 * 1024
UNUSED_SECONDS: Final = 3600
"""Longer than any transaction between storing a file and the row that names it."""
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class BlobStore(Protocol):
    """Content-addressed bytes. `put` is durable when it returns; `get` never returns other bytes."""

    def put(self, data: bytes) -> str:
        """Store and return the SHA-256 in hex. Storing the same bytes again is harmless."""
        ...

    def get(self, digest: str) -> bytes:
        """The bytes under `digest`. Raises NotFoundError `blob.not_found`."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the bytes are there."""
        ...

    def remove(self, digest: str) -> None:
        """Erase the bytes; what is not there counts as removed."""
        ...

    def remove_unused(self, digest: str) -> bool:
        """Erase bytes that nothing refers to, unless somebody stored them again a moment ago."""
        ...


class FileBlobs:
    """Blobs in a folder, two hex characters per level."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, making it where needed."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Write, sync, rename: a crash leaves at most a temporary file that nothing refers to.

        Raises:
            InputError: `blob.too_large`.
            UnavailableError: `storage.disk_full`, `storage.unavailable`.
        """
        if len(data) > BLOB_BYTES_MAX:
            raise InputError("the file is too large to keep", code="blob.too_large")
        digest = sha256(data).hex()
        path = self._path(digest)
        if self._holds(path, digest):
            return digest
        part = path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            fresh_folders = not path.parent.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            # The name must be as durable as the bytes, and so must the folders that lead to it.
            _sync_folder(path.parent)
            if fresh_folders:
                _sync_folder(path.parent.parent)
                _sync_folder(self._folder)
        except OSError as exc:
            with contextlib.suppress(OSError):
                part.unlink()
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UnavailableError(
                    "the disk is full; nothing was recorded. Free some space and send it again",
                    code="storage.disk_full",
                ) from exc
            raise UnavailableError(
                "the file store did not take the file", code="storage.unavailable"
            ) from exc
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes under `digest`, checked on every read.

        Raises:
            NotFoundError: `blob.not_found`.
            VerificationError: `blob.damaged`: the stored bytes are no longer those of their name.
            UnavailableError: `storage.unavailable`.
            InputError: `blob.digest`.
        """
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError as exc:
            raise NotFoundError("this file is not kept here", code="blob.not_found") from exc
        except OSError as exc:
            raise UnavailableError(
                "the file store does not give the file", code="storage.unavailable"
            ) from exc
        if sha256(data).hex() != digest:
            raise VerificationError("the stored file was altered on disk", code="blob.damaged")
        return data

    def has(self, digest: str) -> bool:
        """Whether the bytes are there."""
        return self._path(digest).exists()

    def remove(self, digest: str) -> None:
        """Unlink the file and make that durable. The device may keep old blocks: encrypt it.

        Raises:
            UnavailableError: `storage.unavailable`.
            InputError: `blob.digest`.
        """
        path = self._path(digest)
        try:
            path.unlink()
            _sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise UnavailableError(
                "the file store does not remove the file", code="storage.unavailable"
            ) from exc

    def remove_unused(self, digest: str) -> bool:
        """Erase a file that no row names, unless it was stored again within the last hour.

        Somebody may be storing the same bytes at this moment, in a transaction that nobody sees yet: `put`
        freshens the file's time, and the file is looked at once more after its name is gone.

        Raises:
            UnavailableError: `storage.unavailable`.
            InputError: `blob.digest`.
        """
        path = self._path(digest)
        aside = path.with_suffix(f".{secrets.token_hex(4)}.gone")
        try:
            if _is_fresh(path):
                return False
            path.replace(aside)
            if _is_fresh(aside):
                # Stored again in between. Another copy may stand there by now; the bytes are the same.
                aside.replace(path)
                return False
            aside.unlink()
            _sync_folder(path.parent)
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise UnavailableError(
                "the file store does not remove the file", code="storage.unavailable"
            ) from exc
        return True

    def _holds(self, path: Path, digest: str) -> bool:
        """Whether the right bytes are there: a damaged copy is written anew, not taken for stored.

        A file that is there is freshened: nobody then removes it as unused.
        """
        try:
            if sha256(path.read_bytes()).hex() != digest:
                return False
            os.utime(path)
        except OSError:
            return False
        return True

    def _path(self, digest: str) -> Path:
        if not _HEX.fullmatch(digest):
            raise InputError("not a SHA-256 in hex", code="blob.digest")
        return self._folder / digest[:2] / digest[2:4] / digest


def _is_fresh(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < UNUSED_SECONDS


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
