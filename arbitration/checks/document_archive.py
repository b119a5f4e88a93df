"""The archived file is the final one with proofs behind it, and stands by itself for years to come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from arbitration.checks.context import Context, closed_edits, recorded_edits
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check, Verdict
from signing.embedded import Level, level_of
from signing.validate import validate_pdf

CODE: Final = "document.archive"


def check(context: Context) -> Check:
    """FAILED where an archived file is not the final one extended; PASSED where none is claimed.

    Each is judged with the pinned roots alone: what it needs beside them must stand in the file.
    """
    rows = context.bundle.part(9).get("archives", [])
    if not rows:
        return conclude(
            CODE,
            [],
            en="no archived form of the file is in this bundle, and none is claimed",
            zh="本证据包未载有、也未声称载有长期归档文件",
            archives=0,
        )
    problems: list[Problem] = []
    for row in rows:
        problems += _problems(context, row)
    return conclude(
        CODE,
        problems,
        en="the archived file is the final one with revocation data and time stamps behind it, "
        "and passes with the pinned roots alone",
        zh="归档文件在最终文件之后仅追加吊销数据与时间戳，仅凭锁定的根证书即可验证通过",
        archives=len(rows),
    )


def _problems(context: Context, row: Any) -> list[Problem]:
    data = context.bundle.files[row["path"]]
    problems: list[Problem] = []
    if not data.startswith(context.bundle.revisions()[-1]):
        problems.append(
            wrong(
                "the archived file does not begin with the final one", "归档文件并非以最终文件开头"
            )
        )
    if level_of(data) is not Level(row["level"]):
        problems.append(wrong("the archived file is of another level", "归档文件的级别与所列不符"))
    recorded = context.agreement_events("document.archived")
    if not any(event.body and event.body["sha256"] == row["sha256"] for event in recorded):
        problems.append(
            unclear("no opened entry names this archived file", "没有已披露的记录指明该归档文件")
        )
    alone = replace(context.pki, crls=())
    report = validate_pdf(
        data,
        trust=alone,
        at=context.at,
        edits=recorded_edits(context.bundle),
        closed_edits=closed_edits(context.bundle),
    )
    for one in report.checks:
        if one.verdict is not Verdict.PASSED:
            kind = wrong if one.verdict is Verdict.FAILED else unclear
            problems.append(kind(f"{one.code}: {one.summary_en}", f"{one.code}：{one.summary_zh}"))
    return problems
