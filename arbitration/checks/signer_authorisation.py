"""Authority: the handler's power of attorney covered signing in this matter at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.checks.context import Context, pick, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.errors import ForbiddenError
from ledger.core.report import Check
from signing.identity import Authorisation, authorisation_from_json, require_authority

CODE: Final = "signer.authorisation"


def check(context: Context) -> Check:
    """FAILED outside scope or period, or where the log granted something else."""
    problems: list[Problem] = []
    for signer in context.bundle.signers:
        problems += _signer_problems(context, signer)
    return conclude(
        CODE,
        problems,
        en="every handler held a valid authorisation for this matter when signing",
        zh="每位经办人签署时均持有涵盖该事项的有效授权",
    )


def _signer_problems(context: Context, signer: Mapping[str, Any]) -> list[Problem]:
    bundle, name = context.bundle, str(signer["signer"])
    stated = authorisation_from_json(
        pick(bundle.part(3)["authorisations"], "id", str(signer["authorisation"]))
    )
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
    problems += _scope_problems(context, signer, stated)
    return problems


_GRANTED: Final = (
    "organisation",
    "person",
    "matters",
    "powers",
    "valid_from",
    "valid_to",
    "amount_max",
    "seal_scope",
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


def _scope_problems(
    context: Context, signer: Mapping[str, Any], stated: Authorisation
) -> list[Problem]:
    bundle, at = context.bundle, time_of(signer["signed_at"])
    try:
        require_authority(
            stated,
            act="sign",
            matter=str(bundle.agreement["matter"]),
            at=at,
            organisation=str(signer["organisation"]),
            person=str(signer["person"]),
            amount=0 if stated.amount_max is not None else None,
        )
    except ForbiddenError as exc:
        return [
            wrong(
                f"{signer['signer']}: {exc.message}",
                f"{signer['signer']}：超出授权（{exc.error_code}）",
            )
        ]
    for event in bundle.of_type("authorisation.revoked", subject=stated.organisation):
        body = event.body or {}
        if body.get("authorisation") == stated.id and time_of(event.at) <= at:
            return [wrong(f"{signer['signer']}: revoked before signing", "授权在签署前已撤销")]
        if event.body is None and time_of(event.at) <= at:
            return [unclear("a revocation entry is not opened", "有撤销授权记录未披露")]
    if stated.amount_max is not None:
        return [
            unclear(
                "limited in amount, and the agreement's amount is not recorded",
                "授权限额，合同金额未记录",
            )
        ]
    return []
