"""Verification without network and without database, enforced by the interpreter and not promised.

An audit hook cannot be taken out again, so it stays installed and refuses only while `offline()` is entered.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_REFUSED: Final = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "sqlite3.connect",
    "sqlite3.load_extension",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
)
"""Ways out of the process; a child could do what we may not."""
_REFUSED_IMPORTS: Final = frozenset({"psycopg", "psycopg_c", "psycopg_binary", "web3"})
"""They reach the network in C or through it, where no audit event is raised."""

_entered: list[int] = [0]
"""How many `offline()` blocks are open, for all threads: one that the block starts is bound as well."""
_installed: list[bool] = []


class OfflineError(BaseException):
    """Something tried to leave the process during an offline verification: our own bug.

    Not an Exception: no handler on the way may swallow it.
    """


@contextmanager
def offline() -> Iterator[None]:
    """Refuse connections, databases and child processes until the block ends."""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    _entered[0] += 1
    try:
        yield
    finally:
        _entered[0] -= 1


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        if _entered[0]:
            raise OfflineError(f"refused while verifying offline: {event}")
    elif event == "import" and _entered[0] and str(args[0]).split(".", 1)[0] in _REFUSED_IMPORTS:
        raise OfflineError(f"refused while verifying offline: import of {args[0]}")
