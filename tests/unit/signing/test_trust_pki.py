"""Pinned trust: paths, uses, revocation lists, and the JSON form."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import InputError
from ledger.core.report import Verdict
from signing.testing import throwaway_pki
from signing.testing_pdf import trust_of
from signing.trust import (
    PkiTrust,
    Purpose,
    RevocationList,
    certificate_times,
    check_path,
    check_revocation,
    issued_by_known,
)

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
RARE = "陈𬱖（虚构）"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


class Maker:
    """Issues whatever certificate a test needs."""

    def __init__(self, name: str, *, issuer: Maker | None = None, **kwargs):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.der = self.make(issuer or self, **kwargs)

    def make(self, issuer, *, ca=False, days=(-1, 30), usages=None, extra=(), path_length=None):
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(AT + timedelta(days=days[0]))
            .not_valid_after(AT + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        )
        if ca:
            builder = builder.add_extension(
                key_usage(key_cert_sign=True, crl_sign=True), critical=True
            )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages[0]), critical=usages[1])
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def key_usage(**chosen):
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: chosen.get(name, False) for name in names})


@pytest.fixture(scope="module")
def root():
    return Maker("示例根（虚构）", ca=True)


def path(leaf, *, others=(), roots, at=AT, purpose=Purpose.SIGNING):
    return check_path(leaf, others=others, roots=roots, at=at, purpose=purpose)


@pytest.mark.parametrize("name", ["普通姓名（虚构）", RARE])
class TestPlainAndRareNames:
    """asn1crypto cannot compare names with newer characters; ours must be judged all the same."""

    def test_a_leaf_of_the_root_is_trusted(self, root, name):
        found = path(Maker(name, issuer=root).der, roots=[root.der])
        assert (found.verdict, len(found.path)) == (Verdict.PASSED, 2)

    def test_a_leaf_below_an_intermediate_is_trusted(self, root, name):
        middle = Maker("示例中级（虚构）", issuer=root, ca=True)
        found = path(Maker(name, issuer=middle).der, others=[middle.der], roots=[root.der])
        assert (found.verdict, len(found.path)) == (Verdict.PASSED, 3)

    def test_an_unknown_root_is_indeterminate_and_named(self, root, name):
        found = path(Maker(name, issuer=root).der, others=[root.der], roots=[])
        assert (found.verdict, found.reason) == (Verdict.INDETERMINATE, "untrusted_root")
        assert found.root == "示例根（虚构）"

    def test_an_expired_leaf_fails(self, root, name):
        found = path(Maker(name, issuer=root, days=(-9, -1)).der, roots=[root.der])
        assert (found.verdict, found.reason) == (Verdict.FAILED, "out_of_validity")

    def test_a_leaf_that_is_not_valid_yet_fails(self, root, name):
        found = path(Maker(name, issuer=root, days=(1, 9)).der, roots=[root.der])
        assert (found.verdict, found.reason) == (Verdict.FAILED, "out_of_validity")

    def test_a_leaf_issued_by_no_authority_is_not_trusted(self, root, name):
        middle = Maker("不是机构（虚构）", issuer=root)
        found = path(Maker(name, issuer=middle).der, others=[middle.der], roots=[root.der])
        assert found.verdict is not Verdict.PASSED

    def test_a_leaf_with_a_forged_issuer_is_not_trusted(self, root, name):
        impostor = Maker("示例根（虚构）", ca=True)
        found = path(Maker(name, issuer=impostor).der, others=[impostor.der], roots=[root.der])
        assert found.verdict is not Verdict.PASSED

    def test_an_unknown_critical_extension_fails(self, root, name):
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.25.1"), b"\x05\x00")
        found = path(Maker(name, issuer=root, extra=[(odd, True)]).der, roots=[root.der])
        assert found.verdict is Verdict.FAILED

    def test_a_key_for_other_uses_fails(self, root, name):
        usage = (key_usage(key_agreement=True), True)
        found = path(Maker(name, issuer=root, extra=[usage]).der, roots=[root.der])
        assert (found.verdict, found.reason) == (Verdict.FAILED, "usage")

    def test_a_self_signed_certificate_is_untrusted_and_its_holder_not_named(self, name):
        found = path(Maker(name).der, roots=[])
        assert (found.verdict, found.reason) == (Verdict.INDETERMINATE, "untrusted_root")
        assert name not in found.text_en + found.text_zh + found.root


def test_an_intermediate_under_a_path_length_of_zero_fails(root):
    middle = Maker("示例中级（虚构）", issuer=root, ca=True, path_length=0)
    lower = Maker("示例下级（虚构）", issuer=middle, ca=True)
    leaf = Maker("普通姓名（虚构）", issuer=lower)
    found = path(leaf.der, others=[middle.der, lower.der], roots=[root.der])
    assert found.verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("usages", "good"),
    [
        (([ExtendedKeyUsageOID.TIME_STAMPING], True), True),
        (([ExtendedKeyUsageOID.TIME_STAMPING], False), False),
        (([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH], True), False),
        (([ExtendedKeyUsageOID.CLIENT_AUTH], True), False),
        (None, False),
    ],
)
def test_a_time_stamp_certificate_is_for_time_stamps_only(root, usages, good):
    leaf = Maker("示例时间戳（虚构）", issuer=root, usages=usages)
    found = path(leaf.der, roots=[root.der], purpose=Purpose.TIME_STAMPING)
    assert (found.verdict is Verdict.PASSED) is good


def test_a_time_stamp_certificate_does_not_sign_documents(root):
    leaf = Maker("示例（虚构）", issuer=root, usages=([ExtendedKeyUsageOID.TIME_STAMPING], True))
    assert path(leaf.der, roots=[root.der]).reason == "usage"


@pytest.mark.parametrize("der", [b"", b"rubbish", b"\x30\x03\x02\x01\x01"])
def test_rubbish_is_indeterminate_and_never_raises(der):
    assert path(der, roots=[]).verdict is Verdict.INDETERMINATE
    assert (
        check_revocation([der, der], lists=[RevocationList(der)], used_at=AT, at=AT).verdict
        is not Verdict.PASSED
    )


def revocation(pki, signer, *, crls, used_at, at):
    found = path(
        signer.certificate.der,
        others=signer.certificate.chain,
        roots=[pki.authority.root_der],
        at=used_at,
    )
    lists = [RevocationList(der) for der in crls]
    return check_revocation(found.path, lists=lists, used_at=used_at, at=at)


def test_a_list_of_another_authority_does_not_count(pki, tmp_path):
    other = throwaway_pki(tmp_path)
    used = pki.at + timedelta(minutes=1)
    signer = pki.signer()
    good = revocation(pki, signer, crls=[pki.authority.crl(at=used)], used_at=used, at=used)
    alien = revocation(pki, signer, crls=[other.authority.crl(at=used)], used_at=used, at=used)
    assert good.verdict is Verdict.PASSED
    assert (alien.verdict, alien.reason) == (Verdict.INDETERMINATE, "no_list")


def test_an_outdated_list_and_one_from_the_future_do_not_count(pki):
    signer = pki.signer()
    old = pki.authority.crl(at=pki.at)
    used = pki.at + timedelta(days=60)
    assert revocation(pki, signer, crls=[old], used_at=used, at=used).reason == "no_list"
    future = pki.authority.crl(at=used)
    now = pki.at + timedelta(minutes=1)
    assert revocation(pki, signer, crls=[future], used_at=now, at=now).reason == "no_list"


def test_every_embedded_certificate_must_be_issued_by_a_known_one(pki, root):
    signer = pki.signer(RARE)
    chain = [signer.certificate.der, *signer.certificate.chain]
    assert issued_by_known(chain, [pki.authority.root_der])
    assert not issued_by_known([*chain, Maker("外来（虚构）", issuer=root).der], [])
    assert not issued_by_known([b"rubbish"], [])


def test_the_json_form_is_canonical_and_comes_back_equal(pki):
    trust = trust_of(pki)
    assert PkiTrust.from_json(canonical_parse(canonical_bytes(trust.as_json()))) == trust
    assert trust.as_json()["v"] == "fuqi/pki-trust/v1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"v": "fuqi/pki-trust/v2"}, "trust.format"),
        ({"ca_roots": "x"}, "trust.format"),
        ({"ca_roots": ["***"]}, "trust.format"),
        ({"ca_roots": ["AAAA"]}, "trust.certificate"),
        ({"tsa_roots": ["AAAA"]}, "trust.certificate"),
        ({"crls": ["AAAA"]}, "trust.crl"),
        ({"crls": ["AAAA"] * 201}, "trust.too_many"),
        ({"labels": [1]}, "trust.format"),
        ({"labels": None}, "trust.format"),
    ],
)
def test_a_malformed_json_form_is_refused(pki, change, code):
    with pytest.raises(InputError) as caught:
        PkiTrust.from_json({**trust_of(pki).as_json(), **change})
    assert caught.value.error_code == code


def test_what_is_no_object_is_refused():
    with pytest.raises(InputError) as caught:
        PkiTrust.from_json([])
    assert caught.value.error_code == "trust.format"


def test_validity_is_read_as_utc(pki):
    start, end = certificate_times(pki.signer().certificate.der)
    assert start == pki.at
    assert end.tzinfo == UTC
    assert replace(trust_of(pki), crls=()).crls == ()


def mesh(size: int, *, signed_by: Maker) -> list[bytes]:
    """Authorities that all certify each other under one key: certvalidator follows every path of names."""
    makers = [Maker(f"示例网 {n}（虚构）", issuer=signed_by, ca=True) for n in range(size)]
    for one in makers[1:]:
        one.key = makers[0].key
    found = [
        holder.make(issuer, ca=True)
        for issuer in makers
        for holder in makers
        if issuer is not holder
    ]
    return [*found, makers[0].make(signed_by, ca=True)]


def test_authorities_that_all_name_each_other_cost_no_time():
    """Twenty of them kept the path builder busy for hours: found while the fuzzer was written."""
    pool = mesh(6, signed_by=Maker("示例别处（虚构）", ca=True))
    issuer = Maker("示例网 0（虚构）", ca=True)
    began = time.process_time()
    found = path(Maker("普通姓名（虚构）", issuer=issuer).der, others=pool, roots=[issuer.der])
    lost = path(Maker("普通姓名（虚构）", issuer=issuer).der, others=pool, roots=[])
    assert time.process_time() - began < 5
    assert (found.verdict, lost.reason) == (Verdict.PASSED, "untrusted_root")


def test_a_crowd_of_real_authorities_is_not_judged(root):
    pool = mesh(5, signed_by=root)
    leaf = Maker("普通姓名（虚构）", issuer=root)
    found = path(leaf.der, others=pool, roots=[root.der])
    assert (found.verdict, found.reason) == (Verdict.INDETERMINATE, "too_many_certificates")
    assert path(leaf.der, others=pool[:3], roots=[root.der]).verdict is Verdict.PASSED


def test_bytes_behind_a_certificate_make_it_another_one(root):
    """The fuzzer's first finding: what stood behind the signed bytes was passed over."""
    leaf = Maker("普通姓名（虚构）", issuer=root).der
    assert path(leaf, roots=[root.der]).verdict is Verdict.PASSED
    found = path(leaf + b"\x05\x00", roots=[root.der])
    assert (found.verdict, found.reason) == (Verdict.INDETERMINATE, "malformed")


