"""Bulk sending (批量发起): one agreement from a template for each row of a CSV file, with a report per row.

The first line names the columns: `who` (the counterpart's handler, by login or party id), `title` and
`amount_minor` (both optional where the order says what goes for all), and any field of the template by its
dotted path, such as `party_b.address` or `items.0.name`; `:int` behind a path makes its values integers
(`items.0.quantity:int`). What is the same in every row stands once in the order: fields of the template in
`data`, clauses to point out, files to ask for. Each row is a transaction of its own and its agreement's id
follows from the order's id and the row's number: sending the same file again finishes what was left and
doubles nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import NewAgreement, SignerSpec, create_from_template
from api.flows.annexes import ClauseSpec, DemandSpec
from api.flows.csv_text import csv_text
from api.ports import Ports
from api.views.people import Signatory, find_signatory, newest_authorisation
from ledger.core.canonical import Json
from ledger.core.errors import ForbiddenError, FuqiError, InputError, LimitError
from ledger.core.ids import derived_id, id_time, require_id
from ledger.queries import parties as party_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow

ROWS_MAX: Final = 2_000
SLICE_MAX: Final = 50
"""Rows of one call: about ten seconds, so that a page can show how far it is."""
COLUMNS_MAX: Final = 200
CELL_CHARACTERS_MAX: Final = 2_000
LIST_MAX: Final = 500
"""As many lines as a template's table may have."""
INTEGER_DIGITS_MAX: Final = 18
_OWN: Final = frozenset({"who", "title", "amount_minor"})
_PATH: Final = re.compile(r"[a-z][a-z0-9_]*(\.([a-z][a-z0-9_]*|0|[1-9][0-9]{0,2})){0,4}(:int)?")
ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "donation": ("donor", "recipient"),
    "manufacturing": ("principal", "contractor"),
}
"""Template -> role of party A and of party B."""


EXAMPLE: Final[tuple[tuple[str, str], ...]] = (
    ("who", "handler-login"),
    ("title", "医用外科口罩捐赠协议（虚构）"),
    ("amount_minor", "500000"),
    ("agreement_no", "INVENTED-2026-001"),
    ("place", "湖北省武汉市"),
    *(
        (f"{party}.{key}", value)
        for party, uscc in (("party_a", "91420100MA4KXXXX1F"), ("party_b", "12420000XXXXXXXX1K"))
        for key, value in (
            ("uscc", uscc),
            ("address", "虚构市虚构路1号"),
            ("legal_representative", "张三（虚构）"),
            ("phone", "027-00000000"),
            ("email", "contracts@example.invalid"),
            ("system", "fuqi"),
        )
    ),
    ("items.0.name", "医用外科口罩"),
    ("items.0.model", "17.5 cm x 9.5 cm"),
    ("items.0.standard", "YY 0469"),
    ("items.0.edition", "2011"),
    ("items.0.lot", "INVENTED-1"),
    ("items.0.expiry", "2027-10-31"),
    ("items.0.quantity:int", "20000"),
    ("items.0.unit", "只"),
    ("delivery.deadline", "2026-12-20"),
    ("delivery.place", "虚构医院仓库"),
    ("delivery.consignee", "李四（虚构）"),
    ("purpose", "用于本院一线医疗救治"),
    ("arbitration.institution", "虚构仲裁委员会"),
    ("arbitration.seat", "武汉市"),
    ("preservation.system", "fuqi"),
    ("preservation.chain", "Ethereum-compatible"),
    ("preservation.years:int", "10"),
)
"""Every column of the donation template, with an invented value; a test renders it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is the same in every row.

    Attributes:
        id: `blk_…`, made by the caller and kept when the file is sent again.
        own_party: `party_a` or `party_b`: on which side of the template the sender stands.
        data: fields of the template; a row's columns come on top.
        no_amount: rows without `amount_minor` are about no amount of money, as the sender states.
        point_out, clauses, ask, read_seconds_min, place_of_formation: as of one agreement; `ask` names files
            that the other side is asked for.
    """

    id: str
    template: str
    own_party: str
    title: str
    matter: str
    expires_at: datetime
    data: Mapping[str, Json]
    no_amount: bool = False
    point_out: bool = False
    clauses: tuple[ClauseSpec, ...] = ()
    ask: tuple[str, ...] = ()
    read_seconds_min: int = 0
    place_of_formation: str | None = None


