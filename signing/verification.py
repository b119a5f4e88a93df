"""Real-name verification: what is asked of a provider, what it may answer, and the level it gives.

Invariants:
    - `no_record`, `source_down` and `unsupported` are not `mismatch`: they raise no level and accuse
      nobody.
    - a number that passes its local check is level L0 and stays there until a provider confirms it.
    - whatever a mock answered says so, in the result and in the level derived from it.

Source: design/legal.md section 4.3.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, Protocol

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ConflictError, ExistsWithDifferentFieldError, InputError
from ledger.core.units import Digest32, utc_text
from signing.identity_kinds import KINDS, KindRule, Proves

__all__ = [
    "KINDS",
    "DerivedLevel",
    "KindRule",
    "Level",
    "MockProvider",
    "Proves",
    "Status",
    "VerificationProvider",
    "VerificationRequest",
    "VerificationResult",
    "answered",
    "derive_level",
    "require_attempts_left",
    "require_request",
]

EVIDENCE_TAG: Final = "fuqi/verification/v1"
FACTOR_CHARS_MAX: Final = 256
ATTEMPT_WINDOW: Final = timedelta(hours=24)
MOCK_LABEL_EN: Final = "mock provider: nobody was asked"
MOCK_LABEL_ZH: Final = "模拟核验：未向任何机构查询"


class Level(IntEnum):
    """How well a real name is known."""

    L0 = 0
    """Format only."""
    L1 = 1
    """An authoritative source confirmed the data."""
    L2 = 2
    """L1, and the person controls a channel (telephone, bank account) registered to the name."""
    L3 = 3
    """L2, and a biometric or control proof, or a licensed authority's registration."""


class Status(StrEnum):
    """What a provider may answer."""

    MATCH = "match"
    MISMATCH = "mismatch"
    NO_RECORD = "no_record"
    SOURCE_DOWN = "source_down"
    UNSUPPORTED = "unsupported"
    PENDING = "pending"
    """Asked; the answer comes later, by a signed callback or a person's decision."""


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """One question to a provider; its `repr` leaves the factors out.

    Attributes:
        request_id: made by the caller and kept across retries.
        kind: a key of `KINDS`.
        subject: random id of the party.
        factors: personal data, exactly those that the kind names.
        purpose: why it is asked, e.g. `sign_agreement`.
        consent_id: id of the separate consent to this (Personal Information Protection Law 23, 29).
        nonce: fresh, echoed in the evidence.
        at: when it is asked.
    """

    request_id: str
    kind: str
    subject: str
    factors: Mapping[str, str]
    purpose: str
    consent_id: str
    nonce: str
    at: datetime

    def __repr__(self) -> str:
        return f"VerificationRequest({self.request_id}, {self.kind}, {self.subject})"


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """One answer.

    Attributes:
        status: see `Status`.
        provider: name of the provider.
        label_en, label_zh: how much this answer is worth, shown wherever it is used.
        mock: True where nobody was asked.
        request_id, kind, subject: as asked.
        checked_at: when it was answered.
        evidence_digest: digest of the answer (tag `fuqi/verification/v1`); no personal data in it.
        raw_sealed: the provider's own answer as it sealed it, or None.
    """

    status: Status
    provider: str
    label_en: str
    label_zh: str
    mock: bool
    request_id: str
    kind: str
    subject: str
    checked_at: datetime
    evidence_digest: Digest32
    raw_sealed: bytes | None = None

    def as_json(self) -> dict[str, Json]:
        """The result as it stands in an evidence record: no factor, no raw answer."""
        return {
            "v": EVIDENCE_TAG,
            "request": self.request_id,
            "kind": self.kind,
            "subject": self.subject,
            "status": self.status.value,
            "provider": self.provider,
            "label_en": self.label_en,
            "label_zh": self.label_zh,
            "mock": self.mock,
            "checked_at": utc_text(self.checked_at),
            "evidence_sha256": self.evidence_digest.hex(),
        }


class VerificationProvider(Protocol):
    """A source of real-name answers, in another process.

    Contract: the same request id with the same body gives the same answer, counted once; with
    another body it raises. A source that does not answer is `Status.SOURCE_DOWN`, not an exception.
    """

    @property
    def name(self) -> str:
        """Stable name of the provider."""
        ...

    @property
    def label_en(self) -> str:
        """How much its answers are worth, in English."""
        ...

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""
        ...

    def verify(self, request: VerificationRequest) -> VerificationResult:
        """Ask.

        Raises:
            InputError: `identity.kind`, `identity.factors`, `identity.consent_missing`.
            ConflictError: `identity.attempts_exhausted`.
            ExistsWithDifferentFieldError: `identity.request_differs`.
        """
        ...


