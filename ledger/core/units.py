"""Names for plain integers and bytes, and division that loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NewType

MoneyMinor = NewType("MoneyMinor", int)
"""Money in fen (1/100 yuan)."""
Quantity = NewType("Quantity", int)
"""Pieces (or the base unit of the catalogue item), 0 .. QUANTITY_MAX."""
UnixSeconds = NewType("UnixSeconds", int)
Digest32 = NewType("Digest32", bytes)
"""A SHA-256 digest: exactly 32 bytes."""

QUANTITY_MAX: Final = 10**12
"""Far above any shipment, far below 2**53: sums of a million rows stay exact in JSON."""


def digest32(value: bytes) -> Digest32:
    """Name `value` a digest; a length other than 32 is our own bug."""
    assert len(value) == 32, f"digest of {len(value)} bytes"
    return Digest32(value)


def utc_text(at: datetime) -> str:
    """`2026-11-23T05:36:11Z`: aware UTC, whole seconds, the only time format in entries."""
    assert at.tzinfo is not None, "naive datetime"
    return at.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_utc(text: str) -> datetime:
    """The reverse of `utc_text`.

    Raises:
        ValueError: any other shape.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def split_minor(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Split by weight; leftover units go to the largest remainders, then the lowest index."""
    weight_sum = sum(weights)
    assert total_minor >= 0
    assert weight_sum > 0
    assert min(weights) >= 0
    shares = [total_minor * weight // weight_sum for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total_minor * weights[i] % weight_sum), i))
    for i in order[: total_minor - sum(shares)]:
        shares[i] += 1
    assert sum(shares) == total_minor
    return shares
