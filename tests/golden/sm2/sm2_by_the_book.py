"""SM2 and SM3 as GB/T 32918 and 32905 write them, slow and plain: what the chain's answers are compared with.

Source: GB/T 32918.1, .2, .5 and 32905. Shares no code with contracts/ or signing/.
"""

from __future__ import annotations

import struct

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
IDENTIFIER = b"1234567812345678"
START = (
    0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E,
)  # fmt: skip
WORD = 0xFFFFFFFF


def rotated(x, n):
    n %= 32
    return ((x << n) | (x >> (32 - n))) & WORD


def sm3(text):
    bits = len(text) * 8
    text += b"\x80"
    text += bytes((56 - len(text)) % 64) + bits.to_bytes(8, "big")
    state = START
    for at in range(0, len(text), 64):
        state = _compressed(state, text[at : at + 64])
    return struct.pack(">8I", *state)


def _compressed(state, block):
    w = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ rotated(w[j - 3], 15)
        w.append(x ^ rotated(x, 15) ^ rotated(x, 23) ^ rotated(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        early = j < 16
        ss1 = rotated(
            (rotated(a, 12) + e + rotated(0x79CC4519 if early else 0x7A879D8A, j)) & WORD, 7
        )
        ff = a ^ b ^ c if early else (a & b) | (a & c) | (b & c)
        gg = e ^ f ^ g if early else (e & f) | (~e & g)
        tt1 = (ff + d + (ss1 ^ rotated(a, 12)) + (w[j] ^ w[j + 4])) & WORD
        tt2 = (gg + h + ss1 + w[j]) & WORD
        d, c, b, a = c, rotated(b, 9), a, tt1
        h, g, f, e = g, rotated(f, 19), e, tt2 ^ rotated(tt2, 9) ^ rotated(tt2, 17)
    return tuple(x ^ y for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True))


def added(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def times(k, p):
    result = None
    while k:
        if k & 1:
            result = added(result, p)
        p = added(p, p)
        k >>= 1
    return result


def word(x):
    return x.to_bytes(32, "big")


def za(key, identifier=IDENTIFIER):
    bits = (len(identifier) * 8).to_bytes(2, "big")
    return sm3(bits + identifier + b"".join(word(x) for x in (A, B, *G, *key)))


def digest(key, message, identifier=IDENTIFIER):
    return int.from_bytes(sm3(za(key, identifier) + message), "big")


def signed(secret, e, k):
    """(r, s), or None for a one-time number that gives a zero."""
    r = (e + times(k, G)[0]) % N
    s = pow(1 + secret, -1, N) * (k - r * secret) % N
    return (r, s) if r and s and (r + k) % N else None


def verified(key, e, r, s):
    x, y = key
    if not (0 < r < N and 0 < s < N) or (r + s) % N == 0:
        return False
    if x >= P or y >= P or (y * y - x**3 - A * x - B) % P:
        return False
    point = added(times(s, G), times((r + s) % N, key))
    return point is not None and (e + point[0]) % N == r
