"""External authorities by address: what is refused, what is fallen back on, and what is rested."""

import base64
import http.server
import json
import secrets
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import core, ocsp, tsp

from ledger.core.errors import FuqiError, InputError, UnavailableError, VerificationError
from signing.authorities import BuiltInAuthorities
from signing.ca import BuiltInAuthority, CertificateSubject
from signing.keys.pkcs12 import FileSigner
from signing.keys.signers import request_of
from signing.ocsp import OcspResponder, certificate_id, make_request
from signing.providers import outside
from signing.providers.certificates import (
    ExternalAuthority,
    answer_lists,
    answer_request,
    answer_revocation,
)
from signing.providers.outside import Endpoint, Fallback, Message, send
from signing.providers.revocation import ExternalOcsp, read_ocsp
from signing.providers.timestamps import ExternalTimestampAuthority
from signing.sm import sm3
from signing.testing import FIXED_TIME, throwaway_pki
from signing.tsa import OID_POLICY, BuiltInTimestampAuthority

ASK = Message(body=b"?", content_type="text/plain", answer_type="text/plain", answer_bytes_max=100)
PERSON = CertificateSubject(common_name="张三（虚构）", organisation="示例企业（虚构）")
IMPRINT = bytes(range(32))


def code_of(action):
    with pytest.raises(FuqiError) as caught:
        action()
    return caught.value


# ------------------------------------------------------------------ one exchange over a real socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        getattr(self, "on_" + self.path.strip("/").replace("-", "_"))()

    do_GET = do_POST  # noqa: N815 - the name that http.server calls

    def reply(self, status, body=b"fine", kind="text/plain", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def on_fine(self):
        self.reply(200)

    def on_redirect(self):
        self.reply(302, Location=f"http://127.0.0.1:{self.server.server_port}/fine")

    def on_error(self):
        self.reply(500)

    def on_large(self):
        self.reply(200, b"x" * 5000)

    def on_html(self):
        self.reply(200, kind="text/html")

    def on_drip(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                self.server.stopped.wait(0.1)
        except OSError:
            pass

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.stopped = threading.Event()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.stopped.set()
        running.shutdown()
        thread.join()


def local(server, path):
    return Endpoint(f"{server}/{path}", allow_private=True)


def test_an_answer_of_the_right_kind_comes_back(server):
    assert send(local(server, "fine"), ASK) == b"fine"
    got = replace(ASK, body=None, path="/fine")
    assert send(Endpoint(server, allow_private=True), got) == b"fine"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("redirect", "outside.status"),
        ("error", "outside.status"),
        ("large", "outside.too_large"),
        ("html", "outside.answer_type"),
    ],
)
def test_a_redirect_an_error_a_flood_and_another_kind_are_refused(server, path, code):
    assert code_of(lambda: send(local(server, path), ASK)).error_code == code


def test_an_answer_that_drips_ends_at_the_deadline(server, monkeypatch):
    monkeypatch.setattr(outside, "SECONDS", 0.5)
    assert code_of(lambda: send(local(server, "drip"), ASK)).error_code == "outside.unreachable"


def test_nobody_listening_is_an_outage():
    nobody = Endpoint("http://127.0.0.1:9/x", allow_private=True)
    assert code_of(lambda: send(nobody, ASK)).error_code == "outside.unreachable"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "224.0.0.1"]
)
def test_a_name_that_leads_to_a_private_network_is_refused(monkeypatch, address):
    def resolved(_host, port, **_options):
        return [(0, 0, 0, "", (address, port))]

    def never(*_arguments, **_options):
        raise AssertionError("connected to a private address")

    monkeypatch.setattr(outside.socket, "getaddrinfo", resolved)
    monkeypatch.setattr(outside.socket, "create_connection", never)
    refused = code_of(lambda: send(Endpoint("http://tsa.example/"), ASK))
    assert refused.error_code == "outside.private_address"


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch):
    answers = iter(["93.184.216.34", "127.0.0.1"])
    connected = []

    def resolved(_host, port, **_options):
        return [(0, 0, 0, "", (next(answers), port))]

    def connect(address, **_options):
        connected.append(address)
        raise OSError("far away")

    monkeypatch.setattr(outside.socket, "getaddrinfo", resolved)
    monkeypatch.setattr(outside.socket, "create_connection", connect)
    code_of(lambda: send(Endpoint("http://rebinding.example/"), ASK))
    assert connected == [("93.184.216.34", 80)]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "https://",
        "https://user:secret@a.example/",
        "https://a.example/ x",
        "https://例.example/",
        "file:///etc/passwd",
        "https://a.example/#x",
    ],
)
def test_what_is_no_address_of_an_authority_is_refused(url):
    assert code_of(lambda: Endpoint(url)).error_code == "outside.url"


