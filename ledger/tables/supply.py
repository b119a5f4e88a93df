"""Tables of supply and demand: hospitals, needs, offers, resources, lanes, imports, rounds and allocations.

Quantities are whole pieces, places are degrees * 10**6, dates are calendar dates in China's sense of a day.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class ImportRunRow(Base):
    """One import or generation. `rows_done` is how far it came: a killed run goes on from there."""

    __tablename__ = "import_run"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    source: Mapped[str] = mapped_column(String(100), unique=True)
    """Name of the data set, e.g. `hubei-2020`, `sample`, or `generated:<run>`."""
    kind: Mapped[str] = mapped_column(String(12))
    """dataset | generated"""
    state: Mapped[str] = mapped_column(String(12))
    """running | finished"""
    policy: Mapped[str] = mapped_column(String(100))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    as_of: Mapped[date] = mapped_column(Date)
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """[{name, sha256, rows}]"""
    counts: Mapped[dict[str, Any]] = mapped_column(JSON)
    """file -> status -> rows"""
    rows: Mapped[int] = mapped_column(Integer)
    rows_done: Mapped[int] = mapped_column(Integer)
    invented: Mapped[bool] = mapped_column(Boolean)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ImportRowRow(Base):
    """What became of one row of one file; refused rows stand here too."""

    __tablename__ = "import_row"

    run_id: Mapped[str] = mapped_column(ForeignKey("import_run.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    """0-based over all files of the run, in the order read."""
    file: Mapped[str] = mapped_column(String(40))
    line: Mapped[int] = mapped_column(Integer)
    source_key: Mapped[str] = mapped_column(String(60))
    status: Mapped[str] = mapped_column(String(12))
    """understood | defaulted | refused"""
    codes: Mapped[list[str]] = mapped_column(JSON)
    subject_id: Mapped[str | None] = mapped_column(String(40))
    """The hospital, need, offer or lane made from it."""

    __table_args__ = (Index("ix_import_row_status", "run_id", "file", "status"),)


class HospitalRow(Base):
    """A receiver of supplies; `organisation_id` once a registered party stands behind it."""

    __tablename__ = "hospital"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("import_run.id"), index=True)
    source_key: Mapped[str | None] = mapped_column(String(60))
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("party.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    province: Mapped[str] = mapped_column(String(40))
    city: Mapped[str] = mapped_column(String(60), index=True)
    district: Mapped[str] = mapped_column(String(200))
    adcode: Mapped[str] = mapped_column(String(6))
    longitude_micro: Mapped[int] = mapped_column(BigInteger)
    latitude_micro: Mapped[int] = mapped_column(BigInteger)
    precision: Mapped[str] = mapped_column(String(20))
    agency: Mapped[bool] = mapped_column(Boolean)
    """Red Cross, charity, disease control: a receiver that is no hospital."""
    front: Mapped[bool] = mapped_column(Boolean)
    scale_percent: Mapped[int] = mapped_column(Integer)
    invented: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("run_id", "source_key"),)


class NeedRow(Base):
    """A hospital's request. What a round served is in its allocations, never here."""

    __tablename__ = "need"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    hospital_id: Mapped[str] = mapped_column(ForeignKey("hospital.id"), index=True)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("import_run.id"), index=True)
    source_key: Mapped[str | None] = mapped_column(String(60))
    items: Mapped[list[str]] = mapped_column(JSON)
    item: Mapped[str] = mapped_column(String(40), index=True)
    """The first of `items`: the one asked for."""
    quantity: Mapped[int] = mapped_column(BigInteger)
    tier: Mapped[int] = mapped_column(Integer)
    """0 critical, 1 high, 2 normal"""
    posted_on: Mapped[date] = mapped_column(Date)
    deadline_on: Mapped[date] = mapped_column(Date)
    specification: Mapped[str] = mapped_column(Text)
    standard: Mapped[str | None] = mapped_column(String(40))
    edition: Mapped[str | None] = mapped_column(String(10))
    certificate_min: Mapped[int] = mapped_column(Integer)
    sterile: Mapped[bool] = mapped_column(Boolean)
    remaining_days_min: Mapped[int] = mapped_column(Integer)
    accepts_substitutes: Mapped[bool] = mapped_column(Boolean)
    remarks: Mapped[list[str]] = mapped_column(JSON)
    defaults: Mapped[list[str]] = mapped_column(JSON)
    """What a policy filled or replaced; empty where the row says everything itself."""
    state: Mapped[str] = mapped_column(String(12))
    """open | withdrawn"""
    withdrawn_reason: Mapped[str | None] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_need_board", "state", "posted_on", "id"),
    )


