"""Evidence out: one file about a whole donation, verified offline by `fuqi bundle verify`.

Lots and agreements go in as the bundles they have anyway, each exported and recorded as such, under ids that
follow from the id of the donation's bundle: asked for again after a crash, nothing is made twice. In this
way a large one is made in steps: each request makes some and says how many stand, the last puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_visible
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
from api.flows.custody_bundle import export_lot_bundle
from api.flows.custody_evidence import lot_certificate
from api.flows.exporting import export_bundle
from api.ports import Ports
from arbitration.contents import Purpose
from arbitration.donation_bundle import DonationContents, write_donation_bundle
from arbitration.donation_model import AGREEMENTS_MAX, LOTS_MAX, OFFER_TYPES
from arbitration.lot_bundle import LotParty
from arbitration.lot_model import LINE_TYPES
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import derived_id, id_time, require_id
from ledger.queries import custody as custody_queries
from ledger.queries import donations as queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.queries.donation_bundles import inner_bundle_id
from ledger.receipts import build_receipt
from ledger.store import transaction
from ledger.tables.agreements import BundleRow
from ledger.tables.custody import LotRow
from ledger.tables.supply import OfferRow

OFFERS_MAX: Final = 20
"""Offers in one bundle: what one person reads."""
LINES_MAX: Final = 200
"""Lines in one bundle, each with its entries; an offer with more is told by its lots' bundles."""


