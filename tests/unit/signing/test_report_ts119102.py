"""The ETSI-shaped report: indications for what can happen, one report per signature, JSON and XML alike."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from ledger.core.report import Check, Report, Verdict
from signing.report_ts119102 import NAMESPACE, as_ts119102, as_xml, sub_indication

AT = datetime(2026, 11, 23, 4, tzinfo=UTC)
P, F, I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE  # noqa: E741


def check(code, verdict, **details):
    return Check(code, verdict, "in English", "中文", details)


@pytest.mark.parametrize(
    ("code", "verdict", "reason", "name"),
    [
        ("pdf.digest", F, "cms.digest_mismatch", "HASH_FAILURE"),
        ("pdf.signature_value", F, "cms.signature_invalid", "SIG_CRYPTO_FAILURE"),
        ("pdf.signature_value", I, "cms.no_certificate", "NO_SIGNING_CERTIFICATE_FOUND"),
        ("pdf.visual", F, "", "FORMAT_FAILURE"),
        ("pdf.changes", F, "", "FORMAT_FAILURE"),
        ("pdf.revocation", F, "revoked", "REVOKED"),
        ("pdf.revocation", I, "no_list", "TRY_LATER"),
        ("pdf.certificate", F, "out_of_validity", "EXPIRED"),
        ("pdf.certificate", I, "out_of_validity", "OUT_OF_BOUNDS_NO_POE"),
        ("pdf.certificate", I, "untrusted_root", "NO_CERTIFICATE_CHAIN_FOUND"),
        ("pdf.certificate_time", I, "", "NO_POE"),
        ("pdf.algorithm", I, "", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"),
        ("pdf.no_signature", I, "", "SIGNED_DATA_NOT_FOUND"),
        ("pdf.active_content", I, "", "SIG_CONSTRAINTS_FAILURE"),
    ],
)
def test_a_finding_has_the_name_that_etsi_gives_it(code, verdict, reason, name):
    found = sub_indication(check(code, verdict, reason=reason))
    assert found == f"urn:etsi:019102:subindication:{name}"


def test_what_etsi_has_no_word_for_gets_one_of_ours_and_a_pass_gets_none():
    assert sub_indication(check("pdf.limits", I, reason="time_limit")) == (
        "urn:fuqi:subindication:limits"
    )
    assert sub_indication(check("pdf.digest", P)) == ""


def report():
    return Report(
        subject="pdf",
        checks=(
            check("pdf.coverage", P),
            check("pdf.digest", P, signature=1, field="a"),
            check("pdf.digest", F, signature=2, field="b", reason="cms.digest_mismatch"),
            check("pdf.time_stamp", P, signature=1, field="a", time="2026-11-22T00:00:00Z"),
            check("pdf.time_stamp_trust", P, signature=1, field="a"),
            check("pdf.certificate_time", I, signature=2, field="b"),
        ),
        labels=("demo",),
    )


def test_each_signature_has_its_own_indication_and_numbered_checks():
    found = as_ts119102(report(), sha256=b"\x01" * 32, at=AT)
    first, second = found["signatures"]
    assert first["status"]["main"] == "TOTAL-PASSED"
    assert first["status"]["sub_indications"] == []
    assert first["best_signature_time"]["poe_time"] == "2026-11-22T00:00:00Z"
    assert second["status"]["main"] == "TOTAL-FAILED"
    assert second["status"]["sub_indications"] == ["urn:etsi:019102:subindication:HASH_FAILURE"]
    assert second["best_signature_time"] is None
    assert [row["number"] for row in second["status"]["constraints"]] == [3, 6, 1]
    assert found["overall"]["main"] == "TOTAL-FAILED"
    assert found["document_sha256"] == "01" * 32
    assert found["labels"] == ["demo"]


def test_a_fault_of_the_file_is_a_fault_of_every_signature_in_it():
    broken = Report(subject="pdf", checks=(*report().checks, check("pdf.visual", F, page=1)))
    found = as_ts119102(broken, sha256=b"", at=AT)
    assert {one["status"]["main"] for one in found["signatures"]} == {"TOTAL-FAILED"}


def test_a_time_stamp_of_an_unknown_authority_proves_no_time():
    untrusted = Report(
        subject="pdf",
        checks=(
            check("pdf.time_stamp", P, signature=1, time="2026-11-22T00:00:00Z"),
            check("pdf.time_stamp_trust", I, signature=1),
        ),
    )
    found = as_ts119102(untrusted, sha256=b"", at=AT)["signatures"][0]
    assert found["best_signature_time"] is None
    assert found["status"]["main"] == "INDETERMINATE"


def test_the_xml_says_the_same_in_the_namespace_of_the_standard():
    root = ET.fromstring(as_xml(report(), sha256=b"\x01" * 32, at=AT))
    space = {"v": NAMESPACE}
    assert root.tag == f"{{{NAMESPACE}}}ValidationReport"
    mains = [e.text for e in root.findall(".//v:MainIndication", space)]
    assert mains == [
        "urn:etsi:019102:mainindication:total-passed",
        "urn:etsi:019102:mainindication:total-failed",
    ]
    subs = [e.text for e in root.findall(".//v:SubIndication", space)]
    assert subs == ["urn:etsi:019102:subindication:HASH_FAILURE"]
    messages = {e.get("lang") for e in root.findall(".//v:Message", space)}
    assert messages == {"en", "zh"}


def test_a_report_without_a_signature_is_one_report_all_the_same():
    empty = Report(subject="pdf", checks=(check("pdf.no_signature", I),))
    root = ET.fromstring(as_xml(empty, sha256=b"", at=AT))
    assert len(root.findall(f"{{{NAMESPACE}}}SignatureValidationReport")) == 1
