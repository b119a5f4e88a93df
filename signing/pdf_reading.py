"""Reads signed PDFs with pyHanko and hands on plain values; raises only our own errors.

pyHanko stops with many kinds of exceptions on odd files; each is translated here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.pdf_embedded import read_certification_data

from ledger.core.errors import FuqiError, InputError, VerificationError
from signing import changes, deadline, render
from signing.cms import read_container, read_timestamp
from signing.differences import differences
from signing.quick_reader import QuickReader
from signing.reading import Difference, Form, RevisionFacts, SignatureFacts

PAGE_NODES_MAX: Final = 20_000
"""Nodes of a page tree that are followed."""
FIELD_DEPTH_MAX: Final = 20
"""Levels of fields within fields."""
SIGNATURE_FILTERS: Final = frozenset({"/ETSI.CAdES.detached", "/adbe.pkcs7.detached"})
TIMESTAMP_FILTER: Final = "/ETSI.RFC3161"

# pyHanko logs what it finds odd, and quotes the document; documents do not belong into logs.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)


def signatures_of(data: bytes) -> list[SignatureFacts]:
    """Every signature value in the file, in order of its revision; no verdict.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    ranges = changes.byte_ranges(data)
    return signatures_with(data, open_reader(data, ranges=ranges)[0], ranges=ranges)


def revisions_of(data: bytes) -> list[RevisionFacts]:
    """Every revision that the bytes show, the whole file last. Never raises."""
    closed_by: dict[int, str] = {}
    # The revisions of a file that cannot be parsed are still its revisions.
    with contextlib.suppress(InputError):
        closed_by = {item.revision_size: item.field for item in signatures_of(data)}
    ends = {*changes.revision_ends(data), *(size for size in closed_by if size), len(data)}
    digests = changes.RangeDigests(data)
    return [
        RevisionFacts(n, end, digests.of_first(end), closed_by.get(end, ""))
        for n, end in enumerate(sorted(ends), start=1)
    ]


def open_reader(
    data: bytes, *, ranges: Sequence[changes.ByteRange] | None = None
) -> tuple[Any, bool]:
    """Open with pyHanko: strictly, else leniently; the flag says whether strictly.

    Args:
        ranges: of the signatures, where the caller has them already.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    for strict in (True, False):
        try:
            reader = QuickReader(data, strict=strict, ranges=ranges)
            encrypted = reader.encrypted
            if not encrypted:
                reader.root["/Pages"]
        except Exception as exc:
            if not strict:
                raise InputError("the PDF cannot be read", code="pdf.broken") from exc
            continue
        if encrypted:
            raise InputError("the PDF is encrypted", code="pdf.encrypted")
        return reader, strict
    raise InputError("the PDF cannot be read", code="pdf.broken")


def form_of(reader: Any) -> Form:
    """Signature fields, other fields and the boxes of signature widgets.

    Raises:
        InputError: `pdf.broken`.
    """
    try:
        return _read_form(reader)
    except Exception as exc:
        raise InputError("the form of the PDF cannot be read", code="pdf.broken") from exc


def differences_of(reader: Any) -> dict[str, Difference]:
    """What pyHanko makes of the changes behind each signature, by field. Never raises.

    A field that is missing here could not be judged.
    """
    try:
        filled = [
            (str(name), reference)
            for name, _value, reference in enumerate_sig_fields(reader, filled_status=True)
        ]
    except Exception:  # noqa: BLE001 - see open_reader
        return {}
    return differences(reader, filled)


def form_at(reader: Any, data: bytes, end: int, revision: int | None) -> Form:
    """The form as it was in the first `end` bytes.

    Taken from the reader that is open already where its revision ends exactly there: where the
    `startxref` in the bytes is the one by which the reader found the revision. Else the beginning is
    parsed anew, as whoever signed it saw it.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    if end == len(data):
        return form_of(reader)
    if revision is not None and _ends_revision(reader, data, end, revision):
        return form_of(reader.get_historical_resolver(revision))
    return form_of(open_reader(data[:end])[0])


def _ends_revision(reader: Any, data: bytes, end: int, revision: int) -> bool:
    try:
        start = int(reader.xrefs.get_startxref_for_revision(revision))
    except Exception:  # noqa: BLE001 - see open_reader
        return False
    return start == changes.start_before(data, end)


