"""`fuqi receipt …`: verify one receipt offline, or turn it into a proof for the log tools of others.

Needs no network, no database and no key: the file and a trust file are all. Exit codes as in
`api.commands.reporting`: 0 passed, 1 failed, 2 usage, 3 indeterminate.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer

from api.commands.reporting import (
    EXIT_CODES,
    USAGE,
    WORDS,
    FileArgument,
    JsonOption,
    LangOption,
    TrustOption,
    language,
    print_report,
    read_file,
)
from arbitration.offline import offline
from ledger.core.errors import FuqiError, InputError
from ledger.core.report import Report
from ledger.ledger_trust import TRUST_BYTES_MAX, LedgerTrust, read_ledger_trust
from ledger.receipt_checking import verify_receipt, verify_receipt_text
from ledger.receipt_reading import RECEIPT_BYTES_MAX, read_receipt
from ledger.tlog_proof import FIRST_LINE, read_tlog_proof, receipt_of, tlog_proof_of

app = typer.Typer(
    no_args_is_help=True, help="Receipts: verify one offline, or export its log proof."
)
_PROOF: Final = FIRST_LINE.encode()


@app.callback()
def group() -> None:
    """Receipts: verify one offline, or export its log proof."""


@app.command("verify")
def verify_file(
    file: FileArgument,
    trust: TrustOption = None,
    as_json: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Check a receipt (JSON) or a C2SP tlog-proof. Needs no network and no database.

    Without --trust it says whether the file is consistent; whose log it is stays open. A trust file comes from
    somebody you trust, by another way than the receipt: `fuqi trust export` or /api/v1/trust writes one.
    """
    words = language(lang)
    with offline():
        data = read_file(file, lang=words, limit=RECEIPT_BYTES_MAX)
        pinned = _trust(trust, lang=words)
        report = _report(data, pinned)
    print_report(report, data=data, pinned=pinned is not None, as_json=as_json, lang=words)
    raise typer.Exit(EXIT_CODES[report.verdict])


@app.command("tlog-proof")
def tlog_proof(file: FileArgument) -> None:
    """Print the log's part of a receipt as C2SP tlog-proof@v1; the `extra` line holds the entry's bytes."""
    data = read_file(file, lang=language(None), limit=RECEIPT_BYTES_MAX)
    typer.echo(tlog_proof_of(read_receipt(data)), nl=False)


def _report(data: bytes, trust: LedgerTrust | None) -> Report:
    if not data.startswith(_PROOF):
        return verify_receipt_text(data, trust=trust, at=datetime.now(UTC))
    proof = read_tlog_proof(data)
    if trust is None:
        raise InputError(
            "a tlog-proof names no key of its log; pass a trust file with --trust",
            code="tlog_proof.no_trust",
        )
    return verify_receipt(receipt_of(proof, verifier=trust.verifier), trust=trust)


def _trust(path: Path | None, *, lang: str) -> LedgerTrust | None:
    if path is None:
        return None
    data = read_file(path, lang=lang, limit=TRUST_BYTES_MAX)
    try:
        return read_ledger_trust(data)
    except FuqiError as exc:
        typer.echo(f"{path}: {WORDS[lang]['unreadable']} ({exc})", err=True)
        raise typer.Exit(USAGE) from exc
