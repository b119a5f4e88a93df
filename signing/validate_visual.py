"""What was signed against what is seen: the pages of neighbouring revisions, by text and by pixel.

Two renderers that share no code draw each state. A page of which no object stands anew in the later
bytes cannot look different in any reader (`signing.touched`) and is not drawn; steps that do nothing but
sign boxes that stood there are drawn at the two ends of their run. There is no limit on the
number of pages, only on the time.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from ledger.core.errors import InputError, UnavailableError
from ledger.core.report import Verdict
from signing import deadline as time_limit
from signing import render, second_view
from signing.covered import blank, has_figures, hides, overlap
from signing.examined import Examined
from signing.pdf_reading import form_at
from signing.reading import Form
from signing.slices_seen import plain_slices
from signing.touched import UNKNOWN, Pages, Touched, renewed, runs

VISUAL_SIDE_PX: Final = second_view.SIDE_PX
"""About 60 dpi on A4: pictures are compared exactly, so a changed digit changes some of them."""
VISUAL_SECONDS_MAX: Final = 60
"""Time for all pictures of one file; beyond it the verdict is indeterminate."""
VIEWS_KEPT: Final = 12
"""Pages whose last pictures are kept between revisions: 2 to 4 MB each."""
MASK_SHARE_MAX_PERCENT: Final = 30
"""A signature box that covers more of its page may not hide what changes beneath it."""
_BYTES_PER_PIXEL: Final = 4
_COVERED: Final = "covered"

_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE

_Places = Sequence[tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One page in one state: by PDFium, and by poppler where it is there."""

    first: render.PageView
    second: render.PageView | None


@dataclass
class _Outcome:
    """What was found: the first page that differs, on which something is covered, and with a new box."""

    differs: int | None = None
    covers: int | None = None
    brought: int | None = None
    renderer: str = ""
    drawn: int = 0
    untouched: int = 0


def check_visual(file: Examined) -> None:
    """Add `pdf.visual`: does every page still read and look as it did when it was signed?

    Only the boxes of signature fields that a signer could see as empty may have been filled since.
    A box that a later signer brought along onto an empty place is indeterminate: the earlier one never
    agreed to it. Over anything that could be read, or in a certified file, it fails.
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
    try:
        found = _compare(file, states, time_limit.end_of(VISUAL_SECONDS_MAX))
    except (InputError, UnavailableError) as exc:
        file.add(
            "pdf.visual",
            _I,
            "the pages could not be compared",
            "无法比对页面",
            reason=exc.error_code,
        )
        return
    if found.covers is not None:
        file.add(
            "pdf.visual",
            _F,
            f"a later signature covers figures or another signature on page {found.covers + 1}",
            f"后续签名遮盖了第 {found.covers + 1} 页的数字或其他签名",
            page=found.covers + 1,
            reason="covered",
        )
    elif found.differs is not None:
        file.add(
            "pdf.visual",
            _F,
            f"page {found.differs + 1} does not read or look as it was signed",
            f"第 {found.differs + 1} 页的文字或外观与签署时不一致",
            page=found.differs + 1,
            renderer=found.renderer,
        )
    elif found.brought is not None:
        file.add(
            "pdf.visual",
            _I,
            f"a later signer brought a visible signature box onto page {found.brought + 1}",
            f"后续签名人在第 {found.brought + 1} 页新增了可见签名框",
            page=found.brought + 1,
        )
    else:
        file.add(
            "pdf.visual",
            _P,
            "every page still reads and looks as it was signed",
            "每一页的文字与外观均与签署时一致",
            compared=len(states),
            drawn=found.drawn,
            untouched=found.untouched,
            renderers=f"pdfium, {second_view.version()}" if second_view.library() else "pdfium",
        )


def _compare(file: Examined, states: Sequence[int], deadline: float) -> _Outcome:
    revisions = file.revisions

    def state(end: int) -> _State:
        form = form_at(file.reader, file.data, end, revisions.get(end))
        return _State(file.data, end, form, file.slices)

    outcome, kept = _Outcome(), dict[int, _Drawn]()
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(state(states[0]))
        steps = _touched(file, states)
        if _overlapping(file.form, file.slices):
            # Whether one signature hides the other is seen only step by step.
            steps = [replace(step, boxes_only=False) for step in steps]
        for start, end, touched in runs(states, steps):
            new = stack.enter_context(state(end))
            count = old.pages()
            if new.pages() != count:
                outcome.differs, outcome.renderer = min(count, new.pages()), "pdfium"
                return outcome
            pages = range(count) if touched is None else sorted(touched)
            outcome.untouched += count - len(pages)
            if pages:
                certified = _certified(file, start)
                named = [n for (_r, n), signed in file.explained.items() if start < signed <= end]
                slices = frozenset(named) & frozenset(file.slices)
                filled = [name for name in named if name not in slices]
                step = _Step(old, new, deadline, certified, filled, slices)
                if _compare_pages(step, pages, kept, outcome):
                    return outcome
            old.close()
            old = new
    return outcome


def _compare_pages(
    step: _Step, pages: Iterable[int], kept: dict[int, _Drawn], outcome: _Outcome
) -> bool:
    """Whether a page differs, so that nothing else needs a look."""
    for page in pages:
        before = kept.pop(page, None)
        verdict, renderer, after = step.compare(page, before)
        outcome.drawn += 1
        if len(kept) < VIEWS_KEPT:
            kept[page] = after
        if verdict is _F and renderer == _COVERED:
            outcome.covers = page
            return True
        if verdict is _F:
            outcome.differs, outcome.renderer = page, renderer
            return True
        if verdict is _I and outcome.brought is None:
            outcome.brought = page
    return False


class _State:
    """The first bytes of the file, opened by both renderers when first asked."""

    def __init__(self, data: bytes, end: int, form: Form, slices: Sequence[str]) -> None:
        self._data, self._end, self.form = data, end, form
        self._fields: dict[int, list[str]] = {}
        for name in (*form.empty, *slices):
            if (box := form.boxes.get(name)) is not None:
                self._fields.setdefault(box.page, []).append(name)
        self._stack = contextlib.ExitStack()
        self._first: render.Document | None = None
        self._second: second_view.SecondDocument | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()
        self._first = self._second = None

    def first(self) -> render.Document:
        if self._first is None:
            self._first = self._stack.enter_context(render.Document(self._data, size=self._end))
        return self._first

    def pages(self) -> int:
        return self.first().page_count()

    def fields(self, page: int) -> list[str]:
        """The fields of the page that may be filled from here on: the order of a drawn page's places."""
        return self._fields.get(page, [])

    def draw(self, page: int, *, deadline: float) -> _Drawn:
        """Both pictures of a page, with the places of the boxes that may be filled from here on.

        Raises:
            InputError, UnavailableError: `render.*`.
        """
        if time.monotonic() > deadline:
            raise UnavailableError("the file takes too long to draw", code="render.too_slow")
        first = self.first().view(
            page,
            side_px=VISUAL_SIDE_PX,
            masks=(),
            deadline=deadline,
            boxes=_boxes(self.form, self.fields(page), page),
        )
        if second_view.library() is None:
            return _Drawn(first, None)
        if self._second is None:
            document = second_view.SecondDocument(self._data, size=self._end)
            self._second = self._stack.enter_context(document)
        return _Drawn(first, self._second.view(page))


