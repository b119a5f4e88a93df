"""A signer's own key in a PKCS#12 file under a password: P-256, RSA or SM2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    pkcs12,
)

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing.certificates import certificate_spki
from signing.keys.algorithms import RSA_EXPONENT, kind_of
from signing.keys.files import replace
from signing.sm import Sm2PrivateKey

FILE_BYTES_MAX: Final = 65_536
"""A key with its chain takes 3 KiB."""
PASSWORD_CHARS_MIN: Final = 8
KINDS: Final = ("p256", "rsa-2048", "rsa-3072", "rsa-4096", "sm2")
_NAME: Final = b"fuqi signing key"

_Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Sm2PrivateKey


class KeyFile:
    """One signing key in a file and, once issued, its certificate."""

    def __init__(
        self, key: _Private, *, certificate_der: bytes | None = None, chain: Sequence[bytes] = ()
    ) -> None:
        self._key = key
        self.certificate_der = certificate_der
        self.chain = tuple(chain)
        kind_of(self.public_spki)

    @classmethod
    def load(cls, path: Path, password: str) -> Self:
        """Read a PKCS#12 file.

        Raises:
            NotFoundError: `keys.not_found`.
            InputError: `keys.file_unreadable` (wrong password or damaged), `keys.key_type` (no key,
                or one that cannot be used).
            UnavailableError: `sm2.unavailable`, `sm2.self_test` (for an SM2 key).
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError as exc:
            raise NotFoundError("there is no key file here", code="keys.not_found") from exc
        if len(data) > FILE_BYTES_MAX:
            raise InputError("this is no key file", code="keys.file_unreadable")
        try:
            key, certificate, above = pkcs12.load_key_and_certificates(data, password.encode())
        except UnsupportedAlgorithm:
            opened = Sm2PrivateKey.from_pkcs12(data, password)
            return cls(opened.key, certificate_der=opened.certificate, chain=opened.chain)
        except (ValueError, TypeError) as exc:
            if "curve" in str(exc).lower() or "unsupported" in str(exc).lower():
                opened = Sm2PrivateKey.from_pkcs12(data, password)
                return cls(opened.key, certificate_der=opened.certificate, chain=opened.chain)
            raise InputError(
                "wrong password, or no PKCS#12 file", code="keys.file_unreadable"
            ) from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise InputError("the file holds no key that signs here", code="keys.key_type")
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
        if certificate_der is not None and certificate_spki(certificate_der) != self.public_spki:
            raise InputError(
                "this certificate is for another key", code="keys.certificate_mismatch"
            )
        if path.exists() and not self._is_in(path, password):
            raise ConflictError("this file holds another key", code="keys.exists")
        replace(path, self._packed(password, certificate_der, chain))
        self.certificate_der, self.chain = certificate_der, tuple(chain)

    @property
    def public_spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        if isinstance(self._key, Sm2PrivateKey):
            return self._key.public_spki
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data: bytes) -> bytes:
        """Signature over `data` with the one algorithm of the key's kind."""
        if isinstance(self._key, Sm2PrivateKey):
            return self._key.sign(data)
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def _packed(
        self, password: str, certificate_der: bytes | None, chain: Sequence[bytes]
    ) -> bytes:
        if isinstance(self._key, Sm2PrivateKey):
            return self._key.to_pkcs12(
                password, name=_NAME, certificate=certificate_der, chain=chain
            )
        return pkcs12.serialize_key_and_certificates(
            _NAME,
            self._key,
            x509.load_der_x509_certificate(certificate_der) if certificate_der else None,
            [x509.load_der_x509_certificate(one) for one in chain] or None,
            BestAvailableEncryption(password.encode()),
        )

    def _is_in(self, path: Path, password: str) -> bool:
        try:
            return KeyFile.load(path, password).public_spki == self.public_spki
        except InputError:
            return False


class FileSigner(KeyFile):
    """A key of any kind that signs here."""

    @classmethod
    def create(cls, kind: str) -> FileSigner:
        """A fresh key; `kind` is one of `KINDS`.

        Raises:
            InputError: `keys.kind`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        if kind not in KINDS:
            raise InputError(f"kinds of keys: {', '.join(KINDS)}", code="keys.kind")
        if kind == "sm2":
            return cls(Sm2PrivateKey.generate())
        if kind == "p256":
            return cls(ec.generate_private_key(ec.SECP256R1()))
        return cls(rsa.generate_private_key(RSA_EXPONENT, int(kind.removeprefix("rsa-"))))
