"""Client-made, sortable, unguessable ids: `prefix_` + 26 Crockford characters (48-bit ms time, 80 random bits).

The caller makes the id and keeps it across retries, so that a retry is recognised. Layout as ULID.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.core.errors import InputError

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_MAX_MS: Final = 253_402_300_800_000
"""The end of the year 9999, where Python's datetime ends."""
_PATTERN: Final = re.compile(r"[a-z]{2,8}_[0-9a-hjkmnp-tv-z]{26}")


def new_id(prefix: str, *, at: datetime) -> str:
    """A fresh id such as `agr_01k…`; ids made later sort later (to the millisecond)."""
    return _encode(prefix, int(at.timestamp() * 1000), secrets.token_bytes(10))


def derived_id(prefix: str, *, at: datetime, seed: str) -> str:
    """The same id for the same (prefix, at, seed): lets an interrupted job resume without doubling."""
    return _encode(prefix, int(at.timestamp() * 1000), hashlib.sha256(seed.encode()).digest()[:10])


def id_time(value: str) -> datetime:
    """The moment an id was made, to the millisecond, UTC: what is derived from it stays the same for ever.

    Raises:
        InputError: `id.malformed`.
    """
    if not _PATTERN.fullmatch(value):
        raise InputError("not an id of the form <prefix>_<26 characters>", code="id.malformed")
    number = 0
    for character in value.rsplit("_", 1)[1]:
        number = number << 5 | _ALPHABET.index(character)
    milliseconds = number >> 80
    if milliseconds >= _TIME_MAX_MS:
        raise InputError("the time in this id is out of range", code="id.malformed")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def require_id(value: str, *, prefix: str) -> str:
    """Return `value` if it is a well-formed id of this prefix.

    Raises:
        InputError: `id.malformed`.
    """
    if not _PATTERN.fullmatch(value) or not value.startswith(f"{prefix}_"):
        raise InputError(
            f"not an id of the form {prefix}_<26 characters>", code="id.malformed", prefix=prefix
        )
    return value


def _encode(prefix: str, milliseconds: int, random: bytes) -> str:
    number = (milliseconds << 80) | int.from_bytes(random, "big")
    text = "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
    return f"{prefix}_{text}"
