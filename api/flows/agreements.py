"""Agreements: make the document, publish and deliver it, open, read, decline, withdraw.

Every step is a row change and an entry in the same transaction; a step done twice is recorded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import OPERATOR, Caller, require_organisation, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.parties import authorisation_of
from api.ports import Ports
from ledger.core.canonical import Json, sha256
from ledger.core.errors import ForbiddenError, InputError, NotFoundError
from ledger.core.ids import derived_id, new_id, require_id
from ledger.core.units import digest32, utc_text
from ledger.log import NewEntry, record
from ledger.queries import agreements as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, RevisionRow, SignerRow
from ledger.tables.parties import AuthorisationRow, PartyRow
from signing import agreement as rules
from signing.appearance import FieldSpec
from signing.identity import require_authority
from signing.pdf import PdfFacts, PdfLimits, intake, place_fields, stamp_demo_mark
from signing.templates.library import render

CONSENT_VERSION: Final = "fuqi/e-form-consent/v1"
EXPIRY_MAX: Final = timedelta(days=365)
TITLE_CHARACTERS_MAX: Final = 120
READ_SECONDS_MAX: Final = 86_400
_OPEN_STATES: Final = (rules.State.PUBLISHED.value, rules.State.SIGNING.value)


@dataclass(frozen=True, slots=True)
class SignerSpec:
    """Who signs: the organisation bound, the handler who acts for it, and in what role."""

    organisation_id: str
    person_id: str
    role: str


@dataclass(frozen=True, slots=True)
class NewAgreement:
    """What both kinds of document have in common; signers sign in the given order."""

    id: str
    title: str
    matter: str
    signers: tuple[SignerSpec, ...]
    expires_at: datetime
    allocation_id: str | None = None
    place_of_formation: str | None = None


def create_from_template(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewAgreement,
    *,
    template: str,
    data: Mapping[str, Json],
    at: datetime,
) -> AgreementRow:
    """Render the document from a template and publish it to its signers.

    Raises:
        InputError: `template.*`, `font.*`, `agreement.*`.  NotFoundError: unknown party.
        ExistsWithDifferentFieldError: same id, other body.
    """
    existing = _existing(session, caller, new, {"template": template, "data": data})
    if existing is not None:
        return existing
    rendered = render(template, data=data, demo=ports.settings.demo)
    if len(rendered.fields) != len(new.signers):
        raise InputError(
            f"this template is signed by {len(rendered.fields)}", code="agreement.signers"
        )
    return _publish(
        session,
        ports,
        caller,
        new,
        original=rendered.pdf,
        unsigned=rendered.pdf,
        fields=rendered.fields,
        template=template,
        request={"template": template, "data": data},
        at=at,
    )


def create_from_upload(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewAgreement,
    *,
    data: bytes,
    fields: Sequence[FieldSpec] = (),
    at: datetime,
) -> AgreementRow:
    """Take an uploaded PDF, place the signature fields and publish it to its signers.

    Args:
        fields: one box per signer in order; without them boxes are put in a row at the foot of the
            last page.

    Raises:
        InputError, LimitError: `pdf.*`, `agreement.*`.  NotFoundError: unknown party.
        ExistsWithDifferentFieldError: same id, other body.
    """
    request: dict[str, Json] = {
        "sha256": sha256(data).hex(),
        "fields": [[f.name, f.page, f.x, f.y, f.width, f.height] for f in fields],
    }
    existing = _existing(session, caller, new, request)
    if existing is not None:
        return existing
    facts = intake(data, limits=limits_of(ports))
    unsigned = stamp_demo_mark(data) if ports.settings.demo else data
    boxes = tuple(fields) or default_fields(facts, count=len(new.signers))
    if len(boxes) != len(new.signers):
        raise InputError("one signature field for each signer", code="agreement.fields")
    return _publish(
        session,
        ports,
        caller,
        new,
        original=data,
        unsigned=unsigned,
        fields=boxes,
        template=None,
        request=request,
        at=at,
    )


def limits_of(ports: Ports) -> PdfLimits:
    """The limits of this installation."""
    return PdfLimits(bytes_max=ports.settings.upload_bytes_max, pages_max=ports.settings.pages_max)


def default_fields(facts: PdfFacts, *, count: int) -> tuple[FieldSpec, ...]:
    """Boxes in a row at the foot of the last page, inside a margin of 36 points."""
    width_pt, _ = facts.page_sizes_pt[-1]
    room = (int(width_pt) - 72) // max(count, 1)
    if room < 90:
        raise InputError(
            "too many signers for one row; say where each field stands", code="agreement.fields"
        )
    return tuple(
        FieldSpec(
            name=f"party{i + 1}",
            page=facts.pages - 1,
            x=36 + i * room,
            y=36,
            width=min(room - 12, 200),
            height=64,
        )
        for i in range(count)
    )


def agreement_for(session: Session, caller: Caller, agreement_id: str) -> AgreementRow:
    """The agreement, if the caller's organisation takes part in it.

    Raises:
        NotFoundError: absent or another organisation's.
    """
    row = session.get(AgreementRow, agreement_id)
    if row is None:
        raise NotFoundError("there is no such record")
    signers = queries.signers_of(session, agreement_id)
    require_visible(
        caller, row.owner_organisation_id, *(signer.organisation_id for signer in signers)
    )
    return row


def signer_for(session: Session, caller: Caller, signer_id: str) -> tuple[AgreementRow, SignerRow]:
    """The caller's own place in an agreement; the sender never obtains somebody else's.

    Raises:
        NotFoundError: absent, or another person's.
    """
    signer = session.get(SignerRow, signer_id)
    if (
        signer is None
        or caller.person_id != signer.person_id
        or caller.organisation_id != signer.organisation_id
    ):
        raise NotFoundError("there is no such record")
    # Without the lock a withdrawal and the last signature could both go through on PostgreSQL.
    row = queries.lock_agreement(session, signer.agreement_id)
    assert row is not None
    session.refresh(signer)
    return row, signer


def state_of(session: Session, row: AgreementRow) -> rules.Agreement:
    """The rule-side value of the rows."""
    signers = queries.signers_of(session, row.id)
    by_field = {signer.field: signer for signer in signers}
    value = rules.draft(
        row.id,
        initiator=row.owner_organisation_id,
        signers=[
            rules.Signer(
                person=signer.person_id,
                organisation=signer.organisation_id,
                field=signer.field,
                order=signer.position,
            )
            for signer in signers
        ],
    )
    document = digest32(bytes.fromhex(row.document_sha256))
    value = rules.publish(
        value, document_sha256=document, expires_at=row.expires_at, at=row.created_at
    ).agreement
    for signer in signers:
        if signer.consented_at is not None:
            value = rules.consent(
                value, party=signer.organisation_id, at=signer.consented_at
            ).agreement
    base = document
    for rule_signer in value.signers:
        signer = by_field[rule_signer.field]
        if signer.signed_at is None or signer.revision_sha256 is None:
            break
        revision = digest32(bytes.fromhex(signer.revision_sha256))
        value = rules.sign(
            value,
            person=signer.person_id,
            field=signer.field,
            document_sha256=document,
            base_sha256=base,
            revision_sha256=revision,
            at=signer.signed_at,
        ).agreement
        base = revision
    state = rules.State(row.state)
    if state in rules.FINAL_STATES and state is not rules.State.FORMED:
        value = replace(value, state=state, ended_at=row.ended_at, end_reason=row.ended_reason)
    return value


def open_document(
    session: Session, ports: Ports, caller: Caller, signer_id: str, *, at: datetime
) -> SignerRow:
    """The signer opens the document: it has reached the designated system and a person sees it."""
    row, signer = signer_for(session, caller, signer_id)
    if signer.opened_at is None:
        signer.opened_at = at
        record_step(
            session,
            ports,
            caller,
            row,
            "document.opened",
            {"signer": signer.id, "by": signer.person_id, "sha256": row.document_sha256},
            at=at,
        )
    return signer


def read_document(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    pages: int,
    seconds: int,
    at: datetime,
) -> SignerRow:
    """The signer has read all pages; `seconds` is how long the pages were open, as the client saw it.

    Raises:
        InputError: `agreement.not_all_pages`, `agreement.read_seconds`.
    """
    row, signer = signer_for(session, caller, signer_id)
    if signer.read_at is not None:
        return signer
    if pages != row.pages:
        raise InputError(
            f"all {row.pages} pages are read before signing",
            code="agreement.not_all_pages",
            pages=row.pages,
        )
    if not 0 <= seconds <= READ_SECONDS_MAX:
        raise InputError("seconds of reading within one day", code="agreement.read_seconds")
    open_document(session, ports, caller, signer_id, at=at)
    signer.read_at = at
    record_step(
        session,
        ports,
        caller,
        row,
        "document.read",
        {
            "signer": signer.id,
            "by": signer.person_id,
            "sha256": row.document_sha256,
            "pages": pages,
            "seconds": seconds,
        },
        at=at,
    )
    return signer


def decline(
    session: Session, ports: Ports, caller: Caller, signer_id: str, *, reason: str, at: datetime
) -> AgreementRow:
    """A signer refuses, with a reason. Cannot be undone: a new agreement is made instead.

    Raises:
        ConflictError: `agreement.*`.  InputError: `agreement.reason`.
    """
    row, signer = signer_for(session, caller, signer_id)
    step = rules.decline(state_of(session, row), person=signer.person_id, reason=reason, at=at)
    return _close(session, ports, caller, row, step, reason=reason, by=signer.person_id, at=at)


def withdraw(
    session: Session, ports: Ports, caller: Caller, agreement_id: str, *, reason: str, at: datetime
) -> AgreementRow:
    """The initiating organisation takes it back before completion. Cannot be undone.

    Raises:
        ForbiddenError: `agreement.not_initiator`.  ConflictError: `agreement.closed`.
    """
    queries.lock_agreement(session, agreement_id)
    row = agreement_for(session, caller, agreement_id)
    party = require_organisation(caller)
    step = rules.withdraw(state_of(session, row), party=party, reason=reason, at=at)
    return _close(session, ports, caller, row, step, reason=reason, by=party, at=at)


def expire_due(session: Session, ports: Ports, *, at: datetime, limit: int = 50) -> int:
    """Close agreements whose time is over; for the worker. Returns how many."""
    rows = queries.due_agreements(session, at=at, limit=limit)
    for found in rows:
        row = queries.lock_agreement(session, found.id)
        if row is None or row.state not in _OPEN_STATES:
            continue
        step = rules.expire(state_of(session, row), at=at)
        row.state = step.agreement.state.value
        row.ended_at = step.agreement.ended_at
        for event in step.events:
            record_step(
                session,
                ports,
                OPERATOR,
                row,
                event,
                {"expires_at": utc_text(row.expires_at)},
                at=at,
            )
    return len(rows)


def authority_at(
    session: Session, signer: SignerRow, *, matter: str, act: str, at: datetime
) -> AuthorisationRow:
    """An authorisation of the signer's organisation that covers this act now.

    Raises:
        ForbiddenError: `authority.none`, or what the newest authorisation lacks (`authority.*`).
    """
    held = party_queries.authorisations_of(
        session, organisation_id=signer.organisation_id, person_id=signer.person_id
    )
    fault: ForbiddenError | None = None
    for row in held:
        try:
            require_authority(
                authorisation_of(row),
                act=act,
                matter=matter,
                at=at,
                organisation=signer.organisation_id,
                person=signer.person_id,
            )
        except ForbiddenError as exc:
            fault = fault or exc
        else:
            return row
    raise fault or ForbiddenError(
        "this person holds no authority of this organisation", code="authority.none"
    )


def _existing(
    session: Session, caller: Caller, new: NewAgreement, request: Mapping[str, Json]
) -> AgreementRow | None:
    require_id(new.id, prefix="agr")
    row = session.get(AgreementRow, new.id)
    if row is None:
        return None
    require_visible(caller, row.owner_organisation_id)
    require_same(row.fingerprint, _fields(new, request), id=new.id)
    return row


def _fields(new: NewAgreement, request: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "title": new.title,
        "matter": new.matter,
        "signers": [[s.organisation_id, s.person_id, s.role] for s in new.signers],
        "expires_at": utc_text(new.expires_at),
        "allocation_id": new.allocation_id,
        "place_of_formation": new.place_of_formation,
        **request,
    }


def _publish(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewAgreement,
    *,
    original: bytes,
    unsigned: bytes,
    fields: Sequence[FieldSpec],
    template: str | None,
    request: Mapping[str, Json],
    at: datetime,
) -> AgreementRow:
    owner = _require_owner(caller, new)
    _require_new(new, at=at)
    people = _require_parties(session, new)
    document = place_fields(unsigned, fields)
    facts = intake(document, limits=limits_of(ports))
    rules.publish(
        rules.draft(
            new.id,
            initiator=owner,
            signers=[
                rules.Signer(s.person_id, s.organisation_id, f.name, order)
                for order, (s, f) in enumerate(zip(new.signers, fields, strict=True), start=1)
            ],
        ),
        document_sha256=digest32(facts.sha256),
        expires_at=new.expires_at,
        at=at,
    )
    # Files first: a crash here leaves files nothing refers to, never a row without its file.
    original_sha256 = ports.blobs.put(original)
    document_sha256 = ports.blobs.put(document)
    row = AgreementRow(
        id=new.id,
        title=new.title.strip(),
        matter=new.matter,
        origin="upload" if template is None else "template",
        template=template,
        allocation_id=new.allocation_id,
        owner_organisation_id=owner,
        state=rules.State.PUBLISHED.value,
        original_sha256=original_sha256,
        document_sha256=document_sha256,
        current_sha256=document_sha256,
        pages=facts.pages,
        fingerprint=fingerprint(_fields(new, request)),
        demo=ports.settings.demo,
        place_of_formation=new.place_of_formation,
        expires_at=new.expires_at,
        created_at=at,
    )
    session.add(row)
    session.flush()
    session.add(
        RevisionRow(
            agreement_id=row.id,
            number=0,
            sha256=document_sha256,
            size_bytes=len(document),
            created_at=at,
        )
    )
    record_step(
        session,
        ports,
        caller,
        row,
        "document.finalised",
        {
            "title": row.title,
            "matter": row.matter,
            "allocation": row.allocation_id,
            "sha256": document_sha256,
            "original_sha256": original_sha256,
            "pages": facts.pages,
            "origin": row.origin,
            "template": template,
            "consent_version": CONSENT_VERSION,
            "demo": row.demo,
        },
        at=at,
    )
    for order, (spec, box) in enumerate(zip(new.signers, fields, strict=True), start=1):
        signer = SignerRow(
            id=derived_id("sig", at=at, seed=f"{new.id}/{order}"),
            agreement_id=row.id,
            position=order,
            role=spec.role,
            organisation_id=spec.organisation_id,
            person_id=spec.person_id,
            field=box.name,
            delivered_at=at,
        )
        session.add(signer)
        # Our own store is the designated receiving system of every registered party, so delivery is
        # entry into it; sent and received are the same moment of the same clock.
        record_step(
            session,
            ports,
            caller,
            row,
            "document.delivered",
            {
                "signer": signer.id,
                "from": owner,
                "to": spec.organisation_id,
                "system": people[spec.organisation_id].receiving_system or "fuqi",
                "channel": "fuqi",
                "sha256": document_sha256,
                "sent_at": utc_text(at),
                "received_at": utc_text(at),
            },
            at=at,
        )
    session.flush()
    return row


def _require_owner(caller: Caller, new: NewAgreement) -> str:
    """The initiating organisation: the caller's own, or for an operator the first signer's."""
    if caller.is_operator and new.signers:
        return new.signers[0].organisation_id
    return require_organisation(caller)


def _require_new(new: NewAgreement, *, at: datetime) -> None:
    if not 0 < len(new.title.strip()) <= TITLE_CHARACTERS_MAX:
        raise InputError(
            f"a title has 1 to {TITLE_CHARACTERS_MAX} characters", code="agreement.title"
        )
    if new.expires_at - at > EXPIRY_MAX:
        raise InputError("an agreement is open for a year at most", code="agreement.expiry")


def _require_parties(session: Session, new: NewAgreement) -> dict[str, PartyRow]:
    ids = [one for s in new.signers for one in (s.organisation_id, s.person_id)]
    people = party_queries.parties_by_ids(session, ids)
    for signer in new.signers:
        organisation = people.get(signer.organisation_id)
        person = people.get(signer.person_id)
        if organisation is None or organisation.kind != "organisation":
            raise NotFoundError("there is no such organisation", code="party.not_found")
        if person is None or person.kind != "person":
            raise NotFoundError("there is no such person", code="party.not_found")
        held = party_queries.authorisations_of(
            session, organisation_id=organisation.id, person_id=person.id
        )
        if not held:
            raise ForbiddenError(
                "a named handler holds no authority of that organisation", code="authority.none"
            )
    return people


def _close(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    step: rules.Step,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> AgreementRow:
    row.state = step.agreement.state.value
    row.ended_at = step.agreement.ended_at
    row.ended_reason = reason.strip()[: rules.REASON_CHARS_MAX]
    for event in step.events:
        record_step(
            session, ports, caller, row, event, {"by": by, "reason": row.ended_reason}, at=at
        )
    return row


def record_step(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    kind: str,
    body: Mapping[str, Json],
    *,
    at: datetime,
) -> None:
    """Journal one step of an agreement in the caller's transaction."""
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type=kind,
            at=at,
            subject=row.id,
            actor=caller.account_id,
            body={"agreement": row.id, **body},
        ),
    )
