"""An external certificate authority: a request goes out, a certificate comes back, and is judged.

Forms (JSON over HTTPS, with a bearer token):

- `POST /certificates` `fuqi/ca-request/v1` `{v, csr, subject, days}` -> `fuqi/ca-answer/v1`
  `{v, certificate, chain}`; the same key for the same subject answers the certificate it has;
- `POST /revocations` `fuqi/ca-revocation/v1` `{v, serial, reason}` -> the same with `revoked_at`;
- `GET /lists` -> `fuqi/ca-lists/v1` `{v, crls}`, and `authorities` where lists of such below a root are among
  them: their certificates.

DER stands in base64. Both sides are here: what the authority's own process does with a request is a
function of the request, so that any HTTP server can carry it.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, InputError, VerificationError
from ledger.core.report import Verdict
from ledger.core.units import utc_text
from signing.authorities import CertificateAuthority
from signing.ca import IssuedCertificate, requested_spki
from signing.ca_names import CertificateSubject
from signing.certificates import CHAIN_MAX, certificate_spki
from signing.providers.outside import Fallback, Message
from signing.trust import (
    Purpose,
    authorities_under,
    certificate_times,
    check_path,
    is_current_list,
)

REQUEST_TAG: Final = "fuqi/ca-request/v1"
ANSWER_TAG: Final = "fuqi/ca-answer/v1"
REVOCATION_TAG: Final = "fuqi/ca-revocation/v1"
LISTS_TAG: Final = "fuqi/ca-lists/v1"
ANSWER_BYTES_MAX: Final = 128 * 1024
LISTS_BYTES_MAX: Final = 8 * 1024 * 1024
"""A list of a hundred thousand revocations has 4 MB."""
AUTHORITIES_MAX: Final = 10
"""Authorities below the roots whose lists come along: lines for people, organisations, seals, old and new."""
LISTS_KEPT: Final = timedelta(hours=1)
CLOCK_SKEW: Final = timedelta(minutes=5)
_JSON: Final = "application/json"


class ExternalAuthority:
    """A certificate authority in another process, run by whoever is licensed to."""

    def __init__(self, fallback: Fallback, *, token: str, roots: Sequence[bytes]) -> None:
        """The authority behind `fallback` whose certificates lead to `roots` (DER)."""
        self.fallback = fallback
        self._headers = (("Authorization", f"Bearer {token}"),)
        self._roots = tuple(roots)
        self._lists: tuple[datetime, tuple[bytes, ...]] | None = None
        self._lock = threading.Lock()
        names = ", ".join(dict.fromkeys(one.host for one in fallback.endpoints))
        self.label_en = f"external CA: {names}"
        self.label_zh = f"外部CA：{names}"

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Roots from the settings."""
        return self._roots

    def issue(
        self, csr_der: bytes, *, subject: CertificateSubject, at: datetime, days: int = 365
    ) -> IssuedCertificate:
        """A certificate for the key of `csr_der` and for nobody but `subject`.

        Raises:
            InputError: `ca.csr_malformed`, `ca.csr_key_type`, `ca.csr_signature`.
            UnavailableError: `outside.resting`, `outside.all_failed` with the last reason.
        """
        spki = requested_spki(csr_der)
        wanted: dict[str, Json] = asdict(subject)
        commitment = subject.identity_commitment
        wanted["identity_commitment"] = None if commitment is None else commitment.hex()
        body: dict[str, Json] = {
            "v": REQUEST_TAG,
            "csr": _text(csr_der),
            "subject": wanted,
            "days": days,
        }

        def accept(answer: bytes) -> bytes:
            self._issued(answer, spki=spki, subject=subject, at=at)
            return answer

        answer = self.fallback.ask(self._message("/certificates", body), accept=accept)
        return self._issued(answer, spki=spki, subject=subject, at=at)

    def issued_for(self, public_spki: bytes) -> tuple[IssuedCertificate, ...]:
        """Nothing is kept here: the authority itself answers a repeated request with what it issued."""
        del public_spki
        return ()

    def revoke(self, serial_hex: str, *, at: datetime, reason: str) -> None:
        """Have a certificate revoked; the next lists are fetched anew.

        Raises:
            UnavailableError: `outside.resting`, `outside.all_failed` with the last reason.
        """
        body: dict[str, Json] = {"v": REVOCATION_TAG, "serial": serial_hex, "reason": reason}

        def accept(answer: bytes) -> bytes:
            value = _opened(answer, REVOCATION_TAG)
            if value.get("serial") != serial_hex:
                raise VerificationError("another certificate was revoked", code="ca.answer")
            return answer

        self.fallback.ask(self._message("/revocations", body), accept=accept)
        with self._lock:
            self._lists = None
        del at

    def crls(self, *, at: datetime) -> tuple[bytes, ...]:
        """The lists fetched last; none where none was fetched yet."""
        del at
        with self._lock:
            return () if self._lists is None else self._lists[1]

    def refresh(self, *, at: datetime) -> None:
        """Fetch the lists where the last ones are an hour old; an outage leaves them."""
        with self._lock:
            kept = self._lists
        if kept is not None and kept[0] <= at < kept[0] + LISTS_KEPT:
            return
        message = Message(
            body=None,
            content_type=_JSON,
            answer_type=_JSON,
            answer_bytes_max=LISTS_BYTES_MAX,
            path="/lists",
            headers=self._headers,
        )
        try:
            answer = self.fallback.ask(
                message, accept=lambda data: self._checked_lists(data, at=at)
            )
        except FuqiError:
            return
        with self._lock:
            self._lists = (at, _ders(_opened(answer, LISTS_TAG), "crls"))

    def _message(self, path: str, body: Mapping[str, Json]) -> Message:
        return Message(
            body=json.dumps(body, ensure_ascii=False).encode(),
            content_type=_JSON,
            answer_type=_JSON,
            answer_bytes_max=ANSWER_BYTES_MAX,
            path=path,
            headers=self._headers,
        )

    def _checked_lists(self, answer: bytes, *, at: datetime) -> bytes:
        """Every list is of now, and of a root or of an authority under one that the answer brings along."""
        value = _opened(answer, LISTS_TAG)
        below = _ders(value, "authorities") if "authorities" in value else ()
        if len(below) > AUTHORITIES_MAX:
            raise VerificationError("too many authorities", code="ca.list", limit=AUTHORITIES_MAX)
        issuers = authorities_under(self._roots, below)
        for crl in _ders(value, "crls"):
            if not is_current_list(crl, issuers=issuers, used_at=at, at=at + CLOCK_SKEW):
                raise VerificationError(
                    "a list is stale, or of no root and no authority under one", code="ca.list"
                )
        return answer

    def _issued(
        self, answer: bytes, *, spki: bytes, subject: CertificateSubject, at: datetime
    ) -> IssuedCertificate:
        value = _opened(answer, ANSWER_TAG)
        der = _der(value.get("certificate"))
        chain = _ders(value, "chain")
        if len(chain) > CHAIN_MAX:
            raise VerificationError("the chain is too long", code="ca.answer")
        if certificate_spki(der) != spki:
            raise VerificationError("the certificate is for another key", code="ca.other_key")
        certificate = x509.load_der_x509_certificate(der)
        if _named(certificate) != (subject.common_name, subject.organisation):
            raise VerificationError("the certificate names another one", code="ca.other_subject")
        start, end = certificate_times(der)
        finding = check_path(
            der,
            others=chain,
            roots=self._roots,
            at=max(at.astimezone(UTC), start),
            purpose=Purpose.SIGNING,
        )
        if finding.verdict is not Verdict.PASSED or start > at + CLOCK_SKEW or end <= at:
            raise VerificationError(
                "the certificate does not lead to a root from the settings, or not now",
                code="ca.untrusted",
                reason=finding.reason,
            )
        return IssuedCertificate(
            der=der,
            serial_hex=f"{certificate.serial_number:040x}",
            not_before=start,
            not_after=end,
            chain=tuple(one for one in finding.path[1:]),
        )


