"""A file of offers or needs, sent by the organisation itself: all of its lines are stored, or none.

The id of a line's record follows from the organisation and the line's key. The same file again stores nothing
anew; a corrected file stores what is new in it, and a key that now says something else is refused by name.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.csv_text import csv_text
from api.flows.supply import (
    NewNeed,
    NewOffer,
    post_need,
    post_offer,
    withdraw_need,
    withdraw_offer,
)
from api.ports import Ports
from ledger.core.errors import FuqiError, InputError, LimitError, NotFoundError
from ledger.core.ids import derived_id
from ledger.queries import supply_limits as queries
from ledger.tables.supply import NeedRow, OfferRow, SupplyFileLineRow, SupplyFileRow

FILE_BYTES_MAX: Final = 512 * 1024
LINES_MAX: Final = 500
"""Lines of one transaction: short enough that other writers do not wait."""
CELL_CHARACTERS_MAX: Final = 12_000
KEY_CHARACTERS_MAX: Final = 40
KEY: Final = "key"
COMMENT: Final = "#"
KINDS: Final = ("offers", "needs")
PREFIXES: Final[Mapping[str, str]] = {"offers": "offer", "needs": "need"}
KEYED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Ids of keyed lines carry this time: they must not depend on when the file came."""

New: TypeAlias = NewOffer | NewNeed


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong with a line.

    Attributes:
        line: of the file, the header being line 1.
        column: None where it is about the whole line.
        code: stable; `detail` says the same in English.
    """

    line: int
    column: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a file: its record, or the faults for which nothing was stored."""

    row: SupplyFileRow | None
    faults: tuple[FileFault, ...]
    lines: int


def read_lines(
    data: bytes, *, columns: Sequence[str], required: Sequence[str], names: Mapping[str, str]
) -> list[tuple[int, dict[str, str]]]:
    """(line, column -> text) of every line that is no comment; columns that are not there are empty.

    Args:
        names: other names of columns, as the Chinese template writes them.

    UTF-8 with or without a mark, or GB 18030, in which spreadsheets in China save.

    Raises:
        InputError: `supply_file.encoding`, `supply_file.malformed`, `supply_file.column_missing`,
            `supply_file.column_unknown`, `supply_file.empty`.
        LimitError: `supply_file.too_many`, `supply_file.cell_too_long`.
    """
    reader = csv.reader(io.StringIO(_text(data), newline=""), strict=True)
    found: list[tuple[int, dict[str, str]]] = []
    try:
        header = [names.get(cell.strip(), cell.strip()) for cell in next(reader, [])]
        _require_header(header, columns=columns, required=required)
        for record in reader:
            if not any(cell.strip() for cell in record) or record[0].startswith(COMMENT):
                continue
            if len(record) != len(header):
                raise InputError(
                    f"line {reader.line_num} has {len(record)} fields and the header {len(header)}",
                    code="supply_file.malformed",
                    line=reader.line_num,
                )
            if any(len(cell) > CELL_CHARACTERS_MAX for cell in record):
                raise LimitError(
                    f"line {reader.line_num} has a field of more than {CELL_CHARACTERS_MAX} characters",
                    code="supply_file.cell_too_long",
                    line=reader.line_num,
                )
            if len(found) == LINES_MAX:
                raise LimitError(
                    f"a file takes at most {LINES_MAX} lines: send the rest in another",
                    code="supply_file.too_many",
                    limit=LINES_MAX,
                )
            cells = dict.fromkeys(columns, "") | dict(zip(header, record, strict=True))
            found.append((reader.line_num, cells))
    except csv.Error as exc:
        raise InputError(
            f"line {reader.line_num}: not a table of comma-separated values",
            code="supply_file.malformed",
            line=reader.line_num,
        ) from exc
    if not found:
        raise InputError("the file has no line to store", code="supply_file.empty")
    return found


def line_id(caller: Caller, kind: str, key: str) -> str:
    """Id of the record that the line with this key makes for the caller's organisation."""
    seed = f"{require_organisation(caller)}|{kind}|{key}"
    return derived_id(PREFIXES[kind], at=KEYED_AT, seed=seed)


