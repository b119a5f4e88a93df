"""Draws docs/pictures/: fill by item and urgency of the Hubei round, and the frontier of GetUsPPE's stream.

The first is solved and checked here, from the real needs; the second is drawn from bench/results/getusppe.json,
which `make bench ARGS="getusppe --full"` writes. Nothing is drawn that was not measured.
"""
# ruff: noqa: INP001  (scripts are no package and speak to a terminal)

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.getusppe import RESULTS  # noqa: E402
from bench.matching import load_problem  # noqa: E402
from matching.candidates import judge_pairs  # noqa: E402
from matching.check import check_plan  # noqa: E402
from matching.explain import explain  # noqa: E402
from matching.solve import solve  # noqa: E402

PICTURES: Final = ROOT / "docs" / "pictures"
TIERS: Final = (
    ("critical", "特急 critical", "#9c2a1f"),
    ("high", "紧急 high", "#b97a10"),
    ("normal", "一般 normal", "#0e5a62"),
)
INK: Final = "#1b2430"
SOFT: Final = "#475161"
LINE: Final = "#ded8ca"


def main() -> int:
    """Both pictures; the second only where it was measured."""
    PICTURES.mkdir(exist_ok=True)
    name, problem = load_problem()
    judged = judge_pairs(problem)
    solution = solve(problem, candidates=judged)
    check_plan(problem, solution.plan, solution.certificate).require()
    summary = explain(problem, solution.plan, solution.certificate, candidates=judged).summary
    picture = fill_picture(summary, problem.catalogue.items, name=name)
    (PICTURES / f"{name}-fill.svg").write_text(picture, "utf-8")
    print(f"{name}-fill.svg: {summary['units']} of {summary['units_wanted']} pieces")
    if not RESULTS.is_file():
        print('getusppe.svg is left out: run `make bench ARGS="getusppe --full"` first')
        return 0
    (PICTURES / "getusppe.svg").write_text(frontier(json.loads(RESULTS.read_text())), "utf-8")
    print("getusppe.svg")
    return 0


def fill_picture(summary: Mapping[str, Any], items: Mapping[str, Any], *, name: str) -> str:
    """One row an item, one bar an urgency: the share served, and how many pieces were wanted."""
    rows = sorted(
        summary["by_item_and_tier"].items(),
        key=lambda pair: -sum(tier["wanted"] for tier in pair[1].values()),
    )
    top, row_height, left, bar = 78, 30, 190, 150
    column = bar + 110
    width = left + 3 * column
    height = top + row_height * len(rows) + 24
    parts = [
        _text(16, 26, f"{name} 2020: 满足率 share served, {len(rows)} items", size=17, bold=True),
        _text(
            16,
            46,
            f"{summary['units']:,} / {summary['units_wanted']:,} 件 pieces, real needs, generated "
            "supply; solved to the proven optimum",
            colour=SOFT,
        ),
    ]
    for at, (tier, label, colour) in enumerate(TIERS):
        total = summary["by_tier"][tier]
        said = f"{label}: {total['served'] * 100 / max(1, total['wanted']):.1f} %"
        parts.append(_text(left + at * column, 68, said, colour=colour, bold=True))
    for number, (item, tiers) in enumerate(rows):
        y = top + number * row_height
        parts.append(_text(16, y + 12, items[item].zh))
        parts.append(_text(16, y + 24, items[item].en, size=9, colour=SOFT))
        for at, (tier, _, colour) in enumerate(TIERS):
            if tier not in tiers:
                continue
            x, fill = left + at * column, tiers[tier]
            share = fill["served"] / fill["wanted"]
            parts.append(_box(x, y + 4, bar, 12, LINE))
            parts.append(_box(x, y + 4, bar * share, 12, colour))
            said = f"{share * 100:.0f} % of {fill['wanted']:,}"
            parts.append(_text(x + bar + 6, y + 14, said, size=10, colour=SOFT))
    return _svg(width, height, parts)


