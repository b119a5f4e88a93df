"""NIST PKITS beside pyHanko's own validator: nothing that must be refused is accepted.

docs/reference/verification.md holds the table; this test holds it to the truth. Cases that set initial policy
inputs are left out: fuqi takes no policy inputs, so they ask a question that is never asked here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest

from ledger.core.report import Verdict
from signing.trust import Purpose, RevocationList, check_path, check_revocation

ROOT = Path(__file__).resolve().parents[3]
PKITS = ROOT.parent / "shared" / "corpora" / "pkits"
TABLE = ROOT / "docs" / "reference" / "verification.md"
AT = datetime(2026, 11, 23, tzinfo=UTC)
pytestmark = pytest.mark.skipif(not PKITS.is_dir(), reason="../shared/corpora/pkits is absent")


@lru_cache(maxsize=1)
def cases():
    found = json.loads((PKITS / "pkits.json").read_text("utf-8"))
    return [case for case in found if "params" not in case]


@lru_cache(maxsize=1)
def outcomes():
    return {case["name"]: accepted(case) for case in cases()}


def accepted(case) -> bool:
    def read(folder, name):
        return (PKITS / folder / name).read_bytes()

    others = [read("certs", name) for name in case.get("other_certs", [])]
    path = check_path(
        read("certs", case["cert"]),
        others=others,
        roots=[read("certs", "TrustAnchorRootCertificate.crt")],
        at=AT,
        purpose=Purpose.SIGNING,
    )
    if path.verdict is not Verdict.PASSED:
        return False
    names = ["TrustAnchorRootCRL.crl", *case.get("crls", [])]
    lists = [RevocationList(read("crls", name)) for name in names]
    found = check_revocation(path.path, lists=lists, used_at=AT, at=AT, others=others)
    return found.verdict is Verdict.PASSED


def section(case) -> str:
    return f"4.{int(case['id'][1:3])}"


def test_nothing_that_must_be_refused_is_accepted():
    wrong = [case["name"] for case in cases() if "error" in case and outcomes()[case["name"]]]
    assert wrong == []


def test_the_table_in_the_documentation_is_what_comes_out():
    total, refused, valid, passed = Counter(), Counter(), Counter(), Counter()
    for case in cases():
        total[section(case)] += 1
        ok = outcomes()[case["name"]]
        if "error" in case:
            refused[section(case)] += not ok
        else:
            valid[section(case)] += 1
            passed[section(case)] += ok
    told = {
        row[0]: tuple(int(cell) for cell in row[1:])
        for row in re.findall(
            r"^\| (4\.\d+) [^|]*\| (\d+) \| (\d+) of (?:\d+) \| (\d+) of (?:\d+) \|",
            TABLE.read_text("utf-8"),
            re.MULTILINE,
        )
    }
    assert told == {name: (total[name], refused[name], passed[name]) for name in total}


def test_without_lists_nothing_is_clear():
    """The second step clears by what the lists say, never for want of them."""
    for case in cases():
        if "error" in case or not outcomes()[case["name"]]:
            continue
        assert not accepted({**case, "crls": []}) or not case.get("crls")
