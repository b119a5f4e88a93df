"""OCSP answers: verify one strictly, and fetch one from a configured responder (RFC 6960)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from asn1crypto import ocsp, x509

from ledger.core.errors import VerificationError
from signing.cms import signature_names, verify_signature
from signing.ocsp import certificate_id, make_request
from signing.parsed import ASN1_ERRORS
from signing.providers.outside import Fallback, Message

ANSWER_BYTES_MAX: Final = 64 * 1024
NONCE_BYTES: Final = 32
"""RFC 9654 asks for 32."""
CLOCK_SKEW: Final = timedelta(minutes=5)
AGE_MAX: Final = timedelta(days=7)
"""Of an answer without a nonce and without nextUpdate."""


@dataclass(frozen=True, slots=True)
class OcspFinding:
    """What a verified answer says about one certificate.

    Attributes:
        status: `good`, `revoked` or `unknown`.
        revoked_at: for `revoked`.
        produced_at: when the responder signed it.
        this_update: the moment for which the status is stated.
        next_update: until when, or None.
        responder: certificate that signed it, DER; the issuer's own or a delegate's.
    """

    status: str
    revoked_at: datetime | None
    produced_at: datetime
    this_update: datetime
    next_update: datetime | None
    responder: bytes


def read_ocsp(
    answer_der: bytes,
    *,
    certificate: bytes,
    issuer: bytes,
    at: datetime,
    nonce: bytes | None = None,
) -> OcspFinding:
    """Verify an answer and read what it says about `certificate`.

    Args:
        at: now for a fresh answer; for a stored one the moment at which it is to hold.
        nonce: what was asked with: must come back. None accepts an answer without.

    Raises:
        VerificationError: `ocsp.malformed`, `ocsp.status`, `ocsp.other_certificate`,
            `ocsp.other_nonce`, `ocsp.responder`, `ocsp.signature`, `ocsp.time`.
    """
    try:
        basic, body = _opened(answer_der)
        single = _about(body, certificate=certificate, issuer=issuer)
        _require_nonce(body, nonce)
        responder = _responder(basic, body, issuer=issuer, at=at)
        _require_signature(basic, responder)
        finding = _finding(body, single, responder)
    except ASN1_ERRORS as exc:
        raise VerificationError("this is no OCSP answer in DER", code="ocsp.malformed") from exc
    _require_time(finding, at=at)
    return finding


class ExternalOcsp:
    """OCSP responders by address, asked in order; every answer is verified before it is used."""

    def __init__(self, fallback: Fallback) -> None:
        self.fallback = fallback

    def fetch(self, certificate: bytes, issuer: bytes, *, at: datetime) -> bytes:
        """A verified answer (DER) about `certificate`, `good` or `revoked`.

        Raises:
            UnavailableError: `outside.resting`, `outside.all_failed` with the last reason.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        message = Message(
            body=make_request(certificate_id(certificate, issuer, hash_name="sha1"), nonce=nonce),
            content_type="application/ocsp-request",
            answer_type="application/ocsp-response",
            answer_bytes_max=ANSWER_BYTES_MAX,
        )

        def accept(answer: bytes) -> bytes:
            finding = read_ocsp(answer, certificate=certificate, issuer=issuer, at=at, nonce=nonce)
            if finding.status == "unknown":
                raise VerificationError(
                    "the responder does not know this certificate", code="ocsp.unknown"
                )
            return answer

        return self.fallback.ask(message, accept=accept)


def _opened(answer_der: bytes) -> tuple[ocsp.BasicOCSPResponse, ocsp.ResponseData]:
    response = ocsp.OCSPResponse.load(answer_der, strict=True)
    status = str(response["response_status"].native)
    if status != "successful":
        raise VerificationError(
            f"the responder answered {status}", code="ocsp.status", status=status
        )
    basic = response["response_bytes"]["response"].parsed
    return basic, basic["tbs_response_data"]


