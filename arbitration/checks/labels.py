"""A bundle says what it is not: every remark that the evidence demands stands in the manifest."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import conclude, wrong
from arbitration.labels import EMBEDDED_CHAIN, required_labels, stated_labels
from ledger.core.report import Check

CODE: Final = "bundle.labels"


def check(context: Context) -> Check:
    """FAILED where a label is missing, or stands there with other words."""
    bundle = context.bundle
    stated = stated_labels(bundle)
    demanded = list(required_labels(bundle, demo=bool(bundle.manifest["demo"])))
    finalised = context.agreement_events("document.finalised")
    if any((event.body or {}).get("demo") for event in finalised) and not bundle.manifest["demo"]:
        return conclude(
            CODE,
            [
                wrong(
                    "the log says demonstration, the bundle does not",
                    "日志载明为演示，证据包未载明",
                )
            ],
            en="",
            zh="",
        )
    if context.trust is not None and EMBEDDED_CHAIN not in demanded:
        embedded = {
            (pin.chain_id, pin.contract.lower())
            for pin in context.trust.ledger.chains
            if pin.kind == "embedded"
        }
        used = {(one["chain_id"], str(one["contract"]).lower()) for one in bundle.anchors}
        # The evidence may lie about its chain; the verifier's own pin does not.
        demanded += [EMBEDDED_CHAIN] if embedded & used else []
    problems = [
        wrong(f"the label “{label.en}” is hidden", f"未载明“{label.zh}”")
        for label in demanded
        if label not in stated
    ]
    return conclude(
        CODE,
        problems,
        en=f"all {len(demanded)} remarks that the evidence demands are stated",
        zh=f"证据要求载明的 {len(demanded)} 项说明均已载明",
        labels=[label.code for label in stated],
    )
