"""One encoder for every byte that is hashed, signed or anchored.

RFC 8785 (JCS) restricted to integers: object keys sorted, no white space, UTF-8. Floats, keys outside
ASCII, lone surrogates and integers beyond 2**53-1 are refused, so that on what is left Python's
`json.dumps` and ECMAScript's `JSON.stringify` agree byte for byte. Vectors: tests/golden/canonical.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from ledger.core.errors import InputError
from ledger.core.units import Digest32, digest32

Json: TypeAlias = "None | bool | int | str | Sequence[Json] | Mapping[str, Json]"

INTEGER_MAX: Final = 2**53 - 1
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
DEPTH_MAX: Final = 64
"""Deeper documents are refused: no record of ours nests past ten."""


# `default=dict`: what is left that json does not know by itself is a Mapping other than dict.
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict
)


def canonical_bytes(value: Json) -> bytes:
    """Encode `value` as canonical JSON.

    Raises:
        InputError: `canonical.float`, `canonical.key`, `canonical.integer_range`,
            `canonical.surrogate`, `canonical.depth`, `canonical.type`.
    """
    _check(value, 0)
    return _ENCODER.encode(value).encode("utf-8")


def canonical_parse(data: bytes) -> Json:
    """Decode bytes that must already be canonical; anything else is refused, never repaired.

    Raises:
        InputError: `canonical.not_json`, `canonical.not_canonical` and the codes of `canonical_bytes`.
    """
    require_shallow(data)
    try:
        value: Json = json.loads(data.decode("utf-8"))
        again = canonical_bytes(value)
    except (ValueError, RecursionError) as exc:
        raise InputError("these bytes are not JSON", code="canonical.not_json") from exc
    if again != data:
        raise InputError("this JSON is not in canonical form", code="canonical.not_canonical")
    return value


def tagged_digest(tag: str, value: Json) -> Digest32:
    """SHA-256 over `tag`, one zero byte and the canonical bytes; the tag names kind and version."""
    return digest32(hashlib.sha256(tag.encode("ascii") + b"\x00" + canonical_bytes(value)).digest())


def commitment(salt: bytes, value: Json) -> Digest32:
    """HMAC-SHA256(salt, canonical bytes): hides `value` from whoever lacks the salt.

    Args:
        salt: 16 to 64 fresh random bytes, one per record, kept with the private body.
    """
    assert 16 <= len(salt) <= 64, "salt length"
    return digest32(hmac.new(salt, canonical_bytes(value), hashlib.sha256).digest())


def sha256(data: bytes) -> Digest32:
    """Plain SHA-256."""
    return digest32(hashlib.sha256(data).digest())


def require_shallow(data: bytes) -> None:
    """Refuse deep nesting before the parser sees it.

    Raises:
        InputError: `canonical.depth`.

    The C parser recurses on the C stack; where a library has raised the recursion limit (py_ecc sets
    100 000), a few kilobytes of brackets would kill the process.
    """
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for match in _BRACKET.finditer(_STRING.sub(b"", data)):
        depth += 1 if match.group() in b"[{" else -1
        if depth > DEPTH_MAX:
            raise InputError(f"nested deeper than {DEPTH_MAX}", code="canonical.depth")


def _check(value: object, depth: int) -> None:
    # Every hashed byte passes here: the commonest kinds first, and no keyword on the way down.
    if depth > DEPTH_MAX:
        raise InputError(f"nested deeper than {DEPTH_MAX}", code="canonical.depth")
    if isinstance(value, str):
        try:
            # Only lone surrogates have no UTF-8 form; asking the encoder is far faster than looking.
            value.isascii() or value.encode()
        except UnicodeEncodeError as exc:
            raise InputError("text holds a lone surrogate", code="canonical.surrogate") from exc
        return
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise InputError("integer beyond 2**53-1", code="canonical.integer_range")
        return
    if isinstance(value, float):
        raise InputError("floating-point numbers are not hashed", code="canonical.float")
    if isinstance(value, dict | Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise InputError("object keys are ASCII text", code="canonical.key")
            _check(item, depth + 1)
        return
    if isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
        return
    raise InputError(f"{type(value).__name__} has no canonical form", code="canonical.type")
