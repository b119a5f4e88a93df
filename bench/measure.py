"""What a bench module hands in, and how to time a thing so that the figure repeats."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure, beside what it is compared with.

    Attributes:
        name: dotted, stable: figures are compared over time by it.
        value: the figure, in `unit`.
        baseline: the same job done the plain way on the same machine in the same run; None where there is none.
        n: how many repetitions or items stand behind it.
        against: what the baseline is, in a few words.
    """

    name: str
    value: float
    unit: str
    n: int
    baseline: float | None = None
    against: str = ""

    @property
    def ratio(self) -> float | None:
        """value / baseline."""
        return None if not self.baseline else self.value / self.baseline


def seconds(job: Callable[[], object]) -> float:
    """Wall time of one run."""
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def p50_ms(job: Callable[[], object], *, n: int) -> float:
    """Median wall time of `n` runs after one that warms up, in milliseconds."""
    job()
    return statistics.median(seconds(job) for _ in range(n)) * 1000


def batches(items: Sequence[object], size: int) -> Iterable[Sequence[object]]:
    """`items` in pieces of `size`."""
    return (items[i : i + size] for i in range(0, len(items), size))
