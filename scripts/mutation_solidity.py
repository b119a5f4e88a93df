"""Small faults in Solidity sources, one at a time, found through the compiler's syntax tree.

Operators: comparison, arithmetic, shift, bit and logical operators; `!` and `~` left out; `++` and `--`;
compound assignments; conditions held true or false (loops: false); both branches of `?:`; integers one more
and one less; booleans turned; strings and hex strings changed; slices moved or opened; statements deleted; in
assembly the instructions, literals and statements. Left out: types, visibility, `unchecked`, argument order.
"""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

OPERATORS: Final[dict[str, tuple[str, ...]]] = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "/": ("*",),
    "%": ("/",),
    "**": ("*",),
    "<<": (">>",),
    ">>": ("<<",),
    "&": ("|",),
    "|": ("&",),
    "^": ("|",),
    "&&": ("||",),
    "||": ("&&",),
}
ASSIGNMENTS: Final = {
    "+=": ("-=", "="),
    "-=": ("+=", "="),
    "|=": ("&=", "="),
    "&=": ("|=", "="),
    "^=": ("|=", "="),
    "<<=": (">>=", "="),
    ">>=": ("<<=", "="),
}
INSTRUCTIONS: Final = {
    "add": "sub",
    "sub": "add",
    "mul": "add",
    "div": "mul",
    "mod": "div",
    "and": "or",
    "or": "and",
    "xor": "or",
    "shl": "shr",
    "shr": "shl",
    "lt": "gt",
    "gt": "lt",
    "eq": "lt",
    "addmod": "mulmod",
    "mulmod": "addmod",
}
DELETED: Final = {
    "ExpressionStatement",
    "RevertStatement",
    "EmitStatement",
    "Return",
    "Continue",
    "Break",
    "YulAssignment",
    "YulExpressionStatement",
}

Node = dict[str, Any]
Edit = tuple[int, int, bytes, str]
"""(first byte, past the last, what comes there, description)."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: where, what, and the whole file with it."""

    file: str
    function: str
    line: int
    what: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.file, self.function, self.what)


def mutants(file: str, text: str, tree: Node) -> list[Mutant]:
    """Every mutant of a file, in the order of the lines."""
    raw = text.encode()
    found: dict[bytes, Mutant] = {}
    for function, node, parent in _walk(tree, "", None):
        for start, end, new, what in _edits(node, parent, raw):
            source = raw[:start] + new + raw[end:]
            line = raw.count(b"\n", 0, start) + 1
            if source != raw:
                found.setdefault(source, Mutant(file, function, line, what, source.decode()))
    seen: Counter[tuple[str, str, str]] = Counter()
    numbered: list[Mutant] = []
    for mutant in sorted(found.values(), key=lambda mutant: mutant.line):
        seen[mutant.key] += 1
        count = seen[mutant.key]
        numbered.append(replace(mutant, what=f"{mutant.what} #{count}") if count > 1 else mutant)
    return numbered


def _walk(
    node: Node, function: str, parent: Node | None
) -> Iterator[tuple[str, Node, Node | None]]:
    kind = node.get("nodeType", "")
    if kind in ("ImportDirective", "ErrorDefinition", "EventDefinition", "StructuredDocumentation"):
        return
    if kind in ("FunctionDefinition", "YulFunctionDefinition"):
        function = node["name"] or node.get("kind", "")
    yield function, node, parent
    for name, value in node.items():
        # An array's length belongs to a type.
        children = value if isinstance(value, list) else [value]
        for child in children:
            if isinstance(child, dict) and "src" in child and name not in ("typeName", "overrides"):
                yield from _walk(child, function, node)


def _span(node: Node) -> tuple[int, int]:
    start, length, _ = node["src"].split(":")
    return int(start), int(start) + int(length)


