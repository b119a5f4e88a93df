"""The `fuqi` command: wiring only; each noun has its module in api/commands/.

Only the module of the command that was called is imported: `fuqi bundle verify` starts in a fraction of a
second and loads no web3, solver or database driver.

Exit codes: 0 passed or done, 1 failed, 2 usage, 3 indeterminate.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Final

import typer
from rich.console import Console

from ledger.core.errors import FuqiError, InputError


@dataclass(frozen=True, slots=True)
class _Command:
    """Where a command lives: a function, or a Typer application with commands of its own."""

    name: str
    module: str
    attribute: str

    @property
    def is_group(self) -> bool:
        return self.attribute == "app"


COMMANDS: Final = (
    _Command("demo", "api.commands.demo", "demo"),
    _Command("serve", "api.commands.serve", "serve"),
    _Command("worker", "api.commands.serve", "worker"),
    _Command("import", "api.commands.importing", "import_data"),
    _Command("verify", "api.commands.verify", "verify"),
    _Command("bundle", "api.commands.bundle", "app"),
    _Command("receipt", "api.commands.receipt", "app"),
    _Command("round", "api.commands.round", "app"),
    _Command("doctor", "api.commands.doctor", "doctor"),
    _Command("account", "api.commands.account", "app"),
    _Command("contracts", "api.commands.contracts", "app"),
    _Command("db", "api.commands.database", "app"),
    _Command("trust", "api.commands.trust", "app"),
    _Command("key", "api.commands.key", "app"),
    _Command("sign", "api.commands.key", "sign"),
    _Command("ca", "api.commands.authority", "app"),
    _Command("log", "api.commands.log", "app"),
    _Command("vault", "api.commands.vault", "app"),
    _Command("witness", "api.commands.witness", "app"),
    _Command("sim", "api.commands.sim", "sim"),
)


def build(wanted: str | None = None) -> typer.Typer:
    """The application, with the command `wanted` only, or with all of them (for help and docs)."""
    app = typer.Typer(
        name="fuqi",
        help="fuqi 符契: sign contracts under real names, anchor every step, match supplies provably.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
    )
    app.callback()(root)
    for command in COMMANDS:
        if wanted is None or command.name == wanted:
            loaded = getattr(importlib.import_module(command.module), command.attribute)
            if command.is_group:
                app.add_typer(loaded, name=command.name)
            else:
                app.command(command.name)(loaded)
    return app


def _show_version(value: bool) -> None:  # noqa: FBT001 - the shape Typer calls
    if value:
        typer.echo(f"fuqi {version('fuqi')}")
        raise typer.Exit


def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """fuqi 符契: sign contracts under real names, anchor every step, match supplies provably."""
    del show_version


def main() -> None:
    """Entry point: our own errors become one clear line and an exit code, never a traceback."""
    names = {command.name for command in COMMANDS}
    wanted = next((word for word in sys.argv[1:2] if word in names), None)
    try:
        build(wanted)()
    except FuqiError as exc:
        console = Console(stderr=True)
        console.print(f"[bold red]{exc.error_code}[/]: ", end="")
        console.print(exc.message, highlight=False, markup=False)
        for key, value in exc.context.items():
            console.print(f"  {key}: {value}", highlight=False, markup=False)
        if exc.retryable:
            console.print("  nothing was lost; run the same command again 可重试，不会丢失数据")
        sys.exit(2 if isinstance(exc, InputError) else 1)


if __name__ == "__main__":
    main()
