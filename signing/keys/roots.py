"""What the built-in authorities share: roots, serial numbers, profile parts, key and certificate files."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ledger.core.errors import ConflictError
from signing.keys.files import load_private, spki_of
from signing.keys.issuing import IssuerKey, finish_certificate, key_identifier

OID_ARC: Final = "2.25.21409839515619636921514855620084002217"
"""An arc made from a random UUID (ITU-T X.667): ours without asking anyone, and nobody else's."""


def make_root(key: IssuerKey, *, name: x509.Name, at: datetime, years: int) -> x509.Certificate:
    """A self-signed root that may sign end-entity certificates and revocation lists only."""
    start = at.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .serial_number(new_serial())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(key_identifier(key.public_spki), critical=False)
    )
    return finish_certificate(builder, public_spki=key.public_spki, issuer=key)


def key_usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """Key usage with every bit but these off (content commitment = non-repudiation)."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def new_serial() -> int:
    """158 random bits under a leading one: positive, 20 bytes, always the same length in hex."""
    return (1 << 158) | secrets.randbits(158)


def load_pair(
    folder: Path, *, name: str, code: str
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Read `<name>.pem` and `<name>.der` and make sure that they belong together.

    Raises:
        ConflictError: `code`, `keys.permissions`, `keys.damaged`.
    """
    try:
        certificate = x509.load_der_x509_certificate((folder / f"{name}.der").read_bytes())
        key = load_private(folder / f"{name}.pem")
    except (ValueError, FileNotFoundError) as exc:
        raise ConflictError("a key or certificate is missing or damaged", code=code) from exc
    if certificate_spki(certificate) != spki_of(key.public_key()):
        raise ConflictError("key and certificate do not belong together", code=code)
    return key, certificate


def authority_name(common_name: str, *, units: tuple[str, ...]) -> x509.Name:
    """The name of a built-in authority; `units` say in it what the authority is not."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fuqi"),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def authority_key(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The identifier that points from an issued object to its issuer."""
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def certificate_spki(certificate: x509.Certificate) -> bytes:
    """SubjectPublicKeyInfo of a certificate over an elliptic curve key."""
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey), "we certify elliptic curve keys only"
    return spki_of(public)
