"""Files that belong to the agreement: those the log names are there, and the signers' keys signed for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.checks.annexes import fixed_annexes, signed_annex
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "document.attachments"


def check(context: Context) -> Check:
    """FAILED where a file is missing, added, another or not signed for; `document.digests` has the bytes."""
    body, problems = fixed_annexes(context)
    author = {} if body is None else {str(one["id"]): dict(one) for one in body["attachments"]}
    uploads, more = _uploads(context)
    problems += more
    if problems:
        # What is not opened may explain everything: an honest redaction accuses nobody.
        return conclude(CODE, problems, en="", zh="")
    known = author | {key: facts for key, (_, facts) in uploads.items()}
    rows = {str(row["id"]): row for row in context.bundle.part(9).get("attachments", [])}
    for key in sorted(set(known) | set(rows)):
        fact, row = known.get(key), rows.get(key)
        if fact is None or row is None or any(row[name] != fact[name] for name in fact):
            problems.append(
                wrong(f"{key} is not the file that was sent", f"{key} 并非所提交的文件")
            )
    problems += _missing(body, uploads)
    if known:
        for signer in context.bundle.signers:
            problems += _signer_problems(context, signer, author=author, uploads=uploads)
    return conclude(
        CODE,
        problems,
        en=f"{len(rows)} files belong to the agreement, and the signers' keys signed for them"
        if rows
        else "no file goes with the document",
        zh=f"随附文件 {len(rows)} 份均与记录一致，并由签署方密钥签名确认"
        if rows
        else "文件无随附文件",
        attachments=len(rows),
    )


def _uploads(
    context: Context,
) -> tuple[dict[str, tuple[Mapping[str, Any], dict[str, Any]]], list[Problem]]:
    """Id -> the body of its entry and the file's facts, of those that were not replaced or taken back."""
    found: dict[str, tuple[Mapping[str, Any], dict[str, Any]]] = {}
    for event in context.agreement_events("attachment.added"):
        if event.body is None:
            return {}, [unclear("an upload is not opened", "上传记录未披露")]
        for earlier in event.body["replaces"]:
            found.pop(str(earlier), None)
        found[str(event.body["attachment"]["id"])] = (event.body, dict(event.body["attachment"]))
    for event in context.agreement_events("attachment.withdrawn"):
        if event.body is None:
            return {}, [unclear("a withdrawal is not opened", "撤回记录未披露")]
        found.pop(str(event.body["attachment"]), None)
    return found, []


def _missing(
    body: Mapping[str, Any] | None,
    uploads: Mapping[str, tuple[Mapping[str, Any], dict[str, Any]]],
) -> list[Problem]:
    sent = {(entry["field"], entry["demand"]) for entry, _ in uploads.values()}
    asked = [] if body is None else [one for one in body["demands"] if one["required"]]
    return [
        wrong(
            f"the file that was asked for as number {one['number']} is missing",
            f"要求提交的第 {one['number']} 份文件缺失",
        )
        for one in asked
        if (one["field"], one["number"]) not in sent
    ]


def _signer_problems(
    context: Context,
    signer: Mapping[str, Any],
    *,
    author: Mapping[str, Mapping[str, Any]],
    uploads: Mapping[str, tuple[Mapping[str, Any], dict[str, Any]]],
) -> list[Problem]:
    name = str(signer["signer"])
    annex, _, problems = signed_annex(context, signer)
    if problems:
        return problems
    listed = {} if annex is None else {str(one["id"]): one for one in annex["attachments"]}
    own = {key for key, (entry, _) in uploads.items() if entry["field"] == signer["field"]}
    facts = {**author, **{key: fact for key, (_, fact) in uploads.items()}}
    for key in sorted({*author, *own} - set(listed)):
        problems.append(wrong(f"{name}: did not sign for {key}", f"{name}：未签名确认文件 {key}"))
    problems += [
        wrong(f"{name}: signed for another {key}", f"{name}：签名确认的文件 {key} 不符")
        for key, one in listed.items()
        # One that was replaced after somebody else had signed for it is no longer in the bundle.
        if key in facts
        and any(one[part] != facts[key][part] for part in ("sha256", "size", "name"))
    ]
    return problems
