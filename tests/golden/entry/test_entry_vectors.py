"""Entry bytes of every type stay the same for ever.

SOURCE: made by scripts/golden_ledger.py; verified here with the standard library alone (`by_hand`).
"""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from ledger.core.errors import VerificationError
from ledger.disclosure import disclose, verify_disclosure
from ledger.entry_reader import COMMITMENTS, read_entry
from ledger.entry_types import ENTRY_TYPES, ENTRY_VERSIONS

FILE = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
VECTORS = FILE["vectors"]
SECOND = json.loads((Path(__file__).parent / "vectors_v2.json").read_text(encoding="utf-8"))[
    "vectors"
]
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "entries.md"
ARCHITECTURE = {
    "identity.checked", "certificate.issued", "document.finalised", "document.delivered", "document.opened",
    "document.read", "intent.expressed", "signature.applied", "agreement.formed", "need.posted", "offer.posted",
    "round.opened", "round.closed", "allocation.accepted", "lot.handed", "lot.received", "lot.rejected",
    "lot.used", "case.opened", "ruling.made", "key.revoked", "data.restricted",
}  # fmt: skip
"""Every step that architecture.md §3 names."""
FIELDS = {"v", "id", "type", "at", "subject", "actor", "commitments", "prev"}


def by_hand(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["type"] for vector in VECTORS])
def test_an_entry_holds_its_fields_its_commitment_and_nothing_of_its_body(vector):
    entry = json.loads(vector["bytes"])
    assert by_hand(entry) == vector["bytes"].encode()
    assert set(entry) == FIELDS
    assert (entry["v"], entry["type"]) == ("fuqi/entry/v1", vector["type"])
    salt = bytes.fromhex(vector["salt"])
    promised = hmac.new(salt, by_hand(vector["body"]), hashlib.sha256).hexdigest()
    assert entry["commitments"] == {"body": promised}
    assert "invented" not in vector["bytes"]
    assert "示例" not in vector["bytes"]
    assert hashlib.sha256(b"\x00" + vector["bytes"].encode()).hexdigest() == vector["leaf"]


def test_an_entry_names_the_leaf_before_it_or_says_that_there_is_none():
    for vector in VECTORS:
        assert json.loads(vector["bytes"])["prev"] == vector["prev"]
    assert {type(vector["prev"]) for vector in VECTORS} == {str, type(None)}


def test_no_type_is_ever_removed_or_renamed_and_each_new_one_gets_a_vector():
    """A new type? `make golden` adds its vector. A type that went away is never allowed."""
    assert {vector["type"] for vector in VECTORS} - set(ENTRY_TYPES) == set()
    assert set(ENTRY_TYPES) - {vector["type"] for vector in VECTORS} == set()


def test_a_type_has_one_form():
    for name in ENTRY_TYPES:
        noun, _, verb = name.partition(".")
        assert noun.isalpha(), name
        assert verb.isalpha(), name
        assert len(name) <= 40


def test_every_step_that_the_design_names_has_its_type():
    assert ARCHITECTURE - set(ENTRY_TYPES) == set()


def test_every_version_ever_written_has_golden_entries_and_a_reader():
    written = {json.loads(vector["bytes"])["v"] for vector in VECTORS + SECOND}
    assert written == set(ENTRY_VERSIONS) == set(COMMITMENTS)


@pytest.mark.parametrize("vector", VECTORS + SECOND, ids=lambda vector: vector["type"])
def test_the_reader_of_each_version_stays(vector):
    entry = read_entry(vector["bytes"].encode())
    raw = json.loads(vector["bytes"])
    assert (entry.v, entry.type, entry.id) == (raw["v"], vector["type"], raw["id"])
    assert entry.body_commitment.hex() == raw["commitments"]["body"]
    assert (None if entry.prev is None else entry.prev.hex()) == vector["prev"]


@pytest.mark.parametrize("vector", SECOND, ids=lambda vector: vector["type"])
def test_one_field_of_a_second_version_entry_is_shown_without_the_rest(vector):
    entry = read_entry(vector["bytes"].encode())
    proof = disclose(vector["body"], bytes.fromhex(vector["salt"]), ["quantity"])
    assert verify_disclosure(proof, entry.fields_commitment) == {"quantity": 1000}
    proof["fields"][0]["value"] = 1001
    with pytest.raises(VerificationError):
        verify_disclosure(proof, entry.fields_commitment)


@pytest.mark.parametrize(
    "change",
    [
        {"v": "fuqi/entry/v9"}, {"extra": 1}, {"prev": "00"}, {"at": "yesterday"}, {"actor": None},
        {"commitments": {}}, {"commitments": {"body": "zz"}},
        {"commitments": {"body": "00" * 32, "x": "00" * 32}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_entry_is_refused(change):
    raw = json.loads(VECTORS[0]["bytes"]) | change
    with pytest.raises(VerificationError) as caught:
        read_entry(by_hand(raw))
    assert caught.value.error_code == "entry.malformed"
    with pytest.raises(VerificationError):
        read_entry(VECTORS[0]["bytes"].encode() + b" ")


def test_the_page_shows_every_type_with_its_body():
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name, text in ENTRY_TYPES.items() if f"| `{name}` | {text} |" not in page]
    assert missing == []
    assert page.count("\n| `") == len(ENTRY_TYPES)
