"""A witness signs one history of a log, whatever it is shown, and forgets nothing when it is restarted."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import threading
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.core.errors import FuqiError, InputError, VerificationError
from ledger.core.units import digest32
from ledger.note import (
    Checkpoint,
    CosignerKey,
    NoteSigner,
    VerifierKey,
    WitnessPolicy,
    cosignature_time,
)
from ledger.testing import MemoryLog
from ledger.witness import Witness, make_request, make_server

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
ORIGIN = "log.example.invalid/fuqi"


class Log:
    """A log of one operator; `fork` is the same operator showing another tree to somebody else."""

    def __init__(self, signer, name="leaf"):
        self.signer, self.tree, self.name = signer, MemoryLog(), name

    def grow(self, count):
        self.tree.grow(count)
        return self

    def fork(self, from_size):
        """The first `from_size` leaves are shared; what follows differs."""
        other = Log(self.signer)
        other.tree._leaves = self.tree._leaves[:from_size]
        leaf = hashlib.sha256(b"\x00another history").digest()
        other.tree._leaves.append(digest32(leaf))
        return other

    def note(self, size=None):
        size = len(self.tree._leaves) if size is None else size
        checkpoint = Checkpoint(ORIGIN, size, digest32(self.tree.root(size)))
        return self.signer.sign(checkpoint)

    def request(self, old, size=None):
        size = len(self.tree._leaves) if size is None else size
        return make_request(old, self.tree.path(old, size), self.note(size))


@pytest.fixture
def signer(tmp_path):
    return NoteSigner(tmp_path / "log.key", name=ORIGIN)


@pytest.fixture
def log(signer):
    return Log(signer)


@pytest.fixture
def witness(tmp_path, signer):
    return opened(tmp_path, signer)


def opened(folder, signer, name="witness.example.invalid/w1"):
    return Witness(folder / "witness", name=name, logs=[signer.verifier], clock=lambda: AT)


def refused(witness, request):
    with pytest.raises(FuqiError) as caught:
        witness.add_checkpoint(request)
    return caught.value.error_code


# ------------------------------------------------------------------ cosignatures
def test_a_cosignature_is_the_c2sp_one_checked_by_hand(witness, log):
    note = log.grow(3).note()
    line = witness.add_checkpoint(log.request(0))
    dash, name, encoded = line.removesuffix("\n").split(" ")
    blob = base64.b64decode(encoded)
    assert (dash, name) == ("—", witness.key.name)
    public = witness.key.public
    assert blob[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    assert int.from_bytes(blob[4:12], "big") == int(AT.timestamp())
    body = note.partition("\n\n")[0] + "\n"
    message = f"cosignature/v1\ntime {int(AT.timestamp())}\n{body}".encode()
    Ed25519PublicKey.from_public_bytes(public).verify(blob[12:], message)
    assert cosignature_time(note + line, witness=witness.key) == int(AT.timestamp())


def test_a_note_without_its_line_is_not_cosigned_and_a_changed_one_is_refused(witness, log):
    note = log.grow(3).note()
    line = witness.add_checkpoint(log.request(0))
    assert cosignature_time(note, witness=witness.key) is None
    other = log.grow(1).note()
    with pytest.raises(VerificationError) as caught:
        cosignature_time(other + line, witness=witness.key)
    assert caught.value.error_code == "note.cosignature"


@pytest.mark.parametrize("at", [4, 11, 12, 75])
def test_no_byte_of_a_cosignature_can_be_changed(witness, log, at):
    note = log.grow(3).note()
    name, encoded = witness.add_checkpoint(log.request(0)).split(" ")[1:]
    blob = bytearray(base64.b64decode(encoded))
    blob[at] ^= 1
    with pytest.raises(VerificationError):
        cosignature_time(f"{note}— {name} {base64.b64encode(blob).decode()}\n", witness=witness.key)


def test_a_witness_key_is_written_with_type_four_and_is_no_log_key(witness):
    text = witness.key.text()
    assert CosignerKey.parse(text) == witness.key
    assert base64.b64decode(text.split("+", 2)[2])[:1] == b"\x04"
    with pytest.raises(VerificationError):
        VerifierKey.parse(text)


def test_a_policy_counts_every_witness_once_and_can_be_met(witness):
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    second = CosignerKey("witness.example.invalid/w2", public)
    assert WitnessPolicy.of(2, [witness.key, second]).k == 2
    same_key = CosignerKey("witness.example.invalid/w3", public)
    for k, keys in (
        (0, [second]),
        (2, [second]),
        (True, [second]),
        ("1", [second]),
        (1, [second, second]),
        (1, [second, same_key]),
        (1, [second, CosignerKey(second.name, witness.key.public)]),
    ):
        with pytest.raises(VerificationError):
            WitnessPolicy.of(k, keys)


# ------------------------------------------------------------------ one history
def test_a_growing_log_is_cosigned_at_every_size(witness, log):
    old = 0
    for size in (1, 2, 7, 8, 300):
        log.grow(size - old)
        witness.add_checkpoint(log.request(old))
        old = size
    assert witness.seen() == {ORIGIN: 300}
    assert witness.evidence() == []


def test_the_same_checkpoint_is_cosigned_again(witness, log):
    log.grow(5)
    assert witness.add_checkpoint(log.request(0)) == witness.add_checkpoint(log.request(5))


def test_of_two_lying_logs_only_one_history_is_ever_cosigned(witness, log):
    log.grow(10)
    liar = log.fork(6).grow(3)
    witness.add_checkpoint(log.request(0))
    same_size = Log(log.signer)
    same_size.tree._leaves = liar.tree._leaves[:10]
    # The same size: another root. A larger one: no proof exists, whatever is sent for it.
    assert refused(witness, same_size.request(10)) == "witness.split_view"
    assert refused(witness, same_size.request(0)) == "witness.split_view"
    liar.grow(5)
    assert refused(witness, liar.request(10)) == "witness.inconsistent"
    assert refused(witness, make_request(10, log.tree.path(6, 10), liar.note())) == (
        "witness.inconsistent"
    )
    # Told that the witness never saw it, the liar cannot start over either.
    assert refused(witness, liar.request(0)) == "witness.old_size"
    kept = witness.evidence()
    assert {one["code"] for one in kept} == {"witness.split_view", "witness.inconsistent"}
    assert all(one["seen"] == log.note() for one in kept)
    assert witness.seen() == {ORIGIN: 10}
    # The honest log goes on.
    witness.add_checkpoint(log.grow(4).request(10))


def test_two_witnesses_shown_two_histories_never_both_sign_one_of_them(tmp_path, signer, log):
    first = opened(tmp_path / "a", signer, "witness.example.invalid/a")
    second = opened(tmp_path / "b", signer, "witness.example.invalid/b")
    log.grow(10)
    liar = log.fork(6).grow(7)
    first.add_checkpoint(log.request(0))
    second.add_checkpoint(liar.request(0))
    log.grow(20)
    liar.grow(20)
    assert refused(second, log.request(14)) == "witness.inconsistent"
    assert refused(first, liar.request(10)) == "witness.inconsistent"


def test_a_rollback_is_refused_even_after_a_restart(tmp_path, signer, log):
    opened(tmp_path, signer).add_checkpoint(log.grow(10).request(0))
    again = opened(tmp_path, signer)
    assert again.seen() == {ORIGIN: 10}
    assert refused(again, log.request(0, 5)) == "witness.old_size"
    assert refused(again, log.request(5, 5)) == "witness.old_size"
    assert refused(again, make_request(10, [], log.note(5))) == "witness.rollback"
    assert again.seen() == {ORIGIN: 10}


def test_the_old_size_tells_what_was_last_cosigned(witness, log):
    witness.add_checkpoint(log.grow(7).request(0))
    log.grow(2)
    with pytest.raises(FuqiError) as caught:
        witness.add_checkpoint(log.request(0))
    assert caught.value.context == {"size": 7}


def test_of_two_requests_at_once_exactly_one_extends_the_log(witness, log):
    witness.add_checkpoint(log.grow(4).request(0))
    requests = [log.grow(1).request(4) for _ in range(8)]
    start, codes = threading.Barrier(8), []

    def send(request):
        start.wait()
        try:
            witness.add_checkpoint(request)
            codes.append("cosigned")
        except FuqiError as exc:
            codes.append(exc.error_code)

    threads = [threading.Thread(target=send, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["cosigned"] + ["witness.old_size"] * 7


# ------------------------------------------------------------------ refusals
def test_an_unknown_log_and_a_note_without_its_signature_are_refused(tmp_path, witness, log):
    other = NoteSigner(tmp_path / "other.key", name="log.example.invalid/other")
    note = other.sign(Checkpoint(other.verifier.name, 1, digest32(bytes(32))))
    assert refused(witness, make_request(0, [], note)) == "witness.unknown_log"
    thief = NoteSigner(tmp_path / "thief.key", name=ORIGIN)
    note = thief.sign(Checkpoint(ORIGIN, 1, digest32(bytes(32))))
    assert refused(witness, make_request(0, [], note)) == "witness.unsigned"
    assert witness.seen() == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("old 0", "old 00"),
        lambda text: text.replace("old 0", "old -1"),
        lambda text: text.replace("old 0", "old  0"),
        lambda text: text.replace("old 0", "new 0"),
        lambda text: text.replace("old 0\n", "old 0\nAAAA\n"),
        lambda text: text.replace("old 0\n", "old 0\n!!!!\n"),
        lambda text: text.replace("old 0\n", "old 0\n" + f"{base64.b64encode(bytes(32)).decode()}\n" * 64),
        lambda text: text.replace("\n\n", "\n", 1),
        lambda text: text[:-1],
        lambda text: "",
        lambda text: text + "x" * 20_000,
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused(witness, log, change):
    text = log.grow(1).request(0).decode()
    assert change(text) != text
    assert refused(witness, change(text).encode()) == "witness.request"
    assert refused(witness, b"\xff" + text.encode()) == "witness.request"


@pytest.mark.parametrize("name", ["", "two words", "a+b", "x" * 101, " edge"])
def test_a_name_that_would_break_a_note_is_refused(tmp_path, signer, name):
    with pytest.raises(InputError) as caught:
        opened(tmp_path, signer, name)
    assert caught.value.error_code == "witness.name"


# ------------------------------------------------------------------ HTTP
@pytest.fixture
def address(witness, monkeypatch):
    monkeypatch.setattr("ledger.witness._Handler.timeout", 0.5)
    monkeypatch.setattr("ledger.witness.HTTP_SECONDS", 0.5)
    server = make_server(witness)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address
    server.shutdown()
    thread.join()
    server.server_close()


def post(address, body, path="/add-checkpoint", **headers):
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("POST", path, body=body, headers=headers)
    answer = connection.getresponse()
    found = (answer.status, answer.headers.get("Content-Type"), answer.read())
    connection.close()
    return found


def test_the_answers_over_http_are_those_of_the_protocol(address, witness, log, tmp_path):
    status, _, body = post(address, log.grow(4).request(0))
    assert status == 200
    assert cosignature_time(log.note() + body.decode(), witness=witness.key)
    assert post(address, log.grow(1).request(0)) == (409, "text/x.tlog.size", b"4\n")
    assert post(address, make_request(4, [], log.note(3)))[0] == 400
    assert post(address, b"nonsense")[0] == 400
    liar = log.fork(2).grow(9)
    assert post(address, liar.request(4))[0] == 422
    thief = NoteSigner(tmp_path / "thief.key", name=ORIGIN)
    note = thief.sign(Checkpoint(ORIGIN, 1, digest32(bytes(32))))
    assert post(address, make_request(0, [], note))[0] == 403
    other = NoteSigner(tmp_path / "thief.key", name="other.example.invalid")
    note = other.sign(Checkpoint(other.verifier.name, 1, digest32(bytes(32))))
    assert post(address, make_request(0, [], note))[0] == 404
    assert post(address, b"", path="/other")[0] == 404


def test_a_body_that_is_too_long_or_never_comes_costs_little(address, log):
    assert post(address, b"x", **{"Content-Length": "999999"})[0] == 413
    slow = socket.create_connection(address, timeout=5)
    slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 100\r\n\r\nold")
    assert slow.recv(100).startswith(b"HTTP/1.1 408") or slow.recv(100) == b""
    slow.close()
    silent = [socket.create_connection(address, timeout=5) for _ in range(40)]
    for one in silent:
        one.close()
    assert post(address, log.grow(1).request(0))[0] == 200


def test_nothing_can_be_read_by_get(address):
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == 501
    connection.close()
