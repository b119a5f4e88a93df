"""Consent to electronic form: every party gave it, by its own key, before anybody signed (ES-3a)."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.checks.statements import (
    missing_statement,
    part_problems,
    statement_event,
    statement_problems,
)
from ledger.core.errors import InputError, VerificationError
from ledger.core.report import Check
from signing.batch_intent import affirmed
from signing.certificates import certificate_spki

CODE: Final = "signer.consent"
_ACT: Final = "consent"


def check(context: Context) -> Check:
    """FAILED where a signer's consent is missing, about something else, or too late."""
    problems: list[Problem] = part_problems(context, number=5, act=_ACT)
    signatures = context.agreement_events("signature.applied")
    first = signatures[0].index if signatures else None
    for signer in context.bundle.signers:
        name = str(signer["signer"])
        event = statement_event(context, signer=name, act=_ACT)
        if event is None:
            problems.append(
                missing_statement(context, signer=name, en="no consent", zh="未同意采用电子形式")
            )
            continue
        problems += statement_problems(context, signer, event, act=_ACT, field="")
        if first is not None and not _party_consented(context, signer["organisation"], first):
            problems.append(
                wrong(
                    f"{name}: no consent of the party before the first signature",
                    f"{name}：首个签名之前该方未同意",
                )
            )
    for event in context.agreement_events("document.finalised"):
        if event.body is not None and not event.body["consent_version"]:
            problems.append(wrong("no text of consent is named", "未载明同意条款的版本"))
    return conclude(
        CODE,
        problems,
        en="every party agreed to electronic form before the first signature",
        zh="各方在首个签名之前均已同意采用电子形式",
    )


def _party_consented(context: Context, organisation: object, first: int) -> bool:
    """Whether anybody consented for this party, by a proven statement, before log index `first`.

    A handler who took over a place later, or whose colleague had consented, gives their own consent
    before their own signature (`event.order`); the party is bound by the earlier one.
    """
    for event in context.agreement_events("intent.expressed"):
        body = event.body
        if body is None or body["act"] != _ACT or event.index > first:
            continue
        try:
            said = affirmed(
                body,
                public_spki=certificate_spki(context.certificate_der(str(body["certificate"]))),
            )
        except (VerificationError, InputError, ValueError):
            continue
        if (said.organisation, said.agreement) == (organisation, context.agreement_id):
            return True
    return False
