"""Shared by consent and intent: a statement proven by the signer's own key, as the log recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from arbitration.checks.context import TOLERANCE, Context, time_of
from arbitration.checks.results import Problem, unclear, wrong
from arbitration.model import Event
from arbitration.parts import intent_rows
from ledger.core.errors import InputError, VerificationError
from signing.amounts import UNSTATED, amount_text
from signing.batch_intent import affirmed
from signing.certificates import certificate_spki
from signing.intent import FRESH_FOR

AGE_MAX: Final[timedelta] = FRESH_FOR + TOLERANCE


def part_problems(context: Context, *, number: int, act: str) -> list[Problem]:
    """Part 5 or 6 says exactly what the opened entries say."""
    opened = [(one.id, one.type, one.body) for one in context.bundle.events if one.body is not None]
    if list(context.bundle.part(number)) != intent_rows(opened, act=act):
        return [
            wrong(f"part {number} is not what the entries say", f"第{number}部分与存证记录不符")
        ]
    return []


def statement_event(context: Context, *, signer: str, act: str) -> Event | None:
    """The last entry in which this signer proved this act, or None."""
    found = [
        event
        for event in context.agreement_events("intent.expressed")
        if event.body is not None and event.body["signer"] == signer and event.body["act"] == act
    ]
    return found[-1] if found else None


def missing_statement(context: Context, *, signer: str, en: str, zh: str) -> Problem:
    """FAILED where every entry is open and none is theirs; else an honest redaction may hide it."""
    closed = any(one.body is None for one in context.agreement_events("intent.expressed"))
    make = unclear if closed else wrong
    return make(f"{signer}: {en}", f"{signer}：{zh}")


def statement_problems(
    context: Context, signer: Mapping[str, Any], event: Event, *, act: str, field: str
) -> list[Problem]:
    """The statement is about exactly this act and was signed by the key in the signer's certificate."""
    body, name = event.body or {}, str(signer["signer"])
    problems: list[Problem] = []
    if body["certificate"] != signer["certificate"]:
        problems.append(wrong(f"{name}: proven with another certificate", f"{name}：所用证书不符"))
    try:
        der = context.certificate_der(str(signer["certificate"]))
        said = affirmed(body, public_spki=certificate_spki(der))
    except (VerificationError, InputError, ValueError) as exc:
        problems.append(wrong(f"{name}: {exc}", f"{name}：意愿陈述的签名不成立"))
        return problems
    wanted = {
        "agreement": context.agreement_id,
        "document_sha256": context.bundle.part(9)["document_sha256"],
        "person": signer["person"],
        "organisation": signer["organisation"],
        "person_name": context.party(str(signer["person"]))["name"],
        "organisation_name": context.party(str(signer["organisation"]))["name"],
        "act": act,
        "field": field,
    }
    for key, value in wanted.items():
        if getattr(said, key) != value:
            problems.append(
                wrong(f"{name}: the statement's {key} is another", f"{name}：陈述中的 {key} 不符")
            )
    problems += amount_problems(context, name, said.amount, act=act)
    return problems + age_problems(event, name, said.at)


def age_problems(event: Event, name: str, said_at: datetime) -> list[Problem]:
    """A statement is affirmed soon after it was made."""
    if -TOLERANCE <= time_of(event.at) - said_at <= AGE_MAX:
        return []
    return [wrong(f"{name}: the statement was stale", f"{name}：陈述已过时")]


def amount_problems(context: Context, name: str, said: str, *, act: str) -> list[Problem]:
    """Whoever signs affirms the amount that publication fixed, or that there is none."""
    staged = [one.body for one in context.agreement_events("agreement.staged") if one.body]
    # Entries of earlier versions do not ask for it; consent to electronic form names no amount.
    if act == "consent" or len(staged) != 1 or "no_amount" not in staged[0]:
        return []
    fixed = amount_text(staged[0]["amount_minor"], none=bool(staged[0]["no_amount"]))
    if said == ("" if fixed == UNSTATED else fixed):
        return []
    return [wrong(f"{name}: the statement's amount is another", f"{name}：陈述中的金额不符")]


def use_of(row: Mapping[str, Any]) -> str:
    """What must not occur twice: the statement's nonce, in a batch with the item and the act."""
    nonce, item = str(row["statement"]["nonce"]), row.get("item")
    return nonce if item is None else f"{nonce}/{row['act']}/{item['salt']}"
