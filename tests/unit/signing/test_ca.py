"""The built-in certificate authority; every name here is invented."""

import stat
import subprocess
from datetime import timedelta
from shutil import which

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing.ca import (
    CSR_BYTES_MAX,
    LABEL_EN,
    LABEL_ZH,
    OID_DOCUMENT_SIGNING,
    Addresses,
    BuiltInAuthority,
    CertificateSubject,
    identity_commitment,
)
from signing.certificates import certificate_spki
from signing.keys.device import DeviceKey
from signing.keys.files import load_private
from signing.testing import FIXED_TIME

PERSON = CertificateSubject(
    common_name="张三（虚构）",
    organisation="示例捐赠企业（虚构）",
    reference="pty_01hzzzzzzzzzzzzzzzzzzzzzzz",
    identity_commitment=bytes(range(32)),
)
OTHER = CertificateSubject(common_name="李四（虚构）", organisation="示例医院（虚构）")


@pytest.fixture
def authority(tmp_path):
    return BuiltInAuthority.create(tmp_path / "ca", at=FIXED_TIME)


def issue(authority, *, key=None, subject=PERSON, **kwargs):
    key = key or DeviceKey.create()
    return authority.issue(key.csr(subject), subject=subject, at=FIXED_TIME, **kwargs)


def parsed(issued):
    return x509.load_der_x509_certificate(issued.der)


def test_a_leaf_has_the_document_signing_profile(authority):
    key = DeviceKey.create()
    issued = issue(authority, key=key)
    certificate = parsed(issued)
    extensions = certificate.extensions
    usage = extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE)
    constraints = extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS)
    extended = extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)

    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.root_der))
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert not usage.value.key_cert_sign
    assert constraints.critical
    assert not constraints.value.ca
    assert not extended.critical
    assert list(extended.value) == [OID_DOCUMENT_SIGNING]
    assert extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    assert extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    assert issued.not_before == FIXED_TIME
    assert issued.not_after == FIXED_TIME + timedelta(days=365)
    assert issued.chain == (authority.root_der,)
    assert certificate.serial_number.bit_length() == 159
    assert issued.serial_hex == f"{certificate.serial_number:040x}"


def test_the_subject_is_what_was_checked_and_not_what_the_request_says(authority):
    key = DeviceKey.create()
    csr = key.csr(CertificateSubject(common_name="somebody else"))
    issued = authority.issue(csr, subject=PERSON, at=FIXED_TIME)
    names = parsed(issued).subject
    assert names.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == PERSON.common_name
    assert names.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == PERSON.organisation
    assert names.get_attributes_for_oid(NameOID.USER_ID)[0].value == PERSON.reference


def test_a_leaf_carries_only_a_commitment_to_the_identity(authority):
    assert identity_commitment(issue(authority).der) == bytes(range(32))
    assert identity_commitment(issue(authority, subject=OTHER).der) is None


def test_the_label_stands_in_the_issuer_name_and_in_the_policy_of_every_leaf(authority):
    certificate = parsed(issue(authority))
    units = {
        attribute.value
        for attribute in certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    }
    policies = certificate.extensions.get_extension_for_oid(ExtensionOID.CERTIFICATE_POLICIES)
    assert units == {LABEL_EN, LABEL_ZH}
    assert LABEL_EN in policies.value[0].policy_qualifiers[0].explicit_text


def test_a_request_not_signed_by_its_key_is_refused(authority):
    csr = bytearray(DeviceKey.create().csr(PERSON))
    csr[-1] ^= 1
    with pytest.raises(InputError) as caught:
        authority.issue(bytes(csr), subject=PERSON, at=FIXED_TIME)
    assert caught.value.error_code == "ca.csr_signature"


@pytest.mark.parametrize("data", [b"", b"nonsense", bytes(CSR_BYTES_MAX + 1)])
def test_what_is_no_request_is_refused(authority, data):
    with pytest.raises(InputError) as caught:
        authority.issue(data, subject=PERSON, at=FIXED_TIME)
    assert caught.value.error_code == "ca.csr_malformed"


def test_a_request_or_certificate_of_an_unknown_version_is_refused(authority):
    """Found by the fuzzer: `cryptography` raises InvalidVersion, which is no ValueError."""
    request = DeviceKey.create().csr(PERSON).replace(b"\x02\x01\x00", b"\x02\x01\x70", 1)
    with pytest.raises(InputError) as caught:
        authority.issue(request, subject=PERSON, at=FIXED_TIME)
    assert caught.value.error_code == "ca.csr_malformed"
    root = authority.root_der
    with pytest.raises(InputError) as caught:
        certificate_spki(root.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x70", 1))
    assert caught.value.error_code == "certificate.malformed"


def test_bytes_after_a_request_are_refused(authority):
    with pytest.raises(InputError) as caught:
        authority.issue(DeviceKey.create().csr(PERSON) + b"\0", subject=PERSON, at=FIXED_TIME)
    assert caught.value.error_code == "ca.csr_malformed"


REFUSED_KEYS = {
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "rsa-exponent": lambda: rsa.generate_private_key(3, 2048),
}


@pytest.mark.parametrize("kind", sorted(REFUSED_KEYS))
def test_keys_of_no_accepted_kind_are_refused(authority, kind):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "invented")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.sign(REFUSED_KEYS[kind](), hashes.SHA256())
    with pytest.raises(InputError) as caught:
        authority.issue(request.public_bytes(Encoding.DER), subject=PERSON, at=FIXED_TIME)
    assert caught.value.error_code == "ca.csr_key_type"