STEP: Final = 8
"""Bundles of lots and agreements made in one request: a pair of them takes a fifth of a second of a core."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A bundle that is not finished: asked for again with the same id, it goes on.

    Attributes:
        done, total: bundles of lots and agreements that go into it.
        finished: whether it can be downloaded.
    """

    id: str
    offer_ids: tuple[str, ...]
    done: int
    total: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class _Parts:
    """What goes into the bundle, as it stood when it was asked for."""

    offers: tuple[OfferRow, ...]
    lines: tuple[queries.Line, ...]
    lots: tuple[LotRow, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Lots and agreements whose bundles go in, each agreement after its first lot.

        An agreement takes five times as long as a lot: in this order no step has only agreements.
        """
        return tuple(dict.fromkeys(two for one in self.lots for two in (one.id, one.agreement_id)))


def export_donation_bundle(
    ports: Ports,
    caller: Caller,
    *,
    offer_ids: Sequence[str],
    bundle_id: str,
    purpose: Purpose,
    recipient: str,
    at: datetime,
) -> tuple[BundleRow, bytes]:
    """Make the bundle of these offers of one donor in one go; the same id again returns the same bytes.

    For the command line and whoever waits as long as it takes; requests use `advance_donation_bundle`.

    Raises: as `advance_donation_bundle`.
    """
    made = advance_donation_bundle(
        ports,
        caller,
        offer_ids=offer_ids,
        bundle_id=bundle_id,
        purpose=purpose,
        recipient=recipient,
        at=at,
        step=LOTS_MAX + AGREEMENTS_MAX,
    )
    assert not isinstance(made, Progress), "more parts than a bundle holds"
    return made


def advance_donation_bundle(
    ports: Ports,
    caller: Caller,
    *,
    offer_ids: Sequence[str],
    bundle_id: str,
    purpose: Purpose,
    recipient: str,
    at: datetime,
    step: int = STEP,
) -> tuple[BundleRow, bytes] | Progress:
    """Make some more of the bundle of these offers of one donor, or finish it; finished it stays as it is.

    Args:
        step: so many bundles of lots and agreements are made at most.

    Raises:
        NotFoundError: absent, or another organisation's offer.
        InputError: `id.malformed`, `donation.offers`.
        LimitError: `donation.too_many`, `custody.too_many_receipts`.
        ConflictError: `bundle.not_final`, `bundle.overtaken` (ask again), `bundle.other_agreement`,
            `vault.restricted`.
        UnavailableError: the time-stamp authority does not answer; ask again with the same id.
    """
    require_id(bundle_id, prefix="bun")
    chosen = tuple(sorted(set(offer_ids)))
    if not 1 <= len(chosen) <= OFFERS_MAX:
        raise InputError(f"name 1 to {OFFERS_MAX} offers", code="donation.offers", limit=OFFERS_MAX)
    wanted = NewBundle(bundle_id, subject_of(chosen), purpose, recipient, at, makers_own=True)
    with transaction(ports.readers) as session:
        parts = _parts(session, caller, chosen)
        existing = made_before(session, ports, caller, wanted)
        if existing is not None:
            return existing
        # Before anything is exported: what is not final here would be refused in the end.
        require_final(session, _opened(session, ports, parts))
        missing = _missing(session, parts, wanted)
    for subject in missing[:step]:
        _export_inner(ports, caller, subject, wanted)
    total = len(parts.subjects)
    # Putting a large one together is a step of its own.
    if missing and total > step:
        return Progress(bundle_id, chosen, total - len(missing[step:]), total)
    lots, agreements = _inner(ports, caller, parts, wanted)
    with transaction(ports.readers) as session:
        contents = _contents(session, ports, caller, parts, wanted, lots, agreements)
    data = write_donation_bundle(
        contents,
        seal=ports.log_key.sign_text,
        stamp=lambda imprint: ports.tsa.stamp(imprint, at=at),
    )
    # The bundles inside are recorded, and what erases one of them looks for this one.
    opened = {*opened_subjects(contents.receipts), *lots, *agreements}
    return keep_bundle(ports, caller, wanted, data, opened=opened)


def donation_progress(
    session: Session, caller: Caller, *, offer_ids: Sequence[str], bundle_id: str
) -> Progress:
    """How far the bundle of these offers has come; without offers only a finished one is found.

    Raises:
        NotFoundError, InputError, LimitError: as `advance_donation_bundle`, `donation_bundle_for`.
    """
    require_id(bundle_id, prefix="bun")
    if not offer_ids:
        return Progress(donation_bundle_for(session, caller, bundle_id).id, (), 0, 0, finished=True)
    chosen = tuple(sorted(set(offer_ids)))
    parts = _parts(session, caller, chosen)
    made = [inner_bundle_id(bundle_id, one) for one in parts.subjects]
    done = sum(session.get(BundleRow, one) is not None for one in made)
    row = session.get(BundleRow, bundle_id)
    mine = row is not None and row.exported_by == caller.account_id
    return Progress(bundle_id, chosen, done, len(made), mine)


def subject_of(offer_ids: Sequence[str]) -> str:
    """What a bundle is about: the offer, or the set of offers under one id."""
    if len(offer_ids) == 1:
        return offer_ids[0]
    return derived_id("don", at=id_time(offer_ids[0]), seed=",".join(offer_ids))


def donation_bundle_for(session: Session, caller: Caller, bundle_id: str) -> BundleRow:
    """A bundle of a donation, for the account that made it and for operators.

    Raises:
        NotFoundError: absent, another's, or of something else.
    """
    row = session.get(BundleRow, bundle_id)
    mine = row is not None and (row.exported_by == caller.account_id or caller.is_operator)
    if row is None or not mine or not row.subject.startswith(("offer_", "don_")):
        raise NotFoundError("there is no such record")
    return row


def _parts(session: Session, caller: Caller, offer_ids: Sequence[str]) -> _Parts:
    offers = []
    for one in offer_ids:
        offer = session.get(OfferRow, one)
        if offer is None:
            raise NotFoundError("there is no such record")
        require_visible(caller, offer.organisation_id)
        offers.append(offer)
    if len({one.organisation_id for one in offers}) > 1:
        raise InputError("these offers are of several donors", code="donation.offers")
    lines = queries.lines_of(session, queries.offers_wanted(ids=offer_ids))
    lots = custody_queries.lots_of_allocations(session, [one.allocation.id for one in lines])
    for count, limit, what in (
        (len(lines), LINES_MAX, "lines"),
        (len(lots), LOTS_MAX, "lots"),
        (len({one.agreement_id for one in lots}), AGREEMENTS_MAX, "agreements"),
    ):
        if count > limit:
            raise LimitError(
                f"these offers have {count} {what}, a bundle holds {limit}: take fewer offers, or the "
                "bundle of each lot",
                code="donation.too_many",
                limit=limit,
            )
    return _Parts(tuple(offers), tuple(lines), tuple(lots))


def _missing(session: Session, parts: _Parts, wanted: NewBundle) -> list[str]:
    """Lots and agreements whose bundles are still to be made for this one."""
    return [
        one
        for one in parts.subjects
        if session.get(BundleRow, inner_bundle_id(wanted.id, one)) is None
    ]


def _export_inner(ports: Ports, caller: Caller, subject: str, wanted: NewBundle) -> bytes:
    bundle_id = inner_bundle_id(wanted.id, subject)
    if subject.startswith("lot_"):
        return export_lot_bundle(
            ports,
            caller,
            lot_id=subject,
            bundle_id=bundle_id,
            purpose=wanted.purpose,
            recipient=wanted.recipient,
            at=wanted.at,
        )[1]
    return export_bundle(
        ports,
        caller,
        agreement_id=subject,
        bundle_id=bundle_id,
        purpose=wanted.purpose,
        recipient=wanted.recipient,
        at=wanted.at,
    )[1]


def _inner(
    ports: Ports, caller: Caller, parts: _Parts, wanted: NewBundle
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(lot -> bundle, agreement -> bundle)."""
    made = {one: _export_inner(ports, caller, one, wanted) for one in parts.subjects}
    lots = {one: data for one, data in made.items() if one.startswith("lot_")}
    return lots, {one: data for one, data in made.items() if one not in lots}


def _opened(session: Session, ports: Ports, parts: _Parts) -> list[Opened]:
    subjects = {one.id for one in parts.offers}
    for one in parts.lines:
        subjects |= {one.allocation.id, one.allocation.round_id}
    found: list[Opened] = []
    for subject in sorted(subjects):
        opened = open_entries(session, ports, [subject])
        if len(opened) >= log_queries.PAGE_MAX:
            raise LimitError(
                "there are too many entries for one file: take the receipts one by one",
                code="custody.too_many_receipts",
                limit=log_queries.PAGE_MAX,
            )
        found += opened
    return found


def _contents(
    session: Session,
    ports: Ports,
    caller: Caller,
    parts: _Parts,
    wanted: NewBundle,
    lots: Mapping[str, bytes],
    agreements: Mapping[str, bytes],
) -> DonationContents:
    opened = _opened(session, ports, parts)
    require_final(session, opened)
    shown = OFFER_TYPES | LINE_TYPES
    receipts = [
        build_receipt(
            session,
            one.row,
            verifier=ports.log_key.verifier,
            private=one.private if one.row.type in shown else None,
            with_evidence=False,
        )
        for one in opened
    ]
    donor = parts.offers[0].organisation_id
    organisations = {one for lot in parts.lots for one in (lot.giver_id, lot.receiver_id)}
    if donor is not None:
        organisations.add(donor)
    rows = party_queries.parties_by_ids(session, sorted(organisations))
    return DonationContents(
        id=wanted.id,
        offers=tuple(one.id for one in parts.offers),
        made_at=wanted.at,
        purpose=wanted.purpose,
        recipient=wanted.recipient,
        organisation=donor,
        exported_by=caller.account_id,
        parties=tuple(
            LotParty(id=row.id, name=row.name, category=row.category, invented=row.invented)
            for row in rows.values()
        ),
        hospitals={one.allocation.id: one.hospital.name for one in parts.lines},
        lots=lots,
        agreements=agreements,
        certificates=_certificates(session, ports, caller, parts, at=wanted.at),
        receipts=tuple(receipts),
        anchors=tuple(anchors_named(session, receipts)),
        demo=ports.settings.demo,
    )


def _certificates(
    session: Session, ports: Ports, caller: Caller, parts: _Parts, *, at: datetime
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for lot in parts.lots:
        try:
            found[lot.id] = lot_certificate(session, ports, caller, lot.id, at=at)
        except ConflictError as exc:
            # An order's goods, or nothing accepted yet: there is nothing to certify.
            if exc.error_code not in ("custody.nothing_accepted", "custody.not_a_donation"):
                raise
    return found
