"""Which slices of page-edge seals need no picture of their page to be judged.

A slice that `signing.validate_edges` accepted is known to the last byte, every reader clips it to its box, and
it only darkens what it lies on. Where the box holds no figures and shares no place with another field it can
hide nothing, and nothing else on the page is new: a long document need not be drawn for it. The first pages
are drawn all the same, so that two renderers have shown the seal.
"""

from __future__ import annotations

from typing import Final

from signing import deadline, render
from signing.covered import has_figures, overlap
from signing.edge_seal import edge_fields
from signing.examined import Examined
from signing.render import Box

PAGES_DRAWN: Final = 20
"""A whole seal, at least: on so many pages its slices join up."""


def plain_slices(file: Examined) -> dict[int, int]:
    """Object number of a box behind the first pages -> end of the revision in which it was filled."""
    form = file.form
    ends = {name: end for (_revision, name), end in file.explained.items()}
    wanted = frozenset(file.slices)
    if form is None or form.pages <= PAGES_DRAWN or not wanted:
        return {}
    by_page: dict[int, list[tuple[str, Box]]] = {}
    for name, box in form.boxes.items():
        by_page.setdefault(box.page, []).append((name, box))
    numbers = {
        one.box_name(n): int(reference.idnum)
        for one in edge_fields(file.reader)
        for n, reference in enumerate(one.boxes)
    }
    found: dict[int, int] = {}
    with render.Document(file.data) as document:
        for page in range(PAGES_DRAWN, form.pages):
            deadline.check()
            held = by_page.get(page, [])
            own = [(name, box) for name, box in held if name in wanted]
            texts = document.texts_in(page, [box for _name, box in own])
            for (name, box), text in zip(own, texts, strict=True):
                alone = not any(overlap(box, other) for n, other in held if n != name)
                if alone and not has_figures(text):
                    found[numbers[name]] = ends[name]
    return found