def signatures_with(
    data: bytes,
    reader: Any,
    *,
    ranges: Sequence[changes.ByteRange] | None = None,
    digests: changes.RangeDigests | None = None,
) -> list[SignatureFacts]:
    """Signature values, each once, whatever number of fields points to it.

    Args:
        ranges, digests: where the caller has them already.
    """
    ranges = changes.byte_ranges(data) if ranges is None else ranges
    digests = digests or changes.RangeDigests(data)
    by_value: dict[object, tuple[list[str], Any]] = {}
    try:
        for name, value, reference in enumerate_sig_fields(reader, filled_status=None):
            if value is None:
                continue
            raw = reference.get_object().raw_get("/V")
            key = (raw.idnum, raw.generation) if hasattr(raw, "idnum") else id(raw)
            by_value.setdefault(key, ([], value))[0].append(str(name))
    except Exception as exc:
        raise InputError("the signature fields cannot be read", code="pdf.broken") from exc
    found = [_facts(data, names, value, ranges) for names, value in by_value.values()]
    found.sort(key=lambda item: (item.revision_size, item.field))
    return [
        replace(
            item,
            order=n,
            revision_sha256=digests.of_first(item.revision_size) if item.revision_size else b"",
        )
        for n, item in enumerate(found, start=1)
    ]


def _facts(
    data: bytes, names: list[str], value: Any, ranges: Sequence[changes.ByteRange]
) -> SignatureFacts:
    numbers, contents, subfilter, kind = _dictionary(value)
    fault, end, container = "", 0, None
    match = next((r for r in ranges if r.numbers and r.numbers == numbers), None)
    if match is None:
        fault = "no_byte_range"
    elif match.fault:
        fault = match.fault
    elif match.contents != contents:
        fault = "contents_differ"
    else:
        end = match.end
    if subfilter not in SIGNATURE_FILTERS | {TIMESTAMP_FILTER}:
        fault = fault or "subfilter"
    stamp, token = None, b""
    try:
        container = read_container(contents)
        token = container.timestamp
        if kind == "document_timestamp":
            token = contents
        stamp = read_timestamp(token) if token else None
    except VerificationError as exc:
        # A broken time stamp is reported by its own check; a broken container is a fault.
        fault = fault or ("" if container is not None else exc.error_code)
    return SignatureFacts(
        order=0,
        field=names[0],
        fields=tuple(names),
        kind=kind,
        subfilter=subfilter,
        byte_range=numbers if match else (),
        revision_size=end,
        revision_sha256=b"",
        covers_file=end == len(data),
        certificate=container.certificate if container else b"",
        chain=container.certificates if container else (),
        signed_attrs=container.signed_attrs if container else b"",
        signature=container.signature if container else b"",
        contents=contents,
        digest_algorithm=container.digest_algorithm if container else "",
        signature_algorithm=container.signature_algorithm if container else "",
        timestamp_time=stamp.time if stamp else None,
        timestamp_token=token,
        container=container,
        fault=fault,
        stamp=stamp,
    )


def _dictionary(value: Any) -> tuple[tuple[int, ...], bytes, str, str]:
    """ByteRange, Contents, SubFilter and kind; odd values become empty ones."""
    try:
        item = value.get_object() if hasattr(value, "get_object") else value
        subfilter = str(item.get("/SubFilter", "")) if isinstance(item, Mapping) else ""
        kind = "document_timestamp" if subfilter == TIMESTAMP_FILTER else "signature"
        raw = item["/ByteRange"] if isinstance(item, Mapping) and "/ByteRange" in item else ()
        numbers = tuple(int(n) for n in raw) if isinstance(raw, list) else ()
        text = item.raw_get("/Contents") if "/Contents" in item else None
        contents = bytes(getattr(text, "original_bytes", b""))
    except Exception:  # noqa: BLE001 - see open_reader; empty values are faults further on
        return (), b"", "", "signature"
    return numbers, contents, subfilter, kind


