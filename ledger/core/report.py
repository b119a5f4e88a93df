"""A result nobody can ignore or misread: passed, failed or indeterminate, with reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from ledger.core.canonical import Json
from ledger.core.errors import VerificationError


class Verdict(StrEnum):
    """Outcome of one check or of a whole report."""

    PASSED = "passed"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        code: dotted stable name of the check, e.g. `pdf.coverage`; listed in docs/reference/checks.md.
        verdict: what was found.
        summary_en: one sentence in English that says what was found and, if not passed, why.
        summary_zh: the same in Chinese.
        details: facts in JSON form (integers, text), for machines; never personal data in clear.
    """

    code: str
    verdict: Verdict
    summary_en: str
    summary_zh: str
    details: dict[str, Json] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        """The check as it stands in a report."""
        return {
            "code": self.code,
            "verdict": self.verdict.value,
            "summary_en": self.summary_en,
            "summary_zh": self.summary_zh,
            "details": self.details,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Outcome of every check that ran, in declared order.

    Attributes:
        subject: what was examined, e.g. `bundle` or `pdf`.
        checks: numbered from 1 by position.
        labels: honest remarks that are neither pass nor fail ("built-in CA: not a licensed CA").
    """

    subject: str
    checks: tuple[Check, ...]
    labels: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Worst first; a report in which nothing ran proves nothing."""
        found = {check.verdict for check in self.checks}
        for worse in (Verdict.FAILED, Verdict.INDETERMINATE):
            if worse in found:
                return worse
        return Verdict.PASSED if found else Verdict.INDETERMINATE

    def require(self) -> None:
        """Raise unless the verdict is passed.

        Raises:
            VerificationError: with the code of the first failed (else first indeterminate) check, or
                `report.empty`.
        """
        for worse in (Verdict.FAILED, Verdict.INDETERMINATE):
            for check in self.checks:
                if check.verdict is worse:
                    raise VerificationError(check.summary_en, code=check.code, verdict=worse.value)
        if not self.checks:
            raise VerificationError("no check ran", code="report.empty")

    def as_json(self) -> dict[str, Json]:
        """The report as printed by `--json` and stored in bundles."""
        return {
            "v": "fuqi/report/v1",
            "subject": self.subject,
            "verdict": self.verdict.value,
            "labels": list(self.labels),
            "checks": [
                {"number": i, **check.as_json()} for i, check in enumerate(self.checks, start=1)
            ],
        }

    def __bool__(self) -> NoReturn:
        # Else `if report:` would be true for a forgery.
        raise TypeError("a Report is not a yes or no: use .verdict or .require()")
