"""What the bytes say: places of signatures, digests in one pass, ends of revisions."""

from __future__ import annotations

import hashlib
import random

import pytest

from signing import changes
from signing.changes import RangeDigests, byte_ranges, range_digest, range_places
from signing.cms import to_der

CHANCE = 20261123


def test_a_name_is_found_however_it_is_written_and_in_order():
    data = b"x /ByteRange [1] /B#79teRange /ByteRang#65 /#42yteRange /ByteRan /ByteRange"
    found = [data[place : place + 5] for place in range_places(data)]
    assert found == [b"/Byte", b"/B#79", b"/Byte", b"/#42y", b"/Byte"]
    assert range_places(b"/By/ByteRange//#42") == [3, 14]
    assert range_places(b"/byterange #42 /Contents") == []


def test_many_escapes_do_not_hide_a_plain_name(monkeypatch):
    monkeypatch.setattr(changes, "PLACES_MAX", 3)
    data = b"/B#79" * 9 + b"/ByteRange" * 9 + b"/B#79"
    assert range_places(data) == [0, 5, 10, 45, 55, 65]


@pytest.mark.parametrize("kept", [400, 4])
def test_digests_are_those_of_the_parts_in_whatever_order_they_are_asked(kept, monkeypatch):
    monkeypatch.setattr(changes, "STOPS_MAX", kept)
    chance = random.Random(CHANCE)
    data = chance.randbytes(5_000)
    digests = RangeDigests(data, stops=[chance.randrange(6_000) for _ in range(30)])
    for _turn in range(400):
        first, second = sorted(chance.randrange(5_000) for _ in range(2))
        numbers = (0, first, second, chance.randrange(5_200 - second))
        name = chance.choice(["sha256", "sha384"])
        assert digests.of_range(numbers, name) == range_digest(data, numbers, name)
        assert digests.of_first(second, name) == hashlib.new(name, data[:second]).digest()
    assert digests.of_first(9_000) == hashlib.sha256(data).digest()


def test_odd_ranges_are_hashed_as_they_stand():
    digests = RangeDigests(b"0123456789")
    for numbers in ((2, 3, 6, 2), (0, 30, 40, 5), (0, 0, 0, 10)):
        assert digests.of_range(numbers, "sha256") == range_digest(b"0123456789", numbers, "sha256")
    with pytest.raises(ValueError, match="unsupported hash"):
        digests.of_range((0, 2, 4, 2), "no-such-hash")


def test_digests_are_carried_to_another_file_as_far_as_both_are_alike():
    chance = random.Random(CHANCE)
    data = chance.randbytes(3_000)
    digests = RangeDigests(data, stops=[1_000, 2_000])
    digests.of_first(3_000)
    for place in (2_999, 2_000, 1_500, 999, 0):
        other = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] + b"more"
        carried = digests.onto(other)
        for size in (500, 1_000, 2_000, 3_000, 3_004):
            assert carried.of_first(size) == hashlib.sha256(other[:size]).digest()
    shorter = digests.onto(data[:1_200])
    assert shorter.of_first(1_200) == hashlib.sha256(data[:1_200]).digest()


@pytest.mark.parametrize("gap", [0, 1, 2_044, 2_048, 2_049, 9_000])
@pytest.mark.parametrize("mark", [b"%%EOF", b"%EOF", b""])
def test_a_revision_ends_at_its_mark_whatever_space_follows(gap, mark):
    head = b"%PDF-1.7\n1 0 obj <</Contents "
    value = b"<" + b"00" * 8 + b">"
    second = len(head) + len(value)
    tail = b" /ByteRange [0 %d %d %010d]>> " % (len(head), second, 0)
    size = len(tail) + len(mark) + gap
    tail = b" /ByteRange [0 %d %d %010d]>> " % (len(head), second, size)
    (found,) = byte_ranges(head + value + tail + mark + b"\n" * gap)
    assert found.fault == ("" if mark == b"%%EOF" else "cut_revision")


def test_der_is_left_as_it_is_and_ber_is_rewritten():
    inside = b"\x02\x01\x05\x04\x02\xab\xcd\x31\x00"
    der = b"\x30\x09" + inside
    assert to_der(der + b"\x00\x00") == (der, len(der))
    for other in (b"\x30\x80" + inside + b"\x00\x00", b"\x30\x81\x09" + inside):
        assert to_der(other) == (der, len(other))
    assert to_der(b"\x24\x06\x04\x01\xab\x04\x01\xcd") == (b"\x04\x02\xab\xcd", 8)
    with pytest.raises(ValueError, match="beyond the end"):
        to_der(der[:-1])
    with pytest.raises(ValueError, match="not BER"):
        to_der(b"\x30\x0a" + inside + b"\x02")
