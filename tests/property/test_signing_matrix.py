"""Files of every kind, size and age are signed by our flow and accepted by three validators.

Plain runs take a few small cases. The whole matrix (up to 50 signatures, 500 pages, 100 MB) runs with
FUQI_MATRIX=all, each case in a process of its own so that its peak of memory is its own, and writes its table
to the file that FUQI_MATRIX_OUT names; docs/reference/signing-matrix.md holds one such run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from api import pdfsig
from signing import pdf
from signing.appearance import Appearance, FieldSpec
from signing.edge_plan import plan_edges
from signing.intake import PdfLimits, intake
from signing.opinions import Stance, pdfsig_opinion, pyhanko_opinion
from signing.seal_maker import BuiltInSealMaker
from signing.seal_object import Binding, make_seal_object
from signing.seals import design_of, draw_seal, picture_of
from signing.testing import FIXED_TIME, throwaway_pki
from signing.testing_pdf import raw_pdf, trust_of
from signing.validate import validate_pdf

ALL = os.environ.get("FUQI_MATRIX") == "all"
BYTES_MAX = 100 * 1024 * 1024
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Case:
    """One file and how it is signed."""

    name: str
    make: Callable[[], bytes]
    signatures: int = 2
    seal: bool = False
    small: bool = False
    tool: str = ""


def drawn(
    pages: int = 1,
    *,
    size: tuple[int, int] = (595, 842),
    turn: int = 0,
    crop: tuple[int, int, int, int] | None = None,
    form: bool = False,
) -> bytes:
    """Pages with a line of text each."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for number in range(pages):
        # Above every box as a reader sees the page: a signature may not cover what is written.
        high = 0.07 if turn == 180 else 0.93
        canvas.drawString(size[0] / 3, size[1] * high, f"page {number + 1} of {pages}")
        canvas.setPageRotation(turn)
        if crop:
            canvas.setCropBox(crop)
        if form and number == 0:
            canvas.acroForm.textfield(name="remark", x=300, y=700, width=120, height=20)
            canvas.acroForm.checkbox(name="agree", x=300, y=650)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def padded(size: int) -> bytes:
    """A document of this many bytes: the rest is one stream that cannot be compressed."""
    body = drawn(3)
    noise = random.Random(1).randbytes(size - len(body) - 400)
    number = 900
    start = len(body)
    out = bytearray(body)
    out += b"%d 0 obj\n<< /Length %d >>\nstream\n" % (number, len(noise)) + noise
    out += b"\nendstream\nendobj\n"
    table = len(out)
    trailer = body[body.rindex(b"trailer") :]
    root = re.search(rb"/Root (\d+ \d+) R", trailer)
    assert root is not None
    before = int(body[body.rindex(b"startxref") :].split()[1])
    out += b"xref\n%d 1\n%010d 00000 n \n" % (number, start)
    out += b"trailer\n<< /Size %d /Root %s R /Prev %d >>\n" % (number + 1, root[1], before)
    out += b"startxref\n%d\n%%%%EOF\n" % table
    return bytes(out)


def through_qpdf(*options: str, pages: int = 3) -> bytes:
    """A document written anew by qpdf."""
    source = Path(os.environ.get("TMPDIR", "/tmp")) / f"fuqi-matrix-{os.getpid()}.pdf"
    target = source.with_suffix(".out.pdf")
    source.write_bytes(drawn(pages))
    try:
        subprocess.run(["qpdf", *options, str(source), str(target)], check=True)
        return target.read_bytes()
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def hybrid() -> bytes:
    """A hybrid-reference file: a table for old readers, and an xref stream for objects in a stream.

    Source: ISO 32000-1, 7.5.8.4.
    """
    inner = b"6 0 << /Hidden (only new readers see this) >>"
    first = inner.index(b"<<")
    stream = b"<< /Type /ObjStm /N 1 /First %d /Length %d >>\nstream\n%s\nendstream" % (
        first, len(inner), inner,
    )  # fmt: skip
    text = b"BT /F1 18 Tf 20 250 Td (Hybrid) Tj ET"
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> /PieceInfo << /Fuqi << /LastModified (D:2026) "
            b"/Private 6 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        None,
        stream,
    ]
    out, offsets = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n", {}
    for number, body in enumerate(bodies, start=1):
        if body is not None:
            offsets[number] = len(out)
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(
        (2).to_bytes(1, "big") + (7).to_bytes(4, "big") + (0).to_bytes(1, "big") for _ in (6,)
    )
    place = len(out)
    out += (
        b"8 0 obj\n<< /Type /XRef /Size 9 /W [1 4 1] /Index [6 1] /Root 1 0 R /Length %d >>\n"
        b"stream\n%s\nendstream\nendobj\n" % (len(table), table)
    )
    offsets[8] = place
    start = len(out)
    out += b"xref\n0 9\n0000000000 65535 f \n"
    for number in range(1, 9):
        held = offsets.get(number)
        out += b"%010d 00000 n \n" % held if held else b"0000000000 00000 f \n"
    out += b"trailer\n<< /Size 9 /Root 1 0 R /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        place, start,
    )  # fmt: skip
    return out


