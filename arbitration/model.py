"""An opened bundle: files checked for shape, parts parsed, nothing believed yet."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from arbitration.parts import ALLOCATION, PARTS
from ledger.core.canonical import canonical_parse
from ledger.core.errors import InputError, VerificationError

BUNDLE_VERSION: Final = "fuqi/bundle/v1"
SEAL_FIRST_LINE: Final = "fuqi/bundle-seal/v1"
MANIFEST: Final = "manifest.json"
NOTE: Final = "seal/manifest.note"
STAMP: Final = "seal/manifest.tsr"
REPORT_JSON: Final = "report.json"
REPORT_HTML: Final = "report.html"
OUTSIDE_MANIFEST: Final = frozenset({MANIFEST, NOTE, STAMP})
"""The manifest cannot hold its own digest; the seal covers it, the time stamp and thereby the rest."""
KNOWN_FILES: Final = re.compile(
    "|".join(
        re.escape(path)
        for path in (*PARTS, ALLOCATION, MANIFEST, NOTE, STAMP, REPORT_JSON, REPORT_HTML)
    )
    + r"|documents/.+|certificates/[0-9a-f]{32}\.(?:der|crl)|timestamps/[0-9]{2,6}\.tsr"
    r"|receipts/[0-9a-z_]+\.json|anchors/[0-9]+-[0-9]+\.json"
)
"""Paths that an agreement's bundle has; `document.digests` holds the documents against the list of them."""
JSON_BYTES_MAX: Final = 8 * 1024 * 1024
"""A part or a receipt of the largest bundle stays far below; parsing costs several times its size."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry as it stands in a receipt.

    Attributes:
        index: place in the log; -1 where the receipt has none yet.
        leaf: leaf hash, hex, as the receipt states it (checked by `event.receipts`).
        body: the opened private body, or None.
    """

    id: str
    type: str
    at: str
    subject: str
    actor: str
    prev: str | None
    index: int
    leaf: str
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files by path, JSON files parsed, events in log order."""

    files: Mapping[str, bytes]
    json: Mapping[str, Any]
    events: tuple[Event, ...]

    @property
    def manifest(self) -> Mapping[str, Any]:
        """`manifest.json`."""
        value: Mapping[str, Any] = self.json[MANIFEST]
        return value

    def part(self, number: int) -> Any:
        """Part 1 to 16, parsed."""
        return self.json[PARTS[number - 1]]

    @property
    def receipts(self) -> tuple[Mapping[str, Any], ...]:
        """Every receipt, by path."""
        return tuple(value for path, value in self.json.items() if path.startswith("receipts/"))

    @property
    def anchors(self) -> tuple[Mapping[str, Any], ...]:
        """Every anchor with its evidence, by path."""
        return tuple(value for path, value in self.json.items() if path.startswith("anchors/"))

    @property
    def signers(self) -> list[Mapping[str, Any]]:
        """Rows of part 8."""
        return list(self.part(8))

    @property
    def agreement(self) -> Mapping[str, Any]:
        """The agreement's facts in part 9."""
        value: Mapping[str, Any] = self.part(9)["agreement"]
        return value

    def revisions(self) -> list[bytes]:
        """Bytes of every revision, oldest first."""
        return [self.files[row["path"]] for row in self.part(9)["revisions"]]

    def of_type(self, kind: str, *, subject: str | None = None) -> list[Event]:
        """Events of one type, in log order."""
        return [
            event
            for event in self.events
            if event.type == kind and (subject is None or event.subject == subject)
        ]


def parse_parts(files: Mapping[str, bytes], *, wanted: Collection[str]) -> dict[str, Any]:
    """Every JSON file parsed, by path.

    Args:
        wanted: paths that must be there.

    Raises:
        VerificationError: `bundle.part_missing`, `bundle.limit`, `bundle.part`.
    """
    missing = sorted(set(wanted) - set(files))
    if missing:
        raise VerificationError(
            f"{missing[0]} is missing", code="bundle.part_missing", path=missing[0]
        )
    parsed: dict[str, Any] = {}
    for path in sorted(files):
        if not path.endswith(".json"):
            continue
        if len(files[path]) > JSON_BYTES_MAX:
            raise VerificationError(f"{path} is too large", code="bundle.limit", path=path)
        try:
            parsed[path] = canonical_parse(files[path])
        except InputError as exc:
            raise VerificationError(
                f"{path} is not canonical JSON", code="bundle.part", path=path
            ) from exc
    return parsed


def foreign_files(files: Collection[str], *, known: re.Pattern[str]) -> list[str]:
    """Paths that the format does not have: who unpacks the bundle would take such a file for verified."""
    return sorted(path for path in files if known.fullmatch(path) is None)


def open_files(files: Mapping[str, bytes], *, draft: bool = False) -> Bundle:
    """Parse the files of a bundle.

    Args:
        files: as `container.unpack` gives them.
        draft: accept a bundle without manifest, seal and reports, while it is being written.

    Raises:
        VerificationError: `bundle.part_missing`, `bundle.part`, `bundle.version`, `bundle.receipt`.
    """
    wanted = set(PARTS) if draft else {*PARTS, MANIFEST, NOTE, STAMP, REPORT_JSON, REPORT_HTML}
    parsed = parse_parts(files, wanted=wanted)
    if not draft and (
        not isinstance(parsed[MANIFEST], dict) or parsed[MANIFEST].get("v") != BUNDLE_VERSION
    ):
        raise VerificationError("a manifest of an unknown version", code="bundle.version")
    receipts = [value for path, value in parsed.items() if path.startswith("receipts/")]
    events = sorted(
        (read_event(receipt) for receipt in receipts), key=lambda one: (one.index, one.id)
    )
    return Bundle(files=dict(files), json=parsed, events=tuple(events))


def read_event(receipt: Mapping[str, Any]) -> Event:
    """The entry of a receipt as it states it.

    Raises:
        VerificationError: `bundle.receipt`.
    """
    try:
        fields = canonical_parse(base64.b64decode(receipt["entry"]["bytes"], validate=True))
        if not isinstance(fields, dict):
            raise TypeError("entry")
        log, private = receipt["log"], receipt["private"]
        prev = fields["prev"]
        return Event(
            id=_text(fields["id"]),
            type=_text(fields["type"]),
            at=_text(fields["at"]),
            subject=_text(fields["subject"]),
            actor=_text(fields["actor"]),
            prev=None if prev is None else _text(prev),
            index=-1 if log is None else int(log["index"]),
            leaf=_text(receipt["entry"]["leaf"]),
            body=None if private is None else dict(private["body"]),
        )
    except (KeyError, TypeError, ValueError, binascii.Error, InputError) as exc:
        raise VerificationError("a receipt holds no entry", code="bundle.receipt") from exc


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value
