"""Distances: integers, symmetric, the nearest whole kilometre."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.errors import InputError
from matching.geo import KM_MAX, distance_km

LONGITUDES = st.integers(-180_000_000, 180_000_000)
LATITUDES = st.integers(-90_000_000, 90_000_000)
PLACES = st.tuples(LONGITUDES, LATITUDES)


def haversine(left, right):
    a, b, c, d = (math.radians(part / 1e6) for part in (*left, *right))
    half = math.sin((d - b) / 2) ** 2 + math.cos(b) * math.cos(d) * math.sin((c - a) / 2) ** 2
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half)))


@given(PLACES, PLACES)
def test_a_distance_is_the_nearest_whole_kilometre(left, right):
    assert abs(distance_km(left, right) - haversine(left, right)) <= 0.5001


@given(PLACES, PLACES)
def test_there_and_back_are_equally_far(left, right):
    assert distance_km(left, right) == distance_km(right, left)


def test_known_distances():
    chengdu, wuhan = (104_066_794, 30_572_893), (114_305_469, 30_593_175)
    assert distance_km(chengdu, wuhan) == 980
    assert distance_km(wuhan, wuhan) == 0
    assert distance_km((0, 0), (180_000_000, 0)) == KM_MAX


@pytest.mark.parametrize("place", [(180_000_001, 0), (0, -90_000_001)])
def test_a_place_off_the_globe_is_refused(place):
    with pytest.raises(InputError) as fault:
        distance_km((0, 0), place)
    assert fault.value.error_code == "place.range"
