"""A server and a second certificate authority, each a process of its own; parties sign on their own side.

Whoever has the server's whole database, files, settings and memory still cannot sign as a party.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from typer.testing import CliRunner

from api.cli import build
from api.remote import Remote
from api.testing import PASSWORD, invented_pdf, invented_registration
from ledger.core.errors import ConflictError
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from signing.cms import read_container, read_timestamp
from signing.keys.pkcs12 import FileSigner
from signing.pdf_reading import signatures_of
from signing.sm import sm2_state
from signing.trust import PkiTrust
from signing.tsa import BuiltInTimestampAuthority
from signing.validate import validate_pdf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc"),
]
START_SECONDS = 180
CHUNK = 4 * 1024 * 1024
SECRET = "an invented password"
ROOT = Path(__file__).resolve().parents[2]
DEAD = "http://127.0.0.1:9/tsa"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{url} did not answer: {log.read_text(errors='replace')[-3000:]}")


class StampHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        server: Any = self.server
        answer = server.tsa.respond(body, at=datetime.now(UTC))
        server.asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: object) -> None:
        pass


@dataclass
class World:
    """Two processes and what this side knows."""

    url: str
    server: subprocess.Popen[bytes]
    ca: subprocess.Popen[bytes]
    home: Path
    ca_home: Path
    folder: Path
    trust: PkiTrust
    stamps: Any
    environment: dict[str, str]
    people: dict[str, Any] = field(default_factory=dict)
    agreement_id: str = ""


def start(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "api.cli", *command],
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            cwd=ROOT,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("processes")
    ca_port, port = free_port(), free_port()
    token = folder / "token"
    token.write_text(secrets.token_urlsafe(32))
    token.chmod(0o600)
    ca_url, url = f"http://127.0.0.1:{ca_port}", f"http://127.0.0.1:{port}"
    ca_command = ["ca", "serve", str(folder / "ca"), "--token-file", str(token)]
    ca = start([*ca_command, "--port", str(ca_port), "--public-url", ca_url], folder / "ca.log", {})
    tsa = BuiltInTimestampAuthority.create(
        folder / "tsa", at=datetime.now(UTC) - timedelta(minutes=1)
    )
    stamps: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StampHandler)
    stamps.tsa, stamps.asked = tsa, 0
    thread = threading.Thread(target=stamps.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server = None
    try:
        wait_for(f"{ca_url}/pki/ca.crt", ca, folder / "ca.log")
        made = CliRunner().invoke(build("ca"), ["ca", "roots", str(folder / "ca")])
        assert made.exit_code == 0, made.output
        (folder / "ca.pem").write_text(made.output)
        tsa_pem = "-----BEGIN CERTIFICATE-----\n"
        tsa_pem += base64.encodebytes(tsa.root_der).decode() + "-----END CERTIFICATE-----\n"
        (folder / "tsa.pem").write_text(tsa_pem)
        environment = {
            "FUQI_HOME": str(folder / "home"),
            "FUQI_PUBLIC_URL": url,
            "FUQI_DEMO": "true",
            "FUQI_CA_URL": ca_url,
            "FUQI_CA_TOKEN_FILE": str(token),
            "FUQI_CA_ROOTS": str(folder / "ca.pem"),
            "FUQI_OCSP_URLS": f"{ca_url}/pki/ocsp",
            "FUQI_TSA_URLS": f"{DEAD} http://127.0.0.1:{stamps.server_port}/tsa",
            "FUQI_TSA_ROOTS": str(folder / "tsa.pem"),
            "FUQI_OUTSIDE_PRIVATE": "true",
        }
        server = start(["serve", "--port", str(port)], folder / "server.log", environment)
        wait_for(f"{url}/api/v1/health", server, folder / "server.log")
        roots = re.findall(r"-----BEGIN.*?END CERTIFICATE-----\n", made.output, re.DOTALL)
        trust = PkiTrust(
            ca_roots=tuple(der_of_pem(one) for one in roots), tsa_roots=(tsa.root_der,)
        )
        yield World(
            url,
            server,
            ca,
            folder / "home",
            folder / "ca",
            folder,
            trust,
            stamps,
            environment,
        )
    finally:
        stamps.shutdown()
        thread.join()
        stamps.server_close()
        for process in (server, ca):
            if process is not None:
                stop(process)


def der_of_pem(text: str) -> bytes:
    return base64.b64decode("".join(text.splitlines()[1:-1]))


def call(url: str, body: dict[str, Any], *, cookie: str = "") -> tuple[dict[str, Any], str]:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Cookie": cookie,
            "Origin": url[: url.index("/api")],
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read()), (answer.headers.get("Set-Cookie") or "").split(";")[0]


def register(world: World, name: str, category: Any) -> dict[str, Any]:
    new = invented_registration(name, category, at=datetime.now(UTC))
    handler = new.handler
    call(
        f"{world.url}/api/v1/register",
        {
            "organisation_id": new.organisation_id,
            "category": new.category,
            "name": new.name,
            "credit_code": new.number,
            "place": new.place,
            "receiving_system": new.receiving_system,
            "handler": {
                "person_id": handler.person_id,
                "account_id": handler.account_id,
                "authorisation_id": handler.authorisation_id,
                "name": handler.name,
                "resident_id": handler.number,
                "consent_id": handler.consent_id,
                "login": handler.login,
                "password": PASSWORD,
                "invented": True,
            },
        },
    )
    _, cookie = call(f"{world.url}/api/v1/login", {"login": name, "password": PASSWORD})
    key_id = new_id("key", at=datetime.now(UTC))
    key, _ = call(
        f"{world.url}/api/v1/keys", {"id": key_id, "name": "cli", "days": 1}, cookie=cookie
    )
    file = world.folder / f"{name}.api-key"
    file.write_text(key["key"])
    return {
        "person": handler.person_id,
        "organisation": new.organisation_id,
        "api_key": file,
        "remote": Remote(world.url, key["key"]),
        "file": world.folder / f"{name}.p12",
    }


def fuqi(*words: object) -> Any:
    command = [str(word) for word in words]
    return CliRunner().invoke(build(command[0]), command)


def own_key(world: World, person: dict[str, Any], *, kind: str) -> None:
    secret = world.folder / "secret"
    secret.write_text(SECRET)
    place = ["--file", person["file"], "--secret-file", secret]
    made = fuqi("key", "make", "--kind", kind, *place)
    assert made.exit_code == 0, made.output
    done = fuqi(
        *("key", "certify", "--server", world.url, "--api-key-file", person["api_key"]), *place
    )
    assert done.exit_code == 0, (done.output, done.exception)


def upload(world: World, people: list[dict[str, Any]]) -> str:
    at = datetime.now(UTC)
    agreement = {
        "id": new_id("agr", at=at),
        "title": "虚构协议",
        "matter": "donation",
        "no_amount": True,
        "expires_at": (at + timedelta(days=10)).isoformat(),
        "signers": [
            {
                "organisation_id": one["organisation"],
                "person_id": one["person"],
                "role": role,
            }
            for one, role in zip(people, ("donor", "recipient")[: len(people)], strict=True)
        ],
    }
    mark = secrets.token_hex(8)
    parts = (
        f'--{mark}\r\nContent-Disposition: form-data; name="agreement"\r\n\r\n'
        f"{json.dumps(agreement)}\r\n--{mark}\r\n"
        'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    )
    body = parts.encode() + invented_pdf(pages=1) + f"\r\n--{mark}--\r\n".encode()
    request = urllib.request.Request(
        f"{world.url}/api/v1/agreements/upload",
        data=body,
        headers={
            "Content-Type": f"multipart/form-data; boundary={mark}",
            "Authorization": f"Bearer {people[0]['api_key'].read_text()}",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.loads(answer.read())["id"])


def signers_of(world: World, person: dict[str, Any]) -> list[str]:
    facts = person["remote"].get(f"/api/v1/agreements/{world.agreement_id}")
    return [str(one["id"]) for one in facts["signers"]]


def sign_with_file(world: World, person: dict[str, Any], signer_id: str) -> Any:
    return fuqi(
        *("sign", signer_id, "--server", world.url, "--api-key-file", person["api_key"]),
        *("--file", person["file"], "--secret-file", world.folder / "secret", "--yes"),
    )


@pytest.fixture(scope="module")
def signed(world: World) -> World:
    """Both parties signed at the command line, one with P-256 and one with RSA, each on its own side."""
    for name, category, kind in (
        ("maker", "manufacturer", "p256"),
        ("clinic", "hospital", "rsa-2048"),
    ):
        world.people[name] = register(world, name, category)
        own_key(world, world.people[name], kind=kind)
    people = list(world.people.values())
    world.agreement_id = upload(world, people)
    for person, signer_id in zip(people, signers_of(world, people[0]), strict=True):
        remote = person["remote"]
        remote.post(f"/api/v1/signers/{signer_id}/open", {})
        remote.post(f"/api/v1/signers/{signer_id}/read", {"pages": 1, "seconds": 30})
        made = remote.post(f"/api/v1/signers/{signer_id}/statements", {"act": "consent"})
        signer = FileSigner.load(person["file"], SECRET)
        proof = base64.b64encode(signer.sign(base64.b64decode(made["message_base64"]))).decode()
        remote.post(f"/api/v1/statements/{made['id']}/affirm", {"signature_base64": proof})
    for person, signer_id in zip(people, signers_of(world, people[0]), strict=True):
        done = sign_with_file(world, person, signer_id)
        assert done.exit_code == 0, (done.output, done.exception)
    return world


def test_both_keys_sign_under_the_other_processes_and_the_file_verifies(signed: World) -> None:
    person = signed.people["maker"]
    facts = person["remote"].get(f"/api/v1/agreements/{signed.agreement_id}")
    assert facts["state"] == "formed"
    request = urllib.request.Request(
        f"{signed.url}/api/v1/agreements/{signed.agreement_id}/revisions/2",
        headers={"Authorization": f"Bearer {person['api_key'].read_text()}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        data = answer.read()
    containers = [read_container(one.contents) for one in signatures_of(data)]
    assert [one.signature_algorithm for one in containers] == ["ecdsa", "rsassa_pkcs1v15"]
    # The first address of the list is dead: both stamps came from the second.
    assert signed.stamps.asked >= 2
    for one in containers:
        stamp = read_timestamp(one.timestamp).container.certificates
        assert signed.trust.tsa_roots[0] in stamp
    later = datetime.now(UTC) + timedelta(minutes=1)
    report = validate_pdf(data, trust=signed.trust, at=later)
    missing = {one.code for one in report.checks if one.verdict is Verdict.INDETERMINATE}
    assert missing <= {"pdf.revocation"}, report.as_json()
    assert not [one.code for one in report.checks if one.verdict is Verdict.FAILED]


def test_the_command_line_refuses_a_wrong_password_and_a_place_that_is_not_yours(
    signed: World,
) -> None:
    person = signed.people["maker"]
    wrong = signed.folder / "wrong"
    wrong.write_text("another password")
    place = ["--file", person["file"], "--secret-file", wrong]
    options = ["--server", signed.url, "--api-key-file", person["api_key"], "--yes"]
    mine, other = signers_of(signed, person)
    refused = fuqi("sign", mine, *options, *place)
    assert getattr(refused.exception, "error_code", "") == "keys.file_unreadable"
    assert not isinstance(refused.exception, ConflictError)
    foreign = sign_with_file(signed, person, other)
    assert getattr(foreign.exception, "error_code", "") == "remote.refused"
    assert foreign.exception.context["refusal"] == "not_found"
    nowhere = fuqi("sign", mine, *options, "--secret-file", wrong)
    assert getattr(nowhere.exception, "error_code", "") == "keys.place"
    clear = fuqi(
        *("sign", mine, "--server", "http://fuqi.example", "--api-key-file", person["api_key"]),
        *place,
    )
    assert getattr(clear.exception, "error_code", "") == "remote.url"


# ------------------------------------------------------------------ every kind of key
needs_sm2 = pytest.mark.skipif(sm2_state() != "available", reason="needs a libcrypto with SM2")
ALGORITHMS = {"p256": "ecdsa", "rsa": "rsassa_pkcs1v15", "sm2": "sm2"}


@pytest.fixture(scope="module")
def token(softhsm: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where the keys of a fresh SoftHSM token are, as the command line is told."""
    pin = tmp_path_factory.mktemp("pin") / "pin"
    pin.write_text(softhsm.pin)
    return [
        *("--module", str(softhsm.module), "--token", softhsm.name),
        *("--secret-file", str(pin)),
    ]