class OfferRow(Base):
    """Donated goods of one batch (`lot`), or a line's capacity over several days (`capacity`)."""

    __tablename__ = "offer"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    """lot | capacity"""
    run_id: Mapped[str | None] = mapped_column(ForeignKey("import_run.id"), index=True)
    source_key: Mapped[str | None] = mapped_column(String(60))
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("party.id"), index=True)
    donor_name: Mapped[str] = mapped_column(String(200))
    donor_kind: Mapped[str] = mapped_column(String(12))
    """organisation | individual"""
    item: Mapped[str] = mapped_column(String(40), index=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    """Of a lot: all of it. Of a capacity: each day."""
    windows: Mapped[int] = mapped_column(Integer)
    """Days of capacity from `available_on`; 1 for a lot."""
    available_on: Mapped[date] = mapped_column(Date)
    produced_on: Mapped[date | None] = mapped_column(Date)
    """None for a capacity: each window is produced on its own day."""
    expires_on: Mapped[date | None] = mapped_column(Date)
    batch_number: Mapped[str] = mapped_column(String(60))
    standard: Mapped[str | None] = mapped_column(String(40))
    edition: Mapped[str | None] = mapped_column(String(10))
    certificate: Mapped[int] = mapped_column(Integer)
    sterile: Mapped[bool] = mapped_column(Boolean)
    province: Mapped[str] = mapped_column(String(40))
    city: Mapped[str] = mapped_column(String(60))
    longitude_micro: Mapped[int] = mapped_column(BigInteger)
    latitude_micro: Mapped[int] = mapped_column(BigInteger)
    directed_to: Mapped[list[str]] = mapped_column(JSON)
    """Hospital ids; empty = any."""
    related_to: Mapped[list[str]] = mapped_column(JSON)
    pack: Mapped[int] = mapped_column(BigInteger, default=1)
    """Units move in whole packs or pallets of this size."""
    smallest: Mapped[int] = mapped_column(BigInteger, default=1)
    """No line of it is smaller."""
    receivers_max: Mapped[int | None] = mapped_column(Integer)
    """To how many hospitals its donor splits all its offers at most; the least of them counts."""
    resource_id: Mapped[str | None] = mapped_column(String(40), index=True)
    """What makes it, where other offers need that too; of a capacity only."""
    per_unit: Mapped[int] = mapped_column(BigInteger, default=0)
    """How much of the resource one unit takes, in the resource's unit."""
    frozen: Mapped[bool] = mapped_column(Boolean)
    generated: Mapped[bool] = mapped_column(Boolean)
    defaults: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(12))
    """open | withdrawn"""
    withdrawn_reason: Mapped[str | None] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("windows > 0", name="windows_positive"),
        Index("ix_offer_board", "state", "available_on", "id"),
    )


class ResourceRow(Base):
    """A plant, line, machine, product or service with a daily capacity that several offers draw on."""

    __tablename__ = "resource"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    """plant | line | machine | product | service"""
    name: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(12))
    """minute | hour | piece | kilogram: what `capacity` counts"""
    capacity: Mapped[int] = mapped_column(BigInteger)
    """Of each day."""
    available_on: Mapped[date] = mapped_column(Date)
    windows: Mapped[int] = mapped_column(Integer)
    """Days from `available_on`."""
    state: Mapped[str] = mapped_column(String(12))
    """open | withdrawn"""
    withdrawn_reason: Mapped[str | None] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("capacity > 0", name="capacity_positive"),
        CheckConstraint("windows > 0", name="windows_positive"),
    )


