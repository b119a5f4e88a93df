"""A maker of seals below an authority below the root: its chain in the seal, revocation of each, the archive.

Also what an archived file proves of a seal by itself: the lists that judge its maker stand in the file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import ConflictError, UnavailableError, VerificationError
from ledger.core.report import Verdict
from signing import longterm, pdf
from signing.appearance import Appearance, FieldSpec
from signing.ca import requested_spki
from signing.changes import byte_ranges
from signing.embedded import ValidationData
from signing.keys.roots import key_usage
from signing.providers.certificates import LISTS_TAG, ExternalAuthority
from signing.providers.outside import Endpoint, Fallback
from signing.seal_maker import CHAIN_FILE, BuiltInSealMaker, ExternalSealMaker, request_maker
from signing.seal_object import (
    CHAIN_MAX,
    OID_SEAL_MAKER,
    Binding,
    make_seal_object,
    read_seal_object,
)
from signing.seal_reading import seals_in
from signing.seals import POINTS_PER_MM, design_of, draw_seal, picture_of
from signing.testing import FIXED_TIME, throwaway_pki
from signing.testing_pdf import trust_of
from signing.validate import validate_pdf

AT = FIXED_TIME
FIELD = FieldSpec("party_a", 0, 30, 40, 230, 120)
DESIGN = design_of(kind="legal_representative", shape="", name="张明", width_mm=16)


class Below:
    """An authority: below a root or below another such one."""

    def __init__(self, name, *, above=None, root=None, at=AT, days=3650, limit=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer, key = (above.name, above.key) if above else root
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - timedelta(days=1))
            .not_valid_after(at + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=limit), critical=True)
            .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    def maker(self, folder, *, at=AT, days=700):
        """The maker's folder with its certificate from here."""
        request = x509.load_der_x509_csr(request_maker(folder))
        made = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.name)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at)
            .not_valid_after(at + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([x509.ObjectIdentifier(OID_SEAL_MAKER)]), critical=True
            )
            .sign(self.key, hashes.SHA256())
        )
        (folder / "seal-maker.der").write_bytes(made.public_bytes(Encoding.DER))
        return made

    def crl(self, *revoked, at=AT):
        self.crl_made = list_of(self.name, self.key, *revoked, at=at)
        return self.crl_made


def list_of(name, key, *revoked, at=AT):
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name)
        .last_update(at)
        .next_update(at + timedelta(days=7))
    )
    for one in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(one.serial_number)
            .revocation_date(at)
            .build()
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


class Hall:
    """A throwaway authority, an authority below its root, and a maker of seals below that."""

    def __init__(self, folder):
        self.pki = throwaway_pki(folder / "pki")
        root = self.pki.authority
        self.root_key = load_pem_private_key((root.folder / "root.pem").read_bytes(), None)
        self.root_name = root.certificate.subject
        self.line = Below("invented line", root=(self.root_name, self.root_key))
        self.folder = folder / "maker"
        self.certificate = self.line.maker(self.folder)
        self.chain_file(self.line)
        self.signer = self.pki.signer()

    def chain_file(self, *authorities):
        pem = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in authorities)
        (self.folder / CHAIN_FILE).write_bytes(pem)

    def maker(self, *, at=AT, lists=()):
        return ExternalSealMaker(
            self.folder, roots=[self.pki.authority.root_der], at=at, lists=lambda _at: lists
        )

    def lists(self, *, line=(), root=(), at=AT):
        return (self.line.crl(*line, at=at), list_of(self.root_name, self.root_key, *root, at=at))

    def trust(self, *crls):
        return replace(trust_of(self.pki), crls=crls)


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    return Hall(tmp_path_factory.mktemp("hall"))


@pytest.fixture(scope="module")
def base():
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    canvas.drawString(60, 700, "invented")
    canvas.save()
    return pdf.place_fields(buffer.getvalue(), [FIELD])