# ------------------------------------------------------------------ fallback and rest
class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def two(behaviour):
    asked, clock = [], Seconds()

    def made(endpoint, _message):
        asked.append(endpoint.host)
        return behaviour(endpoint.host)

    endpoints = [Endpoint("https://a.example/"), Endpoint("https://b.example/")]
    return Fallback(endpoints, send=made, clock=clock), asked, clock


def test_the_second_is_asked_when_the_first_fails_and_the_first_rests():
    def behaviour(host):
        if host == "a.example":
            raise UnavailableError("away", code="outside.unreachable")
        return b"answer"

    fallback, asked, clock = two(behaviour)
    keep = lambda data: data  # noqa: E731
    assert fallback.ask(ASK, accept=keep) == b"answer"
    assert fallback.ask(ASK, accept=keep) == b"answer"
    assert asked == ["a.example", "b.example", "b.example"]
    clock.now += 2.5
    fallback.ask(ASK, accept=keep)
    assert asked[3:] == ["a.example", "b.example"]
    clock.now += 2.5  # it failed twice in a row, so it rests twice as long
    fallback.ask(ASK, accept=keep)
    assert asked[5:] == ["b.example"]


def test_an_answer_that_is_refused_counts_as_an_outage_and_all_resting_is_said():
    fallback, asked, clock = two(lambda _host: b"bad")

    def accept(_answer):
        raise VerificationError("bad", code="tsa.other_nonce")

    failed = code_of(lambda: fallback.ask(ASK, accept=accept))
    assert (failed.error_code, failed.context["reason"]) == (
        "outside.all_failed",
        "tsa.other_nonce",
    )
    resting = code_of(lambda: fallback.ask(ASK, accept=accept))
    assert resting.error_code == "outside.resting"
    assert resting.retryable
    assert 1 <= resting.context["retry_after_seconds"] <= 3
    assert len(asked) == 2
    for _ in range(20):
        clock.now += 10_000
        code_of(lambda: fallback.ask(ASK, accept=accept))
    assert max(rest - clock.now for _count, rest in fallback._rests.values()) <= 300


def test_an_empty_list_of_addresses_is_refused():
    assert code_of(lambda: Fallback([])).error_code == "outside.endpoints"


# ------------------------------------------------------------------ time stamps
@pytest.fixture
def tsa(tmp_path):
    return BuiltInTimestampAuthority.create(tmp_path / "tsa", at=FIXED_TIME)


def external_tsa(answer, *, roots, policy=None):
    fallback = Fallback(
        [Endpoint("https://tsa.example/")], send=lambda _endpoint, message: answer(message.body)
    )
    return ExternalTimestampAuthority(fallback, roots=roots, policy=policy)


@pytest.mark.parametrize(("hash_name", "policy"), [("sha256", None), ("sm3", OID_POLICY)])
def test_a_token_that_answers_the_question_is_used(tsa, hash_name, policy):
    external = external_tsa(
        lambda body: tsa.respond(body, at=FIXED_TIME), roots=[tsa.root_der], policy=policy
    )
    imprint = sm3(b"x") if hash_name == "sm3" else IMPRINT
    token = external.stamp(imprint, hash_name=hash_name, at=FIXED_TIME)
    assert token
    assert "tsa.example" in external.label_en


def changed(body, **fields):
    request = tsp.TimeStampReq.load(body)
    for name, value in fields.items():
        request[name] = value
    return request.dump(force=True)


