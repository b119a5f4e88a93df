"""Verify an uploaded PDF, bundle or receipt. Nothing is recorded and nothing is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from api.flows.evidence import installation_trust
from api.ports import Ports
from arbitration.checks.all import verify_bundle
from ledger.core.errors import InputError, UnavailableError
from ledger.core.report import Report
from ledger.receipt_checking import verify_receipt_text
from ledger.store import transaction
from signing.validate import validate_pdf

AT_ONCE: Final = 2
"""A check holds a core and several copies of the file in memory."""
WAIT_SECONDS: Final = 20
PDF_HEADER_WITHIN: Final = 1024
"""Readers accept a PDF whose header stands this far into the file."""

_RUNNING: Final = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn_to_verify() -> Iterator[None]:
    """Wait for one of the few places; take it before reading the file into memory.

    Raises:
        UnavailableError: `verify.busy`.
    """
    if not _RUNNING.acquire(timeout=WAIT_SECONDS):
        raise UnavailableError("too many checks are running; try again", code="verify.busy")
    try:
        yield
    finally:
        _RUNNING.release()


def verify_upload(ports: Ports, data: bytes, *, at: datetime) -> Report:
    """The report on a PDF, a bundle or a receipt, against this installation's own trust.

    Raises:
        InputError: `verify.unknown_kind` for a file that is none of them.
    """
    with transaction(ports.readers) as session:
        trust = installation_trust(session, ports, at=at)
    if data.startswith(b"PK"):
        return verify_bundle(data, trust=trust, at=at)
    if b"%PDF-" in data[:PDF_HEADER_WITHIN]:
        return validate_pdf(data, trust=trust.pki, at=at)
    if data.startswith(b"{"):
        return verify_receipt_text(data, trust=trust.ledger, at=at)
    raise InputError(
        "this is no PDF, no evidence bundle and no receipt", code="verify.unknown_kind"
    )