@pytest.mark.parametrize("bits", [2048, 3072])
def test_an_rsa_key_is_certified(authority, bits):
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "invented")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    issued = authority.issue(request.public_bytes(Encoding.DER), subject=PERSON, at=FIXED_TIME)
    assert parsed(issued).public_key() == key.public_key()


@pytest.mark.parametrize(
    "subject",
    [
        CertificateSubject(common_name=""),
        CertificateSubject(common_name=" padded"),
        CertificateSubject(common_name="字" * 22),
        CertificateSubject(common_name="a\u202eb"),
        CertificateSubject(common_name="invented", organisation="x" * 65),
        CertificateSubject(common_name="invented", country="china"),
    ],
)
def test_a_name_that_cannot_be_shown_truthfully_is_refused(authority, subject):
    with pytest.raises(InputError) as caught:
        authority.issue(DeviceKey.create().csr(PERSON), subject=subject, at=FIXED_TIME)
    assert caught.value.error_code == "ca.subject_name"


def test_a_commitment_of_another_length_is_refused(authority):
    subject = CertificateSubject(common_name="invented", identity_commitment=b"110105194912310021")
    with pytest.raises(InputError) as caught:
        issue(authority, subject=subject)
    assert caught.value.error_code == "ca.subject_commitment"


@pytest.mark.parametrize("days", [0, 1096])
def test_a_period_outside_the_limits_is_refused(authority, days):
    with pytest.raises(InputError) as caught:
        issue(authority, days=days)
    assert caught.value.error_code == "ca.days"


def test_nothing_is_issued_outside_the_roots_own_validity(authority):
    with pytest.raises(ConflictError) as caught:
        authority.issue(
            DeviceKey.create().csr(PERSON), subject=PERSON, at=FIXED_TIME - timedelta(seconds=1)
        )
    assert caught.value.error_code == "ca.not_valid_at"


def test_one_key_serves_one_subject(authority, tmp_path):
    key = DeviceKey.create()
    first = issue(authority, key=key)
    renewed = issue(BuiltInAuthority.load(tmp_path / "ca"), key=key)
    assert first.serial_hex != renewed.serial_hex
    with pytest.raises(ConflictError) as caught:
        issue(BuiltInAuthority.load(tmp_path / "ca"), key=key, subject=OTHER)
    assert caught.value.error_code == "ca.key_in_use"
    assert {one.serial_hex for one in authority.issued_for(key.public_spki)} == {
        first.serial_hex,
        renewed.serial_hex,
    }
    assert authority.issued_for(DeviceKey.create().public_spki) == ()


def test_the_roots_own_key_is_never_certified_for_somebody(authority, tmp_path):
    own = DeviceKey(load_private(tmp_path / "ca" / "root.pem"))
    with pytest.raises(ConflictError) as caught:
        issue(authority, key=own)
    assert caught.value.error_code == "ca.key_in_use"


def test_an_authority_is_made_once_and_found_again(authority, tmp_path):
    with pytest.raises(ConflictError) as caught:
        BuiltInAuthority.create(tmp_path / "ca", at=FIXED_TIME)
    assert caught.value.error_code == "ca.exists"
    found = BuiltInAuthority.open_or_create(tmp_path / "ca", at=FIXED_TIME + timedelta(days=1))
    assert found.root_der == authority.root_der
    with pytest.raises(NotFoundError) as absent:
        BuiltInAuthority.load(tmp_path / "none")
    assert absent.value.error_code == "ca.not_found"
    made = BuiltInAuthority.open_or_create(tmp_path / "none", at=FIXED_TIME)
    assert made.root_der != authority.root_der


def test_key_files_are_private_and_a_readable_one_is_refused(authority, tmp_path):
    path = tmp_path / "ca" / "root.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(ConflictError) as caught:
        BuiltInAuthority.load(tmp_path / "ca")
    assert caught.value.error_code == "keys.permissions"


@pytest.mark.parametrize(
    ("name", "code"), [("root.pem", "keys.damaged"), ("root.der", "ca.damaged")]
)
def test_a_damaged_authority_is_not_opened(authority, tmp_path, name, code):
    (tmp_path / "ca" / name).write_bytes(b"damaged")
    with pytest.raises(ConflictError) as caught:
        BuiltInAuthority.load(tmp_path / "ca")
    assert caught.value.error_code == code


def test_a_key_of_another_authority_is_not_opened(authority, tmp_path):
    BuiltInAuthority.create(tmp_path / "other", at=FIXED_TIME)
    (tmp_path / "ca" / "root.pem").write_bytes((tmp_path / "other" / "root.pem").read_bytes())
    with pytest.raises(ConflictError) as caught:
        BuiltInAuthority.load(tmp_path / "ca")
    assert caught.value.error_code == "ca.damaged"


