"""What is committed works elsewhere: no paths of one machine, no secrets, no addresses, no large files."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIZE_MAX_BYTES = 2 * 1024 * 1024
# Written in parts, so that this file does not hold what it looks for.
SECRET = re.compile(
    "|".join(
        [
            "-----BEGIN (?:[A-Z]+ )?PRIVATE" + " KEY-----",
            "AKIA" + "[0-9A-Z]{16}",
            "gh[pousr]_" + "[A-Za-z0-9]{36}",
            "sk-" + "[A-Za-z0-9]{32,}",
            "xox[abp]-" + "[A-Za-z0-9-]{20,}",
        ]
    )
)
HOME_PATH = re.compile("/(?:ho" + "me/[a-z]|ro" + "ot/|Us" + "ers/[a-zA-Z])")
ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|registry *=|\"resolved\":")
LOCKS = [*sorted(ROOT.glob("*.lock")), *sorted((ROOT / "scripts").glob("*.lock"))]


def tracked() -> list[Path]:
    """Files that git keeps, or would keep: what is ignored is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("this copy is not a git clone")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            found.append((path.relative_to(ROOT), data.decode("utf-8", "replace")))
    return found


def test_no_tracked_file_is_larger_than_two_mebibytes() -> None:
    large = [path.relative_to(ROOT) for path in tracked() if path.stat().st_size > SIZE_MAX_BYTES]
    assert large == []


def test_no_tracked_file_holds_a_secret() -> None:
    assert [str(path) for path, text in texts() if SECRET.search(text)] == []


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    here = str(ROOT.parent) + "/"
    found = [
        f"{path}: {match}"
        for path, text in texts()
        for match in [*HOME_PATH.findall(text), *([here] if here in text else [])]
    ]
    assert found == []


def test_the_search_for_secrets_and_paths_finds_them() -> None:
    assert SECRET.search("-----BEGIN EC PRIVATE " + "KEY-----")
    assert SECRET.search("AKIA" + "A" * 16)
    assert HOME_PATH.search("open('/ro" + "ot/key')")
    assert not HOME_PATH.search("/usr/share/fonts")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_every_package_with_hashes_and_names_no_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert not ADDRESS.search(text)
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)
    packages = [package for package in packages if "==" in package]
    assert packages
    assert [p.splitlines()[0] for p in packages if "--hash=sha256:" not in p] == []


def test_the_npm_lock_names_no_address() -> None:
    path = ROOT / "package-lock.json"
    packages = json.loads(path.read_text("utf-8"))["packages"]
    assert [name for name, fact in packages.items() if "resolved" in fact] == []
    assert [name for name, fact in packages.items() if name and "integrity" not in fact] == []


def test_the_runtime_lock_is_part_of_the_dev_lock() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / name).read_text("utf-8")
        return set(re.findall(r"^([a-z0-9._-]+==[^ \\]+)", text, re.MULTILINE | re.IGNORECASE))

    runtime, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert len(runtime) > 20
    assert runtime - dev == set(), "tests would run on other versions than users get"


def test_scripts_can_be_executed() -> None:
    for path in [ROOT / ".ci" / "run", *sorted((ROOT / "scripts").glob("*.sh"))]:
        assert os.access(path, os.X_OK), path
        assert path.read_text("utf-8").startswith("#!/usr/bin/env bash\n")
        assert "set -euo pipefail" in path.read_text("utf-8")


def test_ci_runs_what_people_run() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
