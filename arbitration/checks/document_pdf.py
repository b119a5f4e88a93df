"""The strict PDF verifier's verdict on the final file (`signing.validate`)."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import conclude, unclear, wrong
from ledger.core.report import Check, Verdict

CODE: Final = "document.pdf"


def check(context: Context) -> Check:
    """Every finding that did not pass becomes a problem, by its own code."""
    problems = [
        (wrong if one.verdict is Verdict.FAILED else unclear)(
            f"{one.code}: {one.summary_en}", f"{one.code}：{one.summary_zh}"
        )
        for one in context.pdf.checks
        if one.verdict is not Verdict.PASSED
    ]
    if not context.pdf.checks:
        problems.append(unclear("no check of the PDF ran", "PDF检查未运行"))
    return conclude(
        CODE,
        problems,
        en=f"all {len(context.pdf.checks)} checks of the signed PDF passed",
        zh=f"已签PDF的 {len(context.pdf.checks)} 项检查全部通过",
        checks=len(context.pdf.checks),
    )
