"""Evidence out: receipts, trust files and bundles."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_visible
from api.flows.agreements import agreement_for
from api.flows.matched import match_facts, match_subjects, organisations_of_subject
from api.flows.parties import authorisation_of
from api.flows.signatures import pki_trust
from api.ports import Ports
from arbitration.bundle import write_bundle
from arbitration.contents import (
    Agreement,
    Allocation,
    Anchor,
    Archived,
    BundleContents,
    Certificate,
    Custody,
    Party,
    Platform,
    Purpose,
    Signer,
)
from arbitration.policy import Trust
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, NotFoundError
from ledger.core.ids import new_id, require_id
from ledger.core.report import Report
from ledger.cosigning import read_witnesses
from ledger.log import NewEntry, record
from ledger.queries import agreements as queries
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.receipts import (
    ChainPin,
    LedgerTrust,
    anchor_json,
    build_receipt,
    signed_status,
    verify_receipt,
)
from ledger.tables.acts import ChainActRow
from ledger.tables.agreements import AgreementRow, BundleRow, SignerRow
from ledger.tables.log import EntryRow
from ledger.tables.parties import AuthorisationRow, CertificateRow, PartyRow
from ledger.validator_seals import ValidatorPolicy
from ledger.vault import PrivateBody
from signing.certificates import split_chain
from signing.identity import Authorisation
from signing.validate import validate_pdf

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


def receipt_for(
    session: Session, ports: Ports, caller: Caller, entry_id: str, *, at: datetime | None = None
) -> dict[str, Json]:
    """The receipt of an entry that the caller may see, with its private body opened.

    Args:
        at: now; with it the log signs as of when it knew of nothing that ends or disputes the entry.

    Raises:
        NotFoundError: absent, or not about anything of the caller's.
    """
    row = session.get(EntryRow, entry_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_subject_visible(session, caller, row.subject)
    receipt = build_receipt(
        session, row, verifier=ports.log_key.verifier, private=ports.vault.get(session, row.id)
    )
    if at is not None:
        state = str(receipt["state"])
        receipt["status"] = signed_status(session, row, state=state, signer=ports.log_key, at=at)
    return receipt


def receipt_report(
    session: Session, ports: Ports, receipt: Mapping[str, Any], *, at: datetime
) -> Report:
    """What a verifier who pinned this installation finds in a receipt of ours."""
    trust = installation_trust(session, ports, at=at).ledger
    return verify_receipt(receipt, trust=trust, at=at)


def entries_about(session: Session, caller: Caller, subject: str) -> Sequence[EntryRow]:
    """Entries about a subject that the caller may see, oldest first, at most 500.

    Raises:
        NotFoundError: another organisation's, or nothing.
    """
    require_subject_visible(session, caller, subject)
    return log_queries.entries_of(session, [subject])


def require_subject_visible(session: Session, caller: Caller, subject: str) -> None:
    """Whether the caller may see entries about `subject`.

    Raises:
        NotFoundError: another organisation's, or nothing.
    """
    if caller.is_operator:
        return
    prefix = subject.partition("_")[0]
    if prefix == "agr":
        agreement_for(session, caller, subject)
        return
    if prefix == "pty" and subject in (caller.organisation_id, caller.person_id):
        return
    act = session.get(ChainActRow, subject) if prefix == "act" else None
    if act is not None:
        # What was done on the chain about a round is public; about anything else, as that is.
        if not act.subject.startswith("rnd_"):
            require_subject_visible(session, caller, act.subject)
        return
    require_visible(caller, *organisations_of_subject(session, subject))


def installation_trust(session: Session, ports: Ports, *, at: datetime) -> Trust:
    """What a stranger pins: our roots, our log key, the chain and contract that anchor us."""
    pins = chain_pins(session)
    setting = ports.settings.witnesses
    witnesses = None if setting is None else read_witnesses(setting)[0]
    ledger = LedgerTrust(verifier=ports.log_key.verifier, chains=pins, witnesses=witnesses)
    return Trust(pki=pki_trust(ports, at=at), ledger=ledger)


def chain_pins(session: Session) -> tuple[ChainPin, ...]:
    """The contract on each chain, described as the chain's own proven evidence describes it.

    Where blocks are sealed by validators, they are pinned as our node last named them.
    """
    pins = []
    for row in anchor_queries.deployments(session):
        anchor = anchor_queries.newest_on(session, row.chain_id)
        evidence = {} if anchor is None else json.loads(anchor.evidence)
        validators = evidence.get("validators")
        if evidence:
            pins.append(
                ChainPin(
                    chain_id=row.chain_id,
                    contract=row.address,
                    code_hash=row.code_hash,
                    kind=evidence["kind"],
                    label_en=evidence["label_en"],
                    label_zh=evidence["label_zh"],
                    validators=None
                    if validators is None
                    else ValidatorPolicy.from_json(validators),
                )
            )
    return tuple(pins)


def export_bundle(
    session: Session,
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

    The same bundle id again returns the same bytes.

    Raises:
        NotFoundError: absent or another organisation's.
        ConflictError: `bundle.not_formed`, `bundle.not_final` (wait for the worker, then ask again),
            `bundle.other_agreement`.
    """
    require_id(bundle_id, prefix="bun")
    agreement = visible_agreement(session, caller, agreement_id)
    existing = session.get(BundleRow, bundle_id)
    if existing is not None:
        if existing.subject != agreement_id:
            raise ConflictError(
                "this bundle id belongs to another agreement", code="bundle.other_agreement"
            )
        return existing, ports.blobs.get(existing.sha256)
    if agreement.formed_at is None:
        raise ConflictError(
            "a bundle is made once every party has signed",
            code="bundle.not_formed",
            state=agreement.state,
        )
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
    row = BundleRow(
        id=bundle_id,
        subject=agreement_id,
        sha256=ports.blobs.put(data),
        size_bytes=len(data),
        purpose=purpose.value,
        exported_by=caller.account_id,
        created_at=at,
    )
    session.add(row)
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="bundle.exported",
            at=at,
            subject=bundle_id,
            actor=caller.account_id,
            body={
                "bundle": bundle_id,
                "subject": agreement_id,
                "sha256": row.sha256,
                "purpose": purpose.value,
                "recipient": recipient,
            },
        ),
    )
    session.flush()
    return row, data