@dataclass(frozen=True, slots=True)
class DerivedLevel:
    """The level that results give, and what must be said beside it.

    Attributes:
        level: L0 .. L3.
        mock: True where an answer that counted came from a mock.
        reasons: codes of what held the level down, e.g. `identity.mismatch`.
        labels: the providers' labels, English, without repeats.
        until: when a match ends without which the level is lower; None where none ends.
    """

    level: Level
    mock: bool
    reasons: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    until: datetime | None = None


def require_request(request: VerificationRequest) -> KindRule:
    """The rule of the request's kind, if the request is complete.

    Raises:
        InputError: `identity.kind`, `identity.factors`, `identity.consent_missing`.
    """
    rule = KINDS.get(request.kind)
    if rule is None:
        raise InputError("no such kind of verification", code="identity.kind")
    sent = request.factors
    if set(sent) != set(rule.factors) or not all(
        0 < len(value) <= FACTOR_CHARS_MAX for value in sent.values()
    ):
        # Sending more than the kind needs would break data minimisation.
        raise InputError(
            f"this kind takes exactly: {', '.join(rule.factors)}", code="identity.factors"
        )
    if not request.consent_id or not request.purpose:
        raise InputError(
            "a purpose and the id of a separate consent are required",
            code="identity.consent_missing",
        )
    return rule


def require_attempts_left(
    kind: str, *, subject: str, earlier: Sequence[VerificationResult], at: datetime
) -> None:
    """Stop guessing: too many mismatches of one kind for one subject within 24 hours.

    Raises:
        ConflictError: `identity.attempts_exhausted`.
    """
    wrong = sum(
        1
        for result in earlier
        if result.kind == kind
        and result.subject == subject
        and result.status is Status.MISMATCH
        and at - result.checked_at < ATTEMPT_WINDOW
    )
    if wrong >= KINDS[kind].mismatches_max:
        raise ConflictError(
            "too many mismatches of this kind; try again a day later",
            code="identity.attempts_exhausted",
            kind=kind,
        )


def derive_level(
    results: Sequence[VerificationResult],
    *,
    subject: str,
    allow_mock: bool,
    at: datetime | None = None,
) -> DerivedLevel:
    """The level of `subject`, from the latest answer of each kind that still counts.

    Data match gives L1, with channel control L2, with a control proof as well L3; each of them by a
    check of its own. So no single factor, a face least of all, reaches L3 alone. A latest mismatch of
    data holds the level at L0; a wrong code or amount proves nothing and takes nothing away.

    Args:
        results: in any order; those of other subjects are left out.
        subject: random id of the party.
        allow_mock: False in production: mock answers then count for nothing.
        at: now: a match older than its kind allows no longer counts; None leaves age aside.
    """
    own = [result for result in results if result.subject == subject and result.kind in KINDS]
    reasons: list[str] = []
    if not allow_mock and any(result.mock for result in own):
        # Before "latest" is taken: a mock answer must not hide an earlier real one.
        own = [result for result in own if not result.mock]
        reasons.append("identity.mock_not_counted")
    latest: dict[str, VerificationResult] = {}
    for result in sorted(own, key=lambda one: (one.checked_at, one.request_id)):
        # An outage after a match does not take the match away.
        data = Proves.DATA in KINDS[result.kind].proves
        if result.status is Status.MATCH or (result.status is Status.MISMATCH and data):
            latest[result.kind] = result
    mock = any(result.mock for result in latest.values())
    labels = tuple(dict.fromkeys(result.label_en for result in latest.values()))
    if any(result.status is Status.MISMATCH for result in latest.values()):
        return DerivedLevel(Level.L0, mock, (*reasons, "identity.mismatch"), labels)
    ends = {kind: one.checked_at + KINDS[kind].valid_for for kind, one in latest.items()}
    counted = [kind for kind in latest if at is None or ends[kind] > at]
    if len(counted) < len(latest):
        reasons.append("identity.expired")
    level = _reached(counted)
    if level is not Level.L3:
        reasons.append(f"identity.no_{_STEPS[level].value}")
    until = None
    for moment in sorted({ends[kind] for kind in counted} if level else ()):
        if _reached([kind for kind in counted if ends[kind] > moment]) < level:
            until = moment
            break
    return DerivedLevel(level, mock, tuple(reasons), labels, until)


