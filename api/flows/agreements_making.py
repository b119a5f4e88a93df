"""Agreements made: the document from a template or an upload, its fields, publication and delivery.

Every step is a row change and an entry in the same transaction; a step done twice is recorded once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation, require_visible
from api.examining import examiner
from api.flows.agreements_acts import withdraw
from api.flows.agreements_rows import agreement_for, quorums_of, record_step
from api.flows.annexes import ClauseSpec, DemandSpec, attach, located
from api.flows.form_planning import FillSpec, fillers, plan, with_fields
from api.flows.idempotency import fingerprint, require_same
from api.flows.parties import LETTERS
from api.flows.verification_levels import require_publishable
from api.ports import Ports
from ledger.core.canonical import Json, sha256
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import derived_id, require_id
from ledger.core.units import digest32, utc_text
from ledger.queries import agreements as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, RevisionRow, SignerRow
from ledger.tables.parties import PartyRow
from signing import agreement as rules
from signing.appearance import FieldSpec
from signing.edge_plan import EdgeChoice, plan_edges
from signing.fonts import require_no_hidden
from signing.identity_policy import Need
from signing.pdf import PdfFacts, PdfLimits, intake, place_fields, stamp_demo_mark
from signing.placement import Anchor, Spot, lifted, place_boxes, require_clear
from signing.templates.library import default_clauses, render

CONSENT_VERSION: Final = "fuqi/e-form-consent/v1"
EXPIRY_MAX: Final = timedelta(days=365)
TITLE_CHARACTERS_MAX: Final = 120
READ_SECONDS_MIN_MAX: Final = 3_600
"""A demand above an hour would only teach people to leave the page open."""
AMOUNT_MINOR_MAX: Final = 10**15
"""Ten trillion yuan: no agreement here comes near, and sums stay far below 2**63."""
CURRENCY: Final = "CNY"
REVISED: Final = "由修订版本取代 replaced by a revised version"
RELATIONS: Final = frozenset({"releases", "amends", "renews", "revises"})


@dataclass(frozen=True, slots=True)
class SignerSpec:
    """Who acts: the organisation bound, the handler who acts for it, in what role and stage.

    Attributes:
        stage: 1 and up; 0 means one stage each, in the order of the list.
        act: `sign`, or `approve` for an internal approval before the seal is used.
    """

    organisation_id: str
    person_id: str
    role: str
    stage: int = 0
    act: str = "sign"


@dataclass(frozen=True, slots=True)
class NewAgreement:
    """What both kinds of document have in common; signers act in the order of their stages.

    Attributes:
        quorums: stage -> how many of its members must act (1 for any of them); others need all.
        amount_minor: fen.
        no_amount: the sender states that it is about no amount of money; one of the two is always stated, but
            for a letter of authority, whose limit stands in its text.
        relation, related_id: `releases`, `amends` or `renews` a formed agreement of the same parties.
        hand_out_partial: parties may take out the file before every signature stands.
        read_seconds_min: how long the document must be open before it counts as read.
        clauses: passages of the document that every signer of the other sides confirms one by one.
        attachments: files that were sent before (`api.flows.annexes.keep_file`).
        demands: files that signers are asked for.
        fillable: text fields of the document that signers may fill before they sign.
        point_out: also the clauses that the template carries by default (`default_clauses`).
        edges: along which edges room for page-edge seals is kept (`signing.edge_plan.EdgeChoice`).
    """

    id: str
    title: str
    matter: str
    signers: tuple[SignerSpec, ...]
    expires_at: datetime
    allocation_id: str | None = None
    place_of_formation: str | None = None
    quorums: Mapping[int, int] = field(default_factory=dict)
    amount_minor: int | None = None
    no_amount: bool = False
    relation: str | None = None
    related_id: str | None = None
    hand_out_partial: bool = False
    read_seconds_min: int = 0
    clauses: tuple[ClauseSpec, ...] = ()
    attachments: tuple[str, ...] = ()
    demands: tuple[DemandSpec, ...] = ()
    fillable: tuple[FillSpec, ...] = ()
    point_out: bool = False
    edges: str = EdgeChoice.AUTO.value

    @property
    def signing(self) -> tuple[SignerSpec, ...]:
        """Those who sign; the others approve and have no field in the file."""
        return tuple(one for one in self.signers if one.act == rules.Act.SIGN)


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
        InputError: `template.*`, `font.*`, `agreement.*`, `form.*`.  NotFoundError: unknown party.
        ExistsWithDifferentFieldError: same id, other body.
    """
    existing = _existing(session, caller, new, {"template": template, "data": data})
    if existing is not None:
        return existing
    rendered = render(template, data=data, demo=ports.settings.demo)
    pointed = default_clauses(template, data=data) if new.point_out else ()
    if len(rendered.fields) != len(new.signing):
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
        clauses=tuple(ClauseSpec(kind, text) for kind, text in pointed),
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
    places: Sequence[Anchor | Spot] = (),
    at: datetime,
) -> AgreementRow:
    """Take an uploaded PDF, place the signature fields and publish it to its signers.

    Args:
        fields: one box per signer in order; without them boxes are put in a row at the foot of the
            last page, or above what is printed there.
        places: where the boxes go instead, beside a text or at a spot, one per signer in order.

    Raises:
        InputError, LimitError: `pdf.*`, `agreement.*`, `placement.*`, `form.*`.
        NotFoundError: unknown party; `form.field_unknown`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    request: dict[str, Json] = {
        "sha256": sha256(data).hex(),
        "fields": [[f.name, f.page, f.x, f.y, f.width, f.height] for f in fields],
    }
    if places:
        request["places"] = [repr(one) for one in places]
    existing = _existing(session, caller, new, request)
    if existing is not None:
        return existing
    # A stranger's file: in a child process, with limits on time and memory.
    facts = examiner().take_in(data, limits=limits_of(ports))
    unsigned = stamp_demo_mark(data) if ports.settings.demo else data
    chosen = place_boxes(data, places) if places else tuple(fields)
    boxes = chosen or lifted(unsigned, default_fields(facts, count=len(new.signing)))
    if len(boxes) != len(new.signing):
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
        "signers": [
            [s.organisation_id, s.person_id, s.role, s.stage, s.act]
            if s.stage or s.act != rules.Act.SIGN
            else [s.organisation_id, s.person_id, s.role]
            for s in new.signers
        ],
        "expires_at": utc_text(new.expires_at),
        "allocation_id": new.allocation_id,
        "place_of_formation": new.place_of_formation,
        **_options(new),
        **request,
    }


def _options(new: NewAgreement) -> dict[str, Json]:
    """What differs from the plain case; a retry of an earlier version's request is still the same."""
    given: dict[str, Json] = {
        "quorums": {str(stage): need for stage, need in new.quorums.items()} or None,
        "amount_minor": new.amount_minor,
        "no_amount": new.no_amount or None,
        "relation": new.relation,
        "related_id": new.related_id,
        "hand_out_partial": new.hand_out_partial or None,
        "read_seconds_min": new.read_seconds_min or None,
        "clauses": [[one.kind, one.text, one.explanation] for one in new.clauses] or None,
        "attachments": list(new.attachments) or None,
        "point_out": new.point_out or None,
        "edges": None if new.edges == EdgeChoice.AUTO else new.edges,
        "demands": [[one.signer, one.label, one.required] for one in new.demands] or None,
        "fillable": [
            [one.name, one.signer, one.label, one.required, repr(one.place)] for one in new.fillable
        ]
        or None,
    }
    return {name: value for name, value in given.items() if value is not None}


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
    clauses: tuple[ClauseSpec, ...] = (),
) -> AgreementRow:
    owner = _require_owner(caller, new)
    _require_new(new, at=at)
    people = _require_parties(session, new)
    need = require_publishable(
        session,
        ports,
        matter=new.matter,
        amount=new.amount_minor,
        signers=[(one.organisation_id, one.person_id) for one in new.signers],
        at=at,
    )
    related = require_related(session, caller, new)
    if related is not None and new.relation == "revises":
        # Every signature on the earlier text is void: whoever signs sees the difference and decides anew.
        withdraw(session, ports, caller, related.id, reason=REVISED, at=at)
    pointed = located((*clauses, *new.clauses), original)
    places = _places(new, fields)
    fillable = fillers(new.fillable, places)
    empty = with_fields(unsigned, new.fillable)
    # Room for everybody's page-edge seal, kept before anybody signs: later no box may be added.
    edges = plan_edges(
        empty,
        fields=fields,
        wanted=[one.name for one in fields],
        choice=EdgeChoice(new.edges),
    )
    document = place_fields(empty, fields, fillable=fillable, edges=edges)
    require_clear(empty, fields)
    facts = intake(document, limits=limits_of(ports))
    rules.publish(
        rules.draft(new.id, initiator=owner, signers=places, quorums=new.quorums),
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
        quorums=json.dumps({str(stage): need for stage, need in sorted(new.quorums.items())}),
        amount_minor=new.amount_minor,
        currency=None if new.amount_minor is None else CURRENCY,
        no_amount=new.no_amount,
        relation=new.relation,
        related_id=new.related_id,
        hand_out_partial=new.hand_out_partial,
        read_seconds_min=new.read_seconds_min,
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
    signers = [
        SignerRow(
            id=derived_id("sig", at=at, seed=f"{new.id}/{number}"),
            agreement_id=row.id,
            position=number,
            stage=place.order,
            act=place.act.value,
            role=spec.role,
            organisation_id=spec.organisation_id,
            person_id=spec.person_id,
            field=place.field,
            delivered_at=at,
        )
        for number, (spec, place) in enumerate(zip(new.signers, places, strict=True), start=1)
    ]
    _record_stages(session, ports, caller, row, signers, need=need, at=at)
    session.add_all(signers)
    session.flush()
    attach(
        session,
        ports,
        caller,
        row,
        signers,
        clauses=pointed,
        files=new.attachments,
        demands=new.demands,
        fields=plan(session, row, document, new.fillable, places),
        at=at,
    )
    for signer in signers:
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
                "to": signer.organisation_id,
                "system": people[signer.organisation_id].receiving_system or "fuqi",
                "channel": "fuqi",
                "sha256": document_sha256,
                "sent_at": utc_text(at),
                "received_at": utc_text(at),
            },
            at=at,
        )
    session.flush()
    return row


