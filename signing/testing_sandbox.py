"""Work that misbehaves on purpose, for tests of `signing.sandbox`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ledger.core.errors import InputError


def length(options: Mapping[str, Any], data: bytes) -> Any:
    """What an honest piece of work looks like."""
    return {"size": len(data), "options": dict(options), "process": os.getpid()}


def refuse(_options: Mapping[str, Any], _data: bytes) -> Any:
    """Raise one of our own errors.

    Raises:
        InputError: `input.invalid`.
    """
    raise InputError("refused on purpose", limit=7)


def spin(_options: Mapping[str, Any], _data: bytes) -> Any:
    """Never end."""
    while True:
        pass


def swell(_options: Mapping[str, Any], _data: bytes) -> Any:
    """Take memory without end."""
    held: list[bytearray] = []
    while True:
        held.append(bytearray(64 * 1024 * 1024))


def fall(_options: Mapping[str, Any], _data: bytes) -> Any:
    """Die as a parser written in C dies."""
    os.abort()


def leave(options: Mapping[str, Any], _data: bytes) -> Any:
    """Try what a file that took the process over would try; the ways that were open."""
    ways = []
    for name, act in (
        ("file", lambda: Path(options["folder"], "left.txt").write_text("x", "utf-8")),
        ("child", lambda: os.system("true")),  # noqa: S605 - refused, which is the point
        ("socket", lambda: socket.create_connection(("127.0.0.1", 9), timeout=1)),
    ):
        try:
            act()
        except OSError:
            continue
        ways.append(name)
    return ways
