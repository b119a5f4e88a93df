"""Seal objects: round trip, every tampering refused, and the strict verifier on sealed files."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import ConflictError, InputError, VerificationError
from ledger.core.report import Check, Verdict
from signing import pdf, render
from signing.appearance import Appearance, FieldSpec
from signing.changes import byte_ranges
from signing.edge_seal import PAGES_PER_SEAL, slices
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
    picture_page,
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
    edge: bytes = b"",
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
            else seal_object(world, base, signer=who, field=field, design=design, edge=bool(edge)),
            edge=edge,
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


# --- across the page edges -------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 40, 41, 101, 499, 500])
def test_slices_join_up_to_whole_seals(count: int) -> None:
    found = slices(count)
    assert len(found) == count
    seals = {one.seal for one in found}
    assert seals == set(range(-(-count // PAGES_PER_SEAL)))
    sizes = []
    for seal in seals:
        part = [one for one in found if one.seal == seal]
        assert [one.index for one in part] == list(range(len(part)))
        assert {one.count for one in part} == {len(part)}
        sizes.append(len(part))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= PAGES_PER_SEAL


def edge_picture() -> bytes:
    return picture_page(picture_of(DESIGN, draw_seal(DESIGN)))


def joined(data: bytes, count: int, *, size: tuple[int, int] = (595, 842)) -> Image.Image:
    """The slices of the first seal, cut from the right edges and put side by side."""
    scale = 4
    strips = []
    for number, one in enumerate(slices(count)):
        if one.seal:
            break
        page = Image.open(
            io.BytesIO(render.page_png(data, page=number, side_px=min(2400, max(size) * scale)))
        ).convert("RGB")
        ratio = page.width / size[0]
        wide = DESIGN.width_mm * POINTS_PER_MM / one.count * ratio
        high = DESIGN.height_mm * POINTS_PER_MM * ratio
        middle = page.height / 2
        strips.append(
            page.crop(
                (
                    round(page.width - wide),
                    round(middle - high / 2),
                    page.width,
                    round(middle + high / 2),
                )
            )
        )
    whole = Image.new("RGB", (sum(one.width for one in strips), strips[0].height), "white")
    left = 0
    for one in strips:
        whole.paste(one, (left, 0))
        left += one.width
    return whole


def alike(one: Image.Image, other: Image.Image) -> float:
    """Share of pixels that differ clearly, both at 100 pixels a side."""
    small = [picture.convert("L").resize((100, 100)).tobytes() for picture in (one, other)]
    return sum(abs(a - b) > 70 for a, b in zip(*small, strict=True)) / 10_000


@pytest.mark.parametrize(
    ("count", "size", "turn"),
    [(1, (595, 842), 0), (2, (595, 842), 0), (3, (595, 842), 90),
     (3, (595, 842), 180), (2, (842, 595), 270), (4, (1000, 300), 0)],
)  # fmt: skip
def test_the_slices_of_a_signed_file_show_the_whole_seal(
    world: World, count: int, size: tuple[int, int], turn: int
) -> None:
    base = pdf.place_fields(pages(count, size=size, turn=turn), [FIELD])
    data = sealed(world, base, edge=edge_picture())
    whole = Image.open(io.BytesIO(render.page_png(draw_seal(DESIGN), page=0, side_px=400)))
    assert alike(joined(data, count, size=size), whole) < 0.03
    assert alike(joined(base, count, size=size), whole) > 0.1
    (check,) = seal_checks(world, data)
    assert check.verdict is Verdict.PASSED
    assert check.details["edge"] is True


def test_a_file_with_an_edge_seal_passes_and_a_later_signer_joins(world: World) -> None:
    base = pdf.place_fields(pages(4), [FIELD, OTHER])
    first = sealed(world, base, edge=edge_picture())
    second = world.pki.signer("陈𬱖（虚构）")
    both = sealed(world, first, field=OTHER.name, certify=False, signer=second)
    report = validate_pdf(both, trust=trust_of(world.pki), at=world.pki.at)
    assert report.verdict is Verdict.PASSED, [
        c for c in report.checks if c.verdict.value != "passed"
    ]


def test_a_later_signer_cannot_bring_an_edge_seal(world: World, file: bytes) -> None:
    with pytest.raises(ConflictError) as caught:
        sealed(world, file, field=OTHER.name, certify=False, edge=edge_picture())
    assert caught.value.error_code == "seal.edge_not_first"


def test_a_page_smaller_than_the_seal_is_refused(world: World) -> None:
    base = pdf.place_fields(pages(2, size=(300, 100)), [replace(FIELD, x=5, y=5, height=60)])
    with pytest.raises(InputError) as caught:
        sealed(world, base, edge=edge_picture())
    assert caught.value.error_code == "seal.edge_page_small"


def test_rare_characters_of_seal_and_name_extract_from_the_signed_file(
    world: World, base: bytes, tmp_path: Path
) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine: sudo apt-get install poppler-utils")
    rare = design_of(kind="contract", shape="round", name="镕䶮㛃𠮷𬱖公司")
    path = tmp_path / "signed.pdf"
    path.write_bytes(sealed(world, base, design=rare))
    text = subprocess.run(
        ["pdftotext", str(path), "-"], capture_output=True, check=True, text=True
    ).stdout
    assert "镕䶮㛃𠮷𬱖公司" in text
    assert "陈𬱖（虚构）" in text


def test_values_nested_without_end_are_no_seal():
    """Found by the fuzzer: asn1crypto gave up with a RecursionError."""
    deep = b""
    for _level in range(3_000):
        size = len(deep)
        length = bytes((size,)) if size < 128 else b"\x83" + size.to_bytes(3, "big")
        deep = b"\x30" + length + deep
    with pytest.raises(VerificationError) as caught:
        read_seal_object(deep)
    assert caught.value.error_code == "seal.object_malformed"
