"""Keys of parties on their own side: PKCS#12 files and PKCS#11 tokens (SoftHSM). Everything is invented."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pkcs11 as pkcs11_library
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    FuqiError,
    InputError,
    NotFoundError,
    VerificationError,
)
from signing.ca import BuiltInAuthority, CertificateSubject, requested_spki
from signing.keys import pkcs11
from signing.keys.algorithms import P256, RSA, SM2, kind_of, verify_by_key
from signing.keys.pkcs12 import FileSigner
from signing.keys.signers import request_of, require_usable
from signing.sm import sm2_state
from signing.testing import FIXED_TIME

PASSWORD = "an invented password"
PERSON = CertificateSubject(common_name="张三（虚构）", reference="pty_invented")
needs_sm2 = pytest.mark.skipif(sm2_state() != "available", reason="needs a libcrypto with SM2")
FILE_KINDS = [
    pytest.param("p256", P256),
    pytest.param("rsa-2048", RSA),
    pytest.param("rsa-3072", RSA, marks=pytest.mark.slow),
    pytest.param("sm2", SM2, marks=needs_sm2),
]


def code_of(error, action):
    with pytest.raises(error) as caught:
        action()
    return caught.value.error_code


@pytest.mark.parametrize(("kind", "expected"), FILE_KINDS)
def test_a_file_key_asks_signs_and_is_found_again_with_its_certificate(tmp_path, kind, expected):
    path = tmp_path / "key.p12"
    made = FileSigner.create(kind)
    made.save(path, PASSWORD)
    csr = request_of(made, common_name="张三（虚构）")
    assert requested_spki(csr) == made.public_spki
    authority = BuiltInAuthority.create(tmp_path / "ca", at=FIXED_TIME, kind=expected)
    issued = authority.issue(csr, subject=PERSON, at=FIXED_TIME)
    FileSigner.load(path, PASSWORD).save(
        path, PASSWORD, certificate_der=issued.der, chain=issued.chain
    )

    found = FileSigner.load(path, PASSWORD)
    assert kind_of(found.public_spki) is expected
    assert require_usable(found, at=FIXED_TIME) == issued.der
    assert found.chain == issued.chain
    verify_by_key(b"words", signature=found.sign(b"words"), public_spki=made.public_spki)
    with pytest.raises(VerificationError):
        verify_by_key(b"other", signature=found.sign(b"words"), public_spki=made.public_spki)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["p256", pytest.param("sm2", marks=needs_sm2)])
def test_a_file_key_is_refused_with_a_clear_code(tmp_path, kind):
    path, other = tmp_path / "key.p12", tmp_path / "other.p12"
    FileSigner.create(kind).save(path, PASSWORD)
    FileSigner.create(kind).save(other, PASSWORD)

    assert code_of(InputError, lambda: FileSigner.load(path, "wrong")) == "keys.file_unreadable"
    missing = code_of(NotFoundError, lambda: FileSigner.load(tmp_path / "none", PASSWORD))
    assert missing == "keys.not_found"
    taken = code_of(ConflictError, lambda: FileSigner.load(path, PASSWORD).save(other, PASSWORD))
    assert taken == "keys.exists"
    short = code_of(InputError, lambda: FileSigner.load(path, PASSWORD).save(path, "short"))
    assert short == "keys.password_short"
    (tmp_path / "damaged").write_bytes(path.read_bytes()[:-20])
    damaged = code_of(InputError, lambda: FileSigner.load(tmp_path / "damaged", PASSWORD))
    assert damaged == "keys.file_unreadable"


def test_a_file_with_a_key_of_another_kind_is_refused(tmp_path):
    data = pkcs12.serialize_key_and_certificates(
        b"x", ec.generate_private_key(ec.SECP384R1()), None, None, NoEncryption()
    )
    (tmp_path / "p384.p12").write_bytes(data)
    load = lambda: FileSigner.load(tmp_path / "p384.p12", "")  # noqa: E731
    assert code_of(InputError, load) == "keys.kind"
    assert code_of(InputError, lambda: FileSigner.create("rsa-1024")) == "keys.kind"


def test_a_certificate_out_of_its_time_or_of_another_key_is_refused(tmp_path):
    signer = FileSigner.create("p256")
    usable = lambda at: lambda: require_usable(signer, at=at)  # noqa: E731
    assert code_of(InputError, usable(FIXED_TIME)) == "keys.certificate_missing"
    authority = BuiltInAuthority.create(tmp_path / "ca", at=FIXED_TIME)
    csr = request_of(signer, common_name="x")
    issued = authority.issue(csr, subject=PERSON, at=FIXED_TIME, days=1)
    signer.certificate_der = issued.der
    late, early = FIXED_TIME + timedelta(days=2), FIXED_TIME - timedelta(days=1)
    assert code_of(ConflictError, usable(late)) == "keys.certificate_expired"
    assert code_of(ConflictError, usable(early)) == "keys.certificate_early"
    stranger = FileSigner.create("p256")
    stranger.certificate_der = issued.der
    mismatch = code_of(InputError, lambda: require_usable(stranger, at=FIXED_TIME))
    assert mismatch == "keys.certificate_mismatch"


@needs_sm2
def test_an_sm2_file_is_read_by_openssl_and_one_of_openssl_here(tmp_path):
    FileSigner.create("sm2").save(tmp_path / "ours.p12", PASSWORD)
    run = ["openssl", "pkcs12", "-in", "ours.p12", "-nocerts", "-noenc", "-out", "key.pem"]
    subprocess.run(
        [*run, "-passin", f"pass:{PASSWORD}"], cwd=tmp_path, check=True, capture_output=True
    )
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-key", "key.pem", "-subj", "/CN=invented", "-sm3"),
            *("-sigopt", "distid:1234567812345678", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    run = ["openssl", "pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem"]
    subprocess.run(
        [*run, "-out", "theirs.p12", "-passout", f"pass:{PASSWORD}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    theirs = FileSigner.load(tmp_path / "theirs.p12", PASSWORD)
    assert theirs.public_spki == FileSigner.load(tmp_path / "ours.p12", PASSWORD).public_spki
    assert theirs.certificate_der is not None


# ------------------------------------------------------------------ tokens
@pytest.mark.parametrize(("kind", "expected"), [("p256", P256), ("rsa-2048", RSA)])
def test_a_token_key_asks_signs_and_keeps_its_certificate(tmp_path, softhsm, kind, expected):
    made = pkcs11.make_token_key(
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label=kind, kind=kind
    )
    authority = BuiltInAuthority.create(tmp_path / "ca", at=FIXED_TIME)
    with pkcs11.open_token(
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label=kind
    ) as signer:
        csr = request_of(signer, common_name="张三（虚构）")
        issued = authority.issue(csr, subject=PERSON, at=FIXED_TIME)
        signer.keep_certificate(issued.der)
        signer.keep_certificate(issued.der)
    with pkcs11.open_token(
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label=kind
    ) as signer:
        assert signer.kind is expected
        assert signer.public_spki == made
        assert require_usable(signer, at=FIXED_TIME) == issued.der
        verify_by_key(b"words", signature=signer.sign(b"words"), public_spki=made)
        assert x509.load_der_x509_certificate(signer.certificate_der)
        other = authority.issue(
            request_of(FileSigner.create("p256"), common_name="x"), subject=PERSON, at=FIXED_TIME
        )
        mismatch = code_of(InputError, lambda: signer.keep_certificate(other.der))
        assert mismatch == "keys.certificate_mismatch"
        with pytest.raises(pkcs11_library.PKCS11Error):
            signer._private[pkcs11_library.Attribute.VALUE]


def test_what_a_token_refuses_has_a_clear_code(softhsm):
    def opened(**changes):
        values = {"token": softhsm.name, "pin": softhsm.pin, "label": "none"} | changes

        def action():
            with pkcs11.open_token(values.pop("module", softhsm.module), **values):
                pass

        return action

    assert code_of(ForbiddenError, opened(pin="0000")) == "keys.pin_wrong"
    assert code_of(NotFoundError, opened()) == "keys.not_found"
    assert code_of(NotFoundError, opened(token="another")) == "keys.token_not_found"
    assert code_of(NotFoundError, opened(module=Path("/nowhere.so"))) == "keys.token_module"
    make = lambda kind: pkcs11.make_token_key(  # noqa: E731
        softhsm.module, token=softhsm.name, pin=softhsm.pin, label="once", kind=kind
    )
    assert code_of(InputError, lambda: make("sm2")) == "keys.kind"
    make("p256")
    assert code_of(ConflictError, lambda: make("p256")) == "keys.exists"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (pkcs11_library.PinLocked(), "keys.pin_locked"),
        (pkcs11_library.PinIncorrect(), "keys.pin_wrong"),
        (pkcs11_library.DeviceRemoved(), "keys.token_failed"),
    ],
)
def test_a_locked_or_broken_token_is_said_in_our_words(monkeypatch, raised, code):
    # SoftHSM never locks, so the module is replaced by one that says what a real token says.
    class Token:
        def open(self, **_options):
            raise raised

    class Library:
        def get_token(self, **_options):
            return Token()

    monkeypatch.setattr(pkcs11.pkcs11, "lib", lambda _path: Library())

    with (
        pytest.raises(FuqiError) as caught,
        pkcs11.open_token(Path("x"), token="t", pin="p", label="l"),
    ):
        pass
    assert caught.value.error_code == code