def _about(body: Any, *, certificate: bytes, issuer: bytes) -> Any:
    """The one single response about the certificate."""
    serial = x509.Certificate.load(certificate).serial_number
    for single in body["responses"]:
        named = single["cert_id"]
        hash_name = str(named["hash_algorithm"]["algorithm"].native)
        if named["serial_number"].native != serial or hash_name not in ("sha1", "sha256"):
            continue
        wanted = certificate_id(certificate, issuer, hash_name=hash_name)
        if all(
            named[key].native == wanted[key].native
            for key in ("issuer_name_hash", "issuer_key_hash")
        ):
            return single
    raise VerificationError(
        "the answer is about another certificate", code="ocsp.other_certificate"
    )


def _require_nonce(body: Any, nonce: bytes | None) -> None:
    came = [
        bytes(one["extn_value"].parsed.native)
        for one in body["response_extensions"]
        if one["extn_id"].native == "nonce"
    ]
    if nonce is not None and came != [nonce]:
        raise VerificationError("the answer is to another question", code="ocsp.other_nonce")


def _responder(basic: Any, body: Any, *, issuer: bytes, at: datetime) -> x509.Certificate:
    """The issuer itself, or a delegate that the issuer certified for OCSP and nothing else."""
    own = x509.Certificate.load(issuer)
    carried: Sequence[x509.Certificate] = list(basic["certs"])[:10]
    for candidate in (*carried, own):
        if not _is_named(body["responder_id"], candidate):
            continue
        if candidate.dump() == own.dump():
            return own
        extended = candidate.extended_key_usage_value
        signed = candidate.issuer.dump() == own.subject.dump() and _verifies(
            candidate["tbs_certificate"].dump(),
            candidate["signature_value"].native,
            candidate["signature_algorithm"],
            own,
        )
        if (
            signed
            and extended is not None
            and extended.native == ["ocsp_signing"]
            # A responder whose clock is ahead, or that was certified while we asked, is as good as its answer.
            and candidate.not_valid_before - CLOCK_SKEW <= at <= candidate.not_valid_after
        ):
            return candidate
    raise VerificationError(
        "the answer is not signed by the issuer or its delegate", code="ocsp.responder"
    )


def _is_named(responder_id: Any, certificate: x509.Certificate) -> bool:
    if responder_id.name == "by_name":
        return bool(responder_id.chosen.dump() == certificate.subject.dump())
    return bool(responder_id.chosen.native == certificate.public_key.sha1)


def _require_signature(basic: Any, responder: x509.Certificate) -> None:
    if not _verifies(
        basic["tbs_response_data"].dump(),
        basic["signature"].native,
        basic["signature_algorithm"],
        responder,
    ):
        raise VerificationError("the answer's signature is wrong", code="ocsp.signature")


def _verifies(data: bytes, signature: bytes, algorithm: Any, signer: x509.Certificate) -> bool:
    try:
        name, hash_name, salt = signature_names(algorithm)
        if hash_name in ("md5", "sha1"):
            return False
        verify_signature(
            data,
            signature=signature,
            spki=signer.public_key.dump(),
            algorithm=name,
            hash_name=hash_name,
            salt_length=salt,
        )
    except VerificationError:
        return False
    return True


def _finding(body: Any, single: Any, responder: x509.Certificate) -> OcspFinding:
    status = single["cert_status"]
    following = single["next_update"].native
    return OcspFinding(
        status=str(status.name),
        revoked_at=status.chosen["revocation_time"].native if status.name == "revoked" else None,
        produced_at=body["produced_at"].native.astimezone(UTC),
        this_update=single["this_update"].native.astimezone(UTC),
        next_update=None if following is None else following.astimezone(UTC),
        responder=bytes(responder.dump()),
    )


def _require_time(finding: OcspFinding, *, at: datetime) -> None:
    end = finding.next_update or finding.this_update + AGE_MAX
    if not finding.this_update - CLOCK_SKEW <= at <= end + CLOCK_SKEW:
        raise VerificationError("the answer is not for this time", code="ocsp.time")
    if finding.produced_at > at + CLOCK_SKEW:
        raise VerificationError("the answer lies in the future", code="ocsp.time")
