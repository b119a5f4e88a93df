"""What every check is given: the opened bundle, the verifier's trust, and facts read once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from arbitration.model import Bundle, Event
from arbitration.policy import Trust
from arbitration.stages import Stage, stages_of
from arbitration.timestamps import MALFORMED
from ledger.core.errors import InputError, VerificationError
from ledger.core.report import Report
from ledger.core.units import parse_utc
from ledger.receipt_checking import verify_receipt
from signing.pdf_reading import signatures_of
from signing.reading import RecordedEdit, SignatureFacts
from signing.trust import PkiTrust
from signing.validate import validate_pdf

FILLED: Final = "document.filled"
"""Entry of a signer who filled fields of the form before signing."""
TOLERANCE: Final = timedelta(minutes=2)
"""Clocks of the API, the worker and the time-stamp authority; entries carry whole seconds."""


@dataclass(frozen=True, slots=True)
class Context:
    """One verification.

    Attributes:
        at: when it is verified; nothing in a bundle may be younger.
        pki: the pinned roots with the bundle's own revocation lists added, which are signed.
        pdf: `validate_pdf` of the final revision.
        signatures: `signatures_of` the final revision; empty where it cannot be read.
        receipts: the report of `verify_receipt` for each of `bundle.receipts`, in that order.
    """

    bundle: Bundle
    trust: Trust | None
    at: datetime
    pki: PkiTrust
    pdf: Report
    signatures: tuple[SignatureFacts, ...]
    receipts: tuple[Report, ...]
    nested: Mapping[str, Report] = field(default_factory=dict)
    """Path -> report of each bundle inside a donation's bundle."""

    @property
    def stages(self) -> tuple[Stage, ...] | None:
        """What publication demanded; None where no opened entry says it."""
        return stages_of(
            self.agreement_events("agreement.staged"), self.agreement_events("signer.forwarded")
        )

    @property
    def agreement_id(self) -> str:
        """Id of the agreement."""
        return str(self.bundle.agreement["id"])

    def agreement_events(self, kind: str) -> list[Event]:
        """Entries of one type about the agreement."""
        return self.bundle.of_type(kind, subject=self.agreement_id)

    def facts_of(self, field: str) -> SignatureFacts | None:
        """The signature in a field of the PDF, or None; two in one field are nobody's."""
        found = [facts for facts in self.signatures if facts.field == field]
        return found[0] if len(found) == 1 else None

    def certificate_row(self, certificate: str) -> Mapping[str, Any]:
        """The row of a certificate id in part 7.

        Raises:
            VerificationError: `bundle.reference`.
        """
        return pick(self.bundle.part(7)["certificates"], "id", certificate)

    def certificate_der(self, certificate: str) -> bytes:
        """The certificate behind an id in part 7."""
        return self.bundle.files[str(self.certificate_row(certificate)["path"])]

    def party(self, party: str) -> Mapping[str, Any]:
        """The row of a party in part 3."""
        return pick(self.bundle.part(3)["parties"], "id", party)


def open_context(bundle: Bundle, *, trust: Trust | None, at: datetime) -> Context:
    """Read the PDF and verify every receipt once, for all checks."""
    known = PkiTrust() if trust is None else trust.pki
    own = [bundle.files[path] for path in bundle.part(7)["crls"] if path in bundle.files]
    pki = PkiTrust(
        ca_roots=known.ca_roots,
        tsa_roots=known.tsa_roots,
        crls=(*known.crls, *own),
        labels=known.labels,
    )
    revisions = bundle.revisions()
    final = revisions[-1] if revisions else b""
    try:
        signatures = tuple(signatures_of(final))
    except InputError:
        # document.pdf and signer.roster say so.
        signatures = ()
    ledger = None if trust is None else trust.ledger
    return Context(
        bundle=bundle,
        trust=trust,
        at=at,
        pki=pki,
        pdf=validate_pdf(
            final,
            trust=pki,
            at=at,
            edits=recorded_edits(bundle),
            closed_edits=closed_edits(bundle),
        ),
        signatures=signatures,
        receipts=tuple(verify_receipt(one, trust=ledger) for one in bundle.receipts),
    )


def recorded_edits(bundle: Bundle) -> tuple[RecordedEdit, ...]:
    """Form fields that signers filled after earlier signatures, as the log says.

    An entry that is not opened, or not shaped as it must be, explains nothing; `document.fields` says so.
    """
    fields = {str(row["signer"]): str(row["field"]) for row in bundle.signers}
    found: list[RecordedEdit] = []
    for event in bundle.of_type(FILLED, subject=str(bundle.agreement["id"])):
        if event.body is None:
            continue
        with contextlib.suppress(*MALFORMED):
            digest = bytes.fromhex(str(event.body["revision_sha256"]))
            signed_in = fields[str(event.body["signer"])]
            found += [
                RecordedEdit(str(o["field"]), str(o["old"]), str(o["new"]), digest, signed_in)
                for o in event.body["fields"]
            ]
    return tuple(found)


def closed_edits(bundle: Bundle) -> int:
    """Steps that filled fields and whose contents this bundle keeps closed."""
    events = bundle.of_type(FILLED, subject=str(bundle.agreement["id"]))
    return sum(event.body is None for event in events)


def pick(rows: Sequence[Mapping[str, Any]], key: str, value: str) -> Mapping[str, Any]:
    """The one row whose `key` is `value`.

    Raises:
        VerificationError: `bundle.reference`.
    """
    found = [row for row in rows if row[key] == value]
    if len(found) != 1:
        raise VerificationError(
            f"{key} {value} does not name exactly one record", code="bundle.reference"
        )
    return found[0]


def words(value: object) -> frozenset[str]:
    """Codes given as a list or as text with commas."""
    if isinstance(value, str):
        return frozenset(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, list):
        return frozenset(str(word) for word in value)
    raise VerificationError("not a list of words", code="bundle.reference")


def time_of(value: object) -> datetime:
    """A time as it stands in a part or an entry."""
    return parse_utc(str(value))
