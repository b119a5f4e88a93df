"""Seals of an organisation: made, approved, enabled, suspended, destroyed; who is charged; every use.

Each step is a row change and an entry in the same transaction. Whoever makes a seal manages it and names
the auditor who must approve it; people who use it are charged by the manager (`signing.seal_rules`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.parties import NewAuthorisation, grant_authorisation
from api.ports import Ports
from ledger.core.canonical import Json, sha256
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import new_id, require_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, record
from ledger.queries import parties as party_queries
from ledger.queries import seals as queries
from ledger.tables.parties import AuthorisationRow, PartyRow
from ledger.tables.seals import SealDutyRow, SealRow, SealUseRow
from signing import seal_rules as rules
from signing.seal_pictures import clean_picture
from signing.seals import (
    SHAPES,
    USUAL_MM,
    Kind,
    Picture,
    Shape,
    design_of,
    draw_seal,
    picture_of,
    picture_page,
)

VALID_DAYS_MAX: Final = 1830
"""Five years: a seal is looked at again before it goes on."""
REASON_MAX: Final = 400
UPLOADED: Final = "uploaded"
DRAWN: Final = "drawn"


@dataclass(frozen=True, slots=True)
class NewSeal:
    """A seal to be made.

    Attributes:
        kind, shape: words of `signing.seals`; "" for the usual shape.
        name: the organisation's registered name; for a legal representative's seal a person's.
        number: shown at the foot; "" for none.
        auditor_id: another person of the organisation, who approves it and reads its ledger.
        picture: an uploaded picture instead of our own drawing.
    """

    id: str
    kind: str
    name: str
    auditor_id: str
    valid_days: int
    shape: str = ""
    number: str = ""
    width_mm: int | None = None
    picture: bytes | None = None


def make_seal(
    session: Session, ports: Ports, caller: Caller, new: NewSeal, *, at: datetime
) -> SealRow:
    """Make a seal; its maker manages it. It can be used once it is approved and enabled.

    Raises:
        ForbiddenError: `auth.role`, `seal.no_person`.
        NotFoundError: `seal.person_unknown`.
        InputError, LimitError: `seal.*`, `font.*`.
        ConflictError: `seal.two_duties`: maker and auditor are one person.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.ADMIN)
    organisation_id, maker = require_organisation(caller), _person_of(caller)
    require_id(new.id, prefix="sea")
    fields = _fields(new)
    existing = session.get(SealRow, new.id)
    if existing is not None:
        require_visible(caller, existing.organisation_id)
        require_same(existing.fingerprint, fields, id=new.id)
        return existing
    if not 1 <= new.valid_days <= VALID_DAYS_MAX:
        raise InputError(
            f"a seal is valid for 1 to {VALID_DAYS_MAX} days",
            code="seal.period",
            field="valid_days",
        )
    if new.auditor_id == maker:
        raise ConflictError(
            "whoever makes a seal manages it; another person audits it", code="seal.two_duties"
        )
    require_staff(session, organisation_id, new.auditor_id, at=at)
    kind = _require_name(session, organisation_id, new, at=at)
    page, picture, described = _look(new, kind)
    row = SealRow(
        id=new.id,
        organisation_id=organisation_id,
        kind=kind.value,
        name=new.name.strip(),
        source=DRAWN if new.picture is None else UPLOADED,
        design=json.dumps(described, ensure_ascii=False),
        width_mm=picture.width_mm,
        height_mm=picture.height_mm,
        page_sha256=ports.blobs.put(page),
        picture_sha256=ports.blobs.put(picture.png),
        state=rules.State.MADE.value,
        valid_from=at.replace(microsecond=0),
        valid_to=at.replace(microsecond=0) + timedelta(days=new.valid_days),
        made_by=maker,
        fingerprint=fingerprint(fields),
        created_at=at,
        changed_at=at,
    )
    session.add(row)
    session.flush()
    for person, duty in ((maker, rules.Duty.MANAGE), (new.auditor_id, rules.Duty.AUDIT)):
        session.add(_duty(row, person, duty, by=maker, at=at))
    _record(
        session,
        ports,
        caller,
        row,
        "seal.made",
        {
            "organisation": organisation_id,
            "kind": row.kind,
            "source": row.source,
            "name": row.name,
            "width_mm": row.width_mm,
            "height_mm": row.height_mm,
            "page_sha256": row.page_sha256,
            "picture_sha256": row.picture_sha256,
            "valid_from": utc_text(row.valid_from),
            "valid_to": utc_text(row.valid_to),
            "by": maker,
            "auditor": new.auditor_id,
        },
        at=at,
    )
    session.flush()
    return row


