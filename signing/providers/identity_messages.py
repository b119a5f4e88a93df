"""How a code reaches a telephone or mailbox: a labelled mock, or a service behind an address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from ledger.core.errors import InputError, VerificationError
from ledger.core.units import utc_text
from signing.providers.identity_wire import (
    ANSWER_BYTES_MAX,
    MESSAGE_TAG,
    SENT_TAG,
    open_sealed,
    require_secret,
    seal,
)
from signing.providers.outside import Fallback, Message

PATH: Final = "/messages"
JSON: Final = "application/json"
MOCK_LABEL_EN: Final = "mock delivery: nothing was sent"
MOCK_LABEL_ZH: Final = "模拟发送：未实际发出"


class Messenger(Protocol):
    """Carries a short text to a telephone (`phone`) or mailbox (`email`), in another process.

    Contract: the same message id is delivered once, however often it is sent.
    """

    @property
    def name(self) -> str:
        """Stable name."""
        ...

    @property
    def label_en(self) -> str:
        """How much a delivery is worth, in English."""
        ...

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""
        ...

    @property
    def mock(self) -> bool:
        """Whether nothing is sent."""
        ...

    def send(self, message_id: str, *, channel: str, target: str, text: str) -> None:
        """Send.

        Raises:
            UnavailableError: `outside.resting`, `outside.all_failed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class MockMessenger:
    """Sends nothing; whoever asked sees the code on the page, with the label beside it."""

    name: str = "mock"
    label_en: str = MOCK_LABEL_EN
    label_zh: str = MOCK_LABEL_ZH
    mock: bool = True

    def send(self, message_id: str, *, channel: str, target: str, text: str) -> None:
        """Do nothing."""
        del message_id, channel, target, text


@dataclass(frozen=True, slots=True)
class HttpMessenger:
    """A delivery service behind an address (`POST <address>/messages`).

    Raises:
        InputError: `identity.secret`, `identity.plain_http`.
    """

    fallback: Fallback
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        require_secret(self.secret)
        for endpoint in self.fallback.endpoints:
            if urlsplit(endpoint.url).scheme != "https" and not endpoint.allow_private:
                raise InputError(
                    "codes and addresses go over https:// only", code="identity.plain_http"
                )

    @property
    def name(self) -> str:
        """`http:` and the host."""
        return f"http:{self.fallback.endpoints[0].host}"[:64]

    @property
    def label_en(self) -> str:
        """That the operator chose the service."""
        return f"sent through {self.fallback.endpoints[0].host}"

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""
        return f"经 {self.fallback.endpoints[0].host} 发送"

    @property
    def mock(self) -> bool:
        """Never."""
        return False

    def send(self, message_id: str, *, channel: str, target: str, text: str) -> None:
        """Hand it to the service, which says by its sealed answer that it took it.

        Raises:
            UnavailableError: `outside.resting`, `outside.all_failed`.
        """
        document = {
            "v": MESSAGE_TAG,
            "message": message_id,
            "channel": channel,
            "target": target,
            "text": text,
            "at": utc_text(datetime.now(UTC)),
        }

        def accept(data: bytes) -> bytes:
            taken = open_sealed(data, tag=SENT_TAG, secret=self.secret)
            if taken.get("message") != message_id:
                raise VerificationError(
                    "this answers another question", code="identity.answer_other_question"
                )
            return data

        message = Message(
            seal(document, secret=self.secret), JSON, JSON, ANSWER_BYTES_MAX, path=PATH
        )
        self.fallback.ask(message, accept=accept)
