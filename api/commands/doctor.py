"""`fuqi doctor`: what this machine has and lacks."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from api.doctor import examine
from api.machine import Machine
from api.runtime import load_settings
from ledger.core.report import Report, Verdict

EXIT: Final = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INDETERMINATE: 3}
MARK: Final = {
    Verdict.PASSED: "[green]ok[/]",
    Verdict.FAILED: "[bold red]missing[/]",
    Verdict.INDETERMINATE: "[yellow]unclear[/]",
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    for_tests: Annotated[
        bool, typer.Option("--tests", help="Require what only the tests use, too.")
    ] = False,
) -> None:
    """Look at this machine: what is missing and how to get it. Exit 0 complete, 1 missing, 3 unclear."""
    settings = load_settings()
    report = examine(Machine(settings=settings), for_tests=for_tests)
    if as_json:
        typer.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        _show(report, lang=settings.lang)
    raise typer.Exit(EXIT[report.verdict])


def _show(report: Report, *, lang: str) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("check")
    table.add_column("")
    table.add_column("found 结果", overflow="fold")
    for number, check in enumerate(report.checks, start=1):
        said = check.summary_zh if lang == "zh" else check.summary_en
        table.add_row(str(number), check.code.removeprefix("doctor."), MARK[check.verdict], said)
    console.print(table)
    for label in report.labels:
        console.print(f"- {label}", markup=False, highlight=False)
    console.print(f"verdict 结论: {report.verdict.value}", highlight=False)
