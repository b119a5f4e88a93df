"""Checkpoints as C2SP signed notes (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), Ed25519.

Body: origin line, decimal size, base64 root, each ended by a newline. Signature line:
`— <key name> base64(4-byte key id || 64-byte signature)`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.core.errors import VerificationError
from ledger.core.units import Digest32, digest32
from ledger.key_file import read_or_make

ED25519: Final = b"\x01"
COSIGNATURE: Final = b"\x04"
"""Signature types of signed notes: a log's own Ed25519 signature, a witness's timestamped one."""
NOTE_BYTES_MAX: Final = 4096
"""A checkpoint with a few dozen cosignatures; anything longer is refused unread."""
WITNESSES_MAX: Final = 15
"""Their lines fit into a note of 4 KiB, whatever their names up to 100 characters."""
TEXT_CHARS_MAX: Final = 1024
"""A few short lines: names and digests."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Origin, size and root of the tree."""

    origin: str
    size: int
    root: Digest32

    def body(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A log's name and Ed25519 public key, written `name+hash+base64` as in C2SP."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, 0x01, public key)."""
        return _key_id(self.name, ED25519, self.public)

    def text(self) -> str:
        """`name+xxxxxxxx+base64(0x01 || key)`."""
        return _key_text(self.name, ED25519, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read the text form.

        Raises:
            VerificationError: `note.key`.
        """
        name, public = _parse_key(text, ED25519)
        return cls(name=name, public=public)


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's name and Ed25519 public key for cosignatures (c2sp.org/tlog-cosignature)."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, 0x04, public key)."""
        return _key_id(self.name, COSIGNATURE, self.public)

    def text(self) -> str:
        """`name+xxxxxxxx+base64(0x04 || key)`."""
        return _key_text(self.name, COSIGNATURE, self.public)

    @classmethod
    def parse(cls, text: str) -> CosignerKey:
        """Read the text form.

        Raises:
            VerificationError: `note.key`.
        """
        name, public = _parse_key(text, COSIGNATURE)
        return cls(name=name, public=public)


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """`k` of the witnesses `keys` must have cosigned a checkpoint for it to count as witnessed."""

    k: int
    keys: tuple[CosignerKey, ...]

    @classmethod
    def of(cls, k: object, keys: Sequence[CosignerKey]) -> WitnessPolicy:
        """A policy that can be met and in which every witness counts once.

        Raises:
            VerificationError: `note.policy`.
        """
        distinct = len({key.public for key in keys}) == len({key.name for key in keys}) == len(keys)
        fits = isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= len(keys)
        if not (distinct and fits and len(keys) <= WITNESSES_MAX):
            raise VerificationError("not a k-of-n policy", code="note.policy")
        assert isinstance(k, int)
        return cls(k=k, keys=tuple(keys))


class NoteSigner:
    """Signs checkpoints with the log's key, kept in a file that only its owner can read."""

    def __init__(self, path: Path, *, name: str) -> None:
        """Load the key, making it at first start.

        Raises:
            UnavailableError: `note.key_file`.
        """
        raw = read_or_make(
            path,
            lambda: Ed25519PrivateKey.generate().private_bytes_raw(),
            size=32,
            code="note.key_file",
        )
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        self.verifier = VerifierKey(name=name, public=public)

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note; deterministic, so that signing again gives the same bytes."""
        return self._note(checkpoint.body())

    def sign_text(self, text: str) -> str:
        """A signed note over `text`, whole lines of printable ASCII, at most 1 KiB.

        The first line names what is signed; it is never the log's name, with which every checkpoint
        begins, so that no text signed here can pass for a checkpoint.
        """
        assert _is_plain_text(text), "text that cannot stand in a note"
        assert text.split("\n", 1)[0] != self.verifier.name, "this would be a checkpoint"
        return self._note(text)

    def _note(self, body: str) -> str:
        blob = self.verifier.key_id + self._key.sign(body.encode())
        return f"{body}\n— {self.verifier.name} {base64.b64encode(blob).decode()}\n"


def cosign(checkpoint: Checkpoint, *, name: str, key: Ed25519PrivateKey, time: int) -> str:
    """The note line of a cosignature made at `time` (seconds since 1970), without its newline.

    Source: c2sp.org/tlog-cosignature, Ed25519 form.
    """
    assert 0 < time < 2**63
    public = key.public_key().public_bytes_raw()
    signed = key.sign(_cosigned(checkpoint, time))
    blob = _key_id(name, COSIGNATURE, public) + time.to_bytes(8, "big") + signed
    return f"— {name} {base64.b64encode(blob).decode()}"


def cosignature_time(note: str, *, witness: CosignerKey) -> int | None:
    """When `witness` cosigned the checkpoint in `note`, seconds since 1970; None where it did not.

    Raises:
        VerificationError: `note.shape`; `note.cosignature`: a line under its name and key that is wrong.
    """
    checkpoint, lines = parse_note(note)
    times: list[int] = []
    for name, blob in lines:
        if name != witness.name or blob[:4] != witness.key_id:
            continue
        time = int.from_bytes(blob[4:12], "big")
        try:
            if len(blob) != 4 + 8 + 64 or not 0 < time < 2**63:
                raise InvalidSignature
            Ed25519PublicKey.from_public_bytes(witness.public).verify(
                blob[12:], _cosigned(checkpoint, time)
            )
        except InvalidSignature as exc:
            raise VerificationError(
                "a witness's signature on the checkpoint is wrong", code="note.cosignature"
            ) from exc
        times.append(time)
    return min(times, default=None)


def _cosigned(checkpoint: Checkpoint, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{checkpoint.body()}".encode()


def _key_id(name: str, kind: bytes, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def _key_text(name: str, kind: bytes, public: bytes) -> str:
    encoded = base64.b64encode(kind + public).decode()
    return f"{name}+{_key_id(name, kind, public).hex()}+{encoded}"


def _parse_key(text: str, kind: bytes) -> tuple[str, bytes]:
    try:
        name, _, encoded = text.split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as exc:
        raise VerificationError("not a verifier key", code="note.key") from exc
    # A name is not empty and holds no space, else note lines could be read in two ways.
    if raw[:1] != kind or len(raw) != 33 or name.split() != [name]:
        raise VerificationError("not an Ed25519 verifier key", code="note.key")
    if _key_text(name, kind, raw[1:]) != text:
        raise VerificationError("not a verifier key", code="note.key")
    return name, raw[1:]


def open_text(note: str, *, verifier: VerifierKey) -> str:
    """Check a note that `NoteSigner.sign_text` made, which carries exactly one signature; its text.

    Raises:
        VerificationError: `note.shape`, `note.unsigned`, `note.signature`.
    """
    text, _, tail = note.partition("\n\n")
    text += "\n"
    if not _is_plain_text(text) or text.split("\n", 1)[0] == verifier.name:
        raise VerificationError("not a signed text", code="note.shape")
    try:
        dash, name, encoded = tail.removesuffix("\n").split(" ")
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as exc:
        raise VerificationError("not a signed text", code="note.shape") from exc
    if note != f"{text}\n— {name} {base64.b64encode(blob).decode()}\n" or dash != "—":
        raise VerificationError("not a signed text", code="note.shape")
    if name != verifier.name or blob[:4] != verifier.key_id:
        raise VerificationError("the text is not signed by this key", code="note.unsigned")
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public).verify(blob[4:], text.encode())
    except InvalidSignature as exc:
        raise VerificationError(
            "the signature on the text is wrong", code="note.signature"
        ) from exc
    return text


def _is_plain_text(text: str) -> bool:
    lines = text.split("\n")
    return (
        len(text) <= TEXT_CHARS_MAX
        and lines[-1] == ""
        and all(line and line.isascii() and line.isprintable() for line in lines[:-1])
        and len(lines) > 1
    )


def open_note(note: str, *, verifier: VerifierKey) -> Checkpoint:
    """Check the log's signature on a note and read the checkpoint.

    Raises:
        VerificationError: `note.shape`, `note.unsigned`, `note.signature`, `note.origin`.
    """
    checkpoint, lines = parse_note(note)
    if checkpoint.origin != verifier.name:
        raise VerificationError("the checkpoint is of another log", code="note.origin")
    for name, blob in lines:
        if name == verifier.name and blob[:4] == verifier.key_id:
            try:
                Ed25519PublicKey.from_public_bytes(verifier.public).verify(
                    blob[4:], checkpoint.body().encode()
                )
            except InvalidSignature as exc:
                raise VerificationError(
                    "the log's signature on the checkpoint is wrong", code="note.signature"
                ) from exc
            return checkpoint
    raise VerificationError("the checkpoint carries no signature of this log", code="note.unsigned")


def parse_note(note: str) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """Split a note into its checkpoint and (name, key id || signature) lines, checking only the shape.

    Raises:
        VerificationError: `note.shape`.
    """
    try:
        if len(note.encode()) > NOTE_BYTES_MAX:
            raise ValueError("too long")
        body, _, tail = note.partition("\n\n")
        origin, size_text, root_text = body.split("\n")
        size = int(size_text)
        if str(size) != size_text or size < 0 or not origin:
            raise ValueError("size")
        root = base64.b64decode(root_text, validate=True)
        if len(root) != 32 or base64.b64encode(root).decode() != root_text:
            raise ValueError("root")
        if not tail.endswith("\n"):
            raise ValueError("unterminated")
        lines: list[tuple[str, bytes]] = []
        for line in tail[:-1].split("\n"):
            dash, name, encoded = line.split(" ")
            if dash != "—":
                raise ValueError("dash")
            blob = base64.b64decode(encoded, validate=True)
            if base64.b64encode(blob).decode() != encoded:
                raise ValueError("base64")
            lines.append((name, blob))
    except (ValueError, binascii.Error) as exc:
        raise VerificationError("not a signed checkpoint", code="note.shape") from exc
    return Checkpoint(origin=origin, size=size, root=digest32(root)), lines