def test_a_root_with_an_unknown_kind_of_key_raises_nothing(root):
    """Found by the fuzzer: `cryptography` raises UnsupportedAlgorithm, which is no ValueError."""
    leaf = Maker("普通姓名（虚构）", issuer=root).der
    odd = root.der.replace(
        bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0271"), 1
    )
    assert odd != root.der
    assert path(leaf, roots=[odd]).verdict is not Verdict.PASSED


def test_a_certificate_with_the_name_and_key_of_a_root_is_not_the_root():
    """Found by the fuzzer: certvalidator took a certificate that nobody signed for the anchor itself."""
    trusted = Maker("示例根（虚构）")
    other = Maker("示例别处（虚构）", ca=True)
    posing = trusted.make(other, days=(-1, 900))
    assert path(trusted.der, roots=[trusted.der]).verdict is Verdict.PASSED
    found = path(posing, others=[trusted.der], roots=[trusted.der])
    assert (found.verdict, found.reason) == (Verdict.INDETERMINATE, "untrusted_root")


def crl_of(issuer_name, key, *, number: int) -> RevocationList:
    """A list that names nobody, by any key under any name."""
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name)
        .last_update(AT - timedelta(hours=1))
        .next_update(AT + timedelta(days=1))
        .add_extension(x509.CRLNumber(number), critical=False)
        .sign(key, hashes.SHA256())
    )
    return RevocationList(made.public_bytes(Encoding.DER))


