"""Terms of keeping, computed from facts: each law's own, the strictest wins, nothing is a day short."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ledger import retention
from ledger.retention import Keep, Retention, add_years, strictest

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_certificate_is_kept_five_years_after_it_expires():
    assert retention.certificate(not_after=AT) == Keep("ES-24", AT.replace(year=2031))


def test_an_agreement_that_was_never_made_is_kept_three_years_after_its_end():
    assert retention.agreement(formed_at=None, ended_at=AT).until == AT.replace(year=2029)


def test_a_made_agreement_without_a_recorded_end_is_kept_for_the_longest_limitation():
    assert retention.agreement(formed_at=AT, ended_at=None).until == AT.replace(year=2046)


def test_an_end_counts_but_never_beyond_the_longest_limitation():
    early, late = AT.replace(year=2028), AT.replace(year=2045)
    assert retention.agreement(formed_at=AT, ended_at=early).until == AT.replace(year=2031)
    assert retention.agreement(formed_at=AT, ended_at=late).until == AT.replace(year=2046)


def test_an_agreement_that_is_open_is_kept_without_a_date():
    assert retention.agreement(formed_at=None, ended_at=None).until is None


def test_an_order_is_kept_while_it_runs_and_longer_where_goods_were_made():
    assert retention.order(made=False, ended_at=None).until is None
    assert retention.order(made=False, ended_at=AT) == Keep("CC-188", AT.replace(year=2029))
    assert retention.order(made=True, ended_at=AT) == Keep("DN-10", AT.replace(year=2031))


def test_goods_are_kept_two_years_after_expiry_or_five_where_there_is_none():
    assert retention.goods(expires_on=date(2027, 1, 31), recorded_at=AT).until == datetime(
        2029, 1, 31, tzinfo=UTC
    )
    assert retention.goods(expires_on=None, recorded_at=AT).until == AT.replace(year=2031)


def test_the_strictest_reason_wins_and_an_open_one_before_all():
    short, long = Keep("DN-10", AT), Keep("ES-24", AT + SECOND)
    assert strictest([short, long]) == strictest([long, short]) == Retention("ES-24", AT + SECOND)
    assert strictest([short, Keep("CC-188", None), long]) == Retention("CC-188", None)
    assert strictest([]) == Retention(None, None)


@pytest.mark.parametrize(
    ("kept", "at", "allowed"),
    [
        (Retention("ES-24", AT), AT - SECOND, False),
        (Retention("ES-24", AT), AT, True),
        (Retention("CC-188", None), AT.replace(year=9999), False),
        (Retention(None, None), AT, True),
    ],
)
def test_erasure_is_allowed_from_the_date_on_and_not_a_second_before(kept, at, allowed):
    assert kept.allows_erasure(at=at) is allowed


def test_a_term_from_the_29th_of_february_is_not_a_day_short():
    leap = datetime(2028, 2, 29, 1, 2, 3, tzinfo=UTC)
    assert add_years(leap, 3) == datetime(2031, 3, 1, 1, 2, 3, tzinfo=UTC)
    assert add_years(leap, 20) == datetime(2048, 2, 29, 1, 2, 3, tzinfo=UTC)


def test_a_lot_is_kept_without_a_date_while_a_recall_must_find_its_units():
    kept = retention.lot(expires_on=date(2027, 1, 31), last_moved_at=AT, ended=False)
    assert kept == Keep("DN-12", None)
    assert not strictest([kept]).allows_erasure(at=AT.replace(year=2999))


def test_a_lot_that_ended_is_kept_two_years_after_expiry_or_five_where_there_is_none():
    ended = {"last_moved_at": AT, "ended": True}
    first = retention.lot(expires_on=date(2028, 10, 23), **ended)
    assert first == Keep("DN-10", datetime(2030, 10, 23, tzinfo=UTC))
    assert retention.lot(expires_on=None, **ended) == Keep("DN-10", AT.replace(year=2031))
    # Written off after it had expired: two years from then.
    late = retention.lot(expires_on=date(2026, 1, 1), **ended)
    assert late == Keep("DN-10", AT.replace(year=2028))
