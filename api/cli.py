"""The `fuqi` command: wiring only; each noun has its module in api/commands/.

Exit codes: 0 passed or done, 1 failed, 2 usage, 3 indeterminate.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from api.commands import (
    account,
    bundle,
    contracts,
    database,
    demo,
    doctor,
    importing,
    serve,
    trust,
    verify,
)
from ledger.core.errors import FuqiError, InputError

app = typer.Typer(
    name="fuqi",
    help="fuqi 符契: sign contracts under real names, anchor every step, match supplies provably.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("import")(importing.import_data)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(bundle.app, name="bundle")
app.add_typer(contracts.app, name="contracts")
app.add_typer(database.app, name="db")
app.add_typer(account.app, name="account")
app.add_typer(trust.app, name="trust")


def _show_version(value: bool) -> None:  # noqa: FBT001 - the shape Typer calls
    if value:
        typer.echo(f"fuqi {version('fuqi')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """fuqi 符契."""
    del show_version


def main() -> None:
    """Entry point: our own errors become one clear line and an exit code, never a traceback."""
    try:
        app()
    except FuqiError as exc:
        console = Console(stderr=True)
        console.print(f"[bold red]{exc.error_code}[/]: {exc.message}", highlight=False)
        for key, value in exc.context.items():
            console.print(f"  {key}: {value}", highlight=False, markup=False)
        if exc.retryable:
            console.print("  nothing was lost; run the same command again 可重试，不会丢失数据")
        sys.exit(2 if isinstance(exc, InputError) else 1)


if __name__ == "__main__":
    main()
