"""What the log, an authorisation and a template call by a code, the pages call by a word in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.flows.authority import RATIFY
from api.flows.parties import APPROVE, MATTERS, POWERS
from api.web.i18n import TEXTS_FILE, Texts, load_texts
from ledger.entry_types import ENTRY_TYPES

TEMPLATES = Path(TEXTS_FILE).parent / "templates"
FULL_WIDTH = re.compile("[\uff1a\uff0c\uff1b\uff08\uff09\u3001\u3002]")


@pytest.mark.parametrize("kind", sorted(ENTRY_TYPES))
def test_every_kind_of_entry_has_a_name(kind: str) -> None:
    assert f"entry.{kind}" in load_texts()


def test_every_power_and_matter_of_an_authorisation_has_a_name() -> None:
    texts = load_texts()
    assert [one for one in POWERS | {RATIFY, APPROVE} if f"power.{one}" not in texts] == []
    assert [one for one in MATTERS if f"matter.{one}" not in texts] == []


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem)
def test_no_mark_of_one_language_stands_in_a_template(template: Path) -> None:
    found = [line for line in template.read_text("utf-8").split("\n") if FULL_WIDTH.search(line)]
    assert found == []


def test_a_refusal_names_its_facts_and_a_foreign_one_keeps_its_own_words() -> None:
    zh = Texts("zh", load_texts())
    said = zh.refusal("agreement.read_too_fast", "too fast", {"seconds": 30})
    assert "30" in said
    assert "{" not in said
    assert zh.refusal("nobody.knows_this", "its own words", {}) == "its own words"


def test_no_text_stands_twice() -> None:
    # A second line of the same key would win in silence.
    pairs = json.loads(TEXTS_FILE.read_text("utf-8"), object_pairs_hook=list)
    keys = [key for key, _ in pairs]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []
