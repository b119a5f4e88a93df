"""The published files alone rebuild the tree: read here by code that shares nothing with the writer."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from ledger import log, store
from ledger.core import merkle
from ledger.core.errors import UnavailableError, VerificationError
from ledger.core.ids import derived_id
from ledger.note import NoteSigner, open_note
from ledger.tables.log import EntryRow
from ledger.tiles import write_tiles
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
SECRET = "隐私 private words"


class Bench:
    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
        self.out = folder / "public"
        self.count = 0

    def grow(self, number):
        entries = [
            log.NewEntry(
                id=derived_id("ent", at=AT, seed=str(self.count + i)),
                type="document.opened",
                at=AT,
                subject=f"agr_{(self.count + i) % 7}",
                actor="acc_one",
                body={"by": SECRET, "number": self.count + i},
            )
            for i in range(number)
        ]
        self.count += number
        with store.transaction(self.factory) as session:
            log.record_many(session, self.vault, entries)
        with store.transaction(self.factory) as session:
            return log.sequence(session, self.signer, at=AT)

    def publish(self, **named):
        with store.transaction(store.readers(self.engine)) as session:
            return write_tiles(session, self.out, **named)

    def files(self):
        return {
            str(path.relative_to(self.out)): path.read_bytes()
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.engine.dispose()


# ------------------------------------------------------------------ an independent reader
def name_of(number):
    text_form = f"{number:03d}"
    text_form = text_form.rjust(math.ceil(len(text_form) / 3) * 3, "0")
    parts = [text_form[i : i + 3] for i in range(0, len(text_form), 3)]
    return "/".join(["x" + part for part in parts[:-1]] + [parts[-1]])


class Reader:
    """Nothing but GET on files: the checkpoint tells the size, the size tells which tiles exist."""

    def __init__(self, files, size):
        self.files, self.size = files, size

    def raw(self, level, number):
        width = min(256, (self.size >> (8 * (0 if level == "entries" else level))) - number * 256)
        path = f"tile/{level}/{name_of(number)}"
        if width == 256:
            return self.files[path]
        # A client that knows only an older checkpoint falls back to the full tile.
        return self.files.get(f"{path}.p/{width}") or self.files[path]

    def hash(self, level, index):
        """Hash of the complete subtree of 2**level leaves."""
        tile_level, rest = divmod(level, 8)
        low, high = index << rest, (index + 1) << rest
        tile = self.raw(tile_level, low // 256)
        hashes = [tile[i * 32 : i * 32 + 32] for i in range(low % 256, low % 256 + high - low)]
        while len(hashes) > 1:
            hashes = [
                hashlib.sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest()
                for i in range(0, len(hashes), 2)
            ]
        return hashes[0]

    def root(self):
        """From the right: each set bit of the size is a complete subtree."""
        running, done, peaks = None, 0, []
        for level in range(self.size.bit_length() - 1, -1, -1):
            if self.size >> level & 1:
                peaks.append(self.hash(level, done >> level))
                done += 1 << level
        for peak in reversed(peaks):
            running = peak if running is None else hashlib.sha256(b"\x01" + peak + running).digest()
        return running

    def entries(self):
        for number in range(-(-self.size // 256)):
            data = self.raw("entries", number)
            for _ in range(min(256, self.size - number * 256)):
                length = int.from_bytes(data[:2], "big")
                yield data[2 : 2 + length]
                data = data[2 + length :]


def check(bench):
    files = bench.files()
    checkpoint = open_note(files["checkpoint"].decode(), verifier=bench.signer.verifier)
    reader = Reader(files, checkpoint.size)
    assert reader.root() == checkpoint.root
    entries = list(reader.entries())
    assert len(entries) == checkpoint.size
    for index in {0, checkpoint.size // 2, checkpoint.size - 1}:
        merkle.verify_inclusion(
            hashlib.sha256(b"\x00" + entries[index]).digest(),
            index=index,
            size=checkpoint.size,
            path=merkle.inclusion_path(index, size=checkpoint.size, node=reader.hash),
            root=checkpoint.root,
        )
    return checkpoint, files, entries


# ------------------------------------------------------------------ what is published
def test_the_files_alone_rebuild_root_entries_and_proofs_at_every_step(bench):
    roots = []
    for step in (1, 6, 249, 1, 300, 211):
        bench.grow(step)
        bench.publish()
        checkpoint, files, _ = check(bench)
        roots.append(checkpoint)
    assert checkpoint.size == bench.count == 768
    # The sizes 256, 557 and 768 ended with one, two and three full tiles.
    assert {path for path in files if ".p/" in path} == {f"tile/1/000.p/{n}" for n in (1, 2, 3)}
    reader = Reader(files, checkpoint.size)
    for old in roots[:-1]:
        merkle.verify_consistency(
            old_size=old.size,
            old_root=old.root,
            size=checkpoint.size,
            root=checkpoint.root,
            path=merkle.consistency_path(old.size, size=checkpoint.size, node=reader.hash),
        )


def test_entry_bundles_hold_canonical_entries_and_nothing_private(bench):
    bench.grow(5)
    bench.publish()
    _, files, entries = check(bench)
    assert [json.loads(entry)["v"] for entry in entries] == ["fuqi/entry/v1"] * 5
    assert all(set(json.loads(entry)["commitments"]) == {"body"} for entry in entries)
    everything = b"".join(files.values())
    assert SECRET.encode() not in everything
    with store.transaction(bench.factory) as session:
        salt = bench.vault.get(session, json.loads(entries[0])["id"]).salt
    assert salt not in everything
    assert salt.hex().encode() not in everything


def test_publishing_again_changes_nothing_and_an_increment_writes_only_what_is_new(bench):
    bench.grow(300)
    assert bench.publish().written == 6
    before = bench.files()
    again = bench.publish()
    assert (again.written, again.repaired) == (0, 0)
    assert bench.files() == before
    bench.grow(1)
    assert bench.publish().written == 3  # one bundle, one tile, the checkpoint


def test_each_checkpoint_since_the_last_run_keeps_its_partial_tiles(bench):
    for step in (3, 4, 5):
        bench.grow(step)
    bench.publish()
    files = bench.files()
    assert {f"tile/0/000.p/{width}" for width in (3, 7, 12)} <= set(files)
    for size in (3, 7, 12):
        with store.transaction(bench.factory) as session:
            assert Reader(files, size).root() == log.root_at(session, size)


def test_what_was_damaged_or_lost_is_repaired_and_counted(bench):
    bench.grow(300)
    bench.publish()
    whole = bench.files()
    (bench.out / "tile/0/000").write_bytes(b"damaged")
    (bench.out / "tile/entries/001.p/44").unlink()
    (bench.out / "checkpoint").write_text("damaged")
    with pytest.raises(VerificationError) as caught:
        bench.publish()
    assert caught.value.error_code == "tiles.damaged"
    done = bench.publish(repair=True)
    assert (done.repaired, done.written) == (1, 2)
    assert bench.files() == whole


def test_a_crash_before_the_checkpoint_leaves_the_old_one_whole(bench, monkeypatch):
    bench.grow(10)
    bench.publish()
    bench.grow(300)
    import ledger.tiles as module

    put, calls = module._put, []

    def dies(path, data):
        calls.append(path)
        if len(calls) == 4:
            raise OSError("pulled the plug")
        return put(path, data)

    monkeypatch.setattr(module, "_put", dies)
    with pytest.raises(UnavailableError) as caught:
        bench.publish()
    assert caught.value.error_code == "tiles.storage"
    assert check(bench)[0].size == 10
    monkeypatch.undo()
    bench.publish()
    assert check(bench)[0].size == 310
    assert not [path for path in bench.files() if path.rpartition("/")[2].startswith(".")]


def test_the_folder_of_another_log_or_of_a_longer_one_is_never_overwritten(bench, tmp_path):
    bench.grow(3)
    bench.publish()
    other = NoteSigner(tmp_path / "other.key", name="log.example.invalid/fuqi")
    checkpoint = open_note(bench.files()["checkpoint"].decode(), verifier=bench.signer.verifier)
    for change in (
        {"size": 4},
        {"root": merkle.leaf_hash(b"x")},
        {"origin": "log.example.invalid/other"},
    ):
        forged = {"origin": checkpoint.origin, "size": 3, "root": checkpoint.root, **change}
        note = other.sign(type(checkpoint)(**forged))
        (bench.out / "checkpoint").write_text(note, encoding="utf-8")
        for repair in (False, True):
            with pytest.raises(VerificationError) as caught:
                bench.publish(repair=repair)
            assert caught.value.error_code == "tiles.fork"
        assert bench.files()["checkpoint"].decode() == note


def test_nothing_is_published_of_a_tree_whose_entries_were_altered(bench):
    bench.grow(3)
    with store.transaction(bench.factory) as session:
        if bench.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER journal_entry_no_update"))
        else:
            session.execute(text("DROP TRIGGER journal_entry_no_update ON journal_entry"))
        row = session.query(EntryRow).filter_by(order=2).one()
        row.bytes = row.bytes.replace(b"acc_one", b"acc_two")
    with pytest.raises(VerificationError) as caught:
        bench.publish()
    assert caught.value.error_code == "tiles.entry_mismatch"
    assert "checkpoint" not in bench.files()


def test_an_empty_log_publishes_nothing(bench):
    assert bench.publish().size == 0
    assert not bench.out.exists()


def test_the_checkpoint_is_the_signed_note_byte_for_byte(bench):
    row = bench.grow(2)
    bench.publish()
    assert bench.files()["checkpoint"].decode() == row.note
    assert base64.b64decode(row.note.splitlines()[2]).hex() == row.root
