"""`fuqi sim`: histories of faults from seeds; a seed that breaks a promise is printed and fails."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import track

from ledger.simulation import FAULTS, STEPS, PromiseBrokenError, Simulator

CHUNK: Final = 50
"""Seeds one process takes at a time; the preparation of a database is shared by them."""
EVERYWHERE: Final = 500
"""Every so many seeds a history is lived once for each of its writes, dying there; that is fifty runs."""


def sim(
    seed: Annotated[
        int | None, typer.Option(min=0, help="Run this seed alone, and say what happened.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run.")] = 10_000,
    start: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Acts per seed.")] = STEPS,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
) -> None:
    """Simulate log and submitter under faults, and check every promise after every step. Exit 1: one broke."""
    console = Console()
    began = time.monotonic()
    if seed is not None:
        found = [_run_seeds([seed], steps)]
    else:
        found = list(_run_all(range(start, start + seeds), steps=steps, jobs=jobs))
    counts: Counter[str] = Counter()
    broken: list[str] = []
    for part_counts, part_broken in found:
        counts.update(part_counts)
        broken.extend(part_broken)
    for line in broken:
        console.print(f"[bold red]broken[/] {line}", highlight=False)
    for name, count in sorted(counts.items()):
        if name not in FAULTS:
            console.print(f"{count:>9}  {name}", highlight=False, markup=False)
    console.print("faults that fired:", highlight=False)
    for name, meaning in FAULTS.items():
        fired = counts[name] or "never"
        console.print(f"{fired:>9}  {name}: {meaning}", highlight=False, markup=False)
    console.print(
        f"{len(broken)} of {1 if seed is not None else seeds} seeds broke a promise "
        f"({int(time.monotonic() - began)} s)",
        highlight=False,
    )
    raise typer.Exit(1 if broken else 0)


def _run_all(seeds: range, *, steps: int, jobs: int) -> Iterator[tuple[Counter[str], list[str]]]:
    chunks = [list(seeds[at : at + CHUNK]) for at in range(0, len(seeds), CHUNK)]
    # Spawned, not forked: a child must not share the parent's open databases.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context) as pool:
        waiting = [pool.submit(_run_seeds, chunk, steps) for chunk in chunks]
        for future in track(waiting, description="simulating 模拟", transient=True):
            yield future.result()


def _run_seeds(seeds: Sequence[int], steps: int) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fuqi-sim-") as folder:
        simulator = Simulator(Path(folder))
        for seed in seeds:
            try:
                outcome = simulator.run(seed, steps=steps)
                counts.update(outcome.counts)
                counts["entries.final"] += outcome.entries
                if seed % EVERYWHERE == 0:
                    died = simulator.run_dying_everywhere(seed, steps=steps)
                    counts["died.at_each_write"] += sum(
                        died[f"fault.killed_{when}_commit"] for when in ("before", "after")
                    )
            except PromiseBrokenError as exc:
                broken.append(str(exc))
        simulator.close()
    return counts, broken
