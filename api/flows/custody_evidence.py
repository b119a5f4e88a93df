"""What a party takes away about a lot: every receipt in one file, the labels, the donation certificate."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.evidence import installation_trust, receipt_for
from api.goods_papers import Certificate, Label, certificate_pdf, labels_pdf
from api.ports import Ports
from api.views.custody import lot_facts, lot_for
from api.views.public import item_names
from ledger.core.errors import ConflictError, LimitError
from ledger.queries import custody as queries
from ledger.queries import log as log_queries
from ledger.tables.supply import HospitalRow
from signing.appearance import CHINA_TIME

RECEIPTS_MAX: Final = 500
"""As many as `entries_of` reads: a lot with more is proven entry by entry."""
ZIP_TIME: Final = (2026, 1, 1, 0, 0, 0)
"""Times stand in the receipts; the same receipts make the same bytes."""
PROVEN: Final = ("lot.opened", "lot.received", "lot.used")


def receipts_zip(
    session: Session, ports: Ports, caller: Caller, lot_id: str, *, at: datetime
) -> bytes:
    """Receipts of every step of a lot, with what a stranger pins: `fuqi receipt verify` reads each.

    Raises:
        NotFoundError: `not_found`.  LimitError: `custody.too_many_receipts`.
    """
    lot_for(session, caller, lot_id)
    entries = log_queries.entries_of(session, [lot_id])
    if len(entries) >= RECEIPTS_MAX:
        raise LimitError(
            "this lot has too many entries for one file: take the receipts one by one",
            code="custody.too_many_receipts",
            limit=RECEIPTS_MAX,
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for number, entry in enumerate(entries, start=1):
            receipt = receipt_for(session, ports, caller, entry.id, at=at)
            _add(file, f"{number:03d}-{entry.type}.json", dict(receipt))
        _add(file, "trust.json", installation_trust(session, ports, at=at).as_json())
    return buffer.getvalue()


def lot_labels(session: Session, caller: Caller, lot_id: str) -> bytes:
    """Labels of the packages of a lot that are not opened yet.

    Raises:
        NotFoundError: `not_found`.  InputError: `label.none`.
    """
    lot = lot_for(session, caller, lot_id)
    hospital = session.get_one(HospitalRow, lot.hospital_id).name
    return labels_pdf(
        [
            Label(
                package_id=one.id,
                number=one.number,
                item=item_names(lot.item)[0],
                quantity=one.quantity,
                batch=lot.batch_number,
                expires_on=lot.expires_on,
                hospital=hospital,
            )
            for one in queries.packages_of(session, lot.id)
            if one.state in ("packed", "transit")
        ]
    )


def lot_certificate(
    session: Session, ports: Ports, caller: Caller, lot_id: str, *, at: datetime
) -> bytes:
    """The donation certificate of a lot that its hospital has accepted; no fiscal receipt.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.nothing_accepted`, `custody.not_a_donation`.
    """
    lot = lot_for(session, caller, lot_id)
    if lot.matter != "donation":
        raise ConflictError("this lot is no donation", code="custody.not_a_donation")
    facts = lot_facts(session, caller, lot_id, at=at)
    accepted = sum(one.accepted for one in facts.handovers if one.to_id == lot.receiver_id)
    if not accepted:
        raise ConflictError(
            "the hospital has accepted nothing of this lot yet: the certificate comes after that",
            code="custody.nothing_accepted",
        )
    fiscal = None
    if lot.fiscal_number is not None:
        fiscal = f"{lot.fiscal_number}，{lot.fiscal_issuer}，{lot.fiscal_on}"
    entries = [one for one in log_queries.entries_of(session, [lot_id]) if one.type in PROVEN]
    return certificate_pdf(
        Certificate(
            number=lot.id,
            donor=facts.giver,
            hospital=facts.hospital,
            item=facts.item_zh,
            batch=lot.batch_number,
            given=lot.quantity,
            accepted=accepted,
            used=facts.used,
            purpose=lot.purpose,
            issued_on=at.astimezone(CHINA_TIME).date(),
            agreement_id=lot.agreement_id,
            entries=tuple((one.type, one.id, one.leaf) for one in entries[:8]),
            fiscal=fiscal,
            demo=ports.settings.demo,
        )
    )


def _add(file: zipfile.ZipFile, name: str, value: object) -> None:
    info = zipfile.ZipInfo(name, date_time=ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(info, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True))
