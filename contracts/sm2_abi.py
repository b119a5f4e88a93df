"""Keys and signatures of SM2 in the form that Sm2Verifier reads."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode
from eth_hash.auto import keccak

from ledger.core.errors import InputError

SM2_ORDER: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
SPKI_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
"""DER of id-ecPublicKey with the curve 1.2.156.10197.1.301 and an uncompressed point; x and y follow."""
_COORDINATES: Final = 64
_INTEGER_MAX: Final = 33
"""Bytes of a DER integer below 2**256: 32, and one that keeps the sign positive."""


def sm2_public_key(spki: bytes) -> bytes:
    """x, y (64 bytes) of an SM2 key.

    Args:
        spki: DER SubjectPublicKeyInfo, the point uncompressed. Whether it lies on the curve, the chain says.

    Raises:
        InputError: `contracts.key_unsupported`.
    """
    if len(spki) != len(SPKI_HEAD) + _COORDINATES or not spki.startswith(SPKI_HEAD):
        raise InputError(
            "this is no SM2 public key with an uncompressed point", code="contracts.key_unsupported"
        )
    return spki[len(SPKI_HEAD) :]


def sm2_signature(der: bytes) -> bytes:
    """A DER SM2 signature (GM/T 0009: SEQUENCE of R and S) as r, s (64 bytes); only strict DER is read.

    Raises:
        InputError: `contracts.signature_malformed`.
    """
    body = _content(der, tag=0x30)
    if body is None or len(body) != len(der) - 2:
        raise _malformed()
    r = _content(body, tag=0x02)
    s = None if r is None else _content(body[2 + len(r) :], tag=0x02)
    if r is None or s is None or len(body) != 4 + len(r) + len(s):
        raise _malformed()
    return _number(r) + _number(s)


def encode_prepare(key: bytes) -> bytes:
    """Call data of `Sm2Verifier.prepare`."""
    return keccak(b"prepare(bytes)")[:4] + encode(["bytes"], [key])


def _content(der: bytes, *, tag: int) -> bytes | None:
    """What one element with a short length holds; None when there is no such element."""
    if len(der) < 2 or der[0] != tag or der[1] >= 0x80 or len(der) < 2 + der[1]:
        return None
    return der[2 : 2 + der[1]]


def _number(content: bytes) -> bytes:
    value = int.from_bytes(content, "big", signed=True)
    shortest = max(1, value.bit_length() // 8 + 1)
    if not 0 < len(content) <= _INTEGER_MAX or len(content) != shortest:
        raise _malformed()
    if not 0 < value < SM2_ORDER:
        raise _malformed()
    return value.to_bytes(32, "big")


def _malformed() -> InputError:
    return InputError(
        "this is no SM2 signature in strict DER", code="contracts.signature_malformed"
    )
