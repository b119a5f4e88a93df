"""Evidence out: the bundle of a formed agreement.

Its contents are collected in one reading transaction and sealed by the log; the stamp is asked for while no
transaction is open, so that a slow authority holds no lock and a crash there leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.files import SUFFIXES
from api.flows.evidence import chain_pins, visible_agreement
from api.flows.exporting_rows import agreement_part, party_part, signer_part
from api.flows.matched import match_facts, match_subjects
from api.flows.parties import authorisation_of
from api.flows.signatures import pki_trust
from api.ports import Ports
from arbitration.bundle import write_bundle
from arbitration.contents import (
    Allocation,
    Anchor,
    Archived,
    Attachment,
    BundleContents,
    Certificate,
    Custody,
    Platform,
    Purpose,
)
from ledger.core.errors import ConflictError
from ledger.core.ids import new_id, require_id
from ledger.log import NewEntry, record
from ledger.queries import agreements as queries
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.queries.annexes import attachments_of
from ledger.receipts import (
    anchor_json,
    build_receipt,
)
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, BundleRow, SignerRow
from ledger.tables.log import EntryRow
from ledger.tables.parties import AuthorisationRow, CertificateRow
from ledger.vault import PrivateBody
from signing.certificates import split_chain
from signing.identity import Authorisation
from signing.validate import validate_pdf

NAMING: Final = frozenset({"intent.expressed", "signature.applied", "ratification.decided"})
"""Entries that name the certificate which proves them."""
LEGAL_BASIS: Final = "当事人申请出证 export on a party's request"


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry with its private body."""

    row: EntryRow
    private: PrivateBody

    @property
    def body(self) -> Mapping[str, Any]:
        """The private body."""
        return self.private.body


def export_bundle(
    ports: Ports,
    caller: Caller,
    *,
    agreement_id: str,
    bundle_id: str,
    purpose: Purpose,
    recipient: str,
    at: datetime,
) -> tuple[BundleRow, bytes]:
    """Make the evidence bundle of a formed agreement whose entries are all final.

    The same bundle id again returns the same bytes. A bundle says what stood when it was made: what is recorded
    while the authority stamps it goes into the next one.

    Raises:
        NotFoundError: absent or another organisation's.
        ConflictError: `bundle.not_formed`, `bundle.not_final` (wait for the worker, then ask again),
            `bundle.other_agreement`, `bundle.overtaken` (ask again).
        UnavailableError: the time-stamp authority does not answer; nothing is recorded.
    """
    require_id(bundle_id, prefix="bun")
    with transaction(ports.readers) as session:
        agreement = visible_agreement(session, caller, agreement_id)
        existing = _existing(session, ports, bundle_id, agreement_id)
        if existing is not None:
            return existing
        if agreement.formed_at is None:
            raise ConflictError(
                "a bundle is made once every party has signed",
                code="bundle.not_formed",
                state=agreement.state,
            )
        stood = (agreement.state, agreement.current_sha256)
        contents = _contents(
            session,
            ports,
            caller,
            agreement,
            bundle_id=bundle_id,
            purpose=purpose,
            recipient=recipient,
            at=at,
        )
    data = write_bundle(
        contents,
        seal=ports.log_key.sign_text,
        stamp=lambda imprint: ports.tsa.stamp(imprint, at=at),
    )
    # Files first: a crash here leaves a file nothing refers to, never a row without its file.
    sha256 = ports.blobs.put(data)
    with transaction(ports.sessions) as session:
        queries.lock_agreement(session, agreement_id)
        existing = _existing(session, ports, bundle_id, agreement_id)
        if existing is not None:
            return existing
        now = visible_agreement(session, caller, agreement_id)
        if (now.state, now.current_sha256) != stood:
            raise OvertakenError("the agreement changed while its bundle was stamped; ask again")
        row = BundleRow(
            id=bundle_id,
            subject=agreement_id,
            sha256=sha256,
            size_bytes=len(data),
            purpose=purpose.value,
            exported_by=caller.account_id,
            created_at=at,
        )
        session.add(row)
        record_export(session, ports, caller, row, recipient=recipient, at=at)
        session.flush()
        return row, data


class OvertakenError(ConflictError):
    """Something changed between two transactions; the same request again goes through."""

    code = "bundle.overtaken"
    retryable = True


def _existing(
    session: Session, ports: Ports, bundle_id: str, agreement_id: str
) -> tuple[BundleRow, bytes] | None:
    """The bundle that an earlier request with this id made.

    Raises:
        ConflictError: `bundle.other_agreement`.
    """
    row = session.get(BundleRow, bundle_id)
    if row is None:
        return None
    if row.subject != agreement_id:
        raise ConflictError(
            "this bundle id belongs to another agreement", code="bundle.other_agreement"
        )
    return row, ports.blobs.get(row.sha256)


def record_export(
    session: Session, ports: Ports, caller: Caller, row: BundleRow, *, recipient: str, at: datetime
) -> None:
    """Journal that a bundle left, for whom."""
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="bundle.exported",
            at=at,
            subject=row.id,
            actor=caller.account_id,
            body={
                "bundle": row.id,
                "subject": row.subject,
                "sha256": row.sha256,
                "purpose": row.purpose,
                "recipient": recipient,
            },
        ),
    )