@dataclass
class _Step:
    """Two neighbouring states, their forms, and what was filled between them as a step explains.

    Attributes:
        filled: text fields.
        slices: boxes of page-edge seals.
    """

    old: _State
    new: _State
    deadline: float
    certified: bool
    filled: Sequence[str]
    slices: frozenset[str]

    def compare(self, page: int, before: _Drawn | None) -> tuple[Verdict, str, _Drawn]:
        """Same, different or with a new box; by which renderer; and the page's new pictures."""
        before = before or self.old.draw(page, deadline=self.deadline)
        after = self.new.draw(page, deadline=self.deadline)
        verdict, renderer = _P, ""
        for name, a, b in (
            ("pdfium", before.first, after.first),
            (second_view.NAME, before.second, after.second),
        ):
            if a is None or b is None or a == b:
                continue
            if (a.text, a.width, a.height) != (b.text, b.width, b.height):
                return _F, name, after
            known = _scaled(before.first, self._signed_now(page, before.first), a)
            if self.filled:
                seen = self._places_of(page, self.filled)
                known = [*known, *_scaled(seen, seen.places, a)]
            if _same(a, b, known):
                continue
            drawn = self._with_new_boxes(page)
            fresh = _scaled(drawn, drawn.places, a)
            if not fresh or not _same(a, b, [*known, *fresh]) or self.certified:
                return _F, name, after
            if not all(blank(a, place) for place in fresh):
                return _F, name, after  # the new box covers what stood there
            verdict, renderer = _I, name
        if self._covers(page, before.first, after.first):
            return _F, _COVERED, after
        return verdict, renderer, after

    def _covers(self, page: int, before: render.PageView, after: render.PageView) -> bool:
        """Whether a field signed now hides figures, an earlier signature or another field's value."""
        old = self.old.form
        for name, place in zip(self.old.fields(page), before.places, strict=True):
            box = old.boxes[name]
            if not self._is_filled(name) or not hides(before, after, place):
                continue
            others = [one for one in (*old.filled, *old.other_fields) if one != name]
            if any(overlap(box, other) for other in _boxes(old, others, page)):
                return True
            if has_figures(self.old.first().text_in(box)):
                return True
        return False

    def _signed_now(self, page: int, drawn: render.PageView) -> list[tuple[int, int, int, int]]:
        """The places of the fields that were empty before and are signed now; others stay as they were."""
        places = zip(self.old.fields(page), drawn.places, strict=True)
        return [place for name, place in places if self._is_filled(name)]

    def _is_filled(self, name: str) -> bool:
        return name in self.new.form.filled or name in self.slices

    def _with_new_boxes(self, page: int) -> render.PageView:
        """The page with the places of signature boxes that a signer brought along."""
        known = {*self.old.form.empty, *self.old.form.filled}
        names = [name for name in self.new.form.filled if name not in known]
        return self._places_of(page, names)

    def _places_of(self, page: int, names: Sequence[str]) -> render.PageView:
        """The page with the places of these fields."""
        return self.new.first().view(
            page,
            side_px=VISUAL_SIDE_PX,
            masks=(),
            deadline=self.deadline,
            boxes=_boxes(self.new.form, names, page),
        )


