"""Keep docs/reference/checks.md complete: every check that a report can hold."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import sys

import codes
import tables


def main() -> int:
    """Check or write the table."""
    everything = codes.read()
    rows = {}
    for code, places in everything.of("check").items():
        where = ", ".join(f"`{name}`" for name in sorted({p.module for p in places}))
        rows[code] = (where, next((p.message for p in places if p.message), ""))
    header = ("check", "made in", "what a pass says, and why it may fail or stay open")
    return tables.run("checks.md", name="checks", header=header, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
