"""Real names: a provider's match for every person and organisation, recorded before the signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from arbitration.parts import realname_rows
from ledger.core.report import Check

CODE: Final = "signer.realname"
LEVEL_MIN: Final = 1
"""L1: an authoritative source confirmed name and number; a checksum alone never reaches it."""


def check(context: Context) -> Check:
    """FAILED without a match in the log, or where part 3 or 4 claims more than the log."""
    bundle = context.bundle
    problems: list[Problem] = []
    opened = [(one.id, one.type, one.body) for one in bundle.events if one.body is not None]
    if list(bundle.part(4)) != realname_rows(opened):
        problems.append(wrong("part 4 is not what the entries say", "第四部分与存证记录不符"))
    levels: dict[str, int] = {}
    for signer in bundle.signers:
        signed = _signature_index(context, str(signer["signer"]))
        for role in ("person", "organisation"):
            party = context.party(str(signer[role]))
            problems += _party_problems(context, party, role=role, before=signed)
            reached = _level_before(context, str(party["id"]), before=signed)
            levels[str(party["id"])] = reached
            problems += _need_problems(context, str(signer["signer"]), role=role, reached=reached)
    return conclude(
        CODE,
        problems,
        en=f"{len(levels)} real names checked before signing; levels "
        + ", ".join(f"L{level}" for level in sorted(set(levels.values()))),
        zh=f"{len(levels)} 个主体在签署前均经实名核验，等级 "
        + "、".join(f"L{level}" for level in sorted(set(levels.values()))),
        levels=dict(sorted(levels.items())),
    )


def _party_problems(
    context: Context, party: Mapping[str, Any], *, role: str, before: int
) -> list[Problem]:
    bundle, name = context.bundle, str(party["id"])
    if party["kind"] != role:
        return [wrong(f"{name} is no {role}", f"{name} 主体类型不符")]
    registered = bundle.of_type("party.registered", subject=name)
    checks = [one for one in bundle.of_type("identity.checked", subject=name) if one.index < before]
    if len(registered) != 1 or not checks:
        return [wrong(f"{name} was never checked before signing", f"{name} 签署前未经实名核验")]
    if any(one.body is None for one in (*registered, *checks)):
        return [unclear(f"the check of {name} is not opened", f"{name} 的核验记录未披露")]
    every = bundle.of_type("identity.checked", subject=name)
    return _recorded_problems(party, registered[0], checks, every)


def _recorded_problems(
    party: Mapping[str, Any], registered: Event, checks: list[Event], every: Sequence[Event]
) -> list[Problem]:
    name, problems = str(party["id"]), list[Problem]()
    body = registered.body or {}
    for key in (
        "kind",
        "category",
        "name",
        "invented",
        "number_masked",
        "place",
        "receiving_system",
    ):
        if body[key] != party[key]:
            problems.append(
                wrong(f"{name}: {key} is not the recorded one", f"{name} 的 {key} 与记录不符")
            )
    bodies = [one.body or {} for one in checks]
    if any(one["subject"] != name for one in bodies):
        problems.append(wrong(f"{name}: a check of somebody else", f"{name}：核验对象不符"))
    if not any(one["status"] == "match" for one in bodies) or int(bodies[-1]["level"]) < LEVEL_MIN:
        problems.append(wrong(f"{name}: no provider confirmed the name", f"{name} 的实名未获确认"))
    # The party is stated as it stood at export: later checks may have raised or lowered its level.
    stated = [one.body or {} for one in every if one.body is not None]
    if party["level_reason"] not in {one["level_reason"] for one in stated}:
        problems.append(
            wrong(f"{name}: another reason for the level", f"{name} 的等级理由与记录不符")
        )
    elif int(party["level"]) > max(int(one["level"]) for one in stated):
        problems.append(
            wrong(f"{name}: a level that no check gave", f"{name} 所称等级高于核验结果")
        )
    return problems


def _need_problems(context: Context, signer: str, *, role: str, reached: int) -> list[Problem]:
    """The level frozen with the signature is what the records gave, and as high as the policy asked."""
    for event in context.agreement_events("signature.applied"):
        body = event.body or {}
        frozen = body.get("levels")
        if body.get("signer") != signer or not isinstance(frozen, dict):
            continue
        if int(frozen[role]) > reached:
            return [
                wrong(f"{signer}: a level that no check gave", f"{signer} 所载等级高于核验结果")
            ]
        if int(frozen[role]) < int(frozen["need"][role]):
            return [
                wrong(f"{signer}: below the level that was needed", f"{signer} 未达所需实名等级")
            ]
    return []


def _level_before(context: Context, name: str, *, before: int) -> int:
    """The level that the newest check before the signature gave."""
    found = [
        one.body
        for one in context.bundle.of_type("identity.checked", subject=name)
        if one.index < before and one.body is not None
    ]
    return int(found[-1]["level"]) if found else 0


def _signature_index(context: Context, signer: str) -> int:
    found = [
        one.index
        for one in context.agreement_events("signature.applied")
        if one.body is not None and one.body["signer"] == signer
    ]
    return found[0] if found else -1