CASES = (
    Case("1 page, 1 signature", lambda: drawn(1), 1, small=True),
    Case("1 page, 2 signatures, sealed", lambda: drawn(1), 2, seal=True, small=True),
    Case("1 page, 10 signatures", lambda: drawn(1), 10),
    Case("1 page, 50 signatures", lambda: drawn(1), 50),
    Case("2 pages, sealed across edges", lambda: drawn(2), 2, seal=True),
    Case("20 pages, sealed across edges", lambda: drawn(20), 2, seal=True),
    Case("100 pages, sealed across edges", lambda: drawn(100), 2, seal=True),
    Case("500 pages", lambda: drawn(500), 2),
    Case("500 pages, sealed across edges", lambda: drawn(500), 2, seal=True),
    Case("1 MB", lambda: padded(MEGABYTE), 2),
    Case("10 MB", lambda: padded(10 * MEGABYTE), 2),
    Case("100 MB", lambda: padded(100 * MEGABYTE), 2),
    Case(
        "compressed object streams",
        lambda: through_qpdf("--object-streams=generate", "--compress-streams=y"),
        small=True,
        tool="qpdf",
    ),
    Case("linearised", lambda: through_qpdf("--linearize"), small=True, tool="qpdf"),
    Case(
        "linearised with object streams",
        lambda: through_qpdf("--linearize", "--object-streams=generate"),
        tool="qpdf",
    ),
    Case("hybrid cross-reference", hybrid, small=True),
    Case("xref table written by hand", lambda: raw_pdf([])),
    Case("existing form fields", lambda: drawn(2, form=True), small=True),
    Case(
        "existing empty signature field",
        lambda: pdf.place_fields(drawn(1), [FieldSpec("theirs", 0, 400, 700, 100, 40)]),
    ),
    *(
        Case(f"turned by {turn}", lambda t=turn: drawn(2, turn=t), seal=True)
        for turn in (90, 180, 270)
    ),
    Case("turned by 90, small", lambda: drawn(1, turn=90), small=True),
    Case("crop box off the origin", lambda: drawn(1, crop=(40, 60, 560, 800)), seal=True),
    Case(
        "media box off the origin", lambda: raw_pdf([]).replace(b"[0 0 300 300]", b"[9 9 309 309]")
    ),
    Case("a small page of 200 by 200 points", lambda: drawn(1, size=(200, 200)), 1),
    Case("a page of 14 400 by 14 400 points", lambda: drawn(1, size=(14_400, 14_400)), 2),
    Case("a strip of 5 000 by 150 points", lambda: drawn(1, size=(5_000, 150)), 2, seal=True),
)
"""Every row of the matrix."""