def place_of_key(world: World, where: str, kind: str, request: pytest.FixtureRequest) -> list[str]:
    if where == "token":
        return [*request.getfixturevalue("token"), "--label", kind]
    secret = world.folder / "secret"
    secret.write_text(SECRET)
    return ["--file", str(world.folder / f"{kind}.p12"), "--secret-file", str(secret)]


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        pytest.param("file", "rsa-3072"),
        pytest.param("file", "sm2", marks=needs_sm2),
        pytest.param("token", "p256"),
        pytest.param("token", "rsa-2048"),
        pytest.param("token", "rsa-3072"),
    ],
)
def test_every_kind_of_key_signs_through_command_line_and_api(
    signed: World, where: str, kind: str, request: pytest.FixtureRequest
) -> None:
    person = register(signed, f"keys-{where}-{kind}", "manufacturer")
    options = ["--server", signed.url, "--api-key-file", str(person["api_key"])]
    place = place_of_key(signed, where, kind, request)
    for command in (["key", "make", "--kind", kind], ["key", "certify", *options]):
        done = fuqi(*command, *place)
        assert done.exit_code == 0, (done.output, done.exception)
    agreement = upload(signed, [person])
    remote = person["remote"]
    (signer,) = (one["id"] for one in remote.get(f"/api/v1/agreements/{agreement}")["signers"])
    remote.post(f"/api/v1/signers/{signer}/open", {})
    remote.post(f"/api/v1/signers/{signer}/read", {"pages": 1, "seconds": 30})
    done = fuqi("sign", signer, *options, *place, "--yes")
    assert done.exit_code == 0, (done.output, done.exception)
    assert remote.get(f"/api/v1/agreements/{agreement}")["state"] == "formed"
    wanted = urllib.request.Request(
        f"{signed.url}/api/v1/agreements/{agreement}/revisions/1",
        headers={"Authorization": f"Bearer {person['api_key'].read_text()}"},
    )
    with urllib.request.urlopen(wanted, timeout=60) as answer:
        data = answer.read()
    (container,) = (read_container(one.contents) for one in signatures_of(data))
    assert container.signature_algorithm == ALGORITHMS[kind.partition("-")[0]]
    report = validate_pdf(data, trust=signed.trust, at=datetime.now(UTC) + timedelta(minutes=1))
    assert not [one.code for one in report.checks if one.verdict is Verdict.FAILED], report


