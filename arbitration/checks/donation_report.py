"""The human report on a donation says what the parts say: it is rendered again and compared byte for byte."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.human_report import HEAD
from arbitration.checks.results import conclude, unclear, wrong
from arbitration.model import REPORT_HTML, REPORT_JSON
from arbitration.report.donation import (
    DONATION_RENDERER,
    donation_report_html,
    donation_report_json,
)
from ledger.core.canonical import canonical_bytes
from ledger.core.report import Check

CODE: Final = "donation.report"


def check(context: Context) -> Check:
    """FAILED where the report differs; INDETERMINATE where another renderer made it."""
    bundle = context.bundle
    problems = []
    if bundle.manifest["renderer"] != DONATION_RENDERER:
        problems.append(
            unclear("made by a renderer that this version does not know", "由本版本未知的程序生成")
        )
    else:
        facts = donation_report_json(bundle, head={key: bundle.manifest[key] for key in HEAD})
        made = {
            REPORT_JSON: canonical_bytes(facts),
            REPORT_HTML: donation_report_html(facts).encode("utf-8"),
        }
        problems += [
            wrong(f"{path} is not what the parts say", f"{path} 与各部分不符")
            for path, data in made.items()
            if bundle.files[path] != data
        ]
    return conclude(
        CODE,
        problems,
        en="the human report says exactly what the parts say",
        zh="人工可读报告与各部分内容完全一致",
    )
