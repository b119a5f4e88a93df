"""The built-in certificate authority: it really issues and revokes, and says nobody licensed it.

Invariants:
    - a certificate is issued only on a request signed by the very key it certifies.
    - one key serves one subject for ever (Electronic Signature Law art. 13(1)).
    - the subject's name comes from the caller, who checked it; the request's own is ignored.
    - no identity number enters a certificate: only a salted commitment of 32 bytes.

The root is P-256 or, for a chain in the national algorithms, SM2 with SM3; it certifies keys of any
kind in `signing.keys.algorithms`.

Folder: `root.pem` (0600), `root.der`, `crl_number`, `certificates/<serial>.der`, `revoked/<serial>`,
and per key `keys/<spki sha256>/subject` beside one empty `<serial>` for each certificate.
Profile: RFC 5280; extended key usage: RFC 9336.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from asn1crypto import core as asn1
from asn1crypto import csr as asn1_csr
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ObjectIdentifier

from ledger.core.errors import ConflictError, InputError, NotFoundError, VerificationError
from ledger.core.units import parse_utc, utc_text
from signing.ca_names import CertificateSubject, common_name_text, subject_name
from signing.keys.algorithms import P256, SM2, KeyKind, kind_of
from signing.keys.files import Counter, create_folder, ensure_folder, write_once
from signing.keys.issuing import (
    IssuerKey,
    finish_certificate,
    finish_list,
    key_identifier,
    load_issuer,
    new_issuer_key,
)
from signing.keys.roots import (
    OID_ARC,
    authority_key,
    authority_name,
    key_usage,
    make_root,
    new_serial,
)
from signing.parsed import ASN1_ERRORS
from signing.sm import verify_sm2

__all__ = ["Addresses", "BuiltInAuthority", "CertificateSubject", "IssuedCertificate", "Standing"]

LABEL_EN: Final = "built-in CA: not a licensed CA"
LABEL_ZH: Final = "内置CA：并非依法许可的电子认证服务机构"

OID_POLICY: Final = ObjectIdentifier(f"{OID_ARC}.1.1")
OID_IDENTITY_COMMITMENT: Final = ObjectIdentifier(f"{OID_ARC}.2.1")
"""Extension value: OCTET STRING of 32 bytes, a salted commitment to the checked identity."""
OID_DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")

CSR_BYTES_MAX: Final = 8192
"""A P-256 request has about 300 bytes, RSA-4096 1300; 8 KiB leaves room and stops abuse."""
SERIAL_HEX: Final = 40
"""Serial numbers have 20 bytes, the most that RFC 5280 allows."""
ROOT_YEARS: Final = 20
LEAF_DAYS_MAX: Final = 1095
"""Three years: no longer than practice trusts one key on one device."""
CRL_DAYS: Final = 7
CRL_KEPT: Final = timedelta(hours=1)
"""How long a published list is handed out again; a revocation makes a new one at once."""
REASONS: Final = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "affiliation_changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation_of_operation": x509.ReasonFlags.cessation_of_operation,
    "privilege_withdrawn": x509.ReasonFlags.privilege_withdrawn,
}


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate with the chain above it (issuer first, root last)."""

    der: bytes
    serial_hex: str
    not_before: datetime
    not_after: datetime
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the certificates of an authority say that its list, its OCSP responder and its root are.

    Attributes:
        crl: address of the revocation list, or None to leave the extension out.
        ocsp: address of the OCSP responder.
        issuer: address of the root certificate, DER.
    """

    crl: str | None = None
    ocsp: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the authority knows of a serial number.

    Attributes:
        known: whether it issued a certificate of this number.
        revoked_at: when it was revoked, or None.
        reason: a key of `REASONS`, or None.
    """

    known: bool
    revoked_at: datetime | None = None
    reason: str | None = None


