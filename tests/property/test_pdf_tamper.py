"""Whatever byte of a signed file is changed, cut or added: it does not pass, and nothing raises."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.core.errors import FuqiError
from ledger.core.report import Verdict
from signing.changes import byte_ranges
from signing.cms import read_container, to_der
from signing.pdf import intake
from signing.testing import throwaway_pki
from signing.testing_pdf import raw_pdf, two_party_sample
from signing.validate import validate_pdf

FEW = settings(max_examples=60)


@lru_cache(maxsize=1)
def sample():
    return two_party_sample(throwaway_pki(Path(mkdtemp(prefix="fuqi-test-"))))


def verdict(data: bytes) -> Verdict:
    return validate_pdf(data, trust=sample().trust, at=sample().at).verdict


def outcome(data: bytes) -> str:
    try:
        intake(data)
    except FuqiError as exc:
        return exc.error_code
    return "accepted"


def test_the_untouched_file_passes():
    assert verdict(sample().data) is Verdict.PASSED


@FEW
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_never_passes(where, bit):
    data = bytearray(sample().data)
    data[int(where * len(data))] ^= 1 << bit
    assert verdict(bytes(data)) is not Verdict.PASSED


@FEW
@given(which=st.integers(0, 1), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(which=0, where=0.0, bit=0)
def test_one_flipped_bit_in_a_signature_container_never_passes(which, where, bit):
    """The container is outside the signed bytes: certificates, algorithms and time stamp in it too."""
    found = byte_ranges(sample().data)[which]
    used = len(found.contents.rstrip(b"\x00"))
    position = found.numbers[1] + 1 + 2 * int(where * used)
    value = int(sample().data[position : position + 2], 16) ^ (1 << bit)
    data = sample().data[:position] + b"%02X" % value + sample().data[position + 2 :]
    assert verdict(data) is not Verdict.PASSED


def test_one_flipped_bit_in_each_table_and_marker_never_passes():
    data = sample().data
    for word in (
        b"startxref",
        b"%%EOF",
        b"/ByteRange",
        b"/Contents",
        b"trailer",
        b"/Root",
        b"/Prev",
    ):
        position = data.find(word)
        while position >= 0:
            changed = bytearray(data)
            changed[position + 1] ^= 1
            assert verdict(bytes(changed)) is not Verdict.PASSED, word
            position = data.find(word, position + 1)


@FEW
@given(tail=st.binary(min_size=1, max_size=200))
def test_whatever_is_appended_never_passes(tail):
    assert verdict(sample().data + tail) is not Verdict.PASSED


@FEW
@given(where=st.floats(0, 1, exclude_max=True), piece=st.binary(min_size=1, max_size=40))
def test_whatever_is_inserted_never_passes(where, piece):
    at = int(where * len(sample().data))
    assert verdict(sample().data[:at] + piece + sample().data[at:]) is not Verdict.PASSED


@FEW
@given(where=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_passes_only_at_the_end_of_a_signed_revision(where):
    size = int(where * len(sample().data))
    ends = {found.end for found in byte_ranges(sample().data)}
    if size not in ends:
        assert verdict(sample().data[:size]) is not Verdict.PASSED


@FEW
@given(data=st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_our_errors(data):
    for candidate in (data, b"%PDF-1.7\n" + data, raw_pdf([])[:-6] + data + b"%%EOF"):
        assert verdict(candidate) is not Verdict.PASSED
        assert outcome(candidate).startswith(("accepted", "pdf."))


@FEW
@given(data=st.binary(max_size=300))
def test_random_containers_are_refused_in_our_words(data):
    with pytest.raises(FuqiError) as caught:
        read_container(data)
    assert caught.value.error_code.startswith("cms.")


@given(value=st.binary(max_size=600), pieces=st.integers(1, 5))
def test_indefinite_lengths_and_pieces_become_one_der_value(value, pieces):
    """BER as some signers write it: 24 80 (04 len …)* 00 00."""
    size = max(1, len(value) // pieces)
    parts = [value[i : i + size] for i in range(0, len(value), size)]
    body = b"".join(_octets(part) for part in parts)
    encoded = b"\x30\x80\x24\x80" + body + b"\x00\x00\x00\x00"
    der, length = to_der(encoded + b"tail")
    assert length == len(encoded)
    inner = _octets(value)
    header = bytes((0x30, len(inner))) if len(inner) < 128 else _long_header(0x30, len(inner))
    assert der == header + inner
    assert to_der(der) == (der, len(der))


def _octets(value: bytes) -> bytes:
    if len(value) < 128:
        return bytes((4, len(value))) + value
    return _long_header(4, len(value)) + value


def _long_header(tag: int, length: int) -> bytes:
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size
