"""Production: it starts only with everything external, and then two parties sign and a stranger verifies.

Seven processes: certificate authority, time-stamp authority, verification service, node, two servers, worker;
and a private PostgreSQL.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp
from pydantic import ValidationError
from typer.testing import CliRunner

from api.callers import Role
from api.cli import build
from api.compose import open_ports
from api.compose_production import require_production
from api.flows.access import create_account
from api.runtime import demo_settings, load_settings
from api.settings import Settings, production_lacks
from api.testing import PASSWORD, invented_pdf
from ledger.chain_key import OperatorKey
from ledger.core.errors import InputError
from ledger.core.ids import new_id
from ledger.store import transaction
from signing.ca import CertificateSubject
from signing.embedded import validation_data_of
from signing.identity import MockProvider
from signing.keys.device import DeviceKey
from signing.numbers import organisation_check, resident_id_check, uscc_check
from signing.providers.identity_messages import MockMessenger

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
ANVIL = ROOT / "node_modules" / ".bin" / "anvil"
HOST = "fuqi.example"
START_SECONDS = 120
FINAL_SECONDS = 120
# A county that does not exist in a province that does: nobody carries such a number, and nothing marks it.
REGION = "659900"


# ------------------------------------------------------------------ settings
def complete(folder: Path, **changed: str | None) -> dict[str, str]:
    """Settings of a production installation; `None` leaves one out."""
    values: dict[str, str | None] = {
        "FUQI_PRODUCTION": "true",
        "FUQI_HOME": str(folder / "home"),
        "FUQI_PUBLIC_URL": f"https://{HOST}",
        "FUQI_OPERATOR_NAME": "测试运营者",
        "FUQI_LOG_ORIGIN": f"log.{HOST}/fuqi",
        "FUQI_DATABASE_URL": "postgresql://fuqi:a-database-password@db.example/fuqi",
        "FUQI_CHAIN_URL": "http://node.example:8545",
        "FUQI_CHAIN_KEY_FILE": str(folder / "chain.key"),
        "FUQI_CA_URL": "https://ca.example",
        "FUQI_CA_TOKEN_FILE": str(folder / "ca.token"),
        "FUQI_CA_ROOTS": str(folder / "ca" / "root.crt"),
        "FUQI_OCSP_URLS": "https://ca.example/ocsp",
        "FUQI_TSA_URLS": "https://tsa.example/tsa",
        "FUQI_TSA_ROOTS": str(folder / "tsa" / "root.crt"),
        "FUQI_IDENTITY_PROVIDER": "http",
        "FUQI_IDENTITY_URLS": "https://names.example",
        "FUQI_IDENTITY_SECRET_FILE": str(folder / "identity.secret"),
    }
    values |= changed
    return {name: value for name, value in values.items() if value is not None}


def loaded(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> Settings:
    for name in [name for name in os.environ if name.startswith("FUQI_")]:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_production_names_every_missing_piece_in_one_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        loaded(monkeypatch, {"FUQI_PRODUCTION": "true", "FUQI_DEMO": "true"})
    assert caught.value.error_code == "settings.production"
    for name in complete(tmp_path):
        if name not in ("FUQI_PRODUCTION", "FUQI_HOME"):
            assert name in caught.value.message, name
    assert "FUQI_DEMO" in caught.value.message


def test_production_with_every_piece_is_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = loaded(monkeypatch, complete(tmp_path))
    assert settings.production
    assert production_lacks(settings) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, None)
            for name in complete(Path())
            if name not in ("FUQI_PRODUCTION", "FUQI_HOME")
        ),
        ("FUQI_DATABASE_URL", "sqlite:///x.sqlite3"),
        ("FUQI_PUBLIC_URL", f"http://{HOST}"),
        ("FUQI_PUBLIC_URL", "https://localhost"),
        ("FUQI_PUBLIC_URL", f"https://{HOST}/fuqi"),
        ("FUQI_LOG_ORIGIN", "log.example.invalid/fuqi"),
        ("FUQI_CA_URL", "http://ca.example"),
        ("FUQI_CA_URL", "https://ca.example http://second.example"),
        ("FUQI_IDENTITY_PROVIDER", "mock"),
        ("FUQI_IDENTITY_PROVIDER", "manual"),
        ("FUQI_DEMO", "true"),
    ],
)
def test_each_piece_that_lacks_is_refused_by_itself(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        loaded(monkeypatch, complete(tmp_path, **{name: value}))
    assert caught.value.error_code == "settings.production"
    assert name in caught.value.message
    # One thing lacks, one thing is said.
    assert caught.value.message.count("FUQI_") == 1


def test_a_demonstration_is_refused_in_production_and_no_password_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded(monkeypatch, complete(tmp_path))
    with pytest.raises(InputError) as caught:
        demo_settings()
    assert caught.value.error_code == "settings.production"
    with pytest.raises(InputError) as caught:
        loaded(monkeypatch, complete(tmp_path, FUQI_DEMO="a-database-password"))
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, ValidationError) or error.__context__ is None
        assert "a-database-password" not in str(error)
        error = error.__cause__


# ------------------------------------------------------------------ the processes
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Client:
    """Talks to one server as a reverse proxy on this machine does."""

    port: int
    cookie: str = ""
    key: str = ""
    host: str = HOST
    address: str = "203.0.113.7"
    answers: list[http.client.HTTPResponse] = field(default_factory=list)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        more: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {
            "Host": self.host,
            "X-Forwarded-For": self.address,
            "X-Forwarded-Proto": "https",
            "Origin": f"https://{HOST}",
            **({"Cookie": self.cookie} if self.cookie else {}),
            **({"Authorization": f"Bearer {self.key}"} if self.key else {}),
            **({} if body is None else {"Content-Type": kind}),
            **(more or {}),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data

    def get(self, path: str) -> Any:
        status, _, data = self.send("GET", path)
        assert status == 200, data
        return json.loads(data)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        status, _, data = self.send("POST", path, json.dumps(body).encode())
        assert status in (200, 201), data
        return json.loads(data)


@dataclass
class World:
    folder: Path
    environment: dict[str, str]
    ports: list[int]
    processes: list[subprocess.Popen[bytes]]
    secrets: dict[str, str]
    people: list[dict[str, Any]] = field(default_factory=list)
    agreement_id: str = ""

    def client(self, server: int = 0) -> Client:
        return Client(self.ports[server])


def fuqi(*words: str) -> Any:
    return CliRunner().invoke(build(words[0]), list(words))


def inherited(environment: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUQI_")}
    return {**kept, "PYTHONPATH": str(ROOT), **environment}


def start(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=output, env=inherited(environment or {}), cwd=ROOT
        )


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"{log.name}: {log.read_text(errors='replace')[-3000:]}")


def rpc(port: int, method: str, *params: Any) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[World]:
    if shutil.which("node") is None or not ANVIL.exists():
        pytest.skip("anvil is not installed: run `make setup-test`")
    folder = tmp_path_factory.mktemp("production")
    database = "production_" + secrets.token_hex(4)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")
    hidden = {name: secrets.token_urlsafe(32) for name in ("ca.token", "identity.secret")}
    for name, value in hidden.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    key = OperatorKey.load_or_create(folder / "chain.key")
    ports = {name: free_port() for name in ("ca", "tsa", "names", "node", "web1", "web2")}
    here = Path(__file__).parent
    python = sys.executable
    authority, names = str(here / "authority_service.py"), str(here / "identity_service.py")
    token, secret = str(folder / "ca.token"), str(folder / "identity.secret")
    chain = [str(ANVIL), "--host", "127.0.0.1", "--silent", "--hardfork", "osaka"]
    chain += ["--slots-in-an-epoch", "1", "--block-time", "1"]
    commands = {
        "ca": [python, authority, "ca", str(ports["ca"]), str(folder / "ca"), token],
        "tsa": [python, authority, "tsa", str(ports["tsa"]), str(folder / "tsa")],
        "names": [python, names, str(ports["names"]), secret, str(folder / "names.asked")],
        "node": [*chain, "--port", str(ports["node"])],
    }
    local = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environment = complete(
        folder,
        FUQI_DATABASE_URL=postgres_server.replace("/postgres?", f"/{database}?"),
        FUQI_CHAIN_URL=local["node"],
        FUQI_CA_URL=local["ca"],
        FUQI_OCSP_URLS=f"http://127.0.0.1:9/dead {local['ca']}/pki/ocsp",
        FUQI_TSA_URLS=f"http://127.0.0.1:9/dead {local['tsa']}/tsa",
        FUQI_IDENTITY_URLS=local["names"],
        FUQI_IDENTITY_KINDS="person_name_number organisation_name_code organisation_representative",
        FUQI_OUTSIDE_PRIVATE="true",
        FUQI_ANCHOR_INTERVAL_SECONDS="1",
    )
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            processes[name] = start(command, folder / f"{name}.log")
        for name in commands:
            wait_for_port(ports[name], processes[name], folder / f"{name}.log")
        rpc(ports["node"], "anvil_setBalance", key.address_hex, hex(10**21))
        serve = [python, "-m", "api.cli", "serve", "--no-worker", "--port"]
        for name in ("web1", "web2"):
            processes[name] = start([*serve, str(ports[name])], folder / f"{name}.log", environment)
            wait_for_port(ports[name], processes[name], folder / f"{name}.log")
        processes["worker"] = start(
            [python, "-m", "api.cli", "worker"], folder / "worker.log", environment
        )
        yield World(
            folder,
            environment,
            [ports["web1"], ports["web2"]],
            list(processes.values()),
            {**hidden, "chain.key": (folder / "chain.key").read_text().strip()},
        )
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            process.kill()
            process.wait()
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


def person_number(serial: int) -> str:
    body = f"{REGION}{date(1990, 1, 1):%Y%m%d}{serial:03d}"
    return body + resident_id_check(body)


def organisation_number(serial: int) -> str:
    inner = f"{serial:08d}"
    body = f"91{REGION}{inner}{organisation_check(inner)}"
    return body + uscc_check(body)


def register(
    world: World, name: str, category: str, serial: int, *, representative: bool
) -> dict[str, Any]:
    at = datetime.now(UTC)
    organisation, person = new_id("pty", at=at), new_id("pty", at=at)
    client = world.client()
    body = {
        "organisation_id": organisation,
        "category": category,
        "name": f"测试{name}有限公司",
        "credit_code": organisation_number(serial),
        "place": "武汉",
        "receiving_system": f"{name}@example.invalid",
        "handler": {
            "person_id": person,
            "account_id": new_id("acc", at=at),
            "authorisation_id": new_id("aut", at=at),
            "name": "测试人",
            "resident_id": person_number(serial),
            "consent_id": new_id("cst", at=at),
            "login": name,
            "password": PASSWORD,
            "invented": False,
        },
        "representative": representative,
    }
    client.post("/api/v1/register", body)
    status, headers, data = client.send(
        "POST", "/api/v1/login", json.dumps({"login": name, "password": PASSWORD}).encode()
    )
    assert status == 200, data
    cookie = headers["set-cookie"]
    assert {"Secure", "HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
    client.cookie = cookie.partition(";")[0]
    key = DeviceKey.create()
    subject = CertificateSubject(common_name="測", organisation=None, reference="x")
    csr = base64.b64encode(key.csr(subject)).decode()
    client.post("/api/v1/certificates", {"csr_base64": csr})
    return {"organisation": organisation, "person": person, "client": client, "key": key}


def multipart(agreement: dict[str, Any], pdf: bytes) -> tuple[bytes, str]:
    mark = secrets.token_hex(8)
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="agreement"\r\n\r\n'
        f"{json.dumps(agreement)}\r\n--{mark}\r\n"
        'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    )
    data = head.encode() + pdf + f"\r\n--{mark}--\r\n".encode()
    return data, f"multipart/form-data; boundary={mark}"


def affirm(person: dict[str, Any], signer_id: str, act: str) -> None:
    client = person["client"]
    made = client.post(f"/api/v1/signers/{signer_id}/statements", {"act": act})
    proof = person["key"].sign(base64.b64decode(made["message_base64"]))
    text = base64.b64encode(proof).decode()
    client.post(f"/api/v1/statements/{made['id']}/affirm", {"signature_base64": text})


@pytest.fixture(scope="module")
def signed(world: World) -> World:
    """Two organisations sign an agreement, each with a key on its own side; requests go to both servers."""
    world.people = [
        register(world, "donor", "donor", 11, representative=False),
        register(world, "clinic", "hospital", 12, representative=True),
    ]
    # The second party is served by the other process: nothing is kept in one of them.
    world.people[1]["client"].port = world.ports[1]
    world.agreement_id, places = publish(world, amount_minor=500_000)
    for person, signer_id in zip(world.people, places, strict=True):
        client = person["client"]
        client.post(f"/api/v1/signers/{signer_id}/open", {})
        client.post(f"/api/v1/signers/{signer_id}/read", {"pages": 1, "seconds": 30})
        affirm(person, signer_id, "consent")
    for person, signer_id in zip(world.people, places, strict=True):
        client = person["client"]
        affirm(person, signer_id, "sign")
        made = client.post(f"/api/v1/signers/{signer_id}/signature/prepare", {})
        signature = person["key"].sign(base64.b64decode(made["signed_attrs_base64"]))
        text = base64.b64encode(signature).decode()
        client.post(f"/api/v1/prepared/{made['id']}/complete", {"signature_base64": text})
    return world


def publish(world: World, *, amount_minor: int | None) -> tuple[str, list[str]]:
    """An agreement of both, and its places."""
    at = datetime.now(UTC)
    agreement = {
        "id": new_id("agr", at=at),
        "title": "测试捐赠协议",
        "matter": "donation",
        "amount_minor": amount_minor,
        "no_amount": amount_minor is None,
        "expires_at": (at + timedelta(days=10)).isoformat(),
        "signers": [
            {"organisation_id": one["organisation"], "person_id": one["person"], "role": role}
            for one, role in zip(world.people, ("donor", "recipient"), strict=True)
        ],
    }
    body, kind = multipart(agreement, invented_pdf(pages=1))
    first = world.people[0]["client"]
    status, _, data = first.send("POST", "/api/v1/agreements/upload", body, kind=kind)
    assert status == 201, data
    facts = first.get(f"/api/v1/agreements/{agreement['id']}")
    return str(agreement["id"]), [str(one["id"]) for one in facts["signers"]]


def exported(world: World) -> bytes:
    client = world.people[0]["client"]
    body = {"id": new_id("bun", at=datetime.now(UTC))}
    path = f"/api/v1/agreements/{world.agreement_id}/bundles"
    until = time.monotonic() + FINAL_SECONDS
    while True:
        status, _, data = client.send("POST", path, json.dumps(body).encode())
        if status == 201:
            break
        assert json.loads(data)["code"] == "bundle.not_final", data
        assert time.monotonic() < until, "nothing became final"
        time.sleep(0.5)
    status, _, data = client.send("GET", f"/api/v1/bundles/{body['id']}")
    assert status == 200, data
    return data


def test_two_parties_sign_in_production_and_a_stranger_verifies_the_bundle_offline(
    signed: World,
) -> None:
    client = signed.people[0]["client"]
    facts = client.get(f"/api/v1/agreements/{signed.agreement_id}")
    assert facts["state"] == "formed"
    assert not facts["demo"]
    data = exported(signed)
    (signed.folder / "bundle.zip").write_bytes(data)
    # Pinned by another way than the bundle; here, for want of a notary, from the page.
    (signed.folder / "trust.json").write_bytes(client.send("GET", "/api/v1/trust")[2])
    trust = ["--trust", str(signed.folder / "trust.json")]
    # As a stranger: the command needs no setting and no database, and shuts out the network by itself.
    done = fuqi("bundle", "verify", str(signed.folder / "bundle.zip"), *trust, "--json")
    report = json.loads(done.stdout)
    odd = {one["code"]: one["verdict"] for one in report["checks"] if one["verdict"] != "passed"}
    # A development node names no validators: that its block is final, no evidence can show. All else passes.
    assert (done.exit_code, odd) == (3, {"anchor.chain": "indeterminate"}), report
    (held,) = (one for one in report["checks"] if one["code"] == "signer.authorisation")
    assert sorted(held["details"]["bases"].values()) == ["declared", "statutory"]
    assert "declared authority only" in held["summary_en"]
    broken = bytearray(data)
    broken[len(broken) // 2] ^= 1
    (signed.folder / "broken.zip").write_bytes(bytes(broken))
    assert fuqi("bundle", "verify", str(signed.folder / "broken.zip"), *trust).exit_code == 1
    shown = json.loads(fuqi("bundle", "show", str(signed.folder / "bundle.zip"), "--json").stdout)
    labels = {name for name in shown if name.startswith("label ")}
    # It rests on nothing embedded, mock or demonstrated, and says so of nothing.
    assert labels == {"label platform.unlicensed"}, labels
    receipt = client.get(f"/api/v1/entries/{facts['entries'][-1]['id']}/receipt")
    assert receipt["anchor"]["evidence"]["kind"] != "embedded"


@pytest.mark.parametrize("amount_minor", [None, 1_000_000])
def test_what_nobody_signed_covers_no_larger_and_no_unstated_amount(
    signed: World, amount_minor: int | None
) -> None:
    _, (place, _) = publish(signed, amount_minor=amount_minor)
    donor = signed.people[0]
    client = donor["client"]
    client.post(f"/api/v1/signers/{place}/open", {})
    client.post(f"/api/v1/signers/{place}/read", {"pages": 1, "seconds": 30})
    body = json.dumps({"act": "consent"}).encode()
    status, _, data = client.send("POST", f"/api/v1/signers/{place}/statements", body)
    if status == 201:
        made = json.loads(data)
        proof = base64.b64encode(donor["key"].sign(base64.b64decode(made["message_base64"])))
        body = json.dumps({"signature_base64": proof.decode()}).encode()
        status, _, data = client.send("POST", f"/api/v1/statements/{made['id']}/affirm", body)
    assert (status, json.loads(data)["code"]) == (403, "authority.not_signed")


def test_the_archived_file_carries_lists_and_answers_of_the_external_authority(
    signed: World,
) -> None:
    until = time.monotonic() + FINAL_SECONDS
    while True:
        with zipfile.ZipFile(io.BytesIO(exported(signed))) as opened:
            archived = [name for name in opened.namelist() if "archive" in name]
            held = [opened.read(name) for name in archived if name.endswith(".pdf")]
        if held:
            break
        assert time.monotonic() < until, "nothing was archived"
        time.sleep(1)
    store = validation_data_of(held[0])
    authority = (signed.folder / "ca" / "root.der").read_bytes()
    issuer = x509.load_der_x509_certificate(authority).subject
    lists = [x509.load_der_x509_crl(one) for one in store.crls]
    assert issuer in [one.issuer for one in lists]
    # One answer for each signer's certificate, and both are good.
    answers = [x509_ocsp.load_der_ocsp_response(one) for one in store.ocsps]
    assert [one.certificate_status.name for one in answers] == ["GOOD", "GOOD"]
    assert len({one.serial_number for one in answers}) == 2


def test_pages_and_health_say_what_the_installation_rests_on(world: World) -> None:
    client = world.client()
    status, headers, page = client.send("GET", "/?lang=en")
    text = page.decode()
    assert status == 200
    assert "external certificate authority: 127.0.0.1" in text
    assert "external chain" in text
    for word in ("built-in", "embedded", "mock", "DEMONSTRATION"):
        assert word not in text, word
    facts = client.get("/api/v1/health")
    assert facts["production"] is True
    assert facts["rests_on"]["tsa"] == "127.0.0.1"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "Secure" in headers["set-cookie"]
    form = client.send("GET", "/register")[2].decode()
    assert 'name="invented"' not in form


def test_other_hosts_and_origins_are_refused_in_production(world: World) -> None:
    for host, path, wanted in (
        ("elsewhere.example", "/", 400),
        ("127.0.0.1", "/", 400),
        ("127.0.0.1", "/api/v1/health", 200),
        (HOST, "/", 200),
    ):
        client = world.client()
        client.host = host
        assert client.send("GET", path)[0] == wanted, (host, path)
    body = json.dumps({"login": "nobody", "password": PASSWORD}).encode()
    for origin in ("https://elsewhere.example", f"http://{HOST}"):
        status, _, data = world.client().send(
            "POST", "/api/v1/login", body, more={"Origin": origin}
        )
        assert (status, json.loads(data)["code"]) == (403, "csrf.origin")


def test_nobody_who_was_made_up_is_registered_in_production(world: World) -> None:
    at = datetime.now(UTC)
    body = {
        "organisation_id": new_id("pty", at=at),
        "category": "donor",
        "name": "虚构有限公司",
        "credit_code": organisation_number(99),
        "place": "武汉",
        "receiving_system": "",
        "handler": {
            "person_id": new_id("pty", at=at),
            "account_id": new_id("acc", at=at),
            "authorisation_id": new_id("aut", at=at),
            "name": "虚构人",
            "resident_id": person_number(99),
            "consent_id": new_id("cst", at=at),
            "login": "made-up",
            "password": PASSWORD,
            "invented": True,
        },
    }
    status, _, data = world.client().send("POST", "/api/v1/register", json.dumps(body).encode())
    assert (status, json.loads(data)["code"]) == (422, "identity.invented")


def test_log_in_attempts_are_counted_for_both_servers_together(world: World) -> None:
    body = json.dumps({"login": "guessed", "password": "wrong pass phrase"}).encode()
    seen = []
    for number in range(14):
        client = world.client(number % 2)
        client.address = "203.0.113.100"
        seen.append(client.send("POST", "/api/v1/login", body)[0])
    assert seen == [401] * 10 + [429] * 4
    # Whose name it is, is not locked out of it elsewhere.
    elsewhere = world.client(0)
    elsewhere.address = "203.0.113.101"
    assert elsewhere.send("POST", "/api/v1/login", body)[0] == 401


def test_figures_for_a_supervisor_name_the_address_that_rests(
    signed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, client = datetime.now(UTC), signed.client()
    ports = open_ports(loaded(monkeypatch, signed.environment), at=at)
    with transaction(ports.sessions) as session:
        create_account(
            session,
            account_id=new_id("acc", at=at),
            login="the-operator",
            password=PASSWORD,
            roles=frozenset({Role.OPERATOR}),
            person_id=None,
            organisation_id=None,
            invented=False,
            at=at,
        )
    ports.engine.dispose()
    body = json.dumps({"login": "the-operator", "password": PASSWORD}).encode()
    status, headers, data = client.send("POST", "/api/v1/login", body)
    assert status == 200, data
    assert client.send("GET", "/api/v1/metrics")[0] == 401
    client.cookie = headers["set-cookie"].partition(";")[0]
    # A signature is stamped by this server; the first address of the list is dead and was passed over.
    text = client.send("GET", "/api/v1/metrics")[2].decode()
    assert 'fuqi_outside_resting{authority="tsa"} ' in text
    assert "fuqi_anchored_size " in text
    asked = signed.people[0]["client"]
    assert asked.send("GET", "/api/v1/metrics")[0] == 403


def test_a_server_that_lacks_a_piece_says_so_in_one_line_and_does_not_start(world: World) -> None:
    lacking = {name: value for name, value in world.environment.items() if name != "FUQI_TSA_URLS"}
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "serve", "--port", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        env=inherited(lacking),
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("settings.production: ")
    assert "FUQI_TSA_URLS" in done.stderr
    assert "Traceback" not in done.stderr
    assert world.environment["FUQI_DATABASE_URL"] not in done.stderr


def test_a_database_that_a_demonstration_wrote_into_is_refused(
    signed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(monkeypatch, signed.environment)
    ports = open_ports(settings, at=datetime.now(UTC))
    assert ports.settings.production
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute("UPDATE agreement SET demo = true")
        try:
            with pytest.raises(InputError) as caught:
                require_production(ports)
        finally:
            connection.execute("UPDATE agreement SET demo = false")
    assert caught.value.error_code == "settings.production"
    assert "demonstration" in caught.value.message
    with pytest.raises(InputError) as caught:
        require_production(replace(ports, provider=MockProvider(), messenger=MockMessenger()))
    assert "by a mock or by hand" in caught.value.message
    assert "codes are sent by a mock" in caught.value.message
    ports.engine.dispose()


def test_no_secret_is_in_the_logs_of_any_process(signed: World) -> None:
    text = "".join(path.read_text(errors="replace") for path in signed.folder.glob("*.log"))
    tokens = [one["client"].cookie.partition("=")[2] for one in signed.people]
    for secret in [*signed.secrets.values(), PASSWORD, *tokens, person_number(11)]:
        assert secret
        assert secret not in text
    # The positive control: the logs are read, and they hold what is logged.
    assert (signed.folder / "web1.log").stat().st_size > 0
