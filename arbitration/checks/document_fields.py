"""Form fields filled by signers: each by the one it was left to, who signed right behind it, as recorded.

`document.pdf` holds the file against these records and fails an edit that none of them explains; here the
records themselves are judged: against the plan fixed at publication, and against the statements by which
signers said what values they sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from arbitration.checks.annexes import fixed_annexes, signed_annex
from arbitration.checks.context import FILLED, Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from ledger.core.report import Check, Verdict
from signing.field_kinds import UNTICKED, Kind

CODE: Final = "document.fields"


def check(context: Context) -> Check:
    """FAILED where a record names another signer or revision, or came after the signature."""
    events = context.agreement_events(FILLED)
    plan, problems = _plan(context)
    problems += [problem for event in events for problem in _problems(context, event)]
    if events or plan:
        problems += _plan_problems(context, events, plan)
        problems += [p for row in context.bundle.signers for p in _statement_problems(context, row)]
    problems += [
        wrong(one.summary_en, one.summary_zh)
        for one in context.pdf.checks
        if one.code == "pdf.field_edits" and one.verdict is Verdict.FAILED
    ]
    filled = sum(len(event.body["fields"]) for event in events if event.body is not None)
    return conclude(
        CODE,
        problems,
        en=f"{filled} form fields were filled, each by the signer it was left to, as recorded and signed for"
        if filled
        else "no form field was left to a signer",
        zh=f"签署方在签名前填写了 {filled} 个表单域，均与发布时的安排及记录一致"
        if filled
        else "未设由签署方填写的表单域",
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


def _plan(context: Context) -> tuple[Mapping[str, Mapping[str, Any]] | None, list[Problem]]:
    """Field -> what publication said of it; None where that is not opened."""
    body, problems = fixed_annexes(context)
    if body is None:
        # Without any such entry nothing was left to anybody; what is wrong with one, its own checks say.
        return (None, []) if problems else ({}, [])
    return {str(one["name"]): one for one in body.get("fields", [])}, []


def _plan_problems(
    context: Context, events: Sequence[Event], plan: Mapping[str, Mapping[str, Any]] | None
) -> list[Problem]:
    if plan is None:
        return [unclear("which fields were left to whom is not opened", "表单域的填写安排未披露")]
    places = {str(row["signer"]): str(row["field"]) for row in context.bundle.signers}
    problems: list[Problem] = []
    done: dict[str, str] = {}
    for event in events:
        if event.body is None:
            continue
        for one in event.body["fields"]:
            name, field = str(one["field"]), places.get(str(event.body["signer"]))
            done[name] = str(one["new"])
            if name not in plan or plan[name]["field"] != field:
                problems.append(
                    wrong(
                        f"field {name} was not left to whoever filled it",
                        f"表单域 {name} 并非留待该填写人填写",
                    )
                )
    closed = any(event.body is None for event in events)
    for name, one in plan.items():
        # Without a kind: one line of text, the only one of earlier publications.
        answer = done.get(name, str(one["preset"]))
        empty = ("", UNTICKED) if one.get("kind") == Kind.CHECK else ("",)
        if one["required"] and answer in empty and one["field"] in places.values():
            make = unclear if closed else wrong
            problems.append(
                make(f"required field {name} was not filled", f"必填表单域 {name} 未填写")
            )
    return problems


def _statement_problems(context: Context, row: Mapping[str, Any]) -> list[Problem]:
    """The signer's statement lists the values that stood in the file when they signed, no others."""
    name = str(row["signer"])
    applied = [
        one.index
        for one in context.agreement_events("signature.applied")
        if one.body is not None and one.body["signer"] == name
    ]
    events = [one for one in context.agreement_events(FILLED) if applied and one.index < applied[0]]
    if any(one.body is None for one in events):
        return [unclear(f"{name}: a record of filling is closed", f"{name}：填写记录未披露")]
    places = {str(one["signer"]): str(one["field"]) for one in context.bundle.signers}
    stood = {
        (str(one["field"]), places.get(str(event.body["signer"])), str(one["new"]))
        for event in events
        if event.body is not None
        for one in event.body["fields"]
    }
    annex, _index, problems = signed_annex(context, row)
    if problems:
        return problems
    listed = [] if annex is None else annex.get("fields", [])
    said = {(str(one["name"]), str(one["field"]), str(one["value"])) for one in listed}
    if said != stood:
        return [
            wrong(
                f"{name}: signed for other values than those in the form",
                f"{name}：签署意愿所列的填写内容与表单不符",
            )
        ]
    return []
