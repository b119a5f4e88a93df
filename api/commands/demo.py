"""`fuqi demo`: the whole job once, on real input."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from api.demo import run_demo
from api.runtime import configure_logging, demo_settings, now
from api.story import Stages


def demo(
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete an earlier demonstration and start anew.")
    ] = False,
) -> None:
    """Run the whole story once: parties, import, matching, signing, anchoring, evidence.

    Run again, it continues where it was; killed at any moment, it loses nothing and doubles nothing.
    Everything lies under var/demo, or under FUQI_HOME where that is set.
    """
    configure_logging(json=False)
    console = Console(soft_wrap=False)
    good = run_demo(demo_settings(), Stages(console), clock=now, fresh=fresh)
    raise typer.Exit(0 if good else 1)
