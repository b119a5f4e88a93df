"""Random events for tests and benches; every name in them is invented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from matching.incremental.events import (
    Event,
    LotArrived,
    LotChanged,
    LotWithdrawn,
    NeedArrived,
    NeedCancelled,
    NeedChanged,
)
from matching.problem import Problem
from matching.testing import random_problem


def random_events(seed: int, base: Problem, count: int) -> Iterator[Event]:
    """Events of every kind, valid in this order."""
    random = np.random.default_rng(seed)
    more = random_problem(f"more{seed}", needs=count, lots=count)
    needs, lots = {x.id: x for x in base.needs}, {x.id: x for x in base.lots}
    for step in range(count):
        kind = int(random.integers(0, 6))
        quantity = 1 + int(random.integers(0, 25))
        if kind == 0 or (kind in (2, 4) and not needs):
            need = replace(more.needs[step], id=f"new{step:03d}")
            needs[need.id] = need
            yield NeedArrived(need)
        elif kind == 1 or (kind in (3, 5) and not lots):
            lot = replace(more.lots[step], id=f"new{step:03d}")
            lots[lot.id] = lot
            yield LotArrived(lot)
        elif kind == 2:
            name = sorted(needs)[random.integers(0, len(needs))]
            del needs[name]
            yield NeedCancelled(name)
        elif kind == 3:
            name = sorted(lots)[random.integers(0, len(lots))]
            del lots[name]
            yield LotWithdrawn(name)
        elif kind == 4:
            name = sorted(needs)[random.integers(0, len(needs))]
            changed = replace(needs[name], quantity=quantity)
            if random.integers(0, 2):
                changed = replace(changed, tier=int(random.integers(0, 3)))
            needs[name] = changed
            yield NeedChanged(changed)
        else:
            name = sorted(lots)[random.integers(0, len(lots))]
            other = replace(lots[name], quantity=quantity)
            if random.integers(0, 2):
                other = replace(other, frozen=not other.frozen)
            lots[name] = other
            yield LotChanged(other)
