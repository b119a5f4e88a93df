"""The state of one run of the demonstration, and what its actors bring along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from api.callers import Caller
from api.demo_cast import Member
from api.flows.registration import Registered
from api.ports import Ports
from api.settings import Settings
from api.story import Stages
from ledger.chain import ChainPort
from ledger.core.ids import derived_id
from matching.problem import Place
from signing.keys.device import DeviceKey

DATA_FOLDER: Final = Path("../shared/data/hubei-2020")
SETTLE_SECONDS: Final = 120
DONATED: Final = ("mask_surgical", 20_000)
DIRECTED: Final = ("mask_protective", 3_000)
MADE: Final = ("coverall", 5_000, 3)
"""Item, pieces a day, days: a factory with three free days on a line."""
DONOR_PLACE: Final = Place("上海", "上海市", 121_473_662, 31_230_372)
MAKER_PLACE: Final = Place("山东", "日照市", 119_526_925, 35_416_734)


@dataclass(slots=True)
class Actor:
    """A registered member with what its own device holds; the server has none of it."""

    member: Member
    registered: Registered
    caller: Caller
    key: DeviceKey


@dataclass(slots=True)
class Story:
    """State of one run of the demonstration."""

    settings: Settings
    stages: Stages
    clock: Callable[[], datetime]
    started_at: datetime
    passwords: dict[str, str]
    ports: Ports
    chain: ChainPort
    actors: dict[str, Actor] = field(default_factory=dict)
    made: list[tuple[str, str]] = field(default_factory=list)

    def id_of(self, prefix: str, name: str) -> str:
        """An id that is the same in every run of this demonstration."""
        return derived_id(prefix, at=self.started_at, seed=f"demo/{name}")

    @property
    def out(self) -> Path:
        """Folder of what the demonstration hands out."""
        return self.settings.home.resolve() / "out"