def change_seal(
    session: Session,
    ports: Ports,
    caller: Caller,
    seal_id: str,
    *,
    act: str,
    reason: str = "",
    at: datetime,
) -> SealRow:
    """Approve, enable, suspend or destroy a seal. To suspend or destroy it a reason is given.

    Raises:
        NotFoundError: absent or another organisation's.
        InputError: `seal.act`, `seal.reason`.
        ForbiddenError: `seal.duty`, `seal.no_person`.
        ConflictError: `seal.state`.
    """
    row, person = _locked(session, caller, seal_id)
    try:
        done = rules.Act(act)
    except ValueError as exc:
        raise InputError(f"a seal is changed by {', '.join(rules.Act)}", code="seal.act") from exc
    said = reason.strip()
    if len(said) > REASON_MAX or (done in (rules.Act.SUSPEND, rules.Act.DESTROY) and not said):
        raise InputError(f"say why, in up to {REASON_MAX} characters", code="seal.reason")
    row.state = rules.change(rules_of(session, row), done, by=person).value
    row.changed_at = at
    if done is rules.Act.APPROVE:
        row.approved_by = person
    body: dict[str, Json] = {"by": person, "reason": said}
    _record(session, ports, caller, row, rules.EVENTS[done], body, at=at)
    return row


def grant_duty(
    session: Session,
    ports: Ports,
    caller: Caller,
    seal_id: str,
    *,
    person_id: str,
    duty: str,
    at: datetime,
) -> SealRow:
    """Charge a person of the organisation with a duty; the same again changes nothing.

    Raises:
        NotFoundError: absent or another organisation's; `seal.person_unknown`.
        InputError: `seal.duty_word`.
        ForbiddenError: `seal.duty`, `seal.no_person`.
        ConflictError: `seal.state`, `seal.two_duties`, `seal.holders`.
    """
    row, person = _locked(session, caller, seal_id)
    wanted = _duty_of(duty)
    rules.grant(rules_of(session, row), wanted, to=person_id, by=person)
    require_staff(session, row.organisation_id, person_id, at=at)
    if session.get(SealDutyRow, (row.id, person_id)) is not None:
        return row
    session.add(_duty(row, person_id, wanted, by=person, at=at))
    body: dict[str, Json] = {"person": person_id, "duty": wanted.value, "by": person}
    _record(session, ports, caller, row, "seal.charged", body, at=at)
    session.flush()
    return row


def authorise_use(
    session: Session,
    ports: Ports,
    caller: Caller,
    seal_id: str,
    *,
    person_id: str,
    authorisation_id: str,
    at: datetime,
) -> AuthorisationRow:
    """Give the user of a seal an authorisation like the one they hold, with this kind of seal in its scope.

    The earlier one stands; the administrator revokes it where it should not.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: absent or another organisation's; `seal.person_unknown`.
        ConflictError: `seal.no_duty`: the person is not charged to use the seal.
        ExistsWithDifferentFieldError: same id, other content.
    """
    require_role(caller, Role.ADMIN)
    row = seal_for(session, caller, seal_id)
    if rules_of(session, row).duties.get(person_id) is not rules.Duty.USE:
        raise ConflictError("charge this person with using the seal first", code="seal.no_duty")
    require_staff(session, row.organisation_id, person_id, at=at)
    held = next(
        one
        for one in party_queries.authorisations_of(
            session, organisation_id=row.organisation_id, person_id=person_id
        )
        if one.revoked_at is None
        and one.valid_from <= at < one.valid_to
        and one.id != authorisation_id
    )
    scope = {word for word in held.seal_scope.split(",") if word not in ("", "none")}
    return grant_authorisation(
        session,
        ports,
        caller,
        NewAuthorisation(
            id=authorisation_id,
            organisation_id=row.organisation_id,
            person_id=person_id,
            matters=frozenset(held.matters.split(",")),
            powers=frozenset(held.powers.split(",")),
            valid_from=held.valid_from,
            valid_to=held.valid_to,
            seal_scope=",".join(sorted({*scope, row.kind})),
            amount_max_minor=held.amount_max_minor,
        ),
        at=at,
    )


def withdraw_duty(
    session: Session, ports: Ports, caller: Caller, seal_id: str, *, person_id: str, at: datetime
) -> SealRow:
    """Take a person's duty back.

    Raises:
        NotFoundError: absent or another organisation's.
        ForbiddenError: `seal.duty`, `seal.no_person`.
        ConflictError: `seal.state`, `seal.no_duty`, `seal.last_holder`.
    """
    row, person = _locked(session, caller, seal_id)
    rules.withdraw(rules_of(session, row), of=person_id, by=person)
    held = session.get_one(SealDutyRow, (row.id, person_id))
    body: dict[str, Json] = {"person": person_id, "duty": held.duty, "by": person}
    session.delete(held)
    _record(session, ports, caller, row, "seal.relieved", body, at=at)
    session.flush()
    return row