def answer_request(authority: CertificateAuthority, sent: object, *, at: datetime) -> bytes:
    """The authority's side of `POST /certificates`; `sent` is the parsed JSON.

    Raises:
        InputError: `ca.request`, and the codes of `BuiltInAuthority.issue`.
        ConflictError: `ca.key_in_use`, `ca.not_valid_at`.
    """
    value = _request(sent, REQUEST_TAG)
    csr = _requested_der(value.get("csr"))
    subject = _subject(value.get("subject"))
    days = value.get("days")
    if not isinstance(days, int):
        raise InputError("days is an integer", code="ca.request")
    held = [one for one in authority.issued_for(requested_spki(csr)) if one.not_after > at]
    named = [
        one for one in held if _names_of(one.der) == (subject.common_name, subject.organisation)
    ]
    issued = named[-1] if named else authority.issue(csr, subject=subject, at=at, days=days)
    answer = {
        "v": ANSWER_TAG,
        "certificate": _text(issued.der),
        "chain": [_text(one) for one in issued.chain],
    }
    return json.dumps(answer).encode()


def answer_revocation(authority: CertificateAuthority, sent: object, *, at: datetime) -> bytes:
    """The authority's side of `POST /revocations`; `sent` is the parsed JSON.

    Raises:
        InputError: `ca.request`, `ca.revocation_reason`.
        NotFoundError: `ca.serial_unknown`.
        ConflictError: `ca.already_revoked`.
    """
    value = _request(sent, REVOCATION_TAG)
    serial, reason = str(value.get("serial")), str(value.get("reason"))
    authority.revoke(serial, at=at, reason=reason)
    answer = {"v": REVOCATION_TAG, "serial": serial, "reason": reason, "revoked_at": utc_text(at)}
    return json.dumps(answer).encode()


