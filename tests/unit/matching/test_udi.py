"""UDI element strings and registration numbers: read exactly, compared, never repaired.

SOURCE: the check digit of 629104150021 is 3 in GS1's own worked example; all other codes are invented.
"""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.errors import InputError
from matching.udi import (
    Goods,
    Scheme,
    check_digit,
    parse_registration,
    parse_udi,
    require_device_class,
    require_same_goods,
)

TODAY = date(2026, 11, 23)
GTIN = "0690123456789" + check_digit("0690123456789")
GOODS = Goods("AB-1", date(2026, 10, 1), date(2028, 10, 31))


def test_the_check_digit_is_that_of_the_published_example() -> None:
    assert check_digit("629104150021") == "3"


@given(st.text("0123456789", min_size=13, max_size=13), st.integers(0, 12), st.integers(1, 9))
def test_any_single_wrong_digit_is_noticed(digits: str, place: int, shift: int) -> None:
    wrong = digits[:place] + str((int(digits[place]) + shift) % 10) + digits[place + 1 :]
    assert check_digit(digits) != check_digit(wrong)


@pytest.mark.parametrize(
    "text",
    [
        f"(01){GTIN}(11)261001(17)281000(10)AB-1(21)x9",
        f"  (01){GTIN}(10)AB-1(17)281031(11)261001(21)x9 ",
        f"01{GTIN}112610011728100010AB-1\x1d21x9",
        f"]d201{GTIN}112610011728103110AB-1\x1d21x9",
        f"\x1d01{GTIN}10AB-1\x1d21x9\x1d1126100117281031",
    ],
)
def test_printed_and_scanned_say_the_same(text: str) -> None:
    udi = parse_udi(text, today=TODAY)
    assert (udi.scheme, udi.device, udi.serial) == (Scheme.GS1, GTIN, "x9")
    assert (udi.batch, udi.produced_on, udi.expires_on) == ("AB-1", *_DAYS)
    require_same_goods(udi, GOODS)


_DAYS = (date(2026, 10, 1), date(2028, 10, 31))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "udi.empty"),
        ("x" * 201, "udi.too_long"),
        (f"(01){GTIN[:-1]}{(int(GTIN[-1]) + 1) % 10}", "udi.check_digit"),
        (f"(01){GTIN}(17)281301", "udi.date"),
        (f"(01){GTIN}(17)280230", "udi.date"),
        ("(10)AB-1", "udi.device_missing"),
        (f"(01){GTIN}(99)x", "udi.element_unknown"),
        (f"(01){GTIN}(10)A(10)B", "udi.element_repeated"),
        (f"(01){GTIN}(10)", "udi.element_length"),
        (f"(01){GTIN}(10){'A' * 21}", "udi.element_length"),
        (f"(01){GTIN[:-2]}", "udi.element_length"),
        (f"(01){GTIN}(10)口罩", "udi.element_length"),
        ("(01)٠٦٩٠١٢٣٤٥٦٧٨٩٢", "udi.element_length"),
        (f"(01){GTIN}x", "udi.element_length"),
        ("(01", "udi.malformed"),
        ("mask", "udi.malformed"),
        (f"（01）{GTIN}（10）AB-1", "udi.malformed"),
    ],
)
def test_what_is_no_udi_is_refused_with_its_code(text: str, code: str) -> None:
    with pytest.raises(InputError) as fault:
        parse_udi(text, today=TODAY)
    assert fault.value.error_code == code


@given(st.text(max_size=60))
def test_no_text_does_anything_else(text: str) -> None:
    with contextlib.suppress(InputError):
        parse_udi(text, today=TODAY)


def test_two_digit_years_mean_the_nearest_one() -> None:
    def year(short: str, today: date) -> int:
        found = parse_udi(f"(01){GTIN}(17){short}0101", today=today).expires_on
        assert found is not None
        return found.year

    assert [year(one, TODAY) for one in ("26", "76", "77", "99")] == [2026, 2076, 1977, 1999]
    assert year("02", date(2098, 1, 1)) == 2102


