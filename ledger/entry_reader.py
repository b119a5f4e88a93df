"""Read an entry of any version that was ever written. A version is added here and none is ever taken away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.core.canonical import canonical_parse
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import parse_utc
from ledger.entry_types import DISCLOSABLE_VERSION, ENTRY_VERSION

COMMITMENTS: Final[Mapping[str, frozenset[str]]] = {
    ENTRY_VERSION: frozenset({"body"}),
    DISCLOSABLE_VERSION: frozenset({"body", "fields"}),
}
"""What each version commits to."""
_FIELDS: Final = frozenset({"v", "id", "type", "at", "subject", "actor", "commitments", "prev"})
_HEX32: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as its bytes say; types are not checked against today's list, which only grows.

    Attributes:
        body_commitment, fields_commitment, prev: 32 bytes, or None where the version or entry has none.
    """

    v: str
    id: str
    type: str
    at: datetime
    subject: str
    actor: str
    body_commitment: bytes
    fields_commitment: bytes | None
    prev: bytes | None


def read_entry(data: bytes) -> Entry:
    """Parse the canonical bytes of an entry; anything else is refused, never repaired.

    Raises:
        VerificationError: `entry.malformed`.
    """
    try:
        value = canonical_parse(data)
        if not isinstance(value, Mapping) or set(value) != _FIELDS:
            raise ValueError("fields")
        texts = {name: value[name] for name in ("v", "id", "type", "at", "subject", "actor")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("text")
        held = value["commitments"]
        if not isinstance(held, Mapping) or set(held) != COMMITMENTS[str(value["v"])]:
            raise ValueError("commitments")
        return Entry(
            v=str(value["v"]),
            id=str(value["id"]),
            type=str(value["type"]),
            at=parse_utc(str(value["at"])),
            subject=str(value["subject"]),
            actor=str(value["actor"]),
            body_commitment=_digest(held["body"]),
            fields_commitment=_digest(held["fields"]) if "fields" in held else None,
            prev=None if value["prev"] is None else _digest(value["prev"]),
        )
    except (InputError, KeyError, ValueError) as exc:
        raise VerificationError(
            "these bytes are no entry of a version we know", code="entry.malformed"
        ) from exc


def _digest(text: object) -> bytes:
    if not isinstance(text, str) or not _HEX32.fullmatch(text):
        raise ValueError("digest")
    return bytes.fromhex(text)
