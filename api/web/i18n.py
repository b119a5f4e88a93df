"""Texts of the pages in Chinese and English, from one table with both side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("zh", "en")
TEXTS_FILE: Final = Path(__file__).parent / "texts.json"

TextTable = Mapping[str, tuple[str, str]]


def load_texts(path: Path = TEXTS_FILE) -> TextTable:
    """Key -> (zh, en). A text that is missing in one language stops the start."""
    table: dict[str, tuple[str, str]] = {}
    for key, pair in json.loads(path.read_text(encoding="utf-8")).items():
        zh, en = pair
        if not zh or not en:
            raise ValueError(f"text {key} is missing in one language")
        table[key] = (zh, en)
    return table


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts in one language; called from templates as `t("board.title")`."""

    language: str
    table: TextTable

    def __call__(self, key: str, /, **values: object) -> str:
        """The text, with `{name}` filled in; an unknown key is our own bug."""
        return self.table[key][LANGUAGES.index(self.language)].format(**values)

    def maybe(self, key: str, default: str) -> str:
        """The text of a key made from data (a state, an error code), else `default`."""
        pair = self.table.get(key)
        return default if pair is None else pair[LANGUAGES.index(self.language)]

    def refusal(self, code: str, default: str, context: Mapping[str, object]) -> str:
        """What a refusal says, with those of its facts that the text names (`{page}`)."""
        found = self.maybe(f"error.{code}", default)
        for name, value in context.items():
            found = found.replace("{" + name + "}", str(value))
        return found

    def pick(self, zh: str, en: str) -> str:
        """Choose between two texts that come from data."""
        return zh if self.language == "zh" else en

    def under(self, *prefixes: str) -> dict[str, str]:
        """Every text whose key begins with one of `prefixes`: what a page hands to its script."""
        at = LANGUAGES.index(self.language)
        return {key: pair[at] for key, pair in self.table.items() if key.startswith(prefixes)}
