"""Needs and offers: post, withdraw, and say which registered party stands behind an imported one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.supply_rules import (
    mark_withdrawn,
    require_offer,
    supply_entry,
)
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.ids import require_id
from ledger.log import record
from ledger.tables.parties import PartyRow
from ledger.tables.supply import HospitalRow, NeedRow, OfferRow
from matching.catalogue import read_item, read_specification, to_day
from matching.policy import load_import_policy
from matching.problem import TIERS, Need, Place, require_need
from matching.services import published_catalogue

UNLIMITED: Final[Mapping[str, Json]] = {
    "pack": 1,
    "smallest": 1,
    "receivers_max": None,
    "resource_id": None,
    "per_unit": 0,
}
"""The limits of an offer that has none."""


@dataclass(frozen=True, slots=True)
class NewNeed:
    """A need to post.

    Attributes:
        id: `need_…`, made by the caller.
        item: as people write it; the catalogue reads it.
        tier: 0 critical, 1 high, 2 normal.
        remaining_days_min: None = the policy's default (legal.md DN-8).
        certificate_min: None = what the item requires; a hospital may ask for more, never for less.
        sterile: asked for beside what the specification says.
    """

    id: str
    hospital_id: str
    item: str
    specification: str
    quantity: int
    tier: int
    deadline_on: date
    remaining_days_min: int | None = None
    accepts_substitutes: bool = True
    certificate_min: int | None = None
    sterile: bool = False


@dataclass(frozen=True, slots=True)
class NewOffer:
    """An offer to post.

    Attributes:
        id: `offer_…`, made by the caller.
        kind: `lot` (goods of one batch) or `capacity` (so many a day, for `windows` days).
        place: where it leaves from.
        directed_to, related_to: hospital ids.
        pack: units move in whole packs of this size.
        smallest: no hospital gets fewer.
        receivers_max: to how many hospitals all open offers of the organisation go at most.
        resource_id, per_unit: the shared resource that makes a capacity, and how much of it a unit takes.
    """

    id: str
    kind: str
    item: str
    quantity: int
    place: Place
    available_on: date
    windows: int = 1
    produced_on: date | None = None
    expires_on: date | None = None
    batch_number: str = ""
    standard: str | None = None
    edition: str | None = None
    certificate: int = 0
    sterile: bool = False
    donor_kind: str = "organisation"
    directed_to: tuple[str, ...] = ()
    related_to: tuple[str, ...] = ()
    pack: int = 1
    smallest: int = 1
    receivers_max: int | None = None
    resource_id: str | None = None
    per_unit: int = 0


def post_need(
    session: Session,
    ports: Ports,
    caller: Caller,
    need: NewNeed,
    *,
    at: datetime,
    as_of: date | None = None,
) -> NeedRow:
    """Post a need of a hospital of the caller's organisation; the same request again returns the same row.

    Args:
        as_of: the day it counts as posted; None = the day of `at`. Historic data sets live in their own time.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `not_found`: no such hospital, or another organisation's.
        InputError: `id.malformed`, `item.*`, `specification.*`, `need.*`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    require_id(need.id, prefix="need")
    hospital = session.get(HospitalRow, need.hospital_id)
    if hospital is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, hospital.organisation_id)
    posted = as_of or at.date()
    fields: dict[str, Json] = {
        "hospital_id": need.hospital_id,
        "item": need.item,
        "specification": need.specification,
        "quantity": need.quantity,
        "tier": need.tier,
        "deadline_on": need.deadline_on.isoformat(),
        "remaining_days_min": need.remaining_days_min,
        "accepts_substitutes": need.accepts_substitutes,
    }
    # Named only where they differ from what a need was before they existed: old retries stay retries.
    if need.certificate_min is not None:
        fields["certificate_min"] = need.certificate_min
    if need.sterile:
        fields["sterile"] = True
    existing = session.get(NeedRow, need.id)
    if existing is not None:
        require_same(existing.fingerprint, fields, id=need.id)
        return existing
    row = _need_row(need, hospital, posted=posted, at=at, actor=caller.account_id)
    row.fingerprint = fingerprint(fields)
    session.add(row)
    session.flush()
    record(
        session,
        ports.vault,
        supply_entry("need.posted", row.id, caller, at=at, body=need_body(row)),
    )
    return row


