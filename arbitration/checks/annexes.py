"""Shared by the checks of clauses and of files: what publication fixed, and the annex that a signer signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, unclear, wrong
from arbitration.checks.statements import statement_event
from ledger.core.errors import InputError, VerificationError
from signing.annexes import annex_digest
from signing.batch_intent import affirmed
from signing.certificates import certificate_spki


def fixed_annexes(context: Context) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    """The body of `agreement.annexed`, or None where nothing goes with the document or it is not opened."""
    found = context.agreement_events("agreement.annexed")
    if not found:
        return None, []
    if len(found) > 1:
        return None, [wrong("what goes with the document was fixed twice", "随附内容被重复载明")]
    start = min((one.index for one in context.agreement_events("document.delivered")), default=0)
    if found[0].index > start:
        return None, [wrong("clauses were pointed out after delivery", "条款在送达之后才提示")]
    if found[0].body is None:
        return None, [unclear("what goes with the document is not opened", "随附内容记录未披露")]
    return found[0].body, []


def signed_annex(
    context: Context, signer: Mapping[str, Any]
) -> tuple[Mapping[str, Any] | None, int, list[Problem]]:
    """The annex that this signer's statement names, and the log index of the statement; None for none."""
    name = str(signer["signer"])
    event = statement_event(context, signer=name, act="sign")
    if event is None or event.body is None:
        # `signer.intent` says so; nothing can be said of the annex.
        return None, -1, [unclear(f"{name}: the intent is not opened", f"{name}：意愿记录未披露")]
    annex = event.body.get("annex")
    try:
        der = context.certificate_der(str(signer["certificate"]))
        said = affirmed(event.body, public_spki=certificate_spki(der)).annex_sha256
        own = "" if annex is None else annex_digest(annex).hex()
    except (VerificationError, InputError, ValueError) as exc:
        return None, event.index, [wrong(f"{name}: {exc}", f"{name}：意愿陈述的签名不成立")]
    if said != own:
        text = f"{name}: the statement names another annex"
        return None, event.index, [wrong(text, f"{name}：陈述所载附件清单不符")]
    if annex is None:
        return None, event.index, []
    wanted = {
        "agreement": context.agreement_id,
        "document_sha256": context.bundle.part(9)["document_sha256"],
        "field": signer["field"],
    }
    problems = [
        wrong(f"{name}: the annex's {key} is another", f"{name}：附件清单的 {key} 不符")
        for key, value in wanted.items()
        if annex[key] != value
    ]
    return annex, event.index, problems
