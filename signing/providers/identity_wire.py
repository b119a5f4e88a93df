"""What goes to and comes from an outside verification service: JSON under a shared secret.

Every document is canonical JSON with a member `mac` = HMAC-SHA256(secret, tag ‖ 0x00 ‖ canonical JSON of the
other members), lower-case hex. The tag is the document's `v`, so a request can never be read as an answer.

Invariants:
    - an answer names the question's id and repeats its nonce: it fits one question and no other.
    - an answer is read within `REPLAY_WINDOW` of the time at which it says it was sent.
Documents and members: docs/guides/real-names.md.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import parse_utc, utc_text
from signing.verification import Status, VerificationRequest

REQUEST_TAG: Final = "fuqi/identity-request/v1"
ANSWER_TAG: Final = "fuqi/identity-answer/v1"
MESSAGE_TAG: Final = "fuqi/identity-message/v1"
SENT_TAG: Final = "fuqi/identity-message-sent/v1"
REPLAY_WINDOW: Final = timedelta(minutes=5)
"""Clocks of two machines and one slow delivery; a service that has waited longer sends a fresh one."""
SECRET_BYTES_MIN: Final = 32
ANSWER_BYTES_MAX: Final = 16_384
"""Seven short members; ten times the longest honest answer."""
REFERENCE_CHARS_MAX: Final = 128
_MEMBERS: Final = frozenset(
    {"v", "request", "nonce", "status", "checked_at", "sent_at", "reference", "mac"}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an outside service says about one question.

    Attributes:
        request_id, nonce: of the question.
        reference: the service's own number of the look-up; no personal data.
    """

    request_id: str
    nonce: str
    status: Status
    checked_at: datetime
    reference: str

    @property
    def facts(self) -> dict[str, Json]:
        """What makes two deliveries the same answer: everything but when it was sent."""
        return {
            "request": self.request_id,
            "nonce": self.nonce,
            "status": self.status.value,
            "checked_at": utc_text(self.checked_at),
            "reference": self.reference,
        }


def require_secret(secret: bytes) -> bytes:
    """The secret, if it is long enough to be one.

    Raises:
        InputError: `identity.secret`.
    """
    if len(secret) < SECRET_BYTES_MIN:
        raise InputError(
            f"the secret shared with the service has at least {SECRET_BYTES_MIN} bytes",
            code="identity.secret",
        )
    return secret


def seal(document: Mapping[str, Json], *, secret: bytes) -> bytes:
    """The document with its `mac`, as it goes over the wire."""
    return canonical_bytes({**document, "mac": _mac(document, secret=secret)})


def request_document(request: VerificationRequest, *, callback: str) -> dict[str, Json]:
    """`fuqi/identity-request/v1`: the question, and where a later answer goes."""
    return {
        "v": REQUEST_TAG,
        "request": request.request_id,
        "kind": request.kind,
        "subject": request.subject,
        "factors": dict(request.factors),
        "purpose": request.purpose,
        "consent": request.consent_id,
        "nonce": request.nonce,
        "at": utc_text(request.at),
        "callback": callback,
    }


def answer_document(answer: Answer, *, sent_at: datetime) -> dict[str, Json]:
    """`fuqi/identity-answer/v1`: what a service sends, at once or to the callback."""
    return {"v": ANSWER_TAG, **answer.facts, "sent_at": utc_text(sent_at)}


def open_sealed(data: bytes, *, tag: str, secret: bytes) -> dict[str, Json]:
    """A document whose `mac` the secret made, without the `mac`.

    Raises:
        VerificationError: `identity.answer_malformed`, `identity.answer_mac`.
    """
    if len(data) > ANSWER_BYTES_MAX:
        raise _malformed()
    try:
        value = canonical_parse(data)
    except InputError as exc:
        raise _malformed() from exc
    if not isinstance(value, dict) or value.get("v") != tag:
        raise _malformed()
    mac = value.pop("mac", None)
    if not isinstance(mac, str) or not hmac.compare_digest(
        mac.encode("utf-8"), _mac(value, secret=secret).encode("ascii")
    ):
        raise VerificationError(
            "the answer does not carry the mark of the secret we share with the service",
            code="identity.answer_mac",
        )
    return value


def read_answer(data: bytes, *, secret: bytes, at: datetime) -> Answer:
    """The answer in `data`, if the service that shares the secret sent it just now.

    Raises:
        VerificationError: `identity.answer_malformed`, `identity.answer_mac`, `identity.answer_stale`.
    """
    value = open_sealed(data, tag=ANSWER_TAG, secret=secret)
    if set(value) != _MEMBERS - {"mac"} or not all(isinstance(one, str) for one in value.values()):
        raise _malformed()
    texts = {name: str(one) for name, one in value.items()}
    try:
        sent_at, checked_at = parse_utc(texts["sent_at"]), parse_utc(texts["checked_at"])
        status = Status(texts["status"])
    except ValueError as exc:
        raise _malformed() from exc
    if len(texts["reference"]) > REFERENCE_CHARS_MAX or checked_at > sent_at:
        raise _malformed()
    if abs(at - sent_at) > REPLAY_WINDOW:
        raise VerificationError(
            "this answer was sent too long ago, or a clock is wrong; send it afresh",
            code="identity.answer_stale",
            seconds_max=int(REPLAY_WINDOW.total_seconds()),
        )
    return Answer(
        request_id=texts["request"],
        nonce=texts["nonce"],
        status=status,
        checked_at=checked_at,
        reference=texts["reference"],
    )


def _mac(document: Mapping[str, Json], *, secret: bytes) -> str:
    tag = str(document["v"]).encode("utf-8")
    message = tag + b"\x00" + canonical_bytes(dict(document))
    return hmac.new(secret, message, sha256).hexdigest()


def _malformed() -> VerificationError:
    return VerificationError(
        "this is no answer of a verification service", code="identity.answer_malformed"
    )
