"""`fuqi vault`: where the master key is, and changing it."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from api.compose import open_ports
from api.compose_vault import open_master_keys
from api.runtime import load_settings, now
from ledger.master_keys import count_refs, number_index_key, rewrap

app = typer.Typer(help="The master key that wraps every data key.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The master key that wraps every data key."""


@app.command("status")
def status() -> None:
    """Say which provider is in use and how many data keys are under each master key."""
    settings = load_settings()
    ports = open_ports(settings, at=now())
    provider = open_master_keys(settings)
    console = Console()
    console.print(provider.keys.describe(), highlight=False, markup=False)
    table = Table("master key", "data keys", "")
    current = provider.keys.current()
    for ref, count in sorted(count_refs(ports.sessions).items()):
        table.add_row(ref, str(count), "current" if ref == current else "run fuqi vault rewrap")
    console.print(table)


@app.command("rewrap")
def rewrap_keys() -> None:
    """Wrap every data key under the current master key; killed at any moment, nothing is lost."""
    settings = load_settings()
    ports = open_ports(settings, at=now())
    provider = open_master_keys(settings)
    number_index_key(ports.sessions, provider, legacy=provider.legacy, at=now())
    done = rewrap(ports.sessions, provider)
    Console().print(f"{done} data keys are now under {provider.keys.current()}", highlight=False)


@app.command("rotate")
def rotate() -> None:
    """Make a new master key and wrap every data key under it. Restart `serve` and `worker` afterwards."""
    settings = load_settings()
    ports = open_ports(settings, at=now())
    provider = open_master_keys(settings)
    # The key of the number index must not stay derived from a file that may be destroyed.
    number_index_key(ports.sessions, provider, legacy=provider.legacy, at=now())
    ref = provider.keys.rotate()
    done = rewrap(ports.sessions, provider)
    Console().print(f"{done} data keys are now under {ref}", highlight=False)
