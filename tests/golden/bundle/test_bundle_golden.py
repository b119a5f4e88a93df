"""A bundle that is already in somebody's hands still passes, and other tools agree with what it says."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from arbitration.checks.all import CHECKS, verify_bundle
from arbitration.container import pack
from arbitration.policy import load_trust
from ledger.core.report import Verdict

HERE = Path(__file__).parent
CASE = HERE / "case-v1.zip"
TRUST = HERE / "case-v1.trust.json"
AT = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_first_bundle_ever_written_still_passes():
    report = verify_bundle(CASE.read_bytes(), trust=load_trust(TRUST), at=AT)
    assert [one.summary_en for one in report.checks if one.verdict is not Verdict.PASSED] == []
    assert report.verdict is Verdict.PASSED
    assert len(report.checks) == len(CHECKS) + 1


def test_it_fails_with_one_byte_changed():
    data = bytearray(CASE.read_bytes())
    data[len(data) // 3] ^= 1
    assert verify_bundle(bytes(data), trust=load_trust(TRUST), at=AT).verdict is Verdict.FAILED


def test_the_container_has_one_form_for_ever():
    files = {"manifest.json": b"{}", "documents/a.pdf": b"%PDF-", "empty.txt": b""}
    assert hashlib.sha256(pack(files)).hexdigest() == (
        "2859f81c857d1766b70cce28c50f836217ec362a0e215f75132886d76e23743b"
    )


def test_the_standard_library_agrees_with_every_digest_of_the_manifest():
    with zipfile.ZipFile(CASE) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        for row in manifest["files"]:
            assert hashlib.sha256(archive.read(row["path"])).hexdigest() == row["sha256"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_openssl_agrees_with_the_time_stamp(tmp_path: Path):
    with zipfile.ZipFile(CASE) as archive:
        for name in ("manifest.json", "seal/manifest.tsr"):
            (tmp_path / Path(name).name).write_bytes(archive.read(name))
    root = base64.b64decode(json.loads(TRUST.read_text())["pki"]["tsa_roots"][0])
    pem = x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM)
    (tmp_path / "root.pem").write_bytes(pem)
    command = ["openssl", "ts", "-verify", "-token_in", "-in", "manifest.tsr"]
    command += [
        "-data",
        "manifest.json",
        "-CAfile",
        "root.pem",
        "-attime",
        str(int(AT.timestamp())),
    ]
    good = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verification: OK" in good.stdout + good.stderr, good.stderr
    (tmp_path / "manifest.json").write_bytes(b"{}")
    bad = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode != 0
