"""Started by test_workers_killed.py: forks a worker for each line it reads, and says its process id.

A worker sequences one database until it is killed. It writes each checkpoint size, once it is committed, to the
file that the line names. Forked, not started: imports take a second, and many workers die in the test.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from ledger import log, store
from ledger.core.errors import ConflictError, UnavailableError
from ledger.note import NoteSigner

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)


def work(url: str, folder: Path, said: Path) -> None:
    sessions = store.sessions(store.make_engine(url))
    signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
    with said.open("a", buffering=1) as file:
        while True:
            try:
                with store.transaction(sessions) as session:
                    made = log.sequence(session, signer, at=AT)
                    size = None if made is None else made.size
            except (ConflictError, UnavailableError):
                continue
            if size is not None:
                file.write(f"{size}\n")
            time.sleep(0.002)


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(url, folder, Path(line.strip()))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
