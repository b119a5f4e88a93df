"""`fuqi verify FILE.pdf`: the strict verdict on one signed PDF, offline.

Exit codes as in `api.commands.reporting`: 0 passed, 1 failed, 2 usage, 3 indeterminate.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from api.commands.bundle import read_trust
from api.commands.reporting import (
    EXIT_CODES,
    FileArgument,
    JsonOption,
    LangOption,
    TrustOption,
    language,
    print_report,
    read_file,
)
from arbitration.container import TOTAL_BYTES_MAX
from arbitration.examining import Examiner
from arbitration.filled import RECEIPTS_MAX, edits_of_receipts
from arbitration.offline import offline
from arbitration.policy import Trust
from ledger.core.errors import FuqiError
from signing.reading import RecordedEdit
from signing.report_ts119102 import as_ts119102, as_xml

RECEIPT_BYTES_MAX: Final = 1024 * 1024
"""A receipt has some kilobytes."""
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


class ReportShape(StrEnum):
    """How the ETSI report is written."""

    JSON = "json"
    XML = "xml"


def verify(
    file: FileArgument,
    trust: TrustOption = None,
    as_json: JsonOption = False,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", help="Digest that the file must have.", show_default=False),
    ] = None,
    ts119102: Annotated[
        ReportShape | None,
        typer.Option(
            "--ts119102",
            help="Print the report in the shape of ETSI TS 119 102-2.",
            show_default=False,
        ),
    ] = None,
    filled: Annotated[
        list[Path] | None,
        typer.Option(
            "--filled",
            help="Receipt of form fields that a signer filled (document.filled); may be given more than once.",
            show_default=False,
        ),
    ] = None,
    lang: LangOption = None,
) -> None:
    """Check every signature in a PDF; a receipt (JSON) as `fuqi receipt verify`. Needs no network."""
    words = language(lang)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise typer.BadParameter("64 hexadecimal digits", param_hint="--sha256")
    examiner = Examiner(workers=1)
    # The file is examined in a child with limits; it must be there before this process is shut in.
    examiner.warm()
    try:
        with offline():
            data = read_file(file, lang=words, limit=TOTAL_BYTES_MAX)
            pinned = read_trust(trust, lang=words)
            edits = _edits(filled or [], trust=pinned, lang=words)
            report = examiner.examine(
                data,
                trust=pinned,
                at=datetime.now(UTC),
                expected_sha256=None if sha256 is None else bytes.fromhex(sha256),
                edits=edits,
            )
    finally:
        examiner.close()
    if ts119102 is not None:
        digest, at = hashlib.sha256(data).digest(), datetime.now(UTC)
        typer.echo(
            as_xml(report, sha256=digest, at=at).decode("utf-8")
            if ts119102 is ReportShape.XML
            else json.dumps(as_ts119102(report, sha256=digest, at=at), ensure_ascii=False, indent=2)
        )
        raise typer.Exit(EXIT_CODES[report.verdict])
    print_report(report, data=data, pinned=pinned is not None, as_json=as_json, lang=words)
    raise typer.Exit(EXIT_CODES[report.verdict])


def _edits(receipts: Sequence[Path], *, trust: Trust | None, lang: str) -> tuple[RecordedEdit, ...]:
    """What the receipts say; one that does not hold is a fault of the call, not of the file."""
    texts = [
        read_file(one, lang=lang, limit=RECEIPT_BYTES_MAX) for one in receipts[: RECEIPTS_MAX + 1]
    ]
    try:
        ledger = None if trust is None else trust.ledger
        return edits_of_receipts(texts, trust=ledger, at=datetime.now(UTC))
    except FuqiError as error:
        raise typer.BadParameter(
            f"{error.error_code}: {error.message}", param_hint="--filled"
        ) from error
