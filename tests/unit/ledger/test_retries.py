"""A retry is recognised field by field; the first field that differs, in declared order, is named."""

from __future__ import annotations

import itertools
import json

import pytest

from api.flows.idempotency import fingerprint, require_same
from ledger.core.errors import ExistsWithDifferentFieldError, InputError

FIELDS = {"kind": "organisation", "name": "示例（虚构）", "signers": [["a", "b"]], "limit": None}


def named(stored, fields):
    with pytest.raises(ExistsWithDifferentFieldError) as caught:
        require_same(stored, fields, id="pty_x")
    assert caught.value.error_code == "state.exists_with_different_field"
    assert caught.value.context["id"] == "pty_x"
    return caught.value.context["field"]


def test_the_same_body_is_the_same():
    require_same(fingerprint(FIELDS), dict(FIELDS), id="pty_x")


def test_the_order_in_which_fields_arrive_does_not_matter():
    for order in itertools.permutations(FIELDS.items()):
        require_same(fingerprint(dict(order)), FIELDS, id="pty_x")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "person"),
        ("name", "示例（虚构） "),
        ("signers", [["b", "a"]]),
        ("signers", []),
        ("limit", 0),
        ("limit", False),
    ],
)
def test_any_changed_field_is_named(field, value):
    assert named(fingerprint(FIELDS), {**FIELDS, field: value}) == field


def test_of_several_changes_the_first_declared_is_named():
    assert named(fingerprint(FIELDS), {**FIELDS, "limit": 1, "name": "x"}) == "name"


def test_a_field_more_or_less_is_a_change():
    assert named(fingerprint(FIELDS), {**FIELDS, "extra": 1}) == "extra"
    fewer = {name: value for name, value in FIELDS.items() if name != "signers"}
    assert named(fingerprint(FIELDS), fewer) == "signers"


def test_a_fingerprint_shows_no_value():
    text = fingerprint(FIELDS)
    assert "organisation" not in text
    assert all(len(digest) == 64 for digest in json.loads(text).values())


def test_a_value_without_a_canonical_form_is_refused():
    with pytest.raises(InputError) as caught:
        fingerprint({"x": 1.5})
    assert caught.value.error_code == "canonical.float"
