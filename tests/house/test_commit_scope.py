"""The answer leaves after the commit, not before (ADR 0003)."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

ROOT = Path(__file__).resolve().parents[2]


class DiskFullError(Exception):
    """What the commit of this test's session raises."""


def failing_session() -> Iterator[str]:
    """A session whose commit fails."""
    yield "session"
    raise DiskFullError


def status_with(dependency: Any) -> int:
    """What a client is told by a route that uses `dependency`."""
    app = FastAPI()

    @app.post("/entries")
    def write(session: str = dependency) -> dict[str, bool]:
        del session
        return {"ok": True}

    client = TestClient(app, raise_server_exceptions=False)
    return client.post("/entries").status_code


def test_a_failing_commit_in_function_scope_answers_500() -> None:
    assert status_with(Depends(failing_session, scope="function")) == 500


def test_a_failing_commit_in_the_default_scope_would_have_answered_200() -> None:
    # This is why the scope is declared. If this ever fails, FastAPI has changed and the rule may go.
    assert status_with(Depends(failing_session)) == 200


def session_scopes(source: str) -> list[str | None]:
    """The scope of every `Depends(open_session…)` in one source."""
    found: list[str | None] = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Depends"):
            continue
        if not node.args or "session" not in ast.unparse(node.args[0]).lower():
            continue
        scopes = [k.value for k in node.keywords if k.arg == "scope"]
        found.append(ast.literal_eval(scopes[0]) if scopes else None)
    return found


def test_every_session_dependency_of_ours_has_function_scope() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{scope}"
        for path in (ROOT / "api").rglob("*.py")
        for scope in session_scopes(path.read_text("utf-8"))
    }
    if not (ROOT / "api" / "deps.py").is_file():
        pytest.skip("api/deps.py is not written yet")
    assert found, "api declares no session dependency at all"
    assert {entry for entry in found if not entry.endswith(":function")} == set()


def test_the_search_for_session_dependencies_sees_a_default_scope() -> None:
    assert session_scopes("A = Annotated[S, Depends(open_session)]") == [None]
    assert session_scopes("A = Annotated[S, Depends(open_session, scope='function')]") == [
        "function"
    ]


def commits(path: Path) -> list[int]:
    """Lines on which `path` calls a method named commit."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
        and ast.unparse(node.func.value).split(".")[-1] in ("session", "connection", "db")
    ]


def test_flows_and_routes_never_commit_themselves() -> None:
    for folder in ("flows", "routes"):
        for path in (ROOT / "api" / folder).rglob("*.py"):
            assert commits(path) == [], f"{path.relative_to(ROOT)} commits: see ADR 0003"


def test_the_application_refuses_to_start_without_asserts() -> None:
    if importlib.util.find_spec("api.app") is None:
        pytest.skip("api/app.py is not written yet")
    code = (
        "from api.app import create_app; from api.settings import Settings; create_app(Settings())"
    )
    plain = subprocess.run(
        [sys.executable, "-c", code.replace("; create_app(Settings())", "")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert plain.returncode == 0, plain.stderr
    without = subprocess.run(
        [sys.executable, "-O", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert without.returncode != 0
    assert "-O" in without.stderr or "assert" in without.stderr.lower()
