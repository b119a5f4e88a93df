"""Receipts: every field that is changed fails the check that is about it; what is missing is never passed.

The receipt is the kept one of tests/golden/receipt. Receipts made from rows are tested
in tests/store/test_log_receipts.py.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from ledger.core.errors import InputError, VerificationError
from ledger.core.report import Verdict
from ledger.note import Checkpoint, NoteSigner
from ledger.receipts import LedgerTrust, entry_fields, verify_receipt

FILE = json.loads(
    (Path(__file__).parents[2] / "golden" / "receipt" / "final_v1.json").read_text(encoding="utf-8")
)
TRUST = LedgerTrust.from_json(FILE["trust"])
CODES = ("entry", "commitment", "inclusion", "checkpoint", "anchor", "chain", "finality")
P, F, U = "passed", "failed", "indeterminate"

# What a receipt states beyond what can be proven offline; the reader is told nothing by it.
UNPROVEN = {
    ("anchor", "tx_hash"),
    ("anchor", "gas_used"),
    ("anchor", "evidence", "kind"),
    ("anchor", "evidence", "network"),
    ("anchor", "evidence", "finality"),
    ("anchor", "evidence", "label_en"),
    ("anchor", "evidence", "label_zh"),
}


@pytest.fixture
def receipt():
    return copy.deepcopy(FILE["receipt"])


def verdicts(receipt, *, trust=TRUST, evidence=None):
    report = verify_receipt(receipt, trust=trust, evidence=evidence)
    assert [check.code for check in report.checks] == [f"receipt.{code}" for code in CODES]
    return dict(zip(CODES, [check.verdict.value for check in report.checks], strict=True))


def scalars(value, path=()):
    """(path, value) of every leaf of a JSON document."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from scalars(item, (*path, key))
    else:
        yield path, value


