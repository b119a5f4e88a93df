"""Device keys in PKCS#12 files, strict ECDSA, and files written once; every name is invented."""

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PublicFormat,
    pkcs12,
)

from ledger.core.errors import ConflictError, InputError, NotFoundError, VerificationError
from signing.ca import CertificateSubject
from signing.keys.device import DeviceKey
from signing.keys.files import create_folder, replace, write_once
from signing.keys.p256 import ORDER, der_from_raw, verify_p256
from signing.keys.pkcs12 import FILE_BYTES_MAX
from signing.testing import throwaway_pki

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "wycheproof"
PASSWORD = "invented password"


def test_a_saved_key_comes_back_with_its_certificate_and_chain(tmp_path):
    signer = throwaway_pki(tmp_path / "pki").signer()
    path = tmp_path / "device.p12"
    signer.key.save(path, PASSWORD, signer.certificate.der, signer.certificate.chain)
    loaded = DeviceKey.load(path, PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert loaded.public_spki == signer.key.public_spki
    assert loaded.certificate_der == signer.certificate.der
    assert loaded.chain == signer.certificate.chain
    verify_p256(b"data", signature=loaded.sign(b"data"), public_spki=signer.key.public_spki)


def test_a_key_saved_before_its_certificate_may_be_saved_again_with_it(tmp_path):
    pki, key, path = throwaway_pki(tmp_path / "pki"), DeviceKey.create(), tmp_path / "device.p12"
    subject = CertificateSubject(common_name="王五（虚构）")
    key.save(path, PASSWORD)
    assert DeviceKey.load(path, PASSWORD).certificate_der is None
    issued = pki.authority.issue(key.csr(subject), subject=subject, at=pki.at)
    key.save(path, PASSWORD, issued.der, issued.chain)
    DeviceKey.load(path, PASSWORD).save(path, PASSWORD)
    assert DeviceKey.load(path, PASSWORD).certificate_der == issued.der


def test_a_file_with_another_key_or_password_is_not_overwritten(tmp_path):
    path = tmp_path / "device.p12"
    first = DeviceKey.create()
    first.save(path, PASSWORD)
    for key, password in ((DeviceKey.create(), PASSWORD), (first, "another password")):
        with pytest.raises(ConflictError) as caught:
            key.save(path, password)
        assert caught.value.error_code == "keys.exists"
    assert DeviceKey.load(path, PASSWORD).public_spki == first.public_spki


def test_a_certificate_of_another_key_is_not_saved(tmp_path):
    signer = throwaway_pki(tmp_path / "pki").signer()
    with pytest.raises(InputError) as caught:
        DeviceKey.create().save(tmp_path / "k.p12", PASSWORD, signer.certificate.der)
    assert caught.value.error_code == "keys.certificate_mismatch"


def test_a_short_password_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        DeviceKey.create().save(tmp_path / "k.p12", "1234567")
    assert caught.value.error_code == "keys.password_short"
    assert not (tmp_path / "k.p12").exists()


def test_a_wrong_password_or_file_is_refused(tmp_path):
    path = tmp_path / "k.p12"
    with pytest.raises(NotFoundError) as absent:
        DeviceKey.load(path, PASSWORD)
    assert absent.value.error_code == "keys.not_found"
    DeviceKey.create().save(path, PASSWORD)
    with pytest.raises(InputError) as wrong:
        DeviceKey.load(path, "wrong password")
    assert wrong.value.error_code == "keys.file_unreadable"
    for content in (b"", b"nonsense", bytes(FILE_BYTES_MAX + 1)):
        path.write_bytes(content)
        with pytest.raises(InputError) as damaged:
            DeviceKey.load(path, PASSWORD)
        assert damaged.value.error_code == "keys.file_unreadable"


def test_a_key_on_another_curve_is_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256K1())
    data = pkcs12.serialize_key_and_certificates(b"invented", key, None, None, NoEncryption())
    (tmp_path / "k.p12").write_bytes(data)
    with pytest.raises(InputError) as caught:
        DeviceKey.load(tmp_path / "k.p12", "")
    assert caught.value.error_code == "keys.key_type"


def test_a_request_is_signed_by_the_key_it_names():
    key = DeviceKey.create()
    request = x509.load_der_x509_csr(key.csr(CertificateSubject(common_name="王五（虚构）")))
    spki = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert request.is_signature_valid
    assert spki == key.public_spki


# --- strict ECDSA ---------------------------------------------------------------------------------


def refused(data, *, signature, public_spki):
    with pytest.raises(VerificationError) as caught:
        verify_p256(data, signature=signature, public_spki=public_spki)
    return caught.value.error_code