# ------------------------------------------------------------------ what the server holds
def forms_of(key: Any) -> dict[str, bytes]:
    """Every form in which a private key could lie in memory or in a file."""
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    if isinstance(key, rsa.RSAPrivateKey):
        private = key.private_numbers()
        size = key.key_size // 8
        numbers = {"d": (private.d, size), "p": (private.p, size // 2), "q": (private.q, size // 2)}
    else:
        numbers = {"d": (key.private_numbers().private_value, 32)}
    found: dict[str, bytes] = {}
    for name, (number, size) in numbers.items():
        raw = number.to_bytes(size, "big")
        # Every DER form (PKCS#8, SEC 1, PKCS#1) holds the number so.
        found[f"{name}.big"] = raw
        # OpenSSL keeps a number as machine words, the lowest first.
        found[f"{name}.little"] = raw[::-1]
        found[f"{name}.hex"] = raw.hex().encode()
        found[f"{name}.HEX"] = raw.hex().upper().encode()
    # Base64 at each of its three offsets, without the ends that neighbours change.
    for shift in range(3):
        found[f"base64.{shift}"] = base64.b64encode(bytes(shift) + pkcs8)[44:108]
    return found


def writable_memory(pid: int) -> Iterator[bytes]:
    """All writable memory of an own child, in pieces that overlap."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights or "[vvar" in line:
                continue
            low, high = (int(text, 16) for text in span.split("-"))
            rest = b""
            for place in range(low, high, CHUNK):
                try:
                    memory.seek(place)
                    piece = memory.read(min(CHUNK, high - place))
                except (OSError, OverflowError, ValueError):
                    break
                yield rest + piece
                rest = piece[-4096:]


def seen_in_memory(pid: int, wanted: dict[str, bytes]) -> set[str]:
    seen: set[str] = set()
    for piece in writable_memory(pid):
        seen |= {name for name, form in wanted.items() if form in piece}
    return seen


def seen_in_files(folder: Path, wanted: dict[str, bytes]) -> set[str]:
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            # PEM breaks its lines.
            data = path.read_bytes().replace(b"\n", b"")
            found |= {name for name, form in wanted.items() if form in data}
    return found


HOLDER = """
import sys, time
from cryptography.hazmat.primitives.serialization import load_der_private_key
key = load_der_private_key(sys.stdin.buffer.read(), None)
print("held", flush=True)
time.sleep(60)
"""


def private_key_of(person: dict[str, Any]) -> Any:
    key, _, _ = pkcs12.load_key_and_certificates(person["file"].read_bytes(), SECRET.encode())
    return key


def test_no_partys_key_is_in_the_servers_memory_files_or_settings(signed: World) -> None:
    wanted: dict[str, bytes] = {}
    for name, person in signed.people.items():
        wanted |= {
            f"{name}.{form}": data for form, data in forms_of(private_key_of(person)).items()
        }
    for process in (signed.server, signed.ca):
        assert seen_in_memory(process.pid, wanted) == set()
    for home in (signed.home, signed.ca_home):
        assert seen_in_files(home, wanted) == set()
    assert not [
        form
        for form in wanted.values()
        for one in signed.environment.values()
        if form in one.encode()
    ]


def test_the_same_search_finds_the_keys_that_are_there(signed: World) -> None:
    # The positive control: without it the search above could be blind.
    root = load_pem_private_key((signed.ca_home / "ca" / "root.pem").read_bytes(), None)
    assert isinstance(root, ec.EllipticCurvePrivateKey)
    assert seen_in_memory(signed.ca.pid, forms_of(root)) & {"d.little", "d.big"}
    assert "base64.0" in seen_in_files(signed.ca_home, forms_of(root))
    log_key = (signed.home / "keys" / "log.key").read_bytes()
    assert seen_in_memory(signed.server.pid, {"log": log_key}) == {"log"}
    # A party's own key, planted in a file of the server's home, is found there as well.
    party = private_key_of(signed.people["maker"])
    planted = signed.home / "planted"
    planted.write_bytes(party.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        assert seen_in_files(signed.home, forms_of(party)) >= {"base64.0"}
    finally:
        planted.unlink()
    # And planted in the memory of a process, it is seen there in the form OpenSSL keeps it in.
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(party.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        holder.stdin.close()
        assert holder.stdout.readline() == b"held\n"
        assert seen_in_memory(holder.pid, forms_of(party)) & {"d.little", "d.big"}
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    # And the authority's key is not with the server, which cannot certify anybody by itself.
    assert seen_in_memory(signed.server.pid, forms_of(root)) == set()
    assert not (signed.home / "ca").exists()


def test_with_every_key_of_both_homes_nobody_signs_as_a_party(signed: World) -> None:
    people = list(signed.people.values())
    signed.agreement_id = upload(signed, people)
    first, _second = signers_of(signed, people[0])
    person, other = people
    for who, signer_id in zip(people, signers_of(signed, people[0]), strict=True):
        remote = who["remote"]
        remote.post(f"/api/v1/signers/{signer_id}/open", {})
        remote.post(f"/api/v1/signers/{signer_id}/read", {"pages": 1, "seconds": 30})
        acts = ("consent", "sign") if who is person else ("consent",)
        for act in acts:
            made = remote.post(f"/api/v1/signers/{signer_id}/statements", {"act": act})
            proof = FileSigner.load(who["file"], SECRET).sign(
                base64.b64decode(made["message_base64"])
            )
            text = base64.b64encode(proof).decode()
            remote.post(f"/api/v1/statements/{made['id']}/affirm", {"signature_base64": text})
    del other
    # Even the party's own session does not help: only its key is missing.
    prepared = person["remote"].post(f"/api/v1/signers/{first}/signature/prepare", {})
    attributes = base64.b64decode(prepared["signed_attrs_base64"])
    tried = 0
    for home in (signed.home, signed.ca_home):
        for path in home.rglob("*.pem"):
            key = load_pem_private_key(path.read_bytes(), None) if "sm2" not in str(path) else None
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                continue
            forged = key.sign(attributes, ec.ECDSA(hashes.SHA256()))
            with pytest.raises(ConflictError) as caught:
                person["remote"].post(
                    f"/api/v1/prepared/{prepared['id']}/complete",
                    {"signature_base64": base64.b64encode(forged).decode()},
                )
            assert caught.value.context["refusal"] == "pdf.signature_mismatch"
            tried += 1
    assert tried >= 1
    # The step itself was in order: with the party's own key it goes through.
    good = FileSigner.load(person["file"], SECRET).sign(attributes)
    done = person["remote"].post(
        f"/api/v1/prepared/{prepared['id']}/complete",
        {"signature_base64": base64.b64encode(good).decode()},
    )
    assert done["state"] == "signing"