def seal_object(base, maker, signer, *, at=AT):
    sha256 = hashlib.sha256(base).hexdigest()
    bound = Binding(
        "sea_x", "legal_representative", "drawn", "agr_x", "sig_x", "pty_x", "pty_y", "aut_x", "00" * 32,
        FIELD.name, len(base), sha256, edge=False,
    )  # fmt: skip
    return make_seal_object(
        bound,
        name=DESIGN.name,
        picture=picture_of(DESIGN, draw_seal(DESIGN)),
        period=(at - timedelta(days=1), at + timedelta(days=30)),
        certificate=signer.certificate.der,
        maker=maker,
        at=at,
    )


def sealed(hall, base, maker, *, der=None):
    who = hall.signer
    side = round(DESIGN.width_mm * POINTS_PER_MM)
    prepared = pdf.prepare(
        base,
        field=FIELD.name,
        certificate=who.certificate.der,
        chain=who.certificate.chain,
        at=AT,
        certify=True,
        appearance=Appearance(
            organisation="示例机构（虚构）",
            handler="李明（虚构）",
            serial_hex=who.certificate.serial_hex,
            at=AT,
            demo=True,
            seal_label="法定代表人章",
            seal_size_pt=(side, side),
        ),
        seal=pdf.SealMark(page=draw_seal(DESIGN), object_der=der or seal_object(base, maker, who)),
    )
    return pdf.embed(
        prepared,
        signature=who.key.sign(prepared.signed_attrs),
        certificate=who.certificate.der,
        chain=who.certificate.chain,
        stamp=hall.pki.stamp,
    )


@pytest.fixture(scope="module")
def file(hall, base):
    return sealed(hall, base, hall.maker())


def judged(data, trust, *, at=AT + timedelta(hours=1)):
    (check,) = [
        one for one in validate_pdf(data, trust=trust, at=at).checks if one.code == "pdf.seal"
    ]
    return check.verdict, check.details["reason"]


def test_the_seal_brings_the_authorities_between_and_passes_under_the_root_alone(hall, file):
    (held,) = seals_in(file, byte_ranges(file)).values()
    found = read_seal_object(held[0])
    assert found.chain == (hall.line.der,)
    report = validate_pdf(file, trust=hall.trust(*hall.lists()), at=AT + timedelta(hours=1))
    assert report.verdict is Verdict.PASSED, report.as_json()


def test_each_certificate_above_the_root_needs_a_list_and_a_revocation_of_either_fails(hall, file):
    line, root = hall.lists()
    assert judged(file, hall.trust(line)) == (Verdict.INDETERMINATE, "no_list")
    assert judged(file, hall.trust(root)) == (Verdict.INDETERMINATE, "no_list")
    revoked_maker = hall.lists(line=[hall.certificate])
    assert judged(file, hall.trust(*revoked_maker)) == (Verdict.FAILED, "revoked")
    revoked_line = hall.lists(root=[hall.line.certificate])
    assert judged(file, hall.trust(*revoked_line)) == (Verdict.FAILED, "revoked")
    # The authority's end alone fails it, whether or not that authority still makes lists.
    assert judged(file, hall.trust(revoked_line[1])) == (Verdict.FAILED, "revoked")
    # What was revoked after the use stands.
    later = AT + timedelta(hours=2)
    both = hall.lists(line=[hall.certificate], root=[hall.line.certificate], at=later)
    assert judged(file, hall.trust(*both), at=later + timedelta(hours=1))[0] is Verdict.PASSED


def test_an_unknown_root_is_open_and_a_chain_that_leads_nowhere_is_not_passed(hall, base, tmp_path):
    stranger = Hall(tmp_path)
    maker = hall.maker()
    foreign = sealed(hall, base, maker)
    assert judged(foreign, replace(hall.trust(*hall.lists()), ca_roots=()))[1] == "untrusted_root"
    # A loose certificate beside the right ones, a namesake in their place, another one, and none.
    other = Below("another line", root=(hall.root_name, hall.root_key))
    for chain, expected in (
        ((hall.line.der, other.der), (Verdict.INDETERMINATE, "loose_certificates")),
        ((stranger.line.der,), (Verdict.FAILED, "path_invalid")),
        ((other.der,), (Verdict.INDETERMINATE, "untrusted_root")),
        ((), (Verdict.INDETERMINATE, "untrusted_root")),
    ):
        der = seal_object(base, Chained(maker, chain), hall.signer)
        made = sealed(hall, base, maker, der=der)
        assert judged(made, hall.trust(*hall.lists())) == expected


