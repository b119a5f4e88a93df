"""Great-circle distance in whole kilometres, by integer arithmetic only.

Floating-point sine and cosine differ in the last digit between platforms, and a distance decides who is
eligible and what is optimal; so everything here is integer fixed point and gives the same kilometre anywhere.

Method: each place becomes a unit vector in units of 2**-30 (Taylor series in units of 2**-96). The squared
chord between two such vectors grows with the angle, so the distance is found by looking the squared chord
up in a table of the squared chords of 0.5 km, 1.5 km, 2.5 km, … on a sphere of radius 6 371 km: the result
is the nearest whole kilometre, an exact half going up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import InputError

Int64s = NDArray[np.int64]

EARTH_RADIUS_KM: Final = 6371
KM_MAX: Final = 20015
"""Half the circumference: no two places are further apart."""

_BITS: Final = 96
_ONE: Final = 1 << _BITS
_PI_TEXT: Final = (
    "314159265358979323846264338327950288419716939937510582097494459230781640628620899"
)
_PI: Final = (int(_PI_TEXT) << _BITS) // 10 ** (len(_PI_TEXT) - 1)
_VECTOR_BITS: Final = 30
"""A squared chord is at most 4 * 2**60 = 2**62 and fits in a signed 64-bit integer."""


def unit_vectors(longitudes_micro: Int64s, latitudes_micro: Int64s) -> Int64s:
    """Unit vectors in units of 2**-30, shape (n, 3).

    Args:
        longitudes_micro: degrees * 10**6, -180_000_000 .. 180_000_000.
        latitudes_micro: degrees * 10**6, -90_000_000 .. 90_000_000.

    Raises:
        InputError: `place.range`.
    """
    rows = [
        _unit_vector(int(longitude), int(latitude))
        for longitude, latitude in zip(longitudes_micro, latitudes_micro, strict=True)
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3)


def distances_km(left: Int64s, right: Int64s) -> Int64s:
    """Whole kilometres between every vector of `left` and every vector of `right`, shape (n, m)."""
    chords = np.zeros((len(left), len(right)), dtype=np.int64)
    for axis in range(3):
        difference = left[:, axis][:, None] - right[:, axis][None, :]
        chords += difference * difference
    return np.searchsorted(_thresholds(), chords.ravel(), side="right").reshape(chords.shape)


def distance_km(left: tuple[int, int], right: tuple[int, int]) -> int:
    """Whole kilometres between two (longitude_micro, latitude_micro) places."""
    a = unit_vectors(np.array([left[0]]), np.array([left[1]]))
    b = unit_vectors(np.array([right[0]]), np.array([right[1]]))
    return int(distances_km(a, b)[0, 0])


def chord_table() -> Int64s:
    """Squared chords (2**-60 units) of 0.5, 1.5, … KM_MAX - 0.5 km, to look a distance up."""
    return _thresholds()


@lru_cache(maxsize=65536)
def _unit_vector(longitude_micro: int, latitude_micro: int) -> tuple[int, int, int]:
    if not (-180_000_000 <= longitude_micro <= 180_000_000):
        raise InputError("longitude is outside -180 to 180 degrees", code="place.range")
    if not (-90_000_000 <= latitude_micro <= 90_000_000):
        raise InputError("latitude is outside -90 to 90 degrees", code="place.range")
    sin_longitude, cos_longitude = _sin_cos(longitude_micro * _PI // 180_000_000)
    sin_latitude, cos_latitude = _sin_cos(latitude_micro * _PI // 180_000_000)
    drop = 2 * _BITS - _VECTOR_BITS
    return (
        _shift_rounded(cos_latitude * cos_longitude, drop),
        _shift_rounded(cos_latitude * sin_longitude, drop),
        _shift_rounded(sin_latitude, _BITS - _VECTOR_BITS),
    )


@lru_cache(maxsize=1)
def _thresholds() -> Int64s:
    """Squared chord (2**-60 units) of 0.5, 1.5, … KM_MAX - 0.5 km."""
    squares = []
    for km in range(1, KM_MAX + 1):
        half_angle = ((2 * km - 1) << _BITS) // (4 * EARTH_RADIUS_KM)
        chord = _shift_rounded(2 * _sin_cos(half_angle)[0], _BITS - 40)
        squares.append((chord * chord) >> 20)
    return np.array(squares, dtype=np.int64)


def _sin_cos(angle: int) -> tuple[int, int]:
    """Sine and cosine of `angle` (radians, units of 2**-96, within -pi..pi), in the same units."""
    sine, cosine = 0, 0
    term, step = _ONE, 0
    while term:
        if step % 2 == 0:
            cosine += term if step % 4 == 0 else -term
        else:
            sine += term if step % 4 == 1 else -term
        step += 1
        # Truncation towards zero for both signs: floor division would never let a negative term reach 0.
        product = term * angle
        magnitude = abs(product) // (step << _BITS)
        term = magnitude if product >= 0 else -magnitude
    return sine, cosine


def _shift_rounded(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) >> bits
