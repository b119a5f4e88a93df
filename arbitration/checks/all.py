"""Every check, in the order in which it is numbered; `verify_bundle` runs them and never raises.

A bundle is of an agreement (`CHECKS`), of a lot (`LOT_CHECKS`) or of a whole donation (`DONATION_CHECKS`), and
that one holds bundles of both: its manifest says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeAlias

from arbitration.checks import (
    agreement_allocation,
    agreement_formed,
    agreement_stages,
    anchor_chain,
    anchor_evidence,
    custody,
    document_archive,
    document_attachments,
    document_binding,
    document_digests,
    document_fields,
    document_pdf,
    document_revisions,
    donation_agreements,
    donation_certificates,
    donation_entries,
    donation_files,
    donation_lines,
    donation_lots,
    donation_report,
    donation_sum,
    event_bodies,
    event_chain,
    event_log,
    event_order,
    event_receipts,
    event_times,
    human_report,
    labels,
    lot_acceptance,
    lot_anchors,
    lot_custody,
    lot_entries,
    lot_files,
    lot_line,
    lot_recall,
    lot_signatures,
    manifest,
    seal,
    signer_authorisation,
    signer_certificate,
    signer_clauses,
    signer_consent,
    signer_intent,
    signer_letter,
    signer_realname,
    signer_roster,
    signer_seal,
    signer_signature,
    stamp,
)
from arbitration.checks.context import Context, open_context
from arbitration.checks.lots import lot_context
from arbitration.container import unpack
from arbitration.donation_model import (
    AGREEMENTS,
    AGREEMENTS_MAX,
    LOTS,
    LOTS_MAX,
    is_donation_bundle,
    open_donation_files,
)
from arbitration.lot_model import is_lot_bundle, open_lot_files
from arbitration.model import Bundle, open_files
from arbitration.policy import Trust
from arbitration.timestamps import MALFORMED
from ledger.core.errors import FuqiError, VerificationError
from ledger.core.report import Check, Report, Verdict

CheckFunction: TypeAlias = Callable[[Context], Check]

CONTAINER: Final = "bundle.container"
AGREEMENT: Final = "agreement"
LOT: Final = "lot"
DONATION: Final = "donation"
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
    (document_fields.CODE, document_fields.check),
    (document_binding.CODE, document_binding.check),
    (document_archive.CODE, document_archive.check),
    (document_attachments.CODE, document_attachments.check),
    (signer_roster.CODE, signer_roster.check),
    (signer_realname.CODE, signer_realname.check),
    (signer_authorisation.CODE, signer_authorisation.check),
    (signer_letter.CODE, signer_letter.check),
    (signer_consent.CODE, signer_consent.check),
    (signer_intent.CODE, signer_intent.check),
    (signer_clauses.CODE, signer_clauses.check),
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
LOT_CHECKS: Final[tuple[tuple[str, CheckFunction], ...]] = (
    (lot_files.CODE, lot_files.check),
    (seal.CODE, seal.check),
    (stamp.CODE, stamp.check),
    (lot_entries.CODE, lot_entries.check),
    (event_log.CODE, event_log.check),
    (event_chain.CODE, event_chain.check),
    (lot_anchors.CODE, lot_anchors.check),
    (anchor_chain.CODE, anchor_chain.check),
    (lot_signatures.CODE, lot_signatures.check),
    (lot_custody.CODE, lot_custody.check),
    (lot_acceptance.CODE, lot_acceptance.check),
    (lot_recall.CODE, lot_recall.check),
    (lot_line.CODE, lot_line.check),
)
"""Of a lot's bundle, numbered likewise."""


DONATION_CHECKS: Final[tuple[tuple[str, CheckFunction], ...]] = (
    (donation_files.CODE, donation_files.check),
    (seal.CODE, seal.check),
    (stamp.CODE, stamp.check),
    (donation_report.CODE, donation_report.check),
    (donation_entries.CODE, donation_entries.check),
    (event_log.CODE, event_log.check),
    (event_chain.CODE, event_chain.check),
    (lot_anchors.CODE, lot_anchors.check),
    (anchor_chain.CODE, anchor_chain.check),
    (donation_lots.CODE, donation_lots.check),
    (donation_agreements.CODE, donation_agreements.check),
    (donation_lines.CODE, donation_lines.check),
    (donation_sum.CODE, donation_sum.check),
    (donation_certificates.CODE, donation_certificates.check),
)
"""Of a donation's bundle, numbered likewise."""


