"""Files by digest: never other bytes than asked for, and nothing half-recorded when the disk is full."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import blobs as module
from ledger.blobs import FileBlobs
from ledger.core.errors import InputError, NotFoundError, UnavailableError, VerificationError

DATA = "符契".encode() * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path):
    return FileBlobs(tmp_path / "blobs")


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refusal(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        function(*arguments)
    return caught.value.error_code


def test_what_was_stored_is_found_under_its_sha256(blobs, tmp_path):
    assert not blobs.has(DIGEST)
    assert blobs.put(DATA) == DIGEST
    assert blobs.has(DIGEST)
    assert blobs.get(DIGEST) == DATA
    assert FileBlobs(tmp_path / "blobs").get(DIGEST) == DATA


def test_the_empty_file_is_a_file(blobs):
    assert blobs.get(blobs.put(b"")) == b""


def test_storing_the_same_bytes_again_is_harmless(blobs, tmp_path):
    blobs.put(DATA)
    assert blobs.put(DATA) == DIGEST
    assert files_in(tmp_path) == [DIGEST]


def test_a_file_that_was_never_stored_is_not_found(blobs):
    assert refusal(NotFoundError, blobs.get, DIGEST) == "blob.not_found"


@pytest.mark.parametrize(
    "name", ["", DIGEST.upper(), DIGEST[:-1], DIGEST + "\n", "../" + DIGEST[3:], "/etc/passwd"]
)
def test_a_name_that_is_no_digest_never_reaches_the_disk(blobs, name):
    assert refusal(InputError, blobs.get, name) == "blob.digest"
    assert refusal(InputError, blobs.has, name) == "blob.digest"


def test_any_byte_altered_on_disk_is_noticed(blobs, tmp_path):
    small = b"0123456789"
    digest = blobs.put(small)
    (path,) = (path for path in tmp_path.rglob(digest))
    for position in range(len(small)):
        damaged = bytearray(small)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert refusal(VerificationError, blobs.get, digest) == "blob.damaged"
    for damaged in (b"", small[:-1], small + b"x"):
        path.write_bytes(damaged)
        assert refusal(VerificationError, blobs.get, digest) == "blob.damaged"


def test_storing_the_right_bytes_again_heals_a_damaged_file(blobs, tmp_path):
    blobs.put(DATA)
    (path,) = tmp_path.rglob(DIGEST)
    path.write_bytes(b"damaged")
    assert blobs.put(DATA) == DIGEST
    assert blobs.get(DIGEST) == DATA


def test_bytes_name_and_new_folders_are_durable_before_the_digest_is_told(
    blobs, tmp_path, monkeypatch
):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc on this machine to ask which file was synced")
    synced, original = [], os.fsync

    def watch(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        original(descriptor)

    monkeypatch.setattr(module.os, "fsync", watch)
    folder = tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:4]
    blobs.put(DATA)
    assert synced[0].name.endswith(".part")
    assert synced[1:] == [folder, folder.parent, tmp_path / "blobs"]
    (folder / DIGEST).unlink()
    synced.clear()
    blobs.put(DATA)
    assert synced[1:] == [folder]


def test_a_file_above_the_limit_is_refused(blobs, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BLOB_BYTES_MAX", 10)
    blobs.put(b"x" * 10)
    assert refusal(InputError, blobs.put, b"x" * 11) == "blob.too_large"
    assert len(files_in(tmp_path)) == 1


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage.disk_full"),
        (errno.EDQUOT, "storage.disk_full"),
        (errno.EIO, "storage.unavailable"),
        (errno.EROFS, "storage.unavailable"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_nothing_behind(
    blobs, tmp_path, monkeypatch, number, code, call
):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    if call == "fsync":
        monkeypatch.setattr(module.os, "fsync", refuse)
    else:
        monkeypatch.setattr(module.Path, "replace", refuse)
    assert refusal(UnavailableError, blobs.put, DATA) == code
    monkeypatch.undo()
    assert not blobs.has(DIGEST)
    assert files_in(tmp_path) == []
    assert blobs.put(DATA) == DIGEST


FULL_DISK = """
import sys
from pathlib import Path
from ledger.blobs import FileBlobs
from ledger.core.errors import UnavailableError
blobs = FileBlobs(Path(sys.argv[1]))
kept = blobs.put(b"small")
try:
    blobs.put(b"x" * 1_000_000)
except UnavailableError as exc:
    print(exc.error_code)
print(sorted(p.name for p in Path(sys.argv[1]).rglob("*") if p.is_file()) == [kept], blobs.get(kept))
"""


def test_a_disk_that_is_really_full_says_so_and_keeps_what_it_had(tmp_path, repository):
    """A file system of 64 KiB in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f'mount -t tmpfs -o size=64k none "{disk}" && exec "$@"'
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", command, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*inside, "true"], capture_output=True).returncode
    ):
        pytest.skip("this machine lets nobody mount in a namespace (unshare, tmpfs)")
    done = subprocess.run(
        [*inside, sys.executable, "-c", FULL_DISK, str(disk)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=repository,
    )
    assert done.stdout.split("\n")[:2] == ["storage.disk_full", "True b'small'"], done.stderr


def test_a_folder_that_is_a_file_is_unavailable(tmp_path):
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / DIGEST[:2]).write_text("in the way")
    assert refusal(UnavailableError, blobs.put, DATA) == "storage.unavailable"
    assert refusal(UnavailableError, blobs.get, DIGEST) == "storage.unavailable"


def test_a_name_taken_by_a_folder_is_unavailable(blobs, tmp_path):
    (tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:4] / DIGEST).mkdir(parents=True)
    assert refusal(UnavailableError, blobs.get, DIGEST) == "storage.unavailable"
    assert refusal(UnavailableError, blobs.put, DATA) == "storage.unavailable"