def run_case(case: Case, folder: Path) -> dict[str, object]:
    """Sign the file in every field and have it judged; what was seen."""
    data = case.make()
    size, begun = len(data), time.monotonic()
    facts = intake(data, limits=PdfLimits(bytes_max=BYTES_MAX, pages_max=500))
    pki = throwaway_pki(folder / "pki")
    maker = BuiltInSealMaker(pki.authority)
    fields = boxes(case.signatures, facts.page_sizes_pt)
    bands = plan_edges(data, fields=fields, wanted=[fields[0].name]) if case.seal else ()
    data = pdf.place_fields(data, fields, edges=bands)
    signing = time.monotonic()
    design = design_of(kind="contract", shape="", name="示例企业（虚构）")
    for number, field in enumerate(fields):
        signer = pki.signer("陈𬱖（虚构）")
        mark = None
        if case.seal and number == 0:
            picture = picture_of(design, draw_seal(design))
            bound = Binding(
                "sea_x", "contract", "drawn", "agr_x", "sig_x", "pty_x", "pty_y", "aut_x", "00" * 32,
                field.name, len(data), hashlib.sha256(data).hexdigest(), edge=bool(bands),
            )  # fmt: skip
            der = make_seal_object(
                bound,
                name=design.name,
                picture=picture,
                period=(FIXED_TIME - timedelta(days=1), FIXED_TIME + timedelta(days=9)),
                certificate=signer.certificate.der,
                maker=maker,
                at=FIXED_TIME,
            )
            mark = pdf.SealMark(draw_seal(design), der, picture if bands else None)
        prepared = pdf.prepare(
            data,
            field=field.name,
            certificate=signer.certificate.der,
            chain=signer.certificate.chain,
            at=pki.at,
            certify=number == 0,
            appearance=Appearance(
                "示例机构（虚构）",
                "陈𬱖（虚构）",
                signer.certificate.serial_hex,
                pki.at,
                demo=True,
                seal_size_pt=(113, 113) if mark else (0, 0),
            ),
            seal=mark,
        )
        data = pdf.embed(
            prepared,
            signature=signer.key.sign(prepared.signed_attrs),
            certificate=signer.certificate.der,
            chain=signer.certificate.chain,
            stamp=pki.stamp,
        )
    judging = time.monotonic()
    report = validate_pdf(data, trust=trust_of(pki), at=pki.at)
    judged = time.monotonic()
    ours = [check.code for check in report.checks if check.verdict.value != "passed"]
    # As the flow asks it; its own look at the changes is kept beside, see docs/reference.
    hanko = pyhanko_opinion(data, name="pyHanko", differences=False)
    changes = pyhanko_opinion(data, name="pyHanko")
    poppler = pdfsig_opinion(
        lambda: pdfsig.judge(data), fields=[one.name for one in fields], name="pdfsig"
    )
    return {
        "name": case.name,
        "bytes": size,
        "pages": facts.pages,
        "signatures": len(fields),
        "ours": report.verdict.value,
        "faults": ours,
        "pyhanko": hanko.stance.value,
        "pyhanko_changes": changes.stance.value,
        "pdfsig": poppler.stance.value,
        "signed_bytes": len(data),
        "sign_ms": round((judging - signing) * 1000 / len(fields)),
        "validate_ms": round((judged - judging) * 1000),
        "all_ms": round((time.monotonic() - begun) * 1000),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def boxes(count: int, sizes: tuple[tuple[int, int], ...]) -> list[FieldSpec]:
    """Boxes in a grid on the last page."""
    width, height = sizes[-1]
    columns = min(count, 5)
    rows = -(-count // columns)
    wide = min((width - 20) // columns, 260)
    high = min((height - 20) // (rows + 1), 130)
    return [
        FieldSpec(
            f"party{n + 1}",
            len(sizes) - 1,
            10 + (n % columns) * wide,
            10 + (n // columns) * high,
            wide - 4,
            high - 4,
        )
        for n in range(count)
    ]


def missing_tool(case: Case) -> str:
    return case.tool if case.tool and shutil.which(case.tool) is None else ""


def require_accepted(seen: dict[str, object]) -> None:
    assert (seen["ours"], seen["pyhanko"]) == ("passed", Stance.AGREES.value), seen
    assert seen["pdfsig"] in (Stance.AGREES.value, Stance.ABSTAINS.value), seen
    if pdfsig.program() is not None:
        assert seen["pdfsig"] == Stance.AGREES.value, seen


@pytest.mark.parametrize("case", [c for c in CASES if c.small], ids=lambda case: case.name)
def test_three_validators_accept_what_we_sign(case: Case, tmp_path: Path) -> None:
    if tool := missing_tool(case):
        pytest.skip(f"no {tool} on this machine: sudo apt-get install {tool}")
    require_accepted(run_case(case, tmp_path))


@pytest.mark.timeout(2_400)
@pytest.mark.skipif(not ALL, reason="FUQI_MATRIX=all runs the whole matrix: minutes and a gigabyte")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_whole_matrix(case: Case, tmp_path: Path) -> None:
    if tool := missing_tool(case):
        pytest.skip(f"no {tool} on this machine: sudo apt-get install {tool}")
    done = subprocess.run(
        [sys.executable, __file__, case.name, str(tmp_path)],
        capture_output=True,
        check=False,
        timeout=1_800,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    seen = json.loads(done.stdout)
    if out := os.environ.get("FUQI_MATRIX_OUT"):
        with Path(out).open("a", encoding="utf-8") as file:
            file.write(json.dumps(seen, ensure_ascii=False) + "\n")
    require_accepted(seen)


if __name__ == "__main__":
    chosen = next(one for one in CASES if one.name == sys.argv[1])
    sys.stdout.write(json.dumps(run_case(chosen, Path(sys.argv[2]))))
