"""What a taken-in file costs when its pages are read and drawn: found out in a process that can be killed.

Each of these files passes every look at its objects; the first two of them would have filled the memory of the
server, the third kept it busy for ever.
"""

from __future__ import annotations

import io
import resource
import zlib

import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from arbitration.examining import Examiner
from ledger.core.errors import LimitError
from signing import rehearsal
from signing.intake import PdfLimits, intake
from signing.testing_pdf import raw_pdf

TEXT = b"BT /F1 18 Tf 20 250 Td (Invented) Tj ET\n"


@pytest.fixture(scope="module")
def examiner():
    made = Examiner(workers=1)
    yield made
    made.close()


def pdf_of(*bodies: bytes, page: bytes = b"") -> bytes:
    """One page whose content is object 4 and whose objects from 6 on are `bodies[1:]`."""
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> " + page + b" >> >>",
        bodies[0],
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *bodies[1:],
    )
    out, offsets = b"%PDF-1.5\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % one for one in offsets)
    size = len(objects) + 1
    tail = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + tail


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def packed(megabytes: int, *, layers: int) -> bytes:
    """A page whose content unpacks to so many megabytes of nothing."""
    packer = zlib.compressobj(9)
    data = packer.compress(TEXT)
    data += b"".join(packer.compress(b" " * (1 << 20)) for _one in range(megabytes))
    data += packer.flush()
    for _layer in range(layers - 1):
        data = zlib.compress(data, 9)
    return pdf_of(stream(data, b"/Filter [" + b"/FlateDecode " * layers + b"]"))


def forms() -> bytes:
    """A page that draws a form ten times, which draws a form ten times, and so on: 10^9 lines of text."""
    levels = 9
    bodies = [stream(b"/N Do\n")]
    for level in range(levels):
        last = level == levels - 1
        inner = b"/Font << /F1 5 0 R >>" if last else b"/XObject << /N %d 0 R >>" % (7 + level)
        entries = b"/Type /XObject /Subtype /Form /BBox [0 0 300 300] /Resources << %s >>" % inner
        bodies.append(stream((TEXT if last else b"/N Do\n") * 10, entries))
    return pdf_of(*bodies, page=b"/XObject << /N 6 0 R >>")


HOSTILE = {
    "unpacks to 300 MB": lambda: packed(300, layers=1),
    "packed twice": lambda: packed(700, layers=2),
    "forms in forms": forms,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_whose_pages_cost_too_much_is_refused_and_the_next_one_taken(examiner, name):
    data = HOSTILE[name]()
    assert len(data) < 400_000
    # Nothing that looks at objects alone sees anything.
    assert intake(data).pages == 1
    with pytest.raises(LimitError) as caught:
        examiner.take_in(data, limits=PdfLimits())
    assert caught.value.error_code == "pdf.too_costly"
    assert examiner.take_in(raw_pdf([]), limits=PdfLimits()).pages == 1


def test_a_scanned_page_in_colour_at_600_dpi_is_taken(examiner):
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((4960, 7016)).convert("RGB").save(picture, "JPEG")
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    canvas.drawImage(ImageReader(picture), 0, 0, 595, 842)
    canvas.showPage()
    canvas.save()
    assert examiner.take_in(buffer.getvalue(), limits=PdfLimits()).pages == 1


def test_pages_that_take_too_long_together_are_refused():
    rehearsal.rehearse(raw_pdf([]))
    with pytest.raises(LimitError) as caught:
        rehearsal.rehearse(raw_pdf([]), seconds=-1)
    assert (caught.value.error_code, caught.value.context["reason"]) == (
        "pdf.too_costly",
        "time_limit",
    )


def test_the_narrower_room_ends_with_the_work(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_AS)
    with rehearsal.room(1000):
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        assert soft != before[0]
        assert hard == before[1]
    assert resource.getrlimit(resource.RLIMIT_AS) == before

    def unknown(*_arguments, **_options):
        raise FileNotFoundError

    monkeypatch.setattr(rehearsal.Path, "read_text", unknown)
    with rehearsal.room(1000):
        assert resource.getrlimit(resource.RLIMIT_AS) == before
