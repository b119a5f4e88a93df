"""Every check, in the order in which it is numbered; `verify_bundle` runs them and never raises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

from arbitration.bundle import read_bundle
from arbitration.checks import (
    agreement_allocation,
    agreement_formed,
    agreement_stages,
    anchor_chain,
    anchor_evidence,
    custody,
    document_archive,
    document_binding,
    document_digests,
    document_pdf,
    document_revisions,
    event_bodies,
    event_chain,
    event_log,
    event_order,
    event_receipts,
    event_times,
    human_report,
    labels,
    manifest,
    seal,
    signer_authorisation,
    signer_certificate,
    signer_consent,
    signer_intent,
    signer_realname,
    signer_roster,
    signer_seal,
    signer_signature,
    stamp,
)
from arbitration.checks.context import Context, open_context
from arbitration.model import Bundle
from arbitration.policy import Trust
from arbitration.timestamps import MALFORMED
from ledger.core.errors import FuqiError
from ledger.core.report import Check, Report, Verdict

CheckFunction: TypeAlias = Callable[[Context], Check]

CONTAINER: Final = "bundle.container"
CHECKS: Final[tuple[tuple[str, CheckFunction], ...]] = (
    (manifest.CODE, manifest.check),
    (seal.CODE, seal.check),
    (stamp.CODE, stamp.check),
    (labels.CODE, labels.check),
    (human_report.CODE, human_report.check),
    (custody.CODE, custody.check),
    (document_digests.CODE, document_digests.check),
    (document_revisions.CODE, document_revisions.check),
    (document_pdf.CODE, document_pdf.check),
    (document_binding.CODE, document_binding.check),
    (document_archive.CODE, document_archive.check),
    (signer_roster.CODE, signer_roster.check),
    (signer_realname.CODE, signer_realname.check),
    (signer_authorisation.CODE, signer_authorisation.check),
    (signer_consent.CODE, signer_consent.check),
    (signer_intent.CODE, signer_intent.check),
    (signer_signature.CODE, signer_signature.check),
    (signer_certificate.CODE, signer_certificate.check),
    (signer_seal.CODE, signer_seal.check),
    (event_receipts.CODE, event_receipts.check),
    (event_log.CODE, event_log.check),
    (event_bodies.CODE, event_bodies.check),
    (event_chain.CODE, event_chain.check),
    (event_order.CODE, event_order.check),
    (event_times.CODE, event_times.check),
    (anchor_evidence.CODE, anchor_evidence.check),
    (anchor_chain.CODE, anchor_chain.check),
    (agreement_stages.CODE, agreement_stages.check),
    (agreement_formed.CODE, agreement_formed.check),
    (agreement_allocation.CODE, agreement_allocation.check),
)
"""Numbered from 2: number 1 is the container, without which nothing else can be read."""


def verify_bundle(data: bytes, *, trust: Trust | None, at: datetime) -> Report:
    """Judge a bundle offline; never raises.

    Args:
        data: the file.
        trust: pinned roots, log and chains; None leaves every pin INDETERMINATE.
        at: now, aware UTC; nothing in the bundle may be younger.
    """
    try:
        bundle = read_bundle(data)
        context = open_context(bundle, trust=trust, at=at)
    except FuqiError as exc:
        return _unopened(f"{exc.error_code}: {exc.message}")
    except MALFORMED as exc:
        return _unopened(f"malformed ({type(exc).__name__})")
    checks = [
        Check(
            CONTAINER,
            Verdict.PASSED,
            f"a well-formed bundle of {len(bundle.files)} files, byte for byte in the one form",
            f"证据包格式正确，共 {len(bundle.files)} 个文件，逐字节符合规范形式",
            {"files": len(bundle.files), "bytes": len(data)},
        )
    ]
    checks += [_run(code, function, context) for code, function in CHECKS]
    return Report(subject="bundle", checks=tuple(checks), labels=_labels(bundle, trust))


def _run(code: str, function: CheckFunction, context: Context) -> Check:
    try:
        found = function(context)
    except FuqiError as exc:
        return _failed(code, f"{exc.error_code}: {exc.message}")
    except MALFORMED as exc:
        # A part that is not shaped as the format says is evidence of nothing.
        return _failed(code, f"malformed ({type(exc).__name__})")
    assert found.code == code, "a check answers under its own code"
    return found


def _unopened(reason: str) -> Report:
    checks = [_failed(CONTAINER, reason)]
    checks += [
        Check(
            code,
            Verdict.INDETERMINATE,
            "not reached: the bundle does not open",
            "未执行：证据包无法打开",
        )
        for code, _ in CHECKS
    ]
    return Report(subject="bundle", checks=tuple(checks))


def _failed(code: str, reason: str) -> Check:
    return Check(code, Verdict.FAILED, reason, f"未通过：{reason}")


def _labels(bundle: Bundle, trust: Trust | None) -> tuple[str, ...]:
    try:
        stated = [text for row in bundle.manifest["labels"] for text in (row["zh"], row["en"])]
    except MALFORMED:
        stated = []
    return tuple(dict.fromkeys([*map(str, stated), *(trust.labels if trust else ())]))
