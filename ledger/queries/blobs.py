"""Which files something in the database refers to: asked before a file is removed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Column, String, select
from sqlalchemy.orm import Session

from ledger.schema import METADATA

DIGEST_CHARACTERS: Final = 64
ASKED_MAX: Final = 200


def digest_columns() -> tuple[Column[str], ...]:
    """Every column that may name a file: a SHA-256 in hex. One too many keeps a file, one too few loses it."""
    return tuple(
        column
        for table in METADATA.sorted_tables
        for column in table.columns
        if column.name.endswith("sha256")
        and isinstance(column.type, String)
        and column.type.length == DIGEST_CHARACTERS
    )


def referred_to(
    session: Session, digests: Collection[str], *, besides: Collection[str] = ()
) -> set[str]:
    """Those of these digests (at most 200) that any row names, in tables besides the ones named."""
    assert len(digests) <= ASKED_MAX, "ask for fewer at a time"
    found: set[str] = set()
    if digests:
        for column in digest_columns():
            if column.table.name in besides:
                continue
            found |= set(session.scalars(select(column).where(column.in_(digests)).distinct()))
    return found