@dataclass(frozen=True, slots=True)
class RowReport:
    """What became of one row.

    Attributes:
        number: from 1, as a spreadsheet counts the rows below the heading.
        outcome: `sent`, `sent_before`, `would_send` (checked only) or `refused`.
        code, field, message: why it was refused.
    """

    number: int
    outcome: str
    agreement_id: str
    code: str = ""
    field: str = ""
    message: str = ""


def example() -> bytes:
    """`EXAMPLE` as a file that spreadsheets open as UTF-8."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(zip(*EXAMPLE, strict=True))
    return b"\xef\xbb\xbf" + buffer.getvalue().encode()


def read_rows(data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file in UTF-8 (with or without a mark at its start) or GB 18030.

    Raises:
        InputError: `bulk.encoding`, `bulk.columns` (`context["column"]`), `bulk.row` (`context["row"]`).
        LimitError: `bulk.rows`.
    """
    text = csv_text(data)
    if text is None:
        raise InputError(
            "the file is neither UTF-8 nor GB 18030: save it as CSV", code="bulk.encoding"
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = [name.strip() for name in next(reader, [])]
        _require_columns(heading)
        rows: list[dict[str, str]] = []
        for number, cells in enumerate(reader, start=1):
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) == ROWS_MAX:
                raise LimitError(f"at most {ROWS_MAX} rows in one file", code="bulk.rows")
            too_long = any(len(cell) > CELL_CHARACTERS_MAX for cell in cells)
            if len(cells) != len(heading) or too_long:
                raise InputError(
                    f"row {number} has not one value of at most {CELL_CHARACTERS_MAX} characters "
                    "for each column",
                    code="bulk.row",
                    row=number,
                )
            rows.append(dict(zip(heading, (cell.strip() for cell in cells), strict=True)))
    except csv.Error as exc:
        raise InputError("this is no CSV file", code="bulk.columns") from exc
    if not rows:
        raise InputError("the file holds no row below its heading", code="bulk.columns")
    return rows


def send_rows(
    ports: Ports,
    caller: Caller,
    order: Order,
    rows: Sequence[Mapping[str, str]],
    *,
    first: int,
    count: int,
    check: bool,
    at: datetime,
) -> list[RowReport]:
    """Send (or, with `check`, only try) the rows `first` to `first + count - 1`, each for itself.

    A refused row is reported and the next one goes on.

    Raises:
        InputError: `id.malformed`, `bulk.template`.  LimitError: `bulk.slice`.
        ForbiddenError: `auth.role` for a caller who is no person.
    """
    require_id(order.id, prefix="blk")
    require_organisation(caller)
    if caller.person_id is None:
        raise ForbiddenError("agreements are sent by a person", code="auth.role")
    if order.template not in ROLES or order.own_party not in ("party_a", "party_b"):
        raise InputError(
            "name a template and on which side you stand (party_a or party_b)",
            code="bulk.template",
        )
    if not 1 <= count <= SLICE_MAX or first < 1:
        raise LimitError(f"send at most {SLICE_MAX} rows at a time", code="bulk.slice")
    return [
        _one(ports, caller, order, row, number=number, check=check, at=at)
        for number, row in enumerate(rows, start=1)
        if first <= number < first + count
    ]


def _one(
    ports: Ports,
    caller: Caller,
    order: Order,
    row: Mapping[str, str],
    *,
    number: int,
    check: bool,
    at: datetime,
) -> RowReport:
    agreement_id = derived_id("agr", at=id_time(order.id), seed=f"{order.id}/{number}")
    try:
        with transaction(ports.sessions) as session:
            before = session.get(AgreementRow, agreement_id) is not None
            new, data = _agreement(session, caller, order, row, agreement_id=agreement_id)
            create_from_template(
                session, ports, caller, new, template=order.template, data=data, at=at
            )
            if check:
                session.rollback()
    except FuqiError as exc:
        return RowReport(
            number=number,
            outcome="refused",
            agreement_id=agreement_id,
            code=exc.error_code,
            field=str(exc.context.get("field", "")),
            message=exc.message,
        )
    outcome = "sent_before" if before else "would_send" if check else "sent"
    return RowReport(number=number, outcome=outcome, agreement_id=agreement_id)


