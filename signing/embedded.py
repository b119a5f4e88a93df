"""The document security store of a PDF (ETSI EN 319 142-1, 5.4): what it holds, nothing judged.

Everything read here is a claim of the file. A list or response counts only after its own signature
was verified under a trusted authority (`signing.trust`, `signing.ocsp`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from asn1crypto import ocsp

from ledger.core.errors import LimitError
from signing import deadline, parsed
from signing.pdf_reading import open_reader, signatures_of

ITEMS_MAX: Final = 500
"""Certificates, lists or responses of one kind in a store; a file with fifty signers has about 200."""
ITEM_BYTES_MAX: Final = 16 * 1024 * 1024
"""One decoded item; the largest public CRLs have some ten megabytes."""
TOTAL_BYTES_MAX: Final = 48 * 1024 * 1024


class Level(StrEnum):
    """What the file carries beside the bare signatures (ETSI EN 319 142-1)."""

    NONE = "none"
    B_B = "B-B"
    B_T = "B-T"
    B_LT = "B-LT"
    B_LTA = "B-LTA"


@dataclass(frozen=True, slots=True)
class ValidationData:
    """Certificates, revocation lists and OCSP responses, all DER, in the order of the file."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()


def validation_data_of(data: bytes) -> ValidationData:
    """What the newest security store of the file holds; empty where there is none.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
        LimitError: `pdf.validation_data_large`.
    """
    return validation_data_with(open_reader(data)[0])


def validation_data_with(reader: Any) -> ValidationData:
    """As `validation_data_of`, of a file that is already open. Odd entries are left out.

    Raises:
        LimitError: `pdf.validation_data_large`.
    """
    try:
        root = reader.root
        # Not .get: it would hand back the reference of an indirect object.
        store = root["/DSS"] if "/DSS" in root else None  # noqa: SIM401
    except Exception:  # noqa: BLE001 - pyHanko raises many kinds on odd files; no store then
        store = None
    if not isinstance(store, Mapping):
        return ValidationData()
    budget = [TOTAL_BYTES_MAX]
    return ValidationData(
        certificates=_items(store, "/Certs", budget),
        crls=_items(store, "/CRLs", budget),
        ocsps=_items(store, "/OCSPs", budget),
    )


def odd_items(held: ValidationData) -> int:
    """How many items of a store are not what their list says: data that nobody accounts for."""
    kinds: tuple[tuple[tuple[bytes, ...], Callable[[bytes], object]], ...] = (
        (held.certificates, lambda der: parsed.certificate(der).serial_number),
        (held.crls, lambda der: parsed.revocation_list(der)["tbs_cert_list"]["issuer"].native),
        (
            held.ocsps,
            lambda der: ocsp.OCSPResponse.load(der, strict=True)["response_status"].native,
        ),
    )
    return sum(not _reads(read, der) for items, read in kinds for der in items)


def _reads(read: Callable[[bytes], object], der: bytes) -> bool:
    deadline.check()
    try:
        read(der)
    except parsed.ASN1_ERRORS:
        return False
    return True


def level_of(data: bytes) -> Level:
    """The lowest level that every signature in the file reaches; says nothing about its worth.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    found = signatures_of(data)
    signed = [item for item in found if item.kind == "signature"]
    if not signed:
        return Level.NONE
    if not all(item.timestamp_token for item in signed):
        return Level.B_B
    stored = validation_data_of(data)
    if not stored.crls and not stored.ocsps:
        return Level.B_T
    last = max(item.revision_size for item in signed)
    archived = [i for i in found if i.kind == "document_timestamp" and i.revision_size > last]
    return Level.B_LTA if archived else Level.B_LT


def _items(store: Mapping[str, Any], key: str, budget: list[int]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    try:
        entries = store[key] if key in store else []  # noqa: SIM401 - .get would keep references
        count = len(entries)
    except Exception:  # noqa: BLE001 - see above
        return ()
    if count > ITEMS_MAX:
        raise LimitError(
            "the security store holds too many items",
            code="pdf.validation_data_large",
            limit=ITEMS_MAX,
        )
    for position in range(count):
        deadline.check()
        try:
            entry = entries[position]
            content = bytes(getattr(entry, "data", b""))
        except Exception:  # noqa: BLE001, S112 - an unreadable item proves nothing and harms nothing
            continue
        budget[0] -= len(content)
        if len(content) > ITEM_BYTES_MAX or budget[0] < 0:
            raise LimitError(
                "the security store is too large",
                code="pdf.validation_data_large",
                limit=ITEM_BYTES_MAX,
            )
        if content:
            found.append(content)
    return tuple(found)
