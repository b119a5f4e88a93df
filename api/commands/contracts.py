"""`fuqi contracts build`: compile the Solidity and write the artifacts."""

from __future__ import annotations

import typer
from rich.console import Console

from contracts.compile import build as build_artifacts

app = typer.Typer(help="Solidity contracts.", no_args_is_help=True)


@app.command("build")
def build() -> None:
    """Compile contracts/src with the pinned solc and write contracts/artifacts."""
    console = Console()
    with console.status("compiling contracts/src …"):
        written = build_artifacts()
    for path in written:
        console.print(f"wrote {path}", highlight=False)
