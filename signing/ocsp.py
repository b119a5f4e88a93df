"""The built-in authority's OCSP responder (RFC 6960): signed answers about single certificates.

Invariants:
    - answers are signed by a delegated key whose certificate may do nothing else and carries ocsp-nocheck.
    - `good` is said only of a number that this authority issued; of any other, `unknown`.
    - a revocation shows in the very next answer: what is kept ready is kept per standing.

Folder (inside the authority's): `ocsp.pem`, `ocsp.der`. A certificate near its end is replaced by itself.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from asn1crypto import algos, core, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.ca import LABEL_EN, LABEL_ZH, BuiltInAuthority, Standing
from signing.keys.files import create_folder, replace
from signing.keys.issuing import IssuerKey, key_identifier, load_issuer, new_issuer_key
from signing.keys.roots import authority_name, key_usage, new_serial
from signing.parsed import ASN1_ERRORS
from signing.sm import OID_SM3, sm3

REQUEST_BYTES_MAX: Final = 8192
"""A request for one certificate has about 80 bytes; `CERTIFICATES_MAX` of them fit with room."""
CERTIFICATES_MAX: Final = 20
"""Certificates asked for at once: each costs a look at the disk."""
NONCE_BYTES_MAX: Final = 128
"""RFC 9654 lets a responder refuse longer nonces; they are echoed."""
RESPONDER_DAYS: Final = 90
BACKDATED: Final = timedelta(minutes=5)
"""A responder's certificate begins so much earlier than it was made: for questions then under way."""
RENEW_DAYS: Final = 30
"""A new responder certificate is made when the old one has this long to go."""
ANSWER_HOURS: Final = 24
KEPT_FOR: Final = timedelta(hours=1)
"""How long an answer without a nonce is handed out again."""
KEPT_MAX: Final = 10_000
"""Answers kept ready, about 1.5 kB each."""

_HASHES: Final[dict[str, Any]] = {
    "1.3.14.3.2.26": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "2.16.840.1.101.3.4.2.1": lambda data: hashlib.sha256(data).digest(),
    OID_SM3: sm3,
}
"""SHA-1 only names the issuer here (RFC 5019 and every stock client ask so); it protects nothing."""
_REASONS: Final = {
    "unspecified": "unspecified",
    "key_compromise": "key_compromise",
    "affiliation_changed": "affiliation_changed",
    "superseded": "superseded",
    "cessation_of_operation": "cessation_of_operation",
    "privilege_withdrawn": "privilege_withdrawn",
}


class _Refusal(Exception):  # noqa: N818 - not an error to the client but an answer
    """A response status of RFC 6960 instead of an answer."""


@dataclass(frozen=True, slots=True)
class _Question:
    identifiers: tuple[ocsp.CertId, ...]
    nonce: bytes | None


