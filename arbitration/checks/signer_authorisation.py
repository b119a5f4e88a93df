"""Authority: the handler's power of attorney covered signing in this matter at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from arbitration.checks.context import TOLERANCE, Context, pick, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from ledger.core.errors import ForbiddenError, InputError, VerificationError
from ledger.core.report import Check
from ledger.core.units import parse_utc
from signing.certificates import certificate_spki
from signing.identity import Authorisation, Basis, authorisation_from_json, require_authority
from signing.identity_policy import Need, require_basis
from signing.intent import FRESH_FOR
from signing.ratification_intent import require_ratification

CODE: Final = "signer.authorisation"


def check(context: Context) -> Check:
    """FAILED outside scope or period, or where the log granted something else.

    A passed check says of every signer what the authority rested on: what an administrator declared and nobody
    signed must not read like a letter of the legal representative.
    """
    problems: list[Problem] = []
    for signer in context.bundle.signers:
        problems += _signer_problems(context, signer)
    rests = {str(one["signer"]): _stated(context, one) for one in context.bundle.signers}
    words = {name: _words(stated) for name, stated in rests.items()}
    return conclude(
        CODE,
        problems,
        en="every handler held a valid authorisation for this matter when signing: "
        + "; ".join(f"{name} {en}" for name, (en, _zh) in words.items()),
        zh="每位经办人签署时均持有涵盖该事项的有效授权："
        + "；".join(f"{name}{zh}" for name, (_en, zh) in words.items()),
        bases={name: stated.basis.value for name, stated in rests.items()},
        letters={
            name: stated.agreement for name, stated in rests.items() if stated.agreement is not None
        },
    )


def _stated(context: Context, signer: Mapping[str, Any]) -> Authorisation:
    return authorisation_from_json(
        pick(context.bundle.part(3)["authorisations"], "id", str(signer["authorisation"]))
    )


def _words(stated: Authorisation) -> tuple[str, str]:
    """What an authority rests on, in both languages."""
    if stated.basis is Basis.SIGNED:
        return (
            f"under a signed letter ({stated.agreement})",
            f"依据经签署的授权委托书（{stated.agreement}）",
        )
    if stated.basis is Basis.STATUTORY:
        return "by law, as legal representative", "系法定代表人，依法代表"
    return (
        "on a declared authority only (entered by the administrator, signed by nobody)",
        "仅依据申报的授权（管理员录入，无人签署）",
    )


def _signer_problems(context: Context, signer: Mapping[str, Any]) -> list[Problem]:
    bundle, name = context.bundle, str(signer["signer"])
    stated = _stated(context, signer)
    organisation = str(signer["organisation"])
    granted = [
        one.body["authorisation"]
        for one in bundle.of_type("authorisation.granted", subject=organisation)
        if one.body is not None and one.body["authorisation"]["id"] == stated.id
    ]
    if len(granted) != 1:
        return [
            unclear(f"{name}: the grant is not among the opened entries", f"{name}：授权记录未披露")
        ]
    recorded = authorisation_from_json(granted[0])
    problems = [
        wrong(f"{name}: {key} is not what was granted", f"{name}：{key} 与授权记录不符")
        for key in _GRANTED
        if getattr(recorded, key) != getattr(stated, key)
    ]
    problems += _frozen_problems(context, signer, recorded)
    problems += scope_problems(context, signer, stated, act="sign")
    return problems


RATIFIABLE: Final = frozenset(
    f"authority.{word}" for word in ("amount", "matter", "power", "seal", "expired", "not_signed")
)
"""The same as `api.flows.authority.RATIFIABLE`; a test compares them."""
_GRANTED: Final = (
    "organisation",
    "person",
    "matters",
    "powers",
    "valid_from",
    "valid_to",
    "amount_max",
    "seal_scope",
    "basis",
    "agreement",
)


def _frozen_problems(
    context: Context, signer: Mapping[str, Any], recorded: Authorisation
) -> list[Problem]:
    """The copy frozen in the signature's own entry is the one that was granted."""
    for event in context.agreement_events("signature.applied"):
        if event.body is not None and event.body["signer"] == signer["signer"]:
            frozen = authorisation_from_json(event.body["authorisation"])
            if frozen.id == recorded.id and all(
                getattr(frozen, key) == getattr(recorded, key) for key in _GRANTED
            ):
                return []
    return [
        wrong(f"{signer['signer']}: signed under another authorisation", "签署所依据的授权不符")
    ]


def scope_problems(
    context: Context, signer: Mapping[str, Any], stated: Authorisation, *, act: str
) -> list[Problem]:
    """Whether this authority covered the act in this matter at that moment, or the act was ratified.

    Args:
        signer: `signer`, `person`, `organisation` and `signed_at`, when they acted.
    """
    bundle, at = context.bundle, time_of(signer["signed_at"])
    for event in bundle.of_type("authorisation.revoked", subject=stated.organisation):
        body = event.body or {}
        if body.get("authorisation") == stated.id and time_of(event.at) <= at:
            return [wrong(f"{signer['signer']}: revoked before signing", "授权在签署前已撤销")]
        if event.body is None and time_of(event.at) <= at:
            return [unclear("a revocation entry is not opened", "有撤销授权记录未披露")]
    amount = _amount(context)
    lacks_amount = stated.amount_max is not None and amount is None
    need = _need(context, str(signer["signer"]))
    try:
        require_authority(
            stated,
            act=act,
            matter=str(bundle.agreement["matter"]),
            at=at,
            organisation=str(signer["organisation"]),
            person=str(signer["person"]),
            amount=0 if lacks_amount else amount,
        )
        if need is not None:
            require_basis(need, stated.basis)
    except ForbiddenError as exc:
        return _ratified(context, signer, exc, act=act)
    if lacks_amount:
        return [
            unclear(
                "limited in amount, and the agreement's amount is not recorded",
                "授权限额，合同金额未记录",
            )
        ]
    return []


