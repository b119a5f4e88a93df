"""The built-in certificate authority: it really issues and revokes, and says nobody licensed it.

Invariants:
    - a certificate is issued only on a request signed by the very key it certifies.
    - one key serves one subject for ever (Electronic Signature Law art. 13(1)).
    - the subject's name comes from the caller, who checked it; the request's own is ignored.
    - no identity number enters a certificate: only a salted commitment of 32 bytes.

Folder: `root.pem` (0600), `root.der`, `crl_number`, `certificates/<serial>.der`, `revoked/<serial>`,
and per key `keys/<spki sha256>/subject` beside one empty `<serial>` for each certificate.
Profile: RFC 5280; extended key usage: RFC 9336.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from asn1crypto import core as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.units import parse_utc, utc_text
from signing.keys.files import (
    Counter,
    create_folder,
    ensure_folder,
    private_pem,
    spki_of,
    write_once,
)
from signing.keys.roots import (
    OID_ARC,
    authority_key,
    authority_name,
    key_usage,
    load_pair,
    make_root,
    new_serial,
)

LABEL_EN: Final = "built-in CA: not a licensed CA"
LABEL_ZH: Final = "内置CA：并非依法许可的电子认证服务机构"

OID_POLICY: Final = ObjectIdentifier(f"{OID_ARC}.1.1")
OID_IDENTITY_COMMITMENT: Final = ObjectIdentifier(f"{OID_ARC}.2.1")
"""Extension value: OCTET STRING of 32 bytes, a salted commitment to the checked identity."""
OID_DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")

CSR_BYTES_MAX: Final = 8192
"""A P-256 request is about 300 bytes; 8 KiB leaves room for names and stops abuse."""
NAME_CHARS_MAX: Final = 64
"""Upper bound of X.520. Libraries count a common name's bytes, so there it bounds the UTF-8 form:
21 Chinese characters; a longer name of an organisation goes into `organisation`."""
SERIAL_HEX: Final = 40
"""Serial numbers have 20 bytes, the most that RFC 5280 allows."""
ROOT_YEARS: Final = 20
LEAF_DAYS_MAX: Final = 1095
"""Three years: no longer than practice trusts one key on one device."""
CRL_DAYS: Final = 7
REASONS: Final = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "affiliation_changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation_of_operation": x509.ReasonFlags.cessation_of_operation,
    "privilege_withdrawn": x509.ReasonFlags.privilege_withdrawn,
}


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """Whom a certificate names.

    Attributes:
        common_name: the natural person, or the organisation itself, as checked; 1..64 bytes UTF-8.
        organisation: the organisation the person acts for, or None; 1..64 characters.
        reference: random id of the person, tells namesakes apart; never a number of theirs.
        identity_commitment: 32 bytes `commitment(salt, checked identity)`, or None.
        country: ISO 3166 alpha-2.
    """

    common_name: str
    organisation: str | None = None
    reference: str | None = None
    identity_commitment: bytes | None = None
    country: str = "CN"


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate with the chain above it (issuer first, root last)."""

    der: bytes
    serial_hex: str
    not_before: datetime
    not_after: datetime
    chain: tuple[bytes, ...]