class OcspResponder:
    """Answers for one built-in authority."""

    def __init__(self, authority: BuiltInAuthority) -> None:
        self._authority = authority
        subject = asn1_x509.Certificate.load(authority.certificate.public_bytes(Encoding.DER))
        name, key = subject.subject.dump(), bytes(subject.public_key["public_key"])
        self._issuer = {oid: (make(name), make(key)) for oid, make in _HASHES.items()}
        self._kept: OrderedDict[tuple[bytes, Standing], tuple[datetime, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._signer: tuple[IssuerKey, x509.Certificate] | None = None

    def respond(self, request_der: bytes, *, at: datetime) -> bytes:
        """Answer an OCSPRequest with an OCSPResponse (DER); a bad request gets a status, no error.

        Raises:
            ConflictError: `ca.damaged`, `keys.permissions`, `keys.damaged`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test` (for an SM2 authority).
        """
        moment = at.astimezone(UTC).replace(microsecond=0)
        try:
            question = _read(request_der)
            standings = [self._standing(identifier) for identifier in question.identifiers]
        except _Refusal as refusal:
            return bytes(ocsp.OCSPResponse({"response_status": str(refusal)}).dump())
        if question.nonce is not None or len(standings) > 1:
            return self._answer(question, standings, moment)
        key = (bytes(question.identifiers[0].dump()), standings[0])
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0] <= moment < kept[0] + KEPT_FOR:
            return kept[1]
        answer = self._answer(question, standings, moment)
        with self._lock:
            self._kept[key] = (moment, answer)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return answer

    def answers_for(self, issuer_name_hash: bytes) -> bool:
        """Whether a certificate identifier with this hash names this authority's certificates."""
        return any(name == issuer_name_hash for name, _key in self._issuer.values())

    def certificate_der(self, *, at: datetime) -> bytes:
        """The responder's certificate."""
        return self._delegate(at)[1].public_bytes(Encoding.DER)

    def _standing(self, identifier: ocsp.CertId) -> Standing:
        algorithm = str(identifier["hash_algorithm"]["algorithm"].dotted)
        ours = self._issuer.get(algorithm)
        if ours is None or ours != (
            bytes(identifier["issuer_name_hash"].native),
            bytes(identifier["issuer_key_hash"].native),
        ):
            # Another authority's certificate: RFC 6960, 2.3 has this word for it.
            raise _Refusal("unauthorized")
        return self._authority.standing(int(identifier["serial_number"].native))

    def _answer(self, question: _Question, standings: Sequence[Standing], at: datetime) -> bytes:
        key, certificate = self._delegate(at)
        loaded = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        data: dict[str, Any] = {
            "responder_id": ocsp.ResponderId(
                name="by_key", value=core.OctetString(_key_hash(loaded))
            ),
            "produced_at": at,
            "responses": [
                _single(identifier, standing, at)
                for identifier, standing in zip(question.identifiers, standings, strict=True)
            ],
        }
        if question.nonce is not None:
            nonce = core.ParsableOctetString(core.OctetString(question.nonce).dump())
            data["response_extensions"] = [{"extn_id": "nonce", "extn_value": nonce}]
        body = ocsp.ResponseData(data)
        basic = ocsp.BasicOCSPResponse(
            {
                "tbs_response_data": body,
                "signature_algorithm": algos.SignedDigestAlgorithm(
                    {"algorithm": key.kind.signature_oid}
                ),
                "signature": core.OctetBitString(key.sign(body.dump())),
                "certs": [loaded],
            }
        )
        response = ocsp.OCSPResponse(
            {
                "response_status": "successful",
                "response_bytes": {
                    "response_type": "basic_ocsp_response",
                    "response": core.ParsableOctetString(basic.dump()),
                },
            }
        )
        return bytes(response.dump())

    def _delegate(self, at: datetime) -> tuple[IssuerKey, x509.Certificate]:
        """The responder's key and certificate, made or renewed where needed."""
        with self._lock:
            held = self._signer
            if held is None and (self._authority.folder / "ocsp" / "ocsp.der").exists():
                held = load_issuer(self._authority.folder / "ocsp", name="ocsp", code="ca.damaged")
            if held is None or not _usable(held[1], at):
                held = self._new_delegate(at, key=None if held is None else held[0])
            self._signer = held
            return held

    def _new_delegate(
        self, at: datetime, *, key: IssuerKey | None
    ) -> tuple[IssuerKey, x509.Certificate]:
        """A fresh certificate: for the key there is, or with a new key at first."""
        made = key is None
        if key is None:
            key = new_issuer_key(self._authority.kind)
        start = max(
            at.astimezone(UTC).replace(microsecond=0) - BACKDATED,
            self._authority.certificate.not_valid_before_utc,
        )
        end = min(
            start + timedelta(days=RESPONDER_DAYS), self._authority.certificate.not_valid_after_utc
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(authority_name("fuqi built-in OCSP", units=(LABEL_EN, LABEL_ZH)))
            .serial_number(new_serial())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
            .add_extension(key_identifier(key.public_spki), critical=False)
            # Short-lived instead of revocable: who asks about the responder asks the responder.
            .add_extension(x509.OCSPNoCheck(), critical=False)
        )
        certificate = self._authority.delegate(builder, public_spki=key.public_spki)
        folder, der = self._authority.folder / "ocsp", certificate.public_bytes(Encoding.DER)
        files = {"ocsp.pem": key.private_pem(), "ocsp.der": der}
        if made and not create_folder(folder, files, folders=()):
            # Another process was first: its key counts.
            return load_issuer(folder, name="ocsp", code="ca.damaged")
        if not made:
            replace(folder / "ocsp.der", der)
        return key, certificate


def certificate_id(certificate_der: bytes, issuer_der: bytes, *, hash_name: str) -> ocsp.CertId:
    """The identifier under which a certificate is asked for; `hash_name` is `sha1` or `sha256`."""
    certificate = asn1_x509.Certificate.load(certificate_der)
    issuer = asn1_x509.Certificate.load(issuer_der)
    make = _HASHES[algos.DigestAlgorithmId(hash_name).dotted]
    return ocsp.CertId(
        {
            "hash_algorithm": {"algorithm": hash_name},
            "issuer_name_hash": make(issuer.subject.dump()),
            "issuer_key_hash": make(bytes(issuer.public_key["public_key"])),
            "serial_number": certificate.serial_number,
        }
    )


def make_request(identifier: ocsp.CertId, *, nonce: bytes | None) -> bytes:
    """An OCSPRequest for one certificate, DER."""
    body: dict[str, Any] = {"request_list": [{"req_cert": identifier}]}
    if nonce is not None:
        value = core.ParsableOctetString(core.OctetString(nonce).dump())
        body["request_extensions"] = [{"extn_id": "nonce", "extn_value": value}]
    return bytes(ocsp.OCSPRequest({"tbs_request": body}).dump())


def first_issuer_name_hash(request_der: bytes) -> bytes | None:
    """Of whose certificates a request asks first: where several authorities share one address."""
    try:
        return bytes(_read(request_der).identifiers[0]["issuer_name_hash"].native)
    except _Refusal:
        return None


def _read(data: bytes) -> _Question:
    if len(data) > REQUEST_BYTES_MAX:
        raise _Refusal("malformed_request")
    try:
        request = ocsp.OCSPRequest.load(data, strict=True)["tbs_request"]
        identifiers = tuple(one["req_cert"].copy() for one in request["request_list"])
        for one in identifiers:
            one.native  # noqa: B018 - parsing is lazy
        nonce = None
        for extension in request["request_extensions"]:
            kind = extension["extn_id"].native
            if kind == "nonce":
                nonce = bytes(core.OctetString.load(extension["extn_value"].contents).native)
            elif extension["critical"].native:
                raise _Refusal("malformed_request")
    except ASN1_ERRORS as exc:
        raise _Refusal("malformed_request") from exc
    if not 1 <= len(identifiers) <= CERTIFICATES_MAX:
        raise _Refusal("malformed_request")
    if nonce is not None and not 1 <= len(nonce) <= NONCE_BYTES_MAX:
        raise _Refusal("malformed_request")
    return _Question(identifiers, nonce)


def _single(identifier: ocsp.CertId, standing: Standing, at: datetime) -> dict[str, Any]:
    status: ocsp.CertStatus
    if not standing.known:
        status = ocsp.CertStatus(name="unknown", value=core.Null())
    elif standing.revoked_at is None:
        status = ocsp.CertStatus(name="good", value=core.Null())
    else:
        revoked: dict[str, Any] = {"revocation_time": standing.revoked_at.replace(microsecond=0)}
        # RFC 5280, 5.3.1: "unspecified" is said by leaving the reason out.
        if standing.reason not in (None, "unspecified"):
            revoked["revocation_reason"] = _REASONS[str(standing.reason)]
        status = ocsp.CertStatus(name="revoked", value=ocsp.RevokedInfo(revoked))
    return {
        "cert_id": identifier,
        "cert_status": status,
        "this_update": at,
        "next_update": at + timedelta(hours=ANSWER_HOURS),
    }


def _usable(certificate: x509.Certificate, at: datetime) -> bool:
    left = certificate.not_valid_after_utc - timedelta(days=RENEW_DAYS)
    return certificate.not_valid_before_utc <= at < left


def _key_hash(certificate: asn1_x509.Certificate) -> bytes:
    bits = bytes(certificate.public_key["public_key"])
    return hashlib.sha1(bits, usedforsecurity=False).digest()