def test_revocations_last_and_stand_in_every_later_list(authority, tmp_path):
    issued, kept = issue(authority), issue(authority)
    later = FIXED_TIME + timedelta(hours=1)
    authority.revoke(issued.serial_hex, at=later, reason="key_compromise")

    again = BuiltInAuthority.load(tmp_path / "ca")
    crl = x509.load_der_x509_crl(again.crl(at=later))
    root = x509.load_der_x509_certificate(authority.root_der)
    entry = crl.get_revoked_certificate_by_serial_number(int(issued.serial_hex, 16))
    assert crl.is_signature_valid(root.public_key())
    assert entry.revocation_date_utc == later
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.name == (
        "key_compromise"
    )
    assert crl.get_revoked_certificate_by_serial_number(int(kept.serial_hex, 16)) is None
    assert again.revoked_at(issued.serial_hex) == later
    assert again.revoked_at(kept.serial_hex) is None


def test_the_same_revocation_again_keeps_the_first_time(authority):
    issued = issue(authority)
    authority.revoke(issued.serial_hex, at=FIXED_TIME, reason="superseded")
    authority.revoke(issued.serial_hex, at=FIXED_TIME + timedelta(days=1), reason="superseded")
    assert authority.revoked_at(issued.serial_hex) == FIXED_TIME
    with pytest.raises(ConflictError) as caught:
        authority.revoke(issued.serial_hex, at=FIXED_TIME, reason="key_compromise")
    assert caught.value.error_code == "ca.already_revoked"


@pytest.mark.parametrize("serial", ["f" * 40, "../root.der", "", "-1"])
def test_a_certificate_of_nobody_cannot_be_revoked(authority, serial):
    with pytest.raises(NotFoundError) as caught:
        authority.revoke(serial, at=FIXED_TIME, reason="superseded")
    assert caught.value.error_code == "ca.serial_unknown"


def test_an_invented_reason_is_refused(authority):
    with pytest.raises(InputError) as caught:
        authority.revoke(issue(authority).serial_hex, at=FIXED_TIME, reason="because")
    assert caught.value.error_code == "ca.revocation_reason"


def test_revocation_lists_are_numbered_upwards_across_restarts(authority, tmp_path):
    numbers = []
    for opened in (authority, BuiltInAuthority.load(tmp_path / "ca"), authority):
        crl = x509.load_der_x509_crl(opened.crl(at=FIXED_TIME))
        numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    assert numbers == sorted(set(numbers))


def test_a_revocation_address_enters_a_leaf_only_where_configured(authority, tmp_path):
    url = "https://fuqi.example/crl"
    with_url = BuiltInAuthority.load(tmp_path / "ca", addresses=Addresses(crl=url))
    points = parsed(issue(with_url)).extensions.get_extension_for_oid(
        ExtensionOID.CRL_DISTRIBUTION_POINTS
    )
    assert points.value[0].full_name[0].value == url
    with pytest.raises(x509.ExtensionNotFound):
        parsed(issue(authority)).extensions.get_extension_for_oid(
            ExtensionOID.CRL_DISTRIBUTION_POINTS
        )


@pytest.mark.skipif(which("openssl") is None, reason="needs the openssl command")
def test_openssl_accepts_the_chain_and_sees_the_revocation(authority, tmp_path):
    issued = issue(authority)

    def pem(name, der, kind):
        (tmp_path / f"{name}.der").write_bytes(der)
        command = ["openssl", kind, "-inform", "DER", "-in", f"{name}.der", "-out", f"{name}.pem"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    def verify():
        pem("crl", authority.crl(at=FIXED_TIME), "crl")
        when = str(int(FIXED_TIME.timestamp()) + 60)
        command = ["openssl", "verify", "-x509_strict", "-crl_check", "-attime", when]
        command += ["-CAfile", "root.pem", "-CRLfile", "crl.pem", "leaf.pem"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    pem("root", authority.root_der, "x509")
    pem("leaf", issued.der, "x509")
    assert verify().stdout.strip() == "leaf.pem: OK"
    authority.revoke(issued.serial_hex, at=FIXED_TIME, reason="key_compromise")
    refused = verify()
    assert refused.returncode != 0
    assert "certificate revoked" in refused.stderr


def test_a_crash_before_a_certificate_was_kept_lets_the_same_subject_try_again(authority, tmp_path):
    key = DeviceKey.create()
    lost = issue(authority, key=key)
    (tmp_path / "ca" / "certificates" / f"{lost.serial_hex}.der").unlink()
    again = BuiltInAuthority.load(tmp_path / "ca")
    assert again.issued_for(key.public_spki) == ()
    kept = issue(again, key=key)
    assert [one.serial_hex for one in again.issued_for(key.public_spki)] == [kept.serial_hex]
    with pytest.raises(ConflictError) as caught:
        issue(again, key=key, subject=OTHER)
    assert caught.value.error_code == "ca.key_in_use"
