"""Every module of tables, so that whoever needs the whole schema forgets none."""

from __future__ import annotations

from typing import Final

from ledger.store import Base
from ledger.tables import (
    access,
    acts,
    agreements,
    anchors,
    annexes,
    batches,
    custody,
    external,
    form_fields,
    live,
    log,
    notices,
    objections,
    offer_claims,
    orders,
    parties,
    related,
    round_chain,
    seals,
    supply,
)

TABLES: Final = (
    access,
    acts,
    agreements,
    anchors,
    annexes,
    batches,
    custody,
    external,
    form_fields,
    live,
    log,
    notices,
    objections,
    offer_claims,
    orders,
    parties,
    related,
    round_chain,
    seals,
    supply,
)
"""A test compares this with the folder."""
METADATA: Final = Base.metadata
"""Complete, because every module of tables is imported above."""