def _places(new: NewAgreement, fields: Sequence[FieldSpec]) -> list[rules.Signer]:
    """The places in the order of the list; an approver has a name but no field in the file."""
    boxes = iter(fields)
    places = []
    for number, one in enumerate(new.signers, start=1):
        act = rules.Act(one.act)
        places.append(
            rules.Signer(
                person=one.person_id,
                organisation=one.organisation_id,
                field=next(boxes).name if act is rules.Act.SIGN else f"approver{number}",
                order=one.stage or number,
                act=act,
            )
        )
    return places


def _record_stages(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signers: Sequence[SignerRow],
    *,
    need: Need,
    at: datetime,
) -> None:
    """What must happen for the agreement to be formed, fixed before anybody acts."""
    quorums = quorums_of(row)
    by_stage: dict[int, list[SignerRow]] = {}
    for signer in signers:
        by_stage.setdefault(signer.stage, []).append(signer)
    stages: list[Json] = [
        {
            "stage": stage,
            "act": members[0].act,
            "need": quorums.get(stage, len(members)),
            "members": [
                {
                    "signer": one.id,
                    "organisation": one.organisation_id,
                    "person": one.person_id,
                    "field": one.field,
                }
                for one in members
            ],
        }
        for stage, members in sorted(by_stage.items())
    ]
    record_step(
        session,
        ports,
        caller,
        row,
        "agreement.staged",
        {
            "stages": stages,
            "amount_minor": row.amount_minor,
            "no_amount": row.no_amount,
            "currency": row.currency,
            "relation": row.relation,
            "related": row.related_id,
            "hand_out_partial": row.hand_out_partial,
            "read_seconds_min": row.read_seconds_min,
            "need": need.as_json(),
            "policy_sha256": ports.levels.digest.hex(),
        },
        at=at,
    )


