"""Evidence out: the bundle of a formed agreement.

Its contents are collected in one reading transaction and sealed by the log; the stamp is asked for while no
transaction is open, so that a slow authority holds no lock and a crash there leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.declarations import declared_licences
from api.files import SUFFIXES
from api.flows.bundles import (
    NewBundle,
    Opened,
    anchors_named,
    keep_bundle,
    made_before,
    open_entries,
    opened_subjects,
    require_final,
)
from api.flows.evidence import chain_pins, visible_agreement
from api.flows.exporting_letters import (
    letter_file,
    letters_of,
    opened_of_letter,
    signers_of_letters,
)
from api.flows.exporting_rows import agreement_part, party_part, signer_part
from api.flows.form_filling import recorded_edits
from api.flows.matched import match_facts, match_subjects
from api.flows.parties import authorisation_of
from api.flows.signatures import pki_trust
from api.ports import Ports
from arbitration.bundle import write_bundle
from arbitration.contents import (
    Allocation,
    Archived,
    Attachment,
    BundleContents,
    Certificate,
    Custody,
    Letter,
    Platform,
    Purpose,
)
from ledger.core.errors import ConflictError
from ledger.core.ids import require_id
from ledger.queries import agreements as queries
from ledger.queries import parties as party_queries
from ledger.queries.annexes import attachments_of
from ledger.receipts import (
    build_receipt,
)
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, BundleRow
from ledger.tables.parties import AuthorisationRow, CertificateRow
from signing.certificates import split_chain
from signing.identity import Authorisation
from signing.validate import validate_pdf

NAMING: Final = frozenset({"intent.expressed", "signature.applied", "ratification.decided"})
"""Entries that name the certificate which proves them."""
LEGAL_BASIS: Final = "当事人申请出证 export on a party's request"


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
            `bundle.other_agreement`, `bundle.overtaken` (ask again), `vault.restricted`.
        UnavailableError: the time-stamp authority does not answer; nothing is recorded.
    """
    require_id(bundle_id, prefix="bun")
    wanted = NewBundle(bundle_id, agreement_id, purpose, recipient, at)
    with transaction(ports.readers) as session:
        agreement = visible_agreement(session, caller, agreement_id)
        existing = made_before(session, ports, caller, wanted)
        if existing is not None:
            return existing
        if agreement.formed_at is None:
            raise ConflictError(
                "a bundle is made once every party has signed",
                code="bundle.not_formed",
                state=agreement.state,
            )
        stood = (agreement.state, agreement.current_sha256)
        contents = _contents(session, ports, caller, agreement, wanted=wanted)
    data = write_bundle(
        contents,
        seal=ports.log_key.sign_text,
        stamp=lambda imprint: ports.tsa.stamp(imprint, at=at),
    )

    def still(session: Session) -> None:
        queries.lock_agreement(session, agreement_id)
        now = visible_agreement(session, caller, agreement_id)
        if (now.state, now.current_sha256) != stood:
            raise OvertakenError("the agreement changed while its bundle was stamped; ask again")

    opened = opened_subjects(contents.receipts)
    return keep_bundle(ports, caller, wanted, data, opened=opened, still=still)


class OvertakenError(ConflictError):
    """Something changed between two transactions; the same request again goes through."""

    code = "bundle.overtaken"
    retryable = True


def _contents(
    session: Session,
    ports: Ports,
    caller: Caller,
    agreement: AgreementRow,
    *,
    wanted: NewBundle,
) -> BundleContents:
    at = wanted.at
    places = queries.all_places_of(session, agreement.id)
    signers = [one for one in places if one.signed_at is not None and one.forwarded_at is None]
    own = open_entries(session, ports, [agreement.id])
    letters = letters_of(session, own)
    letter_ids = [str(one.agreement_id) for one in letters]
    people = party_queries.parties_by_ids(
        session,
        [
            one
            for s in (*places, *signers_of_letters(session, letters))
            for one in (s.organisation_id, s.person_id)
        ],
    )
    match = match_subjects(session, agreement.allocation_id)
    opened = [
        *own,
        *open_entries(session, ports, [*people, *match]),
        *open_entries(session, ports, letter_ids),
    ]
    require_final(session, opened)
    certificates = _certificates_named(opened)
    acting = {s.person_id for s in (*places, *signers_of_letters(session, letters))}
    receipts = [
        build_receipt(
            session,
            one.row,
            verifier=ports.log_key.verifier,
            private=one.private
            if one.row.subject in match
            or opened_of_letter(one.row, letter_ids)
            or _concerns(one, agreement, acting, certificates)
            else None,
            with_evidence=False,
        )
        for one in opened
    ]
    revisions = [ports.blobs.get(row.sha256) for row in queries.revisions_of(session, agreement.id)]
    facts = match_facts([one.body for one in opened if one.row.subject in match])
    trust = pki_trust(ports, at=at)
    return BundleContents(
        id=wanted.id,
        made_at=at,
        purpose=wanted.purpose,
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
            exported_by=caller.account_id, legal_basis=LEGAL_BASIS, recipient=wanted.recipient
        ),
        allocation=None if facts is None else Allocation(facts=facts),
        validation=validate_pdf(
            revisions[-1], trust=trust, at=at, edits=recorded_edits(session, agreement.id)
        ).as_json(),
        demo=agreement.demo,
        archives=_archives(session, ports, agreement),
        letters=tuple(
            Letter(one.id, str(one.agreement_id), letter_file(session, ports, one))
            for one in letters
        ),
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


def _concerns(
    one: Opened, agreement: AgreementRow, acting: Collection[str], certificates: Collection[str]
) -> bool:
    """Whether a body is opened in the bundle: what concerns these places, nothing of anybody else."""
    if one.row.subject == agreement.id or one.row.type in ("party.registered", "identity.checked"):
        return True
    if one.row.type == "authorisation.granted":
        return str(one.body["authorisation"]["person"]) in acting
    if one.row.type == "certificate.issued":
        return one.body["certificate"] in certificates
    # Every revocation of the parties is opened: a closed one might be the signer's own.
    return one.row.type in ("authorisation.revoked", "key.revoked")


def _platform(session: Session, ports: Ports) -> Platform:
    labels = [f"{pin.label_zh} {pin.label_en}" for pin in chain_pins(session)]
    return Platform(
        operator=ports.settings.operator_name,
        software="fuqi",
        version=version("fuqi"),
        chain_operator="; ".join(labels) or "未部署",
        licences=declared_licences(ports.settings),
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
