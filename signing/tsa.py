"""The built-in time-stamp authority (RFC 3161, RFC 5816): real tokens, and no independent witness.

Invariants:
    - a serial number is never used twice, by any process, across any crash.
    - the certificate's only purpose, critical, is time stamping; every token names it by SHA-256.
    - `genTime` is the `at` of the caller in whole seconds UTC, accuracy one second.

Folder: `root.pem`, `root.der`, `tsa.pem`, `tsa.der`, `serial`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing.keys.files import Counter, create_folder, private_pem
from signing.keys.issuing import P256IssuerKey
from signing.keys.roots import (
    OID_ARC,
    authority_key,
    authority_name,
    key_usage,
    load_pair,
    make_root,
    new_serial,
)
from signing.parsed import ASN1_ERRORS

LABEL_EN: Final = "built-in TSA: not independent"
LABEL_ZH: Final = "内置时间戳：并非独立第三方时间戳服务"

OID_POLICY: Final = f"{OID_ARC}.1.2"
HASHES: Final = {
    "sha256": ("2.16.840.1.101.3.4.2.1", 32),
    "sha384": ("2.16.840.1.101.3.4.2.2", 48),
    "sha512": ("2.16.840.1.101.3.4.2.3", 64),
    "sm3": ("1.2.156.10197.1.401", 32),
}
"""Name -> (object identifier, imprint length in bytes). SHA-1 and MD5 are refused."""
REQUEST_BYTES_MAX: Final = 4096
"""A request is about 70 bytes; extensions, which we refuse, could make it longer."""
NONCE_BITS_MAX: Final = 512
"""Clients send 64; a nonce is echoed, so its size is bounded."""
ACCURACY_SECONDS: Final = 1
ROOT_YEARS: Final = 20
TSA_YEARS: Final = 10

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_OCTET_STRING: Final = 0x04
_CONTEXT_0: Final = 0xA0
_SIGNED_DATA: Final = cms.ContentType("signed_data").dump()
_TST_INFO: Final = cms.ContentType("tst_info").dump()
_SHA256: Final = algos.DigestAlgorithm({"algorithm": "sha256"}).dump()
_SHA256_ECDSA: Final = algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}).dump()
_BAD_ALGORITHM: Final = "bad_alg"
_BAD_REQUEST: Final = "bad_request"
_BAD_FORMAT: Final = "bad_data_format"
_BAD_POLICY: Final = "unaccepted_policy"
_BAD_EXTENSION: Final = "unaccepted_extensions"
_NO_TIME: Final = "time_not_available"


class _Refusal(Exception):  # noqa: N818 - not an error to the client but an answer
    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class TimeStampAnswer(core.Sequence):  # type: ignore[misc]
    """TimeStampResp of RFC 3161, also where it is a refusal."""

    # asn1crypto demands a token even in a refusal; RFC 3161 section 2.4.2 makes it optional.
    _fields = [  # noqa: RUF012 - the way asn1crypto declares fields
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


class BuiltInTimestampAuthority:
    """A P-256 time-stamp authority under its own root."""

    label_en: Final = LABEL_EN
    label_zh: Final = LABEL_ZH

    def __init__(
        self,
        folder: Path,
        *,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        root: x509.Certificate,
    ) -> None:
        self._key = key
        self._certificate = certificate
        self._root = root
        self._serials = Counter(folder / "serial")
        parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        self._signer_id = _signer_id(parsed)
        self._fixed_attributes = (
            _attribute("content_type", "tst_info"),
            _attribute("signing_certificate_v2", _signing_certificate(parsed)),
        )
        # A SET OF as well, so in the order of their encodings.
        self._certificates = sorted(one.public_bytes(Encoding.DER) for one in (certificate, root))

    @classmethod
    def create(cls, folder: Path, *, at: datetime) -> BuiltInTimestampAuthority:
        """Make a new authority in `folder`, which must be absent or empty.

        Raises:
            ConflictError: `tsa.exists`.
        """
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = make_root(
            P256IssuerKey(root_key),
            name=authority_name("fuqi built-in TSA root", units=(LABEL_EN, LABEL_ZH)),
            at=at,
            years=ROOT_YEARS,
        )
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _tsa_certificate(key, root_key=root_key, root=root, at=at)
        made = create_folder(
            folder,
            {
                "root.pem": private_pem(root_key),
                "root.der": root.public_bytes(Encoding.DER),
                "tsa.pem": private_pem(key),
                "tsa.der": certificate.public_bytes(Encoding.DER),
                "serial": b"0",
            },
            folders=(),
        )
        if not made:
            raise ConflictError("this folder already holds something", code="tsa.exists")
        return cls(folder, key=key, certificate=certificate, root=root)

    @classmethod
    def load(cls, folder: Path) -> BuiltInTimestampAuthority:
        """Open the authority in `folder`.

        Raises:
            NotFoundError: `tsa.not_found`.
            ConflictError: `tsa.damaged`, `keys.permissions`, `keys.damaged`.
        """
        if not (folder / "tsa.der").exists():
            raise NotFoundError("there is no time-stamp authority here", code="tsa.not_found")
        key, certificate = load_pair(folder, name="tsa", code="tsa.damaged")
        _, root = load_pair(folder, name="root", code="tsa.damaged")
        return cls(folder, key=key, certificate=certificate, root=root)

    @classmethod
    def open_or_create(cls, folder: Path, *, at: datetime) -> BuiltInTimestampAuthority:
        """The authority in `folder`, made now if there is none."""
        return cls.load(folder) if (folder / "tsa.der").exists() else cls.create(folder, at=at)

    @property
    def root_der(self) -> bytes:
        """The self-signed root certificate."""
        return self._root.public_bytes(Encoding.DER)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The root under which its tokens verify."""
        return (self.root_der,)

    @property
    def certificate_der(self) -> bytes:
        """The certificate whose key signs the tokens."""
        return self._certificate.public_bytes(Encoding.DER)

    def stamp(
        self,
        imprint: bytes,
        *,
        hash_name: str = "sha256",
        at: datetime,
        nonce: int | None = None,
        with_certificates: bool = True,
    ) -> bytes:
        """A TimeStampToken (DER ContentInfo) that says `imprint` existed at `at`.

        Args:
            imprint: digest of what is stamped, as long as `hash_name` makes it.
            hash_name: a key of `HASHES`.
            at: aware; cut to whole seconds.
            nonce: echoed, 0 .. 2**512-1.
            with_certificates: carry the authority's certificate and its root.

        Raises:
            InputError: `tsa.hash_unsupported`, `tsa.imprint_length`, `tsa.nonce_range`.
            ConflictError: `tsa.not_valid_at` (the certificate is not valid at `at`),
                `keys.counter_damaged`.
        """
        if hash_name not in HASHES:
            raise InputError("this hash is not accepted", code="tsa.hash_unsupported")
        oid, length = HASHES[hash_name]
        if len(imprint) != length:
            raise InputError(
                f"a {hash_name} imprint is {length} bytes long", code="tsa.imprint_length"
            )
        if nonce is not None and not 0 <= nonce < 1 << NONCE_BITS_MAX:
            raise InputError("the nonce is out of range", code="tsa.nonce_range")
        moment = at.astimezone(UTC).replace(microsecond=0)
        certificate = self._certificate
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise ConflictError("outside the authority's validity", code="tsa.not_valid_at")
        info: dict[str, object] = {
            "version": "v1",
            "policy": OID_POLICY,
            "message_imprint": {
                # RFC 5754: the parameters of SHA-2 are left out; readers accept both forms.
                "hash_algorithm": {"algorithm": oid},
                "hashed_message": imprint,
            },
            "serial_number": self._serials.take(),
            "gen_time": moment,
            "accuracy": {"seconds": ACCURACY_SECONDS},
        }
        if nonce is not None:
            info["nonce"] = nonce
        return self._token(tsp.TSTInfo(info).dump(), with_certificates=with_certificates)

    def respond(self, request_der: bytes, *, at: datetime) -> bytes:
        """Answer a TimeStampReq with a TimeStampResp (DER); a bad request gets a refusal, no error.

        Raises:
            ConflictError: `keys.counter_damaged`.
        """
        try:
            imprint, hash_name, nonce, with_certificates = _parse_request(request_der)
            try:
                token = self.stamp(
                    imprint,
                    hash_name=hash_name,
                    at=at,
                    nonce=nonce,
                    with_certificates=with_certificates,
                )
            except ConflictError as exc:
                if exc.error_code != "tsa.not_valid_at":
                    raise
                raise _Refusal(_NO_TIME, exc.message) from exc
        except _Refusal as refusal:
            status = {
                "status": "rejection",
                "status_string": [refusal.text],
                "fail_info": {refusal.reason},
            }
            return bytes(TimeStampAnswer({"status": status}).dump())
        answer = TimeStampAnswer(
            {"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)}
        )
        return bytes(answer.dump())

    def _token(self, info_der: bytes, *, with_certificates: bool) -> bytes:
        """SignedData (RFC 5652 section 5) around a TSTInfo; put together from encoded parts, because
        asn1crypto encodes nested values again at every level and takes fifty times as long."""
        digest = _attribute("message_digest", hashlib.sha256(info_der).digest())
        # DER orders the members of a SET OF by their encodings; the signature covers the SET itself.
        attributes = _der(_SET, *sorted((*self._fixed_attributes, digest)))
        signature = self._key.sign(attributes, ec.ECDSA(hashes.SHA256()))
        signer = _der(
            _SEQUENCE,
            core.Integer(1).dump(),
            self._signer_id,
            _SHA256,
            _der(_CONTEXT_0, attributes[_header_length(attributes) :]),
            _SHA256_ECDSA,
            _der(_OCTET_STRING, signature),
        )
        signed = _der(
            _SEQUENCE,
            core.Integer(3).dump(),
            _der(_SET, _SHA256),
            _der(_SEQUENCE, _TST_INFO, _der(_CONTEXT_0, _der(_OCTET_STRING, info_der))),
            _der(_CONTEXT_0, *self._certificates) if with_certificates else b"",
            _der(_SET, signer),
        )
        return _der(_SEQUENCE, _SIGNED_DATA, _der(_CONTEXT_0, signed))


def _parse_request(data: bytes) -> tuple[bytes, str, int | None, bool]:
    """(imprint, hash name, nonce, certificate wanted) of a request that RFC 3161 lets us grant."""
    if len(data) > REQUEST_BYTES_MAX:
        raise _Refusal(_BAD_FORMAT, "the request is too large")
    try:
        request = tsp.TimeStampReq.load(data, strict=True)
        version = request["version"].native
        algorithm = request["message_imprint"]["hash_algorithm"]["algorithm"].dotted
        imprint = bytes(request["message_imprint"]["hashed_message"].native)
        policy = None if request["req_policy"].native is None else request["req_policy"].dotted
        nonce = request["nonce"].native
        extended = request["extensions"].native is not None
        with_certificates = bool(request["cert_req"].native)
    except ASN1_ERRORS as exc:
        raise _Refusal(_BAD_FORMAT, "this is no time-stamp request in DER") from exc
    if version != "v1":
        raise _Refusal(_BAD_REQUEST, "only version 1 is served")
    name = next((name for name, (oid, _) in HASHES.items() if oid == algorithm), None)
    if name is None:
        raise _Refusal(_BAD_ALGORITHM, "accepted: SHA-256, SHA-384, SHA-512, SM3")
    if len(imprint) != HASHES[name][1]:
        raise _Refusal(_BAD_FORMAT, "the imprint's length does not fit its hash")
    if policy not in (None, OID_POLICY):
        raise _Refusal(_BAD_POLICY, "this policy is not ours")
    if extended:
        raise _Refusal(_BAD_EXTENSION, "no request extensions are served")
    if nonce is not None and not 0 <= nonce < 1 << NONCE_BITS_MAX:
        raise _Refusal(_BAD_REQUEST, "the nonce is out of range")
    return imprint, name, nonce, with_certificates


def _der(tag: int, *parts: bytes) -> bytes:
    """Tag, definite length, contents."""
    contents = b"".join(parts)
    size = len(contents)
    if size < 0x80:
        return bytes([tag, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + contents


def _header_length(encoded: bytes) -> int:
    return 2 if encoded[1] < 0x80 else 2 + (encoded[1] & 0x7F)


def _attribute(kind: str, value: object) -> bytes:
    return bytes(cms.CMSAttribute({"type": kind, "values": [value]}).dump())


def _signer_id(certificate: asn1_x509.Certificate) -> bytes:
    identifier = cms.IssuerAndSerialNumber(
        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    )
    return bytes(identifier.dump())


def _signing_certificate(certificate: asn1_x509.Certificate) -> tsp.SigningCertificateV2:
    """ESSCertIDv2 with SHA-256 (the default, so not written out) and issuer and serial."""
    issuer = asn1_x509.GeneralName(name="directory_name", value=certificate.issuer)
    return tsp.SigningCertificateV2(
        {
            "certs": [
                {
                    "cert_hash": hashlib.sha256(certificate.dump()).digest(),
                    "issuer_serial": {
                        "issuer": [issuer],
                        "serial_number": certificate.serial_number,
                    },
                }
            ]
        }
    )


def _tsa_certificate(
    key: ec.EllipticCurvePrivateKey,
    *,
    root_key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    at: datetime,
) -> x509.Certificate:
    start = at.astimezone(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .issuer_name(root.subject)
        .subject_name(authority_name("fuqi built-in TSA", units=(LABEL_EN, LABEL_ZH)))
        .public_key(key.public_key())
        .serial_number(new_serial())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * TSA_YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(digital_signature=True, content_commitment=True), critical=True)
        # RFC 3161 section 2.3: exactly this one purpose, critical.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_key(root), critical=False)
        .sign(root_key, hashes.SHA256())
    )
