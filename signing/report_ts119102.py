"""A report of the strict verifier in the words and the shape of ETSI TS 119 102-2, as JSON or XML.

One report per signature: main indication, sub-indications, the time that is proven, and every check that
bears on it with its number in the full report. Where fuqi fails what ETSI leaves indeterminate (a certificate
path that is broken, a time stamp that is not over this signature), the main indication is ours and the
sub-indication keeps the name that ETSI gives the fault.

Source: ETSI EN 319 102-1, 5.1.3 (indications); ETSI TS 119 102-2, 4 (report), namespace 19102/v1.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

from ledger.core.canonical import Json
from ledger.core.report import Check, Report, Verdict

FORMAT: Final = "fuqi/validation-report/v1"
NAMESPACE: Final = "http://uri.etsi.org/19102/v1.2.1#"
MAIN: Final = {
    Verdict.PASSED: "urn:etsi:019102:mainindication:total-passed",
    Verdict.FAILED: "urn:etsi:019102:mainindication:total-failed",
    Verdict.INDETERMINATE: "urn:etsi:019102:mainindication:indeterminate",
}
SHORT: Final = {
    Verdict.PASSED: "TOTAL-PASSED",
    Verdict.FAILED: "TOTAL-FAILED",
    Verdict.INDETERMINATE: "INDETERMINATE",
}
_SUB: Final = "urn:etsi:019102:subindication:"
_OWN: Final = "urn:fuqi:subindication:"
_FAILED: Final[Mapping[str, str]] = {
    "pdf.expected_digest": "HASH_FAILURE",
    "pdf.digest": "HASH_FAILURE",
    "pdf.signature_value": "SIG_CRYPTO_FAILURE",
    "pdf.certificate": "CHAIN_CONSTRAINTS_FAILURE",
    "pdf.certificate_time": "EXPIRED",
    "pdf.revocation": "REVOKED",
    "pdf.time_stamp": "TIMESTAMP_ORDER_FAILURE",
    "pdf.time_stamp_trust": "CHAIN_CONSTRAINTS_FAILURE",
    "pdf.seal": "SIG_CONSTRAINTS_FAILURE",
}
"""What a failed check is called; every other one is a fault of the form: FORMAT_FAILURE."""
_OPEN: Final[Mapping[str, str]] = {
    "pdf.no_signature": "SIGNED_DATA_NOT_FOUND",
    "pdf.signature_value": "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    "pdf.algorithm": "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    "pdf.certificate": "NO_CERTIFICATE_CHAIN_FOUND",
    "pdf.certificate_time": "NO_POE",
    "pdf.revocation": "TRY_LATER",
    "pdf.time_stamp": "NO_POE",
    "pdf.time_stamp_trust": "NO_POE",
    "pdf.limits": "",
    "pdf.check_error": "",
    "pdf.encrypted": "",
    "pdf.readable": "",
}
"""What an open check is called; "" has no name at ETSI; every other one is SIG_CONSTRAINTS_FAILURE."""
_REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("pdf.certificate", "out_of_validity"): "OUT_OF_BOUNDS_NO_POE",
    ("pdf.certificate", "constraints"): "CHAIN_CONSTRAINTS_FAILURE",
    ("pdf.certificate", "loose_certificates"): "SIG_CONSTRAINTS_FAILURE",
    ("pdf.certificate", "malformed"): "CERTIFICATE_CHAIN_GENERAL_FAILURE",
    ("pdf.signature_value", "cms.no_certificate"): "NO_SIGNING_CERTIFICATE_FOUND",
    ("pdf.signature_value", "cms.no_signed_attributes"): "SIG_CONSTRAINTS_FAILURE",
    ("pdf.time_stamp", "cms.digest_mismatch"): "HASH_FAILURE",
    ("pdf.time_stamp", "cms.signature_invalid"): "SIG_CRYPTO_FAILURE",
    ("pdf.time_stamp_trust", "revoked"): "REVOKED",
}
_ORDER: Final = (Verdict.FAILED, Verdict.INDETERMINATE)


def sub_indication(check: Check) -> str:
    """The URI of what ETSI calls this finding; "" for a passed check."""
    if check.verdict is Verdict.PASSED:
        return ""
    failed = check.verdict is Verdict.FAILED
    reason = str(check.details.get("reason", ""))
    if failed and (check.code, reason) == ("pdf.certificate", "out_of_validity"):
        return _SUB + "EXPIRED"
    name = _REASONS.get((check.code, reason))
    if name is None:
        table, other = (_FAILED, "FORMAT_FAILURE") if failed else (_OPEN, "SIG_CONSTRAINTS_FAILURE")
        name = table.get(check.code, other)
    return _SUB + name if name else _OWN + check.code.partition(".")[2].replace("_", "-")


def as_ts119102(report: Report, *, sha256: bytes, at: datetime) -> dict[str, Json]:
    """The report as JSON, version `fuqi/validation-report/v1`.

    Args:
        sha256: of the examined file.
        at: when it was examined.
    """
    numbered = list(enumerate(report.checks, start=1))
    orders = sorted({n for _i, check in numbered if (n := _signature(check)) is not None})
    shared = [item for item in numbered if _signature(item[1]) is None]
    return {
        "v": FORMAT,
        "subject": report.subject,
        "document_sha256": sha256.hex(),
        "validation_time": _time(at),
        "overall": _status(numbered),
        "signatures": [
            _one(n, [item for item in numbered if _signature(item[1]) == n], shared) for n in orders
        ],
        "validator": {"name": "fuqi strict verifier", "policy": "urn:fuqi:policy:strict:1"},
        "labels": list(report.labels),
    }


def as_xml(report: Report, *, sha256: bytes, at: datetime) -> bytes:
    """The same as XML in the namespace of TS 119 102-2."""
    value: Any = as_ts119102(report, sha256=sha256, at=at)
    ET.register_namespace("", NAMESPACE)
    root = _element("ValidationReport")
    parts = value["signatures"] or [{"identifier": None, "status": value["overall"]}]
    for part in parts:
        root.append(_signature_element(part, value))
    validator = _add(root, "SignatureValidator")
    _add(validator, "Name", value["validator"]["name"])
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _signature(check: Check) -> int | None:
    found = check.details.get("signature")
    return found if isinstance(found, int) else None


def _one(
    order: int, own: Sequence[tuple[int, Check]], shared: Sequence[tuple[int, Check]]
) -> dict[str, Json]:
    """One signature: faults of the whole file are faults of each signature in it."""
    stamps = [c for _n, c in own if c.code == "pdf.time_stamp" and c.verdict is Verdict.PASSED]
    trusted = any(c.code == "pdf.time_stamp_trust" and c.verdict is Verdict.PASSED for _n, c in own)
    field = next((c.details["field"] for _n, c in own if "field" in c.details), "")
    proven = stamps[0].details.get("time") if stamps and trusted else None
    return {
        "identifier": {"order": order, "field": field},
        "status": _status([*own, *shared]),
        "best_signature_time": None
        if proven is None
        else {"poe_time": proven, "type": "time-stamp"},
    }


def _status(checks: Sequence[tuple[int, Check]]) -> dict[str, Json]:
    verdict = Report(subject="", checks=tuple(check for _n, check in checks)).verdict
    reasons = [
        sub_indication(check)
        for worse in _ORDER
        for _n, check in checks
        if check.verdict is worse and (worse is verdict)
    ]
    return {
        "main_indication": MAIN[verdict],
        "main": SHORT[verdict],
        "sub_indications": list(dict.fromkeys(reasons)),
        "constraints": [
            {
                "number": number,
                "check": check.code,
                "status": check.verdict.value,
                "sub_indication": sub_indication(check),
                "en": check.summary_en,
                "zh": check.summary_zh,
            }
            for number, check in checks
        ],
    }


def _signature_element(part: Mapping[str, Any], whole: Mapping[str, Any]) -> ET.Element:
    element = _element("SignatureValidationReport")
    if part["identifier"] is not None:
        identifier = _add(element, "SignatureIdentifier")
        _add(identifier, "DocHashOnly", "false")
        _add(identifier, "HashOnly", "false")
        identifier.set("id", f"signature-{part['identifier']['order']}")
    evaluated = _add(element, "ValidationConstraintsEvaluationReport")
    for one in part["status"]["constraints"]:
        row = _add(evaluated, "ValidationConstraint")
        _add(row, "ValidationConstraintIdentifier", f"urn:fuqi:check:{one['check']}")
        _add(row, "ConstraintStatus", _APPLIED[one["status"]])
        _add(row, "Message", one["en"]).set("lang", "en")
        _add(row, "Message", one["zh"]).set("lang", "zh")
    times = _add(element, "ValidationTimeInfo")
    _add(times, "ValidationTime", whole["validation_time"])
    if part.get("best_signature_time"):
        best = _add(times, "BestSignatureTime")
        _add(best, "POETime", part["best_signature_time"]["poe_time"])
        _add(best, "TypeOfProof", "urn:etsi:019102:poetype:validation")
    status = _add(element, "SignatureValidationStatus")
    _add(status, "MainIndication", part["status"]["main_indication"])
    for sub in part["status"]["sub_indications"]:
        _add(status, "SubIndication", sub)
    return element


_APPLIED: Final = {
    "passed": "urn:etsi:019102:constraintStatus:applied",
    "failed": "urn:etsi:019102:constraintStatus:applied-failed",
    "indeterminate": "urn:etsi:019102:constraintStatus:applied-open",
}


def _element(name: str) -> ET.Element:
    return ET.Element(f"{{{NAMESPACE}}}{name}")


def _add(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    child = ET.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    child.text = text
    return child


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
