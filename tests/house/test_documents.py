"""The documents say what the program does: codes, settings, commands, links."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCRIPTS = ROOT / "scripts"


def run_script(name: str, *, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name)], capture_output=True, text=True, cwd=cwd, timeout=120
    )


@pytest.mark.parametrize("page", ["errors", "checks", "settings", "formats", "cli"])
def test_the_reference_page_is_complete(page: str) -> None:
    done = run_script(f"{page}_doc.py")
    assert done.returncode == 0, done.stderr


def found_codes(tmp_path: Path, source: str) -> tuple[set[str], set[str], int]:
    """(error codes, check codes, number of unreadable ones) in one invented module."""
    (tmp_path / "signing").mkdir()
    (tmp_path / "signing" / "sample.py").write_text(source, "utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "import codes\nfrom pathlib import Path\n"
        "c = codes.read(Path(sys.argv[1]), ('signing',))\n"
        "print((set(c.of('error')), set(c.of('check')), len(c.unreadable)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.replace("set()", "{*()}").replace("{*()}", "None"))


@pytest.mark.parametrize(
    ("source", "errors", "checks", "unreadable"),
    [
        ("raise FuqiError('no', code='a.b')", {"a.b"}, None, 0),
        ("class E(FuqiError):\n    code = 'a.class'", {"a.class"}, None, 0),
        (
            "def f(code):\n    raise FuqiError('no', code=code)\nf('a.handed')",
            {"a.handed"},
            None,
            0,
        ),
        (
            "def f(w):\n    raise FuqiError('x', code=f'{w}.b')\nf('a')\nf('c')",
            {"a.b", "c.b"},
            None,
            0,
        ),
        ("raise FuqiError('no', code='a.x' if y else 'a.z')", {"a.x", "a.z"}, None, 0),
        ("Check('c.one', verdict, 'fine', '好')", None, {"c.one"}, 0),
        ("raise FuqiError('no', code=compute())", None, None, 1),
        ("print('no.code', code='x.y')", None, None, 0),
    ],
)
def test_the_reader_of_codes_sees_every_way_a_code_is_written(
    tmp_path: Path, source: str, errors: object, checks: object, unreadable: int
) -> None:
    assert found_codes(tmp_path, source) == (errors, checks, unreadable)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def commands_in(text: str) -> list[tuple[str, str]]:
    """Every `make x` and `fuqi x` that a page shows as code."""
    blocks = re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = []
    for line in [*"\n".join(blocks).splitlines(), *spans]:
        words = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
        match = re.match(r"(?:[A-Z_]+=\S+ )*(make|fuqi) +([a-z][a-z-]*(?: +[a-z][a-z-]*)?)", words)
        if match:
            found.append((match.group(1), match.group(2)))
    return found


def fuqi_commands() -> set[str]:
    """`verify`, `bundle`, `bundle verify`, …"""
    import typer.main

    from api.cli import build

    names: set[str] = set()
    root = typer.main.get_command(build())
    for name, command in getattr(root, "commands", {}).items():
        names.add(name)
        names |= {f"{name} {inner}" for inner in getattr(command, "commands", {})}
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_on_the_page_exists(page: Path) -> None:
    shown = commands_in(page.read_text("utf-8"))
    targets = make_targets()
    assert {
        words for tool, words in shown if tool == "make" and words.split()[0] not in targets
    } == set()
    if not any(tool == "fuqi" for tool, _ in shown):
        return
    known = fuqi_commands()
    groups = {name.split()[0] for name in known if " " in name}
    for tool, words in shown:
        if tool == "fuqi":
            first = words.split()[0]
            assert (words if first in groups and " " in words else first) in known, words


def test_the_readme_shows_the_two_commands_and_what_comes_next() -> None:
    shown = commands_in((ROOT / "README.md").read_text("utf-8"))
    assert ("make", "demo") in shown
    assert ("fuqi", "serve") in shown


def test_an_invented_command_would_be_seen() -> None:
    assert commands_in("run `make nothing`") == [("make", "nothing")]
    assert commands_in("```sh\nfuqi bundle shred x.zip\n```") == [("fuqi", "bundle shred")]
    assert "nothing" not in make_targets()


def test_every_make_target_is_explained_or_internal() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert {"help", "setup", "demo", "check", "test", "test-all", "bench", "wheel"} <= explained


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_the_page_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        path = page.parent / target.split("#")[0]
        assert path.exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_decision_record_is_short_and_numbered() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    assert [p.name for p in records if len(p.read_text("utf-8").splitlines()) > 40] == []


def test_every_dependency_has_its_line_of_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9_-]", text)[0].lower() for text in wanted}
    record = next((ROOT / "docs" / "adr").glob("0009-*.md")).read_text("utf-8").lower()
    assert {name for name in names if f"`{name}`" not in record} == set()
