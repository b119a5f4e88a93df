"""A verification service behind an address: questions go out by POST, answers come back or come later.

The answer is `pending` where the service looks further; it then posts the same document to the callback
named in the question. A service that does not answer is `source_down`: it accuses nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from ledger.core.errors import InputError, UnavailableError, VerificationError
from signing.identity_kinds import KINDS, Answered, require_alternatives
from signing.providers.identity_wire import (
    ANSWER_BYTES_MAX,
    Answer,
    read_answer,
    request_document,
    require_secret,
    seal,
)
from signing.providers.outside import Fallback, Message
from signing.verification import (
    Status,
    VerificationRequest,
    VerificationResult,
    answered,
    require_request,
)

PATH: Final = "/verify"
JSON: Final = "application/json"
REVIEWS: Final = ("person_manual_review", "organisation_manual_review")
"""Always offered beside a service: the operator's own queue."""


@dataclass(frozen=True, slots=True)
class HttpProvider:
    """An outside service as a `VerificationProvider`.

    Attributes:
        fallback: addresses in order of preference; one that fails rests.
        secret: shared with the service, at least 32 bytes.
        callback: full address to which later answers are sent.
        kinds: what the service answers; others are `unsupported`.
        title: how the service is named in evidence.

    Raises:
        InputError: `identity.secret`, `identity.kind`, `identity.face_only`, `identity.plain_http`.
    """

    fallback: Fallback
    secret: bytes = field(repr=False)
    callback: str = ""
    kinds: frozenset[str] = frozenset({"person_name_number", "organisation_name_code"})
    title: str = ""

    def __post_init__(self) -> None:
        require_secret(self.secret)
        require_kinds(self.kinds)
        for endpoint in self.fallback.endpoints:
            if urlsplit(endpoint.url).scheme != "https" and not endpoint.allow_private:
                raise InputError(
                    "names and numbers go over https:// only", code="identity.plain_http"
                )

    @property
    def name(self) -> str:
        """`http:` and the host or the name it was given."""
        return f"http:{self.title or self.fallback.endpoints[0].host}"[:64]

    @property
    def label_en(self) -> str:
        """That the operator chose the service."""
        return f"asked {self.name.removeprefix('http:')}, a service that the operator chose"

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""
        return f"已向运营者选定的服务 {self.name.removeprefix('http:')} 查询"

    def verify(self, request: VerificationRequest) -> VerificationResult:
        """Ask; errors as in `VerificationProvider.verify`."""
        require_request(request)
        if request.kind not in self.kinds:
            return self.result(request, Status.UNSUPPORTED, checked_at=request.at)
        body = seal(request_document(request, callback=self.callback), secret=self.secret)
        answers: list[Answer] = []

        def accept(data: bytes) -> bytes:
            answers.append(self._own_answer(data, request))
            return data

        message = Message(body, JSON, JSON, ANSWER_BYTES_MAX, path=PATH)
        try:
            self.fallback.ask(message, accept=accept)
        except UnavailableError:
            return self.result(request, Status.SOURCE_DOWN, checked_at=request.at)
        return self.result_of(request, answers[-1])

    def read_callback(self, data: bytes, *, at: datetime) -> Answer:
        """A later answer that this service sent.

        Raises:
            VerificationError: `identity.answer_malformed`, `identity.answer_mac`,
                `identity.answer_stale`.
        """
        return read_answer(data, secret=self.secret, at=at)

    def result_of(self, request: VerificationRequest, answer: Answer) -> VerificationResult:
        """The result that an answer gives; `reference` goes into its digest."""
        return self.result(
            request, answer.status, checked_at=answer.checked_at, reference=answer.reference
        )

    def result(
        self,
        request: VerificationRequest,
        status: Status,
        *,
        checked_at: datetime,
        reference: str = "",
    ) -> VerificationResult:
        """One result under this provider's name."""
        return answered(self, request, status, at=checked_at, evidence={"reference": reference})

    def _own_answer(self, data: bytes, request: VerificationRequest) -> Answer:
        answer = read_answer(data, secret=self.secret, at=datetime.now(UTC))
        if (answer.request_id, answer.nonce) != (request.request_id, request.nonce):
            raise VerificationError(
                "this answers another question", code="identity.answer_other_question"
            )
        return answer


def require_kinds(kinds: Collection[str]) -> None:
    """Refuse kinds that no source answers, and a face without another way.

    Raises:
        InputError: `identity.kind`, `identity.face_only`.
    """
    for kind in kinds:
        rule = KINDS.get(kind)
        if rule is None or rule.answered is not Answered.SOURCE:
            raise InputError(
                "no such kind of verification that a service answers", code="identity.kind"
            )
    require_alternatives({*kinds, *REVIEWS})
