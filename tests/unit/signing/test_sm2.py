"""SM2 with SM3: known answers, strictness, and every object checked with the openssl command."""

import ctypes
import hashlib
import subprocess
from datetime import timedelta
from shutil import which

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from ledger.core.errors import InputError, UnavailableError, VerificationError
from ledger.core.report import Verdict
from signing import libcrypto, sm
from signing.appearance import Appearance
from signing.ca import BuiltInAuthority, CertificateSubject
from signing.cms import read_container
from signing.keys.algorithms import SM2
from signing.keys.pkcs12 import FileSigner
from signing.keys.signers import request_of
from signing.ocsp import OcspResponder, certificate_id, make_request
from signing.pdf import FieldSpec, Prepared, embed, place_fields, prepare
from signing.pdf_reading import signatures_of
from signing.providers.revocation import read_ocsp
from signing.testing import FIXED_TIME, throwaway_pki
from signing.testing_pdf import raw_pdf
from signing.trust import PkiTrust, Purpose, RevocationList, check_path, check_revocation
from signing.validate import validate_pdf

DISTID = "distid:1234567812345678"
PERSON = CertificateSubject(common_name="张三（虚构）", organisation="示例企业（虚构）")
pytestmark = pytest.mark.skipif(
    sm.sm2_state() != "available" or which("openssl") is None,
    reason="needs a libcrypto with SM2 and the openssl command",
)


@pytest.fixture(scope="module")
def key():
    return sm.Sm2PrivateKey.generate()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return BuiltInAuthority.create(tmp_path_factory.mktemp("sm2") / "ca", at=FIXED_TIME, kind=SM2)


def openssl(folder, *words, fails=False):
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    assert (done.returncode != 0) is fails, done.stderr
    return done.stdout + done.stderr


def write_pem(path, kind, der):
    path.write_bytes(pem.armor(kind, der))


def code_of(error, action):
    with pytest.raises(error) as caught:
        action()
    return caught.value.error_code


def test_openssl_verifies_our_signature_and_we_verify_openssls(key, tmp_path):
    write_pem(tmp_path / "key.pem", "PRIVATE KEY", key.to_pkcs8())
    write_pem(tmp_path / "public.pem", "PUBLIC KEY", key.public_spki)
    (tmp_path / "data").write_bytes(b"words to sign")
    (tmp_path / "ours").write_bytes(key.sign(b"words to sign"))
    common = ["-rawin", "-digest", "sm3", "-in", "data", "-pkeyopt", DISTID]
    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", *common]
    assert "Success" in openssl(tmp_path, *verify, "-sigfile", "ours")

    openssl(tmp_path, "pkeyutl", "-sign", "-inkey", "key.pem", *common, "-out", "theirs")
    theirs = (tmp_path / "theirs").read_bytes()
    sm.verify_sm2(b"words to sign", signature=theirs, public_spki=key.public_spki)


def test_a_signature_under_another_identity_is_refused(key, tmp_path):
    write_pem(tmp_path / "key.pem", "PRIVATE KEY", key.to_pkcs8())
    (tmp_path / "data").write_bytes(b"words")
    # OpenSSL 3.0 without distid signs under the empty identity.
    openssl(
        *(tmp_path, "pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-digest", "sm3"),
        *("-in", "data", "-out", "theirs"),
    )
    signature = (tmp_path / "theirs").read_bytes()
    verify = lambda: sm.verify_sm2(  # noqa: E731
        b"words", signature=signature, public_spki=key.public_spki
    )
    assert code_of(VerificationError, verify) == "signature.mismatch"


