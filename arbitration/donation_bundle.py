"""Write `fuqi/donation-bundle/v1`: what was given, to whom it went and how each unit is proven, in one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from arbitration.bundle import Seal, Stamp, file_rows, seal_text
from arbitration.checks.donation_files import demanded_labels
from arbitration.container import pack
from arbitration.contents import Anchor, Label, Purpose
from arbitration.donation_model import (
    AGREEMENTS,
    CERTIFICATES,
    DISCLAIMER_EN,
    DISCLAIMER_ZH,
    DONATION,
    DONATION_BUNDLE_VERSION,
    LOTS,
    open_donation_files,
)
from arbitration.donation_story import account_rows, tell_donation
from arbitration.labels import labels_json
from arbitration.lot_bundle import LotParty
from arbitration.model import MANIFEST, NOTE, REPORT_HTML, REPORT_JSON, STAMP, Bundle
from arbitration.parts import refuse_identity_number
from arbitration.report.donation import (
    DONATION_RENDERER,
    donation_report_html,
    donation_report_json,
)
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import utc_text


@dataclass(frozen=True, slots=True)
class DonationContents:
    """Everything a donation's bundle holds.

    Attributes:
        offers: ids, in order.
        organisation: the donor whose bundle it is; None for an operator's.
        hospitals: line -> name of its hospital.
        lots: lot id -> its bundle.   agreements: agreement id -> its bundle.
        certificates: lot id -> the donation certificate, PDF.
        receipts, anchors: as in a lot's bundle, about offers, lines and rounds.
    """

    id: str
    offers: tuple[str, ...]
    made_at: datetime
    purpose: Purpose
    recipient: str
    organisation: str | None
    exported_by: str
    parties: tuple[LotParty, ...]
    hospitals: Mapping[str, str]
    lots: Mapping[str, bytes]
    agreements: Mapping[str, bytes]
    certificates: Mapping[str, bytes]
    receipts: tuple[Mapping[str, Json], ...]
    anchors: tuple[Anchor, ...]
    demo: bool = False


def write_donation_bundle(contents: DonationContents, *, seal: Seal, stamp: Stamp) -> bytes:
    """Lay out, tell, label, render, stamp and seal.

    Raises:
        InputError: `bundle.contents`, `bundle.identity_number`, `bundle.receipt`, `bundle.anchor`,
            `bundle.path`, `bundle.limit`.
        Whatever `seal` and `stamp` raise.
    """
    files = _layout(contents)
    labels = demanded_labels(_draft(files), demo=contents.demo)
    sealed = _sealed(contents, files, labels, seal=seal, stamp=stamp)
    demanded = demanded_labels(_draft(sealed), demo=contents.demo)
    if set(demanded) != set(labels):
        # The package's own time stamp brought a remark with it, e.g. of a built-in authority.
        sealed = _sealed(contents, files, demanded, seal=seal, stamp=stamp)
    return pack(sealed)


def _layout(contents: DonationContents) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for receipt in contents.receipts:
        entry = receipt["entry"]
        assert isinstance(entry, dict)
        files[f"receipts/{entry['id']}.json"] = canonical_bytes(dict(receipt))
    if len(files) != len(contents.receipts):
        raise InputError("one record stands twice", code="bundle.receipt")
    for one in contents.anchors:
        anchor = dict(one.anchor)
        files[f"anchors/{anchor['chain_id']}-{anchor['size']}.json"] = canonical_bytes(anchor)
    inner = ((LOTS, "zip", contents.lots), (AGREEMENTS, "zip", contents.agreements))
    for folder, suffix, held in (*inner, (CERTIFICATES, "pdf", contents.certificates)):
        files |= {f"{folder}{name}.{suffix}": data for name, data in held.items()}
    part: dict[str, Json] = {
        "offers": list(contents.offers),
        "for": contents.organisation,
        "exported_by": contents.exported_by,
        "parties": [
            {"id": one.id, "name": one.name, "category": one.category, "invented": one.invented}
            for one in sorted(contents.parties, key=lambda one: one.id)
        ],
        "lines": [
            {"line": line, "hospital": name} for line, name in sorted(contents.hospitals.items())
        ],
        "account": [],
        "disclaimer_en": DISCLAIMER_EN,
        "disclaimer_zh": DISCLAIMER_ZH,
    }
    draft = _draft({**files, DONATION: canonical_bytes(part)})
    try:
        part["account"] = account_rows(tell_donation(draft).places())
    except (KeyError, TypeError, ValueError, VerificationError) as exc:
        raise InputError("the entries do not tell where units are", code="bundle.contents") from exc
    files[DONATION] = canonical_bytes(part)
    for path, content in files.items():
        if path.endswith(".json"):
            refuse_identity_number(content.decode("utf-8"))
    return files


def _draft(files: Mapping[str, bytes]) -> Bundle:
    try:
        return open_donation_files(files, draft=True)
    except VerificationError as exc:
        raise InputError(exc.message, code="bundle.contents") from exc


def _sealed(
    contents: DonationContents,
    files: Mapping[str, bytes],
    labels: tuple[Label, ...],
    *,
    seal: Seal,
    stamp: Stamp,
) -> dict[str, bytes]:
    head: dict[str, Json] = {
        "bundle": contents.id,
        "made_at": utc_text(contents.made_at),
        "purpose": contents.purpose.value,
        "labels": labels_json(labels),
    }
    facts = donation_report_json(_draft(files), head=head)
    complete = {
        **files,
        REPORT_JSON: canonical_bytes(facts),
        REPORT_HTML: donation_report_html(facts).encode("utf-8"),
    }
    manifest = canonical_bytes(
        {
            "v": DONATION_BUNDLE_VERSION,
            **head,
            "offers": list(contents.offers),
            "for": contents.organisation,
            "recipient": contents.recipient,
            "demo": contents.demo,
            "renderer": DONATION_RENDERER,
            "hash_algorithms": ["sha256"],
            "files": file_rows(complete),
        }
    )
    token = stamp(hashlib.sha256(manifest).digest())
    complete |= {MANIFEST: manifest, STAMP: token}
    complete[NOTE] = seal(seal_text(contents.id, manifest=manifest, token=token)).encode("utf-8")
    return complete
