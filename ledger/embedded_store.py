"""The embedded chain's one file: a SQLite database under py-evm's key-value interface.

One mined block is one SQL transaction, so that `kill -9` or a power cut at any moment leaves the last whole
block. The connection holds SQLite's exclusive lock for as long as it is open: a second process is told so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth.db.backends.base import BaseDB

from ledger.core.errors import UnavailableError
from ledger.core.recursion import cap_recursion

cap_recursion()

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE append (
    size INTEGER PRIMARY KEY, root BLOB NOT NULL, tx_hash TEXT NOT NULL, block_number INTEGER NOT NULL,
    block_hash TEXT NOT NULL, block_time INTEGER NOT NULL, gas_used INTEGER NOT NULL
);
CREATE TABLE tx (hash BLOB PRIMARY KEY, block_number INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class AppendRecord:
    """One accepted append, as indexed beside its block."""

    size: int
    root: bytes
    tx_hash: str
    block_number: int
    block_hash: str
    block_time: int
    gas_used: int


class ChainFile(BaseDB):
    """Key-value store with one pending block in memory; `block()` commits it or drops it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file and take its lock.

        Raises:
            UnavailableError: `chain.locked`, `chain.disk_full`, `chain.store_failed`.
        """
        self._pending: dict[bytes, bytes] = {}
        with translated():
            # No waiting: the holder keeps the lock for its whole life.
            self._sql = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with translated():
                self._open()
        except UnavailableError:
            self._sql.close()
            raise

    def __getitem__(self, key: bytes) -> bytes:
        """Pending value, else stored value."""
        found = self._pending.get(key)
        if found is not None:
            return found
        with translated():
            row = self._sql.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        value: bytes = row[0]
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        """Write into the pending block; nothing reaches the file before `block()` ends."""
        self._pending[key] = bytes(value)

    def __delitem__(self, key: bytes) -> None:
        """Refused: the chain keeps every state it ever had, for proofs of old blocks."""
        raise AssertionError("the embedded chain deletes nothing")

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    @contextmanager
    def block(self) -> Iterator[None]:
        """Everything written inside reaches the file at once, or not at all.

        Raises:
            UnavailableError: `chain.disk_full`, `chain.store_failed`; nothing was written.
        """
        assert not self._pending, "a block is already open"
        try:
            with translated():
                self._sql.execute("BEGIN IMMEDIATE")
            yield
            with translated():
                self._sql.executemany(
                    "INSERT INTO kv VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    self._pending.items(),
                )
                # A crash before this line leaves the block before; after it, this one.
                self._sql.execute("COMMIT")
        finally:
            self._pending.clear()
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")

    def meta(self, name: str) -> str | None:
        """A fact about the chain, or None."""
        with translated():
            row = self._sql.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Record a fact once; inside `block()`."""
        assert self._sql.in_transaction
        with translated():
            self._sql.execute("INSERT INTO meta VALUES (?, ?)", (name, value))

    def index_transaction(self, tx_hash: bytes, block_number: int) -> None:
        """Remember which block holds a transaction; inside `block()`."""
        assert self._sql.in_transaction
        with translated():
            self._sql.execute("INSERT INTO tx VALUES (?, ?)", (tx_hash, block_number))

    def index_append(self, record: AppendRecord) -> None:
        """Remember an accepted append; inside `block()`. The contract lets each size occur once."""
        assert self._sql.in_transaction
        with translated():
            self._sql.execute(
                "INSERT INTO append VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    record.size,
                    record.root,
                    record.tx_hash,
                    record.block_number,
                    record.block_hash,
                    record.block_time,
                    record.gas_used,
                ),
            )

    def block_of(self, tx_hash: bytes) -> int | None:
        """Number of the block that holds a transaction, or None."""
        with translated():
            row = self._sql.execute(
                "SELECT block_number FROM tx WHERE hash = ?", (tx_hash,)
            ).fetchone()
        return None if row is None else int(row[0])

    def append_of(self, size: int) -> AppendRecord | None:
        """The append that brought the log to `size`, or None."""
        with translated():
            row = self._sql.execute(
                "SELECT size, root, tx_hash, block_number, block_hash, block_time, gas_used"
                " FROM append WHERE size = ?",
                (size,),
            ).fetchone()
        return None if row is None else AppendRecord(*row)

    def close(self) -> None:
        """Give the lock back."""
        self._sql.close()

    def _open(self) -> None:
        # Exclusive locking must be set before the first access, or the lock is given back in between.
        self._sql.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._sql.execute("PRAGMA journal_mode=WAL")
        # FULL: an acknowledged block survives a power cut, not only a killed process.
        self._sql.execute("PRAGMA synchronous=FULL")
        self._sql.execute("BEGIN IMMEDIATE")
        version = self._sql.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";"):
                if statement.strip():
                    self._sql.execute(statement)
            self._sql.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._sql.execute("COMMIT")
        if version not in (0, SCHEMA_VERSION):
            raise UnavailableError(
                "the chain file was written by another version of fuqi",
                code="chain.store_failed",
                version=version,
            )


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as exc:
        primary = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UnavailableError(
                "another process holds the embedded chain; stop it, or give this one its own FUQI_HOME",
                code="chain.locked",
            ) from exc
        if primary == sqlite3.SQLITE_FULL:
            raise UnavailableError(
                "the disk that holds the embedded chain is full; nothing was recorded",
                code="chain.disk_full",
            ) from exc
        raise UnavailableError(
            "the file of the embedded chain cannot be used", code="chain.store_failed"
        ) from exc