def test_a_token_for_something_else_is_refused(tsa, tmp_path):
    other = BuiltInTimestampAuthority.create(tmp_path / "other", at=FIXED_TIME)
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}
    at = FIXED_TIME
    answers = {
        "tsa.other_imprint": lambda b: tsa.respond(changed(b, message_imprint=imprint), at=at),
        "tsa.other_nonce": lambda b: tsa.respond(changed(b, nonce=7), at=at),
        "tsa.clock": lambda b: tsa.respond(b, at=at + timedelta(minutes=6)),
        "tsa.untrusted": lambda b: other.respond(b, at=at),
        "tsa.refused": lambda _b: tsa.respond(b"nonsense", at=at),
        "tsa.answer_malformed": lambda b: tsa.respond(b, at=at) + b"\0",
    }
    for reason, answer in answers.items():
        external = external_tsa(answer, roots=[tsa.root_der])
        failed = code_of(lambda external=external: external.stamp(IMPRINT, at=at))
        assert (failed.error_code, failed.context["reason"]) == ("outside.all_failed", reason)
    strange = external_tsa(
        lambda b: tsa.respond(changed(b, req_policy=OID_POLICY), at=at),
        roots=[tsa.root_der],
        policy="1.2.3.4",
    )
    assert code_of(lambda: strange.stamp(IMPRINT, at=at)).context["reason"] == "tsa.other_policy"


def test_a_changed_token_is_refused(tsa):
    def answer(body):
        good = bytearray(tsa.respond(body, at=FIXED_TIME))
        good[-3] ^= 1  # inside the signature value
        return bytes(good)

    external = external_tsa(answer, roots=[tsa.root_der])
    failed = code_of(lambda: external.stamp(IMPRINT, at=FIXED_TIME))
    assert failed.context["reason"] in {"cms.signature_invalid", "cms.algorithm", "cms.malformed"}
    assert code_of(lambda: external.stamp(b"short", at=FIXED_TIME)).error_code == (
        "tsa.imprint_length"
    )


# ------------------------------------------------------------------ OCSP
def test_an_answer_is_good_only_for_its_question_time_issuer_and_signature(tmp_path):
    pki = throwaway_pki(tmp_path)
    leaf, root = pki.signer().certificate.der, pki.authority.root_der
    responder = OcspResponder(pki.authority)
    identifier = certificate_id(leaf, root, hash_name="sha1")
    nonce = secrets.token_bytes(32)
    answer = responder.respond(make_request(identifier, nonce=nonce), at=FIXED_TIME)
    facts = {"certificate": leaf, "issuer": root, "at": FIXED_TIME, "nonce": nonce}
    assert read_ocsp(answer, **facts).status == "good"

    other = throwaway_pki(tmp_path / "second")
    basic = ocsp.OCSPResponse.load(answer)["response_bytes"]["response"].parsed
    place = answer.index(bytes(basic["signature"].native)) + 20
    flipped = answer[:place] + bytes([answer[place] ^ 1]) + answer[place + 1 :]
    cases = [
        (answer, {"nonce": bytes(32)}, "ocsp.other_nonce"),
        (answer, {"at": FIXED_TIME + timedelta(days=3)}, "ocsp.time"),
        (answer, {"at": FIXED_TIME - timedelta(days=3)}, "ocsp.responder"),
        (answer, {"certificate": other.signer().certificate.der}, "ocsp.other_certificate"),
        (answer, {"issuer": other.authority.root_der}, "ocsp.other_certificate"),
        (flipped, {}, "ocsp.signature"),
        (answer + b"\0", {}, "ocsp.malformed"),
        (b"", {}, "ocsp.malformed"),
        (responder.respond(b"nonsense", at=FIXED_TIME), {}, "ocsp.status"),
    ]
    for data, changes, code in cases:
        found = code_of(lambda data=data, changes=changes: read_ocsp(data, **(facts | changes)))
        assert found.error_code == code


@pytest.mark.parametrize("backdated", [timedelta(0), timedelta(minutes=5)])
def test_a_responder_certified_while_we_asked_may_answer(tmp_path, monkeypatch, backdated):
    monkeypatch.setattr("signing.ocsp.BACKDATED", backdated)
    pki = throwaway_pki(tmp_path)
    leaf, root = pki.signer().certificate.der, pki.authority.root_der
    asked = make_request(certificate_id(leaf, root, hash_name="sha1"), nonce=None)
    asked_at = FIXED_TIME + timedelta(hours=1)
    # Its first answer: until now it had no certificate at all.
    answer = OcspResponder(pki.authority).respond(asked, at=asked_at + timedelta(seconds=40))
    facts = {"certificate": leaf, "issuer": root}
    assert read_ocsp(answer, **facts, at=asked_at).status == "good"
    early = code_of(lambda: read_ocsp(answer, **facts, at=asked_at - timedelta(minutes=20)))
    assert early.error_code == "ocsp.responder"