class Chained:
    """A maker that tells another chain."""

    def __init__(self, maker, chain):
        self.maker, self.chain, self.kind = maker, chain, maker.kind
        self.certificate_der, self.sign = maker.certificate_der, maker.sign


def test_odd_chains_in_a_seal_are_refused(hall, base):
    maker = hall.maker()
    for chain in ((hall.line.der,) * (CHAIN_MAX + 1), (b"no certificate",), (b"",)):
        der = seal_object(base, Chained(maker, chain), hall.signer)
        with pytest.raises(VerificationError) as caught:
            read_seal_object(der)
        assert caught.value.error_code == "seal.object_malformed"
    whole = seal_object(base, Chained(maker, (hall.line.der,)), hall.signer)
    changed = whole.replace(hall.line.der, hall.line.der[:-1] + bytes([hall.line.der[-1] ^ 1]))
    # Its signature is the business of the trust; the octets still read.
    assert read_seal_object(changed).chain != (hall.line.der,)


def test_two_authorities_between_in_any_order_and_the_root_in_the_file(hall, tmp_path):
    low = Below("invented lower line", above=hall.line)
    folder = tmp_path / "maker"
    low.maker(folder)
    root = hall.pki.authority.certificate.public_bytes(Encoding.PEM)
    pems = [one.certificate.public_bytes(Encoding.PEM) for one in (hall.line, low)]
    (folder / CHAIN_FILE).write_bytes(b"# remarks\n" + b"".join([*pems, root]))
    maker = ExternalSealMaker(folder, roots=[hall.pki.authority.root_der], at=AT)
    assert maker.chain == (low.der, hall.line.der)


def refused(hall, **options):
    with pytest.raises((ConflictError, UnavailableError)) as caught:
        hall.maker(**options)
    return caught.value.error_code


def test_a_maker_whose_chain_does_not_hold_is_refused_at_the_start(tmp_path):
    hall = Hall(tmp_path)
    chain = hall.folder / CHAIN_FILE
    hall.maker()
    for content in (b"", b"no PEM", b"x" * 70_000):
        chain.write_bytes(content)
        assert refused(hall) == "seal.maker_files"
    hall.chain_file(*[hall.line] * (CHAIN_MAX + 2))
    assert refused(hall) == "seal.maker_files"
    chain.unlink()
    assert refused(hall) == "seal.maker_certificate"
    # An authority that may have none below it has none.
    narrow = Below("narrow", root=(hall.root_name, hall.root_key), limit=0)
    low = Below("low", above=narrow)
    low.maker(hall.folder)
    hall.chain_file(low, narrow)
    assert refused(hall) == "seal.maker_certificate"


def test_a_revoked_maker_or_authority_stops_the_maker_at_the_start_and_at_its_next_use(tmp_path):
    hall = Hall(tmp_path)
    hall.maker(lists=hall.lists())
    for lists in (
        hall.lists(line=[hall.certificate]),
        hall.lists(root=[hall.line.certificate]),
        hall.lists(root=[hall.line.certificate])[1:],
    ):
        assert refused(hall, lists=lists) == "seal.maker_revoked"
    shown = list(hall.lists())
    maker = ExternalSealMaker(
        hall.folder, roots=[hall.pki.authority.root_der], at=AT, lists=lambda _at: shown
    )
    assert maker.certificate_der(at=AT)
    shown.append(hall.lists(root=[hall.line.certificate])[1])
    with pytest.raises(ConflictError) as caught:
        maker.certificate_der(at=AT)
    assert caught.value.error_code == "seal.maker_revoked"


