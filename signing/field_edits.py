"""Form fields that were filled after a signature: tampering, unless a recorded step explains the edit.

A record explains an edit only where the file holds exactly what `signing.form_fill` writes: one revision
right behind an earlier signature and right before the filler's, which changes the recorded fields and
nothing else, from the recorded value to the recorded one, with the one picture that this value has. That
DocMDP and every field lock permit it is asked as of every other change (`signing.differences`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.core.errors import InputError
from ledger.core.report import Verdict
from signing import changes, deadline, form_fill
from signing.examined import Examined
from signing.reading import RecordedEdit

EDITS_MAX: Final = 200
"""Recorded edits of one file; four fields for each of fifty signers."""
REVISIONS_MAX: Final = 1_000
"""Ends of revisions whose digests are looked at."""
_FREE: Final = frozenset({"/V", "/AP"})
_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a filled revision stands: pyHanko's number of the one before, and the filler's end."""

    before: int
    end: int


class _FaultError(Exception):
    """The record does not explain what stands in the file; its one argument is a stable word."""


def check_field_edits(file: Examined, edits: Sequence[RecordedEdit]) -> None:
    """Add `pdf.field_edits` where steps are recorded, and note in `file` what they explain."""
    if not edits:
        return
    fault = "too_many" if len(edits) > EDITS_MAX else ""
    groups: dict[bytes, list[RecordedEdit]] = {}
    for one in edits:
        groups.setdefault(one.revision_sha256, []).append(one)
    if not fault:
        ends = _ends_by_digest(file, groups)
        for digest, group in groups.items():
            deadline.check()
            try:
                place = _placed(file, ends.get(digest), group)
                for one in group:
                    _require_filled(file, place, one)
            except _FaultError as exc:
                fault = str(exc)
                break
            file.explained |= {(place.before + 1, one.field): place.end for one in group}
    if fault:
        file.explained.clear()
    file.add(
        "pdf.field_edits",
        _F if fault else _P,
        "a recorded step does not explain what stands in the form fields"
        if fault
        else f"{len(edits)} form fields were filled as recorded, right before the filler's signature",
        "所记录的填写步骤与文件中表单域的内容不符"
        if fault
        else f"{len(edits)} 个表单域的填写与记录一致，且紧接填写人签名之前",
        reason=fault,
        fields=len(edits),
    )


def _ends_by_digest(file: Examined, wanted: Mapping[bytes, object]) -> dict[bytes, int]:
    ends = changes.revision_ends(file.data)[:REVISIONS_MAX]
    digests = changes.RangeDigests(file.data)
    found = {digests.of_first(end): end for end in sorted(ends)}
    return {digest: end for digest, end in found.items() if digest in wanted}


def _placed(file: Examined, end: int | None, group: Sequence[RecordedEdit]) -> _Place:
    """The revision of a group, between two signatures and changing the group's fields alone."""
    if end is None:
        raise _FaultError("no_such_revision")
    if len({one.field for one in group}) != len(group):
        raise _FaultError("named_twice")
    signed = sorted(item.revision_size for item in file.signatures if not item.fault)
    before = max((size for size in signed if size < end), default=None)
    after = min((size for size in signed if size > end), default=None)
    if before is None or after is None:
        # Before the first signature there is nothing to explain; behind the last nobody signed it.
        raise _FaultError("not_signed_for")
    number, closed = file.revisions.get(before), file.revisions.get(after)
    if number is None or closed != number + 2:
        raise _FaultError("not_alone")
    start = int(file.reader.xrefs.get_startxref_for_revision(number + 1))
    if start != changes.start_before(file.data, end):
        raise _FaultError("no_such_revision")
    closing = [item for item in file.signatures if item.revision_size == after]
    wanted = {one.signed_in for one in group} - {""}
    if any(item.kind != "signature" or not wanted <= {item.field} for item in closing):
        raise _FaultError("signed_by_another")
    edited = {
        name
        for found in file.differences.values()
        for revision, name in found.edits
        if revision == number + 1
    }
    if edited != {one.field for one in group}:
        raise _FaultError("other_fields")
    return _Place(number, after)


def _require_filled(file: Examined, place: _Place, edit: RecordedEdit) -> None:
    old, new = (
        file.reader.get_historical_resolver(place.before),
        file.reader.get_historical_resolver(place.before + 1),
    )
    references = [form_fill.field_reference(one, edit.field) for one in (old, new)]
    if None in references or references[0].idnum != references[1].idnum:
        raise _FaultError("no_such_field")
    was, is_now = (reference.get_object() for reference in references)
    kept = [
        {key: repr(dict.__getitem__(one, key)) for key in one if key not in _FREE}
        for one in (was, is_now)
    ]
    if kept[0] != kept[1]:
        raise _FaultError("more_than_the_value")
    if (form_fill.text_of(was), form_fill.text_of(is_now)) != (edit.old, edit.new):
        raise _FaultError("other_value")
    size = form_fill.size_of(is_now)
    try:
        form_fill.require_value(edit.new, width=size[0])
    except InputError as exc:
        raise _FaultError("value_not_shown") from exc
    _require_look(is_now, new, text=edit.new, size=size)


def _require_look(field: Any, resolver: Any, *, text: str, size: tuple[int, int]) -> None:
    """The picture is the one that this value has: content, box and font."""
    looks = field["/AP"] if "/AP" in field else {}  # noqa: SIM401 - .get would keep references
    look = looks["/N"] if set(looks) == {"/N"} else None
    if look is None or bytes(getattr(look, "data", b"")) != form_fill.look_of(text, size=size):
        raise _FaultError("other_picture")
    entries = {
        str(key): form_fill.plain(dict.__getitem__(look, key))
        for key in look
        if key not in {"/Length", "/Filter", "/DecodeParms"}
    }
    resources = {"/Font": {form_fill.FONT_NAME: dict(form_fill.FONT)}}
    if entries != {**form_fill.look_entries(size), "/Resources": resources}:
        raise _FaultError("other_picture")
    if form_fill.font_of(resolver) is None:
        raise _FaultError("other_picture")
