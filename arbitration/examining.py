"""Examining files from outside in the sandbox: PDFs, bundles and receipts; taking PDFs in.

`examine_here` and `take_in_here` run in the child; `Examiner` is what the web app and the command line
use. A file that goes beyond a limit is neither good nor forged: its verdict is INDETERMINATE, with the
limit as the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final

from arbitration.checks.all import verify_bundle
from arbitration.policy import Trust
from ledger.core.canonical import Json
from ledger.core.errors import InputError, LimitError
from ledger.core.report import Check, Report, Verdict
from ledger.receipt_checking import verify_receipt_text
from signing.field_edits import EDITS_MAX
from signing.field_kinds import Kind
from signing.form_fields import FormField, form_fields
from signing.intake import PdfFacts, PdfLimits, intake
from signing.reading import RecordedEdit
from signing.rehearsal import rehearse, room
from signing.sandbox import Sandbox, SandboxError, SandboxLimits
from signing.trust import PkiTrust
from signing.validate import validate_pdf

PDF_HEADER_WITHIN: Final = 1024
"""Readers accept a PDF whose header stands this far into the file."""
WORK: Final = {
    "examine": "arbitration.examining:examine_here",
    "take_in": "arbitration.examining:take_in_here",
    "form_fields": "arbitration.examining:form_fields_here",
}
_REASONS: Final = {
    "sandbox.time_limit": ("takes longer to examine than the limit", "检查耗时超过上限"),
    "sandbox.memory_limit": ("needs more memory than the limit", "检查所需内存超过上限"),
    "sandbox.stopped": ("stopped the process that examined it", "使检查进程中止"),
}


class Examiner:
    """Children that examine files; safe between threads.

    Args:
        workers: files examined at once.
    """

    def __init__(self, *, workers: int, limits: SandboxLimits | None = None) -> None:
        self._sandbox = Sandbox(WORK, workers=workers, limits=limits)

    def examine(
        self,
        data: bytes,
        *,
        trust: Trust | None,
        at: datetime,
        pki: PkiTrust | None = None,
        expected_sha256: bytes | None = None,
        edits: Sequence[RecordedEdit] = (),
        bundle: bool = False,
    ) -> Report:
        """The report on a PDF, a bundle or a receipt.

        Args:
            trust: pinned roots, log and chains; None leaves every pin indeterminate.
            pki: for a PDF where only certificates are pinned.
            edits: for a PDF, form fields that signers filled, as recorded steps say; a bundle brings its own.
            bundle: take the file for a bundle whatever it begins with.

        Raises:
            InputError: `verify.unknown_kind` for a file that is none of them.
            UnavailableError: `sandbox.busy`.
        """
        options: dict[str, Json] = {
            "trust": None if trust is None else trust.as_json(),
            "pki": None if pki is None else pki.as_json(),
            "at": at.astimezone(UTC).isoformat(),
            "expected_sha256": None if expected_sha256 is None else expected_sha256.hex(),
            "edits": [one.as_json() for one in edits[:EDITS_MAX]],
            "bundle": bundle,
        }
        try:
            return _report_of(self._sandbox.run("examine", options, data))
        except SandboxError as exc:
            return _limited(exc, subject=_subject(data))

    def take_in(self, data: bytes, *, limits: PdfLimits) -> PdfFacts:
        """As `signing.intake.intake`.

        Raises:
            LimitError: `pdf.too_costly`, and as `intake`.
            InputError, ConflictError: as `intake`.
            UnavailableError: `sandbox.busy`.
        """
        try:
            found = self._sandbox.run("take_in", {"limits": asdict(limits)}, data)
        except SandboxError as exc:
            raise _costly(exc) from exc
        return PdfFacts(
            sha256=bytes.fromhex(found["sha256"]),
            size=found["size"],
            pages=found["pages"],
            page_sizes_pt=tuple((width, height) for width, height in found["page_sizes_pt"]),
            signatures=found["signatures"],
            certified=found["certified"],
            empty_fields=tuple(found["empty_fields"]),
        )

    def form_fields(self, data: bytes, *, limits: PdfLimits) -> tuple[FormField, ...]:
        """As `signing.form_fields.form_fields`, of a file that is taken in.

        Raises:
            LimitError: `pdf.too_costly`, and as `intake`.
            InputError, ConflictError: as `intake`.
            UnavailableError: `sandbox.busy`.
        """
        try:
            found = self._sandbox.run("form_fields", {"limits": asdict(limits)}, data)
        except SandboxError as exc:
            raise _costly(exc) from exc
        return tuple(
            FormField(**{**one, "kind": Kind(one["kind"]), "options": tuple(one["options"])})
            for one in found
        )

    def warm(self) -> None:
        """Start the children now."""
        self._sandbox.warm()

    def close(self) -> None:
        """Stop the children."""
        self._sandbox.close()


def examine_here(options: Mapping[str, Any], data: bytes) -> Json:
    """In the child: the report as JSON.

    Raises:
        InputError: `verify.unknown_kind`.
    """
    at = datetime.fromisoformat(str(options["at"]))
    trust, pki = _trust(_text(options["trust"])), _pki(_text(options["pki"]))
    if options["bundle"] or data.startswith(b"PK"):
        return verify_bundle(data, trust=trust, at=at).as_json()
    if data.startswith(b"{") and options["expected_sha256"] is None:
        ledger = None if trust is None else trust.ledger
        return verify_receipt_text(data, trust=ledger, at=at).as_json()
    if b"%PDF-" not in data[:PDF_HEADER_WITHIN] and options["expected_sha256"] is None:
        raise InputError(
            "this is no PDF, no evidence bundle and no receipt", code="verify.unknown_kind"
        )
    expected = options["expected_sha256"]
    return validate_pdf(
        data,
        trust=pki or (PkiTrust() if trust is None else trust.pki),
        at=at,
        expected_sha256=None if expected is None else bytes.fromhex(expected),
        edits=[RecordedEdit.from_json(one) for one in options["edits"]],
    ).as_json()


def take_in_here(options: Mapping[str, Any], data: bytes) -> Json:
    """In the child: what intake found.

    Raises:
        LimitError: `pdf.too_costly`, and as `intake`.
        InputError, ConflictError: as `intake`.
    """
    # What is taken in is read and drawn by the server itself afterwards: first here, with less room.
    with room(len(data)):
        facts = asdict(intake(data, limits=PdfLimits(**options["limits"])))
        rehearse(data)
    return {**facts, "sha256": facts["sha256"].hex()}


def form_fields_here(options: Mapping[str, Any], data: bytes) -> Json:
    """In the child: the fields of a form.

    Raises:
        LimitError, InputError, ConflictError: as `intake`.
    """
    intake(data, limits=PdfLimits(**options["limits"]))
    return [asdict(one) for one in form_fields(data)]


@lru_cache(maxsize=4)
def _trust(text: str) -> Trust | None:
    """Parsed once: an installation pins the same for every file."""
    value = json.loads(text)
    return None if value is None else Trust.from_json(value)


@lru_cache(maxsize=4)
def _pki(text: str) -> PkiTrust | None:
    value = json.loads(text)
    return None if value is None else PkiTrust.from_json(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _subject(data: bytes) -> str:
    return "bundle" if data.startswith(b"PK") else "receipt" if data.startswith(b"{") else "pdf"


def _costly(exc: SandboxError) -> LimitError:
    return LimitError(
        "this PDF needs more time or memory than is given to one file; print it anew to PDF",
        code="pdf.too_costly",
        reason=exc.error_code.partition(".")[2],
    )


def _limited(exc: SandboxError, *, subject: str) -> Report:
    en, zh = _REASONS.get(exc.error_code, _REASONS["sandbox.stopped"])
    check = Check(
        "pdf.limits" if subject == "pdf" else "bundle.limits",
        Verdict.INDETERMINATE,
        f"the file {en}; nothing is known about it",
        f"文件{zh}，无法得出结论",
        {"reason": exc.error_code.partition(".")[2]},
    )
    return Report(subject=subject, checks=(check,))


def _report_of(value: Any) -> Report:
    """The report as the child told it; its verdict is computed anew from its checks."""
    told = [SimpleNamespace(**one) for one in value["checks"]]
    return Report(
        subject=str(value["subject"]),
        checks=tuple(
            Check(
                one.code,
                Verdict(one.verdict),
                str(one.summary_en),
                str(one.summary_zh),
                dict(one.details),
            )
            for one in told
        ),
        labels=tuple(str(label) for label in value["labels"]),
    )
