"""Eligibility: for each reason against, one change that brings it about, from a pair that is eligible."""

from dataclasses import replace

import pytest

from matching.candidates import ELIGIBLE, REASONS, judge_pairs, reason_against
from matching.catalogue import load_catalogue
from matching.problem import Lane, Lot, Need, Place, Policy, make_problem
from matching.testing import DAY, PLACES, WUHAN

CATALOGUE = load_catalogue()
GUANGZHOU = PLACES[3]
NEED = Need(
    id="n",
    hospital="h",
    items=("mask_surgical",),
    quantity=10,
    tier=0,
    deadline_day=DAY + 7,
    place=WUHAN,
    standard="YY 0469",
    edition="2011",
    certificate_min=2,
    sterile=False,
    remaining_days_min=180,
    accepts_substitutes=True,
)
LOT = Lot(
    id="l",
    donor="d",
    donor_kind="organisation",
    item="mask_surgical",
    quantity=10,
    place=GUANGZHOU,
    available_day=DAY,
    produced_day=DAY - 100,
    expires_day=DAY + 630,
    standard="YY 0469",
    edition="2011",
    certificate=2,
    sterile=False,
    directed_to=(),
    related_to=(),
    frozen=False,
)
ANY = Lane("any", None, WUHAN, individuals=False)


def judged(need=NEED, lot=LOT, lanes=(ANY,), policy=None):
    problem = make_problem(
        "p",
        day=DAY,
        needs=[need],
        lots=[lot],
        lanes=lanes,
        policy=policy or Policy(),
        catalogue=CATALOGUE,
    )
    pairs = judge_pairs(problem)
    code = REASONS[int(pairs.codes[0, 0])]
    plain = reason_against(problem, need=need, lot=lot)
    assert code == (plain or "eligible")
    return code, pairs


def test_the_base_pair_is_eligible_and_costs_its_distance_plus_one():
    code, pairs = judged()
    assert code == REASONS[ELIGIBLE]
    assert pairs.transport[0, 0] == pairs.km[0, 0] + 1
    assert pairs.life[0] == 630


@pytest.mark.parametrize(
    ("need", "lot", "reason"),
    [
        ({}, {"item": "goggles"}, "class.different"),
        (
            {},
            {"item": "mask_medical", "standard": "YY/T 0969", "edition": "2013"},
            "substitute.not_allowed",
        ),
        (
            {"accepts_substitutes": False},
            {"item": "mask_protective", "standard": "GB 19083", "edition": "2010"},
            "substitute.not_allowed",
        ),
        ({}, {"frozen": True}, "lot.frozen"),
        ({}, {"related_to": ("h",)}, "donor.related_party"),
        ({}, {"directed_to": ("other",)}, "donor.directed_elsewhere"),
        ({}, {"standard": None, "edition": None}, "standard.not_declared"),
        ({}, {"edition": "2010"}, "standard.edition_unknown"),
        ({}, {"edition": "2004"}, "standard.edition_not_valid_at_production"),
        ({}, {"edition": "2023"}, "standard.edition_not_valid_at_production"),
        ({}, {"certificate": 1}, "certificate.too_low"),
        ({"sterile": True}, {}, "sterile.required"),
        ({}, {"donor_kind": "individual"}, "lane.individuals_refused"),
        ({"deadline_day": DAY + 1}, {}, "deadline.missed"),
        ({}, {"available_day": DAY + 7}, "deadline.missed"),
        ({}, {"expires_day": DAY + 100}, "shelf_life.too_short"),
    ],
)
def test_each_reason_against_is_given(need, lot, reason):
    assert judged(replace(NEED, **need), replace(LOT, **lot))[0] == reason


def test_an_edition_older_than_the_one_named_is_refused_and_a_newer_one_serves():
    old = {"edition": "2004", "produced_day": 15_000, "expires_day": DAY + 630}
    assert judged(lot=replace(LOT, **old))[0] == "standard.edition_older_than_named"
    assert judged(replace(NEED, edition=None), replace(LOT, **old))[0] == "eligible"
    assert judged(replace(NEED, edition="2004"))[0] == "eligible"


def test_a_named_standard_holds_for_goods_that_come_under_the_same_words():
    need = replace(NEED, items=("mask_protective", "mask_n95"), standard="GB 19083", edition="2010")
    n95 = replace(LOT, item="mask_n95", standard="GB 2626", edition="2006")
    assert judged(need, n95)[0] == "standard.other_than_named"
    assert judged(replace(need, standard=None, edition=None), n95)[0] == "eligible"


def test_a_higher_grade_may_serve_at_a_penalty():
    code, pairs = judged(
        lot=replace(LOT, item="mask_protective", standard="GB 19083", edition="2010")
    )
    assert code == "eligible"
    assert pairs.transport[0, 0] == pairs.km[0, 0] + 1 + 300


def test_a_lane_is_needed_from_another_province_and_not_from_the_same():
    assert judged(lanes=())[0] == "lane.none"
    assert judged(lot=replace(LOT, place=PLACES[1]), lanes=())[0] == "eligible"
    assert judged(lanes=(Lane("x", "四川", WUHAN, individuals=True),))[0] == "lane.none"


def test_goods_go_on_inside_the_province_by_the_written_rule():
    yichang = replace(NEED, place=PLACES[2])
    code, pairs = judged(yichang)
    assert code == "eligible"
    direct = judged()[1].km[0, 0]
    assert pairs.km[0, 0] > direct
    assert judged(yichang, policy=Policy(onward_provinces=()))[0] == "lane.none"
    late = replace(yichang, deadline_day=DAY + 2)
    assert judged(late)[0] == "deadline.missed"
    assert judged(late, policy=Policy(km_per_day=1200))[0] == "eligible"


def test_dn_8_goods_that_live_half_a_year_need_half_the_remaining_life():
    short = replace(LOT, produced_day=DAY - 10, expires_day=DAY + 173)
    assert judged(lot=short)[0] == "eligible"
    assert judged(lot=replace(short, expires_day=DAY + 174))[0] == "shelf_life.too_short"


def test_durable_goods_never_lack_shelf_life():
    goggles = replace(LOT, item="goggles", standard=None, edition=None, expires_day=None)
    need = replace(NEED, items=("goggles",), standard=None, edition=None)
    assert judged(need, goggles)[0] == "eligible"
    assert isinstance(goggles.place, Place)
