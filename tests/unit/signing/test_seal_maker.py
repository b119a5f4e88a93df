"""The maker of seals under an authority from outside: a key of our own, certified there or refused."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from ledger.core.errors import ConflictError, FuqiError, UnavailableError
from signing.ca import BuiltInAuthority, CertificateSubject, requested_spki
from signing.keys.p256 import verify_p256
from signing.seal_maker import MAKER_DAYS, ExternalSealMaker, certify_maker, request_maker

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return BuiltInAuthority.create(tmp_path_factory.mktemp("outside") / "ca", at=AT)


def certified(folder, authority, *, at=AT):
    spki = requested_spki(request_maker(folder))
    certificate = certify_maker(authority, spki, at=at)
    (folder / "seal-maker.der").write_bytes(certificate.public_bytes(Encoding.DER))
    return spki


def test_a_key_made_here_and_certified_outside_signs_seals(tmp_path, authority):
    folder = tmp_path / "maker"
    spki = certified(folder, authority)
    maker = ExternalSealMaker(folder, roots=[authority.root_der], at=AT)
    verify_p256(b"a seal", signature=maker.sign(b"a seal", at=AT), public_spki=spki)
    assert maker.certificate_der(at=AT) == (folder / "seal-maker.der").read_bytes()
    # The key never left the folder, nobody else reads it, and asking again asks for the same key.
    assert stat.S_IMODE((folder / "seal-maker.pem").stat().st_mode) == 0o600
    assert requested_spki(request_maker(folder)) == spki
    with pytest.raises(UnavailableError) as caught:
        maker.certificate_der(at=AT + timedelta(days=MAKER_DAYS))
    assert caught.value.error_code == "seal.maker_ended"


def refused(folder, roots, *, at=AT):
    with pytest.raises(FuqiError) as caught:
        ExternalSealMaker(folder, roots=roots, at=at)
    assert isinstance(caught.value, ConflictError)
    return caught.value.error_code


def test_a_maker_that_does_not_fit_is_refused_at_the_start(tmp_path, authority):
    folder = tmp_path / "maker"
    spki = certified(folder, authority)
    other = BuiltInAuthority.create(tmp_path / "other", at=AT)
    assert refused(folder, [other.root_der]) == "seal.maker_certificate"
    assert (
        refused(folder, [authority.root_der], at=AT + timedelta(days=MAKER_DAYS + 1))
        == "seal.maker_certificate"
    )
    # A party's certificate for the same key makes no maker.
    leaf = authority.issue(
        request_maker(folder), subject=CertificateSubject(common_name="a party"), at=AT
    )
    assert requested_spki(request_maker(folder)) == spki
    (folder / "seal-maker.der").write_bytes(leaf.der)
    assert refused(folder, [authority.root_der]) == "seal.maker_certificate"
    # A certificate for another key, and none at all.
    certified(tmp_path / "second", authority)
    (folder / "seal-maker.der").write_bytes((tmp_path / "second" / "seal-maker.der").read_bytes())
    assert refused(folder, [authority.root_der]) == "seal.maker_files"
    (folder / "seal-maker.der").unlink()
    assert refused(folder, [authority.root_der]) == "seal.maker_files"
    certified(folder, authority)
    (folder / "seal-maker.pem").chmod(0o644)
    assert refused(folder, [authority.root_der]) == "keys.permissions"


def test_a_revoked_maker_is_refused_at_the_start_and_at_its_next_use(tmp_path):
    authority = BuiltInAuthority.create(tmp_path / "ca", at=AT)
    folder, later = tmp_path / "maker", AT + timedelta(hours=2)
    certified(folder, authority)
    shown = []
    maker = ExternalSealMaker(
        folder, roots=[authority.root_der], at=AT, lists=lambda _moment: tuple(shown)
    )
    shown.append(authority.crl(at=AT))
    assert maker.certificate_der(at=AT)
    serial = x509.load_der_x509_certificate((folder / "seal-maker.der").read_bytes()).serial_number
    revoked = revoking(authority, serial, at=AT + timedelta(hours=1))
    shown.append(revoked)
    # What it did before the revocation stands; from then on it signs nothing, here or after a new start.
    assert maker.certificate_der(at=AT)
    with pytest.raises(ConflictError) as caught:
        maker.certificate_der(at=later)
    assert caught.value.error_code == "seal.maker_revoked"
    with pytest.raises(ConflictError) as caught:
        ExternalSealMaker(
            folder, roots=[authority.root_der], at=later, lists=lambda _moment: (revoked,)
        )
    assert caught.value.error_code == "seal.maker_revoked"
    # A list of a stranger, and one that cannot be read, revoke nothing.
    stranger = BuiltInAuthority.create(tmp_path / "stranger", at=AT)
    for other in (revoking(stranger, serial, at=AT), b"no list"):
        lists = (other,)
        ExternalSealMaker(
            folder, roots=[authority.root_der], at=later, lists=lambda _moment, held=lists: held
        )


def revoking(authority, serial, *, at):
    """A list of this authority that names a serial number."""
    key = load_pem_private_key((authority.folder / "root.pem").read_bytes(), None)
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(at)
        .next_update(at + timedelta(days=7))
        .add_revoked_certificate(entry)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
