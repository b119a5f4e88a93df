"""Log tools that we had no part in read what we write: notes, cosignatures, tiles, proofs, tlog-proof@v1.

In Go `sumdb/note` and `sumdb/tlog`, transparency-dev's `formats` and `merkle`, and torchwood
(tests/tools/c2sp); in Python `tlog-scales`. Each test says why where a tool is not here.
"""

import base64
import hashlib
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import log, store
from ledger.core.ids import derived_id
from ledger.note import NoteSigner
from ledger.tiles import write_tiles
from ledger.vault import FileKeyProvider, Vault

FOLDER = Path(__file__).parent
PROGRAM = Path(__file__).parents[2] / "tools" / "c2sp"
PROOF, KEYS = FOLDER / "golden.tlog-proof", FOLDER / "golden.keys"
AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
OLD, SIZE = 300, 701


def go(*arguments):
    """Lines that the program prints; skips where Go or a module is missing. It looks for no network."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    # Read-only, from the modules already here: a test downloads nothing.
    offline = {"GOPROXY": "off", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        ["go", "run", ".", *map(str, arguments)],
        cwd=PROGRAM,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        timeout=240,
    )
    if "GOPROXY=off" in done.stderr or "requires go >=" in done.stderr:
        pytest.skip("the Go modules are not here: cd tests/tools/c2sp && go mod download")
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A log of 701 entries as static files, and a file with its key."""
    folder = tmp_path_factory.mktemp("log")
    url = f"sqlite:///{folder / 'log.sqlite3'}"
    store.migrate(url)
    engine = store.make_engine(url)
    vault = Vault(FileKeyProvider(folder / "vault.key"))
    signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
    for first, last in ((0, OLD), (OLD, SIZE)):
        with store.transaction(store.sessions(engine)) as session:
            log.record_many(session, vault, [entry(number) for number in range(first, last)])
        with store.transaction(store.sessions(engine)) as session:
            log.sequence(session, signer, at=AT)
    with store.transaction(store.readers(engine)) as session:
        write_tiles(session, folder / "tiles")
        root = bytes(log.root_at(session, OLD))
    engine.dispose()
    (folder / "keys").write_text(signer.verifier.text() + "\n")
    return folder / "tiles", folder / "keys", root


def entry(number):
    return log.NewEntry(
        id=derived_id("ent", at=AT, seed=str(number)),
        type="document.opened",
        at=AT,
        subject=f"agr_{number % 7}",
        actor="system",
        body={"number": number},
    )


def test_go_tools_accept_our_tlog_proof_and_refuse_others():
    code, lines, errors = go("proof", PROOF, KEYS)
    assert code == 0, errors
    assert len(lines) == 11
    assert "torchwood: the tlog-proof verifies under the log and 2 of 3 witnesses" in lines
    assert "transparency-dev/merkle: the entry is included" in lines


def test_go_tools_refuse_a_tlog_proof_with_one_letter_changed(tmp_path):
    changed = tmp_path / "changed.tlog-proof"
    changed.write_bytes(PROOF.read_bytes().replace(b"\n11\n", b"\n12\n"))
    code, lines, errors = go("proof", changed, KEYS)
    assert (code, lines) == (1, [])
    assert "disagrees: torchwood" in errors


def test_go_tools_read_our_tiles(published):
    tiles, keys, root = published
    code, lines, errors = go("tiles", tiles, keys, OLD)
    assert code == 0, errors
    assert f"torchwood: all {SIZE} entries are read from the tiles and proven" in lines
    # What Go computed from the tiles is the root that we have for the earlier size.
    extends = "sumdb/tlog: the tree extends the earlier one of root "
    assert extends + base64.b64encode(root).decode() in lines


def scales(name):
    reason = "tlog-scales is not installed: pip install tlog-scales"
    return pytest.importorskip(f"tlog_scales.{name}", reason=reason)


def test_tlog_scales_reads_our_tiles(published):
    tiles, keys, root = published
    reader = scales("reader").TilesReader(scales("backend").LocalBackend(tiles))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(scales("signing").Vkey.from_string(keys.read_text().strip()))
    assert checkpoint.size == SIZE
    assert reader.calculate_root_hash() == checkpoint.root_hash
    assert reader.mth(0, OLD) == root
    reader.get_consistency_proof(OLD, SIZE).check(root, checkpoint.root_hash)
    invalid = scales("tlog").InclusionProofInvalid
    for index in (0, 1, 255, 256, OLD, SIZE - 1):
        leaf = hashlib.sha256(b"\x00" + reader.get_entry(index)).digest()
        proof = reader.get_inclusion_proof(index, SIZE)
        proof.check(leaf, checkpoint.root_hash)
        with pytest.raises(invalid):
            proof.check(hashlib.sha256(leaf).digest(), checkpoint.root_hash)


def test_tlog_scales_accepts_our_cosignatures_and_path():
    signing, tlog = scales("signing"), scales("tlog")
    head, _, note = PROOF.read_text("utf-8").partition("\n\n")
    _, extra, index, *path = head.split("\n")
    checkpoint = tlog.Checkpoint.from_text(note)
    keys = [signing.Vkey.from_string(line) for line in KEYS.read_text("utf-8").splitlines()]
    signed = signing.VkeySet(*keys).verify(checkpoint.signatures, checkpoint)
    assert {key.name for key, _ in signed} == {key.name for key in keys[:3]}
    leaf = hashlib.sha256(b"\x00" + base64.b64decode(extra.removeprefix("extra "))).digest()
    steps = [base64.b64decode(step) for step in path]
    number = int(index.removeprefix("index "))
    tlog.InclusionProof(number, checkpoint.size, steps).check(leaf, checkpoint.root_hash)
    with pytest.raises(tlog.InclusionProofInvalid):
        tlog.InclusionProof(number + 1, checkpoint.size, steps).check(leaf, checkpoint.root_hash)
