"""Import: every row comes out once, understood, defaulted or refused; files that are no table are refused."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from ledger.core.errors import InputError, LimitError
from matching import importing
from matching.catalogue import load_catalogue
from matching.importing import COLUMNS, RowStatus, packaged_sample, read_dataset
from matching.policy import load_import_policy, parse_import_policy

CATALOGUE, POLICY = load_catalogue(), load_import_policy()
HUBEI = Path(__file__).resolve().parents[4] / "shared" / "data" / "hubei-2020"


def read(files, as_of=None):
    return read_dataset(files, catalogue=CATALOGUE, policy=POLICY, as_of=as_of)


def small(**changes):
    files = {
        "hospitals.csv": "hospital_id,name,city,district,adcode,longitude,latitude,location_precision\n"
        "H1,示例医院（虚构）,武汉市,江岸区,420102,114.3,30.6,district\n",
        "needs.csv": "need_id,hospital_id,item,specification,quantity\n",
        "factories.csv": ",".join(COLUMNS["factories.csv"]) + "\n",
        "carriers.csv": ",".join(COLUMNS["carriers.csv"]) + "\n",
    }
    for name, text in changes.items():
        files[f"{name}.csv"] += text
    return {name: text.encode() for name, text in files.items()}


def only(dataset, file):
    (result,) = [row for row in dataset.results if row.file == file]
    return result


def test_the_sample_loses_no_row_and_shows_every_kind():
    files = packaged_sample()
    dataset = read(files)
    for file in dataset.files:
        lines = files[file.name].decode().splitlines()
        assert file.rows == len(lines) - 1
        assert sum(dataset.counts()[file.name].values()) == file.rows
    refused = {row.codes[-1] for row in dataset.results if row.status is RowStatus.REFUSED}
    assert refused == {
        "row.duplicate_id",
        "row.columns",
        "place.outside_china",
        "name.missing",
        "hospital.adcode",
        "need.quantity_negative",
        "need.quantity_zero",
        "need.quantity_malformed",
        "need.quantity_limit",
        "need.hospital_unknown",
        "item.unknown",
        "item.classes_mixed",
        "capacity.not_named",
        "lane.destination_unknown",
        "lane.individuals_malformed",
    }
    assert all("虚构" in hospital.name for hospital in dataset.hospitals())


def test_hubei_loses_no_row():
    if not HUBEI.is_dir():
        pytest.skip("the real data set is not beside this repository")
    dataset = read({name: (HUBEI / name).read_bytes() for name in COLUMNS})
    counts = dataset.counts()
    assert {name: sum(row.values()) for name, row in counts.items()} == {
        "hospitals.csv": 235,
        "needs.csv": 2160,
        "factories.csv": 24,
        "carriers.csv": 22,
    }
    codes = Counter(code for row in dataset.results for code in row.codes)
    assert codes["quantity.defaulted"] == 1893
    assert codes["capacity.not_named"] == 21
    assert codes["factory.province_fault"] == 1
    assert counts["needs.csv"]["refused"] == 0


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        ("-1", "need.quantity_negative"),
        ("0", "need.quantity_zero"),
        ("12.5", "need.quantity_malformed"),
        ("１２", "need.quantity_malformed"),
        ("1" * 18, "need.quantity_limit"),
    ],
)
def test_a_need_with_a_quantity_that_is_none_is_refused(quantity, code):
    row = only(read(small(needs=f"N1,H1,防护服,,{quantity}\n")), "needs.csv")
    assert row.status is RowStatus.REFUSED
    assert row.codes[-1] == code


def test_a_named_quantity_is_taken_and_a_missing_one_is_filled_and_flagged():
    named = only(read(small(needs="N1,H1,手术衣,,7\n")), "needs.csv")
    assert (named.status, named.record.quantity) == (RowStatus.UNDERSTOOD, 7)
    empty = only(read(small(needs="N1,H1,手术衣,,\n")), "needs.csv")
    assert empty.status is RowStatus.DEFAULTED
    assert empty.codes == ("quantity.defaulted",)
    assert empty.record.quantity == POLICY.quantities["gown_surgical"]
    assert empty.record.defaults == ("quantity",)


def test_a_superseded_edition_is_replaced_by_the_rule_and_flagged():
    row = only(read(small(needs="N1,H1,防护服,GB 19082-2003,10\n")), "needs.csv")
    assert row.status is RowStatus.DEFAULTED
    assert (row.record.standard, row.record.edition) == ("GB 19082", None)


def test_urgency_follows_item_and_place():
    files = small(needs="N1,H1,防护服,,1\nN2,H1,手术衣,,1\nN3,H1,床罩,,1\n")
    assert [need.tier for need in read(files).needs()] == [0, 1, 2]
    away = {
        name: data.replace("武汉市".encode(), "宜昌市".encode()) for name, data in files.items()
    }
    assert [need.tier for need in read(away).needs()] == [1, 2, 2]


FACTORY = "F1,示例厂（虚构）,{province},西安市,口罩类,N95,{capacity},108.9,34.3,{day}\n"


def test_capacity_is_offered_by_policy_and_never_invented():
    text = FACTORY.format(province="陕西", capacity="5000", day="2020-01-25")
    row = only(read(small(factories=text)), "factories.csv")
    assert row.status is RowStatus.DEFAULTED
    assert (row.record.published_per_day, row.record.per_day) == (5000, 500)
    none = FACTORY.format(province="陕西", capacity="", day="2020-01-25")
    row = only(read(small(factories=none)), "factories.csv")
    assert (row.status, row.codes) == (RowStatus.REFUSED, ("capacity.not_named",))


def test_a_province_written_where_another_is_meant_is_corrected_and_said():
    text = FACTORY.format(province="山西", capacity="5000", day="2015-04-19")
    row = only(read(small(factories=text)), "factories.csv")
    assert row.codes[:2] == ("factory.province_fault", "date.stale")
    assert row.record.place.province == "陕西"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("L1,示例,全国,火星,True,2020-01-24", "lane.destination_unknown"),
        ("L1,示例,月球,武汉,True,2020-01-24", "lane.origin_unknown"),
        ("L1,示例,全国,武汉,yes,2020-01-24", "lane.individuals_malformed"),
        ("L1,示例,全国,武汉,True,24/01/2020", "date.malformed"),
        (" ,示例,全国,武汉,True,2020-01-24", "row.id_malformed"),
        ("L1,示例,全国,武汉,True", "row.columns"),
    ],
)
def test_a_lane_that_cannot_be_used_is_refused(row, code):
    result = only(read(small(carriers=row + "\n")), "carriers.csv")
    assert (result.status, result.codes[-1]) == (RowStatus.REFUSED, code)


def test_a_lane_nationwide_has_no_origin():
    lane = only(read(small(carriers="L1,示例,全国,武汉,True,\n")), "carriers.csv").record
    assert (lane.origin, lane.destination.city, lane.individuals) == (None, "武汉市", True)


def test_a_second_row_with_the_same_id_is_refused_and_the_first_kept():
    dataset = read(small(needs="N1,H1,手术衣,,1\nN1,H1,手术衣,,2\n"))
    rows = [row for row in dataset.results if row.file == "needs.csv"]
    assert [row.status for row in rows] == [RowStatus.UNDERSTOOD, RowStatus.REFUSED]
    assert rows[1].codes == ("row.duplicate_id",)


def test_blank_lines_are_rows_too():
    dataset = read(small(needs="N1,H1,手术衣,,1\n\nN2,H1,手术衣,,1\n"))
    assert dataset.counts()["needs.csv"] == {"understood": 2, "defaulted": 0, "refused": 1}


def test_a_byte_order_mark_is_harmless():
    files = small(needs="N1,H1,手术衣,,1\n")
    files["needs.csv"] = b"\xef\xbb\xbf" + files["needs.csv"]
    assert len(read(files).needs()) == 1


def test_an_encoding_fault_names_file_and_line():
    files = small(needs="N1,H1,手术衣,,1\n")
    files["needs.csv"] += "N2,H1,防护服,,1\n".encode("gb18030")
    with pytest.raises(InputError) as fault:
        read(files)
    assert fault.value.error_code == "import.encoding"
    assert fault.value.context == {"file": "needs.csv", "line": 3}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda f: f.pop("needs.csv"), "import.file_missing"),
        (lambda f: f.update({"needs.csv": b""}), "import.column_missing"),
        (lambda f: f.update({"needs.csv": b"need_id,item\n"}), "import.column_missing"),
        (lambda f: f.update({"needs.csv": f["needs.csv"] + b'N1,"H1,x\n'}), "import.malformed"),
        (
            lambda f: f.update({"needs.csv": f["needs.csv"] + b"N1,H1\x00,x,,\n"}),
            "import.malformed",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(spoil, code):
    files = small()
    spoil(files)
    with pytest.raises(InputError) as fault:
        read(files)
    assert fault.value.error_code == code


def test_limits_are_refused_with_their_size(monkeypatch):
    monkeypatch.setattr(importing, "ROWS_MAX", 1)
    with pytest.raises(LimitError) as fault:
        read(small(needs="N1,H1,手术衣,,1\nN2,H1,手术衣,,1\n"))
    assert fault.value.error_code == "import.too_many_rows"
    monkeypatch.setattr(importing, "FILE_BYTES_MAX", 100)
    with pytest.raises(LimitError) as fault:
        read(small())
    assert fault.value.error_code == "import.too_large"
    with pytest.raises(LimitError) as fault:
        importing._table("needs.csv", b"need_id,hospital_id,item,specification,quantity\n" * 3)
    assert fault.value.error_code == "import.too_large"


def test_a_field_longer_than_the_limit_is_refused():
    with pytest.raises(LimitError) as fault:
        read(small(needs=f"N1,H1,手术衣,{'x' * 2001},1\n"))
    assert fault.value.error_code == "import.field_too_long"


def test_the_day_of_reading_decides_which_edition_is_in_force():
    files = small(needs="N1,H1,防护服,GB 19082-2009,1\n")
    assert read(files).needs()[0].edition == "2009"
    assert read(files, as_of=date(2026, 1, 1)).needs()[0].edition is None


def test_a_policy_that_misses_a_field_is_refused():
    source = dict(POLICY.source)
    source.pop("urgency")
    with pytest.raises(InputError) as fault:
        parse_import_policy(source)
    assert fault.value.error_code == "import_policy.invalid"


def test_the_policy_covers_every_catalogue_item():
    assert set(POLICY.quantities) == set(CATALOGUE.items)
