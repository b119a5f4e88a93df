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
        missing = set(empty) - _not_needed(context)
        if missing:
            problems.append(
                wrong(f"{len(missing)} required signatures are missing", "必要签名缺失")
            )
    ids = sorted(str(row["signer"]) for row in signers)
    named = {"signature.applied": ids, "document.delivered": _delivered_to(context) or ids}
    for kind, wanted in named.items():
        entries = context.agreement_events(kind)
        if any(event.body is None for event in entries):
            problems.append(unclear(f"a {kind} entry is not opened", f"{kind} 记录未披露"))
        elif sorted(str((event.body or {})["signer"]) for event in entries) != wanted:
            problems.append(wrong(f"{kind} entries name other signers", f"{kind} 记录的签署方不符"))
    problems += _place_problems(context)
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


def _not_needed(context: Context) -> set[str]:
    """Fields that stay empty because enough others of their stage have signed."""
    signed = {str(row["signer"]) for row in context.bundle.signers}
    spare: set[str] = set()
    for stage in context.stages or ():
        if stage.act != "sign":
            continue
        done = [place for place in stage.places if place.signer in signed]
        if len(done) >= stage.need:
            spare |= {place.field for place in stage.places} - {place.field for place in done}
    return spare


def _delivered_to(context: Context) -> list[str]:
    """Everybody who ever held a place."""
    return sorted(
        signer
        for stage in context.stages or ()
        for place in stage.places
        for signer in place.signers
    )


def _place_problems(context: Context) -> list[Problem]:
    """Whoever signed holds the place that publication and hand-overs gave them."""
    stages = context.stages
    if stages is None:
        return []
    places = {
        place.signer: (place.organisation, place.person, place.field)
        for stage in stages
        if stage.act == "sign"
        for place in stage.places
    }
    return [
        wrong(f"{row['signer']} holds no such place", f"{row['signer']} 并无此签署席位")
        for row in context.bundle.signers
        if places.get(str(row["signer"])) != (row["organisation"], row["person"], row["field"])
    ]
