"""Whatever is done to a receipt, verification answers, and nothing that matters can change and still pass."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ledger.core.report import Verdict
from ledger.ledger_trust import LedgerTrust
from ledger.receipt_checking import verify_receipt, verify_receipt_text

VECTOR = json.loads(
    (Path(__file__).parents[1] / "golden/receipt/vectors/valid-final.json").read_text("utf-8")
)
RECEIPT, TRUST = VECTOR["receipt"], LedgerTrust.from_json(VECTOR["trust"])
TEXT = json.dumps(RECEIPT, ensure_ascii=False, separators=(",", ":")).encode()
TOLD = ("tx_hash", "gas_used")  # what a receipt tells and does not prove, in the anchor
TOLD_IN_EVIDENCE = ("kind", "network", "finality", "label_en", "label_zh")
PROVEN_IN_EVIDENCE = set(RECEIPT["anchor"]["evidence"]) - set(TOLD_IN_EVIDENCE)


def proven(receipt):
    """The receipt without what it only tells."""
    value = json.loads(json.dumps(receipt))
    anchor = value["anchor"]
    for name in TOLD:
        anchor.pop(name, None)
    evidence = anchor["evidence"]
    anchor["evidence"] = {name: evidence.get(name) for name in sorted(PROVEN_IN_EVIDENCE)}
    return value


@given(at=st.integers(0, len(TEXT) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_fails_or_changes_nothing_that_is_proven(at, byte):
    data = TEXT[:at] + bytes([byte]) + TEXT[at + 1 :]
    report = verify_receipt_text(data, trust=TRUST)
    if report.verdict is Verdict.PASSED:
        # A byte of white space, of what is only told, or the same byte.
        assert proven(json.loads(data)) == proven(RECEIPT)


@given(cut=st.integers(0, len(TEXT) - 1))
def test_a_cut_receipt_never_passes(cut):
    assert verify_receipt_text(TEXT[:cut], trust=TRUST).verdict is Verdict.FAILED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        ("v",),
        ("state",),
        ("entry",),
        ("private",),
        ("log",),
        ("anchor",),
        ("status",),
        ("disclosed",),
    ]
    + [(name, key) for name in ("entry", "log", "anchor", "private") for key in RECEIPT[name]]
    + [("anchor", "evidence", key) for key in RECEIPT["anchor"]["evidence"]]
)


@given(place=PLACES, value=JSON)
def test_any_value_in_any_place_is_answered(place, value):
    changed = json.loads(json.dumps(RECEIPT))
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    for trust in (TRUST, None):
        report = verify_receipt(changed, trust=trust)
        json.dumps(report.as_json(), ensure_ascii=False)
        told = place[-1] in (*TOLD, *TOLD_IN_EVIDENCE)
        nothing = (
            value is None and place[0] in ("private", "status", "disclosed") and len(place) == 1
        )
        if not told and not nothing:
            assert report.verdict is not Verdict.PASSED or proven(changed) == proven(RECEIPT)


@given(value=JSON)
def test_anything_at_all_is_answered_and_is_no_receipt(value):
    assert verify_receipt(value, trust=TRUST).verdict is Verdict.FAILED
    assert verify_receipt_text(json.dumps(value).encode(), trust=TRUST).verdict is Verdict.FAILED