def test_other_bytes_other_keys_and_other_encodings_are_refused(key):
    signature = key.sign(b"words")
    r, s = decode_dss_signature(signature)
    other = sm.Sm2PrivateKey.generate().public_spki
    cases = {
        ("other", signature, key.public_spki): "signature.mismatch",
        ("words", signature, other): "signature.mismatch",
        ("words", signature + b"\0", key.public_spki): "signature.encoding",
        ("words", b"\x30\x81" + signature[1:], key.public_spki): "signature.encoding",
        ("words", b"", key.public_spki): "signature.encoding",
        ("words", encode_dss_signature(r + sm.ORDER, s), key.public_spki): "signature.encoding",
        ("words", encode_dss_signature(0, s), key.public_spki): "signature.range",
        ("words", encode_dss_signature(r, sm.ORDER), key.public_spki): "signature.range",
        ("words", signature, key.public_spki[:-1]): "signature.key_malformed",
        ("words", signature, sm.SPKI_PREFIX + bytes(64)): "signature.key_malformed",
    }
    seen = {
        case: code_of(
            VerificationError,
            lambda case=case: sm.verify_sm2(
                case[0].encode(), signature=case[1], public_spki=case[2]
            ),
        )
        for case in cases
    }
    # r + n may or may not fit into 72 bytes: too long, or out of range.
    overflow = ("words", encode_dss_signature(r + sm.ORDER, s), key.public_spki)
    assert seen.pop(overflow) in {"signature.encoding", "signature.range"}
    assert seen == {case: code for case, code in cases.items() if case != overflow}


def test_sm3_is_the_one_of_hashlib_and_of_the_standard():
    assert sm.sm3(b"abc").hex().startswith("66c7f0f462eeedd9")
    if "sm3" in hashlib.algorithms_available:
        assert sm.sm3(b"words") == hashlib.new("sm3", b"words").digest()


@pytest.mark.parametrize("answer", [0, 1])
def test_a_library_with_wrong_answers_is_not_used(monkeypatch, answer):
    real = libcrypto.load()

    class Broken:
        def __getattr__(self, name):
            if name == "EVP_DigestVerify":
                return lambda *_arguments: answer
            return getattr(real, name)

    monkeypatch.setattr(libcrypto, "load", Broken)
    sm._checked_library.cache_clear()
    try:
        assert sm.sm2_state() == "sm2.self_test"
        assert code_of(UnavailableError, sm.Sm2PrivateKey.generate) == "sm2.self_test"
    finally:
        monkeypatch.undo()
        sm._checked_library.cache_clear()
    assert sm.sm2_state() == "available"


