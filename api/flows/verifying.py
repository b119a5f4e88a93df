"""Verify an uploaded PDF, bundle or receipt. Nothing is recorded and nothing is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from api.examining import AT_ONCE, examiner
from api.flows.evidence import installation_trust
from api.flows.form_filling import edits_in
from api.ports import Ports
from ledger.core.errors import UnavailableError
from ledger.core.report import Report
from ledger.store import transaction

WAIT_SECONDS: Final = 20
PDF_HEAD: Final = b"%PDF-"
"""A file of ours begins with it; others were never filled here."""

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

    The file is examined in a process of its own (`signing.sandbox`), with limits on time and memory.

    Raises:
        InputError: `verify.unknown_kind` for a file that is none of them.
        UnavailableError: `sandbox.busy`.
    """
    with transaction(ports.readers) as session:
        trust = installation_trust(session, ports, at=at)
        # What signers filled between signatures is on our log; a file alone cannot say so of itself.
        edits = edits_in(session, data) if data.startswith(PDF_HEAD) else ()
    return examiner().examine(data, trust=trust, at=at, edits=edits)
