"""Shapes of entries that outside systems record, and of proofs over the log."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from api.schemas.base import Id, Input, Output

Kind = Annotated[
    str, StringConstraints(max_length=64, pattern=r"^[a-z][a-z0-9]*([._-][a-z0-9]+)*$")
]


class EntryIn(Input):
    """One record of an outside system."""

    id: Id = Field(description="ent_…, made by the caller and kept across retries")
    subject: Id = Field(description="ext_…: the thing it is about; random, never a name or number")
    kind: Kind = Field(
        description="what happened, in the outside system's own words: `lot.checked`"
    )
    happened_at: AwareDatetime = Field(description="when, by the outside system's clock")
    data: dict[str, Any] = Field(
        description="any JSON without fractions; at most 256 fields. Never enters the log itself"
    )
    disclosable: bool = Field(
        default=False, description="whether single fields may be shown later without the rest"
    )


class EntriesIn(Input):
    """Up to 4 096 records, recorded all or none."""

    entries: list[EntryIn] = Field(min_length=1)


class RecordedOut(Output):
    """One record of a batch."""

    id: str
    leaf: str = Field(description="leaf hash in the log, hex")
    index: int | None = Field(description="place in the tree; null until it is sequenced")
    new: bool = Field(description="false where the same record was sent before")


class EntriesOut(Output):
    """A batch, in the order it was sent."""

    new: int
    entries: list[RecordedOut]


class EntryOut(Output):
    """An entry without its private body; the receipt has that."""

    id: str
    type: str
    subject: str
    at: str = Field(description="when it was accepted, UTC")
    leaf: str
    index: int | None
    order: int = Field(
        description="order of arrival; pass the last one as `after` for the next page"
    )


class EntryPage(Output):
    """A page, oldest first; `after` is null on the last."""

    entries: list[EntryOut]
    after: int | None


class InclusionOut(Output):
    """`fuqi/inclusion-proof/v1`: RFC 9162 path from a leaf to a signed root, hex."""

    v: str
    leaf: str
    index: int
    size: int
    root: str
    path: list[str]
    note: str = Field(description="the signed checkpoint (C2SP note)")


class ConsistencyOut(Output):
    """`fuqi/consistency-proof/v1`: both signed checkpoints and the path between them, hex."""

    v: str
    old: dict[str, Any]
    new: dict[str, Any]
    path: list[str]
