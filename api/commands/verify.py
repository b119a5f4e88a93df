"""`fuqi verify FILE.pdf`: the strict verdict on one signed PDF, offline.

Exit codes as in `api.commands.reporting`: 0 passed, 1 failed, 2 usage, 3 indeterminate.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
from arbitration.offline import offline
from ledger.receipt_checking import verify_receipt_text
from signing.trust import PkiTrust
from signing.validate import validate_pdf

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


def verify(
    file: FileArgument,
    trust: TrustOption = None,
    as_json: JsonOption = False,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", help="Digest that the file must have.", show_default=False),
    ] = None,
    lang: LangOption = None,
) -> None:
    """Check every signature in a PDF; a receipt (JSON) as `fuqi receipt verify`. Needs no network."""
    words = language(lang)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise typer.BadParameter("64 hexadecimal digits", param_hint="--sha256")
    with offline():
        data = read_file(file, lang=words, limit=TOTAL_BYTES_MAX)
        pinned = read_trust(trust, lang=words)
        at = datetime.now(UTC)
        if data.startswith(b"{") and sha256 is None:
            ledger = None if pinned is None else pinned.ledger
            report = verify_receipt_text(data, trust=ledger, at=at)
        else:
            report = validate_pdf(
                data,
                trust=PkiTrust() if pinned is None else pinned.pki,
                at=at,
                expected_sha256=None if sha256 is None else bytes.fromhex(sha256),
            )
    print_report(report, data=data, pinned=pinned is not None, as_json=as_json, lang=words)
    raise typer.Exit(EXIT_CODES[report.verdict])
