"""ECDSA P-256 with SHA-256, strict: one encoding per signature and per key.

Libraries differ in what they forgive (trailing bytes, long lengths, padding); two readers that
differ let one piece of evidence be valid here and forged there. So everything is re-encoded and
compared before it is verified.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ledger.core.errors import VerificationError
from signing.keys.files import spki_of

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the P-256 group (SEC 2, section 2.4.2)."""
SIGNATURE_BYTES_MAX: Final = 72
"""Two 33-byte integers with their headers, inside a sequence."""
SPKI_BYTES: Final = 91
"""SubjectPublicKeyInfo of an uncompressed P-256 point."""


def verify_p256(data: bytes, *, signature: bytes, public_spki: bytes) -> None:
    """Verify a DER signature over SHA-256 of `data`.

    Raises:
        VerificationError: `signature.key_malformed`, `signature.encoding`, `signature.range`,
            `signature.mismatch`.
    """
    key = load_spki(public_spki)
    require_strict_der(signature)
    try:
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as exc:
        raise VerificationError(
            "the signature was not made by this key over these bytes", code="signature.mismatch"
        ) from exc


def load_spki(public_spki: bytes) -> ec.EllipticCurvePublicKey:
    """Read a P-256 key in its one accepted form: named curve, uncompressed point, nothing after.

    Raises:
        VerificationError: `signature.key_malformed`.
    """
    try:
        key = load_der_public_key(public_spki) if len(public_spki) == SPKI_BYTES else None
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise VerificationError(
            "the public key cannot be read", code="signature.key_malformed"
        ) from exc
    if (
        not isinstance(key, ec.EllipticCurvePublicKey)
        or not isinstance(key.curve, ec.SECP256R1)
        or spki_of(key) != public_spki
    ):
        raise VerificationError(
            "not a P-256 key in SubjectPublicKeyInfo form", code="signature.key_malformed"
        )
    return key


def require_strict_der(signature: bytes) -> None:
    """Refuse every encoding of (r, s) but the one DER allows.

    Raises:
        VerificationError: `signature.encoding`, `signature.range`.
    """
    try:
        # The length is bounded first, so that no integer is read that no P-256 signature has.
        r, s = decode_dss_signature(signature[: SIGNATURE_BYTES_MAX + 1])
        again = encode_dss_signature(r, s)
    except ValueError as exc:
        raise VerificationError("the signature is not DER", code="signature.encoding") from exc
    if again != signature:
        raise VerificationError("the signature is not strict DER", code="signature.encoding")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise VerificationError("r or s is out of range", code="signature.range")


def der_from_raw(raw: bytes) -> bytes:
    """The DER form of the 64 bytes r || s that WebCrypto returns (IEEE P1363).

    Raises:
        VerificationError: `signature.encoding`, `signature.range`.
    """
    if len(raw) != 64:
        raise VerificationError("a raw P-256 signature has 64 bytes", code="signature.encoding")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise VerificationError("r or s is out of range", code="signature.range")
    return encode_dss_signature(r, s)
