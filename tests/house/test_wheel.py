"""One wheel, installed with the locked dependencies in a clean environment, runs from anywhere."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"contracts", "ledger", "signing", "matching", "arbitration", "api"}
INSIDE = (  # what a build that only takes *.py would leave out
    r"contracts/artifacts/EvidenceLog\.json",
    r"contracts/src/EvidenceLog\.sol",
    r"ledger/migrations/env\.py",
    r"ledger/migrations/versions/0001_\w+\.py",
    r"matching/data/.+\.json",
    r"matching/sample/.+",
    r"signing/templates/.+\.py",
    r"api/web/templates/.+\.html",
    r"api/web/static/.+\.css",
    *(rf"{package}/py\.typed" for package in sorted(PACKAGES)),
)
NOT_INSIDE = (
    r"^(tests|docs|bench|scripts)/",
    r"\.pyc$",
    r"node_modules",
    r"^contracts/(out|cache)/",
)
TIMEOUT = 900

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT + 60)]


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        ROOT,
        cwd=folder,
    )
    found = list(folder.glob("*.whl"))
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a clean environment with the wheel and every dependency from the lock."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock", cwd=folder)
    run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    return python


def test_the_wheel_is_named_fuqi(wheel: Path) -> None:
    assert wheel.name.startswith("fuqi-")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_holds_exactly_six_packages(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


@pytest.mark.parametrize("pattern", INSIDE)
def test_the_wheel_holds_what_the_code_reads(names: list[str], pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in names)


@pytest.mark.parametrize("pattern", NOT_INSIDE)
def test_the_wheel_leaves_the_workshop_behind(names: list[str], pattern: str) -> None:
    assert [name for name in names if re.search(pattern, name)] == []


def test_every_source_file_is_in_the_wheel(names: list[str]) -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "node_modules" not in path.parts
    }
    assert sources - set(names) == set()


def test_the_command_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    fuqi = installed.with_name("fuqi")
    assert re.fullmatch(r"fuqi \d+\.\d+\.\d+\n", run(fuqi, "--version", cwd=tmp_path))
    assert "demo" in run(fuqi, "--help", cwd=tmp_path)
    run(fuqi, "bundle", "verify", "--help", cwd=tmp_path)


def test_the_installed_names_belong_to_fuqi_alone(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m; d = m.packages_distributions();"
        f"print({{n: d.get(n) for n in {sorted(PACKAGES)!r}}})"
    )
    said = run(installed, "-c", code, cwd=tmp_path)
    assert said.strip() == str({name: ["fuqi"] for name in sorted(PACKAGES)})


def test_the_installed_dependencies_fit_each_other(installed: Path, tmp_path: Path) -> None:
    run(installed, "-m", "pip", "check", "--disable-pip-version-check", cwd=tmp_path)


def test_a_refused_file_gives_one_line_and_exit_code_and_no_traceback(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "not.pdf").write_bytes(b"not a pdf")
    done = subprocess.run(
        [str(installed.with_name("fuqi")), "verify", "not.pdf"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (1, 2, 3)
    assert "Traceback" not in done.stderr + done.stdout