def post_offer(
    session: Session,
    ports: Ports,
    caller: Caller,
    offer: NewOffer,
    *,
    at: datetime,
    as_of: date | None = None,
) -> OfferRow:
    """Post goods or capacity of the caller's organisation; the same request again returns the same row.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        NotFoundError: `not_found`: a hospital named does not exist.
        InputError: `id.malformed`, `item.unknown`, `offer.*`, among them `offer.expired` and
            `offer.quantity_negative`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.HANDLER)
    organisation = session.get_one(PartyRow, require_organisation(caller))
    require_id(offer.id, prefix="offer")
    today = as_of or at.date()
    fields = _offer_fields(offer)
    existing = session.get(OfferRow, offer.id)
    if existing is not None:
        require_visible(caller, existing.organisation_id)
        require_same(existing.fingerprint, fields, id=offer.id)
        return existing
    require_offer(session, offer, organisation_id=organisation.id, today=today)
    row = OfferRow(
        id=offer.id,
        kind=offer.kind,
        run_id=None,
        source_key=None,
        organisation_id=organisation.id,
        donor_name=organisation.name,
        donor_kind=offer.donor_kind,
        item=offer.item,
        quantity=offer.quantity,
        windows=offer.windows,
        available_on=offer.available_on,
        produced_on=offer.produced_on,
        expires_on=offer.expires_on,
        batch_number=offer.batch_number,
        standard=offer.standard,
        edition=offer.edition,
        certificate=offer.certificate,
        sterile=offer.sterile,
        province=offer.place.province,
        city=offer.place.city,
        longitude_micro=offer.place.longitude_micro,
        latitude_micro=offer.place.latitude_micro,
        directed_to=list(offer.directed_to),
        related_to=list(offer.related_to),
        pack=offer.pack,
        smallest=offer.smallest,
        receivers_max=offer.receivers_max,
        resource_id=offer.resource_id,
        per_unit=offer.per_unit,
        frozen=False,
        generated=False,
        defaults=[],
        state="open",
        withdrawn_reason=None,
        fingerprint=fingerprint(fields),
        created_by=caller.account_id,
        created_at=at,
    )
    session.add(row)
    session.flush()
    record(
        session,
        ports.vault,
        supply_entry("offer.posted", row.id, caller, at=at, body=offer_body(row)),
    )
    return row


def withdraw_need(
    session: Session, ports: Ports, caller: Caller, *, need_id: str, reason: str, at: datetime
) -> NeedRow:
    """Withdraw a need; again is harmless. Units already allocated stay where they are.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `round.in_progress`: a round is being solved on these inputs.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(NeedRow, need_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, session.get_one(HospitalRow, row.hospital_id).organisation_id)
    mark_withdrawn(session, ports, caller, row, what="need", reason=reason, at=at)
    return row


