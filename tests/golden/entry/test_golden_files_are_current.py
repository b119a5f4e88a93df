"""`scripts/golden_ledger.py` gives exactly the files that are committed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("broken", [False, True])
def test_the_vector_files_are_those_the_generator_makes(repository, tmp_path, broken):
    program = (repository / "scripts" / "golden_ledger.py").read_text(encoding="utf-8")
    if broken:  # the same check must be able to fail
        program = program.replace('"符契 fuqi"', '"符契 fuqi!"')
    copy = tmp_path / "golden_ledger.py"
    copy.write_text(
        program.replace("Path(__file__).resolve().parents[1]", f"Path({str(repository)!r})"),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(copy)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=repository,
        env={"PYTHONPATH": str(repository), "PATH": ""},
    )
    expected = ["tests/golden/canonical/vectors.json"] if broken else []
    assert (done.stdout.split(), done.returncode) == (expected, int(broken)), done.stderr
