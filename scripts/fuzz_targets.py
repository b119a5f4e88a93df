"""What `scripts/fuzz.py` fuzzes: each entry point for files from outside, with honest inputs and contract."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from asn1crypto import x509  # noqa: E402

from arbitration.checks.all import verify_bundle  # noqa: E402
from arbitration.policy import Trust  # noqa: E402
from ledger.core.canonical import canonical_bytes  # noqa: E402
from ledger.core.errors import FuqiError  # noqa: E402
from ledger.core.report import Report, Verdict  # noqa: E402
from ledger.core.units import parse_utc  # noqa: E402
from ledger.receipt_checking import verify_receipt_text  # noqa: E402
from signing import longterm, pdf  # noqa: E402
from signing.appearance import FieldSpec  # noqa: E402
from signing.attacks import shadow_base  # noqa: E402
from signing.ca import CertificateSubject, requested_spki  # noqa: E402
from signing.changes import byte_ranges  # noqa: E402
from signing.cms import check_container, read_container, read_timestamp  # noqa: E402
from signing.embedded import ValidationData, validation_data_of  # noqa: E402
from signing.intake import intake  # noqa: E402
from signing.keys.device import DeviceKey  # noqa: E402
from signing.keys.pkcs12 import FileSigner, KeyFile  # noqa: E402
from signing.ocsp import OcspResponder, certificate_id, make_request  # noqa: E402
from signing.pdf_reading import revisions_of, signatures_of  # noqa: E402
from signing.providers.revocation import read_ocsp  # noqa: E402
from signing.providers.timestamps import token_of  # noqa: E402
from signing.seal_maker import BuiltInSealMaker  # noqa: E402
from signing.seal_object import Binding, make_seal_object, read_seal_object  # noqa: E402
from signing.seal_pictures import clean_picture  # noqa: E402
from signing.seals import Shape, design_of, draw_seal, picture_of  # noqa: E402
from signing.testing import ThrowawayPki, throwaway_pki  # noqa: E402
from signing.testing_pdf import raw_pdf, two_party_sample  # noqa: E402
from signing.trust import PkiTrust, Purpose, RevocationList, check_path, check_revocation  # noqa: E402
from signing.validate import integrity_report, validate_pdf  # noqa: E402

SHARED_FILES: Final = 60
SHARED_BYTES_MAX: Final = 200_000
PASSWORD: Final = "invented-password"  # noqa: S105 - of a throwaway file

Run = Callable[[bytes], None]


class Finding(Exception):  # noqa: N818 - what the fuzzer looks for
    """A promise that was broken without an exception."""


@dataclass(frozen=True, slots=True)
class Target:
    """An entry point.

    Attributes:
        kind: how its inputs are changed (`signing.testing_fuzz`).
        seeds: honest inputs.
        run: calls it; returns where its contract was kept.
        refuses: whether errors of ours are its contract; else it answers and raises nothing.
        share: of the time.
    """

    kind: str
    seeds: tuple[bytes, ...]
    run: Run
    refuses: bool = True
    share: int = 1


class World:
    """Honest inputs of every kind, made once, before the children are forked."""

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.folder = folder
        self.pki = throwaway_pki(folder / "pki")
        plain = two_party_sample(self.pki)
        prepared = two_party_sample(self.pki, base=shadow_base())
        self.trust, self.at = plain.trust, plain.at + timedelta(hours=2)
        later = plain.at + timedelta(hours=1)
        archived = longterm.extend(
            plain.data,
            material=ValidationData(
                certificates=(self.pki.authority.root_der,),
                crls=(self.pki.authority.crl(at=later),),
            ),
            stamp=lambda imprint: self.pki.tsa.stamp(imprint, at=later),
        )
        unsigned = pdf.place_fields(raw_pdf([]), [FieldSpec("party_a", 0, 10, 10, 130, 70)])
        self.signed = (plain.data, prepared.data, archived)
        others = _shared("pdf-validation", "pdf-attacks") if shared else ()
        self.pdfs = (*self.signed, unsigned, raw_pdf([]), *others)
        self.known = {
            hashlib.sha256(data[: one.end]).digest()
            for data in self.signed
            for one in byte_ranges(data)
        }
        self.ranges = byte_ranges(plain.data)
        self.covered = {one for data in self.signed for one in _covered(data)}


def _covered(data: bytes) -> list[bytes]:
    """Digests of what each signature of a file covers."""
    ranges = [one.numbers for one in byte_ranges(data) if len(one.numbers) == 4]
    return [hashlib.sha256(data[a : a + b] + data[c : c + d]).digest() for a, b, c, d in ranges]


def _shared(*folders: str) -> tuple[bytes, ...]:
    """Small real files beside the repository, where they are there."""
    found = [
        path
        for folder in folders
        for path in sorted((ROOT.parent / "shared" / "corpora" / folder).rglob("*.pdf"))
        if path.stat().st_size <= SHARED_BYTES_MAX
    ]
    return tuple(path.read_bytes() for path in found[:SHARED_FILES])


def targets_of(world: World) -> dict[str, Target]:
    """Every entry point by name."""
    return {**_pdf_targets(world), **_der_targets(world), **_other_targets()}


def _pdf_targets(world: World) -> dict[str, Target]:
    def only_known(data: bytes, report: Report) -> None:
        report.as_json()
        if report.verdict is Verdict.PASSED and hashlib.sha256(data).digest() not in world.known:
            raise Finding("a changed file passes")

    def validate(data: bytes) -> None:
        only_known(data, validate_pdf(data, trust=world.trust, at=world.at))

    def whole(data: bytes) -> None:
        report = integrity_report(data)
        report.as_json()
        changed = any(
            data.startswith(one[:200]) and data not in one and len(data) <= len(one)
            for one in world.signed
        )
        if report.verdict is Verdict.PASSED and changed and set(_covered(data)) - world.covered:
            # Without trust another valid signature would do, but mutations do not make one. What stands beside
            # a signature in its container (time stamp, authorities) is judged with trust: `validate`.
            raise Finding("a changed file passes")

    def read(data: bytes) -> None:
        revisions_of(data)
        for reader in (signatures_of, validation_data_of, longterm.level_of):
            try:
                reader(data)
            except FuqiError:
                continue

    return {
        "validate_pdf": Target("pdf", world.pdfs, validate, refuses=False, share=6),
        "integrity": Target("pdf", world.pdfs, whole, refuses=False, share=2),
        "intake": Target("pdf", world.pdfs, lambda data: _ignore(intake(data)), share=2),
        "read_pdf": Target("pdf", world.pdfs, read, refuses=False),
    }


def _der_targets(world: World) -> dict[str, Target]:
    pki, at, trust = world.pki, world.at, world.trust
    containers = tuple(one.contents.rstrip(b"\x00") for one in world.ranges)
    token = pki.tsa.stamp(hashlib.sha256(b"invented").digest(), at=pki.at)
    signer, other = pki.signer(), pki.signer("王五（虚构）")
    pki.authority.revoke(other.certificate.serial_hex, at=pki.at, reason="key_compromise")
    crl = pki.authority.crl(at=at)
    path = (other.certificate.der, *other.certificate.chain)
    issuer = pki.authority.root_der if len(path) == 1 else path[1]
    responder = OcspResponder(pki.authority)
    request = make_request(certificate_id(path[0], issuer, hash_name="sha1"), nonce=b"n" * 16)
    answer = responder.respond(request, at=at)
    subject = CertificateSubject(common_name="赵六（虚构）", organisation=None, reference=None)
    whole = check_path(path[0], others=path, roots=trust.ca_roots, at=at, purpose=Purpose.SIGNING)

    signed = {_signed_part(one) for one in (path[0], signer.certificate.der, issuer)}

    def container(data: bytes) -> None:
        check_container(read_container(data), digest=b"\x00" * 32)
        raise Finding("a container verifies over a digest that nobody signed")

    def ocsp_answer(data: bytes) -> None:
        if read_ocsp(data, certificate=path[0], issuer=issuer, at=at).status != "revoked":
            raise Finding("a changed answer clears a revoked certificate")

    def revocation_list(data: bytes) -> None:
        found = check_revocation(whole.path, lists=[RevocationList(data)], used_at=at, at=at)
        if found.verdict is Verdict.PASSED:
            raise Finding("a changed list clears a revoked certificate")

    def leaf(data: bytes) -> None:
        found = check_path(data, others=path, roots=trust.ca_roots, at=at, purpose=Purpose.SIGNING)
        if found.verdict is Verdict.PASSED and _signed_part(data) not in signed:
            raise Finding("a changed certificate is trusted")
        check_path(path[0], others=[data], roots=[data], at=at, purpose=Purpose.SIGNING)

    der = {
        "cms": Target("der", (*containers, token), container),
        "time_stamp": Target("der", (token,), lambda data: _ignore(read_timestamp(data))),
        "time_stamp_answer": Target("der", (_tsp_answer(pki),), lambda d: _ignore(token_of(d))),
        "time_stamp_request": Target(
            "der", (_tsp_request(),), lambda d: _ignore(pki.tsa.respond(d, at=at)), refuses=False
        ),
        "ocsp_answer": Target("der", (answer,), ocsp_answer),
        "ocsp_request": Target(
            "der", (request,), lambda d: _ignore(responder.respond(d, at=at)), refuses=False
        ),
        "crl": Target("der", (crl,), revocation_list, refuses=False),
        "certificate": Target(
            "der", (path[0], signer.certificate.der, issuer), leaf, refuses=False, share=2
        ),
        "csr": Target(
            "der", (DeviceKey.create().csr(subject),), lambda data: _ignore(requested_spki(data))
        ),
        "seal": Target(
            "der",
            (_seal(world), _seal(world, below=True)),
            lambda data: _ignore(read_seal_object(data)),
        ),
    }
    return {**der, "pkcs12": _pkcs12_target(world)}


def _pkcs12_target(world: World) -> Target:
    place, made = world.folder / "key.p12", []
    for kind in ("p256", "rsa-2048"):
        FileSigner.create(kind).save(place, PASSWORD)
        made.append(place.read_bytes())
        place.unlink()

    def load(data: bytes) -> None:
        place.write_bytes(data)
        KeyFile.load(place, PASSWORD)

    return Target("der", tuple(made), load)


def _other_targets() -> dict[str, Target]:
    golden = ROOT / "tests" / "golden"
    bundle = (golden / "bundle" / "case-v1.zip").read_bytes()
    pinned_text = (golden / "bundle" / "case-v1.trust.json").read_bytes()
    pinned = Trust.from_json(json.loads(pinned_text))
    receipts = (
        canonical_bytes(
            json.loads((golden / "receipt/final_v1.json").read_text("utf-8"))["receipt"]
        ),
    )
    design = design_of(kind="contract", shape="round", name="示例（虚构）", number="4201000000001")
    picture = picture_of(design, draw_seal(design)).png
    now = parse_utc("2036-01-01T00:00:00Z")

    def judged(data: bytes) -> None:
        report = verify_bundle(data, trust=pinned, at=now)
        report.as_json()
        if report.verdict is Verdict.PASSED and data != bundle:
            raise Finding("a changed bundle passes")

    def trusted(data: bytes) -> None:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return  # whoever reads the file parses it, with these in hand
        for reader in (Trust.from_json, PkiTrust.from_json):
            try:
                reader(value)
            except FuqiError:
                continue

    return {
        "bundle": Target("bytes", (bundle,), judged, refuses=False),
        "receipt": Target(
            "bytes",
            receipts,
            lambda data: _ignore(verify_receipt_text(data, trust=None, at=now).as_json()),
            refuses=False,
        ),
        "trust_file": Target("bytes", (pinned_text,), trusted, refuses=False),
        "picture": Target(
            "bytes", (picture,), lambda d: _ignore(clean_picture(d, shape=Shape.ROUND, width_mm=40))
        ),
    }


def _signed_part(certificate: bytes) -> bytes:
    """Lengths around the signed bytes can be written otherwise: it is the same certificate then."""
    return bytes(x509.Certificate.load(certificate)["tbs_certificate"].dump())


def _ignore(_value: object) -> None:
    """The answer itself is not looked at; it only had to come."""


def _tsp_request() -> bytes:
    from_hash = hashlib.sha256(b"invented").digest()
    head = bytes.fromhex("30390201013031300d060960864801650304020105000420")
    return head + from_hash + bytes.fromhex("0101ff")


def _tsp_answer(pki: ThrowawayPki) -> bytes:
    return pki.tsa.respond(_tsp_request(), at=pki.at)


class _MakerBelow(BuiltInSealMaker):
    """One that brings an authority along, as those below an authority do."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        return (self._authority.root_der,)


def _seal(world: World, *, below: bool = False) -> bytes:
    made = _MakerBelow if below else BuiltInSealMaker
    signer, base = world.pki.signer(), raw_pdf([])
    design = design_of(kind="contract", shape="round", name="示例（虚构）", number="4201000000001")
    words = ("seal", "agreement", "signer", "organisation", "person", "authorisation")
    return make_seal_object(
        Binding(
            **{word: f"{word[:3]}_01kdvdna00ncrmbvs7rqr9p8yr" for word in words},
            kind="contract",
            source="drawn",
            authorisation_sha256="00" * 32,
            field="party_a",
            base_size=len(base),
            base_sha256=hashlib.sha256(base).hexdigest(),
            edge=False,
        ),
        name=design.name,
        picture=picture_of(design, draw_seal(design)),
        period=(world.pki.at - timedelta(days=1), world.pki.at + timedelta(days=30)),
        certificate=signer.certificate.der,
        maker=made(world.pki.authority),
        at=world.pki.at,
    )
