"""Fonts: rare characters of names are embedded and extractable; what cannot print is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.core.errors import FuqiError, UnavailableError
from signing.appearance import Appearance, demo_page, signature_page
from signing.fonts import find_font, load_font, require_glyphs
from signing.render import page_texts
from signing.testing import FIXED_TIME

RARE = "镕䶮㛃𠮷𬱖"


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(FuqiError) as caught:
        call(*args, **kwargs)
    return caught.value.error_code


def signature(handler: str, organisation: str = "示例机构（虚构）") -> bytes:
    look = Appearance(organisation, handler, "0a" * 20, FIXED_TIME, demo=True)
    return signature_page(look, width=210, height=96)


def test_the_installed_font_draws_the_rare_characters_of_names():
    for bold in (False, True):
        assert find_font(bold=bold).covers(RARE)


def test_rare_characters_come_out_of_the_signature_box_as_text():
    assert RARE in page_texts(signature(RARE))[0]


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="poppler-utils is not installed")
def test_every_font_that_draws_is_embedded_with_a_unicode_map(tmp_path):
    for name, data in {"box": signature(RARE), "mark": demo_page(width=300, height=300)}.items():
        file = tmp_path / f"{name}.pdf"
        file.write_bytes(data)
        lines = subprocess.run(
            ["pdffonts", file], capture_output=True, text=True, check=True
        ).stdout.splitlines()[2:]
        used = [line for line in lines if "LXGW" in line or "+" in line]
        assert used
        for line in used:
            assert line.split()[-5:-2] == ["yes", "yes", "yes"], line
        text = subprocess.run(
            ["pdftotext", file, "-"], capture_output=True, text=True, check=True
        ).stdout
        assert (RARE if name == "box" else "演示") in text


def test_a_character_without_a_glyph_is_refused_by_its_code_point():
    with pytest.raises(FuqiError) as caught:
        require_glyphs("张😀三")
    assert caught.value.error_code == "font.missing_glyph"
    assert caught.value.context["characters"] == "U+1F600"
    require_glyphs("张三")


@pytest.mark.parametrize("text", ["a\u202eb", "a\u200bb", "a\x00b", "a\tb", "\u2066x", "\ue000"])
def test_characters_that_change_reading_unseen_are_refused(text):
    assert code_of(require_glyphs, text) == "font.unprintable"


def test_text_beyond_the_limit_is_refused():
    assert code_of(require_glyphs, "字" * 200_001) == "font.text_too_long"


def test_a_machine_without_fonts_gets_a_clear_answer(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        find_font(folders=[tmp_path])
    assert caught.value.error_code == "font.not_found"
    assert "fonts-lxgw-wenkai" in caught.value.message


def test_a_file_that_is_no_font_is_not_used(tmp_path):
    (tmp_path / "LXGWWenKai-Regular.ttf").write_bytes(b"not a font")
    assert code_of(find_font, folders=[tmp_path]) == "font.not_found"
    assert code_of(load_font, tmp_path / "LXGWWenKai-Regular.ttf") == "font.not_found"
    assert code_of(load_font, tmp_path / "absent.ttf") == "font.not_found"


def test_a_font_without_chinese_is_not_used():
    latin = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not latin.is_file():
        pytest.skip("no DejaVu font on this machine")
    assert code_of(load_font, latin) == "font.not_found"


def test_the_signature_box_is_the_same_for_the_same_input():
    assert signature(RARE) == signature(RARE)
    assert signature(RARE) != signature("李明")


def test_a_long_name_is_set_smaller_and_never_cut():
    name = "很长的机构名称" * 12
    assert name in page_texts(signature("李明", organisation=name))[0].replace("\r\n", "")


def test_the_demonstration_mark_of_a_signature_can_be_left_out():
    look = Appearance("", "李明", "0a", FIXED_TIME, demo=False)
    text = page_texts(signature_page(look, width=200, height=80))[0]
    assert "李明" in text
    assert "DEMONSTRATION" not in text
