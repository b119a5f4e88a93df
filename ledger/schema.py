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
    live,
    log,
    notices,
    orders,
    parties,
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
    live,
    log,
    notices,
    orders,
    parties,
    seals,
    supply,
)
"""A test compares this with the folder."""
METADATA: Final = Base.metadata
"""Complete, because every module of tables is imported above."""
