"""Hospitals as people write them: one a line, by name or id."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.orm import Session

from api.flows.supply_rules import NAMED_HOSPITALS_MAX
from ledger.core.errors import InputError, LimitError, NotFoundError
from ledger.queries import supply_limits as queries

_BETWEEN: Final = re.compile(r"[\n\r;；|]+")
"""Names hold commas and brackets; they never hold these."""


def hospitals_written(session: Session, text: str) -> tuple[str, ...]:
    """Ids of the hospitals named, in the order written, each once.

    Raises:
        LimitError: `offer.hospitals_limit`.
        NotFoundError: `offer.hospital_not_found`.
        InputError: `offer.hospital_ambiguous`: two hospitals bear this name, so the id is needed.
    """
    words = list(dict.fromkeys(word.strip() for word in _BETWEEN.split(text) if word.strip()))
    if len(words) > NAMED_HOSPITALS_MAX:
        raise LimitError(
            f"at most {NAMED_HOSPITALS_MAX} hospitals are named",
            code="offer.hospitals_limit",
            limit=NAMED_HOSPITALS_MAX,
        )
    if not words:
        return ()
    found: dict[str, list[str]] = {}
    for row in queries.hospitals_named(session, words):
        for word in {row.id, row.name}:
            found.setdefault(word, []).append(row.id)
    for number, word in enumerate(words, start=1):
        matches = found.get(word, [])
        if not matches:
            raise NotFoundError(
                f"hospital {number} of the list does not exist: write its name as the board shows it",
                code="offer.hospital_not_found",
                number=number,
            )
        if len(matches) > 1:
            raise InputError(
                f"{len(matches)} hospitals bear the name in place {number}: write its id instead",
                code="offer.hospital_ambiguous",
                number=number,
            )
    return tuple(dict.fromkeys(found[word][0] for word in words))
