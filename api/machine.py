"""The seams between `fuqi doctor` and this machine: every look outside is a replaceable function."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from api.compose import open_chain
from api.compose_vault import describe_master_keys
from api.settings import Settings
from ledger.chain import ChainPort
from ledger.queries.round_chain import alarmed_rounds
from ledger.store import make_engine, schema_state, sessions, transaction
from signing.fonts import find_font

PROGRAM_TIMEOUT_SECONDS: Final = 20
"""Chromium's first start on a slow disk takes several; a program that hangs longer is of no use."""


def _run(command: Sequence[str]) -> str | None:
    """First line that `command` prints, or None where it is absent or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _schema(url: str) -> tuple[str | None, str | None]:
    engine = make_engine(url)
    try:
        return schema_state(engine)
    finally:
        engine.dispose()


def _alarms(url: str, wall: Callable[[], datetime]) -> tuple[str, ...]:
    """Ids of rounds whose result on the chain does not stand."""
    engine = make_engine(url)
    try:
        with transaction(sessions(engine)) as session:
            return tuple(row.round_id for row in alarmed_rounds(session, at=wall()))
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Machine:
    """The seams to the outside, so that every finding can be tested without the machine that shows it."""

    settings: Settings
    python: tuple[int, int, int] = sys.version_info[:3]
    run: Callable[[Sequence[str]], str | None] = _run
    version: Callable[[str], str | None] = _version
    requires: Callable[[str], list[str] | None] = metadata.requires
    missing_glyphs: Callable[[str], tuple[str, ...]] = lambda text: find_font().missing(text)
    font_name: Callable[[], str] = lambda: find_font().path.name
    schema: Callable[[str], tuple[str | None, str | None]] = _schema
    chain: Callable[[Settings], ChainPort] = open_chain
    alarms: Callable[[str, Callable[[], datetime]], tuple[str, ...]] = _alarms
    master_keys: Callable[[Settings], str] = describe_master_keys
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    checkout: Path = Path(__file__).resolve().parent.parent
