"""The human report says what the parts say: it is rendered again and compared byte for byte."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import conclude, unclear, wrong
from arbitration.model import REPORT_HTML, REPORT_JSON, Bundle
from arbitration.report.renderers import NEWEST, RENDERERS
from ledger.core.canonical import canonical_bytes
from ledger.core.report import Check

CODE: Final = "bundle.report"
HEAD: Final = ("bundle", "made_at", "purpose", "labels")
"""What the report repeats from the manifest."""


def check(context: Context) -> Check:
    """FAILED where the report differs or is of an older kind than the evidence; open where it is unknown."""
    bundle = context.bundle
    problems = []
    renderer = RENDERERS.get(str(bundle.manifest["renderer"]))
    if renderer is None:
        problems.append(
            unclear("made by a renderer that this version does not know", "由本版本未知的程序生成")
        )
    else:
        facts = renderer.facts(bundle, head={key: bundle.manifest[key] for key in HEAD})
        if bundle.files[REPORT_JSON] != canonical_bytes(facts):
            problems.append(
                wrong("report.json is not what the parts say", "report.json 与各部分不符")
            )
        if bundle.files[REPORT_HTML] != renderer.page(facts).encode("utf-8"):
            problems.append(
                wrong("report.html is not what the parts say", "report.html 与各部分不符")
            )
        if renderer is not RENDERERS[NEWEST] and _newer_than_first(bundle):
            problems.append(
                wrong(
                    "an older kind of report than the evidence, which leaves out what is not proven",
                    "所用报告格式早于证据本身，略去了“不能证明的事项”",
                )
            )
    return conclude(
        CODE,
        problems,
        en="the human report says exactly what the parts say",
        zh="人工可读报告与各部分内容完全一致",
    )


def _newer_than_first(bundle: Bundle) -> bool:
    """Whether entries are of a version that had the second renderer: publication states the amount or none."""
    return any("no_amount" in (one.body or {}) for one in bundle.of_type("agreement.staged"))