def _amount(context: Context) -> int | None:
    """What is at stake, as it was fixed before anybody acted."""
    staged = [one.body for one in context.agreement_events("agreement.staged") if one.body]
    value = staged[0].get("amount_minor") if staged else None
    return value if isinstance(value, int) else None


def _need(context: Context, signer: str) -> Need | None:
    """What the policy table asked, frozen with the signature; older signatures have none."""
    for event in context.agreement_events("signature.applied"):
        levels = (event.body or {}).get("levels")
        if event.body is not None and event.body["signer"] == signer and isinstance(levels, dict):
            need = levels["need"]
            return Need(need["person"], need["organisation"], Basis(need["authority"]))
    return None


def _ratified(
    context: Context, signer: Mapping[str, Any], lack: ForbiddenError, *, act: str
) -> list[Problem]:
    """An act beyond the authority stands or falls with its ratification (Civil Code 171)."""
    name = str(signer["signer"])
    beyond = wrong(f"{name}: {lack.message}", f"{name}：超出授权（{lack.error_code}）")
    if lack.error_code not in RATIFIABLE:
        return [beyond]
    asked = _of_signer(context, "ratification.requested", name)
    decided = _of_signer(context, "ratification.decided", name)
    if not asked:
        return [beyond]
    due = parse_utc(str((asked[0].body or {})["due_at"]))
    if not decided:
        if time_of(context.bundle.manifest["made_at"]) < due:
            return [
                unclear(
                    f"{name}: {lack.message}; its ratification is open",
                    f"{name}：超出授权（{lack.error_code}），追认尚未决定",
                )
            ]
        return [beyond]
    body = decided[-1].body or {}
    if body["decision"] != "ratified" or time_of(decided[-1].at) >= due:
        return [wrong(f"{name}: not ratified ({body['decision']})", f"{name}：越权行为未获追认")]
    return _decider_problems(context, signer, body, act=act, at=time_of(decided[-1].at))


def _decider_problems(
    context: Context, signer: Mapping[str, Any], body: Mapping[str, Any], *, act: str, at: datetime
) -> list[Problem]:
    """Whoever ratified held an authority, by law or signed, that covers the act, and is not the handler."""
    name, organisation = str(signer["signer"]), str(signer["organisation"])
    held = authorisation_from_json(body["authorisation"])
    fault = held.basis is Basis.DECLARED or held.person == signer["person"]
    try:
        require_authority(
            held,
            act=act,
            matter=str(context.bundle.agreement["matter"]),
            at=at,
            organisation=organisation,
            person=str(body["by"]),
            amount=_amount(context),
        )
    except ForbiddenError:
        fault = True
    if fault:
        return [wrong(f"{name}: ratified by somebody who could not", f"{name}：追认人无权追认")]
    return _proof_problems(context, signer, body, at=at)


def _proof_problems(
    context: Context, signer: Mapping[str, Any], body: Mapping[str, Any], *, at: datetime
) -> list[Problem]:
    """The decision was signed by the decider's own key; decisions of earlier versions were made by login."""
    name, stmt = str(signer["signer"]), body.get("statement")
    if stmt is None:
        return [
            unclear(
                f"{name}: ratified by login, without a signature of the decider's key",
                f"{name}：追认仅凭登录作出，无追认人密钥签名",
            )
        ]
    try:
        row = context.certificate_row(str(body["certificate"]))
        require_ratification(
            stmt,
            signature=bytes.fromhex(str(body["proof"])),
            public_spki=certificate_spki(context.certificate_der(str(body["certificate"]))),
            wanted={
                "ratification": body["ratification"],
                "agreement": context.agreement_id,
                "document_sha256": context.bundle.part(9)["document_sha256"],
                "person": body["by"],
                "organisation": signer["organisation"],
                "handler": signer["person"],
                "decision": body["decision"],
                "reason": body["reason"],
            },
        )
    except (VerificationError, InputError, ValueError) as exc:
        return [wrong(f"{name}: the ratification: {exc}", f"{name}：追认的签名不成立")]
    age = at - parse_utc(str(stmt["at"]))
    if (row["person"], row["organisation"]) != (body["by"], signer["organisation"]):
        return [wrong(f"{name}: ratified with another's key", f"{name}：追认所用证书属于他人")]
    if not -TOLERANCE <= age <= FRESH_FOR + TOLERANCE:
        return [wrong(f"{name}: the ratification was stale", f"{name}：追认陈述已过时")]
    return []


def _of_signer(context: Context, kind: str, signer: str) -> list[Event]:
    return [
        one
        for one in context.agreement_events(kind)
        if one.body is not None and one.body["signer"] == signer
    ]
