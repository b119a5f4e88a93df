"""Form fields filled between two signatures: each by the signer who signed right behind it, as recorded.

`document.pdf` holds the file against these records and fails an edit that none of them explains; here the
records themselves are judged.
"""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import FILLED, Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from ledger.core.report import Check, Verdict

CODE: Final = "document.fields"


def check(context: Context) -> Check:
    """FAILED where a record names another signer or revision, or came after the signature."""
    events = context.agreement_events(FILLED)
    problems = [problem for event in events for problem in _problems(context, event)]
    problems += [
        wrong(one.summary_en, one.summary_zh)
        for one in context.pdf.checks
        if one.code == "pdf.field_edits" and one.verdict is Verdict.FAILED
    ]
    filled = sum(len(event.body["fields"]) for event in events if event.body is not None)
    return conclude(
        CODE,
        problems,
        en=f"{filled} form fields were filled by signers before they signed, each as recorded"
        if filled
        else "no form field was filled after a signature",
        zh=f"签署方在签名前填写了 {filled} 个表单域，均与记录一致"
        if filled
        else "签名之后无表单域填写",
        fields=filled,
    )


def _problems(context: Context, event: Event) -> list[Problem]:
    body = event.body
    if body is None:
        return [unclear("what a signer filled is not opened", "填写记录未披露")]
    name = str(body["signer"])
    rows = [row for row in context.bundle.signers if row["signer"] == name]
    if len(rows) != 1:
        return [wrong("fields were filled by nobody who signed", "填写人并非签署方")]
    row, problems = rows[0], list[Problem]()
    if body["by"] != row["person"]:
        problems.append(wrong(f"{name}: somebody else filled the fields", f"{name}：填写人不符"))
    facts = context.facts_of(str(row["field"]))
    revisions = context.bundle.part(9)["revisions"]
    before = revisions[facts.order - 1]["sha256"] if facts and facts.order <= len(revisions) else ""
    if body["base_sha256"] != before:
        problems.append(wrong(f"{name}: filled in another revision", f"{name}：所填写的版本不符"))
    applied = [
        one.index
        for one in context.agreement_events("signature.applied")
        if one.body is not None and one.body["signer"] == name
    ]
    if not applied:
        problems.append(unclear(f"{name}: the signature is not opened", f"{name}：签名记录未披露"))
    elif min(applied) < event.index:
        problems.append(wrong(f"{name}: recorded after the signature", f"{name}：填写记录晚于签名"))
    return problems
