"""Explanations of rounds small enough to be worked out by hand; the sums stand beside the figures."""

from dataclasses import replace

import pytest

from matching.catalogue import load_catalogue
from matching.explain import Filled, explain
from matching.explain_texts import BY_LEVEL, LIMITED, OUTBID, SATISFIED
from matching.problem import Lane, Lot, Need, Policy, make_problem
from matching.shared_capacity import solve_limited
from matching.testing import DAY, PLACES, WUHAN

NEED = Need(
    id="n",
    hospital="h",
    items=("goggles",),
    quantity=10,
    tier=0,
    deadline_day=DAY + 9,
    place=WUHAN,
    standard=None,
    edition=None,
    certificate_min=2,
    sterile=False,
    remaining_days_min=180,
    accepts_substitutes=True,
)
LOT = Lot(
    id="l",
    donor="d",
    donor_kind="organisation",
    item="goggles",
    quantity=10,
    place=WUHAN,
    available_day=DAY,
    produced_day=DAY - 200,
    expires_day=DAY + 630,
    standard=None,
    edition=None,
    certificate=2,
    sterile=False,
    directed_to=(),
    related_to=(),
    frozen=False,
)
GUANGZHOU = PLACES[3]
"""836 km away as the crow flies: two days."""


def explained(needs, lots, classes=None):
    problem = make_problem(
        "by-hand",
        day=DAY,
        needs=needs,
        lots=lots,
        lanes=[Lane("any", None, WUHAN, individuals=False)],
        policy=Policy(),
        catalogue=load_catalogue(),
    )
    solution = solve_limited(problem)
    return explain(
        problem,
        solution.plan,
        solution.certificate,
        candidates=solution.candidates,
        classes=classes,
    )


@pytest.mark.parametrize(
    ("need", "further", "nearer", "reason"),
    [
        # Arrival on DAY + 2 is a day late, on DAY + 7 six days.
        (
            {"deadline_day": DAY + 1},
            {"place": GUANGZHOU, "available_day": DAY + 5},
            {"place": GUANGZHOU},
            "deadline.missed",
        ),
        # The nearer one is farther away and there sooner: DAY + 2 against DAY + 4.
        (
            {"deadline_day": DAY + 1},
            {"available_day": DAY + 4},
            {"place": GUANGZHOU},
            "deadline.missed",
        ),
        # 180 days are wanted: 120 and 150 are left.
        ({}, {"expires_day": DAY + 120}, {"expires_day": DAY + 150}, "shelf_life.too_short"),
        # Half of 180 for goods that live 180 days in all: 50 lack 40, where 130 of a long life lack 50.
        (
            {},
            {"expires_day": DAY + 130},
            {"produced_day": DAY - 130, "expires_day": DAY + 50},
            "shelf_life.too_short",
        ),
        ({}, {"certificate": 0}, {"certificate": 1}, "certificate.too_low"),
        # What failed later came nearer, by however much.
        ({}, {"certificate": 1}, {"expires_day": DAY + 1}, "shelf_life.too_short"),
    ],
)
def test_the_nearest_miss_failed_last_and_by_the_least(need, further, nearer, reason):
    lots = [
        replace(LOT, id="a-further", **further),
        replace(LOT, id="b-nearer", **nearer),
        replace(LOT, id="c-frozen", frozen=True),
    ]
    (outcome,) = explained([replace(NEED, **need)], lots).needs
    assert (outcome.state, outcome.reason) == (Filled.NOT, reason)
    assert outcome.nearest_lot == "b-nearer"
    assert outcome.against["lot.frozen"] == 1
    assert sum(outcome.against.values()) == 3


def test_who_is_outbid_at_which_price():
    """19 pieces for 10 critical, 20 high and 10 normal ones; ten parts of 1, 2 and 1 pieces.

    Critical parts rank 30 to 21 and are all served. Of the high ones, which rank 20 to 11, nine pieces are: two
    at each of 20, 19, 18, 17 and one at 16. One piece more or less changes the value by 16: that is its price.
    """
    needs = [
        replace(NEED, id="critical", hospital="h1"),
        replace(NEED, id="high", hospital="h2", tier=1, quantity=20),
        replace(NEED, id="normal", hospital="h3", tier=2),
    ]
    found = explained(needs, [replace(LOT, quantity=19)])
    critical, high, normal = found.needs
    assert (critical.state, critical.served, critical.reason) == (Filled.FILLED, 10, None)
    assert (high.state, high.served, high.reason) == (Filled.PARTLY, 9, OUTBID)
    assert (high.claim, high.asked[0], high.shortage_price) == (16, 16, 16)
    # The first part of a normal need ranks 10.
    assert (normal.state, normal.served, normal.reason) == (Filled.NOT, 0, OUTBID)
    assert (normal.claim, normal.asked[0], normal.asked_lot) == (10, 16, "l")
    (lot,) = found.lots
    assert (lot.price, lot.left) == (16, 0)
    assert [(line.need, line.quantity) for line in lot.lines] == [("critical", 10), ("high", 9)]
    for line in lot.lines:
        # A piece moved to the normal need gives up 16 and gains 10.
        assert (line.instead, line.worse_by[0], line.reason) == ("normal", 6, BY_LEVEL[0])


def test_what_is_left_is_left_because_everybody_has_enough():
    found = explained([NEED], [replace(LOT, quantity=12)])
    assert (found.needs[0].state, found.needs[0].shortage_price) == (Filled.FILLED, 0)
    assert (found.lots[0].left, found.lots[0].reason, found.lots[0].price) == (2, SATISFIED, 0)


@pytest.mark.parametrize(
    ("limit", "served"),
    [
        # 10 are wanted and 12 there: one pack of 6, none of 12, and nothing below 11 at once.
        ({"pack": 6}, 6),
        ({"pack": 12}, 0),
        ({"smallest": 11}, 0),
    ],
)
def test_a_limit_that_stands_in_the_way_is_the_reason(limit, served):
    found = explained([NEED], [replace(LOT, quantity=12, **limit)])
    (need,), (lot,) = found.needs, found.lots
    assert (need.served, need.reason, need.asked) == (served, LIMITED, None)
    assert (lot.left, lot.reason) == (12 - served, LIMITED)


def test_fairness_of_three_hospitals():
    """Filled, half and nothing of ten each: 15 of 30, middle 500, Jain (1.5 ** 2) / (3 * 1.25) = 0.6."""
    needs = [replace(NEED, id=f"n{number}", hospital=f"h{number}") for number in range(3)]
    lots = [
        replace(LOT, id="all", quantity=10, directed_to=("h0",)),
        replace(LOT, id="half", quantity=5, directed_to=("h1",)),
    ]
    classes = {"h0": "front", "h1": "front"}
    rows = explained(needs, lots, classes=classes).summary["fairness"]
    (region,) = rows["regions"]
    figures = ("wanted", "served", "hospitals", "untouched", "least_permille", "median_permille")
    assert [region[name] for name in figures] == [30, 15, 3, 1, 0, 500]
    assert (region["fill_permille"], region["evenness_permille"]) == (500, 600)
    front, other = rows["classes"]
    # 1.5 ** 2 / (2 * 1.25) = 0.9
    assert (front["name"], front["served"], front["evenness_permille"]) == ("front", 15, 900)
    assert (other["name"], other["served"], other["untouched"]) == ("other", 0, 1)
