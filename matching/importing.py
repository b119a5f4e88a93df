"""Read the four files of a data set row by row: understood, defaulted or refused, and never lost.

Pure: bytes in, result out. A file that cannot be read as a table at all is an `InputError` with the line; a row
that cannot be used is refused with a code and stays in the result. The result always holds exactly one line per
row of each file; `read_dataset` asserts it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib import resources
from typing import Final, TypeAlias

from ledger.core.errors import InputError, LimitError
from matching.catalogue import Catalogue, to_day
from matching.importing_rows import (
    CapacityRecord,
    HospitalRecord,
    LaneRecord,
    NeedRecord,
    Reading,
    Refused,
    read_capacity,
    read_hospital,
    read_lane,
    read_need,
)
from matching.policy import ImportPolicy

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
ROWS_MAX: Final = 50_000
"""Per file; a round takes 20 000 needs, the rest is room for refused rows."""
FIELD_CHARACTERS_MAX: Final = 2_000
KEY_CHARACTERS_MAX: Final = 40

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "hospitals.csv": (
        "hospital_id",
        "name",
        "city",
        "district",
        "adcode",
        "longitude",
        "latitude",
        "location_precision",
    ),
    "needs.csv": ("need_id", "hospital_id", "item", "specification", "quantity"),
    "factories.csv": (
        "factory_id",
        "name",
        "province",
        "city",
        "category",
        "product",
        "daily_capacity",
        "longitude",
        "latitude",
        "published_on",
    ),
    "carriers.csv": (
        "carrier_id",
        "name",
        "origin",
        "destination",
        "accepts_individual_donations",
        "published_on",
    ),
}
"""File -> columns that must be there, in any order; other columns are ignored."""

Record: TypeAlias = HospitalRecord | NeedRecord | CapacityRecord | LaneRecord


class RowStatus(StrEnum):
    """What became of a row."""

    UNDERSTOOD = "understood"
    DEFAULTED = "defaulted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row of one file.

    Attributes:
        line: line of the file on which the row ends, the header being line 1.
        key: the row's own id; factories add the product's position ("F002#2").
        codes: what was noticed, in the order found; for a refused row the last one is the reason.
        record: None for refused rows.
    """

    file: str
    line: int
    key: str
    status: RowStatus
    codes: tuple[str, ...]
    record: Record | None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was read."""

    name: str
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything an import found, in file order."""

    files: tuple[SourceFile, ...]
    results: tuple[RowResult, ...]
    as_of: date
    policy: str

    def counts(self) -> dict[str, dict[str, int]]:
        """File -> status -> rows. Every file's counts add up to its rows."""
        table = {file.name: dict.fromkeys((s.value for s in RowStatus), 0) for file in self.files}
        for result in self.results:
            table[result.file][result.status.value] += 1
        return table

    def hospitals(self) -> list[HospitalRecord]:
        """Accepted hospitals."""
        return [r.record for r in self.results if isinstance(r.record, HospitalRecord)]

    def needs(self) -> list[NeedRecord]:
        """Accepted needs."""
        return [r.record for r in self.results if isinstance(r.record, NeedRecord)]

    def capacities(self) -> list[CapacityRecord]:
        """Accepted capacity."""
        return [r.record for r in self.results if isinstance(r.record, CapacityRecord)]

    def lanes(self) -> list[LaneRecord]:
        """Accepted lanes."""
        return [r.record for r in self.results if isinstance(r.record, LaneRecord)]


def packaged_sample() -> dict[str, bytes]:
    """The invented sample that ships in the package, file name -> bytes."""
    folder = resources.files("matching") / "sample"
    return {name: (folder / name).read_bytes() for name in COLUMNS}


def read_dataset(
    files: Mapping[str, bytes], *, catalogue: Catalogue, policy: ImportPolicy, as_of: date | None
) -> Dataset:
    """Read hospitals, needs, factories and carriers.

    Args:
        files: the four names of `COLUMNS` -> bytes, UTF-8 with or without a byte-order mark.
        as_of: the day the data is read as of; None = the policy's reference date.

    Raises:
        InputError: `import.file_missing`, `import.encoding`, `import.malformed`, `import.column_missing`,
            each with `file` and, where it applies, `line`.
        LimitError: `import.too_large`, `import.too_many_rows`, `import.field_too_long`.
    """
    day = as_of or policy.reference_date
    missing = [name for name in COLUMNS if name not in files]
    if missing:
        raise InputError(
            f"the data set misses {missing[0]}", code="import.file_missing", file=missing[0]
        )
    tables = {name: _table(name, files[name]) for name in COLUMNS}
    results = [
        *_read_rows("hospitals.csv", tables["hospitals.csv"], _hospitals(policy)),
    ]
    hospitals = {
        result.record.key: result.record
        for result in results
        if isinstance(result.record, HospitalRecord)
    }

    def need(row: Mapping[str, str]) -> Reading:
        return read_need(
            row, hospitals=hospitals, catalogue=catalogue, policy=policy, day=to_day(day)
        )

    def capacity(row: Mapping[str, str]) -> Reading:
        return read_capacity(row, catalogue=catalogue, policy=policy, as_of=day)

    results += _read_rows("needs.csv", tables["needs.csv"], need)
    results += _read_rows("factories.csv", tables["factories.csv"], capacity)
    results += _read_rows(
        "carriers.csv", tables["carriers.csv"], lambda row: read_lane(row, policy=policy)
    )
    dataset = Dataset(
        files=tuple(
            SourceFile(name, hashlib.sha256(files[name]).hexdigest(), len(rows))
            for name, rows in tables.items()
        ),
        results=tuple(results),
        as_of=day,
        policy=policy.label(),
    )
    # No row is lost silently, whatever happened to it above.
    for file, counts in dataset.counts().items():
        assert sum(counts.values()) == len(tables[file]), f"{file} lost a row"
    return dataset


