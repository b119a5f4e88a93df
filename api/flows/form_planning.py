"""Which signer may fill which form field: what the author says at publication, put into the file and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ledger.core.canonical import Json
from ledger.core.errors import InputError, LimitError
from ledger.tables.agreements import AgreementRow
from ledger.tables.form_fields import FormFieldRow
from signing import agreement as rules
from signing.annexes import NAME_CHARS_MAX, plain
from signing.field_kinds import Kind, Shape
from signing.form_fields import form_fields, open_fields
from signing.form_fill import FIELDS_MAX, TextFieldSpec, place_text_fields
from signing.placement import Anchor, Spot, place_boxes


@dataclass(frozen=True, slots=True)
class FillSpec:
    """A field that one signer may fill.

    Attributes:
        name: of a field in the file, or of the new one that is put at `place`.
        signer: which, from 1, in the order of the agreement's list.
        label: what is asked for, in words.
        required: whether they cannot sign without it; a check box has to be ticked.
    """

    name: str
    signer: int
    label: str
    required: bool = True
    place: Anchor | Spot | None = None


def with_fields(data: bytes, specs: Sequence[FillSpec]) -> bytes:
    """The unsigned document with every planned field in it, ready to be filled.

    Raises:
        InputError: `form.field_invalid`, `form.field_closed`, `placement.*`.
        LimitError: `form.too_many`.  NotFoundError: `form.field_unknown`.  ConflictError: `pdf.field_exists`.
    """
    if not specs:
        return data
    if len(specs) > FIELDS_MAX:
        raise LimitError(
            f"at most {FIELDS_MAX} fields are left to signers",
            code="form.too_many",
            limit=FIELDS_MAX,
        )
    if len({one.name for one in specs}) != len(specs):
        raise InputError("a field is named twice", code="form.field_invalid")
    new = [one for one in specs if one.place is not None]
    data = open_fields(data, [one.name for one in specs if one.place is None])
    if not new:
        return data
    boxes = place_boxes(data, [one.place for one in new if one.place is not None])
    made = place_text_fields(
        data,
        [
            TextFieldSpec(one.name, box.page, box.x, box.y, box.width, box.height)
            for one, box in zip(new, boxes, strict=True)
        ],
    )
    closed = {one.name: one.fault for one in form_fields(made) if one.fault}
    for one in new:
        if one.name in closed:
            raise InputError(
                "a field cannot be put there",
                code="form.field_closed",
                field=one.name,
                reason=closed[one.name],
            )
    return made


def fillers(specs: Sequence[FillSpec], places: Sequence[rules.Signer]) -> dict[str, str]:
    """Form field -> signature field of the one who may fill it.

    Raises:
        InputError: `form.filler`, `form.label`.
    """
    for number, one in enumerate(specs, start=1):
        place = places[one.signer - 1] if 1 <= one.signer <= len(places) else None
        if place is None or place.act is not rules.Act.SIGN:
            raise InputError(
                "a field is filled by a signer of the list", code="form.filler", field=one.name
            )
        if not 0 < len(plain(one.label)) <= NAME_CHARS_MAX:
            raise InputError(
                f"say in 1 to {NAME_CHARS_MAX} characters what field {number} asks for",
                code="form.label",
                field=one.name,
            )
    return {one.name: places[one.signer - 1].field for one in specs}


def plan(
    session: Session,
    row: AgreementRow,
    document: bytes,
    specs: Sequence[FillSpec],
    places: Sequence[rules.Signer],
) -> list[FormFieldRow]:
    """Fix, at publication, who may fill what; the caller records it (`agreement.annexed`)."""
    if not specs:
        return []
    found = {one.name: one for one in form_fields(document)}
    rows = [
        FormFieldRow(
            agreement_id=row.id,
            number=number,
            name=one.name,
            field=places[one.signer - 1].field,
            label=plain(one.label),
            required=one.required,
            page=found[one.name].page + 1,
            width=found[one.name].width,
            kind=found[one.name].kind,
            height=found[one.name].height,
            options=json.dumps(found[one.name].options, ensure_ascii=False),
            preset=found[one.name].value,
        )
        for number, one in enumerate(specs, start=1)
    ]
    session.add_all(rows)
    return rows


def plan_facts(rows: Sequence[FormFieldRow]) -> list[Json]:
    """The plan as `agreement.annexed` fixes it; a field of one line of text names no kind, as before."""
    return [
        {
            "name": one.name,
            "field": one.field,
            "label": one.label,
            "required": one.required,
            "page": one.page,
            "preset": one.preset,
            **({} if one.kind == Kind.TEXT else {"kind": one.kind}),
        }
        for one in rows
    ]


def shape_of_row(row: FormFieldRow) -> Shape:
    """By it a value of a planned field is judged."""
    return Shape(Kind(row.kind), row.width, row.height, tuple(json.loads(row.options)))