def frontier(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Miles against fill: each policy on the published stream, and its mean and spread on resamples."""
    width, height, left, bottom, right, top = 760, 470, 70, 410, 730, 70
    most = 0.28

    def place(run: Mapping[str, Any]) -> tuple[float, float]:
        low, high = math.log10(8), math.log10(2000)
        x = left + (math.log10(run["avg unit-miles"]) - low) / (high - low) * (right - left)
        return x, bottom - run["fill rate"] / most * (bottom - top)

    parts = [
        _text(16, 26, "GetUsPPE, April to July 2020: miles against fill", size=17, bold=True),
        _text(
            16,
            46,
            "point: the published stream; cross: mean and standard deviation of resamples",
            colour=SOFT,
        ),
    ]
    for miles in (10, 30, 100, 300, 1000):
        x, _ = place({"avg unit-miles": miles, "fill rate": 0})
        parts.append(_line(x, top, x, bottom, LINE))
        parts.append(_text(x, bottom + 18, f"{miles}", colour=SOFT, anchor="middle"))
    for percent in range(0, 30, 5):
        _, y = place({"avg unit-miles": 10, "fill rate": percent / 100})
        parts.append(_line(left, y, right, y, LINE))
        parts.append(_text(left - 8, y + 4, f"{percent} %", colour=SOFT, anchor="end"))
    middle = (left + right) / 2
    parts.append(_text(middle, bottom + 42, "miles a unit travels (log)", anchor="middle"))
    ours = sorted(
        (name for name in found if name not in ("fcfm", "proximity", "few_shipments")),
        key=lambda name: found[name][0]["avg unit-miles"],
    )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(found[name][0]) for name in ours))
    parts.append(f'<polyline points="{points}" fill="none" stroke="#0e5a62" stroke-width="1.5"/>')
    for name, runs in found.items():
        theirs = name in ("fcfm", "proximity")
        colour = "#9c2a1f" if theirs else "#b97a10" if name == "few_shipments" else "#0e5a62"
        x, y = place(runs[0])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        said = f"{name.replace('_', ' ')} ({runs[0]['avg number of shipments']:.1f}/donor)"
        side = "end" if x > right - 130 else "start"
        # Every other label of the curve stands below it, or neighbours would write over each other.
        shift = 18 if name in ours[1::2] else -8
        parts.append(
            _text(x + (8 if side == "start" else -8), y + shift, said, colour=colour, anchor=side)
        )
        if len(runs) > 3:
            parts.append(_cross(runs[1:], place, colour))
    parts.append(
        _text(
            16, height - 8, "red: their strategies; in brackets: shipments per donor", colour=SOFT
        )
    )
    return _svg(width, height, parts)


def _cross(runs: Sequence[Mapping[str, Any]], place: Any, colour: str) -> str:
    miles = [run["avg unit-miles"] for run in runs]
    fill = [run["fill rate"] for run in runs]
    mean = {"avg unit-miles": statistics.mean(miles), "fill rate": statistics.mean(fill)}
    x, y = place(mean)
    wide = place(mean | {"avg unit-miles": mean["avg unit-miles"] + statistics.stdev(miles)})[0] - x
    tall = y - place(mean | {"fill rate": mean["fill rate"] + statistics.stdev(fill)})[1]
    across = _line(x - max(wide, 3), y, x + max(wide, 3), y, colour)
    return across + _line(x, y - max(tall, 3), x, y + max(tall, 3), colour)


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="Noto Sans CJK SC, PingFang SC, sans-serif">\n'
        f'<rect width="{width}" height="{height}" fill="#fffefb"/>\n{body}\n</svg>\n'
    )


def _text(
    x: float,
    y: float,
    said: str,
    *,
    size: int = 12,
    colour: str = INK,
    bold: bool = False,
    anchor: str = "start",
) -> str:
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}"{weight}>{escape(said)}</text>'
    )


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="3" '
        f'fill="{colour}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


if __name__ == "__main__":
    sys.exit(main())
