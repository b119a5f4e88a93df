"""Recorded form filling out of receipts, for a signed PDF that is judged without its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from arbitration.model import read_event
from arbitration.timestamps import MALFORMED
from ledger.core.errors import LimitError, VerificationError
from ledger.core.report import Verdict
from ledger.ledger_trust import LedgerTrust
from ledger.receipt_checking import verify_receipt_text
from ledger.receipt_reading import read_receipt
from signing.reading import RecordedEdit

FILLED: Final = "document.filled"
RECEIPTS_MAX: Final = 50
"""One for each signer who filled something; a file is made for fifty signatures."""


def edits_of_receipts(
    receipts: Sequence[bytes], *, trust: LedgerTrust | None, at: datetime
) -> tuple[RecordedEdit, ...]:
    """What these receipts say was filled; each is verified first, with its body opened.

    Args:
        trust: pinned log and chains; without it a receipt must at least not fail, and nothing that rests on
            it can pass.

    Raises:
        LimitError: `verify.receipts`.
        VerificationError: `verify.receipt` (it does not hold), `verify.receipt_other` (of another step, or
            closed).
    """
    if len(receipts) > RECEIPTS_MAX:
        raise LimitError(
            f"at most {RECEIPTS_MAX} receipts belong to one file",
            code="verify.receipts",
            limit=RECEIPTS_MAX,
        )
    found: list[RecordedEdit] = []
    for data in receipts:
        verdict = verify_receipt_text(data, trust=trust, at=at).verdict
        if verdict is Verdict.FAILED or (trust is not None and verdict is not Verdict.PASSED):
            raise VerificationError(
                "a receipt does not hold: look at it with fuqi receipt verify",
                code="verify.receipt",
            )
        event = read_event(read_receipt(data))
        if event.type != FILLED or event.body is None:
            raise VerificationError(
                "this is no opened receipt of form fields that were filled (document.filled)",
                code="verify.receipt_other",
            )
        try:
            digest = bytes.fromhex(str(event.body["revision_sha256"]))
            found += [
                RecordedEdit(str(one["field"]), str(one["old"]), str(one["new"]), digest)
                for one in event.body["fields"]
            ]
        except MALFORMED as exc:
            raise VerificationError(
                "this receipt is not shaped as it must be", code="verify.receipt_other"
            ) from exc
    return tuple(found)