def with_change(receipt, path, value):
    changed = copy.deepcopy(receipt)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def variants(value):
    """Other values of the same kind, then of other kinds."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, -value - 1, str(value), float(value) + 0.5)
    elif isinstance(value, str):
        yield from (value + "0", value[:-1], "", value.swapcase() + "x")
        if value:
            yield ("1" if value[0] != "1" else "2") + value[1:]
            yield value[:-1] + ("1" if value[-1] != "1" else "2")
    yield from ([value], {"x": value}, 10**30, "\ud800")
    if value is not None:
        yield None


def responsible(path):
    """The check that must fail when this field alone is changed."""
    first = path[0]
    if first in ("v", "state", "entry"):
        return "entry"
    if first == "private":
        return "commitment"
    if first == "log":
        # A path proves a leaf under a root; it may fit two sizes, and the signed note says which is meant.
        return "checkpoint" if path[1] in ("verifier", "note", "size") else "inclusion"
    # The state of the anchor is also that of the receipt.
    return "entry" if path == ("anchor", "state") else "anchor"


def test_the_whole_receipt_passes(receipt):
    assert set(verdicts(receipt).values()) == {P}


@pytest.mark.parametrize("path", [path for path, _ in scalars(FILE["receipt"])], ids=str)
def test_a_field_that_is_changed_fails_the_check_about_it(path):
    receipt = FILE["receipt"]
    value = dict(scalars(receipt))[path]
    for other in variants(value):
        found = verdicts(with_change(receipt, path, other))
        if path in UNPROVEN:
            assert set(found.values()) == {P}, (path, other)
        else:
            assert found[responsible(path)] == F, (path, other, found)


@pytest.mark.parametrize("path", [("private",), ("log",), ("anchor",), ("anchor", "evidence")])
def test_what_is_left_out_is_not_known_rather_than_passed(path, receipt):
    found = verdicts(with_change(receipt, path, None))
    if path == ("private",):  # disclosure is the holder's choice; the entry still commits
        assert set(found.values()) == {P}
        return
    assert found["anchor"] != P
    if path == ("anchor", "evidence"):
        assert (found["anchor"], found["chain"], found["finality"]) == (U, U, U)


@pytest.mark.parametrize("name", ["v", "state", "entry", "private", "log", "anchor"])
def test_a_field_that_is_not_there_at_all_is_malformed(name, receipt):
    del receipt[name]
    assert F in verdicts(receipt).values()


def test_a_journaled_receipt_proves_its_entry_and_no_more(receipt):
    receipt.update(state="journaled", log=None, anchor=None)
    assert verdicts(receipt) == {
        "entry": P, "commitment": P, "inclusion": U, "checkpoint": U, "anchor": U, "chain": U,
        "finality": U,
    }  # fmt: skip


def test_a_logged_receipt_waits_for_the_chain(receipt):
    receipt.update(state="logged", anchor=None)
    assert verdicts(receipt) == {
        "entry": P, "commitment": P, "inclusion": P, "checkpoint": P, "anchor": U, "chain": U,
        "finality": U,
    }  # fmt: skip


def test_a_mined_receipt_waits_to_be_final(receipt):
    receipt["state"] = receipt["anchor"]["state"] = "mined"
    assert verdicts(receipt) == {
        "entry": P, "commitment": P, "inclusion": P, "checkpoint": P, "anchor": U, "chain": P,
        "finality": U,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "left_out"),
    [
        ("final", ("anchor",)),
        ("final", ("log", "anchor")),
        ("logged", ("log", "anchor")),
        ("mined", ()),
        ("journaled", ()),
    ],
)
def test_a_receipt_cannot_claim_a_state_it_does_not_prove(state, left_out, receipt):
    receipt["state"] = state
    receipt.update(dict.fromkeys(left_out))
    assert verdicts(receipt)["entry"] == F


def test_without_a_trust_file_nothing_can_be_relied_on(receipt):
    found = verdicts(receipt, trust=None)
    assert (found.pop("checkpoint"), found.pop("chain"), found.pop("finality")) == (U, U, U)
    assert set(found.values()) == {P}
    assert verify_receipt(receipt, trust=None).verdict is Verdict.INDETERMINATE


def test_a_log_that_is_not_pinned_fails_its_checkpoint(receipt, tmp_path):
    stranger = NoteSigner(tmp_path / "other.key", name=TRUST.verifier.name)
    assert verdicts(receipt, trust=LedgerTrust(stranger.verifier, TRUST.chains))["checkpoint"] == F


def test_a_checkpoint_signed_by_a_strangers_key_under_the_same_name_fails(receipt, tmp_path):
    stranger = NoteSigner(tmp_path / "other.key", name=TRUST.verifier.name)
    log = receipt["log"]
    log["note"] = stranger.sign(
        Checkpoint(TRUST.verifier.name, log["size"], bytes.fromhex(log["root"]))
    )
    assert verdicts(receipt)["checkpoint"] == F
    log["verifier"] = stranger.verifier.text()
    assert verdicts(receipt)["checkpoint"] == F


@pytest.mark.parametrize("field", ["chain_id", "contract", "code_hash"])
def test_a_chain_contract_or_code_that_is_not_pinned_fails(field, receipt):
    trust = copy.deepcopy(FILE["trust"])
    pin = trust["chains"][0]
    pin[field] = pin[field] + 1 if field == "chain_id" else "0x" + "ab" * (len(pin[field]) // 2 - 1)
    assert verdicts(receipt, trust=LedgerTrust.from_json(trust))["chain"] == F


def test_a_pin_is_found_among_others_and_in_capitals(receipt):
    trust = copy.deepcopy(FILE["trust"])
    other = {**trust["chains"][0], "chain_id": 1}
    same = {**trust["chains"][0], "contract": "0x" + trust["chains"][0]["contract"][2:].upper()}
    trust["chains"] = [other, same]
    assert verdicts(receipt, trust=LedgerTrust.from_json(trust))["chain"] == P


def test_trust_in_no_chain_at_all_fails_the_chain(receipt):
    assert verdicts(receipt, trust=LedgerTrust(TRUST.verifier))["chain"] == F


def test_evidence_may_stand_beside_the_receipt(receipt):
    evidence = receipt["anchor"]["evidence"]
    receipt["anchor"]["evidence"] = None
    assert set(verdicts(receipt, evidence=evidence).values()) == {P}
    assert verdicts(receipt)["anchor"] == U
    other = {**evidence, "block_hash": "0x" + "00" * 32}
    found = verdicts(receipt, evidence=other)
    assert (found["anchor"], found["chain"]) == (F, F)


def test_labels_of_the_chain_are_told_wherever_the_evidence_stands(receipt):
    evidence = receipt["anchor"]["evidence"]
    labels = (evidence["label_zh"], evidence["label_en"])
    assert verify_receipt(receipt, trust=TRUST).labels == labels
    receipt["anchor"]["evidence"] = None
    assert verify_receipt(receipt, trust=TRUST).labels == ()
    assert verify_receipt(receipt, trust=TRUST, evidence=evidence).labels == labels


def test_a_report_says_whether_the_body_was_disclosed(receipt):
    assert verify_receipt(receipt, trust=TRUST).checks[1].details == {"disclosed": True}
    receipt["private"] = None
    assert verify_receipt(receipt, trust=TRUST).checks[1].details == {"disclosed": False}


@pytest.mark.parametrize(("length", "verdict"), [(15, F), (16, P), (64, P), (65, F)])
def test_a_salt_has_16_to_64_bytes(receipt, length, verdict):
    salt = bytes(length)
    data = json.dumps(
        receipt["private"]["body"], ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()
    fields = entry_fields(receipt)
    fields["commitments"]["body"] = hmac.new(salt, data, "sha256").hexdigest()
    entry = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    receipt["private"]["salt"] = salt.hex()
    receipt["entry"]["bytes"] = base64.b64encode(entry).decode()
    assert verdicts(receipt)["commitment"] == verdict


def test_an_entry_that_is_whole_but_not_in_the_log_fails_inclusion(receipt):
    fields = entry_fields(receipt)
    fields["actor"] = "acc_somebody_else"
    data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    receipt["entry"].update(
        bytes=base64.b64encode(data).decode(), leaf=hashlib.sha256(b"\x00" + data).hexdigest()
    )
    found = verdicts(receipt)
    assert (found["entry"], found["inclusion"]) == (P, F)


@pytest.mark.parametrize("word", ["\x1b[2Jtype", "<b>x</b>", "", "a" * 65, 7, None, ["a"]])
@pytest.mark.parametrize("field", ["type", "id"])
def test_words_that_could_steer_a_terminal_are_not_printed(field, word, receipt):
    fields = entry_fields(receipt)
    fields[field] = word
    data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    receipt["entry"].update(
        bytes=base64.b64encode(data).decode(), leaf=hashlib.sha256(b"\x00" + data).hexdigest()
    )
    if field == "id":
        receipt["entry"]["id"] = word
    report = verify_receipt(receipt, trust=TRUST)
    assert report.checks[0].verdict is Verdict.FAILED
    assert "\x1b" not in json.dumps(report.as_json(), ensure_ascii=False)


def junk():
    deep = []
    for _ in range(3000):
        deep = [deep]
    yield from (
        None,
        [],
        {},
        "",
        7,
        {"v": "fuqi/receipt/v1"},
        {"anchor": []},
        {"anchor": {"evidence": []}},
    )
    yield dict.fromkeys(FILE["receipt"], deep)
    for name in FILE["receipt"]:
        for value in (None, [], {}, 7, "x", True, deep):
            yield {**copy.deepcopy(FILE["receipt"]), name: value}


def test_nothing_makes_verification_raise_and_no_junk_passes():
    for value in junk():
        if isinstance(value, dict) and value.get("private", 0) is None:
            continue  # leaving the body out is allowed
        for trust in (None, TRUST):
            report = verify_receipt(value, trust=trust)
            assert report.verdict is not Verdict.PASSED, value
            json.dumps(report.as_json(), ensure_ascii=False)


def test_entry_fields_of_what_is_no_entry_are_refused():
    for bad in ({}, {"entry": {}}, {"entry": {"bytes": "!"}}, {"entry": {"bytes": "WzFd"}}):
        with pytest.raises(VerificationError) as caught:
            entry_fields(bad)
        assert caught.value.error_code == "receipt.entry"


# ------------------------------------------------------------------ the trust file
def test_a_trust_file_reads_back():
    assert LedgerTrust.from_json(TRUST.as_json()) == TRUST


@pytest.mark.parametrize("path", [path for path, _ in scalars(FILE["trust"])], ids=str)
def test_a_trust_file_with_a_missing_field_is_refused(path):
    trust = copy.deepcopy(FILE["trust"])
    place = trust
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    with pytest.raises(InputError) as caught:
        LedgerTrust.from_json(trust)
    assert caught.value.error_code == "trust.malformed"


@pytest.mark.parametrize(
    "change", [{"v": "fuqi/ledger-trust/v2"}, {"log": "x"}, {"log": None}, {"chains": 7}]
)
def test_a_trust_file_of_another_shape_is_refused(change):
    with pytest.raises(InputError) as caught:
        LedgerTrust.from_json({**FILE["trust"], **change})
    assert caught.value.error_code == "trust.malformed"


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_what_is_no_object_is_no_trust_file(value):
    with pytest.raises(InputError) as caught:
        LedgerTrust.from_json(value)
    assert caught.value.error_code == "trust.malformed"
