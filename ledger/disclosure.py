"""Show some fields of a private body without the rest.

An entry `fuqi/entry/v2` commits to its body twice: as in v1 to the whole, and in `commitments.fields` to a tree
with one leaf per top-level field, sorted by name:

    field salt  = HMAC-SHA256(record salt, "fuqi/field-salt/v1" || 0x00 || name)
    leaf bytes  = canonical {"name": …, "salt": hex of the field salt, "value": …}
    tree        = RFC 9162 over these leaves
    commitment  = SHA-256("fuqi/fields/v1" || 0x00 || canonical {"root": hex, "size": number of fields})

Whoever gets a disclosure learns name, value and salt of the shown fields, how many fields there are, and
nothing about the others: their leaves are hashes over salts that only the record salt yields. A path has at
most ceil(log2(fields)) digests. Pure; standard library only, through `ledger.core`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger.core import merkle
from ledger.core.canonical import Json, canonical_bytes, tagged_digest
from ledger.core.errors import FuqiError, InputError, VerificationError
from ledger.core.units import Digest32

DISCLOSURE_VERSION: Final = "fuqi/disclosure/v1"
FIELDS_TAG: Final = "fuqi/fields/v1"
SALT_TAG: Final = b"fuqi/field-salt/v1\x00"
"""Canonical bodies begin with `{`, so no field salt is ever the commitment to a body."""
FIELDS_MAX: Final = 1024
"""The largest body of ours has a dozen fields."""
_SHOWN: Final = frozenset({"name", "value", "salt", "index", "path"})


def fields_commitment(body: Mapping[str, Json], salt: bytes) -> Digest32:
    """What `commitments.fields` holds, for this body and record salt.

    Raises:
        InputError: `disclosure.fields`: more than 1024 fields; and the codes of `canonical_bytes`.
    """
    leaves = _leaves(body, salt)
    return _commit(merkle.root(len(leaves), merkle.reader_over(leaves)), size=len(leaves))


def disclose(body: Mapping[str, Json], salt: bytes, fields: Sequence[str]) -> dict[str, Json]:
    """`fuqi/disclosure/v1` of these fields, in order of name.

    `{v, size, fields: [{name, value, salt, index, path[]}]}`, digests and salts in lower-case hex.

    Raises:
        InputError: `disclosure.unknown_field` (context `field`), `disclosure.fields`.
    """
    names = sorted(body)
    leaves = _leaves(body, salt)
    reader = merkle.reader_over(leaves)
    shown: list[Json] = []
    for name in sorted(set(fields)):
        if name not in body:
            raise InputError(
                "the record has no such field", code="disclosure.unknown_field", field=name
            )
        index = names.index(name)
        path = merkle.inclusion_path(index, size=len(names), node=reader)
        shown.append(
            {
                "name": name,
                "value": body[name],
                "salt": _field_salt(salt, name).hex(),
                "index": index,
                "path": [step.hex() for step in path],
            }
        )
    return {"v": DISCLOSURE_VERSION, "size": len(names), "fields": shown}


def verify_disclosure(proof: Mapping[str, Any], commitment: bytes) -> dict[str, Json]:
    """The shown fields, proven to be those of the record that `commitment` stands for.

    Args:
        proof: parsed `fuqi/disclosure/v1`, from anyone.
        commitment: 32 bytes, from the entry.

    Raises:
        VerificationError: `disclosure.malformed` (also out of order or shown twice), `disclosure.mismatch`.
    """
    try:
        size, items = proof["size"], proof["fields"]
        if proof["v"] != DISCLOSURE_VERSION or not _is_count(size) or not isinstance(items, list):
            raise ValueError("form")
        if len(proof) != 3 or any(set(item) != _SHOWN for item in items):
            raise ValueError("members")
        found: dict[str, Json] = {}
        roots: set[bytes] = set()
        last = -1
        for item in items:
            name, index = item["name"], item["index"]
            # Sorted, and each once: two values of one name could otherwise both be shown.
            if not _is_count(index) or not last < index < size or not name > max(found, default=""):
                raise ValueError("order")
            path = [_unhex(step) for step in item["path"]]
            leaf = _leaf(name, item["value"], _unhex(item["salt"]))
            roots.add(_root(leaf, index=index, size=size, path=path))
            found[name], last = item["value"], index
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, FuqiError) as exc:
        raise VerificationError("not a disclosure of fields", code="disclosure.malformed") from exc
    if len(roots) != 1 or not hmac.compare_digest(_commit(roots.pop(), size=size), commitment):
        raise VerificationError(
            "these are not fields of the record that was committed to", code="disclosure.mismatch"
        )
    return found


def _unhex(text: str) -> bytes:
    """Lower case and no white space: a disclosure has one spelling."""
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ValueError("hex")
    return data


def _leaves(body: Mapping[str, Json], salt: bytes) -> list[Digest32]:
    if len(body) > FIELDS_MAX:
        raise InputError("too many fields", code="disclosure.fields", limit=FIELDS_MAX)
    return [_leaf(name, body[name], _field_salt(salt, name)) for name in sorted(body)]


def _leaf(name: str, value: Json, salt: bytes) -> Digest32:
    if len(salt) != 32:
        raise ValueError("a field salt has 32 bytes")
    return merkle.leaf_hash(canonical_bytes({"name": name, "salt": salt.hex(), "value": value}))


def _field_salt(salt: bytes, name: str) -> bytes:
    return hmac.new(salt, SALT_TAG + name.encode(), hashlib.sha256).digest()


def _commit(root: bytes, *, size: int) -> Digest32:
    """The size is committed to as well, so that a path has one length and fields one count."""
    return tagged_digest(FIELDS_TAG, {"root": root.hex(), "size": size})


def _root(leaf: Digest32, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that this path leads to (RFC 9162 section 2.1.3.2)."""
    fn, sn, running = index, size - 1, bytes(leaf)
    for step in path:
        if sn == 0 or len(step) != 32:
            raise ValueError("path")
        if fn & 1 or fn == sn:
            running = merkle.node_hash(step, running)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            running = merkle.node_hash(running, step)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ValueError("path")
    return running


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= FIELDS_MAX
