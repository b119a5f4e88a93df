"""How long the law wants a record kept, computed from the facts (legal.md ES-24, EC-31, DN-10).

Until then nothing may be erased; a person's request then means "stored and protected, nothing else" (PIPL
Art. 47). Pure: facts in, the latest date out. Where a fact is not recorded the longest term applies.

    ES-24   a certification authority keeps what a certificate was issued on for 5 years after it expires
    CC-188  a contract is evidence for 3 years after it ended (limitation; EC-31 asks for the same 3 years), and
            20 years after it was made where its end is not recorded (the longest limitation there is)
    DN-10   use and distribution of medical devices: 2 years after expiry, 5 years where there is none
    DN-12   a batch must be found with everybody who holds some of it: open while units exist
            (an order for goods counts as one of its goods without an expiry: the order does not hold it)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

CERTIFICATE_YEARS: Final = 5
LIMITATION_YEARS: Final = 3
LONGEST_LIMITATION_YEARS: Final = 20
GOODS_YEARS: Final = 2
GOODS_WITHOUT_EXPIRY_YEARS: Final = 5


@dataclass(frozen=True, slots=True)
class Keep:
    """One reason to keep a record: `rule` until `until` (exclusive); None while something is open."""

    rule: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Retention:
    """The strictest of several reasons; `rule` is None where there is no reason at all."""

    rule: str | None
    until: datetime | None

    def allows_erasure(self, *, at: datetime) -> bool:
        """Whether no reason to keep is left at `at` (aware UTC)."""
        return self.rule is None or (self.until is not None and at >= self.until)


def certificate(*, not_after: datetime) -> Keep:
    """A certificate and what it was issued on."""
    return Keep("ES-24", add_years(not_after, CERTIFICATE_YEARS))


def agreement(*, formed_at: datetime | None, ended_at: datetime | None) -> Keep:
    """An agreement: made and running, made and ended, never made, or still open for signing.

    Args:
        ended_at: when it was declined, withdrawn or expired, or when a made one was fully performed.
    """
    if ended_at is not None:
        until = add_years(ended_at, LIMITATION_YEARS)
        if formed_at is not None:
            until = min(until, add_years(formed_at, LONGEST_LIMITATION_YEARS))
        return Keep("CC-188", until)
    if formed_at is not None:
        return Keep("CC-188", add_years(formed_at, LONGEST_LIMITATION_YEARS))
    return Keep("CC-188", None)


def goods(*, expires_on: date | None, recorded_at: datetime) -> Keep:
    """Donated goods or capacity."""
    if expires_on is None:
        return Keep("DN-10", add_years(recorded_at, GOODS_WITHOUT_EXPIRY_YEARS))
    expires_at = datetime.combine(expires_on, time(), tzinfo=UTC)
    return Keep("DN-10", add_years(expires_at, GOODS_YEARS))


def lot(*, expires_on: date | None, last_moved_at: datetime, ended: bool) -> Keep:
    """A lot with everything that says who had its units: kept from the last of it on.

    Args:
        ended: no unit is anywhere but used or lost, and no recall or discrepancy is open. Until then a recall
            must find every holder, so there is no date (DN-12).
    """
    if not ended:
        return Keep("DN-12", None)
    kept = goods(expires_on=expires_on, recorded_at=last_moved_at)
    # Goods that were lost or written off after their expiry: the record of that is no shorter kept.
    least = add_years(last_moved_at, GOODS_YEARS)
    return Keep(kept.rule, max(_until(kept), least))


def order(*, made: bool, ended_at: datetime | None) -> Keep:
    """An order between enterprises with its papers: a contract, and what shows how goods were made.

    Args:
        made: goods were made and accepted under it; their process and inspection stand in it.
        ended_at: when it was declined, accepted or closed; None while it runs.
    """
    if ended_at is None:
        return Keep("CC-188", None)
    ended = Keep("CC-188", add_years(ended_at, LIMITATION_YEARS))
    goods_kept = goods(expires_on=None, recorded_at=ended_at)
    return goods_kept if made and _until(goods_kept) > _until(ended) else ended


def strictest(reasons: Sequence[Keep]) -> Retention:
    """The reason that holds longest; an open one holds longest of all."""
    for reason in reasons:
        if reason.until is None:
            return Retention(rule=reason.rule, until=None)
    last: Keep | None = None
    for reason in reasons:
        if last is None or _until(reason) > _until(last):
            last = reason
    return Retention(None, None) if last is None else Retention(last.rule, last.until)


def add_years(at: datetime, years: int) -> datetime:
    """The same moment `years` later; 29 February becomes 1 March, so that no term is a day short."""
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)


def _until(reason: Keep) -> datetime:
    assert reason.until is not None
    return reason.until
