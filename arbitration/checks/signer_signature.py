"""Signatures: each in its field, by exactly the certificate and in the order that the log recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.checks.context import TOLERANCE, Context, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from ledger.core.report import Check
from signing.reading import SignatureFacts

CODE: Final = "signer.signature"


def check(context: Context) -> Check:
    """FAILED where PDF, list and log disagree; INDETERMINATE where an entry is not opened."""
    problems: list[Problem] = []
    for signer in context.bundle.signers:
        name = str(signer["signer"])
        facts = context.facts_of(str(signer["field"]))
        if facts is None:
            problems.append(
                wrong(f"{name}: no signature in its field", f"{name}：签名域中没有签名")
            )
            continue
        problems += _pdf_problems(context, signer, facts)
        events = context.agreement_events("signature.applied")
        own = [one for one in events if one.body is not None and one.body["signer"] == name]
        if not own and any(one.body is None for one in events):
            problems.append(unclear(f"{name}: the entry is not opened", f"{name}：签名记录未披露"))
        elif len(own) != 1:
            problems.append(
                wrong(f"{name}: not recorded exactly once", f"{name}：签名记录不是恰好一条")
            )
        else:
            problems += _entry_problems(context, signer, facts, own[0])
    return conclude(
        CODE,
        problems,
        en="every signature stands in its field, by the certificate that the log names",
        zh="每个签名均位于其签名域，且由日志所载证书作出",
    )


def _pdf_problems(
    context: Context, signer: Mapping[str, Any], facts: SignatureFacts
) -> list[Problem]:
    name, problems = str(signer["signer"]), list[Problem]()
    if facts.fault or facts.kind != "signature" or len(facts.fields) != 1:
        problems.append(wrong(f"{name}: an irregular signature", f"{name}：签名结构异常"))
    if facts.certificate != context.certificate_der(str(signer["certificate"])):
        problems.append(
            wrong(f"{name}: signed with another certificate", f"{name}：签名所用证书不符")
        )
    if facts.revision_sha256.hex() != signer["revision_sha256"]:
        problems.append(wrong(f"{name}: closes another revision", f"{name}：签名所在版本不符"))
    rows = [row for row in context.bundle.part(12)["signatures"] if row["field"] == facts.field]
    token = context.bundle.files[str(rows[0]["path"])] if rows and rows[0]["path"] else b""
    if token != facts.timestamp_token:
        problems.append(wrong(f"{name}: another time stamp", f"{name}：时间戳不符"))
    if facts.timestamp_time is None:
        problems.append(unclear(f"{name}: no time stamp", f"{name}：签名无时间戳"))
    elif abs(facts.timestamp_time - time_of(signer["signed_at"])) > TOLERANCE:
        problems.append(wrong(f"{name}: signed at another time", f"{name}：签署时间不符"))
    return problems


def _entry_problems(
    context: Context, signer: Mapping[str, Any], facts: SignatureFacts, event: Event
) -> list[Problem]:
    body, name = event.body or {}, str(signer["signer"])
    revisions = context.bundle.part(9)["revisions"]
    before = revisions[facts.order - 1]["sha256"] if facts.order <= len(revisions) else None
    row = context.certificate_row(str(signer["certificate"]))
    wanted = {
        "field": signer["field"],
        "order": signer["position"],
        "organisation": signer["organisation"],
        "person": signer["person"],
        "certificate": signer["certificate"],
        "serial": row["serial"],
        "revision_sha256": signer["revision_sha256"],
        "base_sha256": before,
    }
    return [
        wrong(f"{name}: the entry's {key} is another", f"{name}：记录中的 {key} 不符")
        for key, value in wanted.items()
        if body[key] != value
    ]
