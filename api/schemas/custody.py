"""Shapes of goods on their way: the fields of each signed act, and what is shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.base import Id, Input, Output

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
OptionalText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Long = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Units = Annotated[int, Field(ge=1, le=10**12)]
Count = Annotated[int, Field(ge=0, le=10**12)]

PACKAGES_MAX = 500
"""Packages in one act: a truck."""


class OpenLot(Input):
    """Open a lot: goods of one batch for an accepted allocation, under its formed agreement."""

    lot_id: Id = Field(description="lot_…, made by the caller")
    allocation_id: Id
    agreement_id: Id
    quantity: Units
    batch_number: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)
    ]
    produced_on: date
    expires_on: date | None = None
    udi: OptionalText = Field(default="", description="as scanned or printed")
    registration: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""
    purpose: Text = Field(description="what the goods are given for")


class NewPackage(Input):
    """A box and how many units are in it."""

    id: Id = Field(description="pkg_…, made by the caller")
    quantity: Units


class Pack(Input):
    """Put units of one's own stock (or rejected ones) into labelled packages."""

    lot_id: Id
    packages: Annotated[tuple[NewPackage, ...], Field(min_length=1, max_length=PACKAGES_MAX)]
    shelf: Literal["stock", "rejected"] = "stock"


class Unpack(Input):
    """Open a package of one's own; its units stand in stock again."""

    package_id: Id


class HandOver(Input):
    """Hand packages to the next holder; they count as handed when the other side has signed."""

    handover_id: Id = Field(description="hov_…, made by the caller")
    lot_id: Id
    to_organisation: Id
    package_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=PACKAGES_MAX)]
    waybill: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""
    seal: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""


class Receive(Input):
    """Confirm a hand-over on the way; what was not there is named."""

    handover_id: Id
    missing_package_ids: Annotated[tuple[Id, ...], Field(max_length=PACKAGES_MAX)] = ()
    condition: OptionalText = ""


class Refuse(Input):
    """Refuse a hand-over, or take one's own offer back: everything stays with the giver."""

    handover_id: Id
    reason: Text


class Checks(Input):
    """What was looked at on acceptance (legal.md DN-9)."""

    supplier_licence: bool
    registration_certificate: bool
    conformity_certificate: bool
    name_and_model: bool
    batch_and_expiry: bool
    packaging: bool


class Inspect(Input):
    """The hospital's acceptance: the same counts are signed by two persons."""

    handover_id: Id
    accepted: Count
    quarantined: Count = 0
    rejected: Count = 0
    missing: Count = 0
    checks: Checks
    note: OptionalText = ""


class Release(Input):
    """Decide about goods in quarantine."""

    lot_id: Id
    quantity: Units
    outcome: Literal["accepted", "rejected"]
    reason: Text


class Use(Input):
    """Units used on a ward."""

    lot_id: Id
    quantity: Units
    ward: Text


class OpenDiscrepancy(Input):
    """Something is wrong with units of one's own stock."""

    discrepancy_id: Id = Field(description="dsc_…, made by the caller")
    lot_id: Id
    kind: Literal["missing", "damaged", "wrong_item", "temperature", "other"]
    quantity: Units
    note: Long


class AnswerDiscrepancy(Input):
    """What the answerable side says."""

    discrepancy_id: Id
    answer: Long


class SettleDiscrepancy(Input):
    """How it ends: the units were found again, or they are lost."""

    discrepancy_id: Id
    outcome: Literal["found", "lost"]
    note: Text


class OpenRecall(Input):
    """Call a batch back."""

    recall_id: Id = Field(description="rcl_…, made by the caller")
    lot_id: Id = Field(description="a lot of that batch which the caller gives or holds")
    reason: Long


class CloseRecall(Input):
    """End a recall."""

    recall_id: Id
    reason: Text


class AskPurpose(Input):
    """The receiver wishes to use a lot for something else."""

    change_id: Id = Field(description="puc_…, made by the caller")
    lot_id: Id
    purpose: Text
    reason: Text


class DecidePurpose(Input):
    """The giver's word on it."""

    change_id: Id
    consent: bool
    reason: OptionalText = ""


