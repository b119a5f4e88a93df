"""Migration 0004 on both databases: every signed root is the same before and after, or nothing is migrated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import IntegrityError

from ledger import log, store
from ledger.core import merkle
from ledger.core.errors import VerificationError
from ledger.note import NoteSigner
from ledger.queries import log as queries
from ledger.tables.log import EntryRow, PrivateBodyRow, TileRow

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
SIZES = (1, 255, 256, 300, 512, 700)
WAITING = 5
TEXTS = ("id", "type", "subject", "actor", "body_commitment", "prev", "leaf")
OLD_JOURNAL = sa.table(
    "journal_entry",
    *(sa.column(name, sa.String) for name in TEXTS),
    *(sa.column(name, store.UtcDateTime) for name in ("at", "journaled_at")),
    *(sa.column(name, sa.BigInteger) for name in ("seq", "order")),
    sa.column("bytes", sa.LargeBinary),
)
OLD_BODY = sa.table(
    "private_body",
    sa.column("entry_id", sa.String),
    sa.column("subject", sa.String),
    sa.column("sealed", sa.LargeBinary),
)
OLD_NODE = sa.table(
    "log_node",
    sa.column("level", sa.Integer),
    sa.column("index", sa.BigInteger),
    sa.column("hash", sa.LargeBinary),
)
CHECKPOINT = sa.table(
    "checkpoint",
    sa.column("size", sa.BigInteger),
    sa.column("root", sa.String),
    sa.column("note", sa.Text),
    sa.column("signed_at", store.UtcDateTime),
)


def journal_row(number, *, seq):
    data = f"entry {number}".encode()
    return {
        "id": f"ent_{number:026d}",
        "type": "document.opened",
        "at": AT,
        "subject": f"agr_{number % 3}",
        "actor": "acc_one",
        "body_commitment": "00" * 32,
        "prev": None,
        "bytes": data,
        "leaf": merkle.leaf_hash(data).hex(),
        "seq": seq,
        "journaled_at": AT,
        "order": number + 1,
    }


@pytest.fixture
def old(bare_database_url, tmp_path):
    """(url, signer, roots by size) of a database at 0003 with six checkpoints and entries that wait."""
    with store.translated():
        command.upgrade(store.alembic_config(bare_database_url), "0003")
    signer = NoteSigner(tmp_path / "log.key", name="log.example.invalid/fuqi")
    size = SIZES[-1]
    rows = [journal_row(number, seq=number) for number in range(size)]
    rows += [journal_row(size + number, seq=None) for number in range(WAITING)]
    nodes = {}

    def node(level, index):
        return nodes[(level, index)]

    for row in rows[:size]:
        leaf = merkle.leaf_hash(row["bytes"])
        done = merkle.nodes_completed_by(row["seq"], leaf, node)
        nodes.update({(level, index): value for level, index, value in done})
    roots = {one: merkle.root(one, node) for one in SIZES}
    engine = store.make_engine(bare_database_url)
    with engine.begin() as connection:
        connection.execute(sa.insert(OLD_JOURNAL), rows)
        bodies = [
            {"entry_id": row["id"], "subject": row["subject"], "sealed": b"\x01" + row["bytes"]}
            for row in rows
        ]
        connection.execute(sa.insert(OLD_BODY), bodies)
        connection.execute(
            sa.insert(OLD_NODE),
            [{"level": p[0], "index": p[1], "hash": value} for p, value in nodes.items()],
        )
        for one, root in roots.items():
            note = signer.sign(log.Checkpoint(origin=signer.verifier.name, size=one, root=root))
            values = {"size": one, "root": root.hex(), "note": note, "signed_at": AT}
            connection.execute(sa.insert(CHECKPOINT), values)
    yield bare_database_url, signer, roots, engine
    engine.dispose()


def test_every_root_and_every_row_is_the_same_after_the_migration(old):
    url, signer, roots, engine = old
    with engine.connect() as connection:
        count = sa.text("SELECT count(*) FROM log_node")
        assert connection.scalar(count) > 2 * SIZES[-1] - 20
    store.migrate(url)
    sessions = store.sessions(engine)
    with store.transaction(sessions) as session:
        for size, root in roots.items():
            assert log.root_at(session, size) == root
            assert queries.checkpoint_of_size(session, size).root == root.hex()
            path = log.inclusion(session, index=size // 2, size=size)
            leaf = merkle.leaf_hash(f"entry {size // 2}".encode())
            merkle.verify_inclusion(leaf, index=size // 2, size=size, path=path, root=root)
        rows = session.query(EntryRow).order_by(EntryRow.order).all()
        assert [row.bytes for row in rows] == [f"entry {n}".encode() for n in range(len(rows))]
        assert [row.seq for row in rows] == [*range(SIZES[-1]), *[None] * WAITING]
        assert {row.at for row in rows} == {AT}
        bodies = session.query(PrivateBodyRow).all()
        assert {one.entry_id: one.sealed[1:] for one in bodies} == {r.id: r.bytes for r in rows}
        tiles = session.query(TileRow).order_by(TileRow.level, TileRow.index).all()
        assert [(one.level, one.index, len(one.hashes)) for one in tiles] == [
            (0, 0, 8192),
            (0, 1, 8192),
        ]
    # It goes on: what waited is taken in order, and the old head is extended.
    with store.transaction(sessions) as session:
        made = log.sequence(session, signer, at=AT)
        assert made.size == SIZES[-1] + WAITING
        merkle.verify_consistency(
            old_size=SIZES[-1],
            old_root=roots[SIZES[-1]],
            size=made.size,
            root=bytes.fromhex(made.root),
            path=log.consistency(session, SIZES[-1], made.size),
        )


def test_the_migrated_journal_refuses_every_change(old):
    url, _, _, engine = old
    store.migrate(url)
    for statement in (
        "UPDATE journal_entry SET actor = 'x' WHERE \"order\" = 701",
        "DELETE FROM journal_entry",
        "UPDATE log_tile SET level = 1",
        "DELETE FROM log_tile",
    ):
        with pytest.raises(IntegrityError, match="insert-only"), engine.begin() as connection:
            connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log_node SET hash = (SELECT hash FROM log_node AS other WHERE other.level = 1 LIMIT 1)",
        'DELETE FROM log_node WHERE level = 0 AND "index" = 10',
        "UPDATE checkpoint SET root = '" + "00" * 32 + "' WHERE size = 300",
        "DELETE FROM checkpoint WHERE size = 700",
        'UPDATE journal_entry SET seq = seq + 1000 WHERE "order" = 5',
    ],
)
def test_a_damaged_tree_is_not_migrated_and_left_as_it_was(old, damage):
    url, _, _, engine = old
    with engine.begin() as connection:
        for table in ("journal_entry", "log_node", "checkpoint"):
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            else:
                for kind in ("update", "delete"):
                    connection.execute(sa.text(f"DROP TRIGGER {table}_no_{kind}"))
        connection.execute(sa.text(damage))
    with pytest.raises(VerificationError) as caught:
        store.migrate(url)
    assert caught.value.error_code == "log.damaged"
    assert store.schema_state(engine)[0] == "0003"
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM log_node")) > 1000
