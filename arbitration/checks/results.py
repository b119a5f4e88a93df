"""How checks say what they found: many problems, one verdict, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.core.canonical import Json
from ledger.core.report import Check, Verdict

PROBLEMS_SHOWN_MAX: Final = 20
"""A report stays readable even for a bundle in which everything is wrong."""
_WORST_FIRST: Final = (Verdict.FAILED, Verdict.INDETERMINATE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be, or that cannot be told."""

    verdict: Verdict
    en: str
    zh: str


def wrong(en: str, zh: str) -> Problem:
    """Evidence against."""
    return Problem(Verdict.FAILED, en, zh)


def unclear(en: str, zh: str) -> Problem:
    """No evidence either way."""
    return Problem(Verdict.INDETERMINATE, en, zh)


def conclude(code: str, problems: Sequence[Problem], *, en: str, zh: str, **details: Json) -> Check:
    """The check's finding: `en` and `zh` where nothing is wrong, else the worst problem first."""
    for verdict in _WORST_FIRST:
        worst = [problem for problem in problems if problem.verdict is verdict]
        if worst:
            more = len(problems) - 1
            return Check(
                code,
                verdict,
                worst[0].en + (f" (and {more} more)" if more else ""),
                worst[0].zh + (f"（另有 {more} 项）" if more else ""),
                details | {"problems": [p.en for p in (*worst, *problems)][:PROBLEMS_SHOWN_MAX]},
            )
    return Check(code, Verdict.PASSED, en, zh, dict(details))
