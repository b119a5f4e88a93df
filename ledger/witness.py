"""Witnesses: independent parties who cosign a checkpoint only if it extends the last one they saw.

The witness's side of c2sp.org/tlog-witness: what an arbitration body or association runs (`fuqi witness
serve`), with its own key, its own small database and no part of our installation. The log's side is in
ledger/cosigning.py.

A log that shows two people two different trees needs a witness to sign both, or to forget; `Witness` does
neither. What contradicts an earlier checkpoint under the log's own signature is kept as evidence.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.core import merkle
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    FuqiError,
    InputError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.key_file import read_or_make
from ledger.note import (
    Checkpoint,
    CosignerKey,
    VerifierKey,
    cosign,
    open_note,
    parse_note,
)

REQUEST_BYTES_MAX: Final = 16 * 1024
"""63 proof lines of 45 bytes and a note of at most 4 KiB fit twice."""
PROOF_LINES_MAX: Final = 63
HTTP_SECONDS: Final = 10
"""For one whole request: a witness across the world answers in one."""
CONNECTIONS_MAX: Final = 32
EVIDENCE_MAX: Final = 100
"""Contradicting notes kept per log: one is proof enough, a flood must not fill the disk."""
NAME_CHARS_MAX: Final = 100
SIZE_TYPE: Final = "text/x.tlog.size"

STATUS: Final[Mapping[str, int]] = {
    "witness.request": 400,
    "witness.rollback": 400,
    "witness.unsigned": 403,
    "witness.unknown_log": 404,
    "witness.old_size": 409,
    "witness.split_view": 409,
    "witness.inconsistent": 422,
}
"""The answers that c2sp.org/tlog-witness prescribes."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evidence (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, at TEXT NOT NULL,
    code TEXT NOT NULL, seen TEXT NOT NULL, offered TEXT NOT NULL);
