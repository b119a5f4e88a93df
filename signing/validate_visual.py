"""What was signed against what is seen: every page of neighbouring revisions, by text and by pixel."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Final

from ledger.core.errors import InputError, UnavailableError
from ledger.core.report import Verdict
from signing import render
from signing.examined import Examined
from signing.pdf_reading import form_of, open_reader
from signing.reading import Form

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
    """Add `pdf.visual`: does every page still read and look as it did when it was signed?

    Only the boxes of signature fields that a signer could see as empty may have been filled since.
    A box that a later signer brought along is indeterminate: the earlier one never agreed to it.
    """
    ends = sorted({i.revision_size for i in file.signatures if i.revision_size and not i.fault})
    if not ends:
        return
    states = [*ends, len(file.data)] if ends[-1] != len(file.data) else ends
    if len(states) == 1:
        file.add(
            "pdf.visual", _P, "what was signed is all there is to see", "所见即所签", compared=0
        )
        return
    deadline = time.monotonic() + VISUAL_SECONDS_MAX
    try:
        page, brought = _first_difference(file.data, states, deadline)
    except (InputError, UnavailableError) as exc:
        file.add(
            "pdf.visual",
            _I,
            "the pages could not be compared",
            "无法比对页面",
            reason=exc.error_code,
        )
        return
    if page is not None:
        file.add(
            "pdf.visual",
            _F,
            f"page {page + 1} does not read or look as it was signed",
            f"第 {page + 1} 页的文字或外观与签署时不一致",
            page=page + 1,
        )
    elif brought is not None:
        file.add(
            "pdf.visual",
            _I,
            f"a later signer brought a visible signature box onto page {brought + 1}",
            f"后续签名人在第 {brought + 1} 页新增了可见签名框",
            page=brought + 1,
        )
    else:
        file.add(
            "pdf.visual",
            _P,
            "every page still reads and looks as it was signed",
            "每一页的文字与外观均与签署时一致",
            compared=len(states),
        )


def _first_difference(
    data: bytes, states: Sequence[int], deadline: float
) -> tuple[int | None, int | None]:
    """(first page that differs, first page that differs only in a new signature box), 0-based."""
    brought: int | None = None
    forms = [form_of(open_reader(data[:end])[0]) for end in states]
    for n, (old_end, new_end) in enumerate(itertools.pairwise(states)):
        with render.Document(data[:old_end]) as old, render.Document(data[:new_end]) as new:
            count = old.page_count()
            if new.page_count() != count:
                return min(count, new.page_count()), None
            if count > VISUAL_PAGES_MAX:
                raise UnavailableError("too many pages to compare", code="render.too_many_pages")
            sizes = old.page_sizes(at_most=count)
            known = _masks(forms[n], forms[n].empty, sizes)
            fresh = _masks(forms[n + 1], _fresh(forms[n], forms[n + 1]), sizes)
            for page in range(count):
                if _same(old, new, page, known, deadline):
                    continue
                if not fresh or not _same(old, new, page, [*known, *fresh], deadline):
                    return page, None
                brought = page if brought is None else brought
    return None, brought


def _same(
    old: render.Document,
    new: render.Document,
    page: int,
    masks: Sequence[render.Box],
    deadline: float,
) -> bool:
    before, after = (
        document.view(page, side_px=VISUAL_SIDE_PX, masks=masks, deadline=deadline)
        for document in (old, new)
    )
    return before == after


def _fresh(old: Form, new: Form) -> tuple[str, ...]:
    return tuple(name for name in new.filled if name not in {*old.empty, *old.filled})


def _masks(form: Form, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> list[render.Box]:
    """The boxes of these fields, without those too large to be signature boxes."""
    kept = []
    for name in names:
        box = form.boxes.get(name)
        if box is None or box.page >= len(sizes):
            continue
        width, height = sizes[box.page]
        area = abs(box.right - box.left) * abs(box.top - box.bottom)
        if area * 100 <= width * height * MASK_SHARE_MAX_PERCENT:
            kept.append(box)
    return kept
