"""Time stamps: what a flow needs of a time-stamp authority, and an external one by address (RFC 3161)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from asn1crypto import tsp

from ledger.core.errors import InputError, VerificationError
from ledger.core.report import Verdict
from signing.cms import STRONG_HASHES, TimeStamp, check_container, read_timestamp
from signing.parsed import ASN1_ERRORS
from signing.providers.outside import Fallback, Message
from signing.sm import sm3
from signing.trust import Purpose, check_path
from signing.tsa import HASHES, TimeStampAnswer

ANSWER_BYTES_MAX: Final = 64 * 1024
"""A token with its certificates has 1 to 6 kB."""
NONCE_BITS: Final = 64
CLOCK_DIFFERENCE: Final = timedelta(minutes=5)
"""A token this far from our own clock is an old one handed out again, or one of the clocks is off."""


class TimestampAuthority(Protocol):
    """What a flow asks for a time stamp."""

    @property
    def label_en(self) -> str:
        """What it is, as reports say it."""

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Roots under which its tokens verify, DER."""

    def stamp(self, imprint: bytes, *, hash_name: str = "sha256", at: datetime) -> bytes:
        """A TimeStampToken (DER ContentInfo) over `imprint`."""


class ExternalTimestampAuthority:
    """Time-stamp authorities by address, asked in order; every token is verified before it is used."""

    def __init__(
        self, fallback: Fallback, *, roots: Sequence[bytes], policy: str | None = None
    ) -> None:
        """Authorities behind `fallback` whose certificates lead to `roots`.

        Args:
            policy: object identifier that is asked for and must come back, or None for any.
        """
        self.fallback = fallback
        self._roots = tuple(roots)
        self._policy = policy
        names = ", ".join(dict.fromkeys(one.host for one in fallback.endpoints))
        self.label_en = f"external TSA: {names}"
        self.label_zh = f"外部时间戳服务：{names}"

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Roots from the settings."""
        return self._roots

    def stamp(self, imprint: bytes, *, hash_name: str = "sha256", at: datetime) -> bytes:
        """A verified token from the first authority that gives one.

        Raises:
            InputError: `tsa.hash_unsupported`, `tsa.imprint_length`.
            UnavailableError: `outside.resting`, `outside.all_failed` with the last reason.
        """
        if hash_name not in HASHES:
            raise InputError("this hash is not accepted", code="tsa.hash_unsupported")
        oid, length = HASHES[hash_name]
        if len(imprint) != length:
            raise InputError(
                f"a {hash_name} imprint is {length} bytes long", code="tsa.imprint_length"
            )
        nonce = secrets.randbits(NONCE_BITS)
        request = {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": oid},
                "hashed_message": imprint,
            },
            "nonce": nonce,
            "cert_req": True,
        }
        if self._policy is not None:
            request["req_policy"] = self._policy
        message = Message(
            body=tsp.TimeStampReq(request).dump(),
            content_type="application/timestamp-query",
            answer_type="application/timestamp-reply",
            answer_bytes_max=ANSWER_BYTES_MAX,
        )

        def accept(answer: bytes) -> bytes:
            token = token_of(answer)
            self._require(token, imprint=imprint, hash_name=hash_name, nonce=nonce, at=at)
            return token

        return self.fallback.ask(message, accept=accept)

    def _require(
        self, token: bytes, *, imprint: bytes, hash_name: str, nonce: int, at: datetime
    ) -> None:
        stamp = read_timestamp(token)
        if (stamp.imprint_algorithm, stamp.imprint) != (hash_name, imprint):
            raise VerificationError("the token is for other bytes", code="tsa.other_imprint")
        if _nonce_of(stamp) != nonce:
            raise VerificationError("the token answers another request", code="tsa.other_nonce")
        if self._policy not in (None, stamp.policy):
            raise VerificationError("the token has another policy", code="tsa.other_policy")
        if abs(stamp.time.astimezone(UTC) - at) > CLOCK_DIFFERENCE:
            raise VerificationError(
                "the token's time is not near ours; compare both clocks", code="tsa.clock"
            )
        require_valid_token(stamp, roots=self._roots)


def require_valid_token(stamp: TimeStamp, *, roots: Sequence[bytes]) -> None:
    """Signature, named certificate and path of a token.

    Raises:
        VerificationError: `tsa.token_invalid`, `tsa.untrusted`, and the codes of
            `signing.cms.check_container`.
    """
    container = stamp.container
    name = container.digest_algorithm
    if name not in STRONG_HASHES or container.names_certificate is not True:
        raise VerificationError(
            "the token is weak or does not name its certificate", code="tsa.token_invalid"
        )
    content = container.content
    digest = sm3(content) if name == "sm3" else hashlib.new(name, content).digest()
    check_container(container, digest=digest)
    finding = check_path(
        container.certificate,
        others=container.certificates,
        roots=roots,
        at=stamp.time,
        purpose=Purpose.TIME_STAMPING,
    )
    if finding.verdict is not Verdict.PASSED:
        raise VerificationError(
            "the token's certificate does not lead to a root from the settings",
            code="tsa.untrusted",
            reason=finding.reason,
        )


def token_of(response_der: bytes) -> bytes:
    """The token in a TimeStampResp.

    Raises:
        VerificationError: `tsa.refused`, `tsa.answer_malformed`.
    """
    try:
        response = TimeStampAnswer.load(response_der, strict=True)
        status = str(response["status"]["status"].native)
        if status not in ("granted", "granted_with_mods"):
            raise VerificationError(
                "the time-stamp authority refused", code="tsa.refused", status=status
            )
        return bytes(response["time_stamp_token"].dump())
    except ASN1_ERRORS as exc:
        raise VerificationError(
            "this is no time-stamp answer in DER", code="tsa.answer_malformed"
        ) from exc


def _nonce_of(stamp: TimeStamp) -> int | None:
    nonce = tsp.TSTInfo.load(stamp.container.content)["nonce"].native
    return None if nonce is None else int(nonce)
