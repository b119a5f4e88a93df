"""The state of one examination, shared by the stages of the verifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ledger.core.canonical import Json
from ledger.core.report import Check, Verdict
from signing.changes import ByteRange, RangeDigests, Scanned, byte_ranges, stops_of
from signing.reading import Difference, Form, SignatureFacts
from signing.trust import RevocationList


@dataclass
class Examined:
    """Everything known about the file while it is examined.

    Attributes:
        scanned: what a caller that wrote the file knows of its bytes already.
        strict: whether the parser needed no leniency.
        ranges, digests: read from the bytes once, used by several stages.
        differences: what changed behind each signature, by field.
        explained: (pyHanko's number of a revision, form field that it filled as a recorded step says)
            -> end of the revision that the filler signed.
        slices: form fields among them that show a slice of a page-edge seal, and nothing else.
        lists: revocation lists to judge by, pinned ones and those in the file; None before they are read.
    """

    data: bytes
    scanned: Scanned | None = None
    reader: Any = None
    strict: bool = False
    ranges: list[ByteRange] = field(default_factory=list)
    differences: dict[str, Difference] = field(default_factory=dict)
    digests: RangeDigests = field(init=False)
    signatures: list[SignatureFacts] = field(default_factory=list)
    form: Form | None = None
    explained: dict[tuple[int, str], int] = field(default_factory=dict)
    slices: list[str] = field(default_factory=list)
    lists: tuple[RevocationList, ...] | None = None
    checks: list[Check] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.digests = RangeDigests(self.data)

    def scan(self) -> None:
        """Read the byte ranges; the first thing done, and within the time limit."""
        if self.scanned is None:
            self.ranges = byte_ranges(self.data)
            self.digests = RangeDigests(self.data, stops=stops_of(self.ranges))
        else:
            self.ranges = byte_ranges(self.data, places=self.scanned.places)
            self.digests = self.scanned.digests.onto(self.data)

    @property
    def revisions(self) -> dict[int, int]:
        """End of each signed revision -> pyHanko's number of it, where it covers that revision."""
        return {
            item.revision_size: found.revision
            for item in self.signatures
            if item.revision_size
            and (found := self.differences.get(item.field)) is not None
            and found.revision is not None
        }

    def add(self, code: str, verdict: Verdict, en: str, zh: str, **details: Json) -> None:
        """Record one finding."""
        self.checks.append(Check(code, verdict, en, zh, dict(details)))
