"""Lines of a file of offers or needs, read as the forms read what people type."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.lanes import provinces
from api.flows.resources import OPEN_MAX
from api.flows.supply_files import (
    COMMENT,
    KEY,
    FileFault,
    New,
    key_faults,
    line_id,
    read_lines,
)
from api.flows.supply_names import hospitals_written
from api.routes.supply_reading import NeedForm, OfferForm, read_need, read_offer
from api.web.forms import FormReader
from ledger.core.errors import FuqiError
from ledger.queries import supply_limits as queries
from matching.catalogue import read_item
from matching.services import published_catalogue

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "offers": (KEY, *(name for name in OfferForm.model_fields if name != "attempt")),
    "needs": (KEY, *(name for name in NeedForm.model_fields if name != "attempt")),
}
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "offers": (
        KEY,
        "kind",
        "item",
        "quantity",
        "province",
        "city",
        "longitude",
        "latitude",
        "available_on",
    ),
    "needs": (KEY, "hospital_id", "item", "quantity", "urgency", "deadline_on"),
}
CHINESE: Final[Mapping[str, str]] = {
    KEY: "编号",
    "kind": "类型",
    "item": "物资",
    "quantity": "数量",
    "windows": "产能天数",
    "province": "省份",
    "city": "城市",
    "longitude": "经度",
    "latitude": "纬度",
    "available_on": "可发货日期",
    "produced_on": "生产日期",
    "expires_on": "有效期至",
    "batch_number": "批号",
    "standard": "执行标准",
    "edition": "标准年份",
    "certificate": "资质文件",
    "sterile": "灭菌",
    "donor_kind": "捐赠人",
    "directed_to": "定向医院",
    "related_to": "关联医院",
    "pack": "整包件数",
    "smallest": "每家最少",
    "receivers_max": "最多医院数",
    "resource_id": "共用资源",
    "per_unit": "每件占用",
    "hospital_id": "医院",
    "specification": "规格要求",
    "urgency": "紧急程度",
    "deadline_on": "截止日期",
    "remaining_days_min": "最短剩余天数",
    "accepts_substitutes": "接受替代品",
    "certificate_min": "资质要求",
}
"""Column -> its name in the Chinese template; both are read."""
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "kind": {"现货": "lot", "产能": "capacity"},
    "certificate": {"": "0", "无": "0", "合格证明": "1", "注册或备案": "2"},
    "certificate_min": {"无": "0", "合格证明": "1", "注册或备案": "2"},
    "sterile": {"是": "yes", "否": ""},
    "accepts_substitutes": {"": "yes", "是": "yes", "否": "no"},
    "donor_kind": {"": "organisation", "本机构": "organisation", "个人": "individual"},
    "urgency": {"特急": "critical", "紧急": "high", "一般": "normal"},
    "windows": {"": "1"},
}
"""Column -> what people write -> what forms say."""
EXAMPLES: Final[Mapping[str, Mapping[str, str]]] = {
    "offers": {
        KEY: "A-1", "kind": "现货", "item": "医用外科口罩", "quantity": "5000", "windows": "1",
        "province": "江西", "city": "南昌市", "longitude": "115.858", "latitude": "28.682",
        "available_on": "2026-12-01", "produced_on": "2026-10-01", "expires_on": "2028-09-30",
        "batch_number": "20261001", "standard": "YY 0469", "edition": "2011",
        "certificate": "注册或备案", "sterile": "否", "donor_kind": "本机构", "pack": "50",
        "smallest": "200", "receivers_max": "5",
    },
    "needs": {
        KEY: "N-1", "hospital_id": "（公示页上的医院名称）", "item": "医用外科口罩",
        "specification": "YY 0469-2011", "quantity": "800", "urgency": "特急",
        "deadline_on": "2026-12-10", "remaining_days_min": "180", "accepts_substitutes": "是",
        "certificate_min": "注册或备案", "sterile": "否",
    },
}  # fmt: skip
"""An invented line of each template; it is a comment there, and never stored."""


def template_text(kind: str, *, lang: str) -> str:
    """The header in one of the languages, and the invented line as a comment."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    columns = COLUMNS[kind]
    writer.writerow([CHINESE[name] if lang == "zh" else name for name in columns])
    example = EXAMPLES[kind]
    writer.writerow(
        [f"{COMMENT} {example[KEY]}", *(example.get(name, "") for name in columns if name != KEY)]
    )
    return text.getvalue()


