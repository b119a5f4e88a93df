"""What was signed against what is seen: every page of neighbouring revisions, by text and by pixel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from ledger.core.errors import InputError, UnavailableError
from ledger.core.report import Verdict
from signing import render
from signing.examined import Examined
from signing.pdf_reading import form_of, open_reader

VISUAL_PAGES_MAX: Final = 500
"""Pages compared by picture; more make the verdict indeterminate, never passed."""
VISUAL_SIDE_PX: Final = 900
"""About 77 dpi on A4: a changed digit changes pixels."""
VISUAL_SECONDS_MAX: Final = 60
"""Time for all pictures of one file."""
MASK_SHARE_MAX_PERCENT: Final = 30
"""A signature box that covers more of its page may not hide what changes beneath it."""

_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


def check_visual(file: Examined) -> None:
    """The pages of each signed revision against those of the next, by text and by pixel."""
    ends = sorted({i.revision_size for i in file.signatures if i.revision_size and not i.fault})
    if not ends:
        return
    states = [*ends, len(file.data)] if ends[-1] != len(file.data) else ends
    if len(states) == 1:
        file.add("pdf.visual", _P, "what was signed is all there is to see", "所见即所签")
        return
    deadline = time.monotonic() + VISUAL_SECONDS_MAX
    try:
        different = _first_difference(file.data, states, deadline)
    except (InputError, UnavailableError) as exc:
        file.add(
            "pdf.visual",
            _I,
            "the pages could not be compared",
            "无法比对页面",
            reason=exc.error_code,
        )
        return
    if different is None:
        file.add(
            "pdf.visual",
            _P,
            "every page still reads and looks as it was signed",
            "每一页的文字与外观均与签署时一致",
        )
    else:
        file.add(
            "pdf.visual",
            _F,
            f"page {different + 1} does not read or look as it was signed",
            f"第 {different + 1} 页的文字或外观与签署时不一致",
            page=different + 1,
        )


def _first_difference(data: bytes, states: Sequence[int], deadline: float) -> int | None:
    """0-based page that differs between two neighbouring states, None where none does."""
    masks = [_masks(data[:end]) for end in states[:-1]]
    for masked, old_end, new_end in zip(masks, states[:-1], states[1:], strict=True):
        with render.Document(data[:old_end]) as old, render.Document(data[:new_end]) as new:
            count = old.page_count()
            if new.page_count() != count:
                return min(count, new.page_count())
            if count > VISUAL_PAGES_MAX:
                raise UnavailableError("too many pages to compare", code="render.too_many_pages")
            for page in range(count):
                before, after = (
                    document.view(page, side_px=VISUAL_SIDE_PX, masks=masked, deadline=deadline)
                    for document in (old, new)
                )
                if before != after:
                    return page
    return None


def _masks(revision: bytes) -> list[render.Box]:
    """Boxes of the empty signature fields that were there when this revision was signed."""
    form = form_of(open_reader(revision)[0])
    with render.Document(revision) as document:
        sizes = document.page_sizes(at_most=VISUAL_PAGES_MAX)
    kept = []
    for name, box in form.boxes.items():
        if name not in form.empty or box.page >= len(sizes):
            continue
        width, height = sizes[box.page]
        area = abs(box.right - box.left) * abs(box.top - box.bottom)
        if area * 100 <= width * height * MASK_SHARE_MAX_PERCENT:
            kept.append(box)
    return kept