"""


# ------------------------------------------------------------------ the witness
class Witness:
    """Cosigns consistent checkpoints of the logs it knows. Safe to use from several threads and processes."""

    def __init__(
        self, folder: Path, *, name: str, logs: Sequence[VerifierKey], clock: Callable[[], datetime]
    ) -> None:
        """Open (and at first start make) key and state in `folder`.

        Raises:
            InputError: `witness.name`: not one word of at most 100 printable characters.
            UnavailableError: `witness.key_file`, `witness.state`.
        """
        if len(name) > NAME_CHARS_MAX or name.split() != [name] or "+" in name:
            raise InputError("a witness's name is one word without +", code="witness.name")
        raw = read_or_make(
            folder / "witness.key",
            lambda: Ed25519PrivateKey.generate().private_bytes_raw(),
            size=32,
            code="witness.key_file",
        )
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.key = CosignerKey(name=name, public=self._key.public_key().public_bytes_raw())
        self._logs = {log.name: log for log in logs}
        self._clock = clock
        self._state = folder / "seen.sqlite3"
        with self._open() as database:
            database.executescript(_SCHEMA)

    def add_checkpoint(self, request: bytes) -> str:
        """Answer one add-checkpoint request: the note line of the cosignature, with its newline.

        The new checkpoint is durable before this returns.

        Raises:
            InputError: `witness.request`, `witness.rollback` (old size beyond the checkpoint's).
            NotFoundError: `witness.unknown_log`.
            ForbiddenError: `witness.unsigned`: no valid signature of the log.
            ConflictError: `witness.old_size` (context `size`: what was last cosigned), `witness.split_view`
                (another tree of the same size).
            VerificationError: `witness.inconsistent`: it does not extend what was last cosigned.
            UnavailableError: `witness.state`.
        """
        old_size, proof, note = parse_request(request)
        checkpoint = self._opened(note)
        if old_size > checkpoint.size:
            raise InputError("the old size is larger than the new one", code="witness.rollback")
        with self._open() as database:
            # One writer at a time: two requests at once must not both extend the same checkpoint.
            database.execute("BEGIN IMMEDIATE")
            try:
                self._require_extends(database, checkpoint, note, old_size=old_size, proof=proof)
                database.execute(
                    "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT (origin) "
                    "DO UPDATE SET size = excluded.size, note = excluded.note",
                    (checkpoint.origin, checkpoint.size, note),
                )
            finally:
                # Also after a refusal: the evidence stays. A crash before: nothing was signed.
                database.execute("COMMIT")
        at = int(self._clock().timestamp())
        return cosign(checkpoint, name=self.key.name, key=self._key, time=at) + "\n"

    def seen(self) -> dict[str, int]:
        """Size of the last cosigned checkpoint of each log."""
        with self._open() as database:
            return dict(database.execute("SELECT origin, size FROM seen ORDER BY origin"))

    def evidence(self) -> list[dict[str, str]]:
        """Pairs of notes that contradict each other, both signed by the log; oldest first."""
        names = ("origin", "at", "code", "seen", "offered")
        with self._open() as database:
            rows = database.execute(f"SELECT {', '.join(names)} FROM evidence ORDER BY id")  # noqa: S608 - constants
            return [dict(zip(names, row, strict=True)) for row in rows]

    def _opened(self, note: str) -> Checkpoint:
        try:
            origin = parse_note(note)[0].origin
        except VerificationError as exc:
            raise InputError("not a signed checkpoint", code="witness.request") from exc
        log = self._logs.get(origin)
        if log is None:
            raise NotFoundError("this witness does not know the log", code="witness.unknown_log")
        try:
            return open_note(note, verifier=log)
        except VerificationError as exc:
            raise ForbiddenError(
                "the checkpoint is not signed by the log", code="witness.unsigned"
            ) from exc

    def _require_extends(
        self,
        database: sqlite3.Connection,
        checkpoint: Checkpoint,
        note: str,
        *,
        old_size: int,
        proof: Sequence[bytes],
    ) -> None:
        row = database.execute(
            "SELECT note FROM seen WHERE origin = ?", (checkpoint.origin,)
        ).fetchone()
        last_note = None if row is None else str(row[0])
        last = None if last_note is None else parse_note(last_note)[0]
        last_size = 0 if last is None else last.size
        if last is not None and checkpoint.size == last.size and checkpoint.root != last.root:
            # Whatever old size it claims: two trees of one size under one signature.
            self._keep(database, "witness.split_view", seen=str(last_note), offered=note)
            raise ConflictError("another tree of the same size", code="witness.split_view")
        if old_size != last_size:
            raise ConflictError(
                "the old size is not the one last cosigned", code="witness.old_size", size=last_size
            )
        try:
            merkle.verify_consistency(
                old_size=old_size,
                old_root=merkle.EMPTY_ROOT if last is None else last.root,
                size=checkpoint.size,
                root=checkpoint.root,
                path=proof,
            )
        except VerificationError as exc:
            # Perhaps only a wrong proof; with the log's signature on both notes it is worth keeping.
            if last_note is not None:
                self._keep(database, "witness.inconsistent", seen=last_note, offered=note)
            raise VerificationError(
                "the checkpoint does not extend the one last cosigned", code="witness.inconsistent"
            ) from exc

    def _keep(self, database: sqlite3.Connection, code: str, *, seen: str, offered: str) -> None:
        origin = parse_note(offered)[0].origin
        held = database.execute(
            "SELECT count(*), max(seen = ? AND offered = ?) FROM evidence WHERE origin = ?",
            (seen, offered, origin),
        ).fetchone()
        if held[0] < EVIDENCE_MAX and not held[1]:
            at = self._clock().astimezone(UTC).isoformat()
            database.execute(
                "INSERT INTO evidence (origin, at, code, seen, offered) VALUES (?, ?, ?, ?, ?)",
                (origin, at, code, seen, offered),
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            database = sqlite3.connect(self._state, isolation_level=None, timeout=HTTP_SECONDS)
            try:
                database.execute("PRAGMA synchronous=FULL")
                yield database
            finally:
                database.close()
        except sqlite3.Error as exc:
            raise UnavailableError(
                "the witness's own database did not answer", code="witness.state"
            ) from exc


def parse_request(request: bytes) -> tuple[int, list[bytes], str]:
    """(old size, proof, note) of an add-checkpoint body.

    Raises:
        InputError: `witness.request`.
    """
    try:
        if len(request) > REQUEST_BYTES_MAX:
            raise ValueError("too long")
        head, _, note = request.decode().partition("\n\n")
        first, *rest = head.split("\n")
        word, size_text = first.split(" ")
        old_size = int(size_text)
        proof = [base64.b64decode(line, validate=True) for line in rest]
        again = [base64.b64encode(step).decode() for step in proof]
        if word != "old" or str(old_size) != size_text or old_size < 0 or again != rest:
            raise ValueError("form")
        if len(proof) > PROOF_LINES_MAX or any(len(step) != 32 for step in proof):
            raise ValueError("proof")
    except (ValueError, binascii.Error) as exc:
        raise InputError("not an add-checkpoint request", code="witness.request") from exc
    return old_size, proof, note


def make_request(old_size: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of an add-checkpoint request."""
    lines = [f"old {old_size}", *(base64.b64encode(step).decode() for step in proof)]
    return ("\n".join(lines) + f"\n\n{note}").encode()


# ------------------------------------------------------------------ HTTP
Report = Callable[[str, int], None]
"""Told of each answer: error code or `witness.cosigned`, and HTTP status."""


class _Server(ThreadingHTTPServer):
    """One thread per connection, a bounded number of them."""

    daemon_threads = True
    request_queue_size = 2 * CONNECTIONS_MAX
    block_on_close = False

    def __init__(self, address: tuple[str, int], witness: Witness, report: Report) -> None:
        self.witness, self.report = witness, report
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or sent no HTTP: nothing to tell anyone."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    """`POST …/add-checkpoint` and nothing else."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "fuqi-witness"
    sys_version = ""
    timeout = HTTP_SECONDS

    def do_POST(self) -> None:
        """Answer one request."""
        status, kind, body = self._decide()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: `report` tells what matters."""

    def _decide(self) -> tuple[int, str, bytes]:
        plain = "text/plain; charset=utf-8"
        length = self.headers.get("Content-Length", "")
        if self.path.rpartition("/")[2] != "add-checkpoint" or not length.isdecimal():
            self.close_connection = True
            return (404 if length.isdecimal() else 411), plain, b""
        if len(length) > 9 or int(length) > REQUEST_BYTES_MAX:
            self.close_connection = True
            return 413, plain, b""
        body = self._body(int(length))
        if body is None:
            self.close_connection = True
            return 408, plain, b""
        try:
            line = self.server.witness.add_checkpoint(body)
        except FuqiError as exc:
            status = STATUS.get(exc.error_code, 503)
            self.server.report(exc.error_code, status)
            if exc.error_code == "witness.old_size":
                return status, SIZE_TYPE, f"{exc.context['size']}\n".encode()
            return status, plain, f"{exc.error_code}\n".encode()
        self.server.report("witness.cosigned", 200)
        return 200, plain, line.encode()

    def _body(self, length: int) -> bytes | None:
        """Exactly `length` bytes, or None when they do not come in time."""
        deadline, data = time.monotonic() + HTTP_SECONDS, b""
        while len(data) < length:
            part = self.rfile.read1(length - len(data))
            if not part or time.monotonic() > deadline:
                return None
            data += part
        return data


def make_server(
    witness: Witness,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    report: Report = lambda *_: None,
) -> ThreadingHTTPServer:
    """An HTTP server for `witness`, bound but not running; `server_address[1]` is its port.

    Raises:
        UnavailableError: `witness.port`: the address cannot be used.
    """
    try:
        return _Server((host, port), witness, report)
    except OSError as exc:
        raise UnavailableError(f"{host}:{port} cannot be listened on", code="witness.port") from exc