class BuiltInAuthority:
    """A P-256 root that issues end-entity certificates for document signing."""

    label_en: Final = LABEL_EN
    label_zh: Final = LABEL_ZH

    def __init__(
        self,
        folder: Path,
        *,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        crl_url: str | None,
    ) -> None:
        self._folder = folder
        self._key = key
        self._certificate = certificate
        self._crl_url = crl_url
        self._crl_numbers = Counter(folder / "crl_number", block=1)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        at: datetime,
        common_name: str = "fuqi built-in root",
        crl_url: str | None = None,
    ) -> BuiltInAuthority:
        """Make a new authority in `folder`, which must be absent or empty.

        Raises:
            ConflictError: `ca.exists`.
            InputError: `ca.subject_name`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = make_root(
            key,
            name=authority_name(_common_name(common_name), units=(LABEL_EN, LABEL_ZH)),
            at=at,
            years=ROOT_YEARS,
        )
        der = certificate.public_bytes(Encoding.DER)
        own = f"keys/{_key_name(spki_of(key.public_key()))}"
        made = create_folder(
            folder,
            {
                "root.pem": private_pem(key),
                "root.der": der,
                "crl_number": b"0",
                # The root's own key can never be certified for somebody.
                f"{own}/subject": certificate.subject.public_bytes(),
            },
            folders=("keys", own, "certificates", "revoked"),
        )
        if not made:
            raise ConflictError("this folder already holds something", code="ca.exists")
        return cls(folder, key=key, certificate=certificate, crl_url=crl_url)

    @classmethod
    def load(cls, folder: Path, *, crl_url: str | None = None) -> BuiltInAuthority:
        """Open the authority in `folder`.

        Raises:
            NotFoundError: `ca.not_found`.
            ConflictError: `ca.damaged`, `keys.permissions`, `keys.damaged`.
        """
        if not (folder / "root.der").exists():
            raise NotFoundError("there is no authority in this folder", code="ca.not_found")
        key, certificate = load_pair(folder, name="root", code="ca.damaged")
        return cls(folder, key=key, certificate=certificate, crl_url=crl_url)

    @classmethod
    def open_or_create(
        cls,
        folder: Path,
        *,
        at: datetime,
        common_name: str = "fuqi built-in root",
        crl_url: str | None = None,
    ) -> BuiltInAuthority:
        """The authority in `folder`, made now if there is none; `common_name` counts only then."""
        if (folder / "root.der").exists():
            return cls.load(folder, crl_url=crl_url)
        return cls.create(folder, at=at, common_name=common_name, crl_url=crl_url)

    @property
    def root_der(self) -> bytes:
        """The self-signed root certificate."""
        return self._certificate.public_bytes(Encoding.DER)

    def issue(
        self, csr_der: bytes, *, subject: CertificateSubject, at: datetime, days: int = 365
    ) -> IssuedCertificate:
        """Certify the key of `csr_der` for `subject`, from `at` (whole seconds) for `days` days.

        Raises:
            InputError: `ca.csr_malformed` (also: too large), `ca.csr_key_type`, `ca.csr_signature`,
                `ca.subject_name`, `ca.subject_commitment`, `ca.days`.
            ConflictError: `ca.key_in_use` (certified for another subject), `ca.not_valid_at`.
        """
        public = _requested_key(csr_der)
        name = _subject_name(subject)
        if not 1 <= days <= LEAF_DAYS_MAX:
            raise InputError(f"days must be 1 to {LEAF_DAYS_MAX}", code="ca.days")
        not_before = at.astimezone(UTC).replace(microsecond=0)
        not_after = not_before + timedelta(days=days)
        root = self._certificate
        if not_before < root.not_valid_before_utc or not_after > root.not_valid_after_utc:
            raise ConflictError("outside the root's own validity", code="ca.not_valid_at")
        self._claim(public, name=name)
        serial = new_serial()
        certificate = self._leaf(
            public, name=name, subject=subject, serial=serial, validity=(not_before, not_after)
        )
        der = certificate.public_bytes(Encoding.DER)
        # The key's list first: a crash in between leaves a number there without a certificate.
        write_once(self._key_folder(spki_of(public)) / f"{serial:040x}", b"")
        written = write_once(self._certificate_path(serial), der)
        assert written, "a random 159-bit serial repeated"
        return self._issued(certificate)

    def issued_for(self, public_spki: bytes) -> tuple[IssuedCertificate, ...]:
        """Every certificate of this key, oldest first: lets an interrupted job find what it had."""
        serials = [path.name for path in self._key_folder(public_spki).glob("[!.]*")]
        paths = [
            self._certificate_path(int(name, 16)) for name in serials if len(name) == SERIAL_HEX
        ]
        found = [
            x509.load_der_x509_certificate(path.read_bytes()) for path in paths if path.exists()
        ]
        found.sort(
            key=lambda certificate: (certificate.not_valid_before_utc, certificate.serial_number)
        )
        return tuple(self._issued(certificate) for certificate in found)

    def revoke(self, serial_hex: str, *, at: datetime, reason: str) -> None:
        """Revoke for good; the same revocation again changes nothing and keeps the first time.

        Args:
            serial_hex: as in `IssuedCertificate`.
            reason: a key of `REASONS`.

        Raises:
            InputError: `ca.revocation_reason`.
            NotFoundError: `ca.serial_unknown`.
            ConflictError: `ca.already_revoked` (for another reason).
        """
        if reason not in REASONS:
            raise InputError("not a revocation reason", code="ca.revocation_reason")
        serial = _serial_number(serial_hex)
        if not self._certificate_path(serial).exists():
            raise NotFoundError("no such certificate here", code="ca.serial_unknown")
        path = self._folder / "revoked" / f"{serial:040x}"
        body = json.dumps({"at": utc_text(at), "reason": reason}).encode()
        if not write_once(path, body) and json.loads(path.read_bytes())["reason"] != reason:
            raise ConflictError("already revoked for another reason", code="ca.already_revoked")

    def revoked_at(self, serial_hex: str) -> datetime | None:
        """When the certificate was revoked, or None."""
        path = self._folder / "revoked" / f"{_serial_number(serial_hex):040x}"
        if not path.exists():
            return None
        return parse_utc(json.loads(path.read_bytes())["at"])

    def crl(self, *, at: datetime) -> bytes:
        """A fresh revocation list (DER), valid for seven days, with every revocation ever made."""
        this_update = at.astimezone(UTC).replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(this_update)
            .next_update(this_update + timedelta(days=CRL_DAYS))
            .add_extension(authority_key(self._certificate), critical=False)
            .add_extension(x509.CRLNumber(self._crl_numbers.take()), critical=False)
        )
        for path in sorted((self._folder / "revoked").glob("[!.]*")):
            body = json.loads(path.read_bytes())
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(int(path.name, 16))
                .revocation_date(parse_utc(body["at"]))
            )
            # RFC 5280 5.3.1: "unspecified" is said by leaving the extension out.
            if body["reason"] != "unspecified":
                entry = entry.add_extension(x509.CRLReason(REASONS[body["reason"]]), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _issued(self, certificate: x509.Certificate) -> IssuedCertificate:
        return IssuedCertificate(
            der=certificate.public_bytes(Encoding.DER),
            serial_hex=f"{certificate.serial_number:040x}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            chain=(self.root_der,),
        )

    def _certificate_path(self, serial: int) -> Path:
        return self._folder / "certificates" / f"{serial:040x}.der"

    def _key_folder(self, public_spki: bytes) -> Path:
        return self._folder / "keys" / _key_name(public_spki)

    def _claim(self, public: ec.EllipticCurvePublicKey, *, name: x509.Name) -> None:
        folder = self._key_folder(spki_of(public))
        ensure_folder(folder)
        path = folder / "subject"
        # A crash after the claim leaves a key bound to its subject, uncertified: a retry goes on.
        if not write_once(path, name.public_bytes()) and path.read_bytes() != name.public_bytes():
            raise ConflictError(
                "this key is already certified for another subject", code="ca.key_in_use"
            )

    def _leaf(
        self,
        public: ec.EllipticCurvePublicKey,
        *,
        name: x509.Name,
        subject: CertificateSubject,
        serial: int,
        validity: tuple[datetime, datetime],
    ) -> x509.Certificate:
        notice = x509.UserNotice(None, f"{LABEL_EN} / {LABEL_ZH}")
        builder = (
            x509.CertificateBuilder()
            .issuer_name(self._certificate.subject)
            .subject_name(name)
            .public_key(public)
            .serial_number(serial)
            .not_valid_before(validity[0])
            .not_valid_after(validity[1])
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                key_usage(digital_signature=True, content_commitment=True), critical=True
            )
            .add_extension(x509.ExtendedKeyUsage([OID_DOCUMENT_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(authority_key(self._certificate), critical=False)
            .add_extension(
                x509.CertificatePolicies([x509.PolicyInformation(OID_POLICY, [notice])]),
                critical=False,
            )
        )
        if subject.identity_commitment is not None:
            value = asn1.OctetString(subject.identity_commitment).dump()
            builder = builder.add_extension(
                x509.UnrecognizedExtension(OID_IDENTITY_COMMITMENT, value), critical=False
            )
        if self._crl_url is not None:
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(self._crl_url)], None, None, None
            )
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def identity_commitment(certificate_der: bytes) -> bytes | None:
    """The 32-byte identity commitment inside a certificate of ours, or None."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    try:
        extension = certificate.extensions.get_extension_for_oid(OID_IDENTITY_COMMITMENT)
    except x509.ExtensionNotFound:
        return None
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    return bytes(asn1.OctetString.load(extension.value.value, strict=True).native)


