"""A file of offers or needs: all of its lines or none, each fault by line and column, all of it taken back."""

import pytest

from api.flows import supply_files
from api.flows.supply_files import read_lines
from api.routes.supply_file_reading import CHINESE, COLUMNS, REQUIRED, template_text
from ledger.core.errors import InputError, LimitError
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.supply import HospitalRow

HTML = {"accept": "text/html"}
LOT = {
    "key": "A-1",
    "kind": "lot",
    "item": "cap",
    "quantity": "5000",
    "province": "湖北",
    "city": "武汉市",
    "longitude": "114.3",
    "latitude": "30.6",
    "available_on": "2026-12-01",
    "produced_on": "2026-10-01",
    "expires_on": "2028-09-30",
    "batch_number": "20261001",
    "certificate": "2",
    "pack": "50",
    "smallest": "200",
    "receivers_max": "5",
}
LINE = LOT | {
    "key": "A-2",
    "kind": "capacity",
    "windows": "7",
    "produced_on": "",
    "expires_on": "",
    "batch_number": "",
    "resource_id": "一号线",
    "per_unit": "3",
    "pack": "",
    "smallest": "",
    "receivers_max": "",
}


def table(*rows, columns=None, names=None):
    columns = columns or list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join((names or {}).get(name, name) for name in columns)]
    lines += [",".join(row.get(name, "") for name in columns) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def send(world, data, *, kind="offers", login="donor", check=False):
    return world.client(login).post(
        f"/api/v1/supply-files/{kind}?check={str(check).lower()}",
        files={"file": ("supplies.csv", data, "text/csv")},
    )


def offers(world):
    return {row["id"]: row for row in world.client("donor").get("/api/v1/offers?limit=100").json()}


@pytest.fixture(scope="module")
def line(world):
    body = {
        "id": new_id("res", at=world.clock.at),
        "kind": "line",
        "name": "一号线",
        "unit": "minute",
        "capacity": 960,
        "available_on": "2026-11-23",
        "windows": 90,
    }
    answer = world.client("donor").post("/api/v1/resources", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture(scope="module")
def hospital(world):
    with transaction(world.app.state.shell.ports.sessions) as session:
        row = HospitalRow(
            id=new_id("hos", at=world.clock.at),
            organisation_id=world.hospital.organisation_id,
            name="虚构第一医院（东院）",
            province="湖北",
            city="武汉市",
            district="",
            adcode="420100",
            longitude_micro=114_300_000,
            latitude_micro=30_600_000,
            precision="point",
            agency=False,
            front=False,
            scale_percent=100,
            invented=True,
            created_at=world.clock.at,
        )
        session.add(row)
        return row.id


def test_a_file_is_stored_whole_with_its_limits_and_again_stores_nothing(world, line, hospital):
    data = table(LOT, LINE | {"directed_to": "虚构第一医院（东院）"})
    tried = send(world, data, check=True)
    assert (tried.status_code, tried.json()) == (200, {"file": None, "lines": 2, "faults": []})
    assert offers(world) == {}
    sent = send(world, data)
    assert (sent.status_code, sent.json()["file"]["lines"], sent.json()["faults"]) == (200, 2, [])
    found = offers(world)
    lot = next(row for row in found.values() if row["kind"] == "lot")
    made = next(row for row in found.values() if row["kind"] == "capacity")
    assert (lot["pack"], lot["smallest"], lot["receivers_max"]) == (50, 200, 5)
    assert (made["resource_id"], made["per_unit"], made["windows"]) == (line, 3, 7)
    assert made["directed_to"] == [hospital]
    assert send(world, data).json() == sent.json()
    # A corrected file with one line more stores that line only.
    more = send(
        world,
        data
        + table(LOT | {"key": "A-3"}, columns=list(LOT | LINE | {"directed_to": ""})).split(
            b"\n", 1
        )[1],
    )
    assert more.status_code == 200, more.text
    assert len(offers(world)) == 3
    # A key that says something else now is refused by name, and nothing of its file is stored.
    other = send(world, table(LOT | {"quantity": "4999"}, LOT | {"key": "A-4"}))
    assert other.status_code == 422
    assert [
        (fault["line"], fault["column"], fault["code"]) for fault in other.json()["faults"]
    ] == [(2, "quantity", "state.exists_with_different_field")]
    assert len(offers(world)) == 3


def test_a_file_as_chinese_spreadsheets_save_it_is_read(world):
    row = LOT | {
        "key": "乙-1",
        "kind": "现货",
        "item": "圆帽",
        "province": "湖北省",
        "available_on": "2026/12/1",
        "certificate": "注册或备案",
        "sterile": "是",
        "donor_kind": "个人",
    }
    data = table(row, names=CHINESE).decode().encode("gb18030")
    answer = send(world, data)
    assert answer.json()["faults"] == []
    found = next(row for row in offers(world).values() if row["donor_kind"] == "individual")
    assert (found["item"], found["province"], found["available_on"]) == (
        "cap",
        "湖北",
        "2026-12-01",
    )
    assert (found["certificate"], found["sterile"]) == (2, True)


def test_every_fault_of_every_line_is_named_and_nothing_is_stored(world):
    before = len(offers(world))
    data = table(
        LOT | {"key": "F-1"},
        LOT | {"key": "F-2", "quantity": "-3", "province": "火星"},
        LOT | {"key": "F-3", "expires_on": "2026-10-05"},
        LOT | {"key": "F-4", "pack": "6000"},
        LOT | {"key": "F-5", "directed_to": "没有这家医院"},
        LINE | {"key": "F-6", "resource_id": "没有这条线"},
    )
    answer = send(world, data)
    assert answer.status_code == 422
    assert answer.json()["lines"] == 1
    assert [
        (fault["line"], fault["column"], fault["code"]) for fault in answer.json()["faults"]
    ] == [
        (3, "province", "form.choice"),
        (3, "quantity", "form.range"),
        (4, None, "offer.expired"),
        (5, None, "offer.pack"),
        (6, "directed_to", "offer.hospital_not_found"),
        (7, None, "resource.not_found"),
    ]
    assert len(offers(world)) == before


def test_needs_come_from_a_file_too_by_the_hospitals_name(world, hospital):
    row = {
        "key": "N-1",
        "hospital_id": "虚构第一医院（东院）",
        "item": "仿真服务",
        "quantity": "40",
        "urgency": "特急",
        "deadline_on": "2026-12-20",
        "remaining_days_min": "0",
    }
    answer = send(world, table(row), kind="needs", login="hospital")
    assert answer.status_code == 200, answer.text
    [found] = world.client("hospital").get("/api/v1/needs").json()
    assert (found["hospital_id"], found["item"], found["tier"]) == (
        hospital,
        "service_simulation",
        0,
    )
    assert (found["deadline_on"], found["accepts_substitutes"]) == ("2026-12-20", True)
    foreign = send(world, table(row | {"key": "N-2"}), kind="needs", login="donor")
    assert [fault["code"] for fault in foreign.json()["faults"]] == ["not_found"]


def test_all_of_a_file_is_taken_back_at_once_by_its_sender_only(world):
    sent = send(world, table(LOT | {"key": "W-1"}, LOT | {"key": "W-2"})).json()["file"]
    address = f"/api/v1/supply-files/{sent['id']}/withdraw"
    reason = {"reason": "数量有误"}
    assert world.client("hospital").post(address, json=reason).status_code == 404
    assert world.client("donor").post(address, json={"reason": " "}).status_code == 422
    for _ in range(2):
        answer = world.client("donor").post(address, json=reason)
        assert answer.json()["withdrawn_at"] is not None
    states = [
        row["state"] for row in offers(world).values() if row["withdrawn_reason"] == "数量有误"
    ]
    assert states == ["withdrawn", "withdrawn"]


def test_the_page_sends_a_file_and_shows_each_fault_beside_its_line(world):
    client = world.client("donor")
    page = client.get("/supply/files?lang=zh", headers=HTML)
    assert "供给模板" in page.text
    bad = table(LOT | {"key": "P-1", "quantity": "many"})
    answer = client.post(
        "/supply/files", data={"kind": "offers"}, files={"file": ("a.csv", bad)}, headers=HTML
    )
    assert answer.status_code == 422
    assert "第 2 行" in answer.text
    assert "form.number" in answer.text
    good = table(LOT | {"key": "P-1"})
    answer = client.post(
        "/supply/files",
        data={"kind": "offers"},
        files={"file": ("a.csv", good)},
        headers=HTML,
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/supply/files#sent")
    sent = client.get("/api/v1/supply-files").json()[0]
    assert client.post(f"/supply/files/{sent['id']}/withdraw", headers=HTML).status_code == 200


@pytest.mark.parametrize("kind", ["offers", "needs"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_template_reads_back_and_its_example_is_a_comment(world, kind, lang):
    answer = world.client("donor").get(f"/api/v1/supply-files/{kind}/template?lang={lang}")
    assert answer.headers["content-disposition"].endswith(f'"fuqi-{kind}.csv"')
    names = {CHINESE[name]: name for name in COLUMNS[kind]}
    with pytest.raises(InputError) as fault:
        read_lines(answer.content, columns=COLUMNS[kind], required=REQUIRED[kind], names=names)
    assert fault.value.error_code == "supply_file.empty"
    # With the mark of a comment taken away the invented line is one.
    text = template_text(kind, lang=lang).replace("# ", "")
    [(number, cells)] = read_lines(
        text.encode(), columns=COLUMNS[kind], required=REQUIRED[kind], names=names
    )
    assert (number, cells["item"]) == (2, "医用外科口罩")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "supply_file.column_missing"),
        (table(LOT).replace(b"key,", b"keys,"), "supply_file.column_missing"),
        (table(LOT | {"packs": "5"}), "supply_file.column_unknown"),
        (table(LOT) + b'"open', "supply_file.malformed"),
        (table(LOT) + b"a,b\n", "supply_file.malformed"),
        (b"\xff\xfe\x00\x01", "supply_file.encoding"),
        (table(LOT).split(b"\n")[0], "supply_file.empty"),
        (table(LOT | {"key": ""}), None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_is_refused_by_name(world, data, code):
    answer = send(world, data)
    if code is None:
        assert [fault["code"] for fault in answer.json()["faults"]] == ["supply_file.key"]
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_limits_of_a_file_are_refused_with_their_size(monkeypatch):
    columns, required = COLUMNS["offers"], REQUIRED["offers"]
    monkeypatch.setattr(supply_files, "LINES_MAX", 1)
    with pytest.raises(LimitError) as fault:
        read_lines(table(LOT, LINE), columns=columns, required=required, names={})
    assert fault.value.error_code == "supply_file.too_many"
    long = table(LOT | {"directed_to": "x" * 12_001})
    with pytest.raises(LimitError) as fault:
        read_lines(long, columns=columns, required=required, names={})
    assert fault.value.error_code == "supply_file.cell_too_long"


def test_two_lines_with_one_key_are_refused(world):
    answer = send(world, table(LOT | {"key": "D-1"}, LOT | {"key": "D-1"}))
    assert [(one["line"], one["code"]) for one in answer.json()["faults"]] == [
        (3, "supply_file.key_doubled")
    ]
