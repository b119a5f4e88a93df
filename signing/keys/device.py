"""A signer's own P-256 key in a PKCS#12 file under a password.

It stands for the signer's device in the demo and on the command line. The server never holds one:
it sees the request for a certificate, the certificate and the signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing.ca import CertificateSubject
from signing.keys.files import replace, spki_of

FILE_BYTES_MAX: Final = 65_536
"""A key with its chain takes 3 KiB."""
PASSWORD_CHARS_MIN: Final = 8
_FRIENDLY_NAME: Final = b"fuqi device key"


class DeviceKey:
    """One signing key and, once issued, its certificate."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        certificate_der: bytes | None = None,
        chain: Sequence[bytes] = (),
    ) -> None:
        self._key = key
        self.certificate_der = certificate_der
        self.chain = tuple(chain)

    @classmethod
    def create(cls) -> DeviceKey:
        """A fresh key from the operating system's random source."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path, password: str) -> DeviceKey:
        """Read a key that `save` wrote.

        Raises:
            NotFoundError: `keys.not_found`.
            InputError: `keys.file_unreadable` (wrong password or damaged), `keys.key_type`.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError as exc:
            raise NotFoundError("there is no key file here", code="keys.not_found") from exc
        if len(data) > FILE_BYTES_MAX:
            raise InputError("this is no key file of ours", code="keys.file_unreadable")
        try:
            key, certificate, above = pkcs12.load_key_and_certificates(data, password.encode())
        except (ValueError, TypeError) as exc:
            raise InputError(
                "wrong password, or no PKCS#12 file", code="keys.file_unreadable"
            ) from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise InputError("the file holds no P-256 key", code="keys.key_type")
        return cls(
            key,
            certificate_der=certificate.public_bytes(Encoding.DER) if certificate else None,
            chain=tuple(one.public_bytes(Encoding.DER) for one in above),
        )

    def save(
        self,
        path: Path,
        password: str,
        certificate_der: bytes | None = None,
        chain: Sequence[bytes] = (),
    ) -> None:
        """Write key, certificate and chain in one step, readable by the owner only.

        Args:
            path: replaced only if it holds this same key under this same password.
            password: at least 8 characters.
            certificate_der: kept from before where left out.
            chain: issuer first.

        Raises:
            InputError: `keys.password_short`, `keys.certificate_mismatch`.
            ConflictError: `keys.exists` (another key would be lost).
        """
        if len(password) < PASSWORD_CHARS_MIN:
            raise InputError("a password has 8 characters or more", code="keys.password_short")
        if certificate_der is None:
            certificate_der, chain = self.certificate_der, self.chain
        certificate = x509.load_der_x509_certificate(certificate_der) if certificate_der else None
        if certificate is not None:
            public = certificate.public_key()
            if (
                not isinstance(public, ec.EllipticCurvePublicKey)
                or spki_of(public) != self.public_spki
            ):
                raise InputError(
                    "this certificate is for another key", code="keys.certificate_mismatch"
                )
        if path.exists():
            self._require_same(path, password)
        above = [x509.load_der_x509_certificate(one) for one in chain]
        data = pkcs12.serialize_key_and_certificates(
            _FRIENDLY_NAME,
            self._key,
            certificate,
            above or None,
            BestAvailableEncryption(password.encode()),
        )
        replace(path, data)
        self.certificate_der, self.chain = certificate_der, tuple(chain)

    def csr(self, subject: CertificateSubject) -> bytes:
        """A PKCS#10 request (DER) signed by this key: proof that its holder asks."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def sign(self, data: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of `data`, DER."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    @property
    def public_spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return spki_of(self._key.public_key())

    def _require_same(self, path: Path, password: str) -> None:
        try:
            same = DeviceKey.load(path, password).public_spki == self.public_spki
        except InputError:
            same = False
        if not same:
            raise ConflictError("this file holds another key", code="keys.exists")