def _agreement(
    session: Session,
    caller: Caller,
    order: Order,
    row: Mapping[str, str],
    *,
    agreement_id: str,
) -> tuple[NewAgreement, dict[str, Json]]:
    other = find_signatory(session, row["who"], field="who")
    assert caller.person_id is not None
    people = party_queries.parties_by_ids(session, [require_organisation(caller), caller.person_id])
    own = Signatory(
        organisation=people[require_organisation(caller)],
        person=people[caller.person_id],
        login="",
    )
    data: Any = deepcopy(dict(order.data))
    for column, cell in row.items():
        if column not in _OWN and cell:
            _put(data, column, cell)
    sides = (own, other) if order.own_party == "party_a" else (other, own)
    for key, one in zip(("party_a", "party_b"), sides, strict=True):
        _fill(session, data, key, one)
    amount = row.get("amount_minor", "")
    new = NewAgreement(
        id=agreement_id,
        title=row.get("title") or order.title,
        matter=order.matter,
        signers=tuple(
            SignerSpec(one.organisation.id, one.person.id, role)
            for one, role in zip(sides, ROLES[order.template], strict=True)
        ),
        expires_at=order.expires_at,
        amount_minor=_integer(amount, "amount_minor") if amount else None,
        no_amount=order.no_amount and not amount,
        point_out=order.point_out,
        clauses=order.clauses,
        demands=tuple(
            DemandSpec(2 if order.own_party == "party_a" else 1, label) for label in order.ask
        ),
        read_seconds_min=order.read_seconds_min,
        place_of_formation=order.place_of_formation,
    )
    return new, data


def _fill(session: Session, data: dict[str, Any], key: str, one: Signatory) -> None:
    """Names and authority stand as registered, whatever the file says."""
    block = data.setdefault(key, {})
    if not isinstance(block, dict):
        raise InputError(f"{key} is not an object", code="template.field_type", field=key)
    held = newest_authorisation(session, one)
    block["name"] = one.organisation.name
    block["handler"] = one.person.name
    block["authorisation"] = "–" if held is None else held.id


def _put(data: Any, column: str, cell: str) -> None:
    """Set the value at a dotted path; a number is a place in a list, which grows by one at most."""
    path, _, kind = column.partition(":")
    value: Json = _integer(cell, path) if kind else cell
    steps = path.split(".")
    here = data
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        child: Any = value if after is None else [] if after.isdigit() else {}
        if isinstance(here, list) and step.isdigit():
            place = int(step)
            if place > len(here) or place >= LIST_MAX:
                raise InputError(
                    f"{path}: the lines before it are empty", code="bulk.path", field=path
                )
            if place == len(here):
                here.append(child)
            elif after is None:
                here[place] = child
            here = here[place]
        elif isinstance(here, dict) and not step.isdigit():
            here[step] = child if after is None else here.get(step, child)
            here = here[step]
        else:
            raise InputError(
                f"{path} does not fit the template's data", code="bulk.path", field=path
            )


def _integer(cell: str, field: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= INTEGER_DIGITS_MAX):
        raise InputError(f"{field} is not a whole number", code="bulk.integer", field=field)
    return int(cell)


def _require_columns(heading: Sequence[str]) -> None:
    wrong = next(
        (
            name
            for name in heading
            if heading.count(name) > 1 or (name not in _OWN and _PATH.fullmatch(name) is None)
        ),
        None,
    )
    if "who" not in heading or len(heading) > COLUMNS_MAX or wrong is not None:
        raise InputError(
            "the first line names the columns: who, title, amount_minor and fields of the template",
            code="bulk.columns",
            column=wrong or "who",
        )
