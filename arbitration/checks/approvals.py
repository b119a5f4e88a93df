"""Approvals of a seal's use: proven by the approver's own key, under an authority to approve, and obeyed.

Whoever approves fills no field of the PDF, so the checks of the signers do not reach them: key, certificate and
authority are held against the log here. An approval that was given again counts from then on; what was signed
and sealed before is judged by the earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arbitration.checks.approved_values import Listed, listed_in, value_problems
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, unclear, wrong
from arbitration.checks.signer_authorisation import scope_problems
from arbitration.checks.signer_certificate import certificate_problems
from arbitration.checks.statements import (
    age_problems,
    amount_problems,
    missing_statement,
)
from arbitration.model import Event
from arbitration.stages import Place, Stage
from ledger.core.errors import InputError, VerificationError
from signing.batch_intent import affirmed
from signing.certificates import certificate_spki
from signing.identity import authorisation_from_json

_ACT = "approve"


@dataclass(frozen=True, slots=True)
class _Judged:
    """One approval as it was judged: its log index and what its statement allows."""

    index: int
    statement: str
    seal: str
    values: Listed | None


def approval_problems(context: Context, stages: tuple[Stage, ...]) -> list[Problem]:
    """What is wrong with the approvals that the log records; those not opened are left to the stages."""
    problems: list[Problem] = []
    listed: list[Listed] = []
    for stage in stages:
        if stage.act != _ACT:
            continue
        for place in stage.places:
            judged: list[_Judged] = []
            for given in context.agreement_events("approval.given"):
                if given.body is not None and given.body["signer"] == place.signer:
                    found, one = _problems(context, place, given)
                    problems += found
                    judged += [] if one is None else [one]
            if len({one.statement for one in judged}) != len(judged):
                problems.append(
                    wrong(
                        f"{place.signer}: one statement approved twice",
                        f"{place.signer}：同一批准陈述被重复使用",
                    )
                )
            problems += _seal_problems(context, place, judged)
            listed += [one.values for one in judged if one.values is not None]
    return problems + value_problems(context, stages, listed)


def _statement_of(context: Context, given: Event) -> Event | None:
    """The statement that an approval names; where none is named so, the last before it."""
    body = given.body or {}
    before = [
        event
        for event in context.agreement_events("intent.expressed")
        if event.body is not None
        and (event.body["signer"], event.body["act"]) == (body["signer"], _ACT)
        and event.index < given.index
    ]
    named = [
        one
        for one in before
        if one.body is not None and one.body["statement_sha256"] == body["statement_sha256"]
    ]
    return next(iter([*reversed(named), *reversed(before)]), None)


def _problems(context: Context, place: Place, given: Event) -> tuple[list[Problem], _Judged | None]:
    name, body = place.signer, given.body or {}
    event = _statement_of(context, given)
    if event is None or event.body is None:
        return [
            missing_statement(context, signer=name, en="no approval", zh="没有批准陈述记录")
        ], None
    try:
        der = context.certificate_der(str(event.body["certificate"]))
        said = affirmed(event.body, public_spki=certificate_spki(der))
    except (VerificationError, InputError, ValueError) as exc:
        return [wrong(f"{name}: {exc}", f"{name}：批准陈述的签名不成立")], None
    wanted = {
        "agreement": context.agreement_id,
        "document_sha256": context.bundle.part(9)["document_sha256"],
        "person": place.person,
        "organisation": place.organisation,
        "act": _ACT,
        "seal": body.get("seal", ""),
    }
    problems = [
        wrong(f"{name}: the approval's {key} is another", f"{name}：批准陈述中的 {key} 不符")
        for key, value in wanted.items()
        if getattr(said, key) != value
    ]
    if event.body["statement_sha256"] != body["statement_sha256"]:
        problems.append(
            wrong(f"{name}: the approval names another statement", f"{name}：批准记录所指陈述不符")
        )
    problems += amount_problems(context, name, said.amount, act=_ACT)
    problems += age_problems(event, name, said.at)
    holder = {
        "signer": name,
        "person": place.person,
        "organisation": place.organisation,
        "certificate": event.body["certificate"],
        "field": "",
        "signed_at": event.at,
    }
    # The key is the approver's own: a pinned authority certified it for this person, and it was in force.
    problems += certificate_problems(context, holder)
    problems += _authority_problems(context, holder, str(body["authorisation"]))
    values, unfit = listed_in(context, place, event, said=said.annex_sha256, index=given.index)
    return problems + unfit, _Judged(
        given.index, str(event.body["statement_sha256"]), said.seal, values
    )


def _authority_problems(context: Context, holder: Mapping[str, Any], named: str) -> list[Problem]:
    """The authority under which it was recorded was granted to the approver and covers approving."""
    name = holder["signer"]
    granted = [
        one.body["authorisation"]
        for one in context.bundle.of_type(
            "authorisation.granted", subject=str(holder["organisation"])
        )
        if one.body is not None and one.body["authorisation"]["id"] == named
    ]
    if len(granted) != 1:
        return [
            unclear(f"{name}: the grant is not among the opened entries", f"{name}：授权记录未披露")
        ]
    return scope_problems(context, holder, authorisation_from_json(granted[0]), act=_ACT)


def _seal_problems(context: Context, place: Place, approvals: Sequence[_Judged]) -> list[Problem]:
    """Signers of this side used no other seal than the one that the approval before it names."""
    if not any(one.seal for one in approvals):
        return []
    uses = context.agreement_events("seal.used")
    if any(event.body is None for event in uses):
        return [
            unclear(f"{place.signer}: a use is not opened", f"{place.signer}：有用印记录未披露")
        ]
    # One that is not opened may have been given again, for another seal.
    closed = any(one.body is None for one in context.agreement_events("approval.given"))
    make = unclear if closed else wrong
    return [
        make(
            f"{place.signer}: another seal was used than was approved",
            f"{place.signer}：所用印章与批准的不符",
        )
        for event in uses
        if event.body is not None
        and event.body["organisation"] == place.organisation
        and _allowed(approvals, index=event.index) not in ("", event.body["seal"])
    ]


def _allowed(approvals: Sequence[_Judged], *, index: int) -> str:
    """The seal that the latest approval before this log index names; of none, the first approval's."""
    before = [one.seal for one in approvals if one.index < index]
    return before[-1] if before else approvals[0].seal