def _scaled(drawn: render.PageView, places: _Places, view: render.PageView) -> _Places:
    """The places of `drawn` in a picture of another size, without those too large for a signature."""
    found = []
    wide, high = view.width, view.height
    for left, top, right, bottom in places:
        area = (right - left) * (bottom - top)
        if area * 100 > drawn.width * drawn.height * MASK_SHARE_MAX_PERCENT:
            continue
        if (drawn.width, drawn.height) == (wide, high):
            found.append((left, top, right, bottom))
            continue
        # One pixel more on each side: the two renderers round differently.
        found.append(
            (
                max(0, left * wide // drawn.width - 1),
                max(0, top * high // drawn.height - 1),
                min(wide, -(-right * wide // drawn.width) + 1),
                min(high, -(-bottom * high // drawn.height) + 1),
            )
        )
    return found


def _same(a: render.PageView, b: render.PageView, places: _Places) -> bool:
    """Whether the pictures are equal outside the places: whole rows at once, masked rows in parts."""
    row = a.width * _BYTES_PER_PIXEL
    spans: dict[int, list[tuple[int, int]]] = {}
    for left, top, right, bottom in places:
        for y in range(top, bottom):
            spans.setdefault(y, []).append((left, right))
    done = 0
    for y in sorted(spans):
        if a.pixels[done : y * row] != b.pixels[done : y * row]:
            return False
        position = y * row
        for left, right in sorted(spans[y]):
            until = y * row + left * _BYTES_PER_PIXEL
            if position < until and a.pixels[position:until] != b.pixels[position:until]:
                return False
            position = max(position, y * row + right * _BYTES_PER_PIXEL)
        done = position
    return a.pixels[done:] == b.pixels[done:]


def _boxes(form: Form, names: Sequence[str], page: int) -> list[render.Box]:
    """The boxes of these fields on this page."""
    return [box for name in names if (box := form.boxes.get(name)) is not None and box.page == page]


def _overlapping(form: Form | None, slices: Sequence[str]) -> bool:
    """Whether the boxes of two signatures, or of the seals across page edges, share a place."""
    by_page: dict[int, list[render.Box]] = {}
    for name in () if form is None else (*form.filled, *slices):
        if form is not None and (box := form.boxes.get(name)) is not None:
            by_page.setdefault(box.page, []).append(box)
    return any(
        overlap(one, other)
        for boxes in by_page.values()
        for one, other in itertools.combinations(boxes, 2)
    )


def _touched(file: Examined, states: Sequence[int]) -> list[Touched]:
    """For each step what may differ; unknown for all, wherever that cannot be told."""
    unknown = [UNKNOWN] * (len(states) - 1)
    last = int(file.reader.xrefs.total_revisions) - 1
    revisions = {**file.revisions, len(file.data): last}
    if not file.strict or any(end not in revisions for end in states):
        return unknown
    found: list[Touched] = []
    try:
        skipped = plain_slices(file)
        pages = Pages(_resolver(file.reader, revisions[states[0]]))
        for old, new in itertools.pairwise(states):
            numbers = renewed(
                file.reader, file.data, old=(old, revisions[old]), new=(new, revisions[new])
            )
            known = frozenset(number for number, end in skipped.items() if old < end <= new)
            found.append(pages.step(_resolver(file.reader, revisions[new]), numbers, slices=known))
    except Exception:  # noqa: BLE001 - pyHanko raises many kinds on odd files; then every page is drawn
        return unknown
    return found


def _certified(file: Examined, end: int) -> bool:
    """Whether a signature up to `end` said what may still be done: then nobody brings a box along."""
    return any(
        found.docmdp
        for item in file.signatures
        if item.revision_size <= end and (found := file.differences.get(item.field)) is not None
    )


def _resolver(reader: Any, revision: int) -> Any:
    return reader.get_historical_resolver(revision)
