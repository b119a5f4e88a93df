"""A signer's own P-256 key in a PKCS#12 file under a password.

It stands for the signer's device in the demo and on the command line. The server never holds one:
it sees the request for a certificate, the certificate and the signatures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ledger.core.errors import InputError
from signing.ca import CertificateSubject
from signing.keys.algorithms import kind_of
from signing.keys.pkcs12 import KeyFile


class DeviceKey(KeyFile):
    """A P-256 key and, once issued, its certificate; it signs ECDSA over SHA-256, DER."""

    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls) -> Self:
        """A fresh key from the operating system's random source."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path, password: str) -> Self:
        """Read a key that `save` wrote.

        Raises:
            NotFoundError: `keys.not_found`.
            InputError: `keys.file_unreadable` (wrong password or damaged), `keys.key_type`.
        """
        try:
            made = super().load(path, password)
        except InputError as exc:
            if exc.error_code == "keys.kind":
                raise InputError("the file holds no P-256 key", code="keys.key_type") from exc
            raise
        if kind_of(made.public_spki).name != "p256":
            raise InputError("the file holds no P-256 key", code="keys.key_type")
        return made

    def csr(self, subject: CertificateSubject) -> bytes:
        """A PKCS#10 request (DER) signed by this key: proof that its holder asks."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)
