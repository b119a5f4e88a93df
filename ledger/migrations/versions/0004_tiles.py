"""The tree in tiles, the journal without numbers that change (ADR 0011).

`log_node`, a row for each node, becomes `log_tile`, a row for each 256 hashes. `journal_entry.seq` goes: the
tree takes entries in their order, so `order - 1` is the place of each entry under the newest checkpoint. No
byte that is hashed or signed changes: every stored root is derived anew from the tiles before the nodes go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from alembic import op

from ledger.core.errors import VerificationError

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MESSAGE: Final = "this table is insert-only"
WIDTH: Final = 256
LEVELS: Final = 4
"""256**4 leaves: four thousand million, far more than a database with a row for each node can hold."""
_LEAVES: Final = (
    'SELECT hash FROM log_node WHERE level = 0 AND "index" >= :a AND "index" < :b ORDER BY "index"'
)
_ROOTS: Final = (
    'SELECT root FROM log_tile WHERE level = :level AND "index" >= :a AND "index" < :b '
    'ORDER BY "index"'
)
_JOURNAL: Final = (
    'SELECT leaf FROM journal_entry WHERE "order" > :a AND "order" <= :b ORDER BY "order"'
)


def upgrade() -> None:
    """Build the tiles, prove them against every checkpoint, then drop what they replace."""
    connection = op.get_bind()
    op.create_table(
        "log_tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hashes", sa.LargeBinary(length=8192), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_log_tile")),
    )
    _require_dense(connection)
    for level in range(LEVELS):
        _fill(connection, level)
    _require_roots(connection)
    op.drop_table("log_node")
    if connection.dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def downgrade() -> None:
    """Refused: put the backup back that was made before the upgrade."""
    raise NotImplementedError("restore the backup that was made before the upgrade to 0004")


def _require_dense(connection: sa.Connection) -> None:
    misplaced = connection.scalar(
        sa.text('SELECT count(*) FROM journal_entry WHERE seq IS NOT NULL AND seq <> "order" - 1')
    )
    counted, last = connection.execute(
        sa.text('SELECT count(*), coalesce(max("order"), 0) FROM journal_entry')
    ).one()
    size = connection.scalar(sa.text("SELECT coalesce(max(size), 0) FROM checkpoint"))
    numbered = connection.scalar(sa.text("SELECT count(seq) FROM journal_entry"))
    if misplaced or counted != last or size != numbered:
        raise VerificationError(
            "the journal is not the one of its checkpoints; restore the database from a backup",
            code="log.damaged",
        )


def _fill(connection: sa.Connection, level: int) -> None:
    """The full tiles of one level, from the leaves or from the roots of the level below."""
    table = sa.table(
        "log_tile", *(sa.column(name) for name in ("level", "index", "root", "hashes"))
    )
    for index, hashes in enumerate(_tiles(connection, level)):
        row = {"level": level, "index": index, "root": _root(hashes), "hashes": b"".join(hashes)}
        connection.execute(sa.insert(table), row)


def _tiles(connection: sa.Connection, level: int) -> Iterator[list[bytes]]:
    source = sa.text(_LEAVES if level == 0 else _ROOTS)
    start = 0
    while True:
        between = {"a": start, "b": start + WIDTH}
        if level:
            between["level"] = level - 1
        hashes = [bytes(row[0]) for row in connection.execute(source, between)]
        if len(hashes) < WIDTH:
            return
        yield hashes
        start += WIDTH


def _require_roots(connection: sa.Connection) -> None:
    """Every signed root, made from the tiles; leaves beyond the last full tile from the journal."""
    for size, root in connection.execute(sa.text("SELECT size, root FROM checkpoint")).all():
        peaks: list[bytes] = []
        done = 0
        for level in range(LEVELS, -1, -1):
            count = (size - done) // WIDTH**level
            hashes = _nodes(connection, level, done // WIDTH**level, count)
            if len(hashes) != count:
                break
            while hashes:
                take = 1 << len(hashes).bit_length() - 1
                peaks.append(_root(hashes[:take]))
                hashes = hashes[take:]
            done += count * WIDTH**level
        running = peaks.pop() if done == size else b""
        while peaks:
            running = hashlib.sha256(b"\x01" + peaks.pop() + running).digest()
        if running.hex() != root:
            raise VerificationError(
                "the stored tree is not the one of a checkpoint; restore the database from a backup",
                code="log.damaged",
                size=size,
            )


def _nodes(connection: sa.Connection, level: int, start: int, count: int) -> list[bytes]:
    """`count` hashes over 256**level leaves each, from the journal or as roots of tiles."""
    between = {"a": start, "b": start + count}
    if level == 0:
        return [bytes.fromhex(row[0]) for row in connection.execute(sa.text(_JOURNAL), between)]
    rows = connection.execute(sa.text(_ROOTS), between | {"level": level - 1})
    return [bytes(row[0]) for row in rows]


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [
            hashlib.sha256(b"\x01" + hashes[at] + hashes[at + 1]).digest()
            for at in range(0, len(hashes), 2)
        ]
    return hashes[0]


def _postgresql() -> None:
    op.execute("DROP TRIGGER journal_entry_no_update ON journal_entry")
    op.drop_column("journal_entry", "seq")
    for table, events in (
        ("journal_entry", ("update",)),
        ("log_tile", ("update", "delete")),
    ):
        for event in events:
            op.execute(
                f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} FOR EACH ROW "
                "EXECUTE FUNCTION fuqi_insert_only()"
            )


def _sqlite() -> None:
    # SQLite cannot drop a column that is unique: both tables are copied, the one that is referred to first.
    op.execute(
        "CREATE TABLE journal_copy (id VARCHAR(40) NOT NULL, type VARCHAR(40) NOT NULL, "
        "at DATETIME NOT NULL, subject VARCHAR(40) NOT NULL, actor VARCHAR(40) NOT NULL, "
        "body_commitment VARCHAR(64) NOT NULL, prev VARCHAR(64), bytes BLOB NOT NULL, "
        "leaf VARCHAR(64) NOT NULL, journaled_at DATETIME NOT NULL, "
        '"order" BIGINT NOT NULL, CONSTRAINT pk_journal_entry PRIMARY KEY (id), '
        "CONSTRAINT uq_journal_entry_leaf UNIQUE (leaf), "
        'CONSTRAINT uq_journal_entry_order UNIQUE ("order"))'
    )
    op.execute(
        "INSERT INTO journal_copy (id, type, at, subject, actor, body_commitment, prev, bytes, leaf, "
        'journaled_at, "order") SELECT id, type, at, subject, actor, body_commitment, prev, bytes, leaf, '
        'journaled_at, "order" FROM journal_entry ORDER BY "order"'
    )
    op.execute(
        "CREATE TABLE body_copy (entry_id VARCHAR(40) NOT NULL, subject VARCHAR(40) NOT NULL, "
        "sealed BLOB NOT NULL, CONSTRAINT pk_private_body PRIMARY KEY (entry_id), "
        "CONSTRAINT fk_private_body_entry_id FOREIGN KEY(entry_id) REFERENCES journal_copy (id))"
    )
    op.execute(
        "INSERT INTO body_copy (entry_id, subject, sealed) "
        "SELECT entry_id, subject, sealed FROM private_body"
    )
    op.execute("DROP TABLE private_body")
    op.execute("DROP TRIGGER journal_entry_no_delete")
    op.execute("DROP TABLE journal_entry")
    op.execute("ALTER TABLE journal_copy RENAME TO journal_entry")
    op.execute("ALTER TABLE body_copy RENAME TO private_body")
    op.create_index("ix_private_body_subject", "private_body", ["subject"])
    for name in ("subject", "type"):
        op.create_index(f"ix_journal_entry_{name}_order", "journal_entry", [name, "order"])
    for table in ("journal_entry", "log_tile"):
        for event in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
            )
