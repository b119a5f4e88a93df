"""What goes into a bundle: plain values that a flow loads from rows, before any byte is laid out.

Times are aware UTC, cut to whole seconds when written. Nothing here holds a full identity number: people
carry a mask, and `write_bundle` refuses a bundle in which one is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.core.canonical import Json
from signing.identity import Authorisation


class Purpose(StrEnum):
    """What the bundle was made for."""

    ARBITRATION = "arbitration"
    COURT = "court"
    NOTARY = "notary"
    PARTY = "party"


@dataclass(frozen=True, slots=True)
class Label:
    """An honest remark. `code` is stable, e.g. `chain.embedded`."""

    code: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Platform:
    """Who made the bundle and what it runs (EV-17).

    Attributes:
        operator: name of whoever runs the installation.
        software, version: e.g. `fuqi`, `0.1.0`.
        chain_operator: who runs the chain's validators, in words.
        licences: licence and filing numbers the operator claims; empty = none, and the report says so.
    """

    operator: str
    software: str
    version: str
    chain_operator: str
    licences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement as its row has it; digests are SHA-256 in lower-case hex.

    Attributes:
        matter: what an authorisation must cover, e.g. `donation`.
        origin: `template` or `upload`.
        original_sha256: the file as uploaded or rendered.
        document_sha256: the file every party read and signs (signature fields placed); revision 0.
        final_sha256: the newest revision.
        allocation: id of the allocation it came from, or None.
    """

    id: str
    title: str
    matter: str
    state: str
    origin: str
    template: str | None
    created_at: datetime
    expires_at: datetime
    formed_at: datetime | None
    place_of_formation: str | None
    original_sha256: str
    document_sha256: str
    final_sha256: str
    pages: int
    allocation: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation or a person who acts for one.

    Attributes:
        kind: `organisation` or `person`.
        number_masked: never a full number for a person.
        level, level_reason: real-name level 0..3 and why it is no higher.
        invented: made for a demonstration.
        place: main place of business (ES-12).
        receiving_system: designated system (ES-11).
    """

    id: str
    kind: str
    category: str
    name: str
    number_masked: str | None
    level: int
    level_reason: str
    invented: bool
    place: str | None
    receiving_system: str | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signer's certificate with the chain above it, issuer first."""

    id: str
    serial: str
    person: str
    organisation: str
    der: bytes
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Signer:
    """One required signature and when each step towards it was done.

    Attributes:
        position: order of signing, from 1 upwards.
        field: name of the signature field in the PDF.
        certificate, authorisation: ids.
        revision_sha256: digest of the PDF right after this signature.
    """

    id: str
    position: int
    role: str
    organisation: str
    person: str
    field: str
    certificate: str
    authorisation: str
    revision_sha256: str
    delivered_at: datetime
    opened_at: datetime
    read_at: datetime
    consented_at: datetime
    intent_at: datetime
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Archived:
    """A later form of the final file: it begins with the same bytes and adds proofs (PAdES B-LTA)."""

    number: int
    data: bytes
    level: str
    stamped_at: datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to the agreement.

    Attributes:
        signer: id of the place that uploaded it, or None for the author's own.
        suffix: `pdf`, `jpg` or `png`.
    """

    id: str
    signer: str | None
    name: str
    media_type: str
    suffix: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of authority that somebody who acted relied on, as it was signed.

    Attributes:
        authorisation: id of what it grants.
        agreement: id of the agreement that the letter is.
    """

    authorisation: str
    agreement: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint on the chain: `ledger.receipts.anchor_json(row, with_evidence=True)`."""

    anchor: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where the agreement came from a match: the accepted line and its round.

    Attributes:
        facts: public facts of the allocation and the round, as the entries state them
            (`round`, `allocation`, `offer`, `need`, `quantity`, `inputs_sha256`, `policy_sha256`,
            `plan_sha256`, `certificate_sha256`, `objective`).
    """

    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Custody:
    """Who took the bundle out, on what basis, for whom (part 16)."""

    exported_by: str
    legal_basis: str
    recipient: str
    redactions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleContents:
    """Everything a bundle holds, before it is laid out.

    Attributes:
        revisions: every revision's bytes, oldest first; revision 0 is the document that was read.
        receipts: `fuqi/receipt/v1` of every entry about the agreement and about every party, each
            subject from its first entry on, with `anchor.evidence` null. Bodies are opened for every
            entry about the agreement and, of the parties' entries, for `party.registered`,
            `identity.checked`, and those of `authorisation.*`, `certificate.issued` and `key.revoked`
            that concern these signers. Parts 4 to 6 (real names, consents, intents) are laid out
            from these bodies.
        anchors: every anchor a receipt names, once, with its evidence.
        crls: DER revocation lists of the authorities, the newest at export.
        labels: remarks to add; those that the evidence demands are added by the writer.
        validation: `Report.as_json()` of the final PDF at export, or None.
        demo: made for a demonstration.
        archives: the newest archived form of the final file, or none where there is none yet.
        attachments: files that belong to the agreement, as they were sent; none that was replaced.
        letters: of the authorities under which it was signed or ratified. Receipts of each letter's own
            entries are among `receipts`, opened where they say what was signed, by whom and when.
    """

    id: str
    made_at: datetime
    purpose: Purpose
    platform: Platform
    agreement: Agreement
    parties: tuple[Party, ...]
    authorisations: tuple[Authorisation, ...]
    signers: tuple[Signer, ...]
    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    original: bytes
    revisions: tuple[bytes, ...]
    receipts: tuple[Mapping[str, Json], ...]
    anchors: tuple[Anchor, ...]
    custody: Custody
    allocation: Allocation | None = None
    labels: tuple[Label, ...] = ()
    validation: Mapping[str, Json] | None = None
    demo: bool = False
    archives: tuple[Archived, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    letters: tuple[Letter, ...] = ()
