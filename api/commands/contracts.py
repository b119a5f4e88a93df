"""`fuqi contracts build`: compile the Solidity and write the artifacts."""

from __future__ import annotations

import typer

from contracts.compile import main as compile_contracts

app = typer.Typer(help="Solidity contracts.", no_args_is_help=True)


@app.callback()
def contracts() -> None:
    """Solidity contracts."""


@app.command("build")
def build() -> None:
    """Compile contracts/src with the pinned solc and write contracts/artifacts (needs the sources)."""
    raise typer.Exit(compile_contracts())
