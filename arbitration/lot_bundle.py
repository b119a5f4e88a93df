"""Write `fuqi/lot-bundle/v1`: the way of one lot, for a party or for an arbitrator. Pure but for the seal.

The same contents, seal and time stamp give the same bytes. `arbitration.checks.all` judges what is read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbitration.bundle import Seal, Stamp, file_rows, seal_text
from arbitration.checks.lot_files import demanded_labels
from arbitration.container import pack
from arbitration.contents import Anchor, Label, Purpose
from arbitration.labels import labels_json
from arbitration.lot_model import (
    DISCLAIMER_EN,
    DISCLAIMER_ZH,
    LOT,
    LOT_BUNDLE_VERSION,
    lot_events,
    open_lot_files,
)
from arbitration.lot_story import tell
from arbitration.model import MANIFEST, NOTE, STAMP
from arbitration.parts import refuse_identity_number
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import utc_text


@dataclass(frozen=True, slots=True)
class LotParty:
    """An organisation that had to do with the lot."""

    id: str
    name: str
    category: str
    invented: bool


@dataclass(frozen=True, slots=True)
class LotKey:
    """The public key that a handler signed with: no name, no certificate."""

    certificate: str
    organisation: str
    person: str
    serial: str
    spki: bytes


@dataclass(frozen=True, slots=True)
class LotContents:
    """Everything a lot's bundle holds.

    Attributes:
        recipient: for whom, in words.
        organisation: whose bundle it is: its own acts are opened whole; None opens all (for an arbitrator).
        receipts: `fuqi/receipt/v1` of every entry about the lot, the line, its round and the people who signed,
            each subject from its first entry on, `anchor.evidence` null.
        anchors: every anchor a receipt names, once, with its evidence.
    """

    id: str
    lot: str
    made_at: datetime
    purpose: Purpose
    recipient: str
    organisation: str | None
    exported_by: str
    parties: tuple[LotParty, ...]
    keys: tuple[LotKey, ...]
    receipts: tuple[Mapping[str, Json], ...]
    anchors: tuple[Anchor, ...]
    demo: bool = False


def write_lot_bundle(contents: LotContents, *, seal: Seal, stamp: Stamp) -> bytes:
    """Lay out, label, stamp and seal.

    Raises:
        InputError: `bundle.contents`, `bundle.identity_number`, `bundle.receipt`, `bundle.anchor`,
            `bundle.path`, `bundle.limit`.
        Whatever `seal` and `stamp` raise.
    """
    files = _layout(contents)
    labels = demanded_labels(_draft(files), demo=contents.demo)
    sealed = _sealed(contents, files, labels, seal=seal, stamp=stamp)
    demanded = demanded_labels(open_lot_files(sealed), demo=contents.demo)
    if set(demanded) != set(labels):
        # The package's own time stamp brought a remark with it, e.g. of a built-in authority.
        sealed = _sealed(contents, files, demanded, seal=seal, stamp=stamp)
    return pack(sealed)


def _layout(contents: LotContents) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for receipt in contents.receipts:
        entry: Any = receipt["entry"]
        _put(files, f"receipts/{entry['id']}.json", receipt, code="bundle.receipt")
    for one in contents.anchors:
        anchor = dict(one.anchor)
        name = f"anchors/{anchor['chain_id']}-{anchor['size']}.json"
        _put(files, name, anchor, code="bundle.anchor")
    part: dict[str, Json] = {
        "lot": contents.lot,
        "for": contents.organisation,
        "exported_by": contents.exported_by,
        "parties": [
            {"id": one.id, "name": one.name, "category": one.category, "invented": one.invented}
            for one in sorted(contents.parties, key=lambda one: one.id)
        ],
        "keys": [
            {
                "certificate": one.certificate,
                "organisation": one.organisation,
                "person": one.person,
                "serial": one.serial,
                "spki": base64.b64encode(one.spki).decode(),
            }
            for one in sorted(contents.keys, key=lambda one: one.certificate)
        ],
        "places": [],
        "disclaimer_en": DISCLAIMER_EN,
        "disclaimer_zh": DISCLAIMER_ZH,
    }
    draft = _draft({**files, LOT: canonical_bytes(part)})
    try:
        part["places"] = tell(lot_events(draft)).held()
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError("the entries do not tell where units are", code="bundle.contents") from exc
    files[LOT] = canonical_bytes(part)
    for content in files.values():
        refuse_identity_number(content.decode("utf-8"))
    return files


def _put(files: dict[str, bytes], path: str, value: Mapping[str, Json], *, code: str) -> None:
    if path in files:
        raise InputError("one record stands twice", code=code)
    files[path] = canonical_bytes(dict(value))


def _draft(files: Mapping[str, bytes]) -> Any:
    try:
        return open_lot_files(files, draft=True)
    except VerificationError as exc:
        raise InputError(exc.message, code="bundle.contents") from exc


def _sealed(
    contents: LotContents,
    files: Mapping[str, bytes],
    labels: tuple[Label, ...],
    *,
    seal: Seal,
    stamp: Stamp,
) -> dict[str, bytes]:
    manifest = canonical_bytes(
        {
            "v": LOT_BUNDLE_VERSION,
            "bundle": contents.id,
            "lot": contents.lot,
            "for": contents.organisation,
            "made_at": utc_text(contents.made_at),
            "purpose": contents.purpose.value,
            "recipient": contents.recipient,
            "demo": contents.demo,
            "labels": labels_json(labels),
            "hash_algorithms": ["sha256"],
            "files": file_rows(files),
        }
    )
    token = stamp(hashlib.sha256(manifest).digest())
    complete = {**files, MANIFEST: manifest, STAMP: token}
    complete[NOTE] = seal(seal_text(contents.id, manifest=manifest, token=token)).encode("utf-8")
    return complete