def _hospitals(policy: ImportPolicy) -> Callable[[Mapping[str, str]], Reading]:
    names: set[str] = set()

    def read(row: Mapping[str, str]) -> Reading:
        reading = read_hospital(row, policy=policy)
        codes = reading.codes
        if reading.record.name in names:
            # Often two campuses; kept, and said.
            codes = (*codes, "hospital.duplicate_name")
        names.add(reading.record.name)
        return Reading(reading.key, codes, reading.record, defaulted=reading.defaulted)

    return read


def _read_rows(
    file: str,
    rows: list[tuple[int, Mapping[str, str] | None]],
    read: Callable[[Mapping[str, str]], Reading],
) -> list[RowResult]:
    results: list[RowResult] = []
    seen: set[str] = set()
    bodies: set[tuple[str, ...]] = set()
    positions: dict[str, int] = {}
    id_column = COLUMNS[file][0]
    for line, row in rows:
        if row is None:
            results.append(RowResult(file, line, "", RowStatus.REFUSED, ("row.columns",), None))
            continue
        key = row[id_column].strip()
        if not key or len(key) > KEY_CHARACTERS_MAX:
            results.append(
                RowResult(file, line, "", RowStatus.REFUSED, ("row.id_malformed",), None)
            )
            continue
        body = tuple(row.values())
        if body in bodies or (key in seen and file != "factories.csv"):
            results.append(
                RowResult(file, line, key, RowStatus.REFUSED, ("row.duplicate_id",), None)
            )
            continue
        bodies.add(body)
        seen.add(key)
        if file == "factories.csv":
            # One factory has a row for each product; its products are numbered in file order.
            positions[key] = positions.get(key, 0) + 1
            key = f"{key}#{positions[key]}"
        try:
            reading = read({**row, id_column: key})
        except Refused as fault:
            results.append(RowResult(file, line, key, RowStatus.REFUSED, fault.codes, None))
            continue
        status = RowStatus.DEFAULTED if reading.defaulted else RowStatus.UNDERSTOOD
        results.append(RowResult(file, line, key, status, reading.codes, reading.record))
    return results


def _table(name: str, data: bytes) -> list[tuple[int, Mapping[str, str] | None]]:
    """(line, row) of every record after the header; None for a row with too few or too many fields."""
    if len(data) > FILE_BYTES_MAX:
        raise LimitError(
            f"{name} is larger than {FILE_BYTES_MAX} bytes",
            code="import.too_large",
            file=name,
            limit=FILE_BYTES_MAX,
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise InputError(
            f"{name}, line {line}: not UTF-8", code="import.encoding", file=name, line=line
        ) from exc
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise InputError(
            f"{name}, line {line}: a zero byte", code="import.malformed", file=name, line=line
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, Mapping[str, str] | None]] = []
    try:
        header = [column.strip() for column in next(reader, [])]
        for column in COLUMNS[name]:
            if header.count(column) != 1:
                raise InputError(
                    f"{name}, line 1: column {column} is missing or doubled",
                    code="import.column_missing",
                    file=name,
                    line=1,
                    column=column,
                )
        for record in reader:
            if len(rows) == ROWS_MAX:
                raise LimitError(
                    f"{name} has more than {ROWS_MAX} rows",
                    code="import.too_many_rows",
                    file=name,
                    limit=ROWS_MAX,
                )
            if any(len(value) > FIELD_CHARACTERS_MAX for value in record):
                raise LimitError(
                    f"{name}, line {reader.line_num}: a field is longer than "
                    f"{FIELD_CHARACTERS_MAX} characters",
                    code="import.field_too_long",
                    file=name,
                    line=reader.line_num,
                )
            fits = len(record) == len(header)
            row = dict(zip(header, record, strict=True)) if fits else None
            rows.append((reader.line_num, row))
    except csv.Error as exc:
        raise InputError(
            f"{name}, line {reader.line_num}: not a table of comma-separated values",
            code="import.malformed",
            file=name,
            line=reader.line_num,
        ) from exc
    return rows