_STEPS: Final = (Proves.DATA, Proves.CHANNEL, Proves.CONTROL)


def _reached(kinds: Sequence[str]) -> Level:
    """The highest level for which each step has a kind of its own."""

    def steps_from(number: int, left: frozenset[str]) -> int:
        if number == len(_STEPS):
            return 0
        fitting = [kind for kind in left if _STEPS[number] in KINDS[kind].proves]
        return max((1 + steps_from(number + 1, left - {kind}) for kind in fitting), default=0)

    return Level(steps_from(0, frozenset(kinds)))


def answered(
    provider: VerificationProvider,
    request: VerificationRequest,
    status: Status,
    *,
    at: datetime,
    evidence: Mapping[str, Json],
) -> VerificationResult:
    """A result under a provider's name that is no mock.

    Args:
        evidence: what the provider has beside question and answer; only its digest is kept.
    """
    return VerificationResult(
        status=status,
        provider=provider.name,
        label_en=provider.label_en,
        label_zh=provider.label_zh,
        mock=False,
        request_id=request.request_id,
        kind=request.kind,
        subject=request.subject,
        checked_at=at,
        evidence_digest=tagged_digest(
            EVIDENCE_TAG,
            {
                "request": request.request_id,
                "kind": request.kind,
                "nonce": request.nonce,
                "status": status.value,
                "provider": provider.name,
                **evidence,
                "at": utc_text(at),
            },
        ),
    )


class MockProvider:
    """Answers from the words in the request and asks nobody; every answer says so.

    Rule: a factor that contains a key of `OUTCOMES` gets that outcome; every other request matches.
    History is kept in memory: it stands in for another process, which would keep its own.
    """

    OUTCOMES: Final[Mapping[str, Status]] = {
        "mismatch": Status.MISMATCH,
        "不符": Status.MISMATCH,
        "norecord": Status.NO_RECORD,
        "无记录": Status.NO_RECORD,
        "sourcedown": Status.SOURCE_DOWN,
        "故障": Status.SOURCE_DOWN,
    }

    def __init__(self, *, kinds: frozenset[str] = frozenset(KINDS)) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._answered: dict[str, tuple[VerificationRequest, VerificationResult]] = {}

    @property
    def name(self) -> str:
        """`mock`."""
        return "mock"

    @property
    def label_en(self) -> str:
        """Says that nobody was asked."""
        return MOCK_LABEL_EN

    @property
    def label_zh(self) -> str:
        """Says that nobody was asked, in Chinese."""
        return MOCK_LABEL_ZH

    def verify(self, request: VerificationRequest) -> VerificationResult:
        """Answer by the written rule; errors as in `VerificationProvider.verify`."""
        require_request(request)
        with self._lock:
            known = self._answered.get(request.request_id)
            if known is not None:
                _require_same_request(known[0], request)
                return known[1]
            earlier = [result for _, result in self._answered.values()]
            require_attempts_left(
                request.kind, subject=request.subject, earlier=earlier, at=request.at
            )
            result = self._answer(request)
            self._answered[request.request_id] = (request, result)
            return result

    def _answer(self, request: VerificationRequest) -> VerificationResult:
        status = Status.MATCH if request.kind in self._kinds else Status.UNSUPPORTED
        if status is Status.MATCH:
            text = " ".join(request.factors.values())
            status = next((out for word, out in self.OUTCOMES.items() if word in text), status)
        answer: dict[str, Json] = {
            "request": request.request_id,
            "kind": request.kind,
            "nonce": request.nonce,
            "status": status.value,
            "provider": self.name,
            "label": self.label_en,
            "at": utc_text(request.at),
        }
        return VerificationResult(
            status=status,
            provider=self.name,
            label_en=self.label_en,
            label_zh=self.label_zh,
            mock=True,
            request_id=request.request_id,
            kind=request.kind,
            subject=request.subject,
            checked_at=request.at,
            evidence_digest=tagged_digest(EVIDENCE_TAG, answer),
        )


def _require_same_request(known: VerificationRequest, again: VerificationRequest) -> None:
    # Time and nonce may differ: a retry comes later and is still the same question.
    for field in fields(VerificationRequest):
        if field.name not in ("at", "nonce") and getattr(known, field.name) != getattr(
            again, field.name
        ):
            raise ExistsWithDifferentFieldError(
                f"this request id was used with another {field.name}",
                code="identity.request_differs",
                field=field.name,
            )