def withdraw_offer(
    session: Session, ports: Ports, caller: Caller, *, offer_id: str, reason: str, at: datetime
) -> OfferRow:
    """Withdraw an offer; again is harmless. Units already allocated stay where they are.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `round.in_progress`.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(OfferRow, offer_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    mark_withdrawn(session, ports, caller, row, what="offer", reason=reason, at=at)
    return row


def link_hospital(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    hospital_id: str,
    organisation_id: str,
    at: datetime,
) -> HospitalRow:
    """Say that a registered organisation stands behind a hospital of the data; again is harmless.

    Raises:
        ForbiddenError: `auth.role` unless an operator.
        NotFoundError: `not_found`.
        ConflictError: `supply.linked_elsewhere`.
    """
    require_role(caller, Role.OPERATOR)
    row = session.get(HospitalRow, hospital_id, with_for_update=True)
    _require_organisation_row(session, organisation_id)
    if row is None:
        raise NotFoundError("there is no such record")
    if row.organisation_id is None:
        row.organisation_id = organisation_id
        body: dict[str, Json] = {"hospital": row.id, "organisation": organisation_id}
        record(
            session, ports.vault, supply_entry("hospital.linked", row.id, caller, at=at, body=body)
        )
    elif row.organisation_id != organisation_id:
        raise ConflictError("another organisation stands behind it", code="supply.linked_elsewhere")
    return row


def link_offer(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    offer_id: str,
    organisation_id: str,
    at: datetime,
) -> OfferRow:
    """Say that a registered organisation stands behind an imported or generated offer.

    Raises:
        ForbiddenError: `auth.role` unless an operator.
        NotFoundError: `not_found`.
        ConflictError: `supply.linked_elsewhere`.
    """
    require_role(caller, Role.OPERATOR)
    row = session.get(OfferRow, offer_id, with_for_update=True)
    _require_organisation_row(session, organisation_id)
    if row is None:
        raise NotFoundError("there is no such record")
    if row.organisation_id is None:
        row.organisation_id = organisation_id
        body: dict[str, Json] = {"offer": row.id, "organisation": organisation_id}
        record(session, ports.vault, supply_entry("offer.linked", row.id, caller, at=at, body=body))
    elif row.organisation_id != organisation_id:
        raise ConflictError("another organisation stands behind it", code="supply.linked_elsewhere")
    return row


def need_body(row: NeedRow) -> dict[str, Json]:
    """Private body of `need.posted`."""
    return {
        "need": row.id,
        "hospital": row.hospital_id,
        "item": list(row.items),
        "quantity": row.quantity,
        "urgency": TIERS[row.tier],
        "standard": row.standard,
        "edition": row.edition,
        "posted": row.posted_on.isoformat(),
        "deadline": row.deadline_on.isoformat(),
        "defaulted": list(row.defaults),
        "source_row": row.source_key,
        "certificate_min": row.certificate_min,
        "sterile": row.sterile,
        "remaining_days_min": row.remaining_days_min,
        "substitutes": row.accepts_substitutes,
    }


def offer_body(row: OfferRow) -> dict[str, Json]:
    """Private body of `offer.posted`."""
    return {
        "offer": row.id,
        "kind": row.kind,
        "donor": row.organisation_id or row.donor_name,
        "item": row.item,
        "quantity": row.quantity,
        "windows": row.windows,
        "standard": row.standard,
        "edition": row.edition,
        "available": row.available_on.isoformat(),
        "produced": None if row.produced_on is None else row.produced_on.isoformat(),
        "expires": None if row.expires_on is None else row.expires_on.isoformat(),
        "place": [row.longitude_micro, row.latitude_micro],
        "generated": row.generated,
        "certificate": row.certificate,
        "directed": list(row.directed_to),
        "related": list(row.related_to),
        "pack": row.pack,
        "smallest": row.smallest,
        "receivers_max": row.receivers_max,
        "resource": row.resource_id,
        "per_unit": row.per_unit,
    }


def _need_row(
    need: NewNeed, hospital: HospitalRow, *, posted: date, at: datetime, actor: str
) -> NeedRow:
    catalogue, policy = published_catalogue(), load_import_policy()
    items = read_item(need.item, catalogue=catalogue).items
    reading = read_specification(
        need.specification, items=items, day=to_day(posted), catalogue=catalogue
    )
    remaining = need.remaining_days_min
    defaults = [code for code in reading.codes if code.startswith("standard.")]
    if remaining is None:
        remaining = policy.remaining_days_min
        defaults.append("remaining_days")
    item = catalogue.items[items[0]]
    certificate_min = item.certificate_min
    if need.certificate_min is not None:
        if need.certificate_min < item.certificate_min:
            raise InputError(
                f"these goods need at least certificate level {item.certificate_min}",
                code="need.certificate_below_item",
                limit=item.certificate_min,
            )
        certificate_min = need.certificate_min
    sterile = reading.sterile or need.sterile
    require_need(
        Need(
            id=need.id,
            hospital=hospital.id,
            items=items,
            quantity=need.quantity,
            tier=need.tier,
            deadline_day=to_day(need.deadline_on),
            place=place_of(hospital),
            standard=reading.standard,
            edition=reading.edition,
            certificate_min=certificate_min,
            sterile=sterile,
            remaining_days_min=remaining,
            accepts_substitutes=need.accepts_substitutes,
        ),
        catalogue=catalogue,
    )
    if need.deadline_on < posted:
        raise InputError("the deadline has passed", code="need.deadline_past")
    return NeedRow(
        id=need.id,
        hospital_id=hospital.id,
        run_id=None,
        source_key=None,
        items=list(items),
        item=items[0],
        quantity=need.quantity,
        tier=need.tier,
        posted_on=posted,
        deadline_on=need.deadline_on,
        specification=need.specification,
        standard=reading.standard,
        edition=reading.edition,
        certificate_min=certificate_min,
        sterile=sterile,
        remaining_days_min=remaining,
        accepts_substitutes=need.accepts_substitutes,
        remarks=[*reading.remarks, *([f"unread:{reading.unread}"] if reading.unread else [])],
        defaults=defaults,
        state="open",
        withdrawn_reason=None,
        created_by=actor,
        created_at=at,
    )


def place_of(row: HospitalRow | OfferRow) -> Place:
    """The place of a hospital or an offer."""
    return Place(row.province, row.city, row.longitude_micro, row.latitude_micro)


def _offer_fields(offer: NewOffer) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "kind": offer.kind,
        "item": offer.item,
        "quantity": offer.quantity,
        "windows": offer.windows,
        "place": [
            offer.place.province,
            offer.place.city,
            offer.place.longitude_micro,
            offer.place.latitude_micro,
        ],
        "available_on": offer.available_on.isoformat(),
        "produced_on": None if offer.produced_on is None else offer.produced_on.isoformat(),
        "expires_on": None if offer.expires_on is None else offer.expires_on.isoformat(),
        "batch_number": offer.batch_number,
        "standard": offer.standard,
        "edition": offer.edition,
        "certificate": offer.certificate,
        "sterile": offer.sterile,
        "donor_kind": offer.donor_kind,
        "directed_to": list(offer.directed_to),
        "related_to": list(offer.related_to),
    }
    limits: dict[str, Json] = {
        "pack": offer.pack,
        "smallest": offer.smallest,
        "receivers_max": offer.receivers_max,
        "resource_id": offer.resource_id,
        "per_unit": offer.per_unit,
    }
    # An offer without limits has the fields it had before there were any: old retries stay retries.
    if limits != UNLIMITED:
        fields |= limits
    return fields


def _require_organisation_row(session: Session, organisation_id: str) -> None:
    party = session.get(PartyRow, organisation_id)
    if party is None or party.kind != "organisation":
        raise NotFoundError("there is no such record")
