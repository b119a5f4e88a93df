"""Private bodies: sealed to their entry and subject; erased for good while the log still verifies."""

from __future__ import annotations

import hashlib
import hmac
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select, update

from ledger import log, store
from ledger.core import merkle
from ledger.core.canonical import canonical_bytes, commitment
from ledger.core.errors import ConflictError, NotFoundError, UnavailableError, VerificationError
from ledger.core.ids import derived_id
from ledger.core.report import Verdict
from ledger.core.units import digest32
from ledger.note import NoteSigner
from ledger.receipts import LedgerTrust, build_receipt, verify_receipt
from ledger.tables.log import DataKeyRow, EntryRow, PrivateBodyRow
from ledger.vault import FileKeyProvider, PrivateBody, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
BODY = {"name": "张三（虚构）", "number": "11010119900307000X（虚构）"}


class Bench:
    def __init__(self, url, folder):
        self.url = url
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")

    def __call__(self, action, *arguments, **named):
        """Run one method of the vault, or any function of a session, in a transaction of its own."""
        with store.transaction(self.factory) as session:
            return action(session, *arguments, **named)

    def record(self, number, *, subject="pty_one", body=BODY):
        with store.transaction(self.factory) as session:
            return log.record(
                session,
                self.vault,
                log.NewEntry(
                    id=derived_id("ent", at=AT, seed=str(number)),
                    type="party.registered",
                    at=AT,
                    subject=subject,
                    actor="system",
                    body=body,
                ),
            )

    def sequence(self):
        return self(log.sequence, self.signer, at=AT)

    def every_stored_byte(self):
        """Everything in every table, and on SQLite the very file with what is left in its free pages."""
        tables = MetaData()
        tables.reflect(self.engine)
        found = []
        with self.engine.connect() as connection:
            for table in tables.sorted_tables:
                for row in connection.execute(select(table)):
                    found += [
                        value if isinstance(value, bytes) else str(value).encode() for value in row
                    ]
        if self.engine.dialect.name == "sqlite":
            self.engine.dispose()  # the last connection that closes folds the write-ahead log in
            found.append(Path(self.engine.url.database).read_bytes())
        return b"\n".join(found)


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.engine.dispose()


def refusal(kind, function, *arguments, **named):
    with pytest.raises(kind) as caught:
        function(*arguments, **named)
    return caught.value.error_code


# ------------------------------------------------------------------ sealing
def test_a_body_and_its_salt_come_back(bench):
    row = bench.record(1)
    private = bench(bench.vault.get, row.id)
    assert private.body == BODY
    assert len(private.salt) == 32
    assert commitment(private.salt, BODY).hex() == row.body_commitment


def test_nothing_private_lies_in_the_database_in_clear(bench):
    row = bench.record(1)
    salt = bench(bench.vault.get, row.id).salt
    stored = bench.every_stored_byte()
    for secret in ("张三".encode(), b"19900307", salt, salt.hex().encode()):
        assert secret not in stored
    assert row.body_commitment.encode() in stored  # the search would have found it


def test_an_entry_without_a_body_here_is_not_found(bench):
    assert refusal(NotFoundError, bench, bench.vault.get, "ent_none") == "vault.not_found"


def test_a_subject_has_one_key_and_another_subject_another(bench):
    bench.record(1)
    bench.record(2)
    bench.record(3, subject="pty_two")
    with store.transaction(bench.factory) as session:
        keys = session.scalars(select(DataKeyRow).order_by(DataKeyRow.subject)).all()
    assert [row.subject for row in keys] == ["pty_one", "pty_two"]
    assert keys[0].wrapped != keys[1].wrapped


@pytest.mark.parametrize("position", [1, 5, 13, 20, -1])
def test_a_sealed_body_that_was_altered_is_damaged(bench, position):
    row = bench.record(1)

    def alter(session):
        sealed = bytearray(session.get(PrivateBodyRow, row.id).sealed)
        sealed[position] ^= 1
        session.execute(update(PrivateBodyRow).values(sealed=bytes(sealed)))

    bench(alter)
    assert refusal(VerificationError, bench, bench.vault.get, row.id) == "vault.damaged"