def test_a_list_by_a_separate_key_of_the_authority_counts_and_a_forged_one_does_not(root):
    """certvalidator takes a list's signature on trust where it judges the issuer of that very list."""
    lists_key = Maker("示例根（虚构）")
    named = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(lists_key.key.public_key())
    usage = key_usage(crl_sign=True)
    lists_key.der = lists_key.make(root, extra=[(usage, True), (named, False), (own, False)])
    leaf = Maker("普通姓名（虚构）", issuer=root)
    posing = Maker("示例根（虚构）", issuer=leaf, ca=True)
    chain, others = [leaf.der, root.der], [lists_key.der, posing.der]

    def judged(*lists, extra=others):
        return check_revocation(chain, lists=lists, used_at=AT, at=AT, others=extra).reason

    assert judged(crl_of(root.name, lists_key.key, number=1)) == "ok"
    assert judged(crl_of(root.name, lists_key.key, number=1), extra=()) == "no_list"
    stranger = ec.generate_private_key(ec.SECP256R1())
    for key in (stranger, posing.key, leaf.key):
        forged = [crl_of(root.name, key, number=number) for number in (1, 2)]
        assert judged(*forged) == "no_list"
        assert judged(forged[0], forged[0]) == "no_list"
    assert judged(crl_of(leaf.name, leaf.key, number=1)) == "no_list"


def test_a_root_is_not_cleared_by_the_list_of_its_namesake(pki, tmp_path):
    """As the answers of an external authority are checked: root against root."""
    path_of_root = (pki.authority.root_der, pki.authority.root_der)
    alien = RevocationList(throwaway_pki(tmp_path).authority.crl(at=pki.at))
    own = RevocationList(pki.authority.crl(at=pki.at))
    at = pki.at
    assert check_revocation(path_of_root, lists=[own], used_at=at, at=at).reason == "ok"
    assert check_revocation(path_of_root, lists=[alien], used_at=at, at=at).reason == "no_list"
