"""`make bench`: every `measures()` of bench/*.py, as a table and as bench/results/latest.json.

Names of modules given as arguments limit the run: `make bench ARGS=ledger`. With `--full` those that have a
long form run it: `make bench ARGS="ledger --full"` grows a log to ten million leaves; `--large` says the same.
Each row carries when it was measured and the load of the last quarter of an hour; what a run leaves out keeps
its row, so that large figures stay beside later small ones.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
LATEST = HERE / "results" / "latest.json"
NOT_MEASURES = {"__main__", "measure", "servers"}


def rows_of(measures: Iterable[Any]) -> list[dict[str, Any]]:
    """Measures, dataclasses or plain dictionaries, as the rows of latest.json."""
    rows = []
    for measure in measures:
        fact = asdict(measure) if is_dataclass(measure) else dict(measure)
        baseline = fact.get("baseline")
        fact["ratio"] = fact["value"] / baseline if baseline else None
        fact.setdefault("against", "")
        rows.append({key: _short(value) for key, value in fact.items()})
    return rows


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """The table; what figures are compared with stands below it, once each."""
    table = Table(box=None, pad_edge=False)
    for title, justify in (
        ("measure", "left"),
        ("value", "right"),
        ("unit", "left"),
        ("baseline", "right"),
        ("ratio", "right"),
        ("n", "right"),
        ("", "right"),
    ):
        table.add_column(title, justify=justify, no_wrap=True)
    notes = list(dict.fromkeys(row["against"] for row in rows if row["against"]))
    for row in rows:
        table.add_row(
            row["name"],
            _text(row["value"]),
            row["unit"],
            _text(row["baseline"]),
            "" if row["ratio"] is None else f"{row['ratio']:.2f}",
            str(row["n"]),
            f"({notes.index(row['against']) + 1})" if row["against"] else "",
        )
    console.print(table, crop=False, overflow="ignore")
    console.print("baselines:", highlight=False)
    for number, note in enumerate(notes, start=1):
        console.print(f"  ({number}) {note}", markup=False, highlight=False)


def main(arguments: list[str]) -> int:
    """Run the modules; one that fails is named, the others still count, and the exit code is 1."""
    # A pipe or a narrow terminal must not cut names that people search for.
    console = Console(width=max(Console().width, 170))
    full = "--full" in arguments or "--large" in arguments
    arguments = [one for one in arguments if one not in ("--full", "--large")]
    modules = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_MEASURES)
    unknown = set(arguments) - set(modules)
    if unknown:
        console.print(
            f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(modules)}"
        )
        return 2
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in arguments or modules:
        console.print(f"[dim]measuring {name} …[/]", highlight=False)
        try:
            measures = importlib.import_module(f"bench.{name}").measures
            long = full and "full" in inspect.signature(measures).parameters
            began = time.monotonic()
            found = rows_of(measures(full=True) if long else measures())
            stamp = {
                "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
                "load": round(os.getloadavg()[2], 1),
                "module": name,
            }
            rows += [row | stamp for row in found]
            console.print(f"[dim]  {time.monotonic() - began:.0f} s[/]", highlight=False)
        except Exception:  # noqa: BLE001 - one broken bench must not hide the others
            traceback.print_exc()
            failed.append(name)
    show(rows, console)
    LATEST.parent.mkdir(exist_ok=True)
    if LATEST.is_file():
        # What was not measured now stays, with its date: another module's figures, and the large ones.
        measured = {row["name"] for row in rows}
        earlier = json.loads(LATEST.read_text("utf-8"))["measures"]
        kept = (row for row in earlier if row["name"] not in measured)
        rows = sorted([*rows, *kept], key=lambda row: row["name"])
    machine = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    text = json.dumps({"machine": machine, "measures": rows}, ensure_ascii=False, indent=2)
    LATEST.write_text(text + "\n", "utf-8")
    console.print(f"{len(rows)} measures in {LATEST.relative_to(HERE.parent)}", highlight=False)
    if failed:
        console.print(f"[red]failed: {', '.join(failed)}[/]")
    return 1 if failed else 0


def _short(value: object) -> object:
    """Six significant digits: more would be noise that makes every run differ."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
