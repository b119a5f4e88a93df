"""The Solidity tests, run by forge where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORGE = ROOT / "node_modules" / ".bin" / "forge"
TESTS_AT_LEAST = 159


@pytest.mark.slow
def test_every_solidity_test_passes():
    if shutil.which("node") is None or not FORGE.exists():
        pytest.skip("forge is not installed: run `make setup-test`")
    done = subprocess.run(
        [FORGE, "test"], cwd=ROOT / "contracts", capture_output=True, text=True, timeout=240
    )
    # The npm wrapper of forge exits 0 even when tests fail, so only the closing line is believed.
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    totals = re.search(r"(\d+) tests passed, (\d+) failed, (\d+) skipped", done.stdout)
    assert totals is not None, done.stdout[-4000:] + done.stderr[-2000:]
    assert totals[2] == totals[3] == "0", done.stdout[-4000:]
    assert int(totals[1]) >= TESTS_AT_LEAST


def test_every_source_file_has_a_mirroring_test_or_is_an_interface():
    sources = {
        path.relative_to(ROOT / "contracts" / "src").with_suffix("").as_posix()
        for path in (ROOT / "contracts" / "src").rglob("*.sol")
    }
    tests = {
        path.relative_to(ROOT / "contracts" / "test").as_posix().removesuffix(".t.sol")
        for path in (ROOT / "contracts" / "test").rglob("*.t.sol")
    }
    # Beside the mirrors: bounds that mutation testing found untold, invariants, recorded lives.
    beside = {name for name in tests if name.startswith(("edges/", "invariants/", "replay/"))}
    assert {name for name in sources if not name.startswith("interfaces/")} == tests - beside
