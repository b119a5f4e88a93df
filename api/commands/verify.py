"""`fuqi verify FILE.pdf`: the strict verdict on one signed PDF, offline.

Exit codes as in `api.commands.reporting`: 0 passed, 1 failed, 2 usage, 3 indeterminate.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from enum import StrEnum
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
from arbitration.offline import offline
from signing.report_ts119102 import as_ts119102, as_xml

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
            report = examiner.examine(
                data,
                trust=pinned,
                at=datetime.now(UTC),
                expected_sha256=None if sha256 is None else bytes.fromhex(sha256),
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