def _subject_name(subject: CertificateSubject) -> x509.Name:
    if subject.identity_commitment is not None and len(subject.identity_commitment) != 32:
        raise InputError("the identity commitment is 32 bytes", code="ca.subject_commitment")
    if not (len(subject.country) == 2 and subject.country.isascii() and subject.country.isupper()):
        raise InputError("country is two capital letters", code="ca.subject_name")
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, subject.country)]
    if subject.organisation is not None:
        parts.append(
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _name_text(subject.organisation))
        )
    if subject.reference is not None:
        # Not the serialNumber attribute: its PrintableString has no underscore, which our ids have.
        parts.append(x509.NameAttribute(NameOID.USER_ID, _name_text(subject.reference)))
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, _common_name(subject.common_name)))
    return x509.Name(parts)


def _name_text(text: str) -> str:
    """`text` if it can stand in a name: 1..64 visible characters, no edge spaces, no controls."""
    # Controls, direction marks, surrogates and line separators could make a name read as another.
    hidden = any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
    if not 1 <= len(text) <= NAME_CHARS_MAX or hidden or text != text.strip():
        raise InputError(
            f"a name has 1 to {NAME_CHARS_MAX} visible characters", code="ca.subject_name"
        )
    return text


def _common_name(text: str) -> str:
    if len(_name_text(text).encode()) > NAME_CHARS_MAX:
        raise InputError(
            f"a common name takes at most {NAME_CHARS_MAX} bytes", code="ca.subject_name"
        )
    return text


def _requested_key(csr_der: bytes) -> ec.EllipticCurvePublicKey:
    if len(csr_der) > CSR_BYTES_MAX:
        raise InputError("the certificate request is too large", code="ca.csr_malformed")
    try:
        request = x509.load_der_x509_csr(csr_der)
        public = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise InputError("this is no PKCS#10 request in DER", code="ca.csr_malformed") from exc
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(
        public.curve, ec.SECP256R1
    ):
        raise InputError("only P-256 keys are certified", code="ca.csr_key_type")
    try:
        proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        proven = False
    if not proven:
        raise InputError("the request is not signed by the key it carries", code="ca.csr_signature")
    return public


def _serial_number(serial_hex: str) -> int:
    try:
        serial = int(serial_hex, 16)
    except ValueError:
        serial = -1
    if len(serial_hex) != SERIAL_HEX or serial < 0 or f"{serial:040x}" != serial_hex:
        raise NotFoundError("no such certificate here", code="ca.serial_unknown")
    return serial


def _key_name(public_spki: bytes) -> str:
    return hashlib.sha256(public_spki).hexdigest()