def test_a_sealed_body_moved_to_another_entry_of_the_subject_is_damaged(bench):
    first, second = bench.record(1), bench.record(2, body={"other": 1})

    def swap(session):
        one, two = (session.get(PrivateBodyRow, row.id) for row in (first, second))
        one.sealed, two.sealed = two.sealed, one.sealed

    bench(swap)
    assert refusal(VerificationError, bench, bench.vault.get, first.id) == "vault.damaged"


def test_a_data_key_moved_to_another_subject_does_not_open(bench):
    row = bench.record(1)
    bench.record(2, subject="pty_two")

    def move(session):
        session.get(DataKeyRow, "pty_one").wrapped = session.get(DataKeyRow, "pty_two").wrapped

    bench(move)
    assert refusal(UnavailableError, bench, bench.vault.get, row.id) == "vault.key_unavailable"


def test_the_key_of_another_installation_opens_nothing(bench, tmp_path):
    row = bench.record(1)
    other = Vault(FileKeyProvider(tmp_path / "other.key"))
    assert refusal(UnavailableError, bench, other.get, row.id) == "vault.key_unavailable"


def test_a_single_value_comes_back_under_its_own_name_and_subject_only(bench):
    value = {"number": "110101（虚构）"}
    sealed = bench(bench.vault.seal_value, value, subject="pty_one", name="number", at=AT)
    bench(bench.vault.seal_value, value, subject="pty_two", name="number", at=AT)
    opened = bench(bench.vault.open_value, sealed, subject="pty_one", name="number")
    assert opened == value
    for subject, name in (("pty_one", "phone"), ("pty_two", "number")):
        assert (
            refusal(
                VerificationError,
                bench,
                bench.vault.open_value,
                sealed,
                subject=subject,
                name=name,
            )
            == "vault.damaged"
        )
    assert (
        refusal(
            ConflictError, bench, bench.vault.open_value, sealed, subject="pty_none", name="number"
        )
        == "vault.restricted"
    )


# ------------------------------------------------------------------ erasure
def test_what_was_erased_is_restricted_and_stays_so(bench):
    row = bench.record(1)
    other = bench.record(2, subject="pty_two")
    sealed = bench(bench.vault.seal_value, {"x": 1}, subject="pty_one", name="number", at=AT)
    bench(bench.vault.erase, "pty_one", at=AT)
    assert refusal(ConflictError, bench, bench.vault.get, row.id) == "vault.restricted"
    assert (
        refusal(
            ConflictError, bench, bench.vault.open_value, sealed, subject="pty_one", name="number"
        )
        == "vault.restricted"
    )
    assert bench(bench.vault.get, other.id).body == BODY


def test_nothing_new_is_recorded_about_an_erased_subject(bench):
    bench.record(1)
    bench(bench.vault.erase, "pty_one", at=AT)
    assert refusal(ConflictError, bench.record, 2) == "vault.erased"
    assert (
        refusal(
            ConflictError, bench, bench.vault.seal_value, {}, subject="pty_one", name="x", at=AT
        )
        == "vault.erased"
    )
    with store.transaction(bench.factory) as session:
        assert len(session.scalars(select(EntryRow)).all()) == 1
        assert len(session.scalars(select(PrivateBodyRow)).all()) == 1


def test_erasing_again_keeps_the_first_time_and_erasing_nothing_is_not_found(bench):
    bench.record(1)
    bench(bench.vault.erase, "pty_one", at=AT)
    bench(bench.vault.erase, "pty_one", at=AT + timedelta(days=1))
    with store.transaction(bench.factory) as session:
        assert session.get(DataKeyRow, "pty_one").erased_at == AT
    assert refusal(NotFoundError, bench, bench.vault.erase, "pty_none", at=AT) == "vault.not_found"


def test_the_log_still_verifies_after_an_erasure_and_goes_on_growing(bench):
    first = bench.record(1)
    bench.record(2, subject="pty_two")
    before = bench.sequence()
    bench(bench.vault.erase, "pty_one", at=AT)
    bench.record(3, subject="pty_two")
    after = bench.sequence()
    with store.transaction(bench.factory) as session:
        row = session.get(EntryRow, first.id)
        merkle.verify_inclusion(
            merkle.leaf_hash(row.bytes),
            index=0,
            size=3,
            path=log.inclusion(session, index=0, size=3),
            root=digest32(bytes.fromhex(after.root)),
        )
        merkle.verify_consistency(
            old_size=before.size,
            old_root=bytes.fromhex(before.root),
            size=after.size,
            root=bytes.fromhex(after.root),
            path=log.consistency(session, before.size, after.size),
        )
        receipt = build_receipt(session, row, verifier=bench.signer.verifier)
    report = verify_receipt(receipt, trust=LedgerTrust(bench.signer.verifier))
    assert report.checks[0].verdict is report.checks[2].verdict is Verdict.PASSED