def _contents(
    session: Session,
    ports: Ports,
    caller: Caller,
    agreement: AgreementRow,
    *,
    bundle_id: str,
    purpose: Purpose,
    recipient: str,
    at: datetime,
) -> BundleContents:
    places = queries.all_places_of(session, agreement.id)
    signers = [one for one in places if one.signed_at is not None and one.forwarded_at is None]
    people = party_queries.parties_by_ids(
        session, [one for s in places for one in (s.organisation_id, s.person_id)]
    )
    match = match_subjects(session, agreement.allocation_id)
    opened = open_entries(session, ports, [agreement.id, *people, *match])
    require_final(session, opened)
    certificates = _certificates_named(opened)
    receipts = [
        build_receipt(
            session,
            one.row,
            verifier=ports.log_key.verifier,
            private=one.private
            if one.row.subject in match or _concerns(one, agreement, places, certificates)
            else None,
            with_evidence=False,
        )
        for one in opened
    ]
    revisions = [ports.blobs.get(row.sha256) for row in queries.revisions_of(session, agreement.id)]
    facts = match_facts([one.body for one in opened if one.row.subject in match])
    trust = pki_trust(ports, at=at)
    return BundleContents(
        id=bundle_id,
        made_at=at,
        purpose=purpose,
        platform=_platform(session, ports),
        agreement=agreement_part(agreement),
        parties=tuple(party_part(row) for row in people.values()),
        authorisations=_authorisations(session, opened),
        signers=tuple(signer_part(row) for row in signers),
        certificates=tuple(_certificates(session, opened)),
        crls=trust.crls,
        original=ports.blobs.get(agreement.original_sha256),
        revisions=tuple(revisions),
        receipts=tuple(receipts),
        anchors=tuple(anchors_named(session, receipts)),
        custody=Custody(
            exported_by=caller.account_id, legal_basis=LEGAL_BASIS, recipient=recipient
        ),
        allocation=None if facts is None else Allocation(facts=facts),
        validation=validate_pdf(revisions[-1], trust=trust, at=at).as_json(),
        demo=agreement.demo,
        archives=_archives(session, ports, agreement),
        attachments=tuple(
            Attachment(
                id=one.id,
                signer=one.signer_id,
                name=one.name,
                media_type=one.media_type,
                suffix=SUFFIXES[one.media_type],
                data=ports.blobs.get(one.sha256),
            )
            for one in attachments_of(session, agreement.id)
        ),
    )


def _archives(session: Session, ports: Ports, agreement: AgreementRow) -> tuple[Archived, ...]:
    """The newest archived file: it holds every earlier one."""
    return tuple(
        Archived(
            number=row.number,
            data=ports.blobs.get(row.sha256),
            level=row.level,
            stamped_at=row.stamped_at,
        )
        for row in queries.archives_of(session, agreement.id)[-1:]
    )


def open_entries(session: Session, ports: Ports, subjects: Sequence[str]) -> list[Opened]:
    """Entries about these subjects with their private bodies, oldest first."""
    rows = log_queries.entries_of(session, subjects)
    return [Opened(row=row, private=ports.vault.get(session, row.id)) for row in rows]


def _concerns(
    one: Opened, agreement: AgreementRow, places: Sequence[SignerRow], certificates: Collection[str]
) -> bool:
    """Whether a body is opened in the bundle: what concerns these places, nothing of anybody else."""
    if one.row.subject == agreement.id or one.row.type in ("party.registered", "identity.checked"):
        return True
    if one.row.type == "authorisation.granted":
        return str(one.body["authorisation"]["person"]) in {s.person_id for s in places}
    if one.row.type == "certificate.issued":
        return one.body["certificate"] in certificates
    # Every revocation of the parties is opened: a closed one might be the signer's own.
    return one.row.type in ("authorisation.revoked", "key.revoked")


def require_final(session: Session, opened: Sequence[Opened]) -> None:
    """Refuse while an entry is not under a final anchor.

    Raises:
        ConflictError: `bundle.not_final`.
    """
    final = anchor_queries.latest_final(session)
    size = 0 if final is None else final.checkpoint_size
    for one in opened:
        if one.row.seq is None or one.row.seq >= size:
            raise ConflictError(
                "some records are not final on the chain yet; ask again in a moment",
                code="bundle.not_final",
                entry=one.row.id,
            )


def _platform(session: Session, ports: Ports) -> Platform:
    labels = [f"{pin.label_zh} {pin.label_en}" for pin in chain_pins(session)]
    return Platform(
        operator=ports.settings.operator_name,
        software="fuqi",
        version=version("fuqi"),
        chain_operator="; ".join(labels) or "未部署",
    )


def _authorisations(session: Session, opened: Sequence[Opened]) -> tuple[Authorisation, ...]:
    ids = {
        str(one.body["authorisation"]["id"])
        for one in opened
        if one.row.type == "signature.applied"
    }
    rows = [session.get(AuthorisationRow, one) for one in sorted(ids)]
    return tuple(authorisation_of(row) for row in rows if row is not None)


def _certificates_named(opened: Sequence[Opened]) -> set[str]:
    return {
        str(one.body["certificate"])
        for one in opened
        if one.row.type in NAMING and one.body.get("certificate") is not None
    }


def _certificates(session: Session, opened: Sequence[Opened]) -> list[Certificate]:
    """Every certificate that proved a statement or a signature about the agreement."""
    rows = [session.get(CertificateRow, one) for one in sorted(_certificates_named(opened))]
    return [
        Certificate(
            id=row.id,
            serial=row.serial,
            person=row.person_id,
            organisation=row.organisation_id,
            der=row.der,
            chain=split_chain(row.chain),
        )
        for row in rows
        if row is not None
    ]


def anchors_named(session: Session, receipts: Sequence[Mapping[str, Any]]) -> list[Anchor]:
    """Every anchor that these receipts name, once, with its evidence."""
    wanted = sorted(
        {
            (int(one["anchor"]["chain_id"]), int(one["anchor"]["size"]))
            for one in receipts
            if one["anchor"] is not None
        }
    )
    rows = [anchor_queries.anchor_of(session, chain_id, size) for chain_id, size in wanted]
    return [Anchor(anchor_json(row, with_evidence=True)) for row in rows if row is not None]