def test_codes_of_other_issuers_are_kept_whole() -> None:
    assert parse_udi("MA.156.M0.100001.1A", today=TODAY).scheme is Scheme.MA
    assert parse_udi("AHM12345/6", today=TODAY).scheme is Scheme.AHM


@pytest.mark.parametrize(
    ("goods", "code"),
    [
        (Goods("AB-2", *_DAYS), "lot.batch_differs"),
        (Goods("AB-1", date(2026, 10, 2), _DAYS[1]), "lot.produced_differs"),
        (Goods("AB-1", _DAYS[0], None), "lot.expiry_differs"),
    ],
)
def test_goods_that_are_not_as_said_are_refused(goods: Goods, code: str) -> None:
    udi = parse_udi(f"(01){GTIN}(11)261001(17)281031(10)AB-1", today=TODAY)
    with pytest.raises(InputError) as fault:
        require_same_goods(udi, goods)
    assert fault.value.error_code == code


@pytest.mark.parametrize("lost", ["17281031", "1126100117281031", "1728103121S1", "21S1"])
def test_a_scanner_that_sends_no_separator_is_named_as_the_cause(lost: str) -> None:
    udi = parse_udi(f"01{GTIN}10AB-1{lost}", today=TODAY)
    with pytest.raises(InputError) as fault:
        require_same_goods(udi, Goods("AB-1", *_DAYS))
    assert fault.value.error_code == "udi.separator_missing"
    with pytest.raises(InputError) as fault:
        require_same_goods(udi, Goods("AB-2", *_DAYS))
    assert fault.value.error_code == "lot.batch_differs"


@pytest.mark.parametrize(
    ("text", "device_class", "imported"),
    [
        ("鄂械注准20202140001", 2, False),
        ("国械注准20203140001", 3, False),
        ("国械注进20202140001", 2, True),
        ("国械注许20203140001", 3, True),
        ("鄂汉械备20200012号", 1, False),
        ("国械备20200012", 1, True),
    ],
)
def test_registration_numbers_are_read(text: str, device_class: int, imported: bool) -> None:
    found = parse_registration(text, today=TODAY)
    assert (found.device_class, found.imported, found.year) == (device_class, imported, 2020)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "registration.malformed"),
        ("鄂械注准2020214001", "registration.malformed"),
        ("鄂械注准２０２０２１４０００１", "registration.malformed"),
        ("鄂械注准20204140001", "registration.malformed"),
        ("美械注准20202140001", "registration.authority"),
        ("鄂械注准20203140001", "registration.class"),
        ("国械注准20202140001", "registration.class"),
        ("鄂械注进20202140001", "registration.class"),
        ("鄂械注准20201140001", "registration.class"),
        ("鄂械注准20992140001", "registration.year"),
        ("鄂械注准19992140001", "registration.year"),
    ],
)
def test_a_number_that_no_authority_gives_is_refused(text: str, code: str) -> None:
    with pytest.raises(InputError) as fault:
        parse_registration(text, today=TODAY)
    assert fault.value.error_code == code


@pytest.mark.parametrize(
    ("item", "number"),
    [
        ("mask_surgical", "鄂械注准20202140001"),
        ("mask_surgical", "国械注准20203140001"),
        ("glove_exam", "鄂汉械备20200012号"),
        ("test_kit", "国械注准20203400001"),
    ],
)
def test_a_number_of_the_goods_own_class_or_above_is_taken(item: str, number: str) -> None:
    require_device_class(item, parse_registration(number, today=TODAY))


@pytest.mark.parametrize(
    ("item", "number"),
    [
        ("mask_surgical", "鄂汉械备20200012号"),
        ("coverall", "鄂汉械备20200012号"),
        ("test_kit", "鄂械注准20202400001"),
    ],
)
def test_a_filing_is_no_registration_of_goods_of_a_higher_class(item: str, number: str) -> None:
    with pytest.raises(InputError) as fault:
        require_device_class(item, parse_registration(number, today=TODAY))
    assert fault.value.error_code == "registration.class_of_goods"
