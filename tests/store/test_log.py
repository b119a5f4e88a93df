"""The log on both databases: what is journaled is never lost, doubled, reordered or rewritten."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete, event, select, text, update
from sqlalchemy.exc import IntegrityError

from ledger import log, store
from ledger.core import merkle
from ledger.core.canonical import canonical_bytes, canonical_parse, commitment
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    InputError,
    VerificationError,
)
from ledger.core.ids import derived_id
from ledger.core.units import digest32
from ledger.note import NoteSigner, open_note
from ledger.queries import log as queries
from ledger.tables.log import CheckpointRow, EntryRow, PrivateBodyRow, TileRow
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, 123456, tzinfo=UTC)
ORIGIN = "log.example.invalid/fuqi"


class Bench:
    """A database, a vault and a signer, as a process holds them."""

    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name=ORIGIN)

    def record(self, *entries):
        with store.transaction(self.factory) as session:
            return log.record_many(session, self.vault, entries)

    def sequence(self):
        with store.transaction(self.factory) as session:
            return log.sequence(session, self.signer, at=AT)

    def all(self, table, *order):
        with store.transaction(self.factory) as session:
            return session.scalars(select(table).order_by(*order)).all()

    def journal(self):
        return self.all(EntryRow, EntryRow.order)


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.engine.dispose()


def entry(number=0, **changes):
    fields = {
        "id": derived_id("ent", at=AT, seed=str(number)),
        "type": "document.opened",
        "at": AT,
        "subject": "agr_one",
        "actor": "acc_one",
        "body": {"agreement": "agr_one", "by": "示例（虚构）", "number": number},
    }
    return log.NewEntry(**{**fields, **changes})


def verify_all(bench):
    """Every leaf is in every later checkpoint, every checkpoint extends the one before it."""
    rows = [row for row in bench.journal() if row.seq is not None]
    checkpoints = bench.all(CheckpointRow, CheckpointRow.size)
    with store.transaction(bench.factory) as session:
        old_size, old_root = 0, merkle.EMPTY_ROOT
        for checkpoint in checkpoints:
            opened = open_note(checkpoint.note, verifier=bench.signer.verifier)
            assert (opened.size, opened.root.hex()) == (checkpoint.size, checkpoint.root)
            merkle.verify_consistency(
                old_size=old_size,
                old_root=old_root,
                size=opened.size,
                root=opened.root,
                path=log.consistency(session, old_size, opened.size),
            )
            old_size, old_root = opened.size, opened.root
            for row in rows:
                if row.seq < opened.size:
                    merkle.verify_inclusion(
                        merkle.leaf_hash(row.bytes),
                        index=row.seq,
                        size=opened.size,
                        path=log.inclusion(session, index=row.seq, size=opened.size),
                        root=opened.root,
                    )
            assert log.root_at(session, opened.size) == opened.root
    return rows, checkpoints


# ------------------------------------------------------------------ recording
def test_an_entry_commits_to_its_body_and_shows_none_of_it(bench):
    (row,) = bench.record(entry())
    with store.transaction(bench.factory) as session:
        private = bench.vault.get(session, row.id)
    assert dict(private.body) == entry().body
    fields = canonical_parse(row.bytes)
    assert fields == {
        "v": "fuqi/entry/v1",
        "id": row.id,
        "type": "document.opened",
        "at": "2026-11-23T05:36:11Z",
        "subject": "agr_one",
        "actor": "acc_one",
        "commitments": {"body": commitment(private.salt, entry().body).hex()},
        "prev": None,
    }
    assert row.leaf == merkle.leaf_hash(row.bytes).hex()
    assert "示例".encode() not in row.bytes
    assert row.seq is None


def test_salts_are_fresh_so_equal_bodies_look_different(bench):
    body = {"x": 1}
    first, second = bench.record(entry(1, body=body), entry(2, body=body))
    assert first.body_commitment != second.body_commitment


def test_the_same_entry_again_is_the_same_row(bench):
    (first,) = bench.record(entry())
    china = AT.astimezone(timezone(timedelta(hours=8))).replace(microsecond=0)
    (again,) = bench.record(entry(at=china))
    assert (again.id, again.bytes) == (first.id, first.bytes)
    assert len(bench.journal()) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "document.read"}, "type"),
        ({"subject": "agr_two"}, "subject"),
        ({"actor": "acc_two"}, "actor"),
        ({"at": AT + timedelta(seconds=1)}, "at"),
        ({"body": {**entry().body, "number": 1}}, "body.number"),
        ({"body": {**entry().body, "extra": None}}, "body.extra"),
        ({"body": {"agreement": "agr_one"}}, "body.by"),
        ({"body": {}}, "body.agreement"),
        ({"type": "document.read", "actor": "acc_two", "body": {}}, "type"),
        ({"actor": "acc_two", "at": AT + timedelta(days=1)}, "actor"),
    ],
)
def test_the_same_id_with_another_content_names_the_first_field_and_records_nothing(
    bench, changes, field
):
    bench.record(entry())
    with pytest.raises(ExistsWithDifferentFieldError) as caught:
        bench.record(entry(9), entry(**changes))
    assert caught.value.error_code == "state.exists_with_different_field"
    assert caught.value.context["field"] == field
    assert len(bench.journal()) == 1


def test_a_null_left_out_later_is_a_change_too(bench):
    bench.record(entry(body={"a": None}))
    with pytest.raises(ExistsWithDifferentFieldError) as caught:
        bench.record(entry(body={}))
    assert caught.value.context["field"] == "body.a"


def test_an_entry_twice_in_one_call_is_recorded_once(bench):
    rows = bench.record(entry(1), entry(2), entry(1))
    assert rows[0] is rows[2]
    assert len(bench.journal()) == 2
    with pytest.raises(ExistsWithDifferentFieldError):
        bench.record(entry(3), entry(3, actor="acc_two"))
    assert len(bench.journal()) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "document.burnt"}, "entry.type"),
        ({"id": "ent_short"}, "id.malformed"),
        ({"id": derived_id("agr", at=AT, seed="x")}, "id.malformed"),
        ({"body": {"x": 0.5}}, "canonical.float"),
        ({"body": {"x": "\ud800"}}, "canonical.surrogate"),
        ({"body": {"é": 1}}, "canonical.key"),
        ({"body": {"x": "y" * log.BODY_BYTES_MAX}}, "entry.body_size"),
    ],
)
def test_a_malformed_entry_is_refused_and_takes_its_whole_batch_along(bench, changes, code):
    with pytest.raises(InputError) as caught:
        bench.record(entry(1), entry(2, **changes))
    assert caught.value.error_code == code
    assert bench.journal() == []
    assert bench.all(PrivateBodyRow) == []


def test_a_body_of_exactly_the_limit_is_recorded(bench):
    frame = len(canonical_bytes({"x": ""}))
    body = {"x": "y" * (log.BODY_BYTES_MAX - frame)}
    (row,) = bench.record(entry(body=body))
    with store.transaction(bench.factory) as session:
        assert bench.vault.get(session, row.id).body == body


def test_a_naive_time_is_our_own_bug(bench):
    with pytest.raises(AssertionError):
        bench.record(entry(at=AT.replace(tzinfo=None)))


def test_an_id_too_long_for_its_column_is_refused_on_the_database_that_counts(bench):
    if bench.engine.dialect.name != "postgresql":
        pytest.skip("SQLite does not count characters")
    with pytest.raises(InputError) as caught:
        bench.record(entry(subject="x" * 41))
    assert caught.value.error_code == "database.value"
    with pytest.raises(InputError) as caught:
        bench.record(entry(actor="a\x00b"))
    assert caught.value.error_code == "database.value"


def test_entries_of_a_subject_form_a_chain_of_leaves(bench):
    bench.record(entry(1), entry(2, subject="agr_two"), entry(3))
    bench.record(entry(4), entry(5, subject="agr_two"))
    rows = bench.journal()
    last = {}
    for row in rows:
        assert row.prev == last.get(row.subject)
        last[row.subject] = row.leaf
    assert [row.order for row in rows] == [1, 2, 3, 4, 5]


def test_a_subjects_newest_leaf_costs_one_look_up_however_many_entries_it_has(bench):
    """Grouping all entries of a subject took a second for a batch in a log of ten million leaves."""
    if bench.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by its statistics; the statement is of the same form")
    said = []
    event.listen(bench.engine, "before_cursor_execute", lambda *a: said.append((a[2], a[3])))
    bench.record(entry(1), entry(2, subject="agr_two"), entry(3))
    (asked,) = {one for one in said if "journal_entry WHERE subject = wanted.value" in one[0]}
    with bench.engine.connect() as connection:
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + asked[0], asked[1]).all()
    steps = [row[3] for row in plan]
    assert any("USING INDEX ix_journal_entry_subject_order (subject=?)" in step for step in steps)
    assert not any(word in step for step in steps for word in ("SCAN journal_entry", "B-TREE"))


def test_more_subjects_than_one_query_takes_are_chained_too(bench):
    many = [entry(i, subject=f"agr_{i % 1200}") for i in range(2400)]
    bench.record(*many)
    rows = bench.journal()
    assert sum(row.prev is None for row in rows) == 1200
    assert rows[1200].prev == rows[0].leaf


def test_a_transaction_that_fails_later_takes_its_entries_back(bench):
    def record_and_fail():
        with store.transaction(bench.factory) as session:
            log.record(session, bench.vault, entry())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record_and_fail()
    assert bench.journal() == []
    bench.record(entry())
    assert len(bench.journal()) == 1


# ------------------------------------------------------------------ sequencing
def test_nothing_waiting_signs_nothing(bench):
    assert bench.sequence() is None
    bench.record(entry())
    assert bench.sequence().size == 1
    assert bench.sequence() is None
    assert len(bench.all(CheckpointRow)) == 1


def test_entries_enter_the_tree_in_order_of_arrival_batch_by_batch(bench, monkeypatch):
    monkeypatch.setattr(log, "SEQUENCE_BATCH", 3)
    # Ids that sort the other way round: arrival counts, not the id.
    numbers = sorted(range(11), key=lambda i: derived_id("ent", at=AT, seed=str(i)), reverse=True)
    for number in numbers:
        bench.record(entry(number))
    sizes = []
    while (checkpoint := bench.sequence()) is not None:
        sizes.append(checkpoint.size)
    assert sizes == [3, 6, 9, 11]
    rows, checkpoints = verify_all(bench)
    assert [row.seq for row in rows] == list(range(11))
    assert [row.id for row in rows] == [entry(number).id for number in numbers]
    assert len(checkpoints) == 4


def test_a_crash_before_the_commit_leaves_entries_that_the_next_run_takes_in_the_same_order(bench):
    bench.record(entry(1), entry(2))

    def sequence_and_die():
        with store.transaction(bench.factory) as session:
            made = log.sequence(session, bench.signer, at=AT)
            died.append((made.size, made.root, made.note))
            raise ZeroDivisionError

    died = []
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            sequence_and_die()
    assert [row.seq for row in bench.journal()] == [None, None]
    assert bench.all(TileRow) == []
    assert bench.all(CheckpointRow) == []
    again = bench.sequence()
    # The same tree and, Ed25519 being deterministic, the very same note: no two heads of one size exist.
    assert died == [(again.size, again.root, again.note)] * 2
    bench.record(entry(3))
    bench.sequence()
    verify_all(bench)


def test_a_second_sequencer_leaves_the_first_in_peace(bench):
    if bench.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer; the next waits (see the test with threads)")
    bench.record(entry())
    with store.transaction(bench.factory) as first:
        assert log.sequence(first, bench.signer, at=AT).size == 1
        assert bench.sequence() is None
    assert bench.sequence() is None
    assert len(bench.all(CheckpointRow)) == 1


def test_writers_and_sequencers_at_once_lose_double_and_fork_nothing(bench):
    errors = []
    finished = threading.Event()

    def write(worker):
        for i in range(8):
            entries = [entry(f"{worker}/{i}/{j}", subject=f"agr_{j}") for j in range(2)]
            attempt(lambda entries=entries: bench.record(*entries))

    def sequence():
        while not finished.is_set():
            attempt(bench.sequence)

    def attempt(action):
        for _ in range(50):
            try:
                action()
            except ConflictError:
                continue
            except Exception as exc:  # noqa: BLE001 - shown by the assertion below
                errors.append(exc)
            return
        errors.append("never got through")

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    sequencers = [threading.Thread(target=sequence) for _ in range(2)]
    for thread in (*writers, *sequencers):
        thread.start()
    for thread in writers:
        thread.join()
    finished.set()
    for thread in sequencers:
        thread.join()
    assert errors == []
    while bench.sequence() is not None:
        pass
    rows, _ = verify_all(bench)
    assert len(rows) == 64
    assert [row.seq for row in rows] == list(range(64))
    assert [row.order for row in rows] == list(range(1, 65))
    last = {}
    for row in rows:
        assert row.prev == last.get(row.subject)
        last[row.subject] = row.leaf


def test_one_entry_sent_by_many_at_once_is_recorded_once(bench):
    outcomes = Counter()
    start = threading.Barrier(4)

    def send():
        start.wait()
        try:
            bench.record(entry())
        except ConflictError as exc:
            outcomes[exc.error_code] += 1
        else:
            outcomes["recorded"] += 1

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"recorded", "concurrent_write"}
    assert outcomes["recorded"] >= 1
    assert len(bench.journal()) == 1


# ------------------------------------------------------------------ tampering
TABLES = ("journal_entry", "log_tile", "checkpoint")


def tamper(bench, statement):
    """As an administrator who first removes what stands in the way."""
    with store.transaction(bench.factory) as session:
        for table in TABLES:
            if bench.engine.dialect.name == "postgresql":
                session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            else:
                for kind in ("update", "delete"):
                    session.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{kind}"))
        session.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        *(f"DELETE FROM {table}" for table in TABLES),
        "UPDATE log_tile SET hashes = hashes",
        "UPDATE checkpoint SET note = 'x'",
        'UPDATE journal_entry SET "order" = "order" + 100',
        "UPDATE journal_entry SET actor = 'acc_two' WHERE \"order\" = 257",
        "UPDATE journal_entry SET leaf = 'x' WHERE \"order\" = 257",
        "UPDATE journal_entry SET journaled_at = '2000-01-01 00:00:00+00:00'",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(bench, statement):
    bench.record(*(entry(number) for number in range(256)))
    bench.sequence()
    bench.record(entry(256))
    before = [(row.id, row.bytes, row.seq) for row in bench.journal()]
    with (
        pytest.raises(IntegrityError, match="insert-only"),
        store.transaction(bench.factory) as session,
    ):
        session.execute(text(statement))
    assert [(row.id, row.bytes, row.seq) for row in bench.journal()] == before
    assert bench.sequence().size == 257


@pytest.mark.parametrize(
    "statement",
    [
        update(TileRow).where(TileRow.level == 0, TileRow.index == 0).values(root=bytes(32)),
        delete(TileRow).where(TileRow.level == 0, TileRow.index == 0),
        update(CheckpointRow).where(CheckpointRow.size == 258).values(root="00" * 32),
        delete(CheckpointRow),
        update(EntryRow).where(EntryRow.order == 257).values(leaf="00" * 32),
        update(EntryRow).where(EntryRow.order == 258).values(order=1000),
    ],
)
def test_a_tree_that_was_altered_in_the_database_is_never_signed_again(bench, statement):
    bench.record(*(entry(number) for number in range(258)))
    bench.sequence()
    bench.record(entry(258))
    before = len(bench.all(CheckpointRow))
    tamper(bench, statement)
    with pytest.raises(VerificationError) as caught:
        bench.sequence()
    assert caught.value.error_code == "log.damaged"
    assert len(bench.all(CheckpointRow)) <= before
    assert bench.journal()[-1].seq is None


def test_an_entry_rewritten_before_sequencing_is_noticed(bench):
    bench.record(entry(1))
    tamper(bench, update(EntryRow).values(bytes=b"{}"))
    with pytest.raises(AssertionError, match="does not match its leaf"):
        bench.sequence()


def test_an_entry_rewritten_after_sequencing_no_longer_has_a_proof(bench):
    bench.record(entry(1), entry(2))
    checkpoint = bench.sequence()
    tamper(bench, update(EntryRow).where(EntryRow.order == 1).values(bytes=b"{}"))
    row = bench.journal()[0]
    with store.transaction(bench.factory) as session:
        path = log.inclusion(session, index=0, size=2)
    with pytest.raises(VerificationError) as caught:
        merkle.verify_inclusion(
            merkle.leaf_hash(row.bytes),
            index=0,
            size=2,
            path=path,
            root=digest32(bytes.fromhex(checkpoint.root)),
        )
    assert caught.value.error_code == "merkle.root_mismatch"


def test_the_log_is_written_by_inserts_only(bench):
    """No statement changes or removes a row."""
    changing = []

    def watch(_connection, _cursor, statement, *_rest):
        words = statement.split()
        if words[0] in ("UPDATE", "DELETE"):
            changing.append(" ".join(words[:4]))

    event.listen(bench.engine, "before_cursor_execute", watch)
    for number in range(3):
        bench.record(entry(number), entry(number))
        bench.sequence()
    assert changing == []


def test_reads_of_the_log_answer_by_place_size_and_subject(bench, monkeypatch):
    monkeypatch.setattr(log, "SEQUENCE_BATCH", 2)
    bench.record(*(entry(n, subject=f"agr_{n % 2}") for n in range(5)))
    assert bench.sequence().size == 2
    with store.transaction(bench.factory) as session:
        assert queries.waiting(session) == 3
        assert queries.tree_size(session) == 2
        assert queries.checkpoint_covering(session, 1).size == 2
        assert queries.checkpoint_covering(session, 2) is None
        assert queries.checkpoint_of_size(session, 2).size == 2
        assert queries.checkpoint_of_size(session, 1) is None
        assert [row.order for row in queries.entries_of(session, ["agr_0"])] == [1, 3, 5]
        assert [row.order for row in queries.entries_page(session, after=3, limit=10)] == [4, 5]
        source = log.StoredCheckpoints()
        assert source.latest(session) == (2, bytes.fromhex(queries.latest_checkpoint(session).root))
        assert source.consistency(session, 1, 2) == log.consistency(session, 1, 2)


def test_an_empty_log_has_no_checkpoint(bench):
    with store.transaction(bench.factory) as session:
        assert log.StoredCheckpoints().latest(session) is None
        assert log.root_at(session, 0) == merkle.EMPTY_ROOT
