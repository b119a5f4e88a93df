"""Tables of docs/reference/ that scripts keep complete and people keep readable.

A table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. Scripts make its rows and all columns
but the last, which is written by hand and survives. A new row starts with the sentence in the source.
"""
# ruff: noqa: INP001  (scripts are no package and speak to a terminal)

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"


def run(
    page: str,
    *,
    name: str,
    header: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    complaints: Sequence[str] = (),
) -> int:
    """Check the table `name` of `page`, or write it with --write.

    Args:
        rows: key -> the other generated columns and, last, the text a new row starts with.
        complaints: faults in the source itself; they fail both ways.

    Returns:
        The exit code: 0 in order, 1 not.
    """
    parser = argparse.ArgumentParser(description=f"keep docs/reference/{page} complete")
    parser.add_argument("--write", action="store_true", help="bring the page up to date")
    write = parser.parse_args().write
    path = DOCS / page
    text = path.read_text("utf-8")
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        print(f"{path}: needs the lines {begin} and {end}", file=sys.stderr)
        return 1
    before, rest = text.split(begin)
    old, after = rest.split(end)
    kept = _rows(old)
    if write:
        path.write_text(f"{before}{begin}\n{_table(header, rows, kept)}{end}{after}", "utf-8")
        print(f"{page}: {len(rows)} rows, {len(rows.keys() - kept.keys())} new")
    else:
        complaints = [
            *complaints,
            *(f"not documented: {key}" for key in sorted(rows.keys() - kept.keys())),
            *(f"documented but gone: {key}" for key in sorted(kept.keys() - rows.keys())),
            *(f"no meaning given: {key}" for key in sorted(rows) if key in kept and not kept[key]),
        ]
    for complaint in complaints:
        print(f"{page}: {complaint}", file=sys.stderr)
    if complaints and not write:
        print(f"{page}: `make docs` adds and removes rows; then read them", file=sys.stderr)
    return 1 if complaints else 0


def _rows(table: str) -> dict[str, str]:
    """Key -> last column, of the table as it stands."""
    found = {}
    for line in table.splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        match = re.fullmatch(r"`([^`]+)`", cells[0])
        if match and len(cells) > 1:
            found[match.group(1)] = cells[-1]
    return found


def _table(
    header: Sequence[str], rows: Mapping[str, Sequence[str]], kept: Mapping[str, str]
) -> str:
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    for key in sorted(rows):
        *made, first_text = rows[key]
        last = kept.get(key) or " ".join(first_text.split()).replace("|", "\\|")
        lines.append(f"| {' | '.join([f'`{key}`', *made, last])} |")
    return "\n".join(lines) + "\n"
