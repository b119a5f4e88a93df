"""The strict verifier of signed PDFs: stricter than any one library, and it never raises.

PASSED = intact and valid and trusted and every byte accounted for and no unexplained change.
Three opinions are held against each other: our own reading of the bytes and of the signature
containers (`signing.changes`, `signing.cms`), pyHanko's objects and difference analysis, and what
PDFium counts, reads and draws. A tool that stops or disagrees never helps a file to pass.

A file without any signature is INDETERMINATE (`pdf.no_signature`): nothing is claimed, so nothing is
refuted and nothing is proved. A file in which a signature can be seen but not read is FAILED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, InputError
from ledger.core.report import Report, Verdict
from signing import changes, deadline, render
from signing.active import find_active_content
from signing.examined import Examined
from signing.field_edits import check_field_edits
from signing.pdf_reading import (
    declared_offsets,
    differences_of,
    form_of,
    open_reader,
    revisions_of,
    signatures_of,
    signatures_with,
)
from signing.reading import RecordedEdit, SignatureFacts
from signing.tables import doubled_tables
from signing.trust import PkiTrust
from signing.validate_containers import UNSUPPORTED, check_each_container
from signing.validate_edges import check_edges
from signing.validate_seals import check_seals
from signing.validate_trust import check_each_trust
from signing.validate_visual import check_visual

__all__ = ["integrity_report", "revisions_of", "signatures_of", "validate_pdf"]

BYTES_MAX: Final = render.BYTES_MAX
"""As large as PDFium is allowed to see."""
SECONDS_MAX: Final = 50
"""For all checks of one file; ordinary files take well under one second. Less than the 60 seconds after
which the sandbox kills its child, so that the report with everything found until then comes back."""

_LEVELS_ALLOWED: Final = frozenset({"NONE", "LTA_UPDATES", "FORM_FILLING"})
_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE
_Stage = Callable[[Examined], None]


def validate_pdf(
    data: bytes,
    *,
    trust: PkiTrust,
    at: datetime,
    expected_sha256: bytes | None = None,
    edits: Sequence[RecordedEdit] = (),
    closed_edits: int = 0,
    seconds: int = SECONDS_MAX,
) -> Report:
    """Examine a PDF; the verdict is PASSED only where every check is. Never raises.

    Args:
        trust: pinned roots and revocation lists; unknown roots make the verdict indeterminate.
        at: now; time stamps from the future fail, TSA certificates are judged at this time.
        expected_sha256: digest that the file must have, 32 bytes.
        edits: form fields that signers filled after earlier signatures, as recorded steps say;
            every other edit of a field is tampering.
        closed_edits: how many more such steps are recorded whose contents the caller does not know.
        seconds: after so long the verdict is indeterminate (`pdf.limits`, reason `time_limit`) unless
            something wrong was found before. One page that poppler draws is not interrupted.
    """
    file = Examined(data)
    stages = _stages(trust=trust, at=at, expected=expected_sha256, edits=edits, closed=closed_edits)
    return _report(file, stages, seconds=seconds, subject="pdf", labels=trust.labels)


def integrity_report(
    data: bytes,
    *,
    seconds: int = SECONDS_MAX,
    scanned: changes.Scanned | None = None,
    edits: Sequence[RecordedEdit] = (),
) -> Report:
    """As `validate_pdf` without trust, time and revocation: does the file hold together? Never raises.

    The time stamp and the authorities' certificates beside a signature are not judged here: nothing but
    trust can say what they are worth.

    Args:
        scanned: what a caller that wrote the file knows of its bytes already.
        edits: as in `validate_pdf`.
    """
    stages = _stages(trust=None, at=None, expected=None, edits=edits)
    return _report(
        Examined(data, scanned), stages, seconds=seconds, subject="pdf_integrity", labels=()
    )


def _stages(
    *,
    trust: PkiTrust | None,
    at: datetime | None,
    expected: bytes | None,
    edits: Sequence[RecordedEdit],
    closed: int = 0,
) -> list[_Stage]:
    stages: list[_Stage] = [
        Examined.scan,
        lambda it: _check_expected(it, expected),
        _check_readable,
        _check_signatures_found,
        check_each_container,
        _check_coverage,
        _check_undeclared,
        lambda it: check_field_edits(it, edits, closed=closed),
        check_edges,
        _check_changes,
        check_visual,
        _check_active,
    ]
    if trust is not None and at is not None:
        moment, pinned = at, trust
        stages.append(lambda it: check_each_trust(it, pinned, moment))
    # Behind the trust, which reads the revocation lists that the file brings along.
    stages.append(lambda it: check_seals(it, trust, at))
    return stages


def _report(
    file: Examined,
    stages: Sequence[_Stage],
    *,
    seconds: int,
    subject: str,
    labels: tuple[str, ...],
) -> Report:
    try:
        with deadline.within(seconds):
            _run(file, stages)
    except deadline.TimeIsUp:
        file.add(
            "pdf.limits",
            _I,
            f"the file takes longer to examine than {seconds} seconds; what is not listed is not known",
            f"检查超过 {seconds} 秒；未列出的项目无法得出结论",
            reason="time_limit",
        )
    except MemoryError:
        file.add(
            "pdf.limits",
            _I,
            "the file needs more memory than the limit; nothing is known about it",
            "检查所需内存超过上限，无法得出结论",
            reason="memory_limit",
        )
    return Report(subject=subject, checks=tuple(file.checks), labels=labels)


def _run(file: Examined, stages: Sequence[_Stage]) -> None:
    for number, stage in enumerate(stages):
        deadline.check()
        try:
            stage(file)
        except _Stop:
            break
        except MemoryError:
            raise
        except Exception as exc:  # noqa: BLE001 - the verifier never raises, by contract
            file.add(
                "pdf.check_error",
                _I,
                "a check could not be completed on this odd file",
                "文件结构异常，有一项检查未能完成",
                stage=number,
                error=type(exc).__name__,
            )
            if file.reader is None:
                break


class _Stop(Exception):  # noqa: N818 - control flow, not an error
    """Nothing further can be examined."""


def _check_expected(file: Examined, expected: bytes | None) -> None:
    if expected is None:
        return
    same = file.digests.of_first(len(file.data)) == expected
    file.add(
        "pdf.expected_digest",
        _P if same else _F,
        "the file is the expected one" if same else "the file is not the expected one",
        "文件与预期一致" if same else "文件与预期不一致",
    )


def _check_readable(file: Examined) -> None:
    if len(file.data) > BYTES_MAX:
        file.add(
            "pdf.readable",
            _I,
            "the file is too large to be examined",
            "文件过大，无法检查",
            limit=BYTES_MAX,
        )
        raise _Stop
    if not file.data.startswith(b"%PDF-"):
        file.add("pdf.readable", _F, "the file does not begin as a PDF", "文件开头不是PDF标识")
        raise _Stop
    try:
        file.reader, file.strict = open_reader(file.data, ranges=file.ranges)
        # pyHanko counts its pages before anything else is believed.
        file.form = form_of(file.reader)
    except InputError as exc:
        encrypted = exc.error_code == "pdf.encrypted"
        # An encrypted file may be honest; an unreadable one that claims a signature is not.
        verdict = _I if encrypted or not file.ranges else _F
        file.add(
            "pdf.encrypted" if encrypted else "pdf.readable",
            verdict,
            "the file is encrypted and cannot be examined"
            if encrypted
            else "the file is not a readable PDF",
            "文件已加密，无法检查" if encrypted else "文件不是可读取的PDF",
        )
        raise _Stop from exc
    if not file.strict:
        file.add(
            "pdf.syntax",
            _I,
            "the file breaks the rules of PDF syntax; readers may differ",
            "文件不符合PDF语法，不同阅读器可能显示不同",
        )
    try:
        with render.Document(file.data) as document:
            count = document.page_count()
    except FuqiError:
        file.add(
            "pdf.parsers_agree",
            _F,
            "a second parser cannot read the file",
            "第二个解析器无法读取该文件",
        )
        return
    same = count == file.form.pages and count > 0
    file.add(
        "pdf.parsers_agree",
        _P if same else _F,
        "two parsers count the same pages" if same else "two parsers count different pages",
        "两个解析器页数一致" if same else "两个解析器页数不一致",
        pages=file.form.pages,
        pages_second=count,
    )


def _check_signatures_found(file: Examined) -> None:
    ranges = file.ranges
    file.signatures = signatures_with(file.data, file.reader, ranges=ranges, digests=file.digests)
    values = [item for item in file.signatures if item.kind == "signature"]
    if not file.signatures and not ranges and not _has_traces(file):
        file.add(
            "pdf.no_signature",
            _I,
            "the file holds no signature, so nothing is proved",
            "文件不含任何签名，无从证明",
        )
        raise _Stop
    file.differences = differences_of(file.reader)
    faults = []
    if len(ranges) != len(file.signatures) or len(ranges) >= changes.SIGNATURES_MAX:
        faults.append("count")
    if any(len(item.fields) != 1 for item in file.signatures):
        faults.append("shared")
    if any(item.fault and item.fault not in UNSUPPORTED for item in file.signatures):
        faults.append("malformed")
    ends = [item.revision_size for item in file.signatures]
    if len(set(ends)) != len(ends):
        faults.append("same_revision")
    if faults:
        file.add(
            "pdf.signatures",
            _F,
            "the signatures in the file are hidden, shared, overlapping or malformed",
            "文件中的签名存在隐藏、共用、重叠或格式错误",
            faults=",".join(faults),
            in_bytes=len(ranges),
            in_fields=len(file.signatures),
        )
    elif not values:
        file.add(
            "pdf.no_signature",
            _I,
            "the file holds time stamps but no signature",
            "文件仅含时间戳，不含签名",
        )
    else:
        # Not a fault: a file between two signatures has them, and one where any of several may sign. But
        # whoever reads "passed" must not take it for the agreement that all have signed.
        empty = len(file.form.empty) if file.form else 0
        file.add(
            "pdf.signatures",
            _P,
            f"signatures in the file: {len(values)}"
            + (f"; signature fields that nobody has signed: {empty}" if empty else ""),
            f"文件含 {len(values)} 个签名" + (f"，另有 {empty} 个签名域无人签署" if empty else ""),
            signatures=len(values),
            document_timestamps=len(file.signatures) - len(values),
            empty_fields=empty,
        )


def _has_traces(file: Examined) -> bool:
    """Whether the file speaks of a signature although none can be read."""
    form = file.form
    return bool(form and form.filled) or any(
        changes.mentions(file.data, "ByteRange", "SubFilter", "DocMDP")
    )


def _check_coverage(file: Examined) -> None:
    last = max(file.signatures, key=lambda item: item.revision_size, default=None)
    rest = len(file.data) - (last.revision_size if last else 0)
    if rest == 0:
        file.add(
            "pdf.coverage",
            _P,
            "the last signature covers the file to its end",
            "最后一个签名覆盖至文件末尾",
            size=len(file.data),
        )
        return
    archival = last is not None and _is_archival(file, last)
    file.add(
        "pdf.coverage",
        _I if archival else _F,
        f"{rest} bytes behind the last signature are not signed"
        + ("; they look like validation data" if archival else ""),
        f"最后一个签名之后有 {rest} 个字节未被签名" + ("，似为验证数据" if archival else ""),
        unsigned_bytes=rest,
    )


def _is_archival(file: Examined, last: SignatureFacts) -> bool:
    """Whether the unsigned rest is what PAdES B-LT appends: not proof of change, nor proof of none.

    pyHanko calls an empty rest NONE although other readers may see objects in it (attack isa_B).
    """
    if last.fault or changes.tail_after_last_eof(file.data):
        return False
    found = file.differences.get(last.field)
    if found is None:
        return False
    return found.level == "LTA_UPDATES" and not found.changed_fields and found.docmdp_ok is True


def _check_undeclared(file: Examined) -> None:
    """Behind the first signature every object must be one that the cross-reference tables name."""
    sizes = [item.revision_size for item in file.signatures if item.revision_size]
    if not sizes:
        return
    start = min(sizes)
    declared, starts = declared_offsets(file.reader)
    objects = changes.undeclared_objects(file.data, start=start, declared=declared)
    extra = changes.undeclared_starts(file.data, start=start, declared=starts)
    doubled = doubled_tables(file.reader, file.data, start=start)
    ok = not objects and not extra and not doubled
    file.add(
        "pdf.undeclared_objects",
        _P if ok else _F,
        "every object behind the first signature is declared"
        if ok
        else "objects were slipped in behind a signature",
        "首个签名之后的对象均已声明" if ok else "签名之后被塞入未声明的对象",
        objects=len(objects),
        tables=len(extra),
        doubled=len(doubled),
    )


def _check_changes(file: Examined) -> None:
    for item in file.signatures:
        if item.fault:
            continue
        who: dict[str, Json] = {"signature": item.order, "field": item.field}
        later = {other.field for other in file.signatures if other.order > item.order}
        found = file.differences.get(item.field)
        if found is None:
            # Nothing stands behind a signature that covers the whole file.
            verdict = _P if item.covers_file else _I
            file.add(
                "pdf.changes",
                verdict,
                f"nothing follows signature {item.order}"
                if item.covers_file
                else f"the changes behind signature {item.order} cannot be judged",
                f"签名 {item.order} 之后无内容"
                if item.covers_file
                else f"无法判断签名 {item.order} 之后的改动",
                **who,
            )
            continue
        edited = {
            name
            for revision, name in found.edits
            if name not in later and (revision, name) not in file.explained
        }
        level_ok = found.level in _LEVELS_ALLOWED
        ok = level_ok and not edited and found.docmdp_ok is not False
        file.add(
            "pdf.changes",
            _P if ok else _F,
            f"behind signature {item.order} there are only further signatures and recorded steps"
            if ok and file.explained
            else f"behind signature {item.order} there are only further signatures"
            if ok
            else f"the document was changed behind signature {item.order}",
            f"签名 {item.order} 之后仅有后续签名和已记录的填写"
            if ok and file.explained
            else f"签名 {item.order} 之后仅有后续签名"
            if ok
            else f"签名 {item.order} 之后文件被改动",
            **who,
            level=found.level,
            fields_changed=len(edited),
            policy=found.docmdp,
        )


def _check_active(file: Examined) -> None:
    walk = find_active_content(file.reader.root)
    if walk.complete and not walk.findings:
        file.add("pdf.active_content", _P, "nothing in the file acts by itself", "文件不含主动内容")
        return
    file.add(
        "pdf.active_content",
        _I,
        "scripts, attachments or actions in the file can change what a reader sees",
        "文件含脚本、附件或动作，可能改变阅读者所见",
        kinds=",".join(sorted({finding.kind for finding in walk.findings})),
    )
