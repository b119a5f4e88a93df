"""`fuqi trust export`: write what a stranger pins before verifying this installation's evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.compose import open_ports
from api.flows.evidence import installation_trust
from api.runtime import load_settings, now
from arbitration.policy import save_trust
from ledger.store import transaction

app = typer.Typer(help="Trust files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Trust files."""


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write the trust file.")],
) -> None:
    """Write this installation's roots, log key and contract as a trust file.

    Hand it over by another way than the bundle (in person, by a notary), or it proves nothing.
    """
    ports = open_ports(load_settings(), at=now())
    with transaction(ports.readers) as session:
        trust = installation_trust(session, ports, at=now())
    save_trust(trust, file)
    Console().print(f"wrote {file}", highlight=False)
