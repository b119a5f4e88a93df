"""The log beside plain rows: journaling on both databases, sequencing, proofs and restart in a large tree.

`--full` grows the large tree to ten million leaves (tens of minutes, 10 GB) instead of a hundred thousand.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session, sessionmaker

from bench.measure import Measure, p50_ms, seconds
from bench.servers import postgres_databases
from ledger import log, store
from ledger.core import merkle
from ledger.core.canonical import canonical_bytes
from ledger.core.ids import derived_id
from ledger.note import NoteSigner
from ledger.queries import log as queries
from ledger.tables.log import EntryRow, PrivateBodyRow
from ledger.vault import SALT_BYTES, FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
BATCH = 4096
"""What the batch API takes at once."""
ROUNDS = 9
SUBJECTS = 500
PROOFS = 200
SMALL = 100_000
LARGE = 10_000_000
PART = 250_000
"""Rows of one transaction while the large tree is made."""
RAW = f"the same rows of both tables by SQLAlchemy Core, {BATCH} per transaction, into an identical database"


def entry(number: int) -> log.NewEntry:
    return log.NewEntry(
        id=derived_id("ent", at=AT + timedelta(milliseconds=number), seed=f"bench {number}"),
        type="allocation.proposed",
        at=AT,
        subject=derived_id("rnd", at=AT, seed=f"subject {number % SUBJECTS}"),
        actor="system",
        body={"round": "r", "allocation": number, "offer": "o", "need": "n", "quantity": number},
    )


def measures(*, full: bool = False) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        folder = Path(name)
        urls = [f"sqlite:///{folder / one}.sqlite3" for one in ("ours", "plain")]
        yield from _appending(folder, *urls, suffix="")
        with postgres_databases(2) as found:
            if found:
                yield from _appending(folder, *found, suffix="_postgresql")
        # The long run's figures have names of their own, which a short run later leaves alone.
        sizes, suffix = ((SMALL, LARGE), "_10m") if full else ((SMALL // 10, SMALL), "")
        yield from _growing(folder, sizes, suffix=suffix)


# ------------------------------------------------------------------ durable entries
def _appending(folder: Path, url: str, plain_url: str, *, suffix: str) -> Iterator[Measure]:
    """Batches of ours, and the very same rows the plain way into an identical database, in turns."""
    engines = [store.make_engine(one) for one in (url, plain_url)]
    for one in (url, plain_url):
        store.migrate(one)
    sessions, plain_sessions = (store.sessions(engine) for engine in engines)
    vault = Vault(FileKeyProvider(folder / "vault.key"))
    signer = NoteSigner(folder / "log.key", name="bench.invalid/log")
    journal, bodies = EntryRow.__table__, PrivateBodyRow.__table__
    ours: list[float] = []
    plain: list[float] = []
    for number in range(ROUNDS + 1):
        batch = [entry(number * BATCH + i) for i in range(BATCH)]
        began = time.perf_counter()
        with store.transaction(sessions) as session:
            log.append_many(session, vault, batch)
        took = time.perf_counter() - began
        with store.transaction(sessions) as session:
            fresh = select(journal).where(journal.c.order > number * BATCH)
            rows = [dict(row) for row in session.execute(fresh).mappings()]
            ids = select(journal.c.id).where(journal.c.order > number * BATCH)
            private = select(bodies).where(bodies.c.entry_id.in_(ids))
            sealed = [dict(row) for row in session.execute(private).mappings()]
        assert len(rows) == len(sealed) == BATCH
        began = time.perf_counter()
        with store.transaction(plain_sessions) as session:
            session.execute(insert(journal), rows)
            session.execute(insert(bodies), sealed)
        if number:  # the first warms up
            ours.append(took)
            plain.append(time.perf_counter() - began)
    speed = BATCH / statistics.median(ours)
    raw = BATCH / statistics.median(plain)
    yield Measure(f"ledger.append{suffix}", speed, "entries/s", ROUNDS * BATCH, raw, RAW)
    total = (ROUNDS + 1) * BATCH
    took = seconds(lambda: _sequence_all(sessions, signer))
    yield Measure(f"ledger.sequence{suffix}", total / took, "entries/s", total)
    for engine in engines:
        engine.dispose()


def _sequence_all(sessions: sessionmaker[Session], signer: NoteSigner) -> None:
    while True:
        with store.transaction(sessions) as session:
            if log.sequence(session, signer, at=AT) is None:
                return


# ------------------------------------------------------------------ a large tree
def _growing(folder: Path, sizes: tuple[int, int], *, suffix: str) -> Iterator[Measure]:
    """One log, looked at at two sizes by a process of its own each time."""
    url = f"sqlite:///{folder / 'large.sqlite3'}"
    store.migrate(url)
    looks: list[dict[str, float]] = []
    context = multiprocessing.get_context("spawn")
    for size in sizes:
        grow(url, folder, size)
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            looks.append(pool.submit(look, url, folder).result())
    yield from compared(*looks, sizes=sizes, suffix=suffix)


def compared(
    small: dict[str, float], large: dict[str, float], *, sizes: tuple[int, int], suffix: str
) -> Iterator[Measure]:
    """What `look` found in the larger log, beside the smaller."""
    against = f"the same with {sizes[0]:,} leaves"
    for name, key, unit, n in (
        ("inclusion_proof", "proof_ms", "ms", PROOFS),
        ("consistency_proof", "grow_ms", "ms", PROOFS),
        ("restart", "restart_s", "s", 1),
        ("memory", "rss_mb", "MB", 1),
        ("append_large", "append", "entries/s", 1),
    ):
        yield Measure(f"ledger.{name}{suffix}", large[key], unit, n, small[key], against)
    yield Measure(f"ledger.inclusion_proof_p99{suffix}", large["proof_p99_ms"], "ms", PROOFS)
    yield Measure(f"ledger.inclusion_verify{suffix}", large["verify_ms"], "ms", PROOFS)


def grow(url: str, folder: Path, size: int) -> None:
    """Bring the log to `size` leaves with the log's own encoder, row writer and sequencer.

    Left out against `append_many`: private bodies (no proof reads them), look-ups of what was there before, and
    on SQLite the wait for the disk. What is measured afterwards is opened anew, with everything on.
    """
    engine = store.make_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _hurry)
    sessions = store.sessions(engine)
    signer = NoteSigner(folder / "log.key", name="bench.invalid/log")
    with store.transaction(sessions) as session:
        start = queries.last_order(session)
        subjects = [entry(number).subject for number in range(SUBJECTS)]
        prev = queries.last_leaves(session, subjects)
    salt = bytes(SALT_BYTES)
    for part in range(start, size, PART):
        rows = []
        for number in range(part, min(part + PART, size)):
            one = entry(number)
            body = canonical_bytes(one.body)
            row = log.journal_row(
                one, body, order=number + 1, salt=salt, prev=prev.get(one.subject)
            )
            prev[one.subject] = row["leaf"]
            rows.append(row)
        with store.transaction(sessions) as session:
            store.insert_rows(session, EntryRow.__table__, rows)
        _sequence_all(sessions, signer)
    engine.dispose()


def _hurry(connection: Any, record: Any) -> None:
    """Large transactions touch most pages of the indexes: keep them in memory, and sync nothing."""
    del record
    connection.execute("PRAGMA cache_size = -2000000")
    connection.execute("PRAGMA synchronous = OFF")


def look(url: str, folder: Path) -> dict[str, float]:
    """What a fresh process needs to serve this log: first act, proofs, memory."""
    began = time.perf_counter()
    engine = store.make_engine(url)
    sessions, readers = store.sessions(engine), store.readers(engine)
    signer = NoteSigner(folder / "log.key", name="bench.invalid/log")
    vault = Vault(FileKeyProvider(folder / "vault.key"))
    with store.transaction(sessions) as session:
        first = queries.last_order(session)
        log.append_many(session, vault, [entry(first)])
    with store.transaction(sessions) as session:
        signed = log.sequence(session, signer, at=AT)
    assert signed is not None
    size, root = signed.size, bytes.fromhex(signed.root)
    # Up to here: open, journal, check the stored tree against its checkpoint, sequence, sign.
    restart = time.perf_counter() - began
    dice = random.Random(1)
    picks = [dice.randrange(size) for _ in range(PROOFS)]
    proofs: list[float] = []
    grown: list[float] = []
    for index in picks:
        began = time.perf_counter()
        with store.transaction(readers) as session:
            path = log.inclusion(session, index=index, size=size)
        proofs.append(time.perf_counter() - began)
        began = time.perf_counter()
        with store.transaction(readers) as session:
            log.consistency(session, index + 1, size)
        grown.append(time.perf_counter() - began)
        with store.transaction(readers) as session:
            (leaf,) = queries.leaves(session, start=index, count=1)
        merkle.verify_inclusion(leaf, index=index, size=size, path=path, root=root)
    batches = [[entry(size + at * BATCH + i) for i in range(BATCH)] for at in range(3)]
    appended: list[float] = []
    for batch in batches:
        began = time.perf_counter()
        with store.transaction(sessions) as session:
            log.append_many(session, vault, batch)
        appended.append(time.perf_counter() - began)
    _sequence_all(sessions, signer)
    engine.dispose()
    check = p50_ms(
        lambda: merkle.verify_inclusion(leaf, index=index, size=size, path=path, root=root),
        n=PROOFS,
    )
    return {
        "restart_s": restart,
        "proof_ms": statistics.median(proofs) * 1000,
        "proof_p99_ms": sorted(proofs)[PROOFS * 99 // 100] * 1000,
        "grow_ms": statistics.median(grown) * 1000,
        "append": BATCH / statistics.median(appended),
        "rss_mb": _peak_mb(),
        "verify_ms": check,
    }


def _peak_mb() -> float:
    """Largest resident size of this process."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: on Linux a started process inherits the peak of the one that started it.
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
