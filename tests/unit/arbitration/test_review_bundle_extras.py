"""What the platform adds to a bundle or says in its summary is not taken for evidence, sealed anew or not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arbitration.checks.all import verify_bundle
from ledger.core.canonical import canonical_bytes
from ledger.core.report import Verdict


def failed(made: Any, files: dict[str, bytes]) -> set[str]:
    report = verify_bundle(made.insider(files), trust=made.trust, at=made.at)
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


@pytest.mark.parametrize(
    "path",
    [
        *("00-ruling.html", "18-ruling.json", "report.pdf", "receipts/x.txt", "anchors/x.txt"),
        *("certificates/x.der", "timestamps/x.tsr", "other/x.txt", "seal/other.txt"),
    ],
)
def test_a_file_that_the_format_does_not_have_fails_although_the_manifest_lists_it(made, path):
    content = b"{}" if path.endswith(".json") else b"<p>The court has decided.</p>"
    assert failed(made, {**made.files, path: content}) == {"bundle.manifest"}


@pytest.mark.parametrize(
    "path", [f"certificates/{'0' * 32}.der", f"certificates/{'0' * 32}.crl", "timestamps/09.tsr"]
)
def test_a_certificate_or_token_that_belongs_to_no_signature_fails(made, path):
    like = next(
        one for one in made.files if one.startswith("timestamps/" if path[0] == "t" else path[:13])
    )
    assert failed(made, {**made.files, path: made.files[like]}) == {"bundle.manifest"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agreement", "agr_other"),
        ("title", "Another agreement"),
        ("matter", "sale"),
        ("state", "annulled"),
        ("place_of_formation", "elsewhere"),
        ("document_sha256", "00" * 32),
        ("final_sha256", "00" * 32),
        ("signatures", 3),
        ("events", 1),
        ("business", "court ruling"),
        ("disclaimer_en", "This package is a ruling."),
        ("disclaimer_zh", "本证据包即裁决。"),
    ],
)
def test_the_summary_that_people_read_first_says_what_the_other_parts_say(made, name, value):
    files = made.files
    summary = json.loads(files["01-certificate.json"])
    assert summary[name] != value
    files["01-certificate.json"] = canonical_bytes({**summary, name: value})
    assert failed(made, files) == {"bundle.manifest"}


def test_an_untouched_bundle_fails_nothing(made):
    assert failed(made, made.files) == set()


def test_an_older_kind_of_report_does_not_hide_what_new_evidence_leaves_unproven(made):
    files = made.files
    manifest = json.loads(files["manifest.json"])
    assert manifest["renderer"] == "fuqi/bundle-report/v2"
    files["manifest.json"] = canonical_bytes({**manifest, "renderer": "fuqi/bundle-report/v1"})
    # Entries of the first version, which state nothing about an amount, keep their report.
    assert failed(made, files) == set()
    (path,) = (
        row["path"]
        for row in json.loads(files["10-events.json"])
        if row["type"] == "agreement.staged"
    )
    receipt = json.loads(files[path])
    receipt["private"]["body"]["no_amount"] = True
    files[path] = canonical_bytes(receipt)
    assert "bundle.report" in failed(made, files)
