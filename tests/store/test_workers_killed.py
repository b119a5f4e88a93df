"""Three workers on one database, killed at random and started anew, while entries arrive: one tree, no fork."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import log, store
from ledger.core import merkle
from ledger.core.errors import ConflictError, UnavailableError
from ledger.core.ids import derived_id
from ledger.note import NoteSigner, open_note
from ledger.queries import log as queries
from ledger.tables.log import CheckpointRow, EntryRow
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORKERS = 3
KILLS = 20
SECONDS_MAX = 120


class Workers:
    """Processes of kill_worker.py, and what each has said."""

    def __init__(self, url, folder):
        self.folder = folder
        self.nursery = subprocess.Popen(
            [sys.executable, HERE / "kill_worker.py", url, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        self.alive: list[int] = []
        self.files: list[Path] = []

    def add(self):
        self.files.append(self.folder / f"said-{len(self.files)}")
        self.nursery.stdin.write(f"{self.files[-1]}\n")
        self.nursery.stdin.flush()
        self.alive.append(int(self.nursery.stdout.readline()))

    def kill(self, which):
        os.kill(self.alive.pop(which), signal.SIGKILL)

    def close(self):
        while self.alive:
            self.kill(0)
        self.nursery.communicate()

    def wait_for_progress(self):
        """Until another checkpoint was said: on a busy machine a worker takes its time to start."""
        before, until = sum(map(len, self.said())), time.monotonic() + SECONDS_MAX
        while sum(map(len, self.said())) == before and time.monotonic() < until:
            time.sleep(0.01)

    def said(self):
        """What each worker said was committed; a last line without its end was cut off by death."""
        texts = [file.read_text() if file.exists() else "" for file in self.files]
        return [[int(line) for line in text.split("\n")[:-1]] for text in texts]


def entry(number):
    return log.NewEntry(
        id=derived_id("ent", at=AT, seed=str(number)),
        type="document.opened",
        at=AT,
        subject=f"agr_{number % 5}",
        actor="acc_one",
        body={"number": number},
    )


@pytest.mark.slow
def test_workers_killed_at_random_sequence_every_entry_once_and_fork_nothing(
    database_url, tmp_path
):
    engine = store.make_engine(database_url)
    sessions = store.sessions(engine)
    vault = Vault(FileKeyProvider(tmp_path / "vault.key"))
    signer = NoteSigner(tmp_path / "log.key", name="log.example.invalid/fuqi")
    acknowledged: list[str] = []
    finished = threading.Event()

    def write():
        number = 0
        while not finished.is_set():
            batch = [entry(number + i) for i in range(3)]
            try:
                with store.transaction(sessions) as session:
                    log.append_many(session, vault, batch)
            except (ConflictError, UnavailableError):
                continue
            acknowledged.extend(one.id for one in batch)
            number += len(batch)
            time.sleep(0.002)

    dice = random.Random(20261123)
    workers = Workers(database_url, tmp_path)
    for _ in range(WORKERS):
        workers.add()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(KILLS):
            workers.wait_for_progress()
            time.sleep(dice.uniform(0, 0.1))
            workers.kill(dice.randrange(WORKERS))
            workers.add()
        finished.set()
        writer.join()
        until = time.monotonic() + SECONDS_MAX
        while time.monotonic() < until:
            with store.transaction(store.readers(engine)) as session:
                if queries.waiting(session) == 0:
                    break
            time.sleep(0.05)
    finally:
        finished.set()
        writer.join()
        workers.close()
    said = workers.said()
    with store.transaction(store.readers(engine)) as session:
        rows = session.query(EntryRow).order_by(EntryRow.order).all()
        checkpoints = session.query(CheckpointRow).order_by(CheckpointRow.size).all()
        assert [row.id for row in rows] == acknowledged
        assert [row.seq for row in rows] == list(range(len(rows)))
        # What any worker said was committed is a checkpoint, and was made by that worker alone.
        told = [size for sizes in said for size in sizes]
        assert len(told) == len(set(told))
        assert set(told) <= {one.size for one in checkpoints}
        # More than one worker had its turn, or nothing was elected.
        assert sum(bool(sizes) for sizes in said) > 1
        leaves = [merkle.leaf_hash(row.bytes) for row in rows]
        node = merkle.reader_over(leaves)
        for one in checkpoints:
            note = open_note(one.note, verifier=signer.verifier)
            assert (note.size, note.root) == (one.size, merkle.root(one.size, node))
        assert log.root_at(session, len(rows)) == merkle.root(len(rows), node)
        path = log.inclusion(session, index=0, size=len(rows))
        merkle.verify_inclusion(
            leaves[0], index=0, size=len(rows), path=path, root=merkle.root(len(rows), node)
        )
    engine.dispose()
