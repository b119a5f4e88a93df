"""Shapes of a donor's account: where every unit of an offer is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from api.schemas.agreements import BundleIn
from api.schemas.base import Id, Output
from api.schemas.custody import LotOut


class PlaceSum(Output):
    """Units at one place."""

    place: str = Field(
        description="free, withdrawn, proposed, promised, with_donor, packed, on_the_way, accepted, "
        "quarantine, rejected, disputed, used, lost"
    )
    units: int


class ApartSum(Output):
    """Counts that overlap the places: no part of the sum."""

    recalled: int = Field(description="units that still exist, of lots under an open recall")
    recalled_gone: int = Field(description="used or lost units of those lots")
    other_use: int = Field(
        description="units of lots whose use was changed with the donor's consent"
    )
    came_back: int = Field(description="units the donor took back, ever")


class SumCheck(Output):
    """That nothing is missing, as the database counts it."""

    offered: int
    counted: int = Field(description="sum over the places")
    faults: dict[str, int] = Field(
        description="how often each check does not hold: lots_add_up (the places of a lot are its "
        "quantity), lots_were_opened_once, lines_hold_lots, offers_hold_lines"
    )
    balanced: bool = Field(description="offered = counted, and no check fails")


class HospitalSum(Output):
    """What one hospital was given."""

    hospital: str
    city: str
    units: int
    places: list[PlaceSum]


class LineOut(Output):
    """One line of a round, or of the decision on an urgent need."""

    id: str
    round_id: str
    urgent: bool
    window: int
    hospital: str
    city: str
    quantity: int
    in_lots: int
    state: str
    decided_at: datetime | None
    agreement_id: str | None
    agreement_state: str | None


class BatchSum(Output):
    """Units of one batch."""

    batch_number: str
    expires_on: date | None
    lots: int
    units: int


class AccountOut(Output):
    """Where every unit is: each at exactly one place."""

    places: list[PlaceSum]
    apart: ApartSum
    check: SumCheck
    hospitals: list[HospitalSum]


class WayOut(AccountOut):
    """One offer, with its lines, batches and lots."""

    offer_id: str
    kind: str
    state: str
    item: str
    item_zh: str
    item_en: str
    posted_at: datetime
    offered: int
    opened: int
    waiting: int = Field(description="units that are in no lot")
    by_shelf: dict[str, int]
    by_hospital: dict[str, dict[str, int]]
    lines: list[LineOut]
    batches: list[BatchSum]
    lots: list[LotOut]


class OfferSum(Output):
    """One of my offers."""

    offer_id: str
    kind: str
    state: str
    item_zh: str
    item_en: str
    batch_number: str
    posted_at: datetime
    offered: int
    places: list[PlaceSum]


class DonationsOut(AccountOut):
    """All my offers together; the list of offers is paged, the sums are over all of them."""

    offers: list[OfferSum]
    next: str | None = Field(description="`after` of the next page; null where this is the last")


class PublicWay(AccountOut):
    """One donation as the public sees it: accepted lines only, natural persons masked, no ward, no person."""

    offer_id: str
    donor: str
    donor_masked: bool
    kind: str
    item_zh: str
    item_en: str
    generated: bool


class DonationBundleIn(BundleIn):
    """Ask for one bundle about whole offers."""

    offer_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=20)] = Field(
        description="my offers, of which the bundle tells every unit"
    )


class BundleProgressOut(Output):
    """A large bundle that is not finished: send the same request again, it goes on where it stands."""

    id: str
    done: int = Field(description="bundles of lots and agreements that are made")
    total: int = Field(description="bundles of lots and agreements that go into it")