def seal_for(session: Session, caller: Caller, seal_id: str) -> SealRow:
    """A seal of the caller's organisation.

    Raises:
        NotFoundError: absent or another organisation's.
    """
    row = session.get(SealRow, seal_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    return row


def uses_for(session: Session, caller: Caller, seal_id: str, *, limit: int) -> Sequence[SealUseRow]:
    """The usage ledger; only who manages or audits the seal reads it.

    Raises:
        NotFoundError: absent or another organisation's.
        ForbiddenError: `seal.duty`, `seal.no_person`.
    """
    row = seal_for(session, caller, seal_id)
    rules.require_duty(
        rules_of(session, row), _person_of(caller), rules.Duty.AUDIT, rules.Duty.MANAGE
    )
    return queries.uses_of(session, row.id, limit=limit)


def usable_seal(session: Session, caller: Caller, seal_id: str, *, at: datetime) -> SealRow:
    """The seal, locked, if the caller may put it on a document now.

    Raises:
        NotFoundError: absent or another organisation's.
        ForbiddenError: `seal.duty`, `seal.no_person`.
        ConflictError: `seal.not_enabled`, `seal.not_valid_at`.
    """
    row, person = _locked(session, caller, seal_id)
    rules.require_usable(rules_of(session, row), person=person, at=at)
    return row


def rules_of(session: Session, row: SealRow) -> rules.Seal:
    """The rule-side value of the rows."""
    return rules.Seal(
        id=row.id,
        state=rules.State(row.state),
        duties={one.person_id: rules.Duty(one.duty) for one in queries.duties_of(session, row.id)},
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def require_staff(
    session: Session, organisation_id: str, person_id: str, *, at: datetime
) -> PartyRow:
    """A person who holds a valid authority of the organisation.

    Raises:
        NotFoundError: `seal.person_unknown`.
    """
    for person in party_queries.handlers_of(session, organisation_id, at=at):
        if person.id == person_id:
            return person
    raise NotFoundError(
        "this person holds no valid authority of your organisation", code="seal.person_unknown"
    )


def _require_name(session: Session, organisation_id: str, new: NewSeal, *, at: datetime) -> Kind:
    """Nobody makes a seal in another's name.

    Raises:
        InputError: `seal.kind`, `seal.other_name`.
    """
    try:
        kind = Kind(new.kind)
    except ValueError as exc:
        raise InputError(f"a seal is one of {', '.join(Kind)}", code="seal.kind") from exc
    name = new.name.strip()
    if kind is Kind.LEGAL_REPRESENTATIVE:
        people = party_queries.handlers_of(session, organisation_id, at=at)
        known = any(name in (one.name, one.name.removesuffix("（虚构）")) for one in people)
    else:
        known = session.get_one(PartyRow, organisation_id).name == name
    if not known:
        raise InputError(
            "a seal bears the registered name of the organisation, or of one of its own people",
            code="seal.other_name",
            field="name",
        )
    return kind


def _look(new: NewSeal, kind: Kind) -> tuple[bytes, Picture, dict[str, Json]]:
    """The page that is put on documents, the picture in the seal object, and what describes both."""
    if new.picture is None:
        design = design_of(
            kind=new.kind,
            shape=new.shape,
            name=new.name,
            number=new.number,
            width_mm=new.width_mm,
        )
        page = draw_seal(design)
        return page, picture_of(design, page), design.as_json()
    try:
        shape = Shape(new.shape) if new.shape else SHAPES[kind][0]
    except ValueError as exc:
        raise InputError("a seal of this kind has another shape", code="seal.shape") from exc
    width = USUAL_MM[shape] if new.width_mm is None else new.width_mm
    picture = clean_picture(new.picture, shape=shape, width_mm=width)
    described: dict[str, Json] = {
        "kind": new.kind,
        "shape": shape.value,
        "name": new.name.strip(),
        "width_mm": width,
        "uploaded_sha256": sha256(new.picture).hex(),
    }
    return picture_page(picture), picture, described


def _fields(new: NewSeal) -> dict[str, Json]:
    return {
        "kind": new.kind,
        "shape": new.shape,
        "name": new.name,
        "number": new.number,
        "width_mm": new.width_mm,
        "auditor_id": new.auditor_id,
        "valid_days": new.valid_days,
        "picture": None if new.picture is None else sha256(new.picture).hex(),
    }


def _locked(session: Session, caller: Caller, seal_id: str) -> tuple[SealRow, str]:
    seal_for(session, caller, seal_id)
    # Without the lock two people could charge one person with two duties at once.
    row = queries.lock_seal(session, seal_id)
    assert row is not None
    return row, _person_of(caller)


def _person_of(caller: Caller) -> str:
    if caller.person_id is None:
        raise ForbiddenError(
            "a seal is in the charge of people; this account is nobody's", code="seal.no_person"
        )
    return caller.person_id


def _duty_of(word: str) -> rules.Duty:
    try:
        return rules.Duty(word)
    except ValueError as exc:
        raise InputError(
            f"a duty is one of {', '.join(rules.Duty)}", code="seal.duty_word"
        ) from exc


def _duty(row: SealRow, person: str, duty: rules.Duty, *, by: str, at: datetime) -> SealDutyRow:
    return SealDutyRow(
        seal_id=row.id, person_id=person, duty=duty.value, granted_by=by, granted_at=at
    )


def _record(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: SealRow,
    kind: str,
    body: Mapping[str, Json],
    *,
    at: datetime,
) -> None:
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type=kind,
            at=at,
            subject=row.id,
            actor=caller.account_id,
            body={"seal": row.id, **body},
        ),
    )
