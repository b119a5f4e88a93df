"""Standard terms: each signer of the other side confirmed each clause pointed out, and signed for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from arbitration.checks.annexes import fixed_annexes, signed_annex
from arbitration.checks.context import TOLERANCE, Context, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.canonical import tagged_digest
from ledger.core.errors import FuqiError
from ledger.core.report import Check
from signing.annexes import CLAUSE_TAG
from signing.passages import find_clauses

CODE: Final = "signer.clauses"


def check(context: Context) -> Check:
    """FAILED where a clause is not confirmed, not signed for, or not in the document."""
    body, problems = fixed_annexes(context)
    clauses = [] if body is None else list(body["clauses"])
    asked = [
        signer
        for signer in context.bundle.signers
        if body is not None and signer["organisation"] != body["author"]
    ]
    if clauses:
        problems += _in_document(context, clauses)
    for signer in asked if clauses else ():
        problems += _signer_problems(context, signer, clauses)
    if not clauses:
        return conclude(
            CODE,
            problems,
            en="no clause was pointed out",
            zh="未设提示条款",
            clauses=0,
        )
    return conclude(
        CODE,
        problems,
        en=f"{len(clauses)} clauses stand in the document and were confirmed, one by one and before "
        f"signing, by each of {len(asked)} signers of the other side, whose keys signed for them",
        zh=f"{len(clauses)} 条提示条款均载于文件，对方 {len(asked)} 位签署人在签署前逐条确认，并以其密钥签名",
        clauses=len(clauses),
        signers=len(asked),
    )


def _in_document(context: Context, clauses: Sequence[Mapping[str, Any]]) -> list[Problem]:
    revisions = context.bundle.revisions()
    try:
        found = find_clauses(revisions[0], [str(one["text"]) for one in clauses])
    except (FuqiError, IndexError):
        return [unclear("the document's text cannot be read", "文件文本无法读取")]
    return [
        wrong(
            f"clause {one['number']} does not stand in the document",
            f"第 {one['number']} 条提示条款不在文件中",
        )
        for one, lines in zip(clauses, found, strict=True)
        if not lines or lines[0].page + 1 != one["page"]
    ]


def _signer_problems(
    context: Context, signer: Mapping[str, Any], clauses: Sequence[Mapping[str, Any]]
) -> list[Problem]:
    name = str(signer["signer"])
    annex, intent, problems = signed_annex(context, signer)
    if problems:
        return problems
    signed = {} if annex is None else {one["number"]: one for one in annex["clauses"]}
    events = context.agreement_events("clause.confirmed")
    for clause in clauses:
        number, digest = clause["number"], tagged_digest(CLAUSE_TAG, dict(clause)).hex()
        if signed.get(number, {}).get("sha256") != digest:
            problems.append(
                wrong(
                    f"{name}: did not sign for clause {number}",
                    f"{name}：未签名确认第 {number} 条提示条款",
                )
            )
            continue
        own = [
            one
            for one in events
            if one.body is not None and (one.body["signer"], one.body["number"]) == (name, number)
        ]
        if not own and any(one.body is None for one in events):
            problems.append(
                unclear(f"{name}: a confirmation is not opened", f"{name}：确认记录未披露")
            )
        elif (
            len(own) != 1
            or own[0].body is None
            or own[0].body["clause_sha256"] != digest
            or own[0].index > intent
            or abs(time_of(own[0].at) - time_of(signed[number]["confirmed_at"])) > TOLERANCE
        ):
            problems.append(
                wrong(
                    f"{name}: clause {number} was not confirmed before signing",
                    f"{name}：第 {number} 条提示条款未在签署前确认",
                )
            )
    return problems