class SupplyFileRow(Base):
    """One file of offers or needs that an organisation sent; `supply_file_line` says what each line made."""

    __tablename__ = "supply_file"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    """offers | needs"""
    sha256: Mapped[str] = mapped_column(String(64))
    lines: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("organisation_id", "kind", "sha256"),)


class SupplyFileLineRow(Base):
    """A line of a sent file and the record it made."""

    __tablename__ = "supply_file_line"

    file_id: Mapped[str] = mapped_column(ForeignKey("supply_file.id"), primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(40), index=True)
    """The need or offer."""


class LaneRow(Base):
    """A carrier's lane: from a province, or the whole country, to a city."""

    __tablename__ = "lane"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("import_run.id"), index=True)
    source_key: Mapped[str | None] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(200))
    origin: Mapped[str | None] = mapped_column(String(40))
    """Province, or None for the whole country."""
    province: Mapped[str] = mapped_column(String(40))
    city: Mapped[str] = mapped_column(String(60))
    longitude_micro: Mapped[int] = mapped_column(BigInteger)
    latitude_micro: Mapped[int] = mapped_column(BigInteger)
    individuals: Mapped[bool] = mapped_column(Boolean)
    published_on: Mapped[date | None] = mapped_column(Date)
    organisation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    """The carrier, where a registered one published it."""
    open_from: Mapped[date | None] = mapped_column(Date)
    open_to: Mapped[date | None] = mapped_column(Date)
    """First and last day on which rounds may use it; None = from ever, for ever."""
    state: Mapped[str] = mapped_column(String(12), default="open")
    """open | withdrawn"""
    withdrawn_reason: Mapped[str | None] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    created_by: Mapped[str] = mapped_column(String(40), default="system")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RoundRow(Base):
    """One run of the matcher. Opened (inputs and policy committed) before it is solved."""

    __tablename__ = "matching_round"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    """opened | closed"""
    as_of: Mapped[date] = mapped_column(Date)
    needs: Mapped[int] = mapped_column(Integer)
    lots: Mapped[int] = mapped_column(Integer)
    policy: Mapped[str] = mapped_column(String(100))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    inputs_sha256: Mapped[str] = mapped_column(String(64))
    plan_sha256: Mapped[str | None] = mapped_column(String(64))
    certificate_sha256: Mapped[str | None] = mapped_column(String(64))
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The checker's report; a plan it did not accept is never stored."""
    created_by: Mapped[str] = mapped_column(String(40))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # Two rounds at once would give the same goods away twice: the database itself allows one.
        Index(
            "uq_matching_round_opened",
            "state",
            unique=True,
            sqlite_where=text("state = 'opened'"),
            postgresql_where=text("state = 'opened'"),
        ),
    )


class RoundDocumentRow(Base):
    """A round's problem, plan, certificate or outcomes: canonical JSON, compressed with zlib."""

    __tablename__ = "round_document"

    round_id: Mapped[str] = mapped_column(ForeignKey("matching_round.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(12), primary_key=True)
    """problem | plan | certificate | outcomes"""
    size: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class AllocationRow(Base):
    """A line of an accepted plan: proposed, then accepted or declined by the donor's side."""

    __tablename__ = "allocation"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey("matching_round.id"), index=True)
    need_id: Mapped[str] = mapped_column(ForeignKey("need.id"), index=True)
    offer_id: Mapped[str] = mapped_column(ForeignKey("offer.id"), index=True)
    window: Mapped[int] = mapped_column(Integer)
    """0-based capacity window; 0 for a lot."""
    quantity: Mapped[int] = mapped_column(BigInteger)
    km: Mapped[int] = mapped_column(Integer)
    substitute: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(String(12), index=True)
    """proposed | accepted | declined"""
    decided_by: Mapped[str | None] = mapped_column(String(40))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decline_reason: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("round_id", "need_id", "offer_id", "window"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )
