"""`fuqi db migrate`: bring the schema to the newest version."""

from __future__ import annotations

import typer
from rich.console import Console

from api.runtime import load_settings
from ledger.store import make_engine, migrate, schema_state

app = typer.Typer(help="Database schema.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Database schema."""


@app.command("migrate")
def migrate_schema() -> None:
    """Run pending migrations. Safe to run again. Cannot be undone: back up first in production."""
    settings = load_settings()
    migrate(settings.database)
    engine = make_engine(settings.database)
    try:
        current, head = schema_state(engine)
    finally:
        engine.dispose()
    Console().print(f"schema at {current} (newest {head})")
