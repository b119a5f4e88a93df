"""Who may mark a need urgent, how often, and how long donors have: a published rule with a digest."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from api.settings import Settings
from ledger.core.canonical import Json, tagged_digest

URGENT_TAG: Final = "fuqi/urgent-policy/v1"


@dataclass(frozen=True, slots=True)
class UrgentPolicy:
    """The rule; its digest stands in every `need.urgent` entry.

    Attributes:
        per_hospital_day: urgent needs of one hospital on one day; who cries wolf waits for the round.
        deadline_days_max: what may wait longer is not urgent.
        accept_hours: how long a donor has; after that the units are free for the next round.
        tier: of every urgent need; 0 = critical.
        matter, power: what the handler's authorisation must hold.
    """

    per_hospital_day: int
    accept_hours: int
    id: str = "fuqi/urgent-policy"
    version: str = "1"
    deadline_days_max: int = 7
    tier: int = 0
    matter: str = "donation"
    power: str = "accept"

    def as_json(self) -> dict[str, Json]:
        """`fuqi/urgent-policy/v1`."""
        plain: dict[str, Json] = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"v": URGENT_TAG, **plain}

    def digest(self) -> str:
        """SHA-256 over tag and canonical bytes, hex."""
        return tagged_digest(URGENT_TAG, self.as_json()).hex()


def urgent_policy(settings: Settings) -> UrgentPolicy:
    """The rule of this installation."""
    return UrgentPolicy(
        per_hospital_day=settings.urgent_per_hospital_day,
        accept_hours=settings.urgent_accept_hours,
    )
