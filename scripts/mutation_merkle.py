"""Mutation testing of `ledger/core/merkle.py`: `python scripts/mutation_merkle.py [--sample N] [--jobs N]`.

Each mutant is the module with one small fault. It lies in a temporary copy of the package, and the tests of the
tree run against it; a mutant that no test notices is a survivor. Exit 1 when the score is below GOAL or when
a survivor is not argued in EQUIVALENT.

Operators: comparison, arithmetic, shift and bit operators, and/or, not, conditions held true or false, integers
one more and one less, bytes and error codes changed, slices moved, returns emptied, statements deleted. Left
out: messages, docstrings, annotations.
"""
# ruff: noqa: INP001  (scripts are no package and speak to a terminal)

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MODULE: Final = "ledger/core/merkle.py"
TESTS: Final = (
    "tests/unit/ledger/core/test_merkle.py",
    "tests/golden/merkle",
    "tests/property/test_merkle_laws.py",
    "tests/property/test_merkle_limits.py",
)
GOAL: Final = 95
"""Per cent of the mutants that are not equivalent; issue B, ledger-reference.md I9."""
TIMEOUT_SECONDS: Final = 40
"""The tests take about two seconds; a mutant that loops for ever is noticed by this."""
SEED: Final = 9162

EQUIVALENT: Final[dict[tuple[str, str], str]] = {}
"""(function, mutation) -> why no input can tell the mutant from the original."""

COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: Final[dict[type[ast.operator], tuple[type[ast.operator], ...]]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Pow: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: where, what, and the whole module with it."""

    function: str
    line: int
    what: str
    source: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.function, self.what)


def mutants(text: str) -> list[Mutant]:
    """Every mutant of a module's text, in the order of the lines; none has the syntax tree of the original."""
    tree = ast.parse(text)
    owners = _owners(tree)
    nodes = list(ast.walk(tree))
    skipped = _skipped(tree)
    found: dict[str, Mutant] = {}
    original = ast.unparse(tree)
    for place, node in enumerate(nodes):
        if node in skipped:
            continue
        for what, change in _changes(node):
            other = copy.deepcopy(tree)
            change(list(ast.walk(other))[place])
            source = ast.unparse(ast.fix_missing_locations(other))
            line = getattr(node, "lineno", 0)
            if source != original:
                found.setdefault(source, Mutant(owners.get(node, ""), line, what, source))
    numbered: list[Mutant] = []
    seen: Counter[tuple[str, str]] = Counter()
    for mutant in sorted(found.values(), key=lambda mutant: mutant.line):
        seen[mutant.key] += 1
        count = seen[mutant.key]
        numbered.append(replace(mutant, what=f"{mutant.what} #{count}") if count > 1 else mutant)
    return numbered


def _owners(tree: ast.Module) -> dict[ast.AST, str]:
    owners: dict[ast.AST, str] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                owners[node] = function.name  # inner functions come later and win
    return owners


def _skipped(tree: ast.Module) -> set[ast.AST]:
    """Nodes that say nothing to a caller: imports, annotations, docstrings, messages."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                roots.append(node)
            case ast.Assign(value=ast.Subscript(value=ast.Name(id="Callable"))):
                roots.append(node)
            case ast.AnnAssign() | ast.arg():
                roots.append(node.annotation)
            case ast.FunctionDef():
                roots.append(node.returns)
            case ast.Raise(exc=ast.Call()):
                roots.extend(node.exc.args)
    return {inner for root in roots if root for inner in ast.walk(root)}


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:
    """(description, what to do to the same node of a copy)."""
    if isinstance(node, ast.Compare):
        yield from _compare(node)
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        for new in ARITHMETIC.get(type(node.op), ()):
            yield f"{ast.unparse(node)} -> {new.__name__}", _set("op", new())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{ast.unparse(node)} -> {other.__name__}", _set("op", other())
    elif isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            yield f"constant {node.value!r} -> {value!r}", _set("value", value)
    elif isinstance(node, ast.Slice):
        for name in ("lower", "upper"):
            if getattr(node, name) is not None:
                yield f"slice {ast.unparse(node)} without {name}", _set(name, None)
    if isinstance(node, ast.If | ast.While):
        for value in (True, False):
            yield f"{_head(node)} held {value}", _set("test", ast.Constant(value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"{ast.unparse(node)} without not", _replace(ast.UnaryOp(ast.UAdd(), node.operand))
    if isinstance(node, ast.Return) and node.value is not None:
        yield f"{_head(node)} emptied", _set("value", ast.Constant(None))
    if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef):
        yield f"deleted: {_head(node)}", _delete


def _compare(node: ast.Compare) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:
    for place, old in enumerate(node.ops):
        for new in COMPARISONS.get(type(old), ()):
            ops = [*node.ops]
            ops[place] = new()
            name = f"{ast.unparse(node)} -> {new.__name__} at {place}"
            yield name, _set("ops", ops)


def _other_constants(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, bytes):
        return [value + b"x"]
    if isinstance(value, str):
        return [value + "x"]
    return []


def _head(node: ast.stmt) -> str:
    return ast.unparse(node).splitlines()[0]


def _set(name: str, value: object) -> Callable[[ast.AST], None]:
    return lambda node: setattr(node, name, copy.deepcopy(value))


def _replace(new: ast.AST) -> Callable[[ast.AST], None]:
    def change(node: ast.AST) -> None:
        node.__class__ = new.__class__
        node.__dict__.update(copy.deepcopy(new).__dict__)

    return change


def _delete(node: ast.AST) -> None:
    _replace(ast.Pass())(node)


# ------------------------------------------------------------------ running
def make_copy(folder: Path) -> None:
    """The package and its tests in a folder of their own; the work tree is never touched."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ledger" / "core", folder / "ledger" / "core", ignore=ignore)
    shutil.copy(ROOT / "ledger" / "__init__.py", folder / "ledger")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "tests")
    for name in TESTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, folder / name)


