"""Seal objects: round trip, every tampering refused, and the strict verifier on sealed files."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import ConflictError, VerificationError
from ledger.core.report import Check, Verdict
from signing import pdf
from signing.appearance import Appearance, FieldSpec
from signing.changes import byte_ranges
from signing.handwriting import read_handwriting
from signing.seal_maker import BuiltInSealMaker
from signing.seal_object import Binding, check_seal_object, make_seal_object, read_seal_object
from signing.seal_reading import SEAL_KEY, seals_in
from signing.seals import (
    POINTS_PER_MM,
    SealDesign,
    design_of,
    draw_seal,
    picture_of,
)
from signing.testing import FIXED_TIME, Signer, ThrowawayPki, throwaway_pki
from signing.testing_pdf import trust_of
from signing.trust import PkiTrust
from signing.validate import validate_pdf

NAME = "示例捐赠企业有限公司（虚构）"
DESIGN = design_of(kind="contract", shape="round", name=NAME, number="4201000000001")
FIELD = FieldSpec("party_a", 0, 30, 40, 230, 120)
OTHER = FieldSpec("party_b", 0, 300, 40, 230, 120)


@dataclass(frozen=True)
class World:
    pki: ThrowawayPki
    maker: BuiltInSealMaker
    signer: Signer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pki = throwaway_pki(tmp_path_factory.mktemp("pki"))
    return World(pki, BuiltInSealMaker(pki.authority), pki.signer())


def pages(count: int, *, size: tuple[int, int] = (595, 842), turn: int = 0) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for number in range(count):
        canvas.drawString(60, size[1] - 80, f"page {number + 1} of {count}")
        canvas.setPageRotation(turn)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def binding(base: bytes, **change: object) -> Binding:
    plain = Binding(
        seal="sea_01kdvdna00ncrmbvs7rqr9p8yr",
        kind="contract",
        source="drawn",
        agreement="agr_01kdvdna00ncrmbvs7rqr9p8yr",
        signer="sig_01kdvdna00ncrmbvs7rqr9p8yr",
        organisation="pty_01kdvdna00ncrmbvs7rqr9p8yr",
        person="pty_01kdvdna00ncrmbvs7rqr9p8ys",
        authorisation="aut_01kdvdna00ncrmbvs7rqr9p8yr",
        authorisation_sha256="00" * 32,
        field=FIELD.name,
        base_size=len(base),
        base_sha256=hashlib.sha256(base).hexdigest(),
        edge=False,
    )
    return replace(plain, **change)  # type: ignore[arg-type]


def seal_object(
    world: World, base: bytes, *, signer: Signer | None = None, design: SealDesign = DESIGN,
    days: tuple[int, int] = (-1, 30), **change: object,
) -> bytes:  # fmt: skip
    return make_seal_object(
        binding(base, **change),
        name=design.name,
        picture=picture_of(design, draw_seal(design)),
        period=(FIXED_TIME + timedelta(days=days[0]), FIXED_TIME + timedelta(days=days[1])),
        certificate=(signer or world.signer).certificate.der,
        maker=world.maker,
        at=FIXED_TIME,
    )


def sealed(
    world: World,
    base: bytes,
    *,
    der: bytes | None = None,
    field: str = FIELD.name,
    certify: bool = True,
    signer: Signer | None = None,
    writing: bool = False,
    design: SealDesign = DESIGN,
) -> bytes:
    """`base` signed in `field` under a seal."""
    who = signer or world.signer
    wide = (round(design.width_mm * POINTS_PER_MM), round(design.height_mm * POINTS_PER_MM))
    strokes = [[(x, 400 + (x * 7 % 200)) for x in range(100, 900, 40)], [(500, 300), (520, 700)]]
    prepared = pdf.prepare(
        base,
        field=field,
        certificate=who.certificate.der,
        chain=who.certificate.chain,
        at=FIXED_TIME,
        certify=certify,
        appearance=Appearance(
            organisation=NAME,
            handler="陈𬱖（虚构）",
            serial_hex=who.certificate.serial_hex,
            at=FIXED_TIME,
            demo=True,
            seal_label="合同专用章",
            seal_size_pt=wide,
            handwriting=read_handwriting(strokes * 1) if writing else None,
        ),
        seal=pdf.SealMark(
            page=draw_seal(design),
            object_der=der
            if der is not None
            else seal_object(world, base, signer=who, field=field, design=design),
        ),
    )
    return pdf.embed(
        prepared,
        signature=who.key.sign(prepared.signed_attrs),
        certificate=who.certificate.der,
        chain=who.certificate.chain,
        stamp=world.pki.stamp,
    )


@pytest.fixture(scope="module")
def base() -> bytes:
    return pdf.place_fields(pages(3), [FIELD, OTHER])


@pytest.fixture(scope="module")
def file(world: World, base: bytes) -> bytes:
    return sealed(world, base, writing=True)


def seal_checks(world: World, data: bytes, *, trust: PkiTrust | None = None) -> list[Check]:
    report = validate_pdf(data, trust=trust or trust_of(world.pki), at=world.pki.at)
    return [check for check in report.checks if check.code == "pdf.seal"]


def test_a_sealed_file_passes_every_check(world: World, file: bytes) -> None:
    report = validate_pdf(file, trust=trust_of(world.pki), at=world.pki.at)
    assert report.verdict is Verdict.PASSED, [
        c for c in report.checks if c.verdict.value != "passed"
    ]
    (check,) = [check for check in report.checks if check.code == "pdf.seal"]
    assert check.details["name"] == NAME
    assert check.details["kind"] == "contract"


def test_what_was_put_in_is_read_back(world: World, base: bytes) -> None:
    der = seal_object(world, base)
    found = read_seal_object(der)
    assert found.binding == binding(base)
    assert (found.name, found.type) == (NAME, 2)
    assert found.certificate_digests == (hashlib.sha256(world.signer.certificate.der).digest(),)
    assert found.used_at == FIXED_TIME
    assert found.picture == picture_of(DESIGN, draw_seal(DESIGN))
    check_seal_object(found, certificate=world.signer.certificate.der, field=FIELD.name, base=base)


def test_the_object_stands_once_inside_the_signed_bytes(file: bytes) -> None:
    (found,) = seals_in(file, byte_ranges(file)).values()
    assert len(found) == 1
    assert file.count(SEAL_KEY.encode()) == 1
    assert file.index(SEAL_KEY.encode()) < byte_ranges(file)[0].end


def test_every_changed_byte_of_a_seal_object_is_refused(world: World, base: bytes) -> None:
    small = design_of(kind="legal_representative", shape="", name="张明", width_mm=16)
    der = seal_object(world, base, design=small, kind="legal_representative")
    whole = read_seal_object(der)
    outside = 0
    for position in range(0, len(der), 41):
        changed = bytearray(der)
        changed[position] ^= 1
        try:
            found = read_seal_object(bytes(changed))
            check_seal_object(
                found, certificate=world.signer.certificate.der, field=FIELD.name, base=base
            )
        except VerificationError:
            continue
        # Only what stands outside eSealInfo may pass here: the signature of the file protects it.
        assert found.info == whole.info
        outside += 1
    assert outside < 30


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_cut_or_longer_object_is_refused(world: World, base: bytes, cut: int) -> None:
    der = seal_object(world, base)
    with pytest.raises(VerificationError) as caught:
        read_seal_object(der + b"\0" if cut == 0 else der[:cut])
    assert caught.value.error_code == "seal.object_malformed"


def test_a_byte_of_the_seal_changed_in_the_file_fails_the_file(world: World, file: bytes) -> None:
    at = file.index(SEAL_KEY.encode()) + 2_000
    changed = file[:at] + (b"0" if file[at : at + 1] != b"0" else b"1") + file[at + 1 :]
    report = validate_pdf(changed, trust=trust_of(world.pki), at=world.pki.at)
    codes = {check.code for check in report.checks if check.verdict is Verdict.FAILED}
    assert {"pdf.digest", "pdf.seal"} <= codes


def refused(world: World, base: bytes, der: bytes) -> str:
    """What the verifier says of a properly signed file with this seal object; it is never handed out."""
    with pytest.raises(ConflictError) as caught:
        sealed(world, base, der=der)
    assert caught.value.error_code == "pdf.breaks_earlier_signature"
    assert caught.value.context["check"] == "pdf.seal"
    return caught.value.message.rpartition(": ")[2]


def test_a_seal_made_for_another_certificate_fails(world: World, base: bytes) -> None:
    stranger = world.pki.signer("李四（虚构）")
    der = seal_object(world, base, signer=stranger)
    assert refused(world, base, der) == "the seal was made for another certificate"


def test_a_seal_taken_from_another_file_fails(world: World, base: bytes, file: bytes) -> None:
    other = pdf.place_fields(pages(2), [FIELD])
    (taken,) = seals_in(file, byte_ranges(file)).values()
    assert refused(world, other, taken[0]) == "the seal was put on another file"


def test_a_seal_of_another_field_fails(world: World, base: bytes) -> None:
    der = seal_object(world, base, field=OTHER.name)
    assert refused(world, base, der) == "the seal was put into another signature field"


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_a_seal_outside_its_period_fails(world: World, base: bytes, days: tuple[int, int]) -> None:
    assert (
        refused(world, base, seal_object(world, base, days=days))
        == "the seal was used outside its period"
    )


def test_a_signer_cannot_make_a_seal_for_themselves(world: World, base: bytes) -> None:
    class Own:
        kind = world.maker.kind
        chain = ()

        def certificate_der(self, *, at: object) -> bytes:
            return world.signer.certificate.der

        def sign(self, data: bytes, *, at: object) -> bytes:
            return world.signer.key.sign(data)

    der = make_seal_object(
        binding(base),
        name="别家公司（虚构）",
        picture=picture_of(DESIGN, draw_seal(DESIGN)),
        period=(FIXED_TIME, FIXED_TIME + timedelta(days=1)),
        certificate=world.signer.certificate.der,
        maker=Own(),
        at=FIXED_TIME,
    )
    assert (
        refused(world, base, der) == "the certificate in the seal is not that of a maker of seals"
    )


def test_a_maker_under_an_unknown_root_is_indeterminate(
    world: World, base: bytes, tmp_path: Path
) -> None:
    stranger = BuiltInSealMaker(throwaway_pki(tmp_path).authority)
    der = seal_object(replace(world, maker=stranger), base)
    (check,) = seal_checks(world, sealed(world, base, der=der))
    assert check.verdict is Verdict.INDETERMINATE


def test_a_revoked_maker_fails(tmp_path: Path) -> None:
    pki = throwaway_pki(tmp_path)
    own = World(pki, BuiltInSealMaker(pki.authority), pki.signer())
    base = pdf.place_fields(pages(1), [FIELD])
    data = sealed(own, base)
    (before,) = seal_checks(own, data)
    assert before.verdict is Verdict.PASSED
    maker = read_seal_object(next(iter(seals_in(data, byte_ranges(data)).values()))[0]).maker
    serial = next(
        path.stem
        for path in (tmp_path / "ca" / "certificates").iterdir()
        if path.read_bytes() == maker
    )
    pki.authority.revoke(serial, at=pki.at - timedelta(hours=1), reason="key_compromise")
    (after,) = seal_checks(own, data)
    assert after.verdict is Verdict.FAILED


def test_a_random_object_in_the_dictionary_fails(world: World, base: bytes) -> None:
    assert "no seal object" in refused(world, base, b"\x30\x03\x02\x01\x04")


def test_text_that_only_looks_like_a_seal_is_none(world: World) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1, pageCompression=0)
    canvas.drawString(60, 700, "/FUQI_Seal <3003020104>")
    canvas.save()
    signer = world.signer
    base = pdf.place_fields(buffer.getvalue(), [FIELD])
    prepared = pdf.prepare(
        base,
        field=FIELD.name,
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        at=FIXED_TIME,
        certify=True,
        appearance=Appearance(NAME, "张三", signer.certificate.serial_hex, FIXED_TIME, demo=True),
    )
    data = pdf.embed(
        prepared,
        signature=signer.key.sign(prepared.signed_attrs),
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        stamp=world.pki.stamp,
    )
    assert seal_checks(world, data) == []


def test_a_second_party_adds_its_own_seal_and_both_hold(
    world: World, base: bytes, file: bytes
) -> None:
    second = world.pki.signer("陈𬱖（虚构）")
    both = sealed(world, file, field=OTHER.name, certify=False, signer=second)
    report = validate_pdf(both, trust=trust_of(world.pki), at=world.pki.at)
    assert report.verdict is Verdict.PASSED, [
        c for c in report.checks if c.verdict.value != "passed"
    ]
    assert len([check for check in report.checks if check.code == "pdf.seal"]) == 2


def test_a_field_without_a_box_carries_no_seal(world: World) -> None:
    tiny = FieldSpec("party_a", 0, 30, 40, 1, 1)
    base = pdf.place_fields(pages(1), [tiny])
    data = sealed(world, base)
    assert seal_checks(world, data)[0].verdict is Verdict.PASSED
