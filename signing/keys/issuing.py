"""Keys of authorities: what they are (P-256 or SM2) and how they sign what `cryptography` has laid out.

`cryptography` builds certificates and revocation lists but knows no SM2. So a draft is built with a
throwaway P-256 key, and its key, algorithm and signature are replaced: one profile for both kinds.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, Protocol

from asn1crypto import algos, core, crl, keys, pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.core.errors import ConflictError, InputError, UnavailableError
from signing.keys.algorithms import P256, SM2, KeyKind
from signing.keys.files import load_private, private_pem, require_private_mode, spki_of
from signing.sm import Sm2PrivateKey, is_sm2_spki

_PEM_NAME: Final = "PRIVATE KEY"


class IssuerKey(Protocol):
    """A key that signs certificates, revocation lists and OCSP answers."""

    @property
    def kind(self) -> KeyKind:
        """`P256` or `SM2`."""

    @property
    def public_spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""

    def sign(self, data: bytes) -> bytes:
        """DER signature with the kind's algorithm."""

    def private_pem(self) -> bytes:
        """PKCS#8 PEM without a password, for a file of mode 0600."""


class P256IssuerKey:
    """A P-256 key."""

    kind: Final = P256

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def public_spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return spki_of(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def private_pem(self) -> bytes:
        """PKCS#8 PEM."""
        return private_pem(self._key)


class Sm2IssuerKey:
    """An SM2 key."""

    kind: Final = SM2

    def __init__(self, key: Sm2PrivateKey) -> None:
        self._key = key

    @property
    def public_spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._key.public_spki

    def sign(self, data: bytes) -> bytes:
        """SM2 with SM3 under the standard identity."""
        return self._key.sign(data)

    def private_pem(self) -> bytes:
        """PKCS#8 PEM."""
        return bytes(pem.armor(_PEM_NAME, self._key.to_pkcs8()))


def new_issuer_key(kind: KeyKind) -> IssuerKey:
    """A fresh key.

    Raises:
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    if kind is SM2:
        return Sm2IssuerKey(Sm2PrivateKey.generate())
    return P256IssuerKey(ec.generate_private_key(ec.SECP256R1()))


def load_issuer(folder: Path, *, name: str, code: str) -> tuple[IssuerKey, x509.Certificate]:
    """Read `<name>.pem` and `<name>.der` and make sure that they belong together.

    Raises:
        ConflictError: `code`, `keys.permissions`, `keys.damaged`.
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    try:
        data = (folder / f"{name}.der").read_bytes()
        certificate = x509.load_der_x509_certificate(data)
        spki = bytes(asn1_x509.Certificate.load(data).public_key.dump())
        key = _load_key(folder / f"{name}.pem", kind=SM2 if is_sm2_spki(spki) else P256)
    except (ValueError, FileNotFoundError) as exc:
        raise ConflictError("a key or certificate is missing or damaged", code=code) from exc
    if key.public_spki != spki:
        raise ConflictError("key and certificate do not belong together", code=code)
    return key, certificate


def finish_certificate(
    builder: x509.CertificateBuilder, *, public_spki: bytes, issuer: IssuerKey
) -> x509.Certificate:
    """The certificate that `builder` describes (all but the key), for `public_spki`, by `issuer`."""
    throwaway = ec.generate_private_key(ec.SECP256R1())
    draft = builder.public_key(throwaway.public_key()).sign(throwaway, hashes.SHA256())
    body = asn1_x509.Certificate.load(draft.public_bytes(Encoding.DER))["tbs_certificate"]
    body["subject_public_key_info"] = keys.PublicKeyInfo.load(public_spki)
    return x509.load_der_x509_certificate(
        _signed(asn1_x509.Certificate, "tbs_certificate", body, issuer)
    )


def finish_list(builder: x509.CertificateRevocationListBuilder, *, issuer: IssuerKey) -> bytes:
    """The revocation list that `builder` describes, by `issuer`, DER."""
    throwaway = ec.generate_private_key(ec.SECP256R1())
    draft = builder.sign(throwaway, hashes.SHA256()).public_bytes(Encoding.DER)
    body = crl.CertificateList.load(draft)["tbs_cert_list"]
    return _signed(crl.CertificateList, "tbs_cert_list", body, issuer)


def key_identifier(public_spki: bytes) -> x509.SubjectKeyIdentifier:
    """SHA-1 of the key's bits (RFC 5280, 4.2.1.2, method 1): a name, not a protection."""
    bits = bytes(keys.PublicKeyInfo.load(public_spki)["public_key"])
    return x509.SubjectKeyIdentifier(hashlib.sha1(bits, usedforsecurity=False).digest())


def _signed(container: Any, name: str, body: Any, issuer: IssuerKey) -> bytes:
    algorithm = algos.SignedDigestAlgorithm({"algorithm": issuer.kind.signature_oid})
    body["signature"] = algorithm
    signature = issuer.sign(body.dump(force=True))
    value = {name: body, "signature_algorithm": algorithm}
    key = "signature_value" if name == "tbs_certificate" else "signature"
    return bytes(container(value | {key: core.OctetBitString(signature)}).dump())


def _load_key(path: Path, *, kind: KeyKind) -> IssuerKey:
    if kind is P256:
        return P256IssuerKey(load_private(path))
    require_private_mode(path)
    try:
        name, _headers, der = pem.unarmor(path.read_bytes())
        if name != _PEM_NAME:
            raise ValueError("another kind of PEM")
        return Sm2IssuerKey(Sm2PrivateKey.from_der(der))
    except UnavailableError:
        raise
    except (ValueError, InputError) as exc:
        raise ConflictError("this key file cannot be read", code="keys.damaged") from exc
