"""Shapes of orders: the fields of each signed act, and what is shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.base import Id, Input, Output
from api.schemas.custody import OptionalText, Text, Units

Fen = Annotated[int, Field(ge=0, le=10**15)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class RequestOrder(Input):
    """Ask an enterprise for a quote: goods to be made, or a resource on lease."""

    order_id: Id = Field(description="ord_…, made by the caller")
    kind: Literal["manufacture", "lease"]
    maker_id: Id
    allocation_id: Id | None = None
    what: Text
    specification: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] = ""
    quantity: Units
    from_on: date | None = None
    due_on: date


class StepOrder(Input):
    """A step of an order; which fields count depends on the step."""

    order_id: Id
    step: Literal[
        "quote", "decline", "place", "sample", "judge", "produce", "finish", "accept",
        "hand", "take", "return", "close",
    ]  # fmt: skip
    outcome: Literal["", "yes", "no"] = ""
    price_minor: Fen | None = Field(default=None, description="quote: price or rent of all, in fen")
    deposit_minor: Fen = 0
    due_on: date | None = None
    agreement_id: Id | None = Field(default=None, description="place: the formed agreement")
    accepted: Annotated[int, Field(ge=0, le=10**12)] = 0
    rejected: Annotated[int, Field(ge=0, le=10**12)] = 0
    kept_minor: Fen = Field(default=0, description="close: kept of the deposit, in fen")
    note: OptionalText = ""


class AddDocument(Input):
    """Make an uploaded file a document of an order."""

    order_id: Id
    document_id: Id = Field(description="doc_…, made by the caller")
    kind: Literal["drawing", "sample", "process", "inspection", "condition", "return", "other"]
    sha256: Sha256


class FileOut(Output):
    """An uploaded file that waits for a signature."""

    sha256: str
    size: int


class DocumentOut(Output):
    """A document of an order."""

    id: str
    kind: str
    sha256: str
    size: int
    organisation: str
    entry_id: str
    added_at: datetime


class LineToOrder(Output):
    """A line of capacity from which a hospital asks for a quote."""

    id: str
    maker_id: str
    maker: str
    item_zh: str
    item_en: str
    quantity: int
    specification: str


class OrderOut(Output):
    """An order."""

    id: str
    kind: str
    side: str = Field(description="buyer, maker, or empty for an operator")
    buyer: str
    maker: str
    buyer_id: str
    maker_id: str
    allocation_id: str | None
    agreement_id: str | None
    what: str
    specification: str
    quantity: int
    state: str
    price_minor: int | None
    deposit_minor: int
    kept_minor: int
    from_on: date | None
    due_on: date
    accepted: int
    rejected: int
    opened_at: datetime
    possible: list[str] = Field(description="steps the caller's side can take now")
    documents: list[DocumentOut]
    events: list[dict[str, Any]]
