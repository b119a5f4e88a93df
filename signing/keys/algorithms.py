"""The kinds of key a party may sign with, and their one signature algorithm each.

| kind | key | signature over | CMS algorithm |
| `p256` | ECDSA on P-256 | SHA-256 | ecdsa-with-SHA256 |
| `rsa` | RSA, 2048 to 4096 bits | SHA-256 | sha256WithRSAEncryption (PKCS#1 v1.5, which every token has) |
| `sm2` | SM2 | SM3 | SM2 with SM3, 1.2.156.10197.1.501 |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ledger.core.errors import InputError, VerificationError
from signing.keys.p256 import verify_p256
from signing.sm import OID_SM2_SM3, OID_SM3, is_sm2_spki, verify_sm2

RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 4096
"""Larger keys cost every verifier time and no authority issues them."""
RSA_EXPONENT: Final = 65537
PROOF_BYTES_MAX: Final = RSA_BITS_MAX // 8
"""The longest signature of any kind: RSA with 4096 bits."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """One kind of key.

    Attributes:
        name: `p256`, `rsa` or `sm2`.
        digest: hash of the signature and of the document, a hashlib name.
        digest_oid: its object identifier.
        signature_oid: object identifier of the signature algorithm.
        verifier: what `signing.cms.verify_signature` calls the algorithm.
    """

    name: str
    digest: str
    digest_oid: str
    signature_oid: str
    verifier: str


P256: Final = KeyKind("p256", "sha256", "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2", "ecdsa")
RSA: Final = KeyKind(
    "rsa", "sha256", "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.11", "rsassa_pkcs1v15"
)
SM2: Final = KeyKind("sm2", "sm3", OID_SM3, OID_SM2_SM3, "sm2")
KINDS: Final = (P256, RSA, SM2)


def kind_of(public_spki: bytes) -> KeyKind:
    """Which kind a key is; every other key, size or encoding is refused.

    Raises:
        InputError: `keys.kind`.
    """
    if is_sm2_spki(public_spki):
        return SM2
    try:
        key = load_der_public_key(public_spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if (
        key is not None
        and key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public_spki
    ):
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            return P256
        if (
            isinstance(key, rsa.RSAPublicKey)
            and RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
            and key.public_numbers().e == RSA_EXPONENT
        ):
            return RSA
    raise InputError(
        "keys are P-256, RSA with 2048 to 4096 bits, or SM2, in their usual encoding",
        code="keys.kind",
    )


def verify_by_key(data: bytes, *, signature: bytes, public_spki: bytes) -> None:
    """Verify a signature over `data` with the one algorithm of the key's kind.

    Raises:
        VerificationError: `signature.key_malformed`, `signature.encoding`, `signature.range`,
            `signature.mismatch`.
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    try:
        kind = kind_of(public_spki)
    except InputError as exc:
        raise VerificationError(exc.message, code="signature.key_malformed") from exc
    if kind is P256:
        verify_p256(data, signature=signature, public_spki=public_spki)
        return
    if kind is SM2:
        verify_sm2(data, signature=signature, public_spki=public_spki)
        return
    key = load_der_public_key(public_spki)
    assert isinstance(key, rsa.RSAPublicKey)
    if len(signature) != key.key_size // 8:
        raise VerificationError(
            "an RSA signature is as long as its modulus", code="signature.encoding"
        )
    try:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as exc:
        raise VerificationError(
            "the signature was not made by this key over these bytes", code="signature.mismatch"
        ) from exc
