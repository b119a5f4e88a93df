"""Every public vector comes to what it states, every rule has one, and the generator makes them."""

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ledger.core.report import Verdict
from ledger.core.units import parse_utc
from ledger.ledger_trust import LedgerTrust
from ledger.note import CosignerKey, VerifierKey, cosignature_time, open_note
from ledger.receipt_checking import verify_receipt, verify_receipt_text
from ledger.tlog_proof import read_tlog_proof, receipt_of, tlog_proof_of

FOLDER = Path(__file__).parent
VECTORS = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("vectors/*.json")}
BY_HAND = {"R-32"}  # a text, tested below


def report_of(vector):
    trust = None if vector["trust"] is None else LedgerTrust.from_json(vector["trust"])
    at = parse_utc(vector["at"]) if "at" in vector else None
    if "receipt" in vector:
        evidence = vector.get("evidence")
        return verify_receipt(vector["receipt"], trust=trust, evidence=evidence, at=at)
    if "receipt_base64" in vector:
        data = base64.b64decode(vector["receipt_base64"])
    else:
        data = vector["receipt_text"].encode()
    return verify_receipt_text(data.ljust(vector.get("pad_to", 0)), trust=trust, at=at)


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_the_vector_comes_to_what_it_states(name):
    vector = VECTORS[name]
    report = report_of(vector)
    found = {check.code: check.verdict.value for check in report.checks}
    assert found == vector["expected"]["findings"], [check.summary_en for check in report.checks]
    assert report.verdict.value == vector["expected"]["verdict"]
    assert vector["name"] == name


@pytest.mark.parametrize("name", sorted(n for n, v in VECTORS.items() if "receipt" in v))
def test_the_same_receipt_as_text_comes_to_the_same(name):
    vector = VECTORS[name]
    if "evidence" in vector:  # only a bundle has evidence beside a receipt
        return
    data = json.dumps(vector["receipt"], ensure_ascii=False).encode()
    trust = None if vector["trust"] is None else LedgerTrust.from_json(vector["trust"])
    at = parse_utc(vector["at"]) if "at" in vector else None
    found = verify_receipt_text(data, trust=trust, at=at)
    assert {c.code: c.verdict.value for c in found.checks} == vector["expected"]["findings"]


def test_there_are_enough_of_them_and_most_are_attacks():
    verdicts = [vector["expected"]["verdict"] for vector in VECTORS.values()]
    assert len(verdicts) >= 50
    assert verdicts.count("failed") > len(verdicts) / 2
    assert verdicts.count("passed") >= 10


def test_every_rule_has_a_vector_and_every_vector_a_rule(repository):
    page = (repository / "docs" / "reference" / "receipts.md").read_text("utf-8")
    rules = re.findall(r"^- \*\*(R-[0-9]+)\*\*", page, re.MULTILINE)
    assert rules == [f"R-{number}" for number in range(1, len(rules) + 1)]
    assert set(rules) == {vector["must"] for vector in VECTORS.values()} | BY_HAND
    counts = Counter(vector["expected"]["verdict"] for vector in VECTORS.values())
    told = f"Of {len(VECTORS)} public vectors {counts['failed']} must fail and "
    assert told + f"{counts['indeterminate']} stay open" in page


def test_every_finding_speaks_chinese():
    for name, vector in VECTORS.items():
        for check in report_of(vector).checks:
            words = re.sub(r"（[a-z.]+）|[a-z-]+\.[a-z.]+\S*|fuqi\S*", "", check.summary_zh)
            assert re.search(r"[\u4e00-\u9fff]{3}", words), (name, check)
            assert not re.search(r"[a-z]+ [a-z]+ [a-z]+", words), (name, check.summary_zh)


def test_the_files_are_those_that_the_generator_makes(repository):
    done = subprocess.run(
        [sys.executable, str(repository / "scripts" / "golden_receipts.py")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=repository,
        env={"PYTHONPATH": str(repository), "PATH": ""},
    )
    assert (done.stdout.split(), done.returncode) == ([], 0), done.stderr


# ------------------------------------------------------------------ tlog-proof@v1
PROOF = (FOLDER / "golden.tlog-proof").read_bytes()
LOG, *WITNESSES = (FOLDER / "golden.keys").read_text("utf-8").splitlines()


def test_the_kept_proof_reads_back_byte_for_byte():
    proof = read_tlog_proof(PROOF)
    assert proof.text().encode() == PROOF
    verifier = VerifierKey.parse(LOG)
    assert tlog_proof_of(receipt_of(proof, verifier=verifier)).encode() == PROOF
    assert open_note(proof.note, verifier=verifier).size == 11
    times = [cosignature_time(proof.note, witness=CosignerKey.parse(key)) for key in WITNESSES]
    assert times == [1_795_412_200, 1_795_412_200, None]


def test_the_kept_proof_verifies_as_a_logged_receipt():
    verifier = VerifierKey.parse(LOG)
    report = verify_receipt(
        receipt_of(read_tlog_proof(PROOF), verifier=verifier), trust=LedgerTrust(verifier)
    )
    found = {check.code.removeprefix("receipt."): check.verdict for check in report.checks}
    passed = {"entry", "commitment", "inclusion", "checkpoint"}
    assert {code for code, verdict in found.items() if verdict is Verdict.PASSED} == passed
    assert report.verdict is Verdict.INDETERMINATE
