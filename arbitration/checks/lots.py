"""What the checks of a lot's bundle are given; they are numbered in `arbitration.checks.all`."""

from __future__ import annotations

from datetime import datetime

from arbitration.checks.context import Context
from arbitration.model import Bundle
from arbitration.policy import Trust
from ledger.core.report import Report
from ledger.receipt_checking import verify_receipt
from signing.trust import PkiTrust


def lot_context(bundle: Bundle, *, trust: Trust | None, at: datetime) -> Context:
    """What the checks are given; there is no PDF in such a bundle."""
    ledger = None if trust is None else trust.ledger
    return Context(
        bundle=bundle,
        trust=trust,
        at=at,
        pki=PkiTrust() if trust is None else trust.pki,
        pdf=Report(subject="pdf", checks=()),
        signatures=(),
        receipts=tuple(verify_receipt(one, trust=ledger) for one in bundle.receipts),
    )
