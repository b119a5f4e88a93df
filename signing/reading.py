"""Plain values that describe a signed PDF; shared by the signer and the verifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.core.canonical import Json
from signing.cms import SignedContainer, TimeStamp
from signing.render import Box


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """One signature value as it stands in the file; nothing here is a verdict.

    Attributes:
        order: 1-based, by the end of the signed revision.
        field: full name of the first field that holds it.
        fields: every field that holds it; more than one is a trick.
        kind: `signature` or `document_timestamp`.
        byte_range: four integers, or () where malformed.
        revision_size, revision_sha256: of the signed revision with its signature value.
        covers_file: whether the revision ends where the file ends.
        certificate: DER of the signer, b"" where unreadable.
        signed_attrs, signature: the bytes signed and the signature over them.
        timestamp_time: claimed by the embedded time stamp, not yet verified.
        container: the parsed signature container, None where unreadable.
        fault: stable word for what is wrong with the structure, "" for nothing.
        stamp: the parsed time stamp, None where there is none or it is unreadable.
    """

    order: int
    field: str
    fields: tuple[str, ...]
    kind: str
    subfilter: str
    byte_range: tuple[int, ...]
    revision_size: int
    revision_sha256: bytes
    covers_file: bool
    certificate: bytes
    chain: tuple[bytes, ...]
    signed_attrs: bytes
    signature: bytes
    contents: bytes
    digest_algorithm: str
    signature_algorithm: str
    timestamp_time: datetime | None
    timestamp_token: bytes
    container: SignedContainer | None
    fault: str
    stamp: TimeStamp | None = None


@dataclass(frozen=True, slots=True)
class RevisionFacts:
    """The first `size` bytes of the file, which once were the whole file.

    Attributes:
        number: 1-based.
        field: the signature that closes this revision, "" for none.
    """

    number: int
    size: int
    sha256: bytes
    field: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What pyHanko says about the changes behind one signature.

    Attributes:
        level: name of pyHanko's modification level; "SUSPICIOUS" where it refuses them.
        changed_fields: form fields that were changed.
        docmdp_ok: whether the signature's own policy allows the changes; None where not known.
        docmdp: permission 1 to 3 of that policy, 0 for none.
        revision: pyHanko's number of the signed revision, where the signature covers all of it.
        edits: (pyHanko's number of a later revision, form field that it changed).
    """

    level: str
    changed_fields: tuple[str, ...]
    docmdp_ok: bool | None
    docmdp: int
    revision: int | None = None
    edits: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedEdit:
    """A text field that a signer filled after an earlier signature, as a recorded step says it.

    Attributes:
        field: full name.
        old, new: its text before and after, "" for none.
        revision_sha256: of the file with the filled field, right before the filler's signature, 32 bytes.
        signed_in: signature field whose signature must stand right behind it; "" where any may.
    """

    field: str
    old: str
    new: str
    revision_sha256: bytes
    signed_in: str = ""

    def as_json(self) -> dict[str, Json]:
        """For another process; `from_json` is the way back."""
        return {
            "field": self.field,
            "old": self.old,
            "new": self.new,
            "revision_sha256": self.revision_sha256.hex(),
            "signed_in": self.signed_in,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> RecordedEdit:
        """As `as_json` wrote it."""
        texts = {key: str(value[key]) for key in ("field", "old", "new", "signed_in")}
        return cls(revision_sha256=bytes.fromhex(str(value["revision_sha256"])), **texts)


@dataclass(frozen=True, slots=True)
class Form:
    """Signature fields and their boxes in one state of the file."""

    empty: tuple[str, ...]
    filled: tuple[str, ...]
    other_fields: tuple[str, ...]
    boxes: dict[str, Box]
    pages: int
