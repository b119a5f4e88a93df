"""Form fields that were filled after a signature: tampering, unless a recorded step explains the edit.

A record explains an edit only where the file holds exactly what `signing.form_fill` writes: one revision
right behind an earlier signature and right before the filler's, which changes the recorded fields and
nothing else, from the recorded value to the recorded one, with the one picture that this value has. A check box
has two, one for each state; both must be ours, and value and state one. That
DocMDP and every field lock permit it is asked as of every other change (`signing.differences`). What the first
signer filled was not signed by anybody before; its records are held against the file all the same.

Records may exist whose contents the verifier was not given. A fill of the one form that could be theirs is then
neither accepted nor tampering: the finding is indeterminate and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.core.errors import InputError
from ledger.core.report import Verdict
from signing import changes, deadline, field_kinds, form_fill
from signing.examined import Examined
from signing.field_kinds import Kind, Shape
from signing.reading import RecordedEdit

EDITS_MAX: Final = 200
"""Recorded edits of one file; four fields for each of fifty signers."""
REVISIONS_MAX: Final = 1_000
"""Ends of revisions whose digests are looked at."""
_FREE: Final = frozenset({"/V", "/AP"})
_FREE_OF_CHECKS: Final = frozenset({"/V", "/AS"})
"""A check box has its two pictures from the beginning: a fill changes its state alone."""
_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a filled revision stands: pyHanko's number of the one before, and the filler's end.

    Attributes:
        signed: whether a signature stands before it.
    """

    before: int
    end: int
    signed: bool = True


class _FaultError(Exception):
    """The record does not explain what stands in the file; its one argument is a stable word."""


def check_field_edits(file: Examined, edits: Sequence[RecordedEdit], *, closed: int = 0) -> None:
    """Add `pdf.field_edits` where steps are recorded, and note in `file` what they explain.

    Args:
        closed: how many more steps are recorded whose contents are not known here.
    """
    if not edits and not closed:
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
                _require_form_kept(file, place)
                for one in group:
                    _require_filled(file, place, one)
            except _FaultError as exc:
                fault = str(exc)
                break
            if place.signed:
                file.explained |= {(place.before + 1, one.field): place.end for one in group}
    if fault:
        file.explained.clear()
    elif closed and (unopened := _unopened(file, closed)):
        file.explained |= unopened
        file.add(
            "pdf.field_edits",
            _I,
            f"{len(unopened)} form fields were filled right before a signature, as a recorded step would;"
            " the record is closed here, so that its values cannot be compared",
            f"{len(unopened)} 个表单域在签名前被填写，形式与已记录的填写步骤一致；"
            "但该记录未披露，无法核对其内容",
            reason="record_closed",
            fields=len(unopened),
        )
        return
    elif not edits:
        return
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
    if after is None:
        # Behind the last signature nobody signed it.
        raise _FaultError("not_signed_for")
    closed = file.revisions.get(after)
    number = _base_of(file, before, closed=closed)
    if number is None or number < 0 or closed != number + 2:
        raise _FaultError("not_alone")
    start = int(file.reader.xrefs.get_startxref_for_revision(number + 1))
    if start != changes.start_before(file.data, end):
        raise _FaultError("no_such_revision")
    closing = [item for item in file.signatures if item.revision_size == after]
    wanted = {one.signed_in for one in group} - {""}
    if any(item.kind != "signature" or not wanted <= {item.field} for item in closing):
        raise _FaultError("signed_by_another")
    if before is None:
        # Nobody had signed yet: whatever else this revision changes, the first signature covers.
        return _Place(number, after, signed=False)
    if _edited(file).get(number + 1, set()) != {one.field for one in group}:
        raise _FaultError("other_fields")
    return _Place(number, after)


def _base_of(file: Examined, before: int | None, *, closed: int | None) -> int | None:
    """pyHanko's number of the revision that was filled."""
    if before is not None:
        return file.revisions.get(before)
    return None if closed is None else closed - 2


def _edited(file: Examined) -> dict[int, set[str]]:
    """pyHanko's number of a later revision -> form fields that it changed."""
    found: dict[int, set[str]] = {}
    for one in file.differences.values():
        for revision, name in one.edits:
            found.setdefault(revision, set()).add(name)
    return found