def test_a_party_cannot_answer_for_its_own_certificate(tmp_path):
    # Certified for document signing by the same root, but not for OCSP.
    pki = throwaway_pki(tmp_path)
    signer = pki.signer()
    responder = OcspResponder(pki.authority)
    leaf, root = signer.certificate.der, pki.authority.root_der
    asked = make_request(certificate_id(leaf, root, hash_name="sha1"), nonce=None)
    response = ocsp.OCSPResponse.load(responder.respond(asked, at=FIXED_TIME))
    basic = response["response_bytes"]["response"].parsed
    body = basic["tbs_response_data"]
    from_leaf = certificate_id(leaf, leaf, hash_name="sha1")["issuer_key_hash"].native
    body["responder_id"] = ocsp.ResponderId(name="by_key", value=from_leaf)
    forged = ocsp.BasicOCSPResponse(
        {
            "tbs_response_data": body,
            "signature_algorithm": basic["signature_algorithm"],
            "signature": signer.key.sign(body.dump(force=True)),
            "certs": [ocsp.Certificate.load(leaf)],
        }
    )
    value = {
        "response_type": "basic_ocsp_response",
        "response": core.ParsableOctetString(forged.dump()),
    }
    answer = ocsp.OCSPResponse({"response_status": "successful", "response_bytes": value}).dump()
    found = code_of(lambda: read_ocsp(answer, certificate=leaf, issuer=root, at=FIXED_TIME))
    assert found.error_code == "ocsp.responder"


def test_a_responder_by_address_must_know_the_certificate(tmp_path):
    pki = throwaway_pki(tmp_path)
    leaf, root = pki.signer().certificate.der, pki.authority.root_der
    responder = OcspResponder(pki.authority)
    asked = Fallback(
        [Endpoint("https://ocsp.example/")],
        send=lambda _endpoint, message: responder.respond(message.body, at=FIXED_TIME),
    )
    assert ExternalOcsp(asked).fetch(leaf, root, at=FIXED_TIME)
    serial = f"{certificate_id(leaf, root, hash_name='sha1')['serial_number'].native:040x}"
    (tmp_path / "ca" / "certificates" / f"{serial}.der").unlink()
    failed = code_of(lambda: ExternalOcsp(asked).fetch(leaf, root, at=FIXED_TIME))
    assert failed.context["reason"] == "ocsp.unknown"


def test_the_responders_certificate_is_renewed_before_it_ends(tmp_path):
    pki = throwaway_pki(tmp_path)
    responder = OcspResponder(pki.authority)
    first = responder.certificate_der(at=FIXED_TIME)
    assert responder.certificate_der(at=FIXED_TIME + timedelta(days=59)) == first
    renewed = OcspResponder(pki.authority).certificate_der(at=FIXED_TIME + timedelta(days=61))
    assert renewed != first
    assert OcspResponder(pki.authority).certificate_der(at=FIXED_TIME + timedelta(days=62)) == (
        renewed
    )


# ------------------------------------------------------------------ certificates
def external_ca(tmp_path, *, tamper=lambda answer: answer, roots=None):
    built_in = BuiltInAuthorities(
        BuiltInAuthority.create(tmp_path / "ca", at=FIXED_TIME), national=None
    )

    def made(_endpoint, message):
        assert dict(message.headers)["Authorization"] == "Bearer invented"
        sent = None if message.body is None else json.loads(message.body)
        if message.path == "/certificates":
            return tamper(answer_request(built_in, sent, at=FIXED_TIME))
        if message.path == "/revocations":
            return tamper(answer_revocation(built_in, sent, at=FIXED_TIME))
        return tamper(answer_lists(built_in, at=FIXED_TIME))

    fallback = Fallback([Endpoint("https://ca.example/")], send=made)
    authority = ExternalAuthority(fallback, token="invented", roots=roots or [built_in.root_der])
    return authority, built_in


