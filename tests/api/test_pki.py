"""What certificates point to, over HTTP, checked with the openssl command; and what a lost key does."""

from __future__ import annotations

import base64
import secrets
import subprocess
from datetime import timedelta
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import quote

import pytest
from asn1crypto import ocsp, pem
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from api.flows import agreements, lost_keys, signatures
from api.flows.parties import issue_certificate
from api.flows.registration import register
from api.testing import PASSWORD, caller_of, invented_pdf, invented_registration
from ledger.core.canonical import canonical_parse
from ledger.core.errors import FuqiError, UnavailableError
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from ledger.queries import agreements as agreement_queries
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.parties import CertificateRow
from signing.ca import CertificateSubject
from signing.intent import intent_message
from signing.keys.device import DeviceKey
from signing.keys.pkcs12 import FileSigner
from signing.keys.signers import request_of
from signing.ocsp import certificate_id, make_request
from signing.providers.revocation import read_ocsp
from signing.sm import sm2_state
from signing.testing import throwaway_pki
from signing.validate import validate_pdf

needs_openssl = pytest.mark.skipif(which("openssl") is None, reason="needs the openssl command")
OCSP = {"Content-Type": "application/ocsp-request"}
STAMP = {"Content-Type": "application/timestamp-query"}


def openssl(folder: Path, *words: str, fails: bool = False) -> str:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def certify(client: Any, signer: Any) -> dict[str, Any]:
    csr = signer.csr(CertificateSubject(common_name="x"))
    answer = client.post(
        "/api/v1/certificates", json={"csr_base64": base64.b64encode(csr).decode()}
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def der_of(made: dict[str, Any]) -> bytes:
    return base64.b64decode(made["certificate_base64"])


def root_of(world: Any) -> bytes:
    return bytes(world.anyone.get("/pki/ca.crt").content)


def path_of(url: str) -> str:
    assert url.startswith("http://testserver/")
    return url.removeprefix("http://testserver")


@pytest.fixture
def held(world: Any) -> dict[str, Any]:
    """A fresh certificate of the donor's handler."""
    return certify(world.client("donor"), DeviceKey.create())


def test_the_addresses_in_a_certificate_answer(world: Any, held: dict[str, Any]) -> None:
    leaf = x509.load_der_x509_certificate(der_of(held))
    points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    crl = x509.load_der_x509_crl(world.anyone.get(path_of(points[0].full_name[0].value)).content)
    access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    found = {one.access_method: path_of(one.access_location.value) for one in access}
    issuer = world.anyone.get(found[AuthorityInformationAccessOID.CA_ISSUERS])
    root = x509.load_der_x509_certificate(issuer.content)
    assert issuer.headers["content-type"] == "application/pkix-cert"
    assert crl.is_signature_valid(root.public_key())
    leaf.verify_directly_issued_by(root)
    assert found[AuthorityInformationAccessOID.OCSP] == "/pki/ocsp"
    assert world.anyone.get("/pki/other.crl").status_code == 404


@needs_openssl
def test_openssl_sees_good_then_revoked_over_get_and_post(
    world: Any, held: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "leaf.pem").write_bytes(pem.armor("CERTIFICATE", der_of(held)))
    (tmp_path / "root.pem").write_bytes(pem.armor("CERTIFICATE", root_of(world)))
    openssl(
        *(tmp_path, "ocsp", "-issuer", "root.pem", "-cert", "leaf.pem", "-reqout", "request"),
    )
    request = (tmp_path / "request").read_bytes()
    moment = str(int(world.clock.at.timestamp()))

    def status(answer: Any) -> str:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/ocsp-response"
        (tmp_path / "answer").write_bytes(answer.content)
        # -no_nonce: the question's own nonce is compared, no second one is added.
        return openssl(
            *(tmp_path, "ocsp", "-issuer", "root.pem", "-cert", "leaf.pem", "-CAfile", "root.pem"),
            *("-reqin", "request", "-no_nonce", "-respin", "answer", "-attime", moment),
            *("-validity_period", "999999999"),
        )

    def asked() -> tuple[str, str]:
        by_post = world.anyone.post("/pki/ocsp", content=request, headers=OCSP)
        text = quote(base64.b64encode(request).decode(), safe="")
        return status(by_post), status(world.anyone.get(f"/pki/ocsp/{text}"))

    for said in asked():
        assert "Response verify OK" in said
        assert "leaf.pem: good" in said
    [row] = [
        one
        for one in world.client("donor").get("/api/v1/certificates").json()
        if one["serial"] == held["serial"]
    ]
    done = world.client("donor").post(
        f"/api/v1/certificates/{row['id']}/revoke", json={"reason": "key_compromise"}
    )
    assert (done.status_code, done.json()["at_authority"]) == (200, True)
    for said in asked():
        assert "Response verify OK" in said
        assert "leaf.pem: revoked" in said
        assert "Reason: keyCompromise" in said
    (tmp_path / "crl").write_bytes(world.anyone.get("/pki/ca.crl").content)
    openssl(tmp_path, "crl", "-inform", "DER", "-in", "crl", "-out", "crl.pem")
    refused = openssl(
        *(tmp_path, "verify", "-crl_check", "-attime", str(int(moment) + 60)),
        *("-CAfile", "root.pem", "-CRLfile", "crl.pem", "leaf.pem"),
        fails=True,
    )
    assert "certificate revoked" in refused


def test_ocsp_says_unknown_unauthorized_or_malformed(
    world: Any, held: dict[str, Any], tmp_path: Path
) -> None:
    def post(data: bytes) -> ocsp.OCSPResponse:
        answer = world.anyone.post("/pki/ocsp", content=data, headers=OCSP)
        assert answer.status_code == 200, answer.text
        return ocsp.OCSPResponse.load(answer.content)

    root = root_of(world)
    identifier = certificate_id(der_of(held), root, hash_name="sha256")
    identifier["serial_number"] = 4711
    basic = post(make_request(identifier, nonce=None))["response_bytes"]["response"].parsed
    single = basic["tbs_response_data"]["responses"][0]
    assert single["cert_status"].name == "unknown"

    other = throwaway_pki(tmp_path).authority
    foreign = certificate_id(other.root_der, other.root_der, hash_name="sha1")
    assert post(make_request(foreign, nonce=None))["response_status"].native == "unauthorized"
    # Found by the fuzzer: algorithm parameters of a tag that asn1crypto has no value for.
    odd = bytes.fromhex(
        "307a30783051304f304d300906052b0e0105050700041463e7fbb21f3d641e4779cc8355537a0d6b31f3d80414e487"
        "c0b99f37b078f445a35a0d3f2e50aa7a332702146fb85d0c66f0cbc21c9a2601de3e579fac8647f6a2233021301f06"
        "092b0601050507300102041204116e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e"
    )
    for bad in (b"", b"nonsense", make_request(identifier, nonce=b"") + b"\0", odd):
        assert post(bad)["response_status"].native == "malformed_request"
    assert post(make_request(identifier, nonce=bytes(200)))["response_status"].native == (
        "malformed_request"
    )


def test_an_answer_without_a_nonce_is_kept_and_one_with_a_nonce_is_not(
    world: Any, held: dict[str, Any]
) -> None:
    root, leaf = root_of(world), der_of(held)
    identifier = certificate_id(leaf, root, hash_name="sha1")
    plain = make_request(identifier, nonce=None)
    first, second = (
        world.anyone.post("/pki/ocsp", content=plain, headers=OCSP).content for _ in range(2)
    )
    assert first == second
    asked = [secrets.token_bytes(32) for _ in range(2)]
    for nonce in asked:
        answer = world.anyone.post(
            "/pki/ocsp", content=make_request(identifier, nonce=nonce), headers=OCSP
        ).content
        found = read_ocsp(answer, certificate=leaf, issuer=root, at=world.clock.at, nonce=nonce)
        assert found.status == "good"
        delegate = x509.load_der_x509_certificate(found.responder)
        assert delegate.extensions.get_extension_for_class(x509.OCSPNoCheck)
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [one.dotted_string for one in usage] == ["1.3.6.1.5.5.7.3.9"]


@needs_openssl
@pytest.mark.parametrize("digest", ["-sha256", "-sm3"])
def test_openssl_verifies_a_time_stamp_from_the_address(
    world: Any, tmp_path: Path, digest: str
) -> None:
    (tmp_path / "data").write_bytes(b"what is stamped")
    openssl(tmp_path, "ts", "-query", "-data", "data", digest, "-cert", "-out", "query")
    answer = world.anyone.post("/pki/tsa", content=(tmp_path / "query").read_bytes(), headers=STAMP)
    assert answer.headers["content-type"] == "application/timestamp-reply"
    (tmp_path / "reply").write_bytes(answer.content)
    root = world.app.state.shell.ports.tsa.root_der
    (tmp_path / "root.pem").write_bytes(pem.armor("CERTIFICATE", root))
    moment = str(int(world.clock.at.timestamp()))
    common = ["-in", "reply", "-CAfile", "root.pem", "-attime", moment]
    assert "Verification: OK" in openssl(tmp_path, "ts", "-verify", "-queryfile", "query", *common)
    (tmp_path / "data").write_bytes(b"something else")
    openssl(tmp_path, "ts", "-verify", "-data", "data", *common, fails=True)


@pytest.mark.parametrize(
    ("path", "headers", "size", "expected"),
    [
        ("/pki/tsa", STAMP, 5000, (413, "pki.too_large")),
        ("/pki/ocsp", OCSP, 9000, (413, "pki.too_large")),
        ("/pki/tsa", {"Content-Type": "text/plain"}, 10, (422, "pki.content_type")),
        ("/pki/ocsp", STAMP, 10, (422, "pki.content_type")),
    ],
)
def test_long_requests_and_other_media_types_are_refused(
    world: Any, path: str, headers: dict[str, str], size: int, expected: tuple[int, str]
) -> None:
    answer = world.anyone.post(path, content=b"\x30" * size, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == expected
    long = world.anyone.get("/pki/ocsp/" + "A" * 2000)
    assert (long.status_code, long.json()["code"]) == (413, "pki.too_large")


@pytest.mark.skipif(sm2_state() != "available", reason="needs a libcrypto with SM2")
def test_an_sm2_key_is_certified_under_the_sm2_root_with_its_own_list(world: Any) -> None:
    signer = FileSigner.create("sm2")
    body = {"csr_base64": base64.b64encode(request_of(signer, common_name="x")).decode()}
    made = world.client("hospital").post("/api/v1/certificates", json=body)
    assert made.status_code == 201, made.text
    leaf, root = der_of(made.json()), world.anyone.get("/pki/ca-sm2.crt").content
    assert base64.b64decode(made.json()["chain_base64"]) == root
    question = make_request(certificate_id(leaf, root, hash_name="sha1"), nonce=b"n" * 16)
    answer = world.anyone.post("/pki/ocsp", content=question, headers=OCSP).content
    found = read_ocsp(answer, certificate=leaf, issuer=root, at=world.clock.at, nonce=b"n" * 16)
    assert found.status == "good"
    listed = x509.load_der_x509_crl(world.anyone.get("/pki/ca-sm2.crl").content)
    assert listed.issuer == x509.load_der_x509_certificate(root).subject
    [row] = [
        one
        for one in world.client("hospital").get("/api/v1/certificates").json()
        if one["serial"] == made.json()["serial"]
    ]
    path = f"/api/v1/certificates/{row['id']}/revoke"
    assert world.client("hospital").post(path, json={}).status_code == 200
    again = world.anyone.post("/pki/ocsp", content=question, headers=OCSP).content
    found = read_ocsp(again, certificate=leaf, issuer=root, at=world.clock.at, nonce=b"n" * 16)
    assert found.status == "revoked"


# ------------------------------------------------------------------ a lost key
class Story:
    """Two invented organisations and one agreement between them, driven through the flows."""

    def __init__(self, ports: Any, at: Any) -> None:
        self.ports, self.at = ports, at
        tag = secrets.token_hex(4)
        self.parties = [
            register(ports, invented_registration(f"{kind}-{tag}", kind, at=at), at=at)
            for kind in ("donor", "hospital")
        ]
        self.callers = [caller_of(one) for one in self.parties]
        with transaction(ports.sessions) as session:
            row = agreements.create_from_upload(
                session,
                ports,
                self.callers[0],
                agreements.NewAgreement(
                    id=new_id("agr", at=at),
                    title="虚构协议",
                    matter="donation",
                    no_amount=True,
                    signers=tuple(
                        agreements.SignerSpec(one.organisation.id, one.person.id, role)
                        for one, role in zip(self.parties, ("donor", "recipient"), strict=True)
                    ),
                    expires_at=at + timedelta(days=30),
                ),
                data=invented_pdf(),
                at=at,
            )
            self.agreement_id, self.pages = row.id, row.pages
            self.signers = [one.id for one in agreement_queries.signers_of(session, row.id)]

    def new_key(self, who: int) -> tuple[DeviceKey, CertificateRow]:
        key, caller = DeviceKey.create(), self.callers[who]
        with transaction(self.ports.sessions) as session:
            row = signatures_certificate(session, self.ports, caller, key, at=self.at)
        return key, row

    def read(self, who: int) -> None:
        with transaction(self.ports.sessions) as session:
            agreements.read_document(
                session,
                self.ports,
                self.callers[who],
                self.signers[who],
                pages=self.pages,
                seconds=60,
                at=self.at,
            )

    def affirm(self, who: int, key: DeviceKey, act: str) -> None:
        with transaction(self.ports.sessions) as session:
            made = signatures.make_statement(
                session, self.callers[who], self.signers[who], act=act, at=self.at
            )
            value = canonical_parse(made.statement.encode())
            signatures.express_intent(
                session,
                self.ports,
                self.callers[who],
                made.id,
                proof=key.sign(intent_message(value)),
                at=self.at,
            )

    def prepare(self, who: int) -> tuple[str, bytes]:
        with transaction(self.ports.sessions) as session:
            made = signatures.prepare_signature(
                session, self.ports, self.callers[who], self.signers[who], at=self.at
            )
            return made.id, bytes.fromhex(made.signed_attrs)

    def complete(self, who: int, prepared_id: str, signature: bytes) -> None:
        with transaction(self.ports.sessions) as session:
            signatures.complete_signature(
                session, self.ports, self.callers[who], prepared_id, signature=signature, at=self.at
            )

    def lose(self, who: int, row: CertificateRow) -> lost_keys.LostKey:
        return lost_keys.report_lost_key(
            self.ports, self.callers[who], row.id, reason="key_compromise", at=self.at
        )


def signatures_certificate(
    session: Any, ports: Any, caller: Any, key: DeviceKey, *, at: Any
) -> CertificateRow:
    return issue_certificate(
        session,
        ports,
        caller,
        organisation_id=caller.organisation_id,
        person_id=caller.person_id,
        csr_der=key.csr(CertificateSubject(common_name="x")),
        at=at,
    )


@pytest.fixture
def story(world: Any) -> Story:
    return Story(world.app.state.shell.ports, world.clock.at)


def code_of(action: Any) -> str:
    with pytest.raises(FuqiError) as caught:
        action()
    return str(caught.value.error_code)


def test_a_lost_key_signs_nothing_and_a_new_one_takes_over(world: Any, story: Story) -> None:
    key, row = story.new_key(0)
    other, _ = story.new_key(1)
    for who, one in ((0, key), (1, other)):
        story.read(who)
        story.affirm(who, one, "consent")
    story.affirm(0, key, "sign")
    prepared_id, attributes = story.prepare(0)
    done = story.lose(0, row)
    assert (done.at_authority, done.agreements, done.resumed) == (True, 1, 1)

    # The thief has the key and what was prepared for it, and the session even.
    stolen = key.sign(attributes)
    assert code_of(lambda: story.complete(0, prepared_id, stolen)) in (
        "signature.expired",
        "certificate.revoked",
    )
    assert code_of(lambda: story.affirm(0, key, "sign")) == "certificate.none"
    again = lambda: signatures_again(story, key)  # noqa: E731
    assert code_of(again) == "key.blocked"

    fresh, _ = story.new_key(0)
    # Delivery and reading stay; what the lost key affirmed does not.
    assert code_of(lambda: story.prepare(0)) == "agreement.consent_missing"
    story.affirm(0, fresh, "consent")
    for who, new in ((0, fresh), (1, other)):
        story.affirm(who, new, "sign")
        prepared_id, attributes = story.prepare(who)
        story.complete(who, prepared_id, new.sign(attributes))
    with transaction(story.ports.readers) as session:
        agreement = session.get(agreement_queries.AgreementRow, story.agreement_id)
        assert agreement.state == "formed"
        data = story.ports.blobs.get(agreement.current_sha256)
    trust = signatures.pki_trust(story.ports, at=story.at)
    report = validate_pdf(data, trust=trust, at=story.at + timedelta(minutes=1))
    assert report.verdict is Verdict.PASSED


def signatures_again(story: Story, key: DeviceKey) -> None:
    with transaction(story.ports.sessions) as session:
        signatures_certificate(session, story.ports, story.callers[0], key, at=story.at)


def test_a_key_lost_after_signing_leaves_the_signature_and_tells_the_counterparty(
    world: Any, story: Story
) -> None:
    key, row = story.new_key(0)
    other, _ = story.new_key(1)
    for who, one in ((0, key), (1, other)):
        story.read(who)
        story.affirm(who, one, "consent")
    story.affirm(0, key, "sign")
    prepared_id, attributes = story.prepare(0)
    story.complete(0, prepared_id, key.sign(attributes))
    story.at += timedelta(hours=1)
    done = story.lose(0, row)
    assert (done.agreements, done.resumed) == (1, 0)
    # The time stamp is older than the revocation: the other party can still sign.
    story.affirm(1, other, "sign")
    prepared_id, attributes = story.prepare(1)
    story.complete(1, prepared_id, other.sign(attributes))
    with transaction(story.ports.readers) as session:
        held = lost_keys.queries.notices_of(session, story.parties[1].organisation.id, limit=10)
        assert [(one.kind, one.subject, one.cause) for one in held] == [
            ("key.revoked_after_signing", story.agreement_id, row.id)
        ]
        entries = log_queries.entries_of(session, [story.parties[0].person.id])
        assert [one.type for one in entries].count("key.revoked") == 1


def test_only_the_holder_or_their_administrator_blocks_a_key_and_twice_changes_nothing(
    world: Any, story: Story
) -> None:
    _, row = story.new_key(0)
    stranger = story.callers[1]
    refused = lambda: lost_keys.report_lost_key(  # noqa: E731
        story.ports, stranger, row.id, reason="superseded", at=story.at
    )
    assert code_of(refused) == "not_found"
    odd = lambda: lost_keys.report_lost_key(  # noqa: E731
        story.ports, story.callers[0], row.id, reason="because", at=story.at
    )
    assert code_of(odd) == "key.reason"
    first = story.lose(0, row)
    story.at += timedelta(days=1)
    second = story.lose(0, row)
    assert second.revoked_at == first.revoked_at
    assert second.at_authority


def test_a_key_is_blocked_here_even_while_the_authority_is_away(
    world: Any, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = story.new_key(0)
    authority = story.ports.authority
    real = type(authority).revoke

    def away(*_arguments: Any, **_options: Any) -> None:
        raise UnavailableError("away", code="outside.all_failed")

    monkeypatch.setattr(type(authority), "revoke", away)
    done = story.lose(0, row)
    assert not done.at_authority
    assert code_of(lambda: story.affirm(0, DeviceKey.create(), "sign")) == "agreement.not_read"
    assert authority.revoked_at(row.serial) is None
    # The worker tries again when its pause is over, and once it arrived never again.
    assert lost_keys.revoke_at_authority(story.ports, at=story.at) == 0
    monkeypatch.setattr(type(authority), "revoke", real)
    later = story.at + timedelta(minutes=5)
    assert lost_keys.revoke_at_authority(story.ports, at=later) == 1
    assert lost_keys.revoke_at_authority(story.ports, at=later) == 0
    assert authority.revoked_at(row.serial) == done.revoked_at


def test_the_page_of_a_lost_key_blocks_it_and_ends_other_logins(world: Any) -> None:
    client = world.client("hospital")
    made = certify(client, DeviceKey.create())
    page = client.get("/me/lost-key", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert made["serial"] in page.text
    [row] = [
        one for one in client.get("/api/v1/certificates").json() if one["serial"] == made["serial"]
    ]
    elsewhere = type(world.anyone)(world.app, headers={"Origin": "http://testserver"})
    login = {"login": "hospital", "password": PASSWORD}
    assert elsewhere.post("/api/v1/login", json=login).status_code == 200
    assert elsewhere.get("/api/v1/me").status_code == 200
    sent = client.post(
        f"/me/lost-key/{row['id']}", data={"reason": "key_compromise"}, follow_redirects=False
    )
    assert (sent.status_code, sent.headers["location"]) == (303, f"/me/lost-key?done={row['id']}")
    after = client.get(sent.headers["location"], headers={"Accept": "text/html"})
    assert "已停用" in after.text
    assert elsewhere.get("/api/v1/me").status_code == 401
    elsewhere.close()
    serials = [one["serial"] for one in client.get("/api/v1/certificates").json()]
    assert made["serial"] not in serials


def test_notices_are_listed_and_marked_as_seen(world: Any, story: Story) -> None:
    key, row = story.new_key(0)
    del key
    story.lose(0, row)
    with transaction(story.ports.sessions) as session:
        [notice] = lost_keys.queries.notices_of(session, story.parties[1].organisation.id, limit=10)
        assert lost_keys.queries.unseen(session, story.parties[1].organisation.id) == 1
        seen = lost_keys.mark_seen(session, story.callers[1], notice.id, at=story.at)
        assert seen.seen_at == story.at
        assert lost_keys.queries.unseen(session, story.parties[1].organisation.id) == 0
    with transaction(story.ports.sessions) as session:
        refused = lambda: lost_keys.mark_seen(  # noqa: E731
            session, story.callers[0], notice.id, at=story.at
        )
        assert code_of(refused) == "not_found"
    answer = world.client("donor").get("/api/v1/notices")
    assert answer.status_code == 200
    assert notice.id not in {one["id"] for one in answer.json()}
