"""scripts/setup.sh says what is missing and how to get it, and does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def clone(folder: Path) -> Path:
    """The files that set-up reads, without an environment."""
    (folder / "scripts").mkdir(parents=True)
    for name in (
        "scripts/setup.sh",
        "scripts/editable.lock",
        "requirements-dev.lock",
        "pyproject.toml",
    ):
        shutil.copy(ROOT / name, folder / name)
    return folder


def fake_python(folder: Path, *, minor: int, venv: bool) -> Path:
    """An interpreter that answers its version and makes an environment or refuses to."""
    path = folder / "python-for-test"
    path.write_text(
        "#!/bin/sh\n"
        f'case "$1" in -c) echo {minor};; --version) echo "Python 3.{minor}.0";;'
        f" -m) exit {0 if venv else 1};; esac\n"
    )
    path.chmod(0o755)
    return path


def set_up(
    folder: Path, *, python: Path | None, purpose: str = "demo"
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FUQI_NO_APT": "1"}
    if python:
        environment["FUQI_PYTHON"] = str(python)
    return subprocess.run(
        ["bash", "scripts/setup.sh", purpose],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    done = set_up(folder, python=fake_python(tmp_path, minor=10, venv=True))
    assert done.returncode == 1
    assert "not Python 3.11 or newer" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_python_without_venv_says_which_package_has_it(tmp_path: Path) -> None:
    done = set_up(clone(tmp_path / "clone"), python=fake_python(tmp_path, minor=12, venv=False))
    assert done.returncode == 1
    assert "apt-get install python3.12-venv" in done.stderr


def test_a_purpose_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    done = set_up(clone(tmp_path / "clone"), python=None, purpose="everything")
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_a_second_run_installs_nothing() -> None:
    stamp = ROOT / ".venv" / ".fuqi-setup"
    if not stamp.is_file():
        pytest.skip("this environment was not made by make setup")
    before = stamp.stat().st_mtime_ns
    done = set_up(ROOT, python=None)
    assert done.returncode == 0, done.stderr
    if "installing" in done.stdout:
        pytest.fail("the stamp is older than the lock files: run make setup, then the tests")
    assert stamp.stat().st_mtime_ns == before
