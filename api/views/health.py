"""How an installation is: what a supervisor asks every few seconds, as JSON and as figures for Prometheus.

Only numbers and states; nothing here names a person, an agreement or an address of an authority.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.queries import round_chain as round_queries
from signing.providers.outside import Fallback

METRICS: Final[Mapping[str, str]] = {
    "entries_waiting": "journal rows that are not in the tree yet",
    "log_size": "leaves under the newest checkpoint",
    "anchored_size": "leaves under the newest final anchor",
    "unanchored_seconds": "how long the oldest checkpoint without a final anchor has waited",
    "checkpoint_age_seconds": "seconds since the newest checkpoint was signed",
    "rounds_alarmed": "rounds of the last 30 days whose result on the chain was struck or refused",
}
RESTING: Final = "addresses of outside authorities that failed last and rest (this process)"


@dataclass(frozen=True, slots=True)
class Figures:
    """Where the log stands.

    Attributes:
        unanchored_seconds: 0 while everything is final.
        checkpoint_age_seconds: 0 while there is none.
        rounds_alarmed: their pages and `fuqi doctor` say what to do.
    """

    entries_waiting: int
    log_size: int
    anchored_size: int
    unanchored_seconds: int
    checkpoint_age_seconds: int
    rounds_alarmed: int


def figures(session: Session, *, at: datetime) -> Figures:
    """Read them: five look-ups by index, and a count of the rounds that were struck or refused."""
    checkpoint = log_queries.latest_checkpoint(session)
    final = anchor_queries.latest_final(session)
    size = 0 if checkpoint is None else checkpoint.size
    anchored = 0 if final is None else final.checkpoint_size
    age = 0 if checkpoint is None else _seconds(at, checkpoint.signed_at)
    behind = 0
    if checkpoint is not None and anchored < size:
        # The oldest checkpoint that no final anchor covers: what waits longest.
        oldest = log_queries.checkpoint_covering(session, anchored)
        behind = _seconds(at, checkpoint.signed_at if oldest is None else oldest.signed_at)
    return Figures(
        entries_waiting=log_queries.waiting(session),
        log_size=size,
        anchored_size=anchored,
        unanchored_seconds=behind,
        checkpoint_age_seconds=age,
        rounds_alarmed=round_queries.count_alarmed(session, at=at),
    )


def metrics_text(found: Figures, resting: Mapping[str, int]) -> str:
    """The figures in Prometheus' text form, version 0.0.4.

    Args:
        resting: kind of authority -> addresses that rest in this process.
    """
    lines = []
    for name, meaning in METRICS.items():
        lines += [
            f"# HELP fuqi_{name} {meaning}",
            f"# TYPE fuqi_{name} gauge",
            f"fuqi_{name} {getattr(found, name)}",
        ]
    lines += [f"# HELP fuqi_outside_resting {RESTING}", "# TYPE fuqi_outside_resting gauge"]
    lines += [
        f'fuqi_outside_resting{{authority="{name}"}} {count}' for name, count in resting.items()
    ]
    return "\n".join(lines) + "\n"


def resting_of(parts: Mapping[str, object]) -> dict[str, int]:
    """How many addresses of each outside part rest now; parts that are built in are left out."""
    found = {}
    for name, part in parts.items():
        fallback = getattr(part, "fallback", None)
        if isinstance(fallback, Fallback):
            found[name] = fallback.resting()
    return found


def _seconds(at: datetime, since: datetime) -> int:
    return max(0, int((at - since).total_seconds()))
