"""Certificate paths that were found good, remembered for the times at which nothing could make them less so.

One authority stamps every signature of a file, and one person signs many files: the path is the same, only
the moment differs. Building and judging a path looks at the moment in one way only: is each certificate valid
then? So what was good at one moment is good, by the same path, at every other one at which all certificates
that were looked at are valid, those beside the path included. Anything but a good path is judged anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from ledger.core.report import Verdict
from signing import parsed

KEPT_MAX: Final = 512
"""Paths per thread: the signers and authorities of recent files, some 10 kB each."""

Key: TypeAlias = tuple[object, ...]


class _Kept(threading.local):
    def __init__(self) -> None:
        self.found: OrderedDict[Key, tuple[datetime, datetime, Any]] = OrderedDict()


_KEPT: Final = _Kept()


def remembered(
    judge: Callable[[datetime], Any], *, key: Key, given: Sequence[bytes], at: datetime
) -> Any:
    """What `judge` finds at `at`, or found at a moment that makes no difference.

    Args:
        judge: finds a path by the certificates in `key` alone, and the moment.
        key: everything else that the finding depends on.
        given: every certificate that `judge` may look at, DER.
    """
    kept = _KEPT.found.get(key)
    if kept is not None and kept[0] <= at <= kept[1]:
        _KEPT.found.move_to_end(key)
        return kept[2]
    finding = judge(at)
    if finding.verdict is Verdict.PASSED:
        try:
            loaded = [parsed.certificate(der) for der in given]
            start = max(one.not_valid_before for one in loaded)
            end = min(one.not_valid_after for one in loaded)
        except parsed.ASN1_ERRORS:  # one beside the path, that nothing had to read, is broken
            return finding
        # A certificate that is not valid at the moment itself leaves no such time.
        if start <= at <= end:
            _KEPT.found[key] = start, end, finding
            if len(_KEPT.found) > KEPT_MAX:
                _KEPT.found.popitem(last=False)
    return finding
