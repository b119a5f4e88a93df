"""Shapes of needs, offers, rounds and allocations."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.acts import RoundChainOut
from api.schemas.agreements import EntryOut
from api.schemas.base import Id, Input, Output, ShortText
from api.schemas.board import Urgency

MICRODEGREES = 180 * 10**6


class PlaceIn(Input):
    """Where goods leave from; degrees times a million."""

    province: ShortText
    city: ShortText
    longitude_micro: int = Field(ge=-MICRODEGREES, le=MICRODEGREES)
    latitude_micro: int = Field(ge=-MICRODEGREES // 2, le=MICRODEGREES // 2)


class NeedIn(Input):
    """A need of a hospital of the caller's organisation."""

    id: Id = Field(description="need_…")
    hospital_id: Id
    item: ShortText = Field(description="as people write it; the catalogue reads it")
    specification: Annotated[str, StringConstraints(max_length=500)] = ""
    quantity: int = Field(description="pieces, above zero")
    urgency: Urgency
    deadline_on: date
    remaining_days_min: int | None = Field(default=None, ge=0, le=3650)
    accepts_substitutes: bool = True
    certificate_min: int | None = Field(
        default=None,
        ge=0,
        le=2,
        description="at least what the item requires, which is the default",
    )
    sterile: bool = Field(default=False, description="asked for beside what the specification says")


class OfferIn(Input):
    """Donated goods of one batch, or a line's daily capacity."""

    id: Id = Field(description="offer_…")
    kind: Literal["lot", "capacity"]
    item: ShortText = Field(description="catalogue item")
    quantity: int = Field(description="of a lot: all of it; of a capacity: each day")
    place: PlaceIn
    available_on: date
    windows: int = Field(default=1, description="days of capacity; 1 for a lot")
    produced_on: date | None = None
    expires_on: date | None = None
    batch_number: ShortText = ""
    standard: ShortText | None = None
    edition: ShortText | None = None
    certificate: int = Field(default=0, ge=0, le=10)
    sterile: bool = False
    donor_kind: Literal["organisation", "individual"] = Field(
        default="organisation",
        description="on whose behalf: some lanes take no gifts of individuals",
    )
    directed_to: Annotated[tuple[Id, ...], Field(max_length=50)] = ()
    related_to: Annotated[tuple[Id, ...], Field(max_length=50)] = ()
    pack: int = Field(default=1, description="units move in whole packs or pallets of this size")
    smallest: int = Field(default=1, description="no hospital gets fewer")
    receivers_max: int | None = Field(
        default=None,
        description="to how many hospitals all open offers of the organisation go at most",
    )
    resource_id: Id | None = Field(default=None, description="res_…: what makes a capacity")
    per_unit: int = Field(default=0, description="how much of the resource one unit takes")


class NeedOut(Output):
    """A need, as its hospital sees it."""

    id: str
    hospital_id: str
    items: list[str]
    item: str
    quantity: int
    tier: int
    posted_on: date
    deadline_on: date
    specification: str
    standard: str | None
    edition: str | None
    certificate_min: int
    sterile: bool
    remaining_days_min: int
    accepts_substitutes: bool
    remarks: list[str]
    defaults: list[str]
    state: str
    withdrawn_reason: str | None
    created_at: datetime


class OfferOut(Output):
    """An offer, as its organisation sees it."""

    id: str
    kind: str
    organisation_id: str | None
    item: str
    quantity: int
    windows: int
    available_on: date
    produced_on: date | None
    expires_on: date | None
    batch_number: str
    standard: str | None
    edition: str | None
    certificate: int
    sterile: bool
    province: str
    city: str
    donor_kind: str
    directed_to: list[str]
    related_to: list[str]
    pack: int
    smallest: int
    receivers_max: int | None
    resource_id: str | None
    per_unit: int
    unusable: str | None = Field(
        description="why no round can use it, whatever is needed: a standard not declared, say"
    )
    frozen: bool
    generated: bool
    state: str
    withdrawn_reason: str | None
    created_at: datetime


class ResourceIn(Input):
    """A plant, line, machine, product or service that several capacities draw on."""

    id: Id = Field(description="res_…")
    kind: Literal["plant", "line", "machine", "product", "service"]
    name: ShortText
    unit: Literal["minute", "hour", "piece", "kilogram"] = Field(description="what capacity counts")
    capacity: int = Field(description="of each day, above zero")
    available_on: date
    windows: int = Field(default=1, description="days from available_on")


class ResourceOut(Output):
    """A resource, as its organisation sees it."""

    id: str
    kind: str
    name: str
    unit: str
    capacity: int
    available_on: date
    windows: int
    state: str
    withdrawn_reason: str | None
    created_at: datetime


