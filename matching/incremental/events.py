"""What can happen to a living round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from matching.problem import Lot, Need


@dataclass(frozen=True, slots=True)
class NeedArrived:
    """A need that the round has not seen."""

    need: Need


@dataclass(frozen=True, slots=True)
class NeedChanged:
    """The need with this id is another one now: quantity, tier, deadline, place or anything else."""

    need: Need


@dataclass(frozen=True, slots=True)
class NeedCancelled:
    """The need with this id is gone."""

    id: str


@dataclass(frozen=True, slots=True)
class LotArrived:
    """A lot that the round has not seen."""

    lot: Lot


@dataclass(frozen=True, slots=True)
class LotChanged:
    """The lot with this id is another one now."""

    lot: Lot


@dataclass(frozen=True, slots=True)
class LotWithdrawn:
    """The lot with this id is gone: withdrawn, expired, frozen, recalled."""

    id: str


Event: TypeAlias = (
    NeedArrived | NeedChanged | NeedCancelled | LotArrived | LotChanged | LotWithdrawn
)