def test_a_machine_without_the_library_says_so(monkeypatch):
    def absent(_name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    libcrypto.load.cache_clear()
    sm._checked_library.cache_clear()
    try:
        assert sm.sm2_state() == "sm2.unavailable"
    finally:
        monkeypatch.undo()
        libcrypto.load.cache_clear()
        sm._checked_library.cache_clear()


def test_a_key_of_another_curve_is_no_sm2_key(tmp_path):
    openssl(tmp_path, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "k.pem")
    der = pem.unarmor((tmp_path / "k.pem").read_bytes())[2]
    assert code_of(InputError, lambda: sm.Sm2PrivateKey.from_der(der)) == "keys.key_type"
    assert code_of(InputError, lambda: sm.Sm2PrivateKey.from_der(b"x")) == "keys.file_unreadable"


def test_a_request_certificate_list_and_answer_verify_with_openssl(authority, tmp_path):
    signer = FileSigner.create("sm2")
    csr = request_of(signer, common_name="张三（虚构）")
    issued = authority.issue(csr, subject=PERSON, at=FIXED_TIME)
    write_pem(tmp_path / "csr.pem", "CERTIFICATE REQUEST", csr)
    write_pem(tmp_path / "root.pem", "CERTIFICATE", authority.root_der)
    write_pem(tmp_path / "leaf.pem", "CERTIFICATE", issued.der)
    write_pem(tmp_path / "crl.pem", "X509 CRL", authority.crl(at=FIXED_TIME))

    asked = openssl(tmp_path, "req", "-verify", "-in", "csr.pem", "-noout", "-vfyopt", DISTID)
    assert "verify OK" in asked
    shown = openssl(tmp_path, "x509", "-in", "leaf.pem", "-noout", "-text")
    assert "SM2-with-SM3" in shown
    when = str(int(FIXED_TIME.timestamp()) + 60)
    verify = ["verify", "-attime", when, "-x509_strict", "-CAfile", "root.pem"]
    assert "leaf.pem: OK" in openssl(tmp_path, *verify, "-vfyopt", DISTID, "leaf.pem")
    # No option gives `verify` the identity for a root, nor `crl` and `ocsp` any: their bytes go to pkeyutl.
    root = asn1_x509.Certificate.load(authority.root_der)
    listed = asn1_crl.CertificateList.load(authority.crl(at=FIXED_TIME))
    write_pem(tmp_path / "issuer.pem", "PUBLIC KEY", authority.public_spki)
    for body, signature in (
        (root["tbs_certificate"], root["signature_value"]),
        (listed["tbs_cert_list"], listed["signature"]),
    ):
        (tmp_path / "body").write_bytes(body.dump())
        (tmp_path / "signature").write_bytes(signature.native)
        said = openssl(
            *(tmp_path, "pkeyutl", "-verify", "-pubin", "-inkey", "issuer.pem", "-rawin"),
            *("-digest", "sm3", "-in", "body", "-sigfile", "signature", "-pkeyopt", DISTID),
        )
        assert "Success" in said
    # Without the identity the same chain fails: the check above did look at the signatures.
    assert "signature failure" in openssl(tmp_path, *verify, "leaf.pem", fails=True)

    path = (issued.der, authority.root_der)
    lists = [RevocationList(authority.crl(at=FIXED_TIME))]
    later = FIXED_TIME + timedelta(hours=1)
    found = check_path(
        issued.der, others=[], roots=[authority.root_der], at=FIXED_TIME, purpose=Purpose.SIGNING
    )
    assert (found.verdict, found.path) == (Verdict.PASSED, path)
    good = check_revocation(path, lists=lists, used_at=FIXED_TIME, at=later)
    assert good.verdict is Verdict.PASSED
    authority.revoke(issued.serial_hex, at=FIXED_TIME, reason="key_compromise")
    revoked = [RevocationList(authority.crl(at=later))]
    assert check_revocation(path, lists=revoked, used_at=later, at=later).reason == "revoked"


def test_openssls_sm2_chain_is_accepted_and_a_changed_one_refused(tmp_path):
    for name, subject in (("root", "/CN=invented root"), ("leaf", "/CN=invented leaf")):
        openssl(tmp_path, "ecparam", "-name", "SM2", "-genkey", "-noout", "-out", f"{name}.key")
        openssl(
            *(tmp_path, "req", "-new", "-key", f"{name}.key", "-subj", subject, "-sm3"),
            *("-sigopt", DISTID, "-out", f"{name}.csr"),
        )
    (tmp_path / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
    common = ["-sm3", "-sigopt", DISTID, "-vfyopt", DISTID, "-days", "30", "-out"]
    openssl(
        *(tmp_path, "x509", "-req", "-in", "root.csr", "-signkey", "root.key"),
        *("-extfile", "ca.ext", *common, "root.pem"),
    )
    openssl(
        *(tmp_path, "x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key"),
        *("-CAcreateserial", *common, "leaf.pem"),
    )
    root, leaf = (
        pem.unarmor((tmp_path / f"{name}.pem").read_bytes())[2] for name in ("root", "leaf")
    )
    at = x509.load_der_x509_certificate(leaf).not_valid_before_utc + timedelta(hours=1)

    def judged(der, *, moment=at, roots=(root,)):
        return check_path(der, others=[], roots=roots, at=moment, purpose=Purpose.SIGNING)

    assert judged(leaf).verdict is Verdict.PASSED
    assert judged(leaf, moment=at + timedelta(days=60)).reason == "out_of_validity"
    assert judged(leaf[:-1] + bytes([leaf[-1] ^ 1])).verdict is not Verdict.PASSED
    assert judged(leaf, roots=()).reason == "untrusted_root"
    # A leaf is no authority: nothing may be issued under it.
    assert judged(leaf, roots=(leaf,)).verdict is Verdict.PASSED
    openssl(
        *(tmp_path, "x509", "-req", "-in", "root.csr", "-CA", "leaf.pem", "-CAkey", "leaf.key"),
        *("-CAcreateserial", *common, "below.pem"),
    )
    below = pem.unarmor((tmp_path / "below.pem").read_bytes())[2]
    found = check_path(below, others=[leaf], roots=[root], at=at, purpose=Purpose.SIGNING)
    assert found.verdict is Verdict.FAILED


def test_an_ocsp_answer_of_an_sm2_authority_verifies_here(authority):
    signer = FileSigner.create("sm2")
    issued = authority.issue(request_of(signer, common_name="x"), subject=PERSON, at=FIXED_TIME)
    responder = OcspResponder(authority)
    question = make_request(
        certificate_id(issued.der, authority.root_der, hash_name="sha1"), nonce=b"n" * 16
    )
    answer = responder.respond(question, at=FIXED_TIME)
    found = read_ocsp(
        answer,
        certificate=issued.der,
        issuer=authority.root_der,
        at=FIXED_TIME,
        nonce=b"n" * 16,
    )
    assert found.status == "good"


@pytest.mark.parametrize("kind", ["sm2", "rsa-2048"])
def test_a_pdf_is_signed_and_judged_with_each_kind_of_key(tmp_path, authority, kind):
    pki = throwaway_pki(tmp_path)
    signer = FileSigner.create(kind)
    issuing = authority if kind == "sm2" else pki.authority
    issued = issuing.issue(request_of(signer, common_name="x"), subject=PERSON, at=FIXED_TIME)
    fields = place_fields(
        raw_pdf([]), [FieldSpec(name="Party1", page=0, x=10, y=10, width=130, height=70)]
    )
    look = Appearance(
        organisation="示例企业（虚构）",
        handler="张三（虚构）",
        serial_hex=issued.serial_hex,
        at=FIXED_TIME,
        demo=True,
    )
    prepared = prepare(
        fields,
        field="Party1",
        certificate=issued.der,
        chain=issued.chain,
        at=FIXED_TIME,
        certify=True,
        appearance=look,
    )
    again = Prepared.load(revision=prepared.revision, state=prepared.state)

    def embedded(signature):
        return embed(
            again,
            signature=signature,
            certificate=issued.der,
            chain=issued.chain,
            stamp=pki.stamp,
        )

    signed = embedded(signer.sign(again.signed_attrs))
    wrong = code_of(VerificationError, lambda: embedded(signer.sign(b"something else")))
    assert wrong == "pdf.signature_mismatch"

    trust = PkiTrust(
        ca_roots=(issuing.root_der,),
        tsa_roots=(pki.tsa.root_der,),
        crls=(issuing.crl(at=FIXED_TIME),),
    )
    report = validate_pdf(signed, trust=trust, at=FIXED_TIME + timedelta(minutes=1))
    faults = [one.code for one in report.checks if one.verdict is not Verdict.PASSED]
    assert (report.verdict, faults) == (Verdict.PASSED, [])
    position = signed.index(b"Pay 100")
    changed = signed[:position] + bytes([signed[position] ^ 1]) + signed[position + 1 :]
    assert validate_pdf(changed, trust=trust, at=FIXED_TIME).verdict is Verdict.FAILED

    [item] = signatures_of(signed)
    container = read_container(item.contents)
    if kind == "sm2":
        assert (container.digest_algorithm, container.signature_algorithm) == ("sm3", "sm2")
        # The signature is what the openssl command calls one, over the attributes in the file.
        spki = signer.public_spki
        write_pem(tmp_path / "public.pem", "PUBLIC KEY", spki)
        (tmp_path / "attributes").write_bytes(container.signed_attrs)
        (tmp_path / "signature").write_bytes(container.signature)
        said = openssl(
            *(tmp_path, "pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin"),
            *("-digest", "sm3", "-in", "attributes", "-sigfile", "signature", "-pkeyopt", DISTID),
        )
        assert "Success" in said
