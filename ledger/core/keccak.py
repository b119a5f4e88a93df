"""Keccak-256, as Ethereum hashes with it, in Python alone.

It is SHA3-256 with another padding byte (0x01), so hashlib's SHA-3 cannot stand in for it. Slow by nature, an
eighth of a millisecond for 136 bytes: `ledger.keccak` takes a C library where one is installed and this where
there is none, so that a receipt can be verified with nothing but Python and `cryptography`.

Source: FIPS 202 section 3 (permutation); the Keccak submission (padding). Vectors: tests/golden/keccak.
"""

from __future__ import annotations

import struct
from typing import Final

RATE: Final = 136
"""Bytes absorbed at a time: 1600 bits less twice 256."""
_MASK: Final = 2**64 - 1
_WORDS: Final = struct.Struct("<17Q")
_DIGEST: Final = struct.Struct("<4Q")


def _round_constants() -> tuple[int, ...]:
    """The 24 constants of iota, from their shift register (FIPS 202, algorithm 5)."""
    register, constants = 1, []
    for _ in range(24):
        word = 0
        for bit in range(7):
            word |= (register & 1) << ((1 << bit) - 1)
            register = (register << 1) ^ (0x171 * (register >> 7))
        constants.append(word)
    return tuple(constants)


_ROUNDS: Final = _round_constants()


def keccak_256(data: bytes) -> bytes:
    """The 32-byte digest of `data`."""
    padded = bytearray(data) + bytes(RATE - len(data) % RATE)
    padded[len(data)] ^= 0x01
    padded[-1] ^= 0x80
    lanes = [0] * 25
    for at in range(0, len(padded), RATE):
        for lane, word in enumerate(_WORDS.unpack_from(padded, at)):
            lanes[lane] ^= word
        lanes = _permute(lanes)
    return _DIGEST.pack(*lanes[:4])


def _permute(lanes: list[int]) -> list[int]:
    """Keccak-f[1600]. Lane x + 5 y is a{x + 5 y}.

    Written out: with loops over lanes it takes four times as long. Theta gives c and d, rho and pi move the
    lanes to b, chi and iota bring them back. `~b` is negative, its `&` with a lane is not.
    """
    # fmt: off
    (
        a00, a01, a02, a03, a04,
        a05, a06, a07, a08, a09,
        a10, a11, a12, a13, a14,
        a15, a16, a17, a18, a19,
        a20, a21, a22, a23, a24,
    ) = lanes
    for constant in _ROUNDS:
        c0 = a00 ^ a05 ^ a10 ^ a15 ^ a20
        c1 = a01 ^ a06 ^ a11 ^ a16 ^ a21
        c2 = a02 ^ a07 ^ a12 ^ a17 ^ a22
        c3 = a03 ^ a08 ^ a13 ^ a18 ^ a23
        c4 = a04 ^ a09 ^ a14 ^ a19 ^ a24
        d0 = c4 ^ (c1 << 1 & _MASK | c1 >> 63)
        d1 = c0 ^ (c2 << 1 & _MASK | c2 >> 63)
        d2 = c1 ^ (c3 << 1 & _MASK | c3 >> 63)
        d3 = c2 ^ (c4 << 1 & _MASK | c4 >> 63)
        d4 = c3 ^ (c0 << 1 & _MASK | c0 >> 63)
        b00 = a00 ^ d0
        t = a06 ^ d1
        b01 = t << 44 & _MASK | t >> 20
        t = a12 ^ d2
        b02 = t << 43 & _MASK | t >> 21
        t = a18 ^ d3
        b03 = t << 21 & _MASK | t >> 43
        t = a24 ^ d4
        b04 = t << 14 & _MASK | t >> 50
        t = a03 ^ d3
        b05 = t << 28 & _MASK | t >> 36
        t = a09 ^ d4
        b06 = t << 20 & _MASK | t >> 44
        t = a10 ^ d0
        b07 = t << 3 & _MASK | t >> 61
        t = a16 ^ d1
        b08 = t << 45 & _MASK | t >> 19
        t = a22 ^ d2
        b09 = t << 61 & _MASK | t >> 3
        t = a01 ^ d1
        b10 = t << 1 & _MASK | t >> 63
        t = a07 ^ d2
        b11 = t << 6 & _MASK | t >> 58
        t = a13 ^ d3
        b12 = t << 25 & _MASK | t >> 39
        t = a19 ^ d4
        b13 = t << 8 & _MASK | t >> 56
        t = a20 ^ d0
        b14 = t << 18 & _MASK | t >> 46
        t = a04 ^ d4
        b15 = t << 27 & _MASK | t >> 37
        t = a05 ^ d0
        b16 = t << 36 & _MASK | t >> 28
        t = a11 ^ d1
        b17 = t << 10 & _MASK | t >> 54
        t = a17 ^ d2
        b18 = t << 15 & _MASK | t >> 49
        t = a23 ^ d3
        b19 = t << 56 & _MASK | t >> 8
        t = a02 ^ d2
        b20 = t << 62 & _MASK | t >> 2
        t = a08 ^ d3
        b21 = t << 55 & _MASK | t >> 9
        t = a14 ^ d4
        b22 = t << 39 & _MASK | t >> 25
        t = a15 ^ d0
        b23 = t << 41 & _MASK | t >> 23
        t = a21 ^ d1
        b24 = t << 2 & _MASK | t >> 62
        a00 = b00 ^ (~b01 & b02) ^ constant
        a01 = b01 ^ (~b02 & b03)
        a02 = b02 ^ (~b03 & b04)
        a03 = b03 ^ (~b04 & b00)
        a04 = b04 ^ (~b00 & b01)
        a05 = b05 ^ (~b06 & b07)
        a06 = b06 ^ (~b07 & b08)
        a07 = b07 ^ (~b08 & b09)
        a08 = b08 ^ (~b09 & b05)
        a09 = b09 ^ (~b05 & b06)
        a10 = b10 ^ (~b11 & b12)
        a11 = b11 ^ (~b12 & b13)
        a12 = b12 ^ (~b13 & b14)
        a13 = b13 ^ (~b14 & b10)
        a14 = b14 ^ (~b10 & b11)
        a15 = b15 ^ (~b16 & b17)
        a16 = b16 ^ (~b17 & b18)
        a17 = b17 ^ (~b18 & b19)
        a18 = b18 ^ (~b19 & b15)
        a19 = b19 ^ (~b15 & b16)
        a20 = b20 ^ (~b21 & b22)
        a21 = b21 ^ (~b22 & b23)
        a22 = b22 ^ (~b23 & b24)
        a23 = b23 ^ (~b24 & b20)
        a24 = b24 ^ (~b20 & b21)
    return [
        a00, a01, a02, a03, a04,
        a05, a06, a07, a08, a09,
        a10, a11, a12, a13, a14,
        a15, a16, a17, a18, a19,
        a20, a21, a22, a23, a24,
    ]
    # fmt: on
