"""The encoder: what it refuses, each with its code, and what it writes for the rest."""

from __future__ import annotations

import enum
import hashlib
import hmac
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from ledger.core import canonical
from ledger.core.canonical import canonical_bytes, canonical_parse, commitment, tagged_digest
from ledger.core.errors import InputError


class Word(enum.StrEnum):
    YES = "yes"


class Number(enum.IntEnum):
    ONE = 1


def refusal(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return caught.value.error_code


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        (True, b"true"),
        (0, b"0"),
        (-7, b"-7"),
        (2**53 - 1, b"9007199254740991"),
        (1 - 2**53, b"-9007199254740991"),
        ("", b'""'),
        ([], b"[]"),
        ((1, 2), b"[1,2]"),
        ({}, b"{}"),
        ({"b": 1, "a": 2, "A": 3, "10": 4, "9": 5}, b'{"10":4,"9":5,"A":3,"a":2,"b":1}'),
        ("符契 \U0002aae9", '"符契 \U0002aae9"'.encode()),
        ("\u2028\u2029\x7f", b'"\xe2\x80\xa8\xe2\x80\xa9\x7f"'),
        ('\x00\x1f\b\t\n\f\r"\\/', b'"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/"'),
        (Word.YES, b'"yes"'),
        (Number.ONE, b"1"),
        (MappingProxyType({"b": MappingProxyType({"y": 1, "x": [2]}), "a": 1}),
         b'{"a":1,"b":{"x":[2],"y":1}}'),
    ],
)  # fmt: skip
def test_what_is_allowed_has_exactly_one_form(value, expected):
    assert canonical_bytes(value) == expected
    assert canonical_bytes(canonical_parse(expected)) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.0, "canonical.float"),
        (float("nan"), "canonical.float"),
        (float("inf"), "canonical.float"),
        ([{"a": -0.0}], "canonical.float"),
        (2**53, "canonical.integer_range"),
        (-(2**53), "canonical.integer_range"),
        pytest.param(10**5000, "canonical.integer_range", id="5001-digits"),
        ({"é": 1}, "canonical.key"),
        ({1: 1}, "canonical.key"),
        ({None: 1}, "canonical.key"),
        ({"a": {"\ud800": 1}}, "canonical.key"),
        ("\ud800", "canonical.surrogate"),
        (["ok", "\udfff"], "canonical.surrogate"),
        (nested(canonical.DEPTH_MAX + 1), "canonical.depth"),
        (b"bytes", "canonical.type"),
        ({1, 2}, "canonical.type"),
        (datetime(2026, 1, 1, tzinfo=UTC), "canonical.type"),
        (object(), "canonical.type"),
        (iter([]), "canonical.type"),
    ],
)
def test_what_two_programs_could_write_differently_is_refused(value, code):
    assert refusal(canonical_bytes, value) == code


def test_the_deepest_allowed_document_is_written():
    assert canonical_bytes(nested(canonical.DEPTH_MAX)).count(b"[") == canonical.DEPTH_MAX + 1


def test_a_document_that_holds_itself_is_too_deep():
    loop = []
    loop.append(loop)
    assert refusal(canonical_bytes, loop) == "canonical.depth"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "canonical.not_json"),
        (b"{", "canonical.not_json"),
        (b"\xff", "canonical.not_json"),
        (b"\xef\xbb\xbf1", "canonical.not_json"),
        (b"1 2", "canonical.not_json"),
        (b"'a'", "canonical.not_json"),
        pytest.param(b"[" * 100_000, "canonical.depth", id="deep"),
        pytest.param(b"9" * 5000, "canonical.not_json", id="long-number"),
        (b" 1", "canonical.not_canonical"),
        (b"1\n", "canonical.not_canonical"),
        (b"-0", "canonical.not_canonical"),
        (b'{"b":1,"a":2}', "canonical.not_canonical"),
        (b'{"a":1,"a":1}', "canonical.not_canonical"),
        (b'{"a": 1}', "canonical.not_canonical"),
        (b'"\\u0041"', "canonical.not_canonical"),
        (b'"\\/"', "canonical.not_canonical"),
        (b'"\\u001F"', "canonical.not_canonical"),
        (b"1.0", "canonical.float"),
        (b"1e2", "canonical.float"),
        (b"NaN", "canonical.float"),
        (b"Infinity", "canonical.float"),
        (b'"\\ud800"', "canonical.surrogate"),
        (b"9007199254740992", "canonical.integer_range"),
        (b'{"\xc3\xa9":1}', "canonical.key"),
    ],
)
def test_bytes_that_are_not_the_one_form_are_refused_and_never_repaired(data, code):
    assert refusal(canonical_parse, data) == code


def test_a_tagged_digest_is_sha256_over_tag_zero_and_bytes():
    expected = hashlib.sha256(b"fuqi/x/v1\x00" + b'{"a":1}').digest()
    assert tagged_digest("fuqi/x/v1", {"a": 1}) == expected
    assert tagged_digest("fuqi/x/v2", {"a": 1}) != expected


def test_a_commitment_is_an_hmac_and_needs_its_salt():
    salt = bytes(range(32))
    expected = hmac.new(salt, b'{"a":1}', hashlib.sha256).digest()
    assert commitment(salt, {"a": 1}) == expected
    assert commitment(bytes(32), {"a": 1}) != expected
    assert commitment(salt, {"a": 2}) != expected


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_salt_of_another_length_is_our_own_bug(length):
    with pytest.raises(AssertionError):
        commitment(bytes(length), {})


@pytest.mark.parametrize("length", [16, 64])
def test_a_salt_at_the_limits_is_taken(length):
    assert len(commitment(bytes(length), {})) == 32


def test_brackets_inside_text_are_no_nesting():
    """Found in review: an escaped quote must not turn the inside of a text outside."""
    value = [['a"[', "\\", '["' * 70] for _ in range(100)]
    assert canonical_parse(canonical_bytes(value)) == value
    with pytest.raises(InputError) as caught:
        canonical_parse(b'["' + b"\\\\" + b'",' + b"[" * 70)
    assert caught.value.error_code == "canonical.depth"