def require_related(session: Session, caller: Caller, new: NewAgreement) -> AgreementRow | None:
    """The formed agreement that the new one releases, amends or renews; None where it does none of it.

    Raises:
        InputError: `agreement.relation`.
        NotFoundError: absent or another organisation's.
        ConflictError: `agreement.not_formed`, `agreement.already_released`.
        ForbiddenError: `agreement.other_parties`.
    """
    if new.relation is None and new.related_id is None:
        return None
    if new.relation not in RELATIONS or new.related_id is None:
        raise InputError(
            "a relation is releases, amends, renews or revises, and names an agreement",
            code="agreement.relation",
        )
    related = agreement_for(session, caller, new.related_id)
    if new.relation == "revises":
        return related
    if related.state == rules.State.RELEASED:
        raise ConflictError("it is released already", code="agreement.already_released")
    if related.state != rules.State.FORMED:
        raise ConflictError(
            "only a formed agreement is released, amended or renewed; withdraw or revise this one",
            code="agreement.not_formed",
        )
    bound = {
        one.organisation_id for one in queries.signers_of(session, related.id) if one.act == "sign"
    }
    if bound != {one.organisation_id for one in new.signing}:
        raise ForbiddenError(
            "the parties must be those of the agreement it refers to, all of them",
            code="agreement.other_parties",
        )
    return related


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
    # It stands in every party's lists and in the statements: none may read there as something else.
    require_no_hidden(new.title)
    if new.amount_minor is not None and not 0 <= new.amount_minor <= AMOUNT_MINOR_MAX:
        raise InputError("an amount in fen, not below zero", code="agreement.amount")
    if new.no_amount and new.amount_minor is not None:
        raise InputError("state an amount, or that there is none", code="agreement.amount_twice")
    if not new.no_amount and new.amount_minor is None and new.matter != LETTERS:
        raise InputError(
            "state the amount in fen (amount_minor), or that the agreement is about none (no_amount)",
            code="agreement.amount_unstated",
        )
    if not 0 <= new.read_seconds_min <= READ_SECONDS_MIN_MAX:
        raise InputError(
            f"a reading time of at most {READ_SECONDS_MIN_MAX} seconds",
            code="agreement.read_seconds",
        )
    if new.expires_at - at > EXPIRY_MAX:
        raise InputError("an agreement is open for a year at most", code="agreement.expiry")


def _require_parties(session: Session, new: NewAgreement) -> dict[str, PartyRow]:
    ids = [one for s in new.signers for one in (s.organisation_id, s.person_id)]
    people = party_queries.parties_by_ids(session, ids)
    for signer in new.signers:
        require_handler(session, organisation_id=signer.organisation_id, person_id=signer.person_id)
    return people


def require_handler(
    session: Session, *, organisation_id: str, person_id: str
) -> tuple[PartyRow, PartyRow]:
    """The organisation and a person who holds, or held, an authority of it.

    Raises:
        NotFoundError: `party.not_found`.
        ForbiddenError: `authority.none`.
    """
    people = party_queries.parties_by_ids(session, [organisation_id, person_id])
    organisation, person = people.get(organisation_id), people.get(person_id)
    if organisation is None or organisation.kind != "organisation":
        raise NotFoundError("there is no such organisation", code="party.not_found")
    if person is None or person.kind != "person":
        raise NotFoundError("there is no such person", code="party.not_found")
    if not party_queries.authorisations_of(
        session, organisation_id=organisation.id, person_id=person.id
    ):
        raise ForbiddenError(
            "a named handler holds no authority of that organisation", code="authority.none"
        )
    return organisation, person
