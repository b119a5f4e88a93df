"""What every place of a private key offers to its holder: a certificate, and a signature with it.

The server never has one of these for a party: they run on the signer's side, at the command line.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from asn1crypto import algos, core, csr, keys, x509

from ledger.core.errors import ConflictError, InputError
from signing.certificates import certificate_spki
from signing.keys.algorithms import kind_of
from signing.trust import certificate_times

NAME_CHARS_MAX: Final = 64


class LocalSigner(Protocol):
    """A key that signs here, in a file under a password or in a token under a PIN."""

    @property
    def public_spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""

    @property
    def certificate_der(self) -> bytes | None:
        """Its certificate, once issued."""

    def sign(self, data: bytes) -> bytes:
        """Signature over `data` with the one algorithm of the key's kind."""


def request_of(signer: LocalSigner, *, common_name: str) -> bytes:
    """A PKCS#10 request (DER) signed by the key: proof that its holder asks.

    Raises:
        InputError: `keys.kind`, `keys.name`.
    """
    if not 1 <= len(common_name) <= NAME_CHARS_MAX:
        raise InputError(f"a name has 1 to {NAME_CHARS_MAX} characters", code="keys.name")
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": x509.Name.build({"common_name": common_name}),
            "subject_pk_info": keys.PublicKeyInfo.load(signer.public_spki),
            "attributes": csr.CRIAttributes([]),
        }
    )
    algorithm = {"algorithm": kind_of(signer.public_spki).signature_oid}
    request = csr.CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": algos.SignedDigestAlgorithm(algorithm),
            "signature": core.OctetBitString(signer.sign(info.dump())),
        }
    )
    return bytes(request.dump())


def require_usable(signer: LocalSigner, *, at: datetime) -> bytes:
    """The signer's certificate, if it can be used now.

    Raises:
        InputError: `keys.certificate_missing`, `keys.certificate_mismatch`.
        ConflictError: `keys.certificate_expired`, `keys.certificate_early`.
    """
    der = signer.certificate_der
    if der is None:
        raise InputError(
            "no certificate is stored beside this key; ask for one first",
            code="keys.certificate_missing",
        )
    if certificate_spki(der) != signer.public_spki:
        raise InputError(
            "the certificate beside this key is for another key", code="keys.certificate_mismatch"
        )
    start, end = certificate_times(der)
    if at > end:
        raise ConflictError(
            "this key's certificate has expired; make a new key",
            code="keys.certificate_expired",
            not_after=end.isoformat(),
        )
    if at < start:
        raise ConflictError(
            "this key's certificate is not valid yet; is this machine's clock right?",
            code="keys.certificate_early",
            not_before=start.isoformat(),
        )
    return der