def notices(folder: Path, source: str) -> bool:
    """Whether the tests, run in the copy with this module, fail."""
    (folder / MODULE).write_text(source, encoding="utf-8")
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS]
    environment = {**os.environ, "PYTHONPATH": str(folder), "FUQI_HYPOTHESIS": "ci"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1, 2):  # passed; failed; the module could not be imported
        sys.exit(done.stdout.decode() + done.stderr.decode())
    return done.returncode != 0


def survivors(chosen: list[Mutant], *, jobs: int) -> list[Mutant]:
    """The mutants that no test notices.

    Raises:
        SystemExit: the unchanged module fails, or the tests run against another copy of it.
    """
    with tempfile.TemporaryDirectory(prefix="fuqi-mutation-") as name:
        folders = [Path(name) / str(job) for job in range(jobs)]
        for folder in folders:
            make_copy(folder)
        text = (ROOT / MODULE).read_text("utf-8")
        if notices(folders[0], text):
            sys.exit("the tests fail without any mutation")
        if not notices(folders[0], "raise RuntimeError('canary')\n"):
            sys.exit("the tests do not read the copy")
        free = list(folders)

        def survives(mutant: Mutant) -> bool:
            folder = free.pop()
            try:
                return not notices(folder, mutant.source)
            finally:
                free.append(folder)

        with ThreadPoolExecutor(jobs) as pool:
            return [
                mutant
                for mutant, alive in zip(chosen, pool.map(survives, chosen), strict=True)
                if alive
            ]


def main() -> int:
    """Print the score and the survivors."""
    parser = argparse.ArgumentParser(description="mutation score of ledger/core/merkle.py")
    parser.add_argument("--sample", type=int, help="so many mutants, chosen by a fixed seed")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    every = mutants((ROOT / MODULE).read_text("utf-8"))
    chosen = every
    if options.sample is not None and options.sample < len(every):
        chosen = random.Random(SEED).sample(every, options.sample)  # noqa: S311 (no secret)
    started = time.monotonic()
    alive = survivors(chosen, jobs=options.jobs)
    argued = [mutant for mutant in alive if mutant.key in EQUIVALENT]
    open_ones = [mutant for mutant in alive if mutant.key not in EQUIVALENT]
    for mutant in open_ones:
        print(f"SURVIVED   line {mutant.line:3} {mutant.function}: {mutant.what}")
    for mutant in argued:
        print(f"equivalent line {mutant.line:3} {mutant.function}: {mutant.what}")
        print(f"           {EQUIVALENT[mutant.key]}")
    killed = len(chosen) - len(alive)
    counted = len(chosen) - len(argued)
    score = 100 * killed / counted if counted else 100.0
    print(
        f"{MODULE}: {killed} of {counted} mutants noticed = {score:.1f} %, {len(argued)} equivalent "
        f"({len(chosen)} of {len(every)} run, {time.monotonic() - started:.0f} s)"
    )
    return 0 if score >= GOAL and not open_ones else 1


if __name__ == "__main__":
    sys.exit(main())
