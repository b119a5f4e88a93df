"""Stages with progress: what `fuqi demo` and other long commands show while they work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

Advance = Callable[[int, int, str], None]
"""(done, total, what) -> None; called as often as convenient."""


@dataclass(slots=True)
class Stages:
    """Runs stages in order, shows each one's progress and remembers how long it took."""

    console: Console
    timings: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def stage(self, title: str) -> Iterator[Advance]:
        """One stage: a line with a spinner and, when the work reports counts, a bar."""
        number = len(self.timings) + 1
        self.console.print(f"\n[bold cyan]{number}. {title}[/]", highlight=False)
        started = time.monotonic()
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        ) as progress:
            task = progress.add_task("…", total=None)

            def advance(done: int, total: int, what: str) -> None:
                progress.update(task, completed=done, total=total, description=what)

            yield advance
        took = time.monotonic() - started
        self.timings.append((title, took))
        self.console.print(f"   [dim]{took:.1f} s[/]", highlight=False)

    def note(self, text: str) -> None:
        """One line of what happened."""
        self.console.print(f"   {text}", highlight=False, markup=False, soft_wrap=True)

    def mark(self, text: str, *, good: bool = True) -> None:
        """One line with a tick or a cross."""
        sign = "[green]✓[/]" if good else "[red]✗[/]"
        self.console.print(f"   {sign} ", end="")
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A small table."""
        table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)
