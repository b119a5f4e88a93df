"""Acts on goods at one holder: open a lot, pack, unpack, release from quarantine, use on a ward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from api.flows.custody_step import Place, Step
from api.flows.related_rules import why_related
from api.schemas.custody import OpenLot, Pack, Release, Unpack, Use
from ledger.core.canonical import Json
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    LimitError,
    NotFoundError,
)
from ledger.core.ids import require_id
from ledger.core.units import utc_text
from ledger.queries import custody as queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.custody import LotRow, PackageRow
from ledger.tables.log import EntryRow
from ledger.tables.supply import AllocationRow, HospitalRow, OfferRow
from matching.catalogue import Catalogue
from matching.services import published_catalogue
from matching.udi import (
    Goods,
    Udi,
    parse_registration,
    parse_udi,
    require_device_class,
    require_same_goods,
)

REGISTERED_FROM: Final = 2
"""`certificate_min` of the catalogue from which goods carry a registration or filing number and a UDI."""
MATTERS: Final = frozenset({"donation", "manufacturing"})


@dataclass(frozen=True, slots=True)
class Done:
    """What an act made, and the entry that proves it."""

    result_id: str
    entry: EntryRow


def open_lot(step: Step, fields: OpenLot) -> Done:
    """Open a lot of an accepted allocation: its units stand in the giver's stock from now on.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.not_accepted`, `custody.no_agreement`, `custody.no_receiver`,
            `custody.more_than_allocated`, `custody.lot_exists`, `custody.conflict_of_interest`,
            `custody.recalled`.
        LimitError: `custody.too_many_lots`.
        InputError: `udi.*`, `registration.*`, `lot.*`, `id.malformed`.
    """
    require_id(fields.lot_id, prefix="lot")
    session = step.session
    if queries.lock_allocation(session, fields.allocation_id) is None:
        raise NotFoundError("there is no such record")
    sides = queries.allocation_with_sides(session, fields.allocation_id)
    assert sides is not None
    line, _, hospital, offer = sides
    if offer.organisation_id != step.organisation:
        raise NotFoundError("there is no such record")
    agreement = _require_promised(step, line, hospital, fields)
    assert hospital.organisation_id is not None
    if session.get(LotRow, fields.lot_id) is not None:
        raise ConflictError("this lot is open already", code="custody.lot_exists")
    _require_room(step, line, fields.quantity)
    conflict = require_no_conflict(step, offer, hospital)
    udi = _require_goods(offer, fields, catalogue=published_catalogue(), today=step.at.date())
    lot = LotRow(
        id=fields.lot_id,
        allocation_id=line.id,
        agreement_id=agreement.id,
        offer_id=offer.id,
        hospital_id=hospital.id,
        giver_id=offer.organisation_id,
        receiver_id=hospital.organisation_id,
        matter=agreement.matter,
        item=offer.item,
        quantity=fields.quantity,
        batch_number=fields.batch_number,
        produced_on=fields.produced_on,
        expires_on=fields.expires_on,
        udi=fields.udi,
        device="" if udi is None else udi.device,
        registration=fields.registration,
        purpose=fields.purpose,
        directed=bool(offer.directed_to),
        opened_by=step.person,
        opened_at=step.at,
        entry_id="",
    )
    _require_batch_open(step, queries.Batch(lot.batch_number, lot.item, lot.device))
    entry = step.record("lot.opened", lot, opened_body(lot, conflict=conflict))
    lot.entry_id = entry.id
    session.add(lot)
    session.flush()
    step.open_units(lot, entry)
    return Done(lot.id, entry)


def opened_body(lot: LotRow, *, conflict: str) -> dict[str, Json]:
    """Private body of `lot.opened`, without the signature."""
    return {
        "lot": lot.id,
        "allocation": lot.allocation_id,
        "agreement": lot.agreement_id,
        "offer": lot.offer_id,
        "hospital": lot.hospital_id,
        "giver": lot.giver_id,
        "receiver": lot.receiver_id,
        "item": lot.item,
        "quantity": lot.quantity,
        "batch": lot.batch_number,
        "produced": lot.produced_on.isoformat(),
        "expires": None if lot.expires_on is None else lot.expires_on.isoformat(),
        "udi": lot.udi,
        "device": lot.device,
        "registration": lot.registration,
        "purpose": lot.purpose,
        "directed": lot.directed,
        "conflict": conflict,
    }


def require_no_conflict(step: Step, offer: OfferRow, hospital: HospitalRow) -> str:
    """Directed gifts do not go to oneself or one's own (Charity Law 40): say what was looked at.

    Raises:
        ConflictError: `custody.conflict_of_interest`.
    """
    why = why_related(step.session, offer, hospital, on=step.at.date())
    # An undirected gift that the matcher brought to a related hospital is refused as well.
    if why is not None:
        raise ConflictError(
            f"giver and receiver are related ({why}): decline this line, so that the next "
            "round brings it to somebody else",
            code="custody.conflict_of_interest",
        )
    return "none: organisation, named relations, register of related parties, shared handlers"


def pack(step: Step, fields: Pack) -> Done:
    """Put units into packages; each gets a label.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.not_enough`, `custody.package_exists`, `custody.recalled`.
        InputError: `id.malformed`, `custody.packages`.
    """
    lot = step.lot(fields.lot_id)
    ids = [one.id for one in fields.packages]
    if len(set(ids)) != len(ids):
        raise InputError("two packages have the same id", code="custody.packages")
    first = queries.last_package(step.session, lot.id) + 1
    made = []
    for number, one in enumerate(fields.packages, start=first):
        require_id(one.id, prefix="pkg")
        if step.session.get(PackageRow, one.id) is not None:
            raise ConflictError(
                "this label is in use: print a new one", code="custody.package_exists"
            )
        made.append(
            PackageRow(
                id=one.id,
                lot_id=lot.id,
                number=number,
                quantity=one.quantity,
                holder_id=step.organisation,
                state="packed",
                handover_id=None,
                created_at=step.at,
            )
        )
    total = sum(one.quantity for one in made)
    body: dict[str, Json] = {
        "lot": lot.id,
        "holder": step.organisation,
        "shelf": fields.shelf,
        "quantity": total,
        "packages": [[one.id, one.number, one.quantity] for one in made],
    }
    entry = step.record("lot.packed", lot, body)
    source, target = Place(step.organisation, fields.shelf), Place(step.organisation, "packed")
    step.move(lot, source, target, quantity=total, entry=entry)
    step.session.add_all(made)
    step.session.flush()
    return Done(lot.id, entry)


def unpack(step: Step, fields: Unpack) -> Done:
    """Open a package of one's own.

    Raises:
        NotFoundError: `not_found`.  ConflictError: `custody.package_state`.
    """
    package = step.session.get(PackageRow, fields.package_id)
    if package is None:
        raise NotFoundError("there is no such record")
    lot = step.lot(package.lot_id)
    step.session.refresh(package)
    require_own_package(step, package)
    body: dict[str, Json] = {
        "lot": lot.id,
        "holder": step.organisation,
        "package": package.id,
        "quantity": package.quantity,
    }
    entry = step.record("lot.unpacked", lot, body)
    source, target = Place(step.organisation, "packed"), Place(step.organisation, "stock")
    step.move(lot, source, target, quantity=package.quantity, entry=entry)
    package.state = "opened"
    return Done(lot.id, entry)


def require_own_package(step: Step, package: PackageRow) -> None:
    """Refuse a package that is not packed, or not with the caller.

    Raises:
        ConflictError: `custody.package_state`.
    """
    if package.holder_id != step.organisation or package.state != "packed":
        raise ConflictError(
            "this package is not closed and with you: reload the page",
            code="custody.package_state",
            state=package.state,
        )


def release(step: Step, fields: Release) -> Done:
    """Decide about units in quarantine.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.not_enough`, `custody.recalled`, `custody.expired`.
    """
    lot = step.lot(fields.lot_id)
    if fields.outcome == "accepted":
        require_not_recalled(lot)
        require_not_expired(step, lot)
    body: dict[str, Json] = {
        "lot": lot.id,
        "by": step.person,
        "holder": step.organisation,
        "quantity": fields.quantity,
        "outcome": fields.outcome,
        "reason": fields.reason,
    }
    entry = step.record("lot.released", lot, body)
    target = "stock" if fields.outcome == "accepted" else "rejected"
    step.move(
        lot,
        Place(step.organisation, "quarantine"),
        Place(step.organisation, target),
        quantity=fields.quantity,
        entry=entry,
    )
    return Done(lot.id, entry)


def use(step: Step, fields: Use) -> Done:
    """Units used on a ward of the hospital.

    Raises:
        NotFoundError: `not_found`.  ForbiddenError: `custody.receiver_only`.
        ConflictError: `custody.not_enough`, `custody.recalled`, `custody.expired`.
    """
    lot = step.lot(fields.lot_id)
    if lot.receiver_id != step.organisation:
        raise ForbiddenError(
            "only the hospital the goods are for uses them", code="custody.receiver_only"
        )
    require_not_recalled(lot)
    require_not_expired(step, lot)
    body: dict[str, Json] = {
        "lot": lot.id,
        "by": step.person,
        "quantity": fields.quantity,
        "document_sha256": None,
        "used_at": utc_text(step.at),
        "ward": fields.ward,
        "purpose": lot.purpose,
    }
    entry = step.record("lot.used", lot, body)
    source, target = Place(step.organisation, "stock"), Place(step.organisation, "used")
    step.move(lot, source, target, quantity=fields.quantity, entry=entry)
    return Done(lot.id, entry)


def require_not_recalled(lot: LotRow) -> None:
    """Refuse what a recalled lot may not do any more.

    Raises:
        ConflictError: `custody.recalled`.
    """
    if lot.recall_id is not None:
        raise ConflictError(
            "this batch is recalled: put it aside and hand it back to its giver",
            code="custody.recalled",
        )


def require_not_expired(step: Step, lot: LotRow) -> None:
    """Refuse what goods may not do from the day of their expiry on.

    Raises:
        ConflictError: `custody.expired`.
    """
    if lot.expires_on is not None and step.at.date() >= lot.expires_on:
        raise ConflictError(
            "this lot has expired: it is not sent out, accepted or used; reject it at the door, or report a "
            "discrepancy and take it off the ward",
            code="custody.expired",
        )


def _require_batch_open(step: Step, batch: queries.Batch) -> None:
    queries.lock_batch(step.session, batch)
    if queries.open_recall_of_batch(step.session, batch) is not None:
        raise ConflictError("this batch is recalled: it cannot be given", code="custody.recalled")
    if queries.count_lots_of_batch(step.session, batch) >= queries.ROWS_MAX:
        raise LimitError(
            "this batch has too many lots for one recall to reach: open fewer, larger lots",
            code="custody.too_many_lots",
            limit=queries.ROWS_MAX,
        )


def _require_promised(
    step: Step, line: AllocationRow, hospital: HospitalRow, fields: OpenLot
) -> AgreementRow:
    if line.state != "accepted":
        raise ConflictError(
            "accept this line before goods are opened for it", code="custody.not_accepted"
        )
    if hospital.organisation_id is None:
        raise ConflictError(
            "no registered organisation stands behind this hospital yet: ask the operator",
            code="custody.no_receiver",
        )
    agreement = step.session.get(AgreementRow, fields.agreement_id)
    formed = (
        agreement is not None
        and agreement.allocation_id == line.id
        and agreement.formed_at is not None
        and agreement.state == "formed"
        and agreement.matter in MATTERS
    )
    if agreement is None or not formed:
        raise ConflictError(
            "this needs a donation or processing agreement about this very line, signed by all",
            code="custody.no_agreement",
        )
    return agreement


def _require_room(step: Step, line: AllocationRow, quantity: int) -> None:
    opened = queries.opened_of_allocation(step.session, line.id)
    if opened + quantity > line.quantity:
        raise ConflictError(
            f"this line brings {line.quantity} units, {opened} are in lots already",
            code="custody.more_than_allocated",
            allocated=line.quantity,
            opened=opened,
        )


def _require_goods(
    offer: OfferRow, fields: OpenLot, *, catalogue: Catalogue, today: date
) -> Udi | None:
    """UDI, batch, days and registration number agree with each other and with what was offered."""
    if fields.expires_on is not None and fields.expires_on <= today:
        raise InputError("these goods have expired: they cannot be given", code="lot.expired")
    if fields.produced_on > today:
        raise InputError("the day of production lies in the future", code="lot.produced_future")
    if offer.kind == "lot":
        _require_as_offered(offer, fields)
    goods = Goods(fields.batch_number, fields.produced_on, fields.expires_on)
    registered = catalogue.items[offer.item].certificate_min >= REGISTERED_FROM
    if registered and not fields.registration:
        raise InputError(
            "goods of this kind carry a registration or filing number: type it from the certificate",
            code="lot.registration_missing",
        )
    if registered and not fields.udi:
        raise InputError(
            "goods of this kind carry a UDI: scan the code on the box", code="lot.udi_missing"
        )
    if fields.registration:
        number = parse_registration(fields.registration, today=today)
        require_device_class(offer.item, number)
    if not fields.udi:
        return None
    udi = parse_udi(fields.udi, today=today)
    require_same_goods(udi, goods)
    return udi


def _require_as_offered(offer: OfferRow, fields: OpenLot) -> None:
    offered = (
        (offer.batch_number, fields.batch_number, "batch"),
        (offer.produced_on, fields.produced_on, "produced"),
        (offer.expires_on, fields.expires_on, "expiry"),
    )
    for before, now, name in offered:
        if before and before != now:
            raise InputError(
                "these are other goods than those that were offered and matched: post them as an "
                "offer of their own",
                code="lot.other_goods",
                field=name,
            )