class BuiltInAuthority:
    """A root that issues end-entity certificates for document signing."""

    label_en: Final = LABEL_EN
    label_zh: Final = LABEL_ZH

    def __init__(
        self,
        folder: Path,
        *,
        key: IssuerKey,
        certificate: x509.Certificate,
        addresses: Addresses,
    ) -> None:
        self._folder = folder
        self._key = key
        self._certificate = certificate
        self._addresses = addresses
        self._published: tuple[datetime, int, bytes] | None = None
        self._crl_numbers = Counter(folder / "crl_number", block=1)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        at: datetime,
        common_name: str = "fuqi built-in root",
        addresses: Addresses = Addresses(),
        kind: KeyKind = P256,
    ) -> BuiltInAuthority:
        """Make a new authority in `folder`, which must be absent or empty.

        Args:
            kind: `P256`, or `SM2` for a root in the national algorithms.

        Raises:
            ConflictError: `ca.exists`.
            InputError: `ca.subject_name`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        key = new_issuer_key(kind)
        certificate = make_root(
            key,
            name=authority_name(common_name_text(common_name), units=(LABEL_EN, LABEL_ZH)),
            at=at,
            years=ROOT_YEARS,
        )
        own = f"keys/{_key_name(key.public_spki)}"
        made = create_folder(
            folder,
            {
                "root.pem": key.private_pem(),
                "root.der": certificate.public_bytes(Encoding.DER),
                "crl_number": b"0",
                # The root's own key can never be certified for somebody.
                f"{own}/subject": certificate.subject.public_bytes(),
            },
            folders=("keys", own, "certificates", "revoked"),
        )
        if not made:
            raise ConflictError("this folder already holds something", code="ca.exists")
        return cls(folder, key=key, certificate=certificate, addresses=addresses)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        addresses: Addresses = Addresses(),
    ) -> BuiltInAuthority:
        """Open the authority in `folder`.

        Raises:
            NotFoundError: `ca.not_found`.
            ConflictError: `ca.damaged`, `keys.permissions`, `keys.damaged`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test` (for an SM2 root).
        """
        if not (folder / "root.der").exists():
            raise NotFoundError("there is no authority in this folder", code="ca.not_found")
        key, certificate = load_issuer(folder, name="root", code="ca.damaged")
        return cls(folder, key=key, certificate=certificate, addresses=addresses)

    @classmethod
    def open_or_create(
        cls,
        folder: Path,
        *,
        at: datetime,
        common_name: str = "fuqi built-in root",
        addresses: Addresses = Addresses(),
        kind: KeyKind = P256,
    ) -> BuiltInAuthority:
        """The authority in `folder`, made now if there is none; the last arguments count only then."""
        if (folder / "root.der").exists():
            return cls.load(folder, addresses=addresses)
        return cls.create(folder, at=at, common_name=common_name, addresses=addresses, kind=kind)

    @property
    def kind(self) -> KeyKind:
        """Kind of the root's key."""
        return self._key.kind

    @property
    def folder(self) -> Path:
        """Where it keeps what it knows."""
        return self._folder

    @property
    def certificate(self) -> x509.Certificate:
        """The self-signed root certificate."""
        return self._certificate

    @property
    def public_spki(self) -> bytes:
        """The root's key, DER."""
        return self._key.public_spki

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
            UnavailableError: `sm2.unavailable`, `sm2.self_test` (for an SM2 key).
            ConflictError: `ca.key_in_use` (certified for another subject), `ca.not_valid_at`.
        """
        spki = requested_spki(csr_der)
        name = subject_name(subject)
        if not 1 <= days <= LEAF_DAYS_MAX:
            raise InputError(f"days must be 1 to {LEAF_DAYS_MAX}", code="ca.days")
        not_before = at.astimezone(UTC).replace(microsecond=0)
        not_after = not_before + timedelta(days=days)
        root = self._certificate
        if not_before < root.not_valid_before_utc or not_after > root.not_valid_after_utc:
            raise ConflictError("outside the root's own validity", code="ca.not_valid_at")
        self._claim(spki, name=name)
        serial = new_serial()
        builder = self._leaf(
            spki, name=name, subject=subject, serial=serial, validity=(not_before, not_after)
        )
        certificate = finish_certificate(builder, public_spki=spki, issuer=self._key)
        # The key's list first: a crash in between leaves a number there without a certificate.
        write_once(self._key_folder(spki) / f"{serial:040x}", b"")
        self._keep(certificate)
        return self._issued(certificate)

    def delegate(self, builder: x509.CertificateBuilder, *, public_spki: bytes) -> x509.Certificate:
        """Sign the certificate of a delegate of this authority: its OCSP responder."""
        certificate = finish_certificate(
            builder.issuer_name(self._certificate.subject).add_extension(
                authority_key(self._certificate), critical=False
            ),
            public_spki=public_spki,
            issuer=self._key,
        )
        self._keep(certificate)
        return certificate

    def standing(self, serial: int) -> Standing:
        """Whether a number was issued here, and whether it is revoked; any integer may be asked."""
        if not 0 < serial < 1 << 160 or not self._certificate_path(serial).exists():
            return Standing(known=False)
        path = self._folder / "revoked" / f"{serial:040x}"
        if not path.exists():
            return Standing(known=True)
        body = json.loads(path.read_bytes())
        return Standing(known=True, revoked_at=parse_utc(body["at"]), reason=body["reason"])

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

    def issued(self, serial_hex: str) -> bool:
        """Whether this authority issued a certificate of this number."""
        try:
            return self._certificate_path(_serial_number(serial_hex)).exists()
        except NotFoundError:
            return False

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
        return finish_list(builder, issuer=self._key)

    def published_crl(self, *, at: datetime) -> bytes:
        """The list to hand out: the last one for an hour, or a fresh one after a revocation."""
        revoked = sum(1 for _ in (self._folder / "revoked").glob("[!.]*"))
        kept = self._published
        if kept is None or kept[1] != revoked or not kept[0] <= at < kept[0] + CRL_KEPT:
            kept = (at, revoked, self.crl(at=at))
            self._published = kept
        return kept[2]

    def _keep(self, certificate: x509.Certificate) -> None:
        der = certificate.public_bytes(Encoding.DER)
        written = write_once(self._certificate_path(certificate.serial_number), der)
        assert written, "a random 159-bit serial repeated"

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

    def _claim(self, public_spki: bytes, *, name: x509.Name) -> None:
        folder = self._key_folder(public_spki)
        ensure_folder(folder)
        path = folder / "subject"
        # A crash after the claim leaves a key bound to its subject, uncertified: a retry goes on.
        if not write_once(path, name.public_bytes()) and path.read_bytes() != name.public_bytes():
            raise ConflictError(
                "this key is already certified for another subject", code="ca.key_in_use"
            )

    def _leaf(
        self,
        public_spki: bytes,
        *,
        name: x509.Name,
        subject: CertificateSubject,
        serial: int,
        validity: tuple[datetime, datetime],
    ) -> x509.CertificateBuilder:
        notice = x509.UserNotice(None, f"{LABEL_EN} / {LABEL_ZH}")
        builder = (
            x509.CertificateBuilder()
            .issuer_name(self._certificate.subject)
            .subject_name(name)
            .serial_number(serial)
            .not_valid_before(validity[0])
            .not_valid_after(validity[1])
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                key_usage(digital_signature=True, content_commitment=True), critical=True
            )
            .add_extension(x509.ExtendedKeyUsage([OID_DOCUMENT_SIGNING]), critical=False)
            .add_extension(key_identifier(public_spki), critical=False)
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
        return self._with_addresses(builder)

    def _with_addresses(self, builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        where = self._addresses
        if where.crl is not None:
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(where.crl)], None, None, None
            )
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        access = [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
            for method, url in (
                (AuthorityInformationAccessOID.OCSP, where.ocsp),
                (AuthorityInformationAccessOID.CA_ISSUERS, where.issuer),
            )
            if url is not None
        ]
        if access:
            builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
        return builder


def identity_commitment(certificate_der: bytes) -> bytes | None:
    """The 32-byte identity commitment inside a certificate of ours, or None."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    try:
        extension = certificate.extensions.get_extension_for_oid(OID_IDENTITY_COMMITMENT)
    except x509.ExtensionNotFound:
        return None
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    return bytes(asn1.OctetString.load(extension.value.value, strict=True).native)


def requested_spki(csr_der: bytes) -> bytes:
    """The key of a PKCS#10 request that this very key signed.

    Raises:
        InputError: `ca.csr_malformed` (also: too large), `ca.csr_key_type`, `ca.csr_signature`.
        UnavailableError: `sm2.unavailable`, `sm2.self_test` (for an SM2 key).
    """
    if len(csr_der) > CSR_BYTES_MAX:
        raise InputError("the certificate request is too large", code="ca.csr_malformed")
    try:
        # Two readers, because each forgives something that the other does not.
        request = x509.load_der_x509_csr(csr_der)
        parsed = asn1_csr.CertificationRequest.load(csr_der, strict=True)
        info = parsed["certification_request_info"]
        spki = bytes(info["subject_pk_info"].dump())
        body, signature = bytes(info.dump()), bytes(parsed["signature"].native)
        algorithm = str(parsed["signature_algorithm"]["algorithm"].dotted)
    except (*ASN1_ERRORS, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
        raise InputError("this is no PKCS#10 request in DER", code="ca.csr_malformed") from exc
    try:
        kind = kind_of(spki)
    except InputError as exc:
        raise InputError(
            "keys that are certified: P-256, RSA with 2048 to 4096 bits, SM2",
            code="ca.csr_key_type",
        ) from exc
    try:
        if kind is SM2:
            proven = algorithm == SM2.signature_oid
            verify_sm2(body, signature=signature, public_spki=spki)
        else:
            proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, VerificationError):
        proven = False
    if not proven:
        raise InputError("the request is not signed by the key it carries", code="ca.csr_signature")
    return spki


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
