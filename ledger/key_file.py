"""A secret in a file that only its owner can read, made at first start and never made twice."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.core.errors import UnavailableError

_FOREIGN_BITS: Final = 0o077


def read_or_make(path: Path, make: Callable[[], bytes], *, size: int, code: str) -> bytes:
    """The secret in `path`; where there is none, `make()` is kept there first.

    Args:
        size: exact length in bytes of every such secret.
        code: error code of a file that is damaged, readable by others or out of reach.

    Raises:
        UnavailableError: `code`.
    """
    try:
        if not path.exists():
            _write_once(path, make())
        readable_by_others = os.name == "posix" and path.stat().st_mode & _FOREIGN_BITS
        secret = path.read_bytes()
    except OSError as exc:
        raise UnavailableError(
            f"the key file {path.name} cannot be read or made", code=code
        ) from exc
    if readable_by_others:
        raise UnavailableError(
            f"the key file {path.name} can be read by others; run chmod 600 on it", code=code
        )
    if len(secret) != size:
        raise UnavailableError(f"the key file {path.name} is damaged", code=code)
    return secret


def _write_once(path: Path, secret: bytes) -> None:
    """A crash leaves no file or a whole one. Of two first starts at once, the first to link wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink(missing_ok=True)
    # What is sealed under a key must not outlive its name: the name is durable before first use.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