def verify_bundle(data: bytes, *, trust: Trust | None, at: datetime) -> Report:
    """Judge a bundle offline; never raises.

    Args:
        data: the file.
        trust: pinned roots, log and chains; None leaves every pin INDETERMINATE.
        at: now, aware UTC; nothing in the bundle may be younger.
    """
    kind = AGREEMENT
    try:
        files = unpack(data)
        if is_donation_bundle(files):
            kind = DONATION
            bundle = open_donation_files(files)
            context = replace(
                lot_context(bundle, trust=trust, at=at),
                nested=_inside(bundle, trust=trust, at=at),
            )
        elif is_lot_bundle(files):
            kind = LOT
            bundle = open_lot_files(files)
            context = lot_context(bundle, trust=trust, at=at)
        else:
            bundle = open_files(files)
            context = open_context(bundle, trust=trust, at=at)
    except FuqiError as exc:
        return _unopened(f"{exc.error_code}: {exc.message}", kind=kind)
    except MALFORMED as exc:
        return _unopened(f"malformed ({type(exc).__name__})", kind=kind)
    checks = [
        Check(
            CONTAINER,
            Verdict.PASSED,
            f"a well-formed bundle of {len(bundle.files)} files, byte for byte in the one form",
            f"证据包格式正确，共 {len(bundle.files)} 个文件，逐字节符合规范形式",
            {"files": len(bundle.files), "bytes": len(data)},
        )
    ]
    # Each list by its name: the reference page of all codes is read out of the source.
    if kind == DONATION:
        checks += [_run(code, function, context) for code, function in DONATION_CHECKS]
    elif kind == LOT:
        checks += [_run(code, function, context) for code, function in LOT_CHECKS]
    else:
        checks += [_run(code, function, context) for code, function in CHECKS]
    return Report(subject="bundle", checks=tuple(checks), labels=_labels(bundle, trust))


def _inside(bundle: Bundle, *, trust: Trust | None, at: datetime) -> dict[str, Report]:
    """The bundles in a donation's bundle, each with all its checks.

    Raises:
        VerificationError: `bundle.limit`; `bundle.nested` where a donation holds a donation.
    """
    paths = [path for path in bundle.files if path.startswith((LOTS, AGREEMENTS))]
    if len(paths) > LOTS_MAX + AGREEMENTS_MAX:
        raise VerificationError("more bundles inside than one may hold", code="bundle.limit")
    found: dict[str, Report] = {}
    for path in paths:
        if is_donation_bundle(unpack(bundle.files[path])):
            raise VerificationError("a donation inside a donation", code="bundle.nested")
        found[path] = verify_bundle(bundle.files[path], trust=trust, at=at)
    return found


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


def _unopened(reason: str, *, kind: str) -> Report:
    checks = [_failed(CONTAINER, reason)]
    if kind == DONATION:
        checks += [_unreached(code) for code, _ in DONATION_CHECKS]
    elif kind == LOT:
        checks += [_unreached(code) for code, _ in LOT_CHECKS]
    else:
        checks += [_unreached(code) for code, _ in CHECKS]
    return Report(subject="bundle", checks=tuple(checks))


def _unreached(code: str) -> Check:
    return Check(
        code,
        Verdict.INDETERMINATE,
        "not reached: the bundle does not open",
        "未执行：证据包无法打开",
    )


def _failed(code: str, reason: str) -> Check:
    return Check(code, Verdict.FAILED, reason, f"未通过：{reason}")


def _labels(bundle: Bundle, trust: Trust | None) -> tuple[str, ...]:
    try:
        stated = [text for row in bundle.manifest["labels"] for text in (row["zh"], row["en"])]
    except MALFORMED:
        stated = []
    return tuple(dict.fromkeys([*map(str, stated), *(trust.labels if trust else ())]))