def _edits(node: Node, parent: Node | None, raw: bytes) -> Iterator[Edit]:
    kind = node.get("nodeType", "")
    start, end = _span(node)
    shown = " ".join(raw[start:end].decode().split())[:90]
    if kind in ("BinaryOperation", "Assignment"):
        yield from _operator(node, raw, shown)
    elif kind == "UnaryOperation":
        yield from _unary(node, raw, shown)
    elif kind in ("Literal", "YulLiteral"):
        for new in _literals(raw[start:end].decode(), node):
            yield start, end, new.encode(), f"{shown} -> {new}"
    elif kind in ("IfStatement", "WhileStatement", "ForStatement", "YulIf", "YulForLoop"):
        yield from _conditions(node, raw)
    elif kind == "Conditional":
        for name in ("trueExpression", "falseExpression"):
            first, last = _span(node[name])
            yield start, end, b"(" + raw[first:last] + b")", f"{shown}: always {name}"
    elif kind == "IndexRangeAccess":
        yield from _slices(node, raw, shown)
    elif kind == "YulFunctionCall":
        name = node["functionName"]["name"]
        if name in INSTRUCTIONS:
            first, last = _span(node["functionName"])
            yield first, last, INSTRUCTIONS[name].encode(), f"{shown} -> {INSTRUCTIONS[name]}"
        elif name in ("iszero", "not"):
            first, last = _span(node["arguments"][0])
            yield start, end, raw[first:last], f"{shown} without {name}"
    if kind in DELETED:
        yield from _deleted(node, parent, raw, shown)


def _operator(node: Node, raw: bytes, shown: str) -> Iterator[Edit]:
    names = ("leftExpression", "rightExpression")
    if node["nodeType"] == "Assignment":
        names = ("leftHandSide", "rightHandSide")
    old = node["operator"]
    table = OPERATORS if node["nodeType"] == "BinaryOperation" else ASSIGNMENTS
    between, until = _span(node[names[0]])[1], _span(node[names[1]])[0]
    place = raw.index(old.encode(), between, until)
    for new in table.get(old, ()):
        yield place, place + len(old), new.encode(), f"{shown}: {old} -> {new}"


def _unary(node: Node, raw: bytes, shown: str) -> Iterator[Edit]:
    start, end = _span(node)
    first, last = _span(node["subExpression"])
    if node["operator"] in ("!", "~"):
        yield start, end, raw[first:last], f"{shown} without {node['operator']}"
    elif node["operator"] in ("++", "--"):
        new = "--" if node["operator"] == "++" else "++"
        text = raw[start:end].replace(node["operator"].encode(), new.encode())
        yield start, end, text, f"{shown} -> {new}"


def _literals(text: str, node: Node) -> list[str]:
    kind = node["kind"]
    if kind == "bool":
        return ["false" if text == "true" else "true"]
    if kind == "string":
        return [text[:-1] + 'x"']
    if kind == "hexString":
        digits = text[4:-1]
        return ['hex"' + digits[:-2] + f"{int(digits[-2:], 16) ^ 1:02x}" + '"'] if digits else []
    number, _, unit = text.partition(" ")
    if number.startswith("0x"):
        width = len(number) - 2
        value = int(number, 16)
        return [
            f"0x{new:0{width}x}" + (f" {unit}" if unit else "")
            for new in (value + 1, value - 1)
            if 0 <= new < 16**width
        ]
    if not number.isdecimal():
        return []
    value = int(number)
    return [f"{new} {unit}".strip() for new in (value + 1, value - 1) if new >= 0]


def _conditions(node: Node, raw: bytes) -> Iterator[Edit]:
    condition = node.get("condition")
    if condition is None:
        return
    start, end = _span(condition)
    shown = " ".join(raw[start:end].decode().split())[:90]
    kind = node["nodeType"]
    held = {"IfStatement": ("true", "false"), "YulIf": ("1", "0"), "YulForLoop": ("0",)}
    for value in held.get(kind, ("false",)):
        yield start, end, value.encode(), f"({shown}) held {value}"


def _slices(node: Node, raw: bytes, shown: str) -> Iterator[Edit]:
    for name in ("startExpression", "endExpression"):
        part = node.get(name)
        if part is None:
            continue
        start, end = _span(part)
        yield start, end, b"", f"{shown} without {name}"
        for sign in (b"+", b"-"):
            new = b"(" + raw[start:end] + b") " + sign + b" 1"
            yield start, end, new, f"{shown}: {name} {sign.decode()} 1"


def _deleted(node: Node, parent: Node | None, raw: bytes, shown: str) -> Iterator[Edit]:
    start, end = _span(node)
    if node["nodeType"].startswith("Yul"):
        yield start, end, b"", f"deleted: {shown}"
        return
    # A lone body keeps its place as an empty block; the same as holding the condition false.
    lone = parent is not None and parent["nodeType"] not in ("Block", "UncheckedBlock")
    if (
        lone
        and parent is not None
        and parent["nodeType"] == "IfStatement"
        and not parent.get("falseBody")
    ):
        return
    stop = raw.index(b";", end - 1) + 1
    yield start, stop, b"{}" if lone else b"", f"deleted: {shown}"
