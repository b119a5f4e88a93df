"""Keep docs/reference/errors.md complete: every error code, its HTTP status and where it is raised."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import sys

import codes
import tables

from api.errors import STATUS, STATUS_OF_CODE

ADAPTER_CLASSES = {"Problem": "HTTP"}


def status(code: str, kind: str, bases: dict[str, str]) -> str:
    """The HTTP status a client sees for this code."""
    if code in STATUS_OF_CODE:
        return str(STATUS_OF_CODE[code])
    if kind.startswith("HTTP "):
        return kind.removeprefix("HTTP ")
    by_name = {cls.__name__: number for cls, number in STATUS}
    while kind not in by_name and kind in bases:
        kind = bases[kind]
    return str(by_name.get(kind, 500))


def main() -> int:
    """Check or write the table."""
    everything = codes.read()
    rows = {}
    for code, places in everything.of("error").items():
        first = next((p for p in places if p.kind != "Problem"), places[0])
        where = ", ".join(f"`{name}`" for name in sorted({p.module for p in places}))
        text = next((p.message for p in places if p.message), "")
        rows[code] = (status(code, first.kind, everything.bases), where, text)
    complaints = [
        f"cannot read the code {u.text} in {u.module}:{u.line}: write it as a literal"
        for u in everything.unreadable
    ]
    header = ("code", "status", "raised in", "what it means, and what to do")
    return tables.run("errors.md", name="errors", header=header, rows=rows, complaints=complaints)


if __name__ == "__main__":
    sys.exit(main())