def visible_agreement(session: Session, caller: Caller, agreement_id: str) -> AgreementRow:
    """Parties and the operator; an arbitrator sees what a case has opened to it (later issue)."""
    if caller.has(Role.OPERATOR):
        row = session.get(AgreementRow, agreement_id)
        if row is None:
            raise NotFoundError("there is no such record")
        return row
    return agreement_for(session, caller, agreement_id)


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
    opened = _opened(session, ports, [agreement.id, *people, *match])
    _require_final(session, opened)
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
        agreement=_agreement(agreement),
        parties=tuple(_party(row) for row in people.values()),
        authorisations=_authorisations(session, opened),
        signers=tuple(_signer(row) for row in signers),
        certificates=tuple(_certificates(session, opened)),
        crls=trust.crls,
        original=ports.blobs.get(agreement.original_sha256),
        revisions=tuple(revisions),
        receipts=tuple(receipts),
        anchors=tuple(_anchors(session, receipts)),
        custody=Custody(
            exported_by=caller.account_id, legal_basis=LEGAL_BASIS, recipient=recipient
        ),
        allocation=None if facts is None else Allocation(facts=facts),
        validation=validate_pdf(revisions[-1], trust=trust, at=at).as_json(),
        demo=agreement.demo,
        archives=_archives(session, ports, agreement),
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


def _opened(session: Session, ports: Ports, subjects: Sequence[str]) -> list[Opened]:
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


def _require_final(session: Session, opened: Sequence[Opened]) -> None:
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


def _agreement(row: AgreementRow) -> Agreement:
    return Agreement(
        id=row.id,
        title=row.title,
        matter=row.matter,
        state=row.state,
        origin=row.origin,
        template=row.template,
        created_at=row.created_at,
        expires_at=row.expires_at,
        formed_at=row.formed_at,
        place_of_formation=row.place_of_formation,
        original_sha256=row.original_sha256,
        document_sha256=row.document_sha256,
        final_sha256=row.current_sha256,
        pages=row.pages,
        allocation=row.allocation_id,
    )


def _party(row: PartyRow) -> Party:
    return Party(
        id=row.id,
        kind=row.kind,
        category=row.category,
        name=row.name,
        number_masked=row.number_masked,
        level=row.level,
        level_reason=row.level_reason,
        invented=row.invented,
        place=row.place,
        receiving_system=row.receiving_system,
    )


def _authorisations(session: Session, opened: Sequence[Opened]) -> tuple[Authorisation, ...]:
    ids = {
        str(one.body["authorisation"]["id"])
        for one in opened
        if one.row.type == "signature.applied"
    }
    rows = [session.get(AuthorisationRow, one) for one in sorted(ids)]
    return tuple(authorisation_of(row) for row in rows if row is not None)


def _signer(row: SignerRow) -> Signer:
    assert row.certificate_id is not None
    assert row.authorisation_id is not None
    assert row.revision_sha256 is not None
    steps = (row.delivered_at, row.opened_at, row.read_at, row.consented_at, row.intent_at)
    done = [time for time in (*steps, row.signed_at) if time is not None]
    assert len(done) == len(steps) + 1, "a signed signer went through every step"
    delivered, opened, read, consented, intent, signed = done
    return Signer(
        id=row.id,
        position=row.position,
        role=row.role,
        organisation=row.organisation_id,
        person=row.person_id,
        field=row.field,
        certificate=row.certificate_id,
        authorisation=row.authorisation_id,
        revision_sha256=row.revision_sha256,
        delivered_at=delivered,
        opened_at=opened,
        read_at=read,
        consented_at=consented,
        intent_at=intent,
        signed_at=signed,
    )


def _certificates_named(opened: Sequence[Opened]) -> set[str]:
    return {
        str(one.body["certificate"])
        for one in opened
        if one.row.type in ("intent.expressed", "signature.applied")
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


def _anchors(session: Session, receipts: Sequence[Mapping[str, Any]]) -> list[Anchor]:
    wanted = sorted(
        {
            (int(one["anchor"]["chain_id"]), int(one["anchor"]["size"]))
            for one in receipts
            if one["anchor"] is not None
        }
    )
    rows = [anchor_queries.anchor_of(session, chain_id, size) for chain_id, size in wanted]
    return [Anchor(anchor_json(row, with_evidence=True)) for row in rows if row is not None]