class ReferFiscal(Input):
    """Number of the fiscal receipt that somebody entitled to it has issued elsewhere."""

    lot_id: Id
    number: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    issued_on: date
    issuer: Text


class StatementIn(Input):
    """An act to be signed; the fields are those of the act."""

    id: Id = Field(description="cst_…, made by the caller")
    act: Annotated[str, StringConstraints(max_length=24)]
    fields: dict[str, Any]


class StatementOut(Output):
    """What the handler reads and the device signs."""

    id: str
    act: str
    statement: dict[str, Any]
    message_base64: str
    done: bool


class ProofIn(Input):
    """The device's signature over the statement's message."""

    signature_base64: Annotated[str, StringConstraints(max_length=4096)]


class DoneOut(Output):
    """A signed act that is carried out."""

    id: str
    act: str
    result_id: str
    entry_id: str


class PlaceOut(Output):
    """Units at one place."""

    holder_id: str
    holder: str
    role: str = Field(description="giver, carrier or hospital")
    shelf: str
    quantity: int


class PackageOut(Output):
    """A package."""

    id: str
    number: int
    quantity: int
    holder_id: str
    state: str
    handover_id: str | None


class HandoverOut(Output):
    """A hand-over with both its sides."""

    id: str
    from_id: str
    from_name: str
    to_id: str
    to_name: str
    quantity: int
    waybill: str
    state: str
    due_at: datetime
    late: bool
    inspection: dict[str, Any] | None
    inspected_by: str | None
    accepted: int
    quarantined: int
    rejected: int
    missing: int
    packages: list[PackageOut]


class DiscrepancyOut(Output):
    """A discrepancy and its clocks."""

    id: str
    lot_id: str
    handover_id: str | None
    kind: str
    quantity: int
    holder_id: str
    holder: str
    note: str
    answer: str | None
    state: str
    answer_due_at: datetime
    settle_due_at: datetime
    late: bool


class PurposeOut(Output):
    """A wish to use a lot otherwise."""

    id: str
    lot_id: str
    purpose: str
    reason: str
    state: str
    due_at: datetime
    late: bool


class EventOut(Output):
    """One step of a lot's way, with its proof."""

    entry_id: str
    type: str
    at: datetime
    state: str
    moves: list[dict[str, Any]] = Field(description="units that moved with it: from, to, quantity")
    acts: list[str] = Field(description="acts on the chain that copy it")


class LotOut(Output):
    """A lot in a list."""

    id: str
    allocation_id: str
    agreement_id: str
    offer_id: str
    item: str
    item_zh: str
    item_en: str
    quantity: int
    used: int
    lost: int
    batch_number: str
    produced_on: date
    expires_on: date | None
    giver_id: str
    giver: str
    receiver_id: str
    receiver: str
    hospital: str
    purpose: str
    directed: bool
    recall_id: str | None
    opened_at: datetime


class LotDetailOut(LotOut):
    """A lot with where every unit is and how it came there."""

    udi: str
    device: str
    registration: str
    fiscal_number: str | None
    fiscal_on: date | None
    fiscal_issuer: str | None
    places: list[PlaceOut]
    packages: list[PackageOut]
    handovers: list[HandoverOut]
    discrepancies: list[DiscrepancyOut]
    purposes: list[PurposeOut]
    events: list[EventOut]


class HeldOut(Output):
    """Units of a batch at one holder."""

    lot_id: str
    batch_number: str
    item: str
    expires_on: date | None
    holder_id: str
    holder: str
    shelf: str
    quantity: int


class RecallOut(Output):
    """A recall and everybody it reaches."""

    id: str
    batch_number: str
    item: str
    reason: str
    state: str
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None
    held: list[HeldOut]
    gone: list[HeldOut] = Field(description="units already used or lost")


class OverdueOut(Output):
    """What waits beyond its deadline; the caller's, an operator sees all."""

    policy: dict[str, int]
    policy_sha256: str
    handovers: list[dict[str, Any]]
    discrepancies: list[dict[str, Any]]
    purposes: list[dict[str, Any]]
