"""`fuqi log` and `fuqi witness` as somebody types them; what they print is checked by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from api.commands import log as log_commands
from api.commands import witness as witness_commands
from ledger import log, store
from ledger.core import merkle
from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.ids import derived_id
from ledger.note import CosignerKey, NoteSigner, cosignature_time, open_note
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)


def entry_id(number):
    return derived_id("ent", at=AT, seed=str(number))


class Installed:
    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
        self.count = 0

    def grow(self, number):
        self.journal(number)
        with store.transaction(self.factory) as session:
            return log.sequence(session, self.signer, at=AT)

    def journal(self, number):
        entries = [
            log.NewEntry(
                entry_id(self.count + i), "document.opened", AT, "agr_one", "acc", {"n": i}
            )
            for i in range(number)
        ]
        self.count += number
        with store.transaction(self.factory) as session:
            return log.record_many(session, self.vault, entries)


@pytest.fixture
def installed(database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("FUQI_DATABASE_URL", database_url)
    monkeypatch.setenv("FUQI_HOME", str(tmp_path / "home"))
    made = Installed(database_url, tmp_path)
    yield made
    made.engine.dispose()


def run(app, *arguments, exit_code=0):
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(result.exception, Exception):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.output


def root_of(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2, written out again."""
    fn, sn, running = index, size - 1, leaf
    for step in path:
        if fn % 2 or fn == sn:
            running = hashlib.sha256(b"\x01" + step + running).digest()
            while fn % 2 == 0 and fn:
                fn, sn = fn // 2, sn // 2
        else:
            running = hashlib.sha256(b"\x01" + running + step).digest()
        fn, sn = fn // 2, sn // 2
    assert sn == 0
    return running


def test_a_proof_is_a_c2sp_tlog_proof_that_needs_nothing_else(installed):
    installed.grow(3)
    installed.grow(5)
    for number, size in ((0, None), (0, 3), (7, 8)):
        options = [] if size is None else ["--size", size]
        text = run(log_commands.app, "proof", entry_id(number), *options)
        head, _, note = text.partition("\n\n")
        version, extra, index, *path = head.split("\n")
        assert version == "c2sp.org/tlog-proof@v1"
        assert index == f"index {number}"
        entry = base64.b64decode(extra.removeprefix("extra "))
        assert json.loads(entry)["id"] == entry_id(number)
        checkpoint = open_note(note, verifier=installed.signer.verifier)
        assert checkpoint.size == (size or 8)
        leaf = hashlib.sha256(b"\x00" + entry).digest()
        steps = [base64.b64decode(step) for step in path]
        assert root_of(leaf, number, checkpoint.size, steps) == checkpoint.root


def test_a_proof_of_what_is_not_there_is_refused(installed):
    installed.grow(3)
    installed.journal(1)
    with pytest.raises(NotFoundError):
        run(log_commands.app, "proof", entry_id(9))
    with pytest.raises(ConflictError) as caught:
        run(log_commands.app, "proof", entry_id(3))
    assert caught.value.error_code == "log.not_in_tree"
    with pytest.raises(NotFoundError) as missing:
        run(log_commands.app, "proof", entry_id(0), "--size", 2)
    assert missing.value.error_code == "log.no_checkpoint"


def test_a_consistency_proof_carries_both_signed_checkpoints(installed):
    for number in (3, 5, 6):
        installed.grow(number)
    for arguments, sizes in (((3, 8), (3, 8)), ((8,), (8, 14)), ((3,), (3, 14))):
        found = json.loads(run(log_commands.app, "consistency", *arguments))
        old, new = (
            open_note(found[name]["note"], verifier=installed.signer.verifier)
            for name in ("old", "new")
        )
        assert (old.size, new.size) == sizes
        merkle.verify_consistency(
            old_size=old.size,
            old_root=old.root,
            size=new.size,
            root=new.root,
            path=[bytes.fromhex(step) for step in found["path"]],
        )
    for arguments in ((8, 3), (8, 8)):
        with pytest.raises(InputError) as caught:
            run(log_commands.app, "consistency", *arguments)
        assert caught.value.error_code == "log.sizes"
    with pytest.raises(NotFoundError):
        run(log_commands.app, "consistency", 4, 8)


def test_the_checkpoint_and_the_tiles_are_written_where_one_says(installed, tmp_path):
    with pytest.raises(NotFoundError):
        run(log_commands.app, "checkpoint")
    row = installed.grow(3)
    assert run(log_commands.app, "checkpoint") == row.note
    assert "3 entries" in run(log_commands.app, "tiles")
    default = tmp_path / "home" / "log"
    assert (default / "checkpoint").read_text() == row.note
    run(log_commands.app, "tiles", tmp_path / "other")
    (default / "tile/0/000.p/3").write_bytes(b"")
    assert "1 repaired" in run(log_commands.app, "tiles", "--repair")
    assert (default / "tile/0/000.p/3").read_bytes() == (
        tmp_path / "other/tile/0/000.p/3"
    ).read_bytes()


@pytest.fixture
def served(installed, tmp_path):
    """`fuqi witness serve` as its own process; (key, url, folder)."""
    folder = tmp_path / "witness"
    name = "witness.example.invalid"
    code = "from api.commands.witness import app; app()"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", code, "serve", str(folder), "--name", name, "--port", "0"),
            *("--log", installed.signer.verifier.text()),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    key = CosignerKey.parse(process.stdout.readline().strip())
    url = re.search(r"http://\S+", process.stdout.readline()).group()
    yield key, url, folder
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    process.stdout.close()


def test_a_witness_in_its_own_process_cosigns_what_the_log_asks(installed, served, tmp_path):
    key, url, folder = served
    assert run(witness_commands.app, "key", folder, "--name", key.name).strip() == key.text()
    path = tmp_path / "witnesses.json"
    listed = [{"key": key.text(), "url": url}]
    path.write_text(json.dumps({"v": "fuqi/witnesses/v1", "k": 1, "witnesses": listed}))
    installed.grow(4)
    assert "1 of 1 cosigned" in run(log_commands.app, "cosign", path)
    note = run(log_commands.app, "checkpoint")
    assert cosignature_time(note, witness=key) > 0
    status = json.loads(run(witness_commands.app, "status", folder, "--name", key.name))
    assert (status["seen"], status["evidence"]) == ({"log.example.invalid/fuqi": 4}, [])
    listed[0]["url"] = "http://127.0.0.1:9"
    path.write_text(json.dumps({"v": "fuqi/witnesses/v1", "k": 1, "witnesses": listed}))
    installed.grow(1)
    assert "witness.unreachable" in run(log_commands.app, "cosign", path, exit_code=1)


def test_a_witness_needs_the_key_of_a_log(tmp_path):
    with pytest.raises(InputError) as caught:
        run(witness_commands.app, "serve", tmp_path, "--name", "w.example.invalid", "--log", "x")
    assert caught.value.error_code == "witness.log"