def _unopened(file: Examined, closed: int) -> dict[tuple[int, str], int]:
    """Fills that no opened record explains but that a closed one could; empty where any cannot be one."""
    signed = {item.field for item in file.signatures}
    ends = {number: end for end, number in file.revisions.items()}
    found: dict[tuple[int, str], int] = {}
    groups = {
        revision: {name for name in names if name not in signed}
        for revision, names in _edited(file).items()
    }
    left = {
        revision: names
        for revision, names in groups.items()
        if any((revision, name) not in file.explained for name in names)
    }
    if len(left) > closed:
        return {}
    for revision, names in left.items():
        deadline.check()
        if revision - 1 not in ends or revision + 1 not in ends:
            return {}
        place = _Place(revision - 1, ends[revision + 1])
        old, new = (
            file.reader.get_historical_resolver(number) for number in (revision - 1, revision)
        )
        try:
            _require_form_kept(file, place)
            for name in names:
                references = [form_fill.field_reference(one, name) for one in (old, new)]
                if None in references:
                    return {}
                was, is_now = (field_kinds.text_of(one.get_object()) for one in references)
                _require_filled(file, place, RecordedEdit(name, was, is_now, b""))
        except _FaultError:
            return {}
        found |= {(revision, name): place.end for name in names}
    return found


def _require_form_kept(file: Examined, place: _Place) -> None:
    """Behind a signature a fill leaves the form itself alone: what its fonts and defaults are, for one.

    pyHanko passes over changes of them, because programs make such; `form_fill` makes none.
    """
    if not place.signed:
        return
    forms = []
    for number in (place.before, place.before + 1):
        root = file.reader.get_historical_resolver(number).root
        form = root["/AcroForm"] if "/AcroForm" in root else {}  # noqa: SIM401 - see _require_looks
        forms.append(
            {key: form_fill.plain(dict.__getitem__(form, key)) for key in form if key != "/Fields"}
        )
    if forms[0] != forms[1]:
        raise _FaultError("more_than_the_value")


def _require_filled(file: Examined, place: _Place, edit: RecordedEdit) -> None:
    old, new = (
        file.reader.get_historical_resolver(place.before),
        file.reader.get_historical_resolver(place.before + 1),
    )
    references = [form_fill.field_reference(one, edit.field) for one in (old, new)]
    if None in references or references[0].idnum != references[1].idnum:
        raise _FaultError("no_such_field")
    was, is_now = (reference.get_object() for reference in references)
    shapes = [_shape_of(one) for one in (was, is_now)]
    shape = shapes[1]
    if shape is None or shapes[0] != shape:
        raise _FaultError("no_such_field" if shapes[0] is None else "more_than_the_value")
    free = _FREE_OF_CHECKS if shape.kind is Kind.CHECK else _FREE
    kept = [
        {key: repr(dict.__getitem__(one, key)) for key in one if key not in free}
        for one in (was, is_now)
    ]
    if kept[0] != kept[1]:
        raise _FaultError("more_than_the_value")
    if (field_kinds.text_of(was), field_kinds.text_of(is_now)) != (edit.old, edit.new):
        raise _FaultError("other_value")
    if not field_kinds.holds(is_now, edit.new, kind=shape.kind):
        raise _FaultError("other_value")
    try:
        field_kinds.require_value(edit.new, shape=shape)
    except InputError as exc:
        raise _FaultError("value_not_shown") from exc
    _require_looks(is_now, new, text=edit.new, shape=shape)


def _shape_of(field: Any) -> Shape | None:
    try:
        return field_kinds.shape_of(field)
    except Exception:  # noqa: BLE001 - a box of somebody else's making may hold anything; such a field is none of ours
        return None


def _require_looks(field: Any, resolver: Any, *, text: str, shape: Shape) -> None:
    """The pictures are those that this value has: content, box and font, and none beside them."""
    wanted = field_kinds.looks_of(text, shape=shape)
    held = field["/AP"] if "/AP" in field else {}  # noqa: SIM401 - .get would keep references
    look = held["/N"] if set(held) == {"/N"} else None
    if look is None:
        raise _FaultError("other_picture")
    if shape.kind is Kind.CHECK:
        # A stream would be one picture for every state.
        if hasattr(look, "data") or set(look) != set(wanted):
            raise _FaultError("other_picture")
        looks = {state: look[state] for state in wanted}
        resources: dict[str, Any] = {}
    else:
        looks = {"": look}
        resources = {"/Font": {field_kinds.FONT_NAME: dict(form_fill.FONT)}}
        if form_fill.font_of(resolver) is None:
            raise _FaultError("other_picture")
    for state, one in looks.items():
        if bytes(getattr(one, "data", b"")) != wanted[state]:
            raise _FaultError("other_picture")
        entries = {
            str(key): form_fill.plain(dict.__getitem__(one, key))
            for key in one
            if key not in {"/Length", "/Filter", "/DecodeParms"}
        }
        if entries != {**field_kinds.look_entries(shape), "/Resources": resources}:
            raise _FaultError("other_picture")
