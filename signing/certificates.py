"""Small reads of X.509 certificates that several modules need."""

from __future__ import annotations

from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.core.errors import InputError
from signing.sm import OID_CURVE

CHAIN_MAX = 10


def certificate_spki(der: bytes) -> bytes:
    """SubjectPublicKeyInfo (DER) of a certificate.

    Raises:
        InputError: `certificate.malformed`.
    """
    try:
        loaded = x509.load_der_x509_certificate(der)
        try:
            public = loaded.public_key()
        except UnsupportedAlgorithm:
            # `cryptography` knows no SM2 key; whoever uses the key looks at its form again.
            public_key = asn1_x509.Certificate.load(der).public_key
            curve = getattr(public_key["algorithm"]["parameters"], "chosen", None)
            if getattr(curve, "dotted", None) != OID_CURVE:
                raise ValueError("a key of no known kind") from None
            return bytes(public_key.dump())
    except (ValueError, TypeError, x509.InvalidVersion) as exc:
        raise InputError("this is not an X.509 certificate", code="certificate.malformed") from exc
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def split_chain(data: bytes) -> tuple[bytes, ...]:
    """Certificates that were stored as concatenated DER, in their order.

    Raises:
        InputError: `certificate.malformed`.
    """
    found: list[bytes] = []
    while data:
        try:
            first = core.Asn1Value.load(data, strict=False).dump()
        except (ValueError, TypeError) as exc:
            raise InputError("a chain is malformed", code="certificate.malformed") from exc
        if not first or len(found) >= CHAIN_MAX:
            raise InputError("a chain is malformed", code="certificate.malformed")
        found.append(first)
        data = data[len(first) :]
    return tuple(found)
