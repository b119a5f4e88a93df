"""Retrying is safe, and a changed retry says what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ExistsWithDifferentFieldError


def fingerprint(fields: Mapping[str, Json]) -> str:
    """Digest of each field, in the order in which differences are reported."""
    return json.dumps({name: tagged_digest("fuqi/field/v1", v).hex() for name, v in fields.items()})


def require_same(stored: str, fields: Mapping[str, Json], *, id: str) -> None:  # noqa: A002 - the field's name
    """Refuse a retry whose body differs.

    Raises:
        ExistsWithDifferentFieldError: `state.exists_with_different_field`, naming the first field.
    """
    old: dict[str, str] = json.loads(stored)
    new: dict[str, str] = json.loads(fingerprint(fields))
    # A field that only the earlier request had is a difference too.
    for name in (*new, *old):
        if old.get(name) != new.get(name):
            raise ExistsWithDifferentFieldError(
                f"{id} was sent before with a different {name}", field=name, id=id
            )
