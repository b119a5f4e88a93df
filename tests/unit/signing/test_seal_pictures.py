"""Uploaded pictures: pixels encoded anew, everything else gone, hostile files refused."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from ledger.core.errors import FuqiError
from signing.seal_pictures import BYTES_MAX, KEPT_SIDE, clean_picture
from signing.seals import Picture, Shape


def a_seal(*, size: int = 400, mode: str = "RGB", form: str = "PNG", **options: object) -> bytes:
    """A red ring on white with a margin."""
    image = Image.new(mode, (size, size), "white")
    ImageDraw.Draw(image).ellipse(
        (size // 8, size // 8, size * 7 // 8, size * 7 // 8),
        outline=(190, 20, 20),
        width=size // 16,
    )
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def cleaned(data: bytes, *, width_mm: int = 40) -> Picture:
    return clean_picture(data, shape=Shape.ROUND, width_mm=width_mm)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_white_becomes_clear_and_the_margin_goes(form: str) -> None:
    picture = cleaned(a_seal(form=form))
    image = Image.open(io.BytesIO(picture.png))
    assert image.format == "PNG"
    assert image.mode == "RGBA"
    assert 295 <= image.width <= 310
    assert image.getpixel((0, 0))[3] == 0
    assert image.getpixel((image.width // 2, image.height // 2))[3] == 0
    assert image.getpixel((image.width // 2, 6))[3] == 255
    assert (picture.width_mm, picture.height_mm) == (40, 40)


def test_nothing_but_pixels_stays() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "SECRET-NOTE")
    data = a_seal(pnginfo=notes, icc_profile=b"SECRET-PROFILE" * 20) + b"SECRET-TAIL"
    picture = cleaned(data)
    assert b"SECRET" not in picture.png
    assert {name for name in ("tEXt", "iCCP", "eXIf") if name.encode() in picture.png} == set()
    assert b"SECRET" not in cleaned(a_seal(form="JPEG", comment=b"SECRET")).png


def test_a_large_picture_is_kept_at_print_size() -> None:
    image = Image.open(io.BytesIO(cleaned(a_seal(size=1800)).png))
    assert max(image.size) == KEPT_SIDE


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a huge size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 99)), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body
        out += struct.pack(">I", zlib.crc32(kind + body))
    return out


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\0" * (BYTES_MAX + 1), "seal.picture_too_large"),
        (bomb(60_000, 60_000), "seal.picture_too_large"),
        (bomb(20_000, 120), "seal.picture_too_large"),
        (bomb(400, 400), "seal.picture_broken"),
        (a_seal()[:900], "seal.picture_broken"),
        (a_seal(form="GIF"), "seal.picture_format"),
        (a_seal(form="TIFF"), "seal.picture_format"),
        (b"%PDF-1.7", "seal.picture_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "seal.picture_format"),
        (b"", "seal.picture_format"),
        (a_seal(size=80), "seal.picture_small"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_hostile_or_odd_file_is_refused_with_its_reason(data: bytes, code: str) -> None:
    with pytest.raises(FuqiError) as caught:
        cleaned(data)
    assert caught.value.error_code == code


def test_a_blank_picture_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 400), "white").save(buffer, format="PNG")
    with pytest.raises(FuqiError) as caught:
        cleaned(buffer.getvalue())
    assert caught.value.error_code == "seal.picture_empty"


def test_a_long_thin_picture_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (900, 200), "red").save(buffer, format="PNG")
    with pytest.raises(FuqiError) as caught:
        cleaned(buffer.getvalue())
    assert caught.value.error_code == "seal.picture_shape"


def test_a_width_beyond_custom_is_refused() -> None:
    with pytest.raises(FuqiError) as caught:
        cleaned(a_seal(), width_mm=90)
    assert caught.value.error_code == "seal.size"