def answer_lists(authority: CertificateAuthority, *, at: datetime) -> bytes:
    """The authority's side of `GET /lists`."""
    lists = [_text(one) for one in authority.crls(at=at)]
    return json.dumps({"v": LISTS_TAG, "crls": lists}).encode()


def _request(sent: object, tag: str) -> dict[str, Any]:
    if not isinstance(sent, dict) or sent.get("v") != tag:
        raise InputError(f"this is no {tag}", code="ca.request")
    return sent


def _requested_der(value: object) -> bytes:
    try:
        return _der(value)
    except VerificationError as exc:
        raise InputError("csr is PKCS#10 in base64", code="ca.request") from exc


def _subject(value: object) -> CertificateSubject:
    fields = ("common_name", "organisation", "reference", "identity_commitment", "country")
    if not isinstance(value, dict) or set(value) != set(fields):
        raise InputError(f"a subject has {', '.join(fields)}", code="ca.request")
    if any(one is not None and not isinstance(one, str) for one in value.values()):
        raise InputError("a subject's fields are texts or null", code="ca.request")
    commitment = value["identity_commitment"]
    try:
        raw = None if commitment is None else bytes.fromhex(commitment)
    except ValueError as exc:
        raise InputError("identity_commitment is hex", code="ca.request") from exc
    return CertificateSubject(
        common_name=str(value["common_name"] or ""),
        organisation=value["organisation"],
        reference=value["reference"],
        identity_commitment=raw,
        country=str(value["country"] or ""),
    )


def _opened(data: bytes, tag: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise VerificationError("the answer is no JSON", code="ca.answer") from exc
    if not isinstance(value, dict) or value.get("v") != tag:
        raise VerificationError(f"the answer is no {tag}", code="ca.answer")
    return value


def _ders(value: Mapping[str, Any], key: str) -> tuple[bytes, ...]:
    items = value.get(key)
    if not isinstance(items, list):
        raise VerificationError(f"{key} is no list", code="ca.answer")
    return tuple(_der(one) for one in items)


def _der(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise VerificationError("DER stands in base64", code="ca.answer") from exc


def _text(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")


def _names_of(der: bytes) -> tuple[str | None, str | None]:
    return _named(x509.load_der_x509_certificate(der))


def _named(certificate: x509.Certificate) -> tuple[str | None, str | None]:
    def one(kind: x509.ObjectIdentifier) -> str | None:
        found = certificate.subject.get_attributes_for_oid(kind)
        return str(found[0].value) if len(found) == 1 else None

    return one(NameOID.COMMON_NAME), one(NameOID.ORGANIZATION_NAME)
