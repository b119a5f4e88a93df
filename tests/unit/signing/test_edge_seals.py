"""Page-edge seals of every signer: planned, filled, judged by three validators, and every trick refused."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from reportlab.pdfgen.canvas import Canvas

from api import pdfsig
from ledger.core.errors import ConflictError, FuqiError, InputError
from ledger.core.report import Check, Report, Verdict
from signing import edge_seal, pdf, render
from signing.appearance import Appearance, FieldSpec
from signing.covered import overlap
from signing.edge_plan import (
    BOXES_MAX,
    PAGES_PER_SEAL,
    SIZE,
    EdgeChoice,
    EdgeTrack,
    Side,
    box_on,
    plan_edges,
    slices,
)
from signing.edge_seal import edge_fields, fill_edge, kept_for
from signing.opinions import Stance, pdfsig_opinion, pyhanko_opinion
from signing.pdf_reading import form_of, open_reader, signatures_of
from signing.seal_maker import BuiltInSealMaker
from signing.seal_object import Binding, make_seal_object
from signing.seal_pictures import pixels_of
from signing.seals import POINTS_PER_MM, Picture, SealDesign, design_of, draw_seal, picture_of
from signing.testing import FIXED_TIME, Signer, ThrowawayPki, throwaway_pki
from signing.testing_pdf import trust_of
from signing.validate import integrity_report, validate_pdf

FIELDS = (
    FieldSpec("party_a", 0, 30, 40, 200, 120),
    FieldSpec("party_b", 0, 260, 40, 200, 120),
)
NAMES = tuple(one.name for one in FIELDS)
DESIGNS = {
    "party_a": design_of(kind="contract", shape="round", name="示例捐赠企业有限公司（虚构）"),
    "party_b": design_of(kind="organisation", shape="round", name="虚构第二人民医院", width_mm=42),
    "party_c": design_of(kind="organisation", shape="oval", name="虚构物流有限责任公司"),
}


@dataclass(frozen=True)
class World:
    pki: ThrowawayPki
    maker: BuiltInSealMaker
    signers: dict[str, Signer]
    pictures: dict[str, Picture]

    def sign(
        self,
        base: bytes,
        field: str,
        *,
        edge: Picture | None = None,
        says: bool = True,
        design: SealDesign | None = None,
    ) -> bytes:
        """`base` signed under a seal; `says` is what the seal object states about the page edges."""
        shape = design or DESIGNS[field]
        who = self.signers[field]
        binding = Binding(
            seal="sea_01kdvdna00ncrmbvs7rqr9p8yr",
            kind=shape.kind.value,
            source="drawn",
            agreement="agr_01kdvdna00ncrmbvs7rqr9p8yr",
            signer="sig_01kdvdna00ncrmbvs7rqr9p8yr",
            organisation="pty_01kdvdna00ncrmbvs7rqr9p8yr",
            person="pty_01kdvdna00ncrmbvs7rqr9p8ys",
            authorisation="aut_01kdvdna00ncrmbvs7rqr9p8yr",
            authorisation_sha256="00" * 32,
            field=field,
            base_size=len(base),
            base_sha256=hashlib.sha256(base).hexdigest(),
            edge=says,
        )
        der = make_seal_object(
            binding,
            name=shape.name,
            picture=self.pictures[field],
            period=(FIXED_TIME - timedelta(days=1), FIXED_TIME + timedelta(days=30)),
            certificate=who.certificate.der,
            maker=self.maker,
            at=FIXED_TIME,
        )
        prepared = pdf.prepare(
            base,
            field=field,
            certificate=who.certificate.der,
            chain=who.certificate.chain,
            at=FIXED_TIME,
            certify=not form_of(open_reader(base)[0]).filled,
            appearance=Appearance(
                shape.name, "张三", who.certificate.serial_hex, FIXED_TIME, demo=True,
                seal_size_pt=(113, 113),
            ),
            seal=pdf.SealMark(page=draw_seal(shape), object_der=der, edge=edge),
        )  # fmt: skip
        return pdf.embed(
            prepared,
            signature=who.key.sign(prepared.signed_attrs),
            certificate=who.certificate.der,
            chain=who.certificate.chain,
            stamp=self.pki.stamp,
        )

    def across(self, base: bytes, field: str) -> bytes:
        """`base` signed under a seal that also runs across the page edges."""
        return self.sign(base, field, edge=self.pictures[field])

    def report(self, data: bytes) -> Report:
        return validate_pdf(data, trust=trust_of(self.pki), at=self.pki.at)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pki = throwaway_pki(tmp_path_factory.mktemp("pki"))
    return World(
        pki,
        BuiltInSealMaker(pki.authority),
        {name: pki.signer() for name in DESIGNS},
        {name: picture_of(one, draw_seal(one)) for name, one in DESIGNS.items()},
    )


def pages(
    count: int,
    *,
    size: tuple[int, int] = (595, 842),
    turn: int = 0,
    draw: Callable[[Any, int], object] = lambda _canvas, _number: None,
) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for number in range(count):
        canvas.drawString(60, size[1] - 20, f"page {number + 1} of {count}")
        draw(canvas, number)
        canvas.setPageRotation(turn)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def published(data: bytes, fields: tuple[FieldSpec, ...] = FIELDS) -> bytes:
    tracks = plan_edges(data, fields=fields, wanted=[one.name for one in fields])
    assert len(tracks) == len(fields)
    return pdf.place_fields(data, fields, edges=tracks)


def failed(report: Report) -> list[tuple[str, object]]:
    return [
        (one.code, one.details.get("reason"))
        for one in report.checks
        if one.verdict is not Verdict.PASSED
    ]


def edge_checks(report: Report) -> list[Check]:
    return [one for one in report.checks if one.code == "pdf.edge_seal"]


# --- slices ------------------------------------------------------------------------------------


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


def drawn(data: bytes, count: int) -> list[Image.Image]:
    with render.Document(data) as document:
        pngs = [document.png(number, side_px=1400) for number in range(count)]
    return [Image.open(io.BytesIO(one)).convert("RGB") for one in pngs]


def joined(
    sheets: Sequence[Image.Image], track: EdgeTrack, *, size: tuple[int, int]
) -> Image.Image:
    """The slices of one seal, cut from the page edges and put side by side as they fan out."""
    strips = []
    for page, piece in zip(sheets, slices(len(sheets)), strict=True):
        ratio = page.width / size[0]
        box = box_on(track, piece, wide=size[0], high=size[1])
        # The seal is a little smaller than the room kept for it, and lies at the very edge.
        part = DESIGNS["party_a"].width_mm * POINTS_PER_MM / piece.count
        if track.side is Side.RIGHT:
            box = replace(box, left=box.right - part)
        else:
            box = replace(box, right=box.left + part)
        place = (box.left, size[1] - box.top, box.right, size[1] - box.bottom)
        strip = page.crop(tuple(round(one * ratio) for one in place))
        strips.append(strip)
    if track.side is Side.LEFT:
        strips.reverse()
    whole = Image.new("RGB", (sum(one.width for one in strips), strips[0].height), "white")
    left = 0
    for one in strips:
        whole.paste(one, (left, 0))
        left += one.width
    return whole


def alike(one: Image.Image, other: Image.Image) -> float:
    """Share of pixels that differ clearly, both cut to their ink and at 100 pixels a side."""
    small = []
    for picture in (one, other):
        grey = picture.convert("L")
        ink = grey.point([255 if value < 200 else 0 for value in range(256)]).getbbox()
        small.append(grey.crop(ink).resize((100, 100)).tobytes())
    return sum(abs(a - b) > 90 for a, b in zip(*small, strict=True)) / 10_000


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("count", "size", "turn"),
    [(1, (595, 842), 0), (2, (595, 842), 0), (3, (595, 842), 90),
     (2, (842, 595), 270), (4, (1000, 300), 0)],
)  # fmt: skip
def test_the_slices_of_a_signed_file_show_the_whole_seal(
    world: World, count: int, size: tuple[int, int], turn: int, side: Side
) -> None:
    field = FieldSpec("party_a", 0, 200, 10, 120, 60)
    track = EdgeTrack("party_a", side, 480, SIZE)
    base = pdf.place_fields(pages(count, size=size, turn=turn), [field], edges=[track])
    data = world.across(base, "party_a")
    page = render.page_png(draw_seal(DESIGNS["party_a"]), page=0, side_px=400)
    whole = Image.open(io.BytesIO(page)).convert("RGB")
    sheets = drawn(data, count)
    assert alike(joined(sheets, track, size=size), whole) < 0.04
    mirrored = replace(track, side=Side.RIGHT if side is Side.LEFT else Side.LEFT)
    blank = joined(sheets, mirrored, size=size).convert("L").getextrema()
    assert blank == (255, 255)
    (check,) = edge_checks(integrity_report(data))
    assert check.verdict is Verdict.PASSED
    assert check.details["pages"] == count


# --- every signer ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 21])
def test_both_companies_seal_across_the_edges_and_three_validators_agree(
    world: World, count: int
) -> None:
    base = published(pages(count))
    both = world.across(world.across(base, "party_a"), "party_b")
    report = world.report(both)
    assert report.verdict is Verdict.PASSED, failed(report)
    assert [one.details["pages"] for one in edge_checks(report)] == [count, count]
    own = pyhanko_opinion(both, name="pyHanko", differences=True)
    assert (own.stance, own.signatures) == (Stance.AGREES, 2), own
    if shutil.which("pdfsig") is None:
        pytest.skip("pdfsig (poppler-utils) is not here")
    fields = [one.field for one in signatures_of(both)]
    other = pdfsig_opinion(lambda: pdfsig.judge(both), fields=fields, name="", judgeable=True)
    assert other.stance is Stance.AGREES, other


def test_the_order_of_signing_does_not_matter(world: World) -> None:
    base = published(pages(3))
    both = world.across(world.across(base, "party_b"), "party_a")
    report = world.report(both)
    assert report.verdict is Verdict.PASSED, failed(report)
    assert len(edge_checks(report)) == 2


def test_a_signer_between_two_who_leaves_the_edges_alone_disturbs_nobody(world: World) -> None:
    three = (*FIELDS, FieldSpec("party_c", 1, 30, 40, 200, 120))
    data = world.across(published(pages(3), three), "party_a")
    data = world.sign(data, "party_c", says=False)
    data = world.across(data, "party_b")
    report = world.report(data)
    assert report.verdict is Verdict.PASSED, failed(report)
    assert {one.details["field"] for one in edge_checks(report)} == {"party_a", "party_b"}


def test_pages_of_different_sizes_and_turns_carry_both(world: World) -> None:
    def odd(canvas: Any, number: int) -> None:
        canvas.setPageSize([(595, 842), (842, 595), (420, 595), (300, 700)][number % 4])
        canvas.setPageRotation(0)

    base = published(pages(8, draw=odd))
    both = world.across(world.across(base, "party_a"), "party_b")
    report = world.report(both)
    assert report.verdict is Verdict.PASSED, failed(report)


def test_pages_behind_the_first_are_not_drawn_where_nothing_can_be_hidden(world: World) -> None:
    def total(canvas: Any, number: int) -> None:
        if number == 25:
            canvas.drawRightString(590, 421, "1,234,567")

    tracks = [
        EdgeTrack("party_a", Side.RIGHT, 250, SIZE),
        EdgeTrack("party_b", Side.RIGHT, 500, SIZE),
    ]
    base = pdf.place_fields(pages(30, draw=total), FIELDS, edges=tracks)
    both = world.across(world.across(base, "party_a"), "party_b")
    report = integrity_report(both)
    assert report.verdict is Verdict.PASSED, failed(report)
    (visual,) = [one for one in report.checks if one.code == "pdf.visual"]
    assert (visual.details["drawn"], visual.details["untouched"]) == (21, 9)


# --- tricks ------------------------------------------------------------------------------------


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(ConflictError) as caught:
        attempt()
    assert caught.value.error_code == "pdf.breaks_earlier_signature"
    return str(caught.value.context["check"])


def test_slices_that_the_seal_object_does_not_speak_of_are_refused(world: World) -> None:
    base = published(pages(3))
    picture = world.pictures["party_a"]
    assert refused(lambda: world.sign(base, "party_a", edge=picture, says=False)) == "pdf.edge_seal"


def test_a_seal_object_that_speaks_of_slices_which_are_not_there_is_refused(world: World) -> None:
    base = published(pages(3))
    assert refused(lambda: world.sign(base, "party_a", edge=None)) == "pdf.edge_seal"


def test_another_picture_than_that_of_the_seal_is_refused(world: World) -> None:
    base = published(pages(3))
    other = world.pictures["party_b"]
    assert refused(lambda: world.sign(base, "party_a", edge=other)) == "pdf.edge_seal"


@pytest.mark.parametrize(
    "change",
    [
        lambda look: replace(look, content=look.content + b" 1 g 0 0 9 9 re f"),
        lambda look: replace(look, content=look.content.replace(b"/Ink gs", b"/Ink gs ")),
        lambda look: replace(look, width="3"),
    ],
)
def test_a_slice_drawn_in_any_other_way_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]
) -> None:
    base = published(pages(3))
    true = edge_seal.look_of
    monkeypatch.setattr(edge_seal, "look_of", lambda *args, **kwargs: change(true(*args, **kwargs)))
    assert refused(lambda: world.across(base, "party_a")) == "pdf.edge_seal"


def test_ink_that_would_not_darken_but_cover_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = published(pages(3))
    monkeypatch.setattr(edge_seal, "MULTIPLY", {"/Type": "/ExtGState", "/BM": "/Normal"})
    assert refused(lambda: world.across(base, "party_a")) == "pdf.edge_seal"


def test_one_signer_cannot_fill_the_boxes_of_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.across(published(pages(3)), "party_a")

    def stolen(writer: Any, _field: str, picture: Picture, pixels: Any) -> None:
        for name in NAMES:
            fill_edge(writer, name, picture, pixels)

    monkeypatch.setattr(pdf, "fill_edge", stolen)
    assert refused(lambda: world.across(first, "party_b")) in {"pdf.edge_seal", "pdf.changes"}


def by_hand(data: bytes, field: str, picture: Picture) -> bytes:
    """A revision of its own that fills the boxes of a field."""
    writer: Any = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    fill_edge(writer, field, picture, pixels_of(picture))
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_slices_filled_before_anybody_signed_are_refused(world: World) -> None:
    forged = by_hand(published(pages(3)), "party_b", world.pictures["party_b"])
    assert refused(lambda: world.across(forged, "party_a")) == "pdf.edge_seal"


@pytest.mark.parametrize("field", NAMES)
def test_slices_filled_behind_a_signature_fail_the_file(world: World, field: str) -> None:
    first = world.across(published(pages(3)), "party_a")
    found = {
        code
        for code, _reason in failed(integrity_report(by_hand(first, field, world.pictures[field])))
    }
    assert {"pdf.coverage", "pdf.changes"} <= found


def test_a_slice_taken_away_later_fails_the_file(world: World) -> None:
    both = world.across(world.across(published(pages(3)), "party_a"), "party_b")
    writer: Any = IncrementalPdfFileWriter(io.BytesIO(both), strict=False)
    reference = edge_fields(writer)[0].boxes[1]
    del reference.get_object()[pdf_name("/AP")]
    writer.mark_update(reference)
    buffer = io.BytesIO()
    writer.write(buffer)
    codes = {code for code, _reason in failed(integrity_report(buffer.getvalue()))}
    assert {"pdf.changes", "pdf.visual"} <= codes


def solid(colour: tuple[int, int, int], width_mm: int = 40) -> Picture:
    buffer = io.BytesIO()
    Image.new("RGBA", (400, 400), (*colour, 255)).save(buffer, format="PNG")
    return Picture(buffer.getvalue(), width_mm, width_mm)


def test_a_later_seal_across_the_edges_cannot_hide_figures(world: World) -> None:
    def total(canvas: Any, _number: int) -> None:
        canvas.drawRightString(590, 421, "1,234,567")

    tracks = [
        EdgeTrack("party_a", Side.RIGHT, 250, SIZE),
        EdgeTrack("party_b", Side.RIGHT, 500, SIZE),
    ]
    base = pdf.place_fields(pages(1, draw=total), FIELDS, edges=tracks)
    first = world.across(base, "party_a")
    honest = integrity_report(world.across(first, "party_b"))
    assert honest.verdict is Verdict.PASSED, failed(honest)
    black = replace(world, pictures={**world.pictures, "party_b": solid((10, 0, 0))})
    assert refused(lambda: black.across(first, "party_b")) == "pdf.visual"
    for colour in ((200, 16, 16), (255, 255, 255)):
        # Ink that multiplies leaves black figures readable on red, and paper white as it is.
        clear = replace(world, pictures={**world.pictures, "party_b": solid(colour)})
        report = integrity_report(clear.across(first, "party_b"))
        assert report.verdict is Verdict.PASSED, failed(report)


def test_without_room_kept_for_it_no_seal_runs_across_the_edges(world: World) -> None:
    base = pdf.place_fields(pages(3), FIELDS)
    with pytest.raises(ConflictError) as caught:
        world.across(base, "party_a")
    assert caught.value.error_code == "seal.edge_not_planned"
    assert integrity_report(world.sign(base, "party_a", says=False)).verdict is Verdict.PASSED


def test_a_band_belongs_to_a_field_placed_with_it_and_the_file_brings_none(world: World) -> None:
    strange = [EdgeTrack("party_x", Side.RIGHT, 500, SIZE)]
    twice = [EdgeTrack("party_a", side, 500, SIZE) for side in Side]
    for tracks in (strange, twice):
        with pytest.raises(InputError) as caught:
            pdf.place_fields(pages(1), FIELDS, edges=tracks)
        assert caught.value.error_code == "pdf.field_invalid"
    once = pdf.place_fields(
        pages(1), FIELDS[:1], edges=[EdgeTrack("party_a", Side.RIGHT, 500, SIZE)]
    )
    # What the sender's own file brings could stand anywhere on the page.
    again = replace(FIELDS[1], name="other")
    for tracks in ([], [EdgeTrack("other", Side.RIGHT, 250, SIZE)]):
        with pytest.raises(FuqiError) as conflict:
            pdf.place_fields(once, [again], edges=tracks)
        assert conflict.value.error_code == "pdf.field_exists"


# --- planning ----------------------------------------------------------------------------------


def row_of(count: int) -> tuple[FieldSpec, ...]:
    return tuple(FieldSpec(f"p{n}", 0, 100 + 30 * n, 40, 20, 20) for n in range(count))


@pytest.mark.parametrize("size", [(595, 842), (842, 595), (300, 420), (1684, 2384)])
@pytest.mark.parametrize("turn", [0, 90])
def test_bands_lie_over_no_other_on_any_page(size: tuple[int, int], turn: int) -> None:
    fields = row_of(12)[:6] if size[0] == 300 else row_of(12)
    fields = (
        fields
        if size[0] > 500
        else tuple(replace(one, x=60 + 20 * n, width=15) for n, one in enumerate(fields))
    )
    tracks = plan_edges(
        pages(3, size=size, turn=turn), fields=fields, wanted=[one.name for one in fields]
    )
    wide, high = size  # ReportLab turns the page's own space, so that it is shown in this size
    assert tracks
    for piece in slices(3):
        boxes = [box_on(one, piece, wide=wide, high=high) for one in tracks]
        assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2))
        assert all(
            one.bottom >= 0 and one.top <= high and one.left >= 0 and one.right <= wide
            for one in boxes
        )
    assert [one.signature for one in tracks] == [one.name for one in fields][: len(tracks)]


def test_on_a4_twelve_signers_find_room_and_the_thirteenth_does_not() -> None:
    fields = row_of(13)
    tracks = plan_edges(pages(4), fields=fields, wanted=[one.name for one in fields])
    assert len(tracks) == 12
    assert {one.side for one in tracks[:6]} == {Side.RIGHT}


def test_bands_keep_away_from_text_where_they_can_and_from_figures_always() -> None:
    def words(canvas: Any, _number: int) -> None:
        for y in range(60, 780, 14):
            canvas.drawString(480, y, "the parties agree as follows")

    def figures(canvas: Any, _number: int) -> None:
        for y in range(60, 780, 14):
            canvas.drawRightString(592, y, "CNY 1,000.00")

    (over_left,) = plan_edges(pages(1, draw=words), fields=FIELDS[:1], wanted=["party_a"])
    assert over_left.side is Side.LEFT

    def both(canvas: Any, number: int) -> None:
        figures(canvas, number)
        for y in range(60, 780, 14):
            canvas.drawString(2, y, "the parties agree")

    (over_text,) = plan_edges(pages(1, draw=both), fields=FIELDS[:1], wanted=["party_a"])
    assert over_text.side is Side.LEFT

    def nowhere(canvas: Any, number: int) -> None:
        figures(canvas, number)
        for y in range(10, 842, 14):
            canvas.drawString(2, y, "2026")
            canvas.drawRightString(594, y, "2026")

    assert plan_edges(pages(2, draw=nowhere), fields=FIELDS[:1], wanted=["party_a"]) == ()


def test_the_sender_may_keep_one_edge_or_both_free_of_bands() -> None:
    fields = row_of(13)
    names = [one.name for one in fields]
    for choice, side in ((EdgeChoice.RIGHT, Side.RIGHT), (EdgeChoice.LEFT, Side.LEFT)):
        tracks = plan_edges(pages(2), fields=fields, wanted=names, choice=choice)
        assert len(tracks) == 6
        assert {one.side for one in tracks} == {side}
    assert plan_edges(pages(2), fields=fields, wanted=names, choice=EdgeChoice.NONE) == ()
    base = pages(2)
    assert kept_for(published(base)) == {"party_a", "party_b"}
    assert kept_for(pdf.place_fields(base, FIELDS)) == frozenset()
    with pytest.raises(InputError):
        kept_for(b"%PDF-1.7 no file")


def test_a_band_keeps_away_from_boxes_on_any_page() -> None:
    at_edge = FieldSpec("party_a", 2, 440, 350, 150, 130)
    (track,) = plan_edges(pages(4), fields=[at_edge], wanted=["party_a"])
    box = box_on(track, slices(4)[2], wide=595, high=842)
    field = render.Box(
        0, at_edge.x, at_edge.y, at_edge.x + at_edge.width, at_edge.y + at_edge.height
    )
    assert not overlap(box, field)


def test_pages_too_small_for_a_seal_get_none_and_long_files_a_bounded_number() -> None:
    tiny = FieldSpec("party_a", 0, 5, 5, 20, 20)
    assert plan_edges(pages(2, size=(300, 60)), fields=[tiny], wanted=["party_a"]) == ()
    fields = row_of(12)
    long = pages(BOXES_MAX // 4)
    tracks = plan_edges(long, fields=fields, wanted=[one.name for one in fields])
    assert len(tracks) == 4