def test_after_an_erasure_nobody_can_link_a_guessed_body_to_its_leaf(bench):
    """The guess is right and the whole database is at hand; without the salt it cannot be confirmed."""
    row = bench.record(1)
    private = bench(bench.vault.get, row.id)
    with store.transaction(bench.factory) as session:
        wrapped = session.get(DataKeyRow, "pty_one").wrapped
    assert wrapped in bench.every_stored_byte()
    bench(bench.vault.erase, "pty_one", at=AT)
    stored = bench.every_stored_byte()
    # What would open it is nowhere: not the key, not the salt, and not in a page the database freed.
    for secret in (wrapped, private.salt, private.salt.hex().encode()):
        assert secret not in stored
    guess = canonical_bytes(BODY)
    # Every 32-byte string that is stored, tried as the salt, and the plain digests a careless design keeps.
    tried = {hashlib.sha256(guess).hexdigest(), hmac.new(b"", guess, "sha256").hexdigest()}
    with store.transaction(bench.factory) as session:
        sealed = session.get(PrivateBodyRow, row.id).sealed
    windows = [sealed[i : i + 32] for i in range(len(sealed) - 31)]
    tried |= {hmac.new(window, guess, "sha256").hexdigest() for window in windows}
    assert row.body_commitment not in tried
    assert hmac.new(private.salt, guess, "sha256").hexdigest() == row.body_commitment


def test_a_retry_about_an_erased_subject_cannot_be_compared_and_says_so(bench):
    bench.record(1)
    bench(bench.vault.erase, "pty_one", at=AT)
    assert refusal(ConflictError, bench.record, 1) == "vault.restricted"


# ------------------------------------------------------------------ the installation's key
def test_the_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "keys" / "vault.key"
    first = FileKeyProvider(path)
    assert path.stat().st_mode & 0o777 == 0o600
    wrapped = first.wrap(bytes(32), subject="pty_one")
    assert FileKeyProvider(path).unwrap(wrapped, subject="pty_one") == bytes(32)
    assert FileKeyProvider(path).index_key() == first.index_key()
    assert path.read_bytes() in first.index_key()


def test_two_first_starts_at_once_end_with_one_key(tmp_path):
    start = threading.Barrier(8)
    wrapped = []

    def begin():
        start.wait()
        wrapped.append(FileKeyProvider(tmp_path / "vault.key").wrap(bytes(32), subject="x"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    provider = FileKeyProvider(tmp_path / "vault.key")
    assert [provider.unwrap(one, subject="x") for one in wrapped] == [bytes(32)] * 8


@pytest.mark.parametrize(("data", "mode"), [(b"", 0o600), (b"x" * 31, 0o600), (b"x" * 32, 0o640)])
def test_a_damaged_or_readable_key_is_refused_and_never_replaced(tmp_path, data, mode):
    path = tmp_path / "vault.key"
    path.write_bytes(data)
    path.chmod(mode)
    assert refusal(UnavailableError, FileKeyProvider, path) == "vault.key_file"
    assert path.read_bytes() == data


def test_a_wrapped_key_that_was_altered_does_not_open(tmp_path):
    provider = FileKeyProvider(tmp_path / "vault.key")
    wrapped = provider.wrap(bytes(32), subject="x")
    for position in range(1, len(wrapped)):
        altered = bytearray(wrapped)
        altered[position] ^= 1
        assert (
            refusal(UnavailableError, provider.unwrap, bytes(altered), subject="x")
            == "vault.key_unavailable"
        )


def test_a_private_body_is_a_value(bench):
    private = PrivateBody(salt=bytes(32), body={})
    with pytest.raises(AttributeError):
        private.salt = b""
    with store.transaction(bench.factory) as session:
        assert bench.vault.seal_many(session, [], at=AT) == []
