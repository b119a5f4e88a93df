"""Find every error code and check code by reading syntax trees; nothing is imported or run.

A code is a literal that reaches `SomeError(…, code=…)`, `class SomeError: code = …` or `Check(code, …)`,
also through helpers that hand on a parameter, f-strings whose variable part is known, or conditionals.
"""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("contracts", "ledger", "signing", "matching", "arbitration", "api")
DEPTH_MAX = 8  # how many helpers may hand a code on
# Calls whose `code=` is a log field or hands on a code that exists already.
PASSED_ON = ("code", "error_code")

REACH = {
    "contracts": {"contracts", "ledger"},
    "matching": {"matching", "ledger"},
    "signing": {"signing", "ledger"},
}
"""Packages whose calls cannot mean a function of just any other package (tests/house/test_layers.py)."""


@dataclass(frozen=True, slots=True)
class Found:
    """One code at one place."""

    code: str
    kind: str  # an error class name, or "Check"
    module: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A code that is computed in a way this reader does not follow."""

    module: str
    line: int
    text: str


@dataclass(slots=True)
class _Module:
    name: str
    tree: ast.Module
    parent: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def function_of(self, node: ast.AST) -> ast.FunctionDef | None:
        while node in self.parent:
            node = self.parent[node]
            if isinstance(node, ast.FunctionDef):
                return node
        return None


@dataclass(slots=True)
class Codes:
    """All codes of a tree of packages."""

    found: list[Found] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    bases: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, list[Found]]:
        """Code -> places, for "error" or "check", sorted by code."""
        rows = sorted(
            (f for f in self.found if (f.kind == "Check") == (kind == "check")),
            key=lambda f: (f.code, f.module, f.line),
        )
        return {code: list(group) for code, group in itertools.groupby(rows, lambda f: f.code)}


def read(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> Codes:
    """Every code below `root`."""
    modules = [
        _load(path, root) for package in packages for path in sorted((root / package).rglob("*.py"))
    ]
    codes = Codes()
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and node.bases:
                codes.bases[node.name] = ast.unparse(node.bases[0]).rpartition(".")[2]
    reader = _Reader(modules, codes)
    for module in modules:
        reader.read(module)
    codes.found = sorted(set(codes.found), key=lambda f: (f.code, f.module, f.line))
    return codes


def _load(path: Path, root: Path) -> _Module:
    parts = path.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    module = _Module(name, ast.parse(path.read_text("utf-8")))
    for node in ast.walk(module.tree):
        for child in ast.iter_child_nodes(node):
            module.parent[child] = node
    return module


class _Reader:
    def __init__(self, modules: list[_Module], codes: Codes) -> None:
        self.codes = codes
        self.calls: dict[str, list[tuple[_Module, ast.Call]]] = {}
        self.modules = {module.name: module for module in modules}
        for module in modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call):
                    self.calls.setdefault(_called(node), []).append((module, node))

    def is_error(self, name: str) -> bool:
        seen: set[str] = set()
        while name in self.codes.bases and name not in seen:
            seen.add(name)
            name = self.codes.bases[name]
        return name == "FuqiError" or (name == "Exception" and "FuqiError" in seen)

    def read(self, module: _Module) -> None:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                self._class(module, node)
            elif isinstance(node, ast.Call):
                called = _called(node)
                if called in (
                    "Check",
                    "Tool",
                ):  # a Tool of the doctor carries the code of its check
                    self._argument(module, node, kind="Check", position=0)
                elif called == "FuqiError" or self.is_error(called):
                    self._argument(module, node, kind=called, position=None)
                elif called == "Problem" and module.name == "api.errors":
                    self._argument(module, node, kind="Problem", position=None)
        if module.name == "api.errors":
            # Codes that HTTP itself asks for stand in one table.
            for node in ast.walk(module.tree):
                if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_HTTP_CODES":
                    for status, value in ast.literal_eval(node.value).items():
                        self._add(module, node, value[0], f"HTTP {status}", value[1])

    def _class(self, module: _Module, node: ast.ClassDef) -> None:
        if node.name != "FuqiError" and not self.is_error(node.name):
            return
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
                target = (
                    statement.target
                    if isinstance(statement, ast.AnnAssign)
                    else statement.targets[0]
                )
                if ast.unparse(target) == "code" and isinstance(statement.value, ast.Constant):
                    doc = (ast.get_docstring(node) or "").split("\n")[0].rstrip(".")
                    self._add(module, statement, str(statement.value.value), node.name, doc)

    def _argument(
        self, module: _Module, call: ast.Call, *, kind: str, position: int | None
    ) -> None:
        value = next((k.value for k in call.keywords if k.arg == "code"), None)
        if value is None and position is not None and len(call.args) > position:
            value = call.args[position]
        if value is None:
            return
        message = _message(call, kind)
        texts = self._values(module, value, depth=0)
        if texts is None:
            self.codes.unreadable.append(Unreadable(module.name, call.lineno, ast.unparse(value)))
            return
        for text, said in texts:
            self._add(module, call, text, kind, said or message)

    def _add(self, module: _Module, node: ast.AST, code: str, kind: str, message: str) -> None:
        self.codes.found.append(Found(code, kind, module.name, node.lineno, message))

    def _values(
        self, module: _Module, value: ast.expr, *, depth: int
    ) -> list[tuple[str, str]] | None:
        """The texts that `value` can have, each with the message of the call that gave it ("" if none)."""
        if depth > DEPTH_MAX:
            return None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return [(value.value, "")]
        if isinstance(value, ast.Constant) and value.value is None:
            return []
        if isinstance(value, ast.Attribute) and value.attr in PASSED_ON:
            return []  # a code made elsewhere, handed on
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
            return self._constant_elsewhere(module, value.value.id, value.attr, depth)
        if isinstance(value, ast.IfExp):
            known = self._members(module, value)
            return self._join(
                module, [*known, value.orelse] if known else [value.body, value.orelse], depth
            )
        if isinstance(value, ast.BoolOp):
            return self._join(module, value.values, depth)
        if isinstance(value, ast.JoinedStr):
            return self._formatted(module, value, depth)
        if isinstance(value, ast.Subscript):
            return self._values(module, value.value, depth=depth + 1)
        if isinstance(value, ast.Dict):
            return self._join(module, value.values, depth)
        if isinstance(value, ast.Tuple | ast.List):
            return self._join(module, value.elts, depth)
        if isinstance(value, ast.Call) and _called(value) == "get":
            assert isinstance(value.func, ast.Attribute)
            return self._join(module, [value.func.value, *value.args[1:]], depth)
        if isinstance(value, ast.Name):
            return self._name(module, value, depth)
        return None

    def _members(self, module: _Module, value: ast.IfExp) -> list[ast.expr]:
        """The texts of TABLE in `text if text in TABLE else …`: a code from outside, admitted if known."""
        for test in ast.walk(value.test):
            if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In):
                if ast.dump(test.left) != ast.dump(value.body):
                    continue
                table = test.comparators[0]
                origin = (
                    _imported(module.tree).get(table.id, "") if isinstance(table, ast.Name) else ""
                )
                home = self.modules.get(origin.rpartition(".")[0], module)
                for node in home.tree.body:
                    for found in _assigned(node, ast.unparse(table)):
                        keys = (
                            found.keys
                            if isinstance(found, ast.Dict)
                            else getattr(found, "elts", [])
                        )
                        return [key for key in keys if key is not None]
        return []

    def _join(
        self, module: _Module, values: list[ast.expr], depth: int
    ) -> list[tuple[str, str]] | None:
        found = [self._values(module, value, depth=depth + 1) for value in values]
        return None if None in found else [text for texts in found for text in texts or []]

    def _formatted(
        self, module: _Module, value: ast.JoinedStr, depth: int
    ) -> list[tuple[str, str]] | None:
        parts: list[list[tuple[str, str]]] = []
        for part in value.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            texts = self._values(module, inner, depth=depth + 1)
            if texts is None:
                return None
            parts.append(texts)
        return [
            ("".join(text for text, _ in choice), next((said for _, said in choice if said), ""))
            for choice in itertools.product(*parts)
        ]

    def _name(self, module: _Module, name: ast.Name, depth: int) -> list[tuple[str, str]] | None:
        function = module.function_of(name)
        if function is not None:
            parameters = [*function.args.posonlyargs, *function.args.args]
            named = [p.arg for p in [*parameters, *function.args.kwonlyargs]]
            if name.id in named:
                return self._given(module, function, name.id, [p.arg for p in parameters], depth)
        scope: ast.AST = function or module.tree
        found: list[tuple[str, str]] | None = None
        for where in (scope, module.tree):
            for node in ast.walk(where):
                for target, given, said in _bindings(node, where):
                    if target == name.id:
                        texts = self._values(module, given, depth=depth + 1)
                        if texts is None:
                            return None
                        found = [*(found or []), *((text, own or said) for text, own in texts)]
            if found is not None:
                return found
        origin = _imported(module.tree).get(name.id, "")
        home, _, constant = origin.rpartition(".")
        if home in self.modules:
            return self._constant(self.modules[home], constant, depth)
        return None

    def _constant_elsewhere(
        self, module: _Module, alias: str, name: str, depth: int
    ) -> list[tuple[str, str]] | None:
        """`module_alias.NAME`."""
        home = self.modules.get(_imported(module.tree).get(alias, ""))
        return None if home is None else self._constant(home, name, depth)

    def _constant(self, home: _Module, name: str, depth: int) -> list[tuple[str, str]] | None:
        """A constant of another module; what a module named after its code says of itself goes with it."""
        for node in home.tree.body:
            for value in _assigned(node, name):
                texts = self._values(home, value, depth=depth + 1)
                said = (
                    (ast.get_docstring(home.tree) or "").split("\n\n")[0] if name == "CODE" else ""
                )
                return None if texts is None else [(text, own or said) for text, own in texts]
        return None

    def _given(
        self, module: _Module, function: ast.FunctionDef, name: str, order: list[str], depth: int
    ) -> list[tuple[str, str]] | None:
        """What callers pass for parameter `name`; its default where one leaves it out."""
        found: list[tuple[str, str]] = []
        position = order.index(name) if name in order else None
        shift = 1 if order[:1] in (["self"], ["cls"]) else 0
        required = len(order) - shift - len(function.args.defaults)
        for caller, call in self.calls.get(function.name, []):
            if function.name.startswith("_") and caller is not module:
                continue  # another module's helper of the same name
            if len(call.args) + len(call.keywords) < required:
                continue  # a method of another class with the same name
            home = module.name.partition(".")[0]
            if home not in REACH.get(caller.name.partition(".")[0], {home}):
                continue  # a package that may not import this one, with a method of the same name
            value = next((k.value for k in call.keywords if k.arg == name), None)
            if value is None and position is not None and len(call.args) > position - shift:
                value = call.args[position - shift]
            if value is None:
                continue
            texts = self._values(caller, value, depth=depth + 1)
            if texts is None:
                return None
            found += [(text, said or _message(call, "")) for text, said in texts]
        return found


def _bindings(node: ast.AST, scope: ast.AST) -> Iterator[tuple[str, ast.expr, str]]:
    """(name, value, sentence beside it) of plain assignments and of loops over a literal table."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        yield node.targets[0].id, node.value, ""
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value, ""
    elif isinstance(node, ast.For | ast.comprehension):
        table = node.iter
        if isinstance(table, ast.Name):
            values = [v for n in ast.walk(scope) for v in _assigned(n, table.id)]
            table = values[0] if values else table
        rows = table.elts if isinstance(table, ast.Tuple | ast.List) else []
        if isinstance(node.target, ast.Name):
            yield from ((node.target.id, row, "") for row in rows)
        elif isinstance(node.target, ast.Tuple):
            for index, target in enumerate(node.target.elts):
                for row in rows:
                    if isinstance(target, ast.Name) and isinstance(row, ast.Tuple):
                        yield target.id, row.elts[index], _sentence(row.elts)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Local name -> full dotted name, of what a module imports at its top."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.asname or a.name: a.name for a in node.names}
    return found


def _assigned(node: ast.AST, name: str) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            yield node.value


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _message(call: ast.Call, kind: str) -> str:
    """The sentence that goes with a code: the first among the arguments that is English prose."""
    wanted = {"summary_en", "message", "detail"}
    values = [k.value for k in call.keywords if k.arg in wanted]
    return _sentence([*values, *(call.args[1:] if kind == "Check" else call.args)])


def _sentence(values: list[ast.expr]) -> str:
    texts = map(_plain, values)
    return next((t for t in texts if " " in t and t.replace("…", "").isascii()), "")


def _plain(value: ast.expr) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "…" for p in value.values)
    if isinstance(value, ast.IfExp):
        return _plain(value.body) or _plain(value.orelse)
    return ""
