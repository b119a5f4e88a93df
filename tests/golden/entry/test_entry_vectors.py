"""Entry bytes of every type stay the same for ever.

SOURCE: made by scripts/golden_ledger.py; verified here with the standard library alone (`by_hand`).
"""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from ledger.entry_types import ENTRY_TYPES

FILE = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
VECTORS = FILE["vectors"]
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
