"""Keep docs/reference/formats.md complete: every `fuqi/<name>/v<n>` tag that the packages write or read."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import ast
import re
import sys

import codes
import tables

TAG = re.compile(r"fuqi/[a-z-]+(?:/[a-z-]+)*/v[0-9]+")


def main() -> int:
    """Check or write the table."""
    places: dict[str, set[str]] = {}
    for package in codes.PACKAGES:
        for path in sorted((codes.ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            docs = {
                ast.get_docstring(n, clean=False)
                for n in ast.walk(tree)
                if hasattr(n, "body") and isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)
            }
            module = ".".join(path.relative_to(codes.ROOT).with_suffix("").parts)
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and node.value not in docs:
                    value = node.value
                    text = value.decode("latin-1") if isinstance(value, bytes) else value
                    if isinstance(text, str) and " " not in text:
                        for tag in TAG.findall(text):
                            places.setdefault(tag, set()).add(module)
    rows = {
        tag: (", ".join(f"`{name}`" for name in sorted(where)), "") for tag, where in places.items()
    }
    header = ("tag", "stands in", "what it is")
    return tables.run("formats.md", name="formats", header=header, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