def a_request():
    return request_of(FileSigner.create("p256"), common_name="x")


def test_an_external_authority_issues_once_per_key_and_revokes(tmp_path):
    authority, built_in = external_ca(tmp_path)
    csr = a_request()
    first = authority.issue(csr, subject=PERSON, at=FIXED_TIME)
    assert authority.issue(csr, subject=PERSON, at=FIXED_TIME) == first
    assert first.chain == (built_in.root_der,)
    assert authority.crls(at=FIXED_TIME) == ()
    authority.refresh(at=FIXED_TIME)
    before = authority.crls(at=FIXED_TIME)
    authority.revoke(first.serial_hex, at=FIXED_TIME, reason="key_compromise")
    authority.refresh(at=FIXED_TIME)
    assert authority.crls(at=FIXED_TIME) != before
    assert built_in.revoked_at(first.serial_hex) == FIXED_TIME


def replaced(field, value):
    def tamper(answer):
        return json.dumps(json.loads(answer) | {field: value}).encode()

    return tamper


def test_a_certificate_for_another_key_name_or_root_is_refused(tmp_path):
    other = throwaway_pki(tmp_path / "other")
    stranger = other.signer().certificate.der

    def renamed(answer):
        signer = json.loads(answer)
        return json.dumps(signer).encode()

    cases = {
        "ca.other_key": replaced("certificate", base64.b64encode(stranger).decode()),
        "ca.answer": replaced("v", "fuqi/ca-answer/v2"),
        "certificate.malformed": replaced("certificate", "AAAA"),
    }
    for reason, tamper in cases.items():
        authority, _ = external_ca(tmp_path / reason, tamper=tamper)
        failed = code_of(
            lambda authority=authority: authority.issue(a_request(), subject=PERSON, at=FIXED_TIME)
        )
        assert (failed.error_code, failed.context["reason"]) == ("outside.all_failed", reason)
    untrusted, _ = external_ca(
        tmp_path / "untrusted", tamper=renamed, roots=[other.authority.root_der]
    )
    failed = code_of(lambda: untrusted.issue(a_request(), subject=PERSON, at=FIXED_TIME))
    assert failed.context["reason"] == "ca.untrusted"


def test_a_certificate_naming_another_person_is_refused(tmp_path):
    authority, built_in = external_ca(tmp_path)
    csr = a_request()
    other = replace(PERSON, common_name="李四（虚构）")
    wrong = built_in.issue(csr, subject=other, at=FIXED_TIME)
    body = {
        "v": "fuqi/ca-answer/v1",
        "certificate": base64.b64encode(wrong.der).decode(),
        "chain": [],
    }
    lying = Fallback([Endpoint("https://ca.example/")], send=lambda *_a: json.dumps(body).encode())
    asked = ExternalAuthority(lying, token="invented", roots=authority.roots)
    failed = code_of(lambda: asked.issue(csr, subject=PERSON, at=FIXED_TIME))
    assert failed.context["reason"] == "ca.other_subject"


def test_a_list_of_another_authority_is_not_taken(tmp_path):
    other = throwaway_pki(tmp_path / "other").authority.crl(at=FIXED_TIME)
    authority, _ = external_ca(
        tmp_path, tamper=replaced("crls", [base64.b64encode(other).decode()])
    )
    authority.refresh(at=FIXED_TIME)
    assert authority.crls(at=FIXED_TIME) == ()


@pytest.mark.parametrize(
    "sent",
    [
        None,
        {},
        {"v": "fuqi/ca-request/v1"},
        {"v": "fuqi/ca-request/v1", "csr": "!", "subject": {}, "days": 1},
        {"v": "fuqi/ca-request/v1", "csr": "AAAA", "subject": {"common_name": "x"}, "days": 1},
    ],
)
def test_a_malformed_request_is_refused_by_the_authority(tmp_path, sent):
    _, built_in = external_ca(tmp_path)
    with pytest.raises(InputError) as caught:
        answer_request(built_in, sent, at=FIXED_TIME)
    assert caught.value.error_code == "ca.request"