def test_the_maker_ends_with_the_first_of_its_authorities(tmp_path):
    hall = Hall(tmp_path)
    short = Below("short", root=(hall.root_name, hall.root_key), days=30)
    short.maker(hall.folder)
    hall.chain_file(short)
    maker = hall.maker()
    assert maker.certificate_der(at=AT + timedelta(days=29))
    with pytest.raises(UnavailableError) as caught:
        maker.certificate_der(at=AT + timedelta(days=31))
    assert caught.value.error_code == "seal.maker_ended"


@pytest.mark.parametrize("below", [False, True])
def test_an_archived_seal_passes_with_the_roots_alone_long_after(hall, base, file, below):
    data = file if below else sealed(hall, base, BuiltInSealMaker(hall.pki.authority))
    at, later = AT + timedelta(hours=1), AT + timedelta(days=5 * 365)
    crls = hall.lists(at=at) if below else (hall.pki.authority.crl(at=at),)
    material = ValidationData(certificates=(hall.pki.authority.root_der,), crls=crls)
    archived = longterm.extend(
        data, material=material, stamp=lambda imprint: hall.pki.tsa.stamp(imprint, at=at)
    )
    alone = hall.trust()
    assert judged(data, alone, at=later) == (Verdict.INDETERMINATE, "no_list")
    report = validate_pdf(archived, trust=alone, at=later)
    assert report.verdict is Verdict.PASSED, report.as_json()
    # A list in the file that names the maker counts against it, too.
    used = BuiltInSealMaker(hall.pki.authority).certificate_der(at=AT) if not below else None
    named = x509.load_der_x509_certificate(used) if used else hall.certificate
    bad = (
        hall.lists(line=[named])
        if below
        else (list_of(hall.root_name, hall.root_key, named, at=AT),)
    )
    told = longterm.extend(
        data,
        material=replace(material, crls=bad),
        stamp=lambda imprint: hall.pki.tsa.stamp(imprint, at=at),
    )
    assert judged(told, alone, at=later) == (Verdict.FAILED, "revoked")


def fetched(hall, crls, authorities=None, *, at=AT):
    """The lists that an installation takes from such an answer."""
    told = {"v": LISTS_TAG, "crls": [base64.b64encode(one).decode() for one in crls]}
    if authorities is not None:
        told["authorities"] = [base64.b64encode(one).decode() for one in authorities]
    answer = json.dumps(told).encode()
    fallback = Fallback([Endpoint("https://ca.example/")], send=lambda *_asked: answer)
    taken = ExternalAuthority(fallback, token="invented", roots=[hall.pki.authority.root_der])
    taken.refresh(at=at)
    return taken.crls(at=at)


def test_lists_of_authorities_below_a_root_are_taken_where_they_come_with_their_certificates(
    hall, tmp_path
):
    lists = hall.lists()
    assert fetched(hall, lists, [hall.line.der]) == lists
    assert fetched(hall, lists[1:]) == lists[1:]
    low = Below("lower", above=hall.line)
    assert fetched(hall, [low.crl()], [low.der, hall.line.der]) == (low.crl_made,)
    stranger = Hall(tmp_path)
    for crls, authorities in (
        (lists, None),
        (lists, []),
        (lists, [stranger.line.der]),
        ([low.crl()], [low.der]),
        (stranger.lists(), [stranger.line.der]),
        ([hall.line.crl(at=AT - timedelta(days=9))], [hall.line.der]),
        (lists, [hall.line.der] * 11),
        (lists, [b"no certificate"]),
        # A certificate that is no authority signs no list.
        ([list_of(hall.certificate.subject, hall.line.key)], [hall.line.der]),
    ):
        assert fetched(hall, crls, authorities) == ()


def test_a_request_names_no_party(tmp_path):
    request = x509.load_der_x509_csr(request_maker(tmp_path / "maker"))
    assert "seal maker" in request.subject.rfc4514_string()
    assert requested_spki(request.public_bytes(Encoding.DER))
