"""Seals as drawn: text that extracts, rare characters, sizes, and what is refused."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from ledger.core.errors import FuqiError, InputError
from signing import render
from signing.seals import (
    POINTS_PER_MM,
    Kind,
    Shape,
    design_of,
    draw_seal,
    picture_of,
    picture_page,
)

RARE = "镕䶮㛃𠮷𬱖"


def ink(data: bytes, *, side_px: int = 200) -> Image.Image:
    """The first page as a picture."""
    return Image.open(io.BytesIO(render.page_png(data, page=0, side_px=side_px)))


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        ("organisation", "", (40, 40)),
        ("contract", "oval", (45, 30)),
        ("legal_representative", "", (20, 20)),
    ],
)
def test_a_seal_has_the_size_of_custom_in_true_millimetres(
    kind: str, shape: str, size: tuple[int, int]
) -> None:
    name = "张明" if kind == "legal_representative" else "示例企业（虚构）"
    design = design_of(kind=kind, shape=shape, name=name)
    page = draw_seal(design)
    assert (design.width_mm, design.height_mm) == size
    with render.Document(page) as document:
        assert document.page_sizes(at_most=1) == (
            (round(size[0] * POINTS_PER_MM), round(size[1] * POINTS_PER_MM)),
        )


def test_rare_characters_of_a_name_stand_on_the_ring_and_extract_as_one_word(
    tmp_path: Path,
) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine: sudo apt-get install poppler-utils")
    name = f"{RARE}有限公司"
    file = tmp_path / "seal.pdf"
    file.write_bytes(draw_seal(design_of(kind="contract", shape="round", name=name)))
    text = subprocess.run(
        ["pdftotext", str(file), "-"], capture_output=True, check=True, text=True
    ).stdout
    fonts = subprocess.run(
        ["pdffonts", str(file)], capture_output=True, check=True, text=True
    ).stdout
    rows = [line for line in fonts.splitlines()[2:] if "Wen" in line or "fuqi" in line.lower()]
    assert name in text
    assert "合同专用章" in text
    assert rows
    assert all(" yes yes yes " in line for line in rows), fonts


@pytest.mark.parametrize("char", list(RARE))
def test_each_rare_character_leaves_its_own_ink(char: str) -> None:
    def square(text: str) -> bytes:
        return ink(draw_seal(design_of(kind="legal_representative", shape="", name=text))).tobytes()

    assert square(f"王{char}之印") != square("王口之印")


def test_a_character_without_a_glyph_is_refused_and_never_an_empty_box() -> None:
    with pytest.raises(InputError) as caught:
        draw_seal(design_of(kind="contract", shape="round", name="示例\U0002fa1d\U00031234公司"))
    assert caught.value.error_code == "font.missing_glyph"


def test_a_direction_override_in_a_name_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        draw_seal(design_of(kind="contract", shape="round", name="示例\u202e公司"))
    assert caught.value.error_code == "font.unprintable"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "invoice"}, "seal.kind"),
        ({"shape": "square"}, "seal.shape"),
        ({"shape": "star"}, "seal.shape"),
        ({"width_mm": 37}, "seal.size"),
        ({"width_mm": 59}, "seal.size"),
        ({"name": "示"}, "seal.name"),
        ({"name": "示" * 41}, "seal.name"),
        ({"number": "1" * 21}, "seal.text"),
        ({"kind": "legal_representative", "shape": "", "name": "一二三四五六"}, "seal.name"),
    ],
)
def test_what_is_no_seal_of_custom_is_refused(change: dict[str, object], code: str) -> None:
    given: dict[str, object] = {"kind": "contract", "shape": "round", "name": "示例企业", **change}
    with pytest.raises(FuqiError) as caught:
        design_of(**given)  # type: ignore[arg-type]
    assert caught.value.error_code == code


def test_the_picture_is_the_drawing_with_a_clear_ground() -> None:
    design = design_of(kind="organisation", shape="round", name="示例企业（虚构）", number="4201")
    page = draw_seal(design)
    picture = picture_of(design, page)
    image = Image.open(io.BytesIO(picture.png)).convert("RGBA")
    assert image.size == (480, 480)
    assert image.getpixel((1, 1))[3] == 0  # the ground
    assert image.getpixel((240, 4))[3] == 255  # the ring
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    drawn = ink(page, side_px=480).convert("RGB")
    worst = max(abs(a - b) for a, b in zip(flat.tobytes(), drawn.tobytes(), strict=True))
    assert worst <= 12, "the picture is another than the drawing"


def test_a_picture_on_a_page_keeps_its_true_size() -> None:
    design = design_of(kind="legal_representative", shape="", name="张明")
    page = picture_page(picture_of(design, draw_seal(design)))
    with render.Document(page) as document:
        assert document.page_sizes(at_most=1) == ((57, 57),)


def test_the_same_design_gives_the_same_bytes() -> None:
    design = design_of(kind="contract", shape="oval", name="示例市第一人民医院（虚构）")
    assert draw_seal(design) == draw_seal(design)


def test_every_kind_has_a_shape_and_every_shape_a_size() -> None:
    for kind in Kind:
        assert design_of(kind=kind.value, shape="", name="张明").shape in Shape
