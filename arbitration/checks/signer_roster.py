"""The signers: the list, the log and the PDF's own signature fields name the same ones."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.errors import InputError
from ledger.core.report import Check
from signing.pdf_reading import form_of, open_reader

CODE: Final = "signer.roster"


def check(context: Context) -> Check:
    """FAILED where a signer is left out, invented, or left an empty field behind."""
    bundle = context.bundle
    signers = bundle.signers
    fields = sorted(str(row["field"]) for row in signers)
    problems: list[Problem] = []
    if not signers or len(set(fields)) != len(fields):
        problems.append(wrong("no signers, or two in one field", "没有签署方或一域两签"))
    if sorted(facts.field for facts in context.signatures) != fields:
        problems.append(wrong("the PDF holds other signatures", "PDF中的签名与所列不符"))
    try:
        empty = form_of(open_reader(bundle.revisions()[-1])[0]).empty
    except InputError as exc:
        problems.append(wrong(exc.message, "无法读取PDF的签名域"))
    else:
        if empty:
            problems.append(wrong(f"{len(empty)} required signatures are missing", "必要签名缺失"))
    ids = sorted(str(row["signer"]) for row in signers)
    for kind in ("document.delivered", "signature.applied"):
        entries = context.agreement_events(kind)
        if any(event.body is None for event in entries):
            problems.append(unclear(f"a {kind} entry is not opened", f"{kind} 记录未披露"))
        elif sorted(str((event.body or {})["signer"]) for event in entries) != ids:
            problems.append(wrong(f"{kind} entries name other signers", f"{kind} 记录的签署方不符"))
    seats = sorted((row["signer"], row["organisation"], row["person"]) for row in signers)
    if sorted((row["signer"], row["to"], row["handler"]) for row in bundle.part(11)) != seats:
        problems.append(wrong("delivered to others than the signers", "送达对象与签署方不符"))
    if len({row["certificate"] for row in signers}) != len(signers):
        # One person may act for both sides only with two keys, each bound to its organisation.
        problems.append(wrong("two signatures by one certificate", "两个签名使用同一证书"))
    return conclude(
        CODE,
        problems,
        en=f"list, log and PDF name the same {len(signers)} signers",
        zh=f"名单、日志与PDF中的 {len(signers)} 个签署方一致",
        signers=len(signers),
    )
