"""Our number checks against python-stdnum, an independent implementation; all numbers invented."""

from contextlib import suppress
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from ledger.core.errors import InputError
from signing.numbers import (
    USCC_ALPHABET,
    check_resident_id,
    check_uscc,
    invented_resident_id,
    invented_uscc,
    organisation_check,
    resident_id_check,
    uscc_check,
)

TODAY = date(2026, 11, 23)
bodies17 = st.text("0123456789", min_size=17, max_size=17)
codes = st.tuples(
    st.text("0123456789", min_size=8, max_size=8),
    st.text(USCC_ALPHABET, min_size=8, max_size=8),
)
births = st.dates(date(1900, 1, 1), TODAY)


@given(bodies17)
def test_resident_check_characters_agree_with_stdnum(body):
    assert resident_id_check(body) == ric.calc_check_digit(body + "0")


@given(
    st.tuples(
        st.text("0123456789", min_size=8, max_size=8),
        st.text(USCC_ALPHABET, min_size=9, max_size=9),
    )
)
def test_credit_code_check_characters_agree_with_stdnum(parts):
    body = "".join(parts)
    assert uscc_check(body) == uscc.calc_check_digit(body + "0")


@given(codes)
def test_codes_we_accept_are_accepted_by_stdnum(parts):
    head, inner = parts
    body = head + inner + organisation_check(inner)
    code = body + uscc_check(body)
    assert uscc.is_valid(check_uscc(code).code)


@given(codes, st.integers(0, 17), st.sampled_from(USCC_ALPHABET))
def test_one_wrong_character_in_a_credit_code_is_always_noticed(parts, place, character):
    head, inner = parts
    body = head + inner + organisation_check(inner)
    code = body + uscc_check(body)
    wrong = code[:place] + character + code[place + 1 :]
    if wrong == code:
        return
    try:
        check_uscc(wrong)
    except InputError:
        return
    raise AssertionError("accepted")


@given(st.sampled_from(["110105", "420106", "310101"]), births, st.integers(1, 999))
def test_numbers_with_known_counties_are_judged_as_stdnum_does(region, birth, serial):
    body = f"{region}{birth:%Y%m%d}{serial:03d}"
    number = body + resident_id_check(body)
    found = check_resident_id(number, today=TODAY)
    assert found.birth == birth == ric.get_birth_date(number)
    assert (found.warnings == ()) == ric.is_valid(number)


@given(births, st.integers(1, 999), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_wrong_character_in_a_resident_number_is_always_noticed(birth, serial, place, char):
    body = f"110105{birth:%Y%m%d}{serial:03d}"
    number = body + resident_id_check(body)
    wrong = number[:place] + char + number[place + 1 :]
    if wrong == number:
        return
    try:
        check_resident_id(wrong, today=TODAY)
    except InputError:
        return
    raise AssertionError("accepted")


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text):
    for check in (check_uscc, lambda value: check_resident_id(value, today=TODAY)):
        # Any other exception would fail the test.
        with suppress(InputError):
            check(text)


@settings(max_examples=50)
@given(st.text(max_size=20), births)
def test_invented_numbers_always_pass(seed, birth):
    assert check_resident_id(invented_resident_id(seed, birth=birth), today=TODAY).birth == birth
    assert uscc.is_valid(check_uscc(invented_uscc(seed)).code)
