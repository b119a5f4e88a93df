"""Bundles of a whole donation (`fuqi/donation-bundle/v1`): what is in the file, opened and not yet believed.

    manifest.json            every file's size and SHA-256, labels, purpose, for whom
    donation.json            the offers, who took part, where every unit is
    lots/lot_….zip           a bundle of each lot (`fuqi/lot-bundle/v1`), whole: it can be verified alone too
    agreements/agr_….zip     likewise of each agreement (`fuqi/bundle/v1`)
    certificates/lot_….pdf   the donation certificate of each lot that a hospital accepted; no fiscal receipt
    receipts/ anchors/       entries of the offers, of their lines and of the rounds that made those
    report.json report.html  the human report, rendered from the parts and nothing else
    seal/                    as in `fuqi/bundle/v1`

How many units there are is told by the entries alone: offered less in lines, in lines less in lots, and the
places of the lots as their own bundles tell them. `donation.json` repeats where that leads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from arbitration.model import (
    MANIFEST,
    NOTE,
    REPORT_HTML,
    REPORT_JSON,
    STAMP,
    Bundle,
    parse_parts,
    read_event,
)
from ledger.core.canonical import canonical_parse
from ledger.core.errors import InputError

DONATION_BUNDLE_VERSION: Final = "fuqi/donation-bundle/v1"
DONATION: Final = "donation.json"
DISCLAIMER_EN: Final = (
    "This package shows what became of the units of these offers and who signed for it. Units of lines that it "
    "does not hold count as not given. It is not a ruling and not a fiscal receipt, and it does not show what "
    "was recorded after its last entry. Names of hospitals beside lines are the platform's word; lots prove "
    "theirs."
)
DISCLAIMER_ZH: Final = (
    "本证据包载明所列供给每一件的去向及各方的签署；包内未列出的分配视为未分配。它不是裁决，也不是财政票据，"
    "亦不反映其最后一条记录之后的情况。分配旁的医院名称由平台注明，批次的收受方由其记录证明。"
)
LOTS_MAX: Final = 50
"""Each is verified with all its checks; more lots are told in several bundles."""
AGREEMENTS_MAX: Final = 50
"""An agreement's bundle takes a second to verify."""
OFFER_TYPES: Final = frozenset({"offer.posted", "offer.linked", "offer.withdrawn"})
LOTS: Final = "lots/"
AGREEMENTS: Final = "agreements/"
CERTIFICATES: Final = "certificates/"
SUFFIXES: Final[Mapping[str, str]] = {LOTS: ".zip", AGREEMENTS: ".zip", CERTIFICATES: ".pdf"}
KNOWN_FILES: Final = re.compile(
    r"donation\.json|manifest\.json|seal/manifest\.(?:note|tsr)|report\.(?:json|html)"
    r"|receipts/[0-9a-z_]+\.json|anchors/[0-9]+-[0-9]+\.json"
    r"|(?:lots/lot|agreements/agr)_[0-9a-z]+\.zip|certificates/lot_[0-9a-z]+\.pdf"
)
"""Paths that a donation's bundle has."""


def is_donation_bundle(files: Mapping[str, bytes]) -> bool:
    """Whether the manifest says so; everything else is found out by the checks."""
    try:
        manifest = canonical_parse(files[MANIFEST])
    except (KeyError, InputError):
        return False
    return isinstance(manifest, dict) and manifest.get("v") == DONATION_BUNDLE_VERSION


def open_donation_files(files: Mapping[str, bytes], *, draft: bool = False) -> Bundle:
    """Parse the files of a donation's bundle; the bundles inside stay closed.

    Args:
        draft: accept one without manifest, report and seal, while it is being written.

    Raises:
        VerificationError: `bundle.part_missing`, `bundle.part`, `bundle.limit`, `bundle.receipt`.
    """
    sealed = {MANIFEST, NOTE, STAMP, REPORT_JSON, REPORT_HTML}
    parsed = parse_parts(files, wanted={DONATION} if draft else {DONATION, *sealed})
    receipts = [value for path, value in parsed.items() if path.startswith("receipts/")]
    events = sorted((read_event(one) for one in receipts), key=lambda one: (one.index, one.id))
    return Bundle(files=dict(files), json=parsed, events=tuple(events))


def donation_part(bundle: Bundle) -> Mapping[str, Any]:
    """`donation.json`."""
    value: Mapping[str, Any] = bundle.json[DONATION]
    return value


def inside(bundle: Bundle, folder: str) -> dict[str, bytes]:
    """Id -> file of everything in a folder of the bundle; files of another kind are not told of."""
    suffix = SUFFIXES[folder]
    return {
        path[len(folder) : -len(suffix)]: data
        for path, data in bundle.files.items()
        if path.startswith(folder) and path.endswith(suffix)
    }
