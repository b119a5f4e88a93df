"""Who may import whom, and the shape every module keeps (house style 3.1, 3.3)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "ledger", "signing", "matching", "arbitration", "api")
ALLOWED = {  # package -> what of ours it may import, itself aside
    "ledger.core": set(),
    "contracts": {"ledger.core"},
    "signing": {"ledger.core"},
    "matching": {"ledger.core"},
    "ledger": {"ledger.core", "contracts"},
    "arbitration": {"ledger", "ledger.core", "contracts", "signing"},
    "api": {"ledger", "ledger.core", "contracts", "signing", "matching", "arbitration"},
}
ONLY_IN = {  # foreign package -> the modules that may import it
    "web3": {"ledger.web3_chain"},
    "ortools": {"matching.engine.cost_scaling"},
    # Writing (with its demonstration mark) and reading; the strict verifier sees files through the reader only.
    "pyhanko": {
        "signing.pdf",
        "signing.longterm",
        "signing.demo_mark",
        "signing.edge_seal",
        "signing.field_kinds",
        "signing.form_fields",
        "signing.form_fill",
        "signing.pdf_reading",
        "signing.differences",
        "signing.quick_reader",
        "signing.usages",
        "signing.few_fields",
        "signing.frame",
        "signing.quick_objects",
        "signing.touched",
        "signing.opinions",
    },
    "pyhanko_certvalidator": {"signing.trust", "signing.revocation_rules", "signing.opinions"},
}
SHELL_LIBRARIES = {"sqlalchemy", "alembic", "fastapi", "starlette", "web3", "uvicorn"}
PURE = ("matching", "signing", "arbitration.checks")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    return "ledger.core" if f"{module}.".startswith("ledger.core.") else module.partition(".")[0]


def imports(tree: ast.AST) -> list[tuple[str, ast.stmt]]:
    """Every module that `tree` imports, in full, with the statement that does it."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found += [(f"{base}.{alias.name}", node) for alias in node.names]
    return found


def faults(module: str, source: str) -> list[str]:
    """Every breach of the import rules in one module; the rules are tested below on invented sources."""
    tree = ast.parse(source)
    found = []
    for name, node in imports(tree):
        top = name.split(".")[0]
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"{module}: relative import of {name}")
        elif top in PACKAGES:
            wanted = package_of(name)
            if wanted != package_of(module) and wanted not in ALLOWED[package_of(module)]:
                found.append(f"{module} imports {name}")
        elif package_of(module) == "ledger.core" and top not in sys.stdlib_module_names:
            found.append(f"{module} imports {name}: the kernel is standard library only")
        elif top in ONLY_IN and module not in ONLY_IN[top]:
            found.append(f"{module} imports {name}: only {sorted(ONLY_IN[top])} may")
        elif top in SHELL_LIBRARIES and f"{module}.".startswith(tuple(f"{p}." for p in PURE)):
            found.append(f"{module} imports {name}: this package decides, it does no I/O")
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = [name for name, _ in imports(function)]
            found += [f"{module}: import of {name} inside a function" for name in inner]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_the_layers_only(path: Path) -> None:
    assert faults(name_of(path), path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ledger.core.merkle", "import sqlalchemy"),
        ("ledger.core.merkle", "from ledger import log"),
        ("signing.pdf", "from ledger import log"),
        ("signing.pdf", "from ledger.log import record"),
        ("signing.pdf", "import sqlalchemy.orm"),
        ("matching.solve", "from arbitration import bundle"),
        ("ledger.log", "import api.settings"),
        ("ledger.log", "from signing import pdf"),
        ("arbitration.checks.pdf", "from fastapi import FastAPI"),
        ("api.app", "from web3 import Web3"),
        ("matching.check", "from ortools.graph.python import min_cost_flow"),
        ("signing.ca", "from pyhanko.sign import signers"),
        ("api.app", "from . import settings"),
        ("api.app", "def late():\n    import json"),
        ("api.app", "class A:\n    def late(self):\n        from ledger import log"),
    ],
)
def test_a_breach_is_seen(module: str, source: str) -> None:
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ledger.core.merkle", "import hashlib\nfrom ledger.core.units import digest32"),
        ("signing.pdf", "from ledger.core import errors\nfrom pyhanko.sign import signers"),
        ("ledger.web3_chain", "from web3 import Web3\nfrom contracts import abi"),
        ("arbitration.bundle", "from ledger import receipts\nfrom signing import validate"),
        ("api.app", "import matching.solve\nfrom fastapi import FastAPI"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module: str, source: str) -> None:
    assert faults(module, source) == []


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=name_of)
def test_every_package_holds_a_docstring_and_nothing_else(folder: Path) -> None:
    init = folder / "__init__.py"
    assert init.is_file(), f"{folder.relative_to(ROOT)} would be a namespace package"
    body = ast.parse(init.read_text("utf-8")).body
    assert len(body) == 1, "an __init__ that imports drags its imports into every sibling"
    assert isinstance(body[0], ast.Expr)
    assert isinstance(body[0].value, ast.Constant)
    assert isinstance(body[0].value.value, str)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_is_async_but_where_asgi_asks_for_it(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    coloured = [n.name for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef)]
    if name_of(path) == "api.edge":  # middleware that sees raw ASGI messages
        return
    if name_of(path) == "api.app":  # FastAPI takes its start and stop as one async context manager
        coloured.remove("lifespan")
    assert coloured == [], "web3, pyHanko, OR-Tools and psycopg block: one colour (ADR 0002)"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_importing_everything_leaves_the_recursion_limit_low() -> None:
    # py-evm raises it to 100 000; deep JSON would then overflow the C stack and end the process.
    names = [name_of(path) for path in MODULES if "/versions/" not in path.as_posix()]
    names = [name for name in names if name not in ("api.__main__", "ledger.migrations.env")]
    code = (
        f"import importlib, sys\n[importlib.import_module(n) for n in {names!r}]\n"
        "print(sys.getrecursionlimit())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 2_000
