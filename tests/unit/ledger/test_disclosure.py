"""One field is shown and the rest stay hidden; nothing but the true field can be shown."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.canonical import canonical_bytes
from ledger.core.errors import InputError, VerificationError
from ledger.disclosure import disclose, fields_commitment, verify_disclosure

SALT = bytes(range(32))
BODY = {
    "agreement": "agr_one",
    "name": "示例（虚构）",
    "quantity": 1200,
    "price": None,
    "lines": [{"item": "mask", "count": 3}],
}
ROOT = fields_commitment(BODY, SALT)


def refused(proof, commitment=ROOT):
    with pytest.raises(VerificationError) as caught:
        verify_disclosure(proof, commitment)
    return caught.value.error_code


def test_the_commitment_is_the_one_of_the_specification_by_hand():
    """SOURCE: the module's docstring, with hashlib alone."""
    leaves = []
    for name in sorted(BODY):
        salt = hmac.new(SALT, b"fuqi/field-salt/v1\0" + name.encode(), hashlib.sha256).hexdigest()
        leaf = json.dumps(
            {"name": name, "salt": salt, "value": BODY[name]},
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
        )
        leaves.append(hashlib.sha256(b"\0" + leaf.encode()).digest())
    a, b, c, d, e = leaves

    def node(left, right):
        return hashlib.sha256(b"\x01" + left + right).digest()

    root = node(node(node(a, b), node(c, d)), e).hex()
    committed = f'fuqi/fields/v1\0{{"root":"{root}","size":5}}'.encode()
    assert hashlib.sha256(committed).digest() == ROOT


def test_a_field_is_shown_without_the_rest():
    proof = disclose(BODY, SALT, ["quantity"])
    assert verify_disclosure(proof, ROOT) == {"quantity": 1200}
    text = json.dumps(proof, ensure_ascii=False)
    assert "示例" not in text
    assert "mask" not in text
    assert SALT.hex() not in text


@pytest.mark.parametrize("fields", [[], ["price"], ["name", "lines"], sorted(BODY)])
def test_any_choice_of_fields_can_be_shown(fields):
    if not fields:
        assert refused(disclose(BODY, SALT, fields)) == "disclosure.mismatch"
        return
    proof = json.loads(json.dumps(disclose(BODY, SALT, fields)))
    assert verify_disclosure(proof, ROOT) == {name: BODY[name] for name in fields}


@given(
    body=st.dictionaries(
        st.text(st.characters(codec="ascii"), min_size=1, max_size=6),
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
        min_size=1,
        max_size=40,
    ),
    data=st.data(),
)
def test_every_body_round_trips_with_short_paths(body, data):
    names = data.draw(st.lists(st.sampled_from(sorted(body)), min_size=1, unique=True))
    root = fields_commitment(body, SALT)
    proof = disclose(body, SALT, names)
    assert verify_disclosure(proof, root) == {name: body[name] for name in sorted(names)}
    longest = (len(body) - 1).bit_length()
    assert all(len(item["path"]) <= longest for item in proof["fields"])


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.update(value=1201),
        lambda item: item.update(value="1200"),
        lambda item: item.update(value=True),
        lambda item: item.update(name="quality"),
        lambda item: item.update(salt=bytes(32).hex()),
        lambda item: item.update(index=item["index"] - 1),
        lambda item: item["path"].reverse(),
        lambda item: item["path"].__setitem__(0, bytes(32).hex()),
    ],
)
def test_no_part_of_a_disclosure_can_be_changed(change):
    proof = disclose(BODY, SALT, ["lines"])
    assert len(proof["fields"][0]["path"]) == 3
    change(proof["fields"][0])
    assert refused(proof) in {"disclosure.mismatch", "disclosure.malformed"}


def test_a_field_of_another_record_or_of_another_salt_is_refused():
    other = {**BODY, "quantity": 9}
    assert refused(disclose(other, SALT, ["quantity"])) == "disclosure.mismatch"
    assert refused(disclose(BODY, bytes(32), ["quantity"])) == "disclosure.mismatch"


def test_another_number_of_fields_cannot_be_claimed():
    proof = disclose(BODY, SALT, ["agreement"])
    for size in (4, 6, 7, 8):
        assert refused({**proof, "size": size}) in {"disclosure.mismatch", "disclosure.malformed"}


def test_a_field_is_shown_once_and_in_order():
    proof = disclose(BODY, SALT, ["name", "quantity"])
    first, second = proof["fields"]
    for fields in ([second, first], [first, first], [first, {**first, "index": 4}]):
        assert refused({**proof, "fields": fields}) == "disclosure.malformed"


@pytest.mark.parametrize(
    "damage",
    [
        {"v": "fuqi/disclosure/v2"},
        {"size": "5"},
        {"size": True},
        {"size": 10**9},
        {"fields": None},
        {"fields": [5]},
        {"fields": [{}]},
    ],
)
def test_what_has_another_form_is_malformed(damage):
    assert refused({**disclose(BODY, SALT, ["name"]), **damage}) == "disclosure.malformed"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("index", -1),
        ("index", 5),
        ("index", "2"),
        ("salt", "zz"),
        ("salt", "00"),
        ("path", None),
        ("path", ["00"]),
        ("path", ["00" * 32] * 60),
        ("value", 1.5),
        ("value", 2**60),
        ("value", {"a": {"b": object()}}),
    ],
)
def test_a_field_of_another_form_is_malformed(field, value):
    proof = copy.deepcopy(disclose(BODY, SALT, ["name"]))
    proof["fields"][0][field] = value
    assert refused(proof) == "disclosure.malformed"


def test_an_unknown_field_cannot_be_shown_and_a_body_has_a_limit():
    with pytest.raises(InputError) as caught:
        disclose(BODY, SALT, ["absent"])
    assert caught.value.error_code == "disclosure.unknown_field"
    with pytest.raises(InputError) as caught:
        fields_commitment({str(n): n for n in range(1025)}, SALT)
    assert caught.value.error_code == "disclosure.fields"


def test_a_guess_of_a_hidden_field_cannot_be_confirmed_from_what_was_shown():
    """The neighbour's leaf is in the path; every 32 bytes at hand, tried as its salt, do not make it."""
    proof = disclose(BODY, SALT, ["agreement"])
    item = proof["fields"][0]
    sibling = item["path"][0]
    at_hand = [bytes(32), bytes.fromhex(item["salt"]), *map(bytes.fromhex, item["path"]), ROOT]
    tried = {
        hashlib.sha256(
            b"\0" + canonical_bytes({"name": "lines", "salt": salt.hex(), "value": BODY["lines"]})
        ).hexdigest()
        for salt in at_hand
    }
    assert sibling not in tried
    true = hmac.new(SALT, b"fuqi/field-salt/v1\0lines", hashlib.sha256).hexdigest()
    leaf = canonical_bytes({"name": "lines", "salt": true, "value": BODY["lines"]})
    assert hashlib.sha256(b"\0" + leaf).hexdigest() == sibling