def _read_form(reader: Any) -> Form:
    pages = _pages(reader)
    widgets: dict[tuple[int, int], tuple[int, list[float]]] = {}
    for index, page in enumerate(pages):
        deadline.check()
        # Not .get: it would hand back the reference of an indirect array.
        annotations = page["/Annots"] if "/Annots" in page else []  # noqa: SIM401
        for position in range(len(annotations)):
            raw = list.__getitem__(annotations, position)
            widget = raw.get_object() if hasattr(raw, "get_object") else raw
            if hasattr(raw, "idnum") and isinstance(widget, Mapping) and "/Rect" in widget:
                rectangle = [float(number) for number in widget["/Rect"]]
                widgets[raw.idnum, raw.generation] = (index, rectangle)
    empty: list[str] = []
    filled: list[str] = []
    boxes: dict[str, render.Box] = {}
    for name, value, reference in enumerate_sig_fields(reader):
        (empty if value is None else filled).append(str(name))
        found = widgets.get((reference.idnum, reference.generation))
        if found is not None and len(found[1]) == 4:
            page_index, (x1, y1, x2, y2) = found
            boxes[str(name)] = render.Box(
                page_index, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
            )
    others: list[str] = []
    for name, reference in _other_references(reader):
        if name not in empty and name not in filled:
            others.append(name)
        found = widgets.get((reference.idnum, reference.generation))
        # A signature field of the same name keeps its box.
        if found is not None and len(found[1]) == 4 and name not in boxes:
            page_index, (x1, y1, x2, y2) = found
            boxes[name] = render.Box(page_index, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return Form(
        empty=tuple(empty),
        filled=tuple(filled),
        other_fields=tuple(others),
        boxes=boxes,
        pages=len(pages),
    )


def _other_references(reader: Any) -> Iterator[tuple[str, Any]]:
    """Full name and reference of each named field of the form, those within other fields too."""
    root = reader.root
    if "/AcroForm" not in root or "/Fields" not in root["/AcroForm"]:
        return
    stack = [("", 0, root["/AcroForm"]["/Fields"])]
    while stack:
        above, depth, fields = stack.pop()
        for position in range(len(fields)):
            reference = list.__getitem__(fields, position)
            item = reference.get_object() if hasattr(reference, "idnum") else None
            if not isinstance(item, Mapping) or "/T" not in item:
                continue
            name = f"{above}.{item['/T']}" if above else str(item["/T"])
            yield name, reference
            if "/Kids" in item and depth < FIELD_DEPTH_MAX:
                stack.append((name, depth + 1, item["/Kids"]))


def pages_of(reader: Any) -> list[Any]:
    """The pages in order; whatever pyHanko raises on an odd tree is translated.

    Raises:
        InputError: `pdf.broken`.
    """
    with translated():
        return _pages(reader)


def _pages(reader: Any) -> list[Any]:
    """Leaves of the page tree, each node once, so that a circular tree ends."""
    leaves: list[Any] = []
    seen: set[tuple[int, int]] = set()
    stack = [reader.root.raw_get("/Pages")]
    while stack and len(seen) < PAGE_NODES_MAX:
        deadline.check()
        raw = stack.pop()
        if hasattr(raw, "idnum"):
            if (raw.idnum, raw.generation) in seen:
                continue
            seen.add((raw.idnum, raw.generation))
            raw = raw.get_object()
        if "/Kids" in raw:
            kids = raw["/Kids"]
            stack += [list.__getitem__(kids, n) for n in range(len(kids) - 1, -1, -1)]
        else:
            leaves.append(raw)
    return leaves


def declared_offsets(reader: Any) -> tuple[set[int], set[int]]:
    """Offsets of objects that cross-reference sections name, and offsets of the sections."""
    offsets: set[int] = set()
    starts: set[int] = set()
    for revision in range(reader.xrefs.total_revisions):
        deadline.check()
        start = int(reader.xrefs.get_startxref_for_revision(revision))
        starts.add(start)
        for reference in reader.xrefs.explicit_refs_in_revision(revision):
            place = reader.xrefs.get_historical_ref(reference, revision)
            if isinstance(place, int):
                offsets.add(place)
    return offsets | starts, starts


def docmdp_of(reader: Any) -> int:
    """DocMDP permission 1 to 3 of the certifying signature, 0 for none.

    Raises:
        InputError: `pdf.broken`.
    """
    try:
        found = read_certification_data(reader)
    except Exception as exc:
        raise InputError("the certification cannot be read", code="pdf.broken") from exc
    if found is None:
        return 0
    # A certification without a readable permission is taken at its strictest.
    return 1 if found.permission is None else int(found.permission.value)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn whatever pyHanko raises on odd files into `pdf.broken`; our own errors pass."""
    try:
        yield
    except (FuqiError, AssertionError):
        raise
    except Exception as exc:  # see open_reader
        raise InputError("the PDF cannot be read or written to", code="pdf.broken") from exc


def visible_box(page: Any) -> tuple[float, float, float, float]:
    raw = inherited(page, "/CropBox") or inherited(page, "/MediaBox") or [0, 0, 612, 792]
    x1, y1, x2, y2 = (float(number) for number in raw)
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def inherited(page: Any, key: str) -> Any:
    """A page attribute, from the page or from the nodes above it."""
    node = page
    for _level in range(50):
        if key in node:
            return node[key]
        if "/Parent" not in node:
            return None
        node = node["/Parent"]
    return None
