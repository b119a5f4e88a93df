"""Pages as pictures: bounded, real, and refused where there is nothing to draw."""

from __future__ import annotations

import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.core.errors import FuqiError
from signing import pdf, render
from signing.appearance import FieldSpec
from signing.render import Box, Document, page_count, page_png, page_texts
from signing.testing import throwaway_pki
from signing.testing_pdf import raw_pdf, two_party_sample


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(FuqiError) as caught:
        call(*args, **kwargs)
    return caught.value.error_code


def pixels_of(png: bytes) -> tuple[int, int, bytes]:
    """A PNG reader of our own for the one kind that is written."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    position, parts = 8, {}
    while position < len(png):
        (size,) = struct.unpack(">I", png[position : position + 4])
        kind, body = png[position + 4 : position + 8], png[position + 8 : position + 8 + size]
        (crc,) = struct.unpack(">I", png[position + 8 + size : position + 12 + size])
        assert crc == zlib.crc32(kind + body)
        parts[kind] = body
        position += 12 + size
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    raw = zlib.decompress(parts[b"IDAT"])
    rows = [raw[y * (1 + 3 * width) + 1 : (y + 1) * (1 + 3 * width)] for y in range(height)]
    return width, height, b"".join(rows)


def test_a_page_becomes_a_png_with_its_text_in_black_on_white():
    width, height, pixels = pixels_of(page_png(raw_pdf([]), page=0, side_px=300))
    assert (width, height) == (300, 300)
    assert pixels[:3] == b"\xff\xff\xff"
    text_band = pixels[30 * 900 : 55 * 900]
    assert min(text_band) < 60
    assert min(pixels[100 * 900 :]) == 255, "nothing is drawn below"


def test_the_longest_side_is_bounded():
    width, _height, _pixels = pixels_of(page_png(raw_pdf([]), page=0, side_px=10**6))
    assert width == render.SIDE_MAX_PX


def test_a_signature_box_is_visible_in_the_picture(tmp_path):
    sample = two_party_sample(throwaway_pki(tmp_path))
    placed = pdf.place_fields(
        raw_pdf([]),
        [FieldSpec("party_a", 0, 10, 10, 130, 70), FieldSpec("party_b", 0, 150, 10, 130, 70)],
    )
    before, after = (pixels_of(page_png(d, page=0, side_px=300))[2] for d in (placed, sample.data))
    lower = slice(225 * 900, 285 * 900)
    assert before != after
    assert before[lower] == b"\xff" * len(before[lower])
    assert min(after[lower]) < 120
    assert before[: 200 * 900] == after[: 200 * 900], "nothing else has changed"


def test_text_is_read_page_by_page():
    assert page_texts(raw_pdf([])) == ("Pay 100 yuan",)
    assert page_count(raw_pdf([])) == 1


def test_a_masked_box_hides_what_is_beneath_it_and_nothing_else():
    deadline = time.monotonic() + 20
    other = raw_pdf([]).replace(b"100", b"900", 1)
    mask = [Box(page=0, left=0, bottom=240, right=300, top=280)]
    with Document(raw_pdf([])) as one, Document(other) as two:
        seen = [d.view(0, side_px=300, masks=(), deadline=deadline) for d in (one, two)]
        hidden = [d.view(0, side_px=300, masks=mask, deadline=deadline) for d in (one, two)]
    assert seen[0].pixels != seen[1].pixels
    assert hidden[0].pixels == hidden[1].pixels
    assert hidden[0].text != hidden[1].text, "text is compared apart from pixels"


@pytest.mark.parametrize("page", [-1, 1, 99])
def test_a_page_that_is_not_there_is_refused(page):
    assert code_of(page_png, raw_pdf([]), page=page) == "render.no_such_page"


@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.7\n%%EOF"])
def test_what_is_no_pdf_is_refused(data):
    assert code_of(page_png, data, page=0) == "render.broken"


def test_a_file_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(render, "BYTES_MAX", 100)
    assert code_of(page_count, raw_pdf([])) == "render.too_large"


def test_a_page_that_takes_too_long_is_given_up():
    heavy = b"0 0 m 300 300 l S " * 200_000
    data = raw_pdf([f"<< /Length {len(heavy)} >>\nstream\n{heavy.decode()}\nendstream"])
    data = data.replace(b"/Contents 4 0 R", b"/Contents 6 0 R")
    with Document(data) as document:
        assert (
            code_of(document.view, 0, side_px=900, masks=(), deadline=time.monotonic() - 1)
            == "render.too_slow"
        )
        page = document.view(0, side_px=100, masks=(), deadline=time.monotonic() + 60)
    assert page.width == 100


def test_pages_can_be_asked_for_by_many_threads_at_once():
    data = raw_pdf([])
    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(lambda _n: page_png(data, page=0, side_px=200), range(24)))
    assert len(made) == 1