def key_faults(lines: Sequence[tuple[int, Mapping[str, str]]]) -> list[FileFault]:
    """Keys that are missing, too long or doubled."""
    faults: list[FileFault] = []
    seen: set[str] = set()
    for line, cells in lines:
        key = cells[KEY].strip()
        if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
            code, detail = "supply_file.key", f"a key of 1 to {KEY_CHARACTERS_MAX} characters"
            faults.append(FileFault(line, KEY, code, detail))
        elif key in seen:
            code, detail = "supply_file.key_doubled", "another line has this key"
            faults.append(FileFault(line, KEY, code, detail))
        seen.add(key)
    return faults


def send_file(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    kind: str,
    data: bytes,
    read: Callable[[Session], tuple[Sequence[tuple[int, New]], Sequence[FileFault]]],
    check: bool,
    at: datetime,
) -> Sent:
    """Store every line, or say of each faulty one why not and store nothing.

    Args:
        read: the lines as requests, and the faults found while reading them.
        check: only try.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
    """
    require_role(caller, Role.HANDLER)
    organisation = require_organisation(caller)
    sha256 = hashlib.sha256(kind.encode() + b"\0" + data).hexdigest()
    file_id = derived_id("sfl", at=KEYED_AT, seed=f"{organisation}|{sha256}")
    existing = session.get(SupplyFileRow, file_id)
    if existing is not None:
        return Sent(existing, (), existing.lines)
    requests, found = read(session)
    faults = list(found)
    step = session.begin_nested()
    made: list[tuple[int, str]] = []
    for line, new in requests:
        try:
            # A refusal undoes its own line only, so that the other faults are found too.
            with session.begin_nested():
                subject = _post(session, ports, caller, new, at=at).id
            made.append((line, subject))
        except FuqiError as error:
            field = error.context.get("field")
            column = field if isinstance(field, str) else None
            faults.append(FileFault(line, column, error.error_code, str(error)))
    if faults or check:
        step.rollback()
        faults.sort(key=lambda fault: (fault.line, fault.column or ""))
        return Sent(None, tuple(faults), len(made))
    row = SupplyFileRow(
        id=file_id,
        organisation_id=organisation,
        kind=kind,
        sha256=sha256,
        lines=len(made),
        created_by=caller.account_id,
        created_at=at,
        withdrawn_at=None,
    )
    session.add(row)
    session.flush()
    session.add_all(
        SupplyFileLineRow(file_id=file_id, line=line, subject_id=made_id) for line, made_id in made
    )
    step.commit()
    return Sent(row, (), len(made))


def withdraw_file(
    session: Session, ports: Ports, caller: Caller, *, file_id: str, reason: str, at: datetime
) -> SupplyFileRow:
    """Withdraw whatever of this file is still open; again is harmless. What is allocated stays.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `round.in_progress`.
    """
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(SupplyFileRow, file_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, row.organisation_id)
    if row.withdrawn_at is None:
        for line in queries.file_lines(session, file_id):
            if row.kind == "needs":
                withdraw_need(session, ports, caller, need_id=line.subject_id, reason=reason, at=at)
            else:
                withdraw_offer(
                    session, ports, caller, offer_id=line.subject_id, reason=reason, at=at
                )
        row.withdrawn_at = at
    return row


def _post(
    session: Session, ports: Ports, caller: Caller, new: New, *, at: datetime
) -> NeedRow | OfferRow:
    if isinstance(new, NewNeed):
        return post_need(session, ports, caller, new, at=at)
    return post_offer(session, ports, caller, new, at=at)


def _text(data: bytes) -> str:
    text = csv_text(data)
    if text is None:
        raise InputError(
            "the file is neither UTF-8 nor GB 18030: save it as CSV", code="supply_file.encoding"
        )
    return text


def _require_header(
    header: Sequence[str], *, columns: Sequence[str], required: Sequence[str]
) -> None:
    for column in required:
        if header.count(column) != 1:
            raise InputError(
                f"line 1: column {column} is missing or doubled",
                code="supply_file.column_missing",
                column=column,
            )
    for column in header:
        if column not in columns or header.count(column) > 1:
            # A misspelt limit that was ignored would be a limit that nobody keeps.
            raise InputError(
                "line 1 has a column that is unknown or doubled: take the template's names",
                code="supply_file.column_unknown",
                number=header.index(column) + 1,
            )
