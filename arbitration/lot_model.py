"""Bundles of one lot (`fuqi/lot-bundle/v1`): what is in the file, opened for shape and not yet believed.

    manifest.json         every file's size and SHA-256, labels, purpose, for whom
    lot.json              who took part, the keys they signed with, where the units are
    receipts/ anchors/    as in `fuqi/bundle/v1`: one per entry, each anchor's evidence once
    seal/manifest.tsr, seal/manifest.note          likewise

Everything about units is told by the entries alone: opened whole, or by the fields of custody where the rest is
another party's own affair (`fuqi/disclosure/v1`). `lot.json` repeats where that leads and adds names and keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from arbitration.model import MANIFEST, NOTE, STAMP, Bundle, Event, parse_parts, read_event
from ledger.core.canonical import Json, canonical_parse
from ledger.core.errors import InputError, VerificationError

LOT_BUNDLE_VERSION: Final = "fuqi/lot-bundle/v1"
LOT: Final = "lot.json"
KNOWN_FILES: Final = re.compile(
    r"lot\.json|manifest\.json|seal/manifest\.(?:note|tsr)"
    r"|receipts/[0-9a-z_]+\.json|anchors/[0-9]+-[0-9]+\.json"
)
"""Paths that a lot's bundle has."""
DISCLAIMER_EN: Final = (
    "This package shows who signed what about these units. It is not a ruling and not a fiscal receipt, "
    "and it does not show what was recorded after its last entry."
)
DISCLAIMER_ZH: Final = (
    "本证据包载明各方就这些物资签署了什么；它不是裁决，也不是财政票据，"
    "亦不反映其最后一条记录之后的情况。"
)
WHOLE: Final = frozenset(
    {
        "lot.opened",
        "lot.packed",
        "lot.handed",
        "lot.inspected",
        "lot.received",
        "lot.rejected",
        "lot.retracted",
        "recall.opened",
        "recall.closed",
    }
)
"""Between the parties: open to everybody who had the lot in hand, with the signature."""
PARTLY: Final[Mapping[str, tuple[str, ...]]] = {
    "lot.unpacked": ("lot", "holder", "package", "quantity"),
    "lot.released": ("lot", "holder", "quantity", "outcome"),
    "lot.used": ("lot", "quantity", "used_at"),
    "discrepancy.opened": ("discrepancy", "lot", "handover", "kind", "quantity", "holder"),
    "discrepancy.answered": ("discrepancy", "lot", "late"),
    "discrepancy.settled": ("discrepancy", "lot", "outcome", "quantity", "late"),
    "purpose.asked": ("change", "lot"),
    "purpose.decided": ("change", "lot", "consent"),
    "fiscal.referenced": ("lot",),
}
"""A party's own: others are shown these fields, all that custody needs. No ward, no reason, no person."""
KEY_TYPES: Final = frozenset({"certificate.issued", "key.revoked"})
"""Of the people who signed only these are opened: no name, no number."""
LINE_TYPES: Final = frozenset(
    {
        "allocation.proposed",
        "allocation.accepted",
        "allocation.declined",
        "round.opened",
        "round.closed",
    }
)


def is_lot_bundle(files: Mapping[str, bytes]) -> bool:
    """Whether the manifest says so; everything else is found out by the checks."""
    try:
        manifest = canonical_parse(files[MANIFEST])
    except (KeyError, InputError):
        return False
    return isinstance(manifest, dict) and manifest.get("v") == LOT_BUNDLE_VERSION


def open_lot_files(files: Mapping[str, bytes], *, draft: bool = False) -> Bundle:
    """Parse the files of a lot's bundle.

    Args:
        draft: accept a bundle without manifest and seal, while it is being written.

    Raises:
        VerificationError: `bundle.part_missing`, `bundle.part`, `bundle.limit`, `bundle.receipt`.
    """
    wanted = {LOT} if draft else {LOT, MANIFEST, NOTE, STAMP}
    parsed = parse_parts(files, wanted=wanted)
    receipts = [value for path, value in parsed.items() if path.startswith("receipts/")]
    events = sorted((_shown(one) for one in receipts), key=lambda one: (one.index, one.id))
    return Bundle(files=dict(files), json=parsed, events=tuple(events))


def lot_part(bundle: Bundle) -> Mapping[str, Any]:
    """`lot.json`."""
    value: Mapping[str, Any] = bundle.json[LOT]
    return value


def lot_events(bundle: Bundle) -> tuple[Event, ...]:
    """Entries about the lot, in log order; a body holds what is shown of it."""
    lot = lot_part(bundle)["lot"]
    return tuple(one for one in bundle.events if one.subject == lot)


def _shown(receipt: Mapping[str, Any]) -> Event:
    """The entry with whatever is shown of its body: all, some fields, or nothing."""
    event = read_event(receipt)
    disclosed = receipt.get("disclosed")
    if event.body is not None or disclosed is None:
        return event
    try:
        fields: dict[str, Json] = {str(one["name"]): one["value"] for one in disclosed["fields"]}
    except (KeyError, TypeError) as exc:
        raise VerificationError("a receipt holds no entry", code="bundle.receipt") from exc
    return replace(event, body=fields)
