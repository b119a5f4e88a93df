"""Values that statements of will hold, and whether each is well-formed; nothing is repaired."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.core.canonical import Json
from ledger.core.units import parse_utc, utc_text

NAME_CHARS_MAX: Final = 200
"""As long as the name of a registered party may be."""
ID_CHARS_MAX: Final = 64
NONCE: Final = re.compile(r"[0-9a-f]{32,128}")
HEX32: Final = re.compile(r"[0-9a-f]{64}")
_SEAL_FIELDS: Final = frozenset({"id", "kind", "picture_sha256"})


@dataclass(frozen=True, slots=True)
class NamedSeal:
    """The seal that an approval is for, by what its approver sees of it.

    Attributes:
        picture_sha256: hex, of its picture.
    """

    id: str
    kind: str
    picture_sha256: str

    def as_json(self) -> dict[str, Json]:
        """As a statement or an item of a batch holds it."""
        return {"id": self.id, "kind": self.kind, "picture_sha256": self.picture_sha256}


def is_seal(value: Json) -> bool:
    """What an approval names: a seal as `NamedSeal.as_json` makes it, or null for any."""
    return value is None or (
        isinstance(value, Mapping)
        and set(value) == _SEAL_FIELDS
        and is_id(value["id"])
        and is_id(value["kind"])
        and matches(HEX32, value["picture_sha256"])
    )


def matches(pattern: re.Pattern[str], value: Json) -> bool:
    """Whether it is text and the whole of it fits."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_id(value: Json) -> bool:
    """1 to 64 printable ASCII characters without a space."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= ID_CHARS_MAX
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def is_name(value: Json) -> bool:
    """Visible text without controls or direction marks, which could make the sentence lie."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= NAME_CHARS_MAX
        and value == value.strip()
        and not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in value)
    )


def is_time(value: Json) -> bool:
    """Whether it is a time exactly as `utc_text` writes it."""
    if not isinstance(value, str):
        return False
    try:
        return utc_text(parse_utc(value)) == value
    except ValueError:
        return False