def test_a_signature_is_bound_to_data_and_key():
    key, other = DeviceKey.create(), DeviceKey.create()
    signature = key.sign(b"data")
    verify_p256(b"data", signature=signature, public_spki=key.public_spki)
    spki = key.public_spki
    assert refused(b"datb", signature=signature, public_spki=spki) == "signature.mismatch"
    assert (
        refused(b"data", signature=signature, public_spki=other.public_spki) == "signature.mismatch"
    )


def test_encodings_that_some_libraries_forgive_are_refused():
    key = DeviceKey.create()
    good = key.sign(b"data")
    r, s = decode_dss_signature(good)
    for signature in (
        good + b"\0",
        b"\x30\x81" + good[1:],
        good[:-1],
        b"",
        b"\x30\x80" + good[2:] + b"\0\0",
        bytes(10_000),
    ):
        code = refused(b"data", signature=signature, public_spki=key.public_spki)
        assert code == "signature.encoding"
    for pair in ((0, s), (r, 0), (ORDER, s), (r, ORDER), (r + ORDER, s)):
        code = refused(b"data", signature=encode_dss_signature(*pair), public_spki=key.public_spki)
        assert code in ("signature.range", "signature.encoding")


def test_keys_in_other_forms_are_refused():
    key = DeviceKey.create()
    signature = key.sign(b"data")
    other_curve = ec.generate_private_key(ec.SECP256K1()).public_key()
    bad_point = key.public_spki[:-1] + bytes([key.public_spki[-1] ^ 1])
    compressed = key._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    hybrid = bytearray(key.public_spki)
    hybrid[26] = 6 + key.public_spki[-1] % 2
    for spki in (
        b"",
        bytes(hybrid),
        key.public_spki + b"\0",
        bad_point,
        compressed,
        other_curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        code = refused(b"data", signature=signature, public_spki=spki)
        assert code == "signature.key_malformed"


def test_a_raw_signature_of_a_browser_becomes_the_same_der():
    key = DeviceKey.create()
    signature = key.sign(b"data")
    r, s = decode_dss_signature(signature)
    assert der_from_raw(r.to_bytes(32, "big") + s.to_bytes(32, "big")) == signature
    for raw, code in (
        (bytes(63), "signature.encoding"),
        (bytes(64), "signature.range"),
        (b"\xff" * 64, "signature.range"),
    ):
        with pytest.raises(VerificationError) as caught:
            der_from_raw(raw)
        assert caught.value.error_code == code


def wycheproof(name):
    path = CORPUS / name
    if not path.exists():
        pytest.skip("the shared Wycheproof vectors are not here; the tests above stand alone")
    for group in json.loads(path.read_text())["testGroups"]:
        spki = bytes.fromhex(group["publicKeyDer"])
        for test in group["tests"]:
            yield test, spki, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])


@pytest.mark.parametrize(
    ("name", "convert", "count"),
    [
        ("ecdsa_secp256r1_sha256_test.json", bytes, 484),
        ("ecdsa_secp256r1_sha256_p1363_test.json", der_from_raw, 262),
    ],
)
def test_every_wycheproof_vector_is_judged_as_its_authors_do(name, convert, count):
    wrong, seen = [], 0
    for test, spki, message, signature in wycheproof(name):
        seen += 1
        try:
            verify_p256(message, signature=convert(signature), public_spki=spki)
            outcome = "valid"
        except VerificationError:
            outcome = "invalid"
        if outcome != test["result"]:
            wrong.append((test["tcId"], test["comment"], outcome))
    assert wrong == []
    assert seen == count


# --- files ----------------------------------------------------------------------------------------


def test_a_name_is_written_once(tmp_path):
    path = tmp_path / "name"
    assert write_once(path, b"first")
    assert not write_once(path, b"second")
    assert path.read_bytes() == b"first"
    replace(path, b"third")
    assert path.read_bytes() == b"third"
    assert [one.name for one in tmp_path.iterdir()] == ["name"], "no drafts are left"


def test_a_folder_appears_with_all_its_files_or_not_at_all(tmp_path):
    files = {"a": b"1", "sub/b": b"2"}
    assert create_folder(tmp_path / "new", files, folders=("sub",))
    assert (tmp_path / "new" / "sub" / "b").read_bytes() == b"2"
    assert not create_folder(tmp_path / "new", {"a": b"other"}, folders=())
    assert (tmp_path / "new" / "a").read_bytes() == b"1"
    with pytest.raises(FileNotFoundError):
        create_folder(tmp_path / "half", {"missing/x": b"1"}, folders=())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new"]
