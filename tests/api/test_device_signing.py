"""The steps of the browser, done by a Python twin: key, request, statement, signature; and each refusal."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.testing import invented_pdf
from ledger.core.canonical import canonical_bytes
from ledger.core.ids import new_id
from signing.keys.p256 import der_from_raw

STATIC = Path(__file__).resolve().parents[2] / "api" / "web" / "static"
PAGES = 2
OTHER_SITE = {"Origin": "https://elsewhere.invalid"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def tlv(tag: int, *parts: bytes) -> bytes:
    """As der.js writes it, for bodies up to 65 535 bytes."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes(2, "big").lstrip(b"\0")
    return bytes([tag, 0x80 | len(size)]) + size + body


@dataclass
class Device:
    """What WebCrypto does: a key, and signatures as the 64 bytes r || s."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def raw(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, data: bytes) -> bytes:
        return der_from_raw(self.raw(data))

    def request(self, name: str, *, signer: Device | None = None, raw: bool = False) -> bytes:
        """The request as device.js assembles it."""
        common_name = tlv(
            0x30, tlv(0x31, tlv(0x30, bytes.fromhex("0603550403"), tlv(0x0C, name.encode())))
        )
        info = tlv(0x30, bytes.fromhex("020100"), common_name, self.spki, tlv(0xA0))
        by = signer or self
        signature = by.raw(info) if raw else by.sign(info)
        algorithm = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
        return tlv(0x30, info, algorithm, tlv(0x03, b"\0", signature))


@pytest.fixture(scope="module")
def devices(world: Any) -> dict[str, Device]:
    found = {}
    for login in ("donor", "hospital"):
        device = Device()
        answer = world.client(login).post(
            "/api/v1/certificates", json={"csr_base64": b64(device.request(login))}
        )
        assert answer.status_code == 201, answer.text
        found[login] = device
    return found


def upload(world: Any, **changes: str) -> Any:
    """Send the form of the page."""
    client = world.client("donor")
    values = {
        "attempt": new_id("agr", at=world.clock.at),
        "title": "虚构捐赠协议",
        "matter": "donation",
        "no_amount": "yes",
        "expires_on": "2026-12-20",
        "who_1": world.donor.person_id,
        "role_1": "donor",
        "who_2": "hospital",
        "role_2": "recipient",
        "role_3": "party",
        **changes,
    }
    return client.post(
        "/agreements/upload",
        data=values,
        files={"file": ("a.pdf", invented_pdf(pages=PAGES), "application/pdf")},
        headers={"Accept": "text/html"},
        follow_redirects=False,
    )


@pytest.fixture
def agreement(world: Any) -> dict[str, Any]:
    answer = upload(world)
    assert answer.status_code == 303, answer.text
    agreement_id = answer.headers["location"].rsplit("/", 1)[1]
    return dict(world.client("donor").get(f"/api/v1/agreements/{agreement_id}").json())


def signer_of(agreement: dict[str, Any], position: int) -> str:
    return str(agreement["signers"][position - 1]["id"])


def statement_bytes(made: dict[str, Any]) -> bytes:
    """The bytes made anew from the JSON the server sent, never from its base64."""
    return made["statement"]["v"].encode() + b"\0" + canonical_bytes(made["statement"])


def affirm(client: Any, device: Device, signer: str, act: str) -> Any:
    made = client.post(f"/api/v1/signers/{signer}/statements", json={"act": act}).json()
    message = statement_bytes(made)
    assert message == base64.b64decode(made["message_base64"])
    body = {"signature_base64": b64(device.sign(message))}
    first = client.post(f"/api/v1/statements/{made['id']}/affirm", json=body)
    again = client.post(f"/api/v1/statements/{made['id']}/affirm", json=body)
    assert (first.status_code, first.json()) == (200, again.json())
    return first


def read(client: Any, signer: str) -> None:
    for _ in range(2):
        assert client.post(f"/api/v1/signers/{signer}/open").status_code == 200
        answer = client.post(f"/api/v1/signers/{signer}/read", json={"pages": PAGES, "seconds": 41})
        assert answer.status_code == 200, answer.text


def test_the_twin_signs_to_formed_and_every_step_may_be_sent_twice(
    world: Any, devices: dict[str, Device], agreement: dict[str, Any]
) -> None:
    for position, login in enumerate(("donor", "hospital"), start=1):
        client, signer = world.client(login), signer_of(agreement, position)
        read(client, signer)
        affirm(client, devices[login], signer, "consent")
    for position, login in enumerate(("donor", "hospital"), start=1):
        client, signer, device = world.client(login), signer_of(agreement, position), devices[login]
        affirm(client, device, signer, "sign")
        prepared = client.post(f"/api/v1/signers/{signer}/signature/prepare").json()
        again = client.post(f"/api/v1/signers/{signer}/signature/prepare").json()
        assert again == prepared
        attributes = base64.b64decode(prepared["signed_attrs_base64"])
        [certificate] = client.get("/api/v1/certificates").json()
        # What statement.js looks for before the device signs.
        assert attributes[0] == 0x31
        assert bytes.fromhex(prepared["document_digest"]) in attributes
        assert bytes.fromhex(certificate["sha256"]) in attributes
        body = {"signature_base64": b64(device.sign(attributes))}
        path = f"/api/v1/prepared/{prepared['id']}/complete"
        done = client.post(path, json=body)
        assert done.status_code == 200, done.text
        assert (
            client.post(path, json=body).json()["current_sha256"] == done.json()["current_sha256"]
        )
    facts = world.client("donor").get(f"/api/v1/agreements/{agreement['id']}").json()
    assert facts["state"] == "formed"
    types = [one["type"] for one in facts["entries"]]
    assert [
        types.count(one) for one in ("document.opened", "document.read", "intent.expressed")
    ] == [
        2,
        2,
        4,
    ]
    pdf = world.client("donor").get(f"/api/v1/agreements/{agreement['id']}/revisions/2").content
    report = world.anyone.post("/api/v1/verify", files={"file": ("a.pdf", pdf)}).json()
    assert report["verdict"] == "passed"


def test_a_raw_signature_is_refused_where_der_is_wanted(
    world: Any, devices: dict[str, Device], agreement: dict[str, Any]
) -> None:
    client, signer = world.client("donor"), signer_of(agreement, 1)
    read(client, signer)
    made = client.post(f"/api/v1/signers/{signer}/statements", json={"act": "consent"}).json()
    raw = b64(devices["donor"].raw(statement_bytes(made)))
    answer = client.post(f"/api/v1/statements/{made['id']}/affirm", json={"signature_base64": raw})
    assert (answer.status_code, answer.json()["code"]) == (422, "intent.proof")


def test_a_changed_statement_is_refused(
    world: Any, devices: dict[str, Device], agreement: dict[str, Any]
) -> None:
    client, signer = world.client("donor"), signer_of(agreement, 1)
    read(client, signer)
    made = client.post(f"/api/v1/signers/{signer}/statements", json={"act": "consent"}).json()
    made["statement"]["text_zh"] += "（另加一句）"
    proof = b64(devices["donor"].sign(statement_bytes(made)))
    answer = client.post(
        f"/api/v1/statements/{made['id']}/affirm", json={"signature_base64": proof}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "intent.proof")


def test_the_certificates_name_the_key_newest_first(world: Any, devices: dict[str, Device]) -> None:
    [row] = world.client("hospital").get("/api/v1/certificates").json()
    digest = hashes.Hash(hashes.SHA256())
    digest.update(devices["hospital"].spki)
    assert row["spki_sha256"] == digest.finalize().hex()
    assert len(row["serial"]) == 40
    assert world.client("operator").get("/api/v1/certificates").json()["code"] == "auth.role"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda d: d.request("x", signer=Device()), "ca.csr_signature"),
        (lambda d: d.request("x", raw=True), "ca.csr_signature"),
        (lambda d: d.request("x")[:-1], "ca.csr_malformed"),
        (lambda d: d.request("x") + b"\0", "ca.csr_malformed"),
    ],
    ids=["another key", "raw signature", "cut", "trailing byte"],
)
def test_a_request_that_its_own_key_did_not_sign_is_refused(
    world: Any, make: Any, code: str
) -> None:
    answer = world.client("donor").post(
        "/api/v1/certificates", json={"csr_base64": b64(make(Device()))}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_no_step_is_taken_from_another_site(world: Any, agreement: dict[str, Any]) -> None:
    signer = signer_of(agreement, 1)
    for path, body in (
        ("/api/v1/certificates", {"csr_base64": "AAAA"}),
        (f"/api/v1/signers/{signer}/open", {}),
        (f"/api/v1/signers/{signer}/read", {"pages": PAGES, "seconds": 1}),
        (f"/api/v1/signers/{signer}/statements", {"act": "consent"}),
        (f"/api/v1/signers/{signer}/signature/prepare", {}),
        (f"/agreements/{agreement['id']}/withdraw", {"reason": "x"}),
    ):
        answer = world.client("donor").post(path, json=body, headers=OTHER_SITE)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf.origin"), path


def test_only_a_named_signer_gets_the_signing_page(world: Any, agreement: dict[str, Any]) -> None:
    path = f"/agreements/{agreement['id']}/sign"
    page = world.client("hospital").get(path)
    assert page.status_code == 200
    assert page.text.count("data-page=") == PAGES
    assert "此操作不能撤销" in page.text
    assert "This cannot be undone" in world.client("hospital").get(f"{path}?lang=en").text
    world.client("hospital").cookies.delete("fuqi_lang")
    assert world.anyone.get(path).status_code == 401


def test_the_sender_can_withdraw_and_nobody_else(world: Any, agreement: dict[str, Any]) -> None:
    path = f"/agreements/{agreement['id']}/withdraw"
    refused = world.client("hospital").post(path, data={"reason": "虚构"})
    assert (refused.status_code, refused.json()["code"]) == (403, "agreement.not_initiator")
    done = world.client("donor").post(path, data={"reason": "虚构"}, follow_redirects=False)
    assert done.status_code == 303
    facts = world.client("hospital").get(f"/api/v1/agreements/{agreement['id']}").json()
    assert (facts["state"], facts["ended_reason"]) == ("withdrawn", "虚构")


def test_modules_are_never_stale_and_addresses_with_a_digest_are_kept(world: Any) -> None:
    plain = world.anyone.get("/static/device.js")
    assert plain.headers["cache-control"] == "public, no-cache"
    assert plain.headers["content-type"].startswith("text/javascript")
    tag = {"If-None-Match": plain.headers["etag"]}
    assert world.anyone.get("/static/device.js", headers=tag).status_code == 304
    version = plain.headers["etag"].strip('"')
    exact = world.anyone.get(f"/static/device.js?v={version}")
    assert "immutable" in exact.headers["cache-control"]
    assert "no-cache" in world.anyone.get("/static/device.js?v=0").headers["cache-control"]


VALUES: list[Any] = [
    {"b": 1, "a": [True, None, '虚构\n\t"\\/\u2028\x7f\x1f😀'], "aa": {"": -5}},
    "\u00e9\ufb33",
    2**53 - 1,
    -(2**53 - 1),
    [],
    {},
]


def in_node(code: str, tmp_path: Path) -> str:
    """Run a module beside copies of ours."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine; the browser tests run the same modules in Chromium")
    for name in ("encoding.js", "der.js"):
        shutil.copy(STATIC / name, tmp_path / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "test.js").write_text(code)
    done = subprocess.run(
        [node, "test.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_browser_writes_canonical_json_as_the_server_does(tmp_path: Path) -> None:
    out = in_node(
        f"""import {{ canonicalBytes, toHex }} from "./encoding.js";
        for (const value of {json.dumps(VALUES)}) console.log(toHex(canonicalBytes(value)));
        for (const bad of [1.5, 2 ** 53, -0, "\\ud800", {{ "é": 1 }}, undefined]) {{
          try {{ canonicalBytes(bad); console.log("taken"); }} catch {{ console.log("refused"); }}
        }}""",
        tmp_path,
    ).split()
    assert out[: len(VALUES)] == [canonical_bytes(value).hex() for value in VALUES]
    assert out[len(VALUES) :] == ["refused"] * 6


def test_the_browser_writes_der_as_the_server_does(tmp_path: Path) -> None:
    raws = [
        bytes(31) + b"\x01" + b"\x7f" + b"\xff" * 31,
        b"\x80" + bytes(31) + b"\x7f" + bytes(31),
        b"\x00\x80" + bytes(30) + bytes(30) + b"\x01\x00",
    ]
    device = Device()
    out = in_node(
        f"""import {{ certificateRequest, ecdsaDer }} from "./der.js";
        import {{ fromHex, toHex }} from "./encoding.js";
        for (const raw of {json.dumps([raw.hex() for raw in raws])}) console.log(toHex(ecdsaDer(fromHex(raw))));
        const spki = fromHex("{device.spki.hex()}"), raw = fromHex("{raws[1].hex()}");
        console.log(toHex(await certificateRequest({{
          spki, commonName: "pty_虚构", sign: async () => ecdsaDer(raw) }})));""",
        tmp_path,
    ).split()
    assert out[:3] == [der_from_raw(raw).hex() for raw in raws]
    request = x509.load_der_x509_csr(bytes.fromhex(out[3]))
    assert request.subject.rfc4514_string() == "CN=pty_虚构"
    assert request.public_bytes(Encoding.DER).hex() == out[3]
    assert request.signature == der_from_raw(raws[1])