def read_requests(
    session: Session, caller: Caller, *, kind: str, data: bytes
) -> tuple[list[tuple[int, New]], list[FileFault]]:
    """The lines as requests, and every fault of every line.

    Raises:
        InputError, LimitError: the codes of `read_lines`, for a file that is no table.
    """
    names = {CHINESE[name]: name for name in COLUMNS[kind]}
    lines = read_lines(data, columns=COLUMNS[kind], required=REQUIRED[kind], names=names)
    faults = key_faults(lines)
    if faults:
        return [], faults
    resources = _own_resources(session, caller)
    requests: list[tuple[int, New]] = []
    for line, cells in lines:
        values = _as_typed(cells)
        values["attempt"] = line_id(caller, kind, cells[KEY].strip())
        if kind == "offers":
            name = values["resource_id"].strip()
            values["resource_id"] = resources.get(name, name)
            reader = FormReader(values)
            new: New | None = read_offer(reader, session)
        else:
            reader = FormReader(values)
            _name_hospital(session, reader, values)
            new = read_need(reader)
        faults += [
            FileFault(line, column, fault.code, fault.detail)
            for column, fault in reader.faults.items()
        ]
        if new is not None and not reader.faults:
            requests.append((line, new))
    return requests, faults


def _as_typed(cells: Mapping[str, str]) -> dict[str, str]:
    """What people write in a spreadsheet, in the words of the forms."""
    values = {
        name: WORDS.get(name, {}).get(text.strip(), text)
        for name, text in cells.items()
        if name != KEY
    }
    for name in ("available_on", "produced_on", "expires_on", "deadline_on"):
        if name in values:
            values[name] = _day(values[name])
    if "province" in values:
        values["province"] = _province(values["province"])
        catalogue = published_catalogue()
        if values["item"].strip() not in catalogue.items:
            values["item"] = _item(values["item"])
    return values


def _day(text: str) -> str:
    """`2026/12/1`, as spreadsheets write days, is `2026-12-01`."""
    parts = text.strip().replace("/", "-").split("-")
    if len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts):
        return f"{parts[0]}-{parts[1]:0>2}-{parts[2]:0>2}"
    return text


def _province(text: str) -> str:
    """`湖北省` is `湖北`: the name that carriers' lanes speak of."""
    word = text.strip()
    return next((name for name in provinces() if word.startswith(name)), word)


def _item(text: str) -> str:
    try:
        return read_item(text, catalogue=published_catalogue()).items[0]
    except FuqiError:
        # Left as it is: the reader names the fault beside its column.
        return text


def _name_hospital(session: Session, reader: FormReader, values: dict[str, str]) -> None:
    """The hospital's id for its name, or a fault."""
    text = values["hospital_id"].strip()
    if not text:
        return
    try:
        found = hospitals_written(session, text)
    except FuqiError as error:
        reader.fault("hospital_id", error.error_code, str(error))
        return
    if len(found) == 1:
        values["hospital_id"] = found[0]
    else:
        reader.fault("hospital_id", "supply_file.one_hospital", "one hospital in a line")


def _own_resources(session: Session, caller: Caller) -> dict[str, str]:
    """Name of an open resource of the organisation -> its id."""
    rows = queries.resources_page(
        session, organisation_id=require_organisation(caller), state="open", limit=OPEN_MAX
    )
    return {row.name: row.id for row in rows}
