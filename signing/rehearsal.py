"""The dress rehearsal of an uploaded PDF: what the server does with it later, done once where it can be killed.

A few kilobytes can keep a parser busy for ever or swell to gigabytes, and no look at the objects tells: forms
that draw forms, streams packed twice. Whatever is taken in is later read and drawn by the server itself. So
every page is read and drawn first in the child process of `signing.sandbox`, under tighter limits.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.core.errors import FuqiError, LimitError, UnavailableError
from signing import render, second_view

SECONDS_MAX: Final = 40
"""Wall time for all pages; a page of text takes some milliseconds, a scanned one a tenth of a second."""
GROWTH_MAX: Final = 512 * 1024 * 1024
"""Address space beyond that of the idle child: a scanned A4 page in colour at 600 dpi unpacks to 105 MB."""
COPIES: Final = 8
"""Of the file itself, which parsers and revisions hold besides."""
SIDE_PX: Final = 320
"""Longest side of the pictures: what a page holds is unpacked whatever its picture's size."""


def rehearse(data: bytes, *, seconds: int = SECONDS_MAX) -> None:
    """Read every page once and draw it with both renderers. Only for a process that may be killed.

    Raises:
        LimitError: `pdf.too_costly`; what does not stop by itself ends with the child, and its caller says so.
        InputError: `render.*`.
    """
    end = render.deadline(seconds)
    with render.Document(data) as document:
        for number in range(document.page_count()):
            document.lines(number)
            try:
                document.view(number, side_px=SIDE_PX, masks=(), deadline=end)
            except UnavailableError as exc:
                raise _costly() from exc
            _require_time(end)
    if second_view.library() is None:
        return
    # Whether it draws at all is asked when signatures are judged; here only at what price.
    with contextlib.suppress(FuqiError), second_view.SecondDocument(data) as other:
        count = other.page_count()
        for number in range(count):
            other.view(number, side_px=SIDE_PX)
            if render.past(end):
                break
    _require_time(end)


def _require_time(end: float) -> None:
    if render.past(end):
        raise _costly()


def _costly() -> LimitError:
    return LimitError(
        "this PDF needs more time or memory than is given to one file; print it anew to PDF",
        code="pdf.too_costly",
        reason="time_limit",
    )


@contextlib.contextmanager
def room(size: int) -> Iterator[None]:
    """Little more address space than there is now, for a file of `size` bytes.

    Where the kernel does not say how much there is, the old limit stays. A library that finds no memory may
    end the process.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        yield
        return
    wanted = pages * resource.getpagesize() + GROWTH_MAX + COPIES * size
    if soft != resource.RLIM_INFINITY:
        wanted = min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
