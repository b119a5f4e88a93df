"""kill -9 before every single write of the embedded chain: first start, deployment, appends.

What was acknowledged is there afterwards, nothing is there twice or in part, and the chain goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.embedded_chain import EmbeddedChain
from ledger.testing import MemoryLog

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
THOROUGH = os.environ.get("FUQI_HYPOTHESIS") == "thorough"


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """kill_at_write.c, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler on this machine (sudo apt-get install gcc), or not Linux")
    made = tmp_path_factory.mktemp("shim") / "kill_at_write.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", made, HERE / "kill_at_write.c", "-ldl"],
        check=True,
    )
    return made


def die_everywhere(shim, base, work, *, before, torn, stride, offset=0):
    """(deaths, number of the first write that a whole life does not reach)."""
    done = subprocess.run(
        [
            *(sys.executable, HERE / "kill_at_write.py", base, work, str(before)),
            *("torn" if torn else "whole", str(stride), str(offset)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    deaths, writes = done.stdout.split()
    return int(deaths), int(writes)


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("start", ["nothing", "a chain"])
def test_death_at_any_write_loses_no_acknowledged_block_and_doubles_none(
    tmp_path, shim, start, torn
):
    base, before = tmp_path / "base", 0
    if start == "a chain":
        chain, log = EmbeddedChain(base, clock=lambda: 1_700_000_000.0), MemoryLog()
        chain.deploy()
        before = 2
        for _ in range(before):
            held = chain.head().size
            size, root = log.grow(1)
            path = log.path(held, size)
            nonce, fees = chain.nonce(), chain.fees()
            signed = chain.sign_append(size=size, root=root, proof=path, nonce=nonce, fees=fees)
            chain.send(signed.raw)
        chain.close()
    # Every write in `make test-all`; in `make test` every fifth, beginning at another in each case.
    stride, offset = (1, 0) if THOROUGH else (5, int(torn) + (start == "nothing"))
    deaths, writes = die_everywhere(
        shim, base, tmp_path / "work", before=before, torn=torn, stride=stride, offset=offset
    )
    # Two appends are two transactions of several pages and a sync each; a first start writes much more.
    assert writes > 20
    assert deaths == (writes - offset) // stride
