"""Runs poppler's `pdfsig`, where it is installed: a validator that shares no code with ours."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

SECONDS_MAX: Final = 30
"""It reads a 100 MB file with fifty signatures in a few seconds; longer is a hang."""
OUTPUT_CHARACTERS_MAX: Final = 200_000


@cache
def program() -> str | None:
    """Where `pdfsig` is; None where poppler-utils is not installed."""
    return shutil.which("pdfsig")


@cache
def version() -> str:
    """`pdfsig 22.12.0`, or `pdfsig` where it does not say."""
    found = program()
    if found is None:
        return "pdfsig"
    done = subprocess.run([found, "-v"], capture_output=True, timeout=SECONDS_MAX, check=False)
    words = done.stderr.decode(errors="replace").split()
    return (
        f"pdfsig {words[2]}" if len(words) > 2 and words[:2] == ["pdfsig", "version"] else "pdfsig"
    )


def judge(data: bytes) -> str | None:
    """Its report on the signatures, without certificates; None where it is absent or does not finish."""
    found = program()
    if found is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.pdf"
        file.write_bytes(data)
        try:
            done = subprocess.run(
                [found, "-nocert", str(file)],
                capture_output=True,
                timeout=SECONDS_MAX,
                check=False,
                # An empty home: it would read certificates of whoever runs us.
                env={"HOME": folder, "LANG": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired:
            return None
    return done.stdout.decode(errors="replace")[:OUTPUT_CHARACTERS_MAX]
