"""The log on SQLite: journaling, sequencing, proofs; beside the same rows without any of it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from bench.measure import Measure, batches, p50_ms, seconds
from ledger import log, store
from ledger.core import merkle
from ledger.core.ids import derived_id
from ledger.note import NoteSigner
from ledger.queries import log as queries
from ledger.tables.log import EntryRow
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
ENTRIES = 4096
BATCH = 64
PROOFS = 200


def entry(number: int) -> log.NewEntry:
    return log.NewEntry(
        id=derived_id("ent", at=AT, seed=f"bench {number}"),
        type="allocation.proposed",
        at=AT,
        subject=derived_id("rnd", at=AT, seed=f"subject {number % 500}"),
        actor="system",
        body={"round": "r", "allocation": number, "offer": "o", "need": "n", "quantity": number},
    )


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'bench.sqlite3'}"
        store.migrate(url)
        engine = store.make_engine(url)
        try:
            yield from _measures(folder, store.sessions(engine))
        finally:
            engine.dispose()


def _measures(folder: Path, sessions: object) -> Iterator[Measure]:
    vault = Vault(FileKeyProvider(folder / "vault.key"))
    signer = NoteSigner(folder / "log.key", name="bench.invalid/log")
    entries = [entry(number) for number in range(ENTRIES)]

    def journal() -> None:
        for batch in batches(entries, BATCH):
            with store.transaction(sessions) as session:
                log.record_many(session, vault, batch)

    def plain() -> None:
        # The same rows, as many per transaction, without commitments, sealed bodies and chaining.
        for batch in batches(rows, BATCH):
            with store.transaction(sessions) as session:
                session.execute(insert(EntryRow), batch)

    def sequence() -> None:
        while True:
            with store.transaction(sessions) as session:
                if log.sequence(session, signer, at=AT) is None:
                    return

    journal_seconds = seconds(journal)
    sequence_seconds = seconds(sequence)
    with store.transaction(sessions) as session:
        found = [session.get(EntryRow, e.id) for e in entries]
        leaves = [merkle.digest32(bytes.fromhex(row.leaf)) for row in found]
        columns = [column.key for column in EntryRow.__mapper__.column_attrs]
        rows = [
            {key: getattr(row, key) for key in columns}
            | {
                "id": f"{row.id}x",
                "seq": None,
                "order": row.order + ENTRIES,
                "leaf": row.leaf[::-1],
            }
            for row in found
        ]
        size = queries.tree_size(session)
    plain_seconds = seconds(plain)
    yield Measure(
        "ledger.append",
        ENTRIES / journal_seconds,
        "entries/s",
        ENTRIES,
        ENTRIES / plain_seconds,
        f"bare INSERT, {BATCH} per transaction",
    )
    yield Measure("ledger.sequence", ENTRIES / sequence_seconds, "entries/s", ENTRIES)

    picks = [random.Random(1).randrange(size) for _ in range(PROOFS)]
    root = merkle.root(size, merkle.reader_over(leaves))

    def prove() -> None:
        with store.transaction(sessions) as session:
            for index in picks:
                log.inclusion(session, index=index, size=size)

    def rebuild() -> None:
        merkle.inclusion_path(picks[0], size=size, node=merkle.reader_over(leaves))

    yield Measure(
        "ledger.inclusion_proof",
        seconds(prove) / PROOFS * 1000,
        "ms",
        PROOFS,
        p50_ms(rebuild, n=5),
        f"hashing all {size} leaves anew",
    )
    path = merkle.inclusion_path(picks[0], size=size, node=merkle.reader_over(leaves))
    leaf = leaves[picks[0]]
    yield Measure(
        "ledger.inclusion_verify",
        p50_ms(
            lambda: merkle.verify_inclusion(leaf, index=picks[0], size=size, path=path, root=root),
            n=PROOFS,
        ),
        "ms",
        PROOFS,
    )
