"""The log's side of witnessing: ask each witness for a cosignature, store what verifies.

A file `fuqi/witnesses/v1` names them and the policy that others pin:
`{"v": …, "k": 2, "witnesses": [{"key": "name+hash+base64", "url": "https://…"}]}`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.orm import Session, sessionmaker

from ledger.core.errors import FuqiError, InputError, UnavailableError, VerificationError
from ledger.log import consistency
from ledger.note import CosignerKey, WitnessPolicy, cosignature_time, parse_note
from ledger.queries import log as queries
from ledger.store import transaction
from ledger.tables.log import CosignatureRow
from ledger.witness import HTTP_SECONDS, PROOF_LINES_MAX, SIZE_TYPE, STATUS, make_request

WITNESSES_VERSION: Final = "fuqi/witnesses/v1"
ANSWER_BYTES_MAX: Final = 16 * 1024
"""A few signature lines."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""A witness's clock may run ahead of ours by this much."""


@dataclass(frozen=True, slots=True)
class WitnessEndpoint:
    """A witness whom this log asks: its key and its submission prefix (`http://…` or `https://…`)."""

    key: CosignerKey
    url: str


@dataclass(frozen=True, slots=True)
class Collected:
    """Outcome for one witness; `code` is None where the checkpoint of `size` leaves is cosigned."""

    witness: str
    size: int
    code: str | None


def read_witnesses(path: Path) -> tuple[WitnessPolicy, tuple[WitnessEndpoint, ...]]:
    """The policy and whom to ask.

    Raises:
        InputError: `witness.file`.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["v"] != WITNESSES_VERSION:
            raise ValueError("version")
        endpoints = tuple(
            WitnessEndpoint(key=CosignerKey.parse(one["key"]), url=str(one["url"]))
            for one in value["witnesses"]
        )
        for endpoint in endpoints:
            _address(endpoint.url)
        return WitnessPolicy.of(value["k"], [one.key for one in endpoints]), endpoints
    except (OSError, KeyError, TypeError, ValueError, FuqiError) as exc:
        raise InputError(f"{path} is no file of witnesses", code="witness.file") from exc


Post = Callable[[str, bytes], tuple[int, str, bytes]]
"""(URL, body) -> (status, content type, body); raises UnavailableError `witness.unreachable`."""


def collect(
    sessions: sessionmaker[Session],
    endpoints: Sequence[WitnessEndpoint],
    *,
    at: datetime,
    post: Post | None = None,
) -> list[Collected]:
    """Ask every witness that has not cosigned the newest checkpoint yet. One that fails stops no other.

    Reads, asks outside any transaction, writes. A crash after the answer loses nothing: asked again, a
    witness signs the same checkpoint again.

    Codes of failure: `witness.unreachable`, `witness.answer`, `witness.ahead` (it saw a longer log than this
    database holds: was an old copy restored?), `witness.clock`, `note.cosignature`, `concurrent_write` and what
    the witness itself refused with (`witness.split_view` …).
    """
    with transaction(sessions) as session:
        checkpoint = queries.latest_checkpoint(session)
        if checkpoint is None:
            return []
        have = {row.witness for row in queries.cosignatures_of(session, checkpoint.size)}
    outcomes: list[Collected] = []
    for endpoint in endpoints:
        code: str | None = None
        if endpoint.key.text() not in have:
            try:
                line = _ask(sessions, endpoint, checkpoint.note, post=post or http_post)
                _store(sessions, endpoint.key, checkpoint.note, line, at=at)
            except FuqiError as exc:
                code = exc.error_code
        outcomes.append(Collected(witness=endpoint.key.name, size=checkpoint.size, code=code))
    return outcomes


def _ask(
    sessions: sessionmaker[Session], endpoint: WitnessEndpoint, note: str, *, post: Post
) -> str:
    """The witness's note lines for the checkpoint."""
    size = parse_note(note)[0].size
    with transaction(sessions) as session:
        old_size = queries.cosigned_size(session, endpoint.key.text(), up_to=size)
    url = endpoint.url.rstrip("/") + "/add-checkpoint"
    for _ in range(2):
        with transaction(sessions) as session:
            proof = consistency(session, old_size, size)
        status, kind, body = post(url, make_request(old_size, proof, note))
        if status == 200:
            return body.decode(errors="replace")
        if status != 409 or kind.partition(";")[0].strip() != SIZE_TYPE:
            break
        text = body.decode(errors="replace").strip()
        if not text.isdecimal() or len(text) > 16:
            break
        old_size = int(text)
        if old_size > size:
            raise VerificationError(
                "the witness has cosigned a longer log than this one",
                code="witness.ahead",
                witness_size=old_size,
                log_size=size,
            )
    said = body.decode(errors="replace").strip()
    code = said if status >= 400 and said in STATUS else "witness.answer"
    raise VerificationError(f"the witness answered {status}", code=code)


def _store(
    sessions: sessionmaker[Session], key: CosignerKey, note: str, answer: str, *, at: datetime
) -> None:
    """Keep the line that verifies under the pinned key; lines of unknown keys are ignored."""
    for line in answer.splitlines()[:PROOF_LINES_MAX]:
        if not line.startswith(f"— {key.name} "):
            continue
        seconds = cosignature_time(f"{note}{line}\n", witness=key)
        if seconds is None:
            continue
        if seconds > int((at + CLOCK_SKEW).timestamp()):
            raise VerificationError("the witness signed in the future", code="witness.clock")
        with transaction(sessions) as session:
            session.add(
                CosignatureRow(
                    size=parse_note(note)[0].size,
                    witness=key.text(),
                    line=line,
                    cosigned_at=datetime.fromtimestamp(seconds, UTC),
                )
            )
        return
    raise VerificationError("the answer holds no signature of the witness", code="witness.answer")


def http_post(url: str, body: bytes) -> tuple[int, str, bytes]:
    """POST over HTTP or HTTPS; follows no redirect, reads a bounded answer.

    Raises:
        InputError: `witness.url`.
        UnavailableError: `witness.unreachable`.
    """
    parts = _address(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=HTTP_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", parts.path, body=body)
            answer = connection.getresponse()
            content = answer.read(ANSWER_BYTES_MAX)
            return answer.status, answer.headers.get("Content-Type", ""), content
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise UnavailableError("the witness did not answer", code="witness.unreachable") from exc


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("a witness's address begins with http:// or https://", code="witness.url")
    return parts
