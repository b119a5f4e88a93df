"""`fuqi import`: hospitals, needs, factories and carriers from a folder, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.callers import OPERATOR
from api.compose import open_ports
from api.flows.importing import import_dataset
from api.runtime import load_settings, now
from api.story import Stages
from ledger.queries import supply as queries
from ledger.store import transaction

REFUSALS_SHOWN = 20


def import_data(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder with the four CSV files; without it the packaged sample."),
    ] = None,
) -> None:
    """Import a data set and report row by row what was understood, defaulted or refused.

    Safe to kill and to run again: a row is never doubled or lost.
    """
    settings = load_settings()
    ports = open_ports(settings, at=now())
    stages = Stages(Console())
    with stages.stage("导入 import") as advance:
        run = import_dataset(
            ports,
            OPERATOR,
            at=now(),
            folder=folder or settings.data_folder,
            progress=lambda what, done, total: advance(done, total, what),
        )
    states = ("understood", "defaulted", "refused")
    stages.table(
        f"{run.source} · policy {run.policy} · as of {run.as_of}",
        ["file", "rows", *states],
        [
            [name, str(sum(counts.values())), *(str(counts[state]) for state in states)]
            for name, counts in run.counts.items()
        ],
    )
    with transaction(ports.readers) as session:
        rows = queries.import_rows_page(session, run_id=run.run_id, status="refused")
    for row in rows[:REFUSALS_SHOWN]:
        stages.note(f"refused {row.file}:{row.line} {row.source_key}: {', '.join(row.codes)}")
    if len(rows) > REFUSALS_SHOWN:
        stages.note(f"… and {len(rows) - REFUSALS_SHOWN} more (GET /api/v1/imports/{run.run_id})")
