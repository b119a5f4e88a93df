"""What the forms of an agreement take beside its parties: amount, approval, clauses, files, reading time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import File, Form, UploadFile
from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows import annexes
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.form_planning import FillSpec
from api.ports import Ports
from api.routes.agreements import read_upload
from api.web.forms import FormReader
from ledger.core.ids import new_id
from signing.annexes import ATTACHMENTS_MAX, CLAUSES_MAX, ClauseKind
from signing.edge_plan import EdgeChoice

CLAUSE_ROWS: Final = 6
"""Rows of the form; more clauses come through the API."""
READ_SECONDS_MAX: Final = 3_600
EXTRA_FIELDS: Final = {
    "clause.": "clauses",
    "attachment.": "attachments",
    "upload.demand": "ask",
    "agreement.read_seconds": "read_seconds",
    "agreement.amount": "amount",
}
NO_EXTRAS: Final = {
    "clauses": "[]",
    "attached": "",
    "ask": "",
    "read_seconds": "0",
    "fillable": "[]",
    "amount": "",
    "no_amount": "",
    "approver": "",
    "edges": EdgeChoice.AUTO.value,
}
YUAN: Final = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,2}))?")
Rows = Annotated[list[str], Form(max_length=CLAUSES_MAX)]


def extras_of(
    clause_kind: Rows = [],  # noqa: B006 - FastAPI copies it
    clause_text: Rows = [],  # noqa: B006
    clause_note: Rows = [],  # noqa: B006
    attached: Annotated[str, Form(max_length=4_000)] = "",
    ask: Annotated[str, Form(max_length=400)] = "",
    read_seconds: Annotated[str, Form(max_length=8)] = "0",
    amount: Annotated[str, Form(max_length=24)] = "",
    no_amount: Annotated[str, Form(max_length=3)] = "",
    approver: Annotated[str, Form(max_length=64)] = "",
    edges: Annotated[str, Form(max_length=8)] = EdgeChoice.AUTO.value,
) -> dict[str, str]:
    """The extras as typed, as strings like every value of a form."""
    rows = [
        [kind, text, note]
        for kind, text, note in zip(clause_kind, clause_text, clause_note, strict=False)
        if text.strip()
    ]
    return {
        "clauses": json.dumps(rows, ensure_ascii=False),
        "attached": attached,
        "ask": ask,
        "read_seconds": read_seconds,
        "amount": amount,
        "no_amount": no_amount,
        "approver": approver,
        "edges": edges,
    }


Attachments = Annotated[list[UploadFile], File(max_length=ATTACHMENTS_MAX)]


def keep_files(
    session: Session,
    ports: Ports,
    caller: Caller,
    files: Sequence[UploadFile],
    *,
    kept: str,
    at: datetime,
) -> str:
    """Store what was chosen in the form; the ids of all that is to be attached, separated by commas.

    Raises:
        InputError, LimitError: `attachment.*`, `pdf.*`.
    """
    ids = [one for one in kept.split(",") if one]
    for file in files:
        if file.filename:
            row = annexes.keep_file(
                session,
                ports,
                caller,
                new_id("att", at=at),
                name=file.filename,
                data=read_upload(file, bytes_max=annexes.FILE_BYTES_MAX),
                at=at,
            )
            ids.append(row.id)
    return ",".join(ids)


def with_extras(
    reader: FormReader, new: NewAgreement, *, own: int = 0, other: int = 1
) -> NewAgreement | None:
    """The agreement with what was typed beside; None with the faults in `reader`.

    Args:
        own, other: where the author's side and the other side stand in `new.signers`, from 0.
    """
    values = {**NO_EXTRAS, **reader.values}
    seconds = values["read_seconds"].strip() or "0"
    if not seconds.isascii() or not seconds.isdigit() or int(seconds) > READ_SECONDS_MAX:
        reader.fault("read_seconds", "agreement.read_seconds", f"0 to {READ_SECONDS_MAX} seconds")
        return None
    amount = _fen(reader, values["amount"])
    none = values["no_amount"] == "yes"
    if values["amount"].strip() and none:
        reader.fault("amount", "agreement.amount_twice", "an amount, or that there is none")
    elif not values["amount"].strip() and not none:
        reader.fault("amount", "agreement.amount_unstated", "state it, or that there is none")
    if values["edges"] not in [one.value for one in EdgeChoice]:
        reader.fault("edges", "form.choice", "auto, right, left or none")
    if reader.faults:
        return None
    asked = [line.strip() for line in values["ask"].splitlines() if line.strip()]
    return replace(
        new,
        signers=_with_approver(new.signers, values["approver"], own=own),
        amount_minor=amount,
        no_amount=none,
        clauses=tuple(
            annexes.ClauseSpec(kind, text, note)
            for kind, text, note in json.loads(values["clauses"])
        ),
        attachments=tuple(one for one in values["attached"].split(",") if one),
        # The form asks the other side only.
        demands=tuple(annexes.DemandSpec(other + 1, label) for label in asked),
        read_seconds_min=int(seconds),
        # Chosen on a page of its own, once the file is there (`api.routes.form_fields`).
        fillable=tuple(FillSpec(**one) for one in json.loads(values["fillable"])),
        edges=values["edges"],
    )


def _with_approver(
    signers: tuple[SignerSpec, ...], person_id: str, *, own: int
) -> tuple[SignerSpec, ...]:
    """The signers behind an approval of the author's own side, where one was chosen.

    The approver stands last in the list, so that nobody's number changes, and first in the order.
    """
    if not person_id:
        return signers
    first = SignerSpec(signers[own].organisation_id, person_id, signers[own].role, 1, "approve")
    return (*(replace(one, stage=number) for number, one in enumerate(signers, start=2)), first)


def _fen(reader: FormReader, typed: str) -> int | None:
    """Yuan with up to two places as fen; None where nothing was typed, or with a fault."""
    text = typed.strip().replace(",", "").replace("，", "")
    if not text:
        return None
    found = YUAN.fullmatch(text)
    if found is None:
        reader.fault("amount", "form.amount", "yuan, for example 12500.00")
        return None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def clause_rows(values: dict[str, str]) -> list[list[str]]:
    """Rows to show: those typed, and empty ones behind them."""
    typed: list[list[str]] = json.loads(values.get("clauses", "[]"))
    empty = [ClauseKind.LIMITS_LIABILITY.value, "", ""]
    return typed + [empty] * max(0, CLAUSE_ROWS - len(typed))