class LaneIn(Input):
    """A carrier's lane."""

    id: Id = Field(description="lane_…")
    origin: ShortText | None = Field(
        default=None, description="a province; the whole country if left out"
    )
    destination: PlaceIn
    individuals: bool = Field(default=False, description="whether it takes gifts of individuals")
    open_from: date
    open_to: date | None = None


class LaneOut(Output):
    """A lane of a carrier."""

    id: str
    name: str
    origin: str | None
    province: str
    city: str
    individuals: bool
    open_from: date | None
    open_to: date | None
    state: str
    withdrawn_reason: str | None
    created_at: datetime


class SupplyFileOut(Output):
    """A file of offers or needs that the organisation sent."""

    id: str
    kind: str = Field(description="offers or needs")
    sha256: str
    lines: int
    created_at: datetime
    withdrawn_at: datetime | None


class SupplyFileFaultOut(Output):
    """What is wrong with a line of a file."""

    line: int = Field(description="of the file; the header is line 1")
    column: str | None
    code: str
    detail: str


class SupplyFileSentOut(Output):
    """What became of a file: stored whole, or nothing of it."""

    file: SupplyFileOut | None = Field(description="null where nothing was stored")
    lines: int = Field(description="lines that are in order")
    faults: list[SupplyFileFaultOut]


class HospitalOut(Output):
    """A hospital that the caller's organisation stands behind."""

    id: str
    name: str
    province: str
    city: str
    district: str
    agency: bool
    invented: bool


class RoundSummaryOut(Output):
    """A round in a list."""

    id: str
    state: str = Field(description="opened or closed")
    as_of: date
    needs: int
    lots: int
    policy: str
    policy_sha256: str
    inputs_sha256: str
    plan_sha256: str | None
    certificate_sha256: str | None
    opened_at: datetime
    closed_at: datetime | None
    chain_alarm: str = Field(
        description="struck, struck_for_good, refused or restated where its result on the chain did not stand; "
        "else empty"
    )


class RoundOut(RoundSummaryOut):
    """A round with its result and the checker's report."""

    allocations: int
    summary: dict[str, Any] | None = Field(
        description="fill rates, distances, reasons, and gap: null where the plan is proven best, else how "
        "much more could be served at most; null while open"
    )
    report: dict[str, Any] | None = Field(description="the independent checker's report")
    chain: RoundChainOut | None = Field(description="null where nothing is recorded on the chain")
    entries: list[EntryOut]


class PolicyOut(Output):
    """The rule a round was held under, as committed before solving."""

    policy: dict[str, Any] = Field(description="`fuqi/policy/v1`, canonical when keys are sorted")
    sha256: str = Field(description="SHA-256 over the tag `fuqi/policy/v1` and the canonical bytes")


class NeedOutcomeOut(Output):
    """How far a need was served in a round, and why not further."""

    need: str
    item_zh: str
    item_en: str
    quantity: int
    served: int
    state: str = Field(description="filled, partly or not")
    reason: str | None
    reason_zh: str
    reason_en: str
    detail_zh: str = Field(description="what stood against it, or by which claim it was outbid")
    detail_en: str
    against: dict[str, int] = Field(description="reason -> lots of its class that fail for it")
    shortage_price: int = Field(
        description="dual price of one more piece here: the rank that would go unserved instead"
    )
    claim: int = Field(description="rank of the next piece it would have got; 0 where filled")
    asked: list[int] | None = Field(
        description="worth elsewhere of the cheapest piece that fits, plus the way: rank, km, days"
    )


class LotLineOut(Output):
    """Where pieces of a lot went, and why there."""

    need: str
    hospital: str
    city: str
    urgency: str
    quantity: int
    reason: str | None
    reason_zh: str
    reason_en: str
    worse_by: list[int] | None = Field(
        description="by how much at least the plan is worse if one piece goes to the best other need"
    )


class LotOutcomeOut(Output):
    """One offer of the caller's organisation in a round; the days of a capacity are added up."""

    offer: str
    item_zh: str
    item_en: str
    given: int
    left: int
    reason: str | None = Field(description="why pieces were left")
    reason_zh: str
    reason_en: str
    lines_in_all: int
    lines: list[LotLineOut]


class AllocationOut(Output):
    """One line of an accepted plan."""

    id: str
    round_id: str
    need_id: str
    offer_id: str
    window: int
    quantity: int
    km: int
    substitute: bool
    state: str
    decided_at: datetime | None
    decline_reason: str | None
    kind: str = Field(description="lot (goods that exist) or capacity (goods to be made)")
    item: str
    item_zh: str
    item_en: str
    donor: str
    hospital: str
    city: str
    giving: bool = Field(description="whether the caller's organisation gives (else it receives)")


class RoundIn(Input):
    """A round to run now."""

    id: Id = Field(description="rnd_…, made by the caller")
    as_of: date | None = Field(default=None, description="the day it is run for; today if left out")
