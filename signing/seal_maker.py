"""The built-in maker of seals: a delegate of the built-in authority that signs seals and nothing else.

Folder (inside the authority's): `seal-maker.pem`, `seal-maker.der`. A certificate near its end is replaced by
itself, for the same key. The key is the operator's, as the authority's is: it is no party's.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing.ca import BuiltInAuthority
from signing.keys.algorithms import KeyKind
from signing.keys.files import create_folder, replace
from signing.keys.issuing import IssuerKey, key_identifier, load_issuer, new_issuer_key
from signing.keys.roots import authority_name, key_usage, new_serial
from signing.seal_object import OID_SEAL_MAKER

LABEL_EN: Final = "built-in seal maker: not a licensed or certified one"
LABEL_ZH: Final = "内置制章者：并非依法备案或认证的制章单位"
MAKER_DAYS: Final = 730
RENEW_DAYS: Final = 60
FOLDER: Final = "seal-maker"


class BuiltInSealMaker:
    """Signs seals with a key whose certificate the built-in authority issued for that alone."""

    label_en: Final = LABEL_EN
    label_zh: Final = LABEL_ZH

    def __init__(self, authority: BuiltInAuthority) -> None:
        """A maker under this authority; its key is made when it is first needed."""
        self._authority = authority
        self._held: tuple[IssuerKey, x509.Certificate] | None = None
        self._lock = threading.Lock()

    @property
    def kind(self) -> KeyKind:
        """Kind of its key: that of the authority."""
        return self._authority.kind

    def certificate_der(self, *, at: datetime) -> bytes:
        """Its certificate at `at`."""
        return self._usable(at)[1].public_bytes(Encoding.DER)

    def sign(self, data: bytes, *, at: datetime) -> bytes:
        """DER signature with the key that `certificate_der` names."""
        return self._usable(at)[0].sign(data)

    def _usable(self, at: datetime) -> tuple[IssuerKey, x509.Certificate]:
        with self._lock:
            folder = self._authority.folder / FOLDER
            held = self._held
            if held is None and (folder / "seal-maker.der").exists():
                held = load_issuer(folder, name="seal-maker", code="ca.damaged")
            if held is None:
                held = self._first(at)
            elif at + timedelta(days=RENEW_DAYS) > held[1].not_valid_after_utc:
                certificate = self._certify(held[0], at)
                replace(folder / "seal-maker.der", certificate.public_bytes(Encoding.DER))
                held = (held[0], certificate)
            self._held = held
            return held

    def _first(self, at: datetime) -> tuple[IssuerKey, x509.Certificate]:
        key = new_issuer_key(self._authority.kind)
        certificate = self._certify(key, at)
        folder = self._authority.folder / FOLDER
        made = create_folder(
            folder,
            {
                "seal-maker.pem": key.private_pem(),
                "seal-maker.der": certificate.public_bytes(Encoding.DER),
            },
            folders=(),
        )
        # Another process was first: its key counts, ours is forgotten.
        return (
            (key, certificate)
            if made
            else load_issuer(folder, name="seal-maker", code="ca.damaged")
        )

    def _certify(self, key: IssuerKey, at: datetime) -> x509.Certificate:
        start = at.astimezone(UTC).replace(microsecond=0)
        end = min(
            start + timedelta(days=MAKER_DAYS), self._authority.certificate.not_valid_after_utc
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(authority_name("fuqi built-in seal maker", units=(LABEL_EN, LABEL_ZH)))
            .serial_number(new_serial())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([x509.ObjectIdentifier(OID_SEAL_MAKER)]), critical=True
            )
            .add_extension(key_identifier(key.public_spki), critical=False)
        )
        return self._authority.delegate(builder, public_spki=key.public_spki)
