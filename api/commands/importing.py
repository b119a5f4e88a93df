"""`fuqi import`: hospitals, needs, factories and carriers from a folder, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def import_data(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder with the four CSV files; without it the packaged sample."),
    ] = None,
) -> None:
    """placeholder"""
    Console().print(str(folder))
