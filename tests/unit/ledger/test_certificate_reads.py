"""Small reads of certificates: the key inside, and a stored chain split where it was joined."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.core.errors import InputError
from signing.certificates import CHAIN_MAX, certificate_spki, split_chain
from signing.testing import throwaway_pki


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return throwaway_pki(tmp_path_factory.mktemp("pki")).signer()


@pytest.fixture
def leaf(signer):
    return signer.certificate.der


def refusal(function, data):
    with pytest.raises(InputError) as caught:
        function(data)
    return caught.value.error_code


def test_the_key_of_a_certificate_is_that_of_its_holder(signer, leaf):
    assert certificate_spki(leaf) == signer.key.public_spki
    public = x509.load_der_x509_certificate(leaf).public_key()
    assert certificate_spki(leaf) == public.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def test_what_is_no_certificate_has_no_key(signer, leaf):
    for data in (b"", b"x", leaf[:-1], leaf[1:], leaf + b"\x00", signer.key.public_spki):
        assert refusal(certificate_spki, data) == "certificate.malformed"


def test_a_key_on_a_curve_that_nobody_knows_is_malformed(leaf):
    p256 = bytes.fromhex("06082a8648ce3d030107")
    assert leaf.count(p256) == 1
    unknown = leaf.replace(p256, bytes.fromhex("06082a8648ce3d03017f"))
    assert refusal(certificate_spki, unknown) == "certificate.malformed"


def test_a_chain_comes_apart_where_it_was_joined(signer, leaf):
    root = signer.certificate.chain[-1]
    assert split_chain(b"") == ()
    assert split_chain(leaf) == (leaf,)
    assert split_chain(leaf + root + leaf) == (leaf, root, leaf)


def test_a_chain_that_is_cut_or_followed_by_rubbish_is_malformed(leaf):
    for data in (
        leaf[:-1],
        leaf + leaf[:10],
        leaf + b"\x30\x80",
        leaf + b"\x00",
        b"\xff" * 9,
        b"\x30",
    ):
        assert refusal(split_chain, data) == "certificate.malformed", data[-10:]


def test_a_chain_has_a_limit(leaf):
    assert len(split_chain(leaf * CHAIN_MAX)) == CHAIN_MAX
    assert refusal(split_chain, leaf * (CHAIN_MAX + 1)) == "certificate.malformed"
