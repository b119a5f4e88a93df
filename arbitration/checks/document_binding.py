"""One document: what was delivered, opened, read, consented to, intended and signed is the same file."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "document.binding"
_STEPS: Final = ("document.delivered", "document.opened", "document.read")


def check(context: Context) -> Check:
    """FAILED where any step names another digest; INDETERMINATE where a body is not opened."""
    digest = context.bundle.part(9)["document_sha256"]
    problems: list[Problem] = []
    for kind in _STEPS:
        for event in context.agreement_events(kind):
            if event.body is None:
                problems.append(unclear(f"a {kind} entry is not opened", f"{kind} 记录未披露"))
            elif event.body["sha256"] != digest:
                problems.append(
                    wrong(f"a {kind} entry is about another file", f"{kind} 记录指向另一文件")
                )
            elif (
                kind == "document.read" and event.body["pages"] != context.bundle.agreement["pages"]
            ):
                problems.append(wrong("not every page was read", "并非全部页面均被阅读"))
    for number in (5, 6):
        problems += [
            wrong("a statement is about another file", "意愿陈述指向另一文件")
            for row in context.bundle.part(number)
            if row.get("item", row["statement"])["document_sha256"] != digest
        ]
    return conclude(
        CODE,
        problems,
        en="the file that was delivered, read, intended and signed is one and the same",
        zh="送达、阅读、表达意愿与签署的是同一份文件",
        document_sha256=digest,
    )
