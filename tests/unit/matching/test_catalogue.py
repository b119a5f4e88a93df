"""Catalogue: dated standards, one-directional substitutes, messy words."""

import json
from datetime import date
from importlib import resources

import pytest

from ledger.core.errors import InputError
from matching.catalogue import (
    EditionState,
    from_day,
    load_catalogue,
    parse_catalogue,
    read_item,
    read_specification,
    to_day,
)

CATALOGUE = load_catalogue()
FEB_2020 = to_day(date(2020, 2, 1))


def packaged():
    path = resources.files("matching") / "data" / "catalogue-v1.json"
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("day", "edition"),
    [
        (date(2009, 5, 1), "2003"),
        (date(2010, 2, 28), "2003"),
        (date(2010, 3, 1), "2009"),
        (date(2025, 11, 30), "2009"),
        (date(2025, 12, 1), "2023"),
    ],
)
def test_st_0_a_standard_is_read_at_its_date_and_never_as_latest(day, edition):
    assert CATALOGUE.edition_on("GB 19082", day=to_day(day)) == edition


def test_an_edition_is_not_yet_then_in_force_then_superseded():
    def state(day):
        return CATALOGUE.edition_state("YY 0469", "2011", day=to_day(day))

    assert state(date(2012, 1, 1)) is EditionState.NOT_YET
    assert state(date(2026, 11, 30)) is EditionState.IN_FORCE
    assert state(date(2026, 12, 1)) is EditionState.SUPERSEDED
    assert CATALOGUE.edition_state("YY 0469", "2010", day=0) is EditionState.UNKNOWN


def test_a_substitute_has_one_direction():
    assert ("mask_protective", "mask_surgical") in CATALOGUE.substitutes
    assert ("mask_surgical", "mask_protective") not in CATALOGUE.substitutes


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("防冲击眼罩/护目镜/防护眼镜", ("goggles",)),
        ("医用防护口罩 | N95口罩", ("mask_protective", "mask_n95")),
        ("  Ｎ９５ 口罩 ", ("mask_n95",)),
        ("防护帽/医用帽/圆帽", ("cap",)),
        ("75%酒精", ("alcohol_75",)),
    ],
)
def test_item_words_are_understood_as_written(text, items):
    assert read_item(text, catalogue=CATALOGUE).items == items


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("呼吸机配件", "item.unknown"),
        ("", "item.unknown"),
        ("防护服/乳胶手套", "item.classes_mixed"),
        ("口" * 501, "item.text_too_long"),
    ],
)
def test_item_words_that_cannot_be_used_are_refused(text, code):
    with pytest.raises(InputError) as fault:
        read_item(text, catalogue=CATALOGUE)
    assert fault.value.error_code == code


def reading(text, item="coverall", day=FEB_2020):
    return read_specification(text, items=(item,), day=day, catalogue=CATALOGUE)


@pytest.mark.parametrize(
    ("text", "item", "standard", "edition", "codes"),
    [
        ("GB 19082-2009", "coverall", "GB 19082", "2009", ()),
        ("GB19082-2009", "coverall", "GB 19082", "2009", ()),
        ("YY0469-2011", "mask_surgical", "YY 0469", "2011", ()),
        ("ＹＹ/T 0969—2013", "mask_medical", "YY/T 0969", "2013", ()),
        ("GB 19082-2003", "coverall", "GB 19082", None, ("standard.edition_superseded",)),
        ("YY 0469-2010", "mask_surgical", "YY 0469", None, ("standard.edition_unknown",)),
        ("GB19083-2010", "coverall", None, None, ("standard.of_other_item",)),
        ("GB 99999-2011", "coverall", None, None, ("standard.unknown",)),
        ("随便", "coverall", None, None, ("specification.unread",)),
        ("", "coverall", None, None, ()),
    ],
)
def test_specifications_are_understood_or_say_what_was_not(text, item, standard, edition, codes):
    found = reading(text, item)
    assert (found.standard, found.edition, found.codes) == (standard, edition, codes)


def test_models_and_features_are_kept_and_only_sterility_is_enforced():
    assert reading("3M4565").remarks == ("model:3M4565",)
    assert reading("较好防溅性能", "face_shield").remarks == ("feature:splash_resistant",)
    gloves = reading("灭菌，GB 10213-2006", "glove_exam")
    assert gloves.sterile
    assert gloves.edition == "2006"
    assert not reading("GB 10213-2006", "glove_exam").sterile


def test_the_same_text_is_read_otherwise_on_another_day():
    assert reading("GB 19082-2009", day=to_day(date(2026, 1, 1))).codes == (
        "standard.edition_superseded",
    )


def test_days_convert_both_ways():
    assert from_day(to_day(date(2020, 2, 29))) == date(2020, 2, 29)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["items"][0].pop("class"),
        lambda c: c["items"][1]["words"].append("医用防护口罩"),
        lambda c: c["substitutes"].append({"lot": "cap", "need": "goggles", "penalty_km": 1}),
        lambda c: c["substitutes"][0].update(penalty_km=0),
        lambda c: c["standards"][0].update(superseded_on="2001-01-01"),
        lambda c: c["standards"].clear(),
    ],
)
def test_a_catalogue_that_contradicts_itself_is_refused(spoil):
    source = packaged()
    spoil(source)
    with pytest.raises(InputError) as fault:
        parse_catalogue(source)
    assert fault.value.error_code == "catalogue.invalid"
