"""Generated lots come from a written seed; explanations add up."""

from dataclasses import replace

import pytest

from ledger.core.errors import InputError
from matching.candidates import REASONS
from matching.catalogue import load_catalogue
from matching.explain import Filled, explain
from matching.explain_texts import NO_SUPPLY, TEXTS
from matching.generate import Seed, generate_lots, load_seed
from matching.solve import solve
from matching.testing import DAY, random_problem

CATALOGUE = load_catalogue()
DEMAND = {"coverall": (10_000, 60), "cap": (999, 8), "nebuliser_mask": (50, 3)}
HOSPITALS = ["b", "a", "c"]


def lots(**changes):
    arguments = {
        "seed": load_seed(),
        "demand": DEMAND,
        "hospitals": HOSPITALS,
        "catalogue": CATALOGUE,
        "day": DAY,
    }
    return generate_lots(**(arguments | changes))


def test_the_same_seed_gives_the_same_lots_whatever_the_order_of_hospitals():
    assert lots() == lots(hospitals=sorted(HOSPITALS))


def test_another_seed_gives_other_lots():
    other = Seed(load_seed().source | {"seed": "another"})
    assert lots(seed=other) != lots()
    assert other.digest() != load_seed().digest()


def test_supply_is_the_written_share_of_demand_to_the_unit():
    made = lots()
    assert sum(lot.quantity for lot in made) == 10_000 * 70 // 100 + 999 * 70 // 100


def test_items_without_supply_stay_without():
    assert not [lot for lot in lots() if lot.key.startswith("nebuliser_mask")]


def test_every_lot_says_that_it_is_generated():
    assert all("生成" in lot.donor_name for lot in lots())


def test_dates_are_in_order():
    for lot in lots():
        assert lot.produced_day <= DAY <= lot.available_day
        assert lot.expires_day is None or lot.expires_day > lot.produced_day


def test_a_seed_that_misses_a_field_is_refused():
    source = dict(load_seed().source)
    source.pop("cities")
    with pytest.raises(InputError) as fault:
        lots(seed=Seed(source))
    assert fault.value.error_code == "generate.seed_invalid"


def explained(seed, **sizes):
    problem = random_problem(seed, **({"needs": 12, "lots": 10} | sizes))
    solution = solve(problem)
    return (
        problem,
        solution,
        explain(problem, solution.plan, solution.certificate, candidates=solution.candidates),
    )


def test_every_unit_is_accounted_for_on_both_sides():
    for number in range(10):
        problem, solution, found = explained(f"units-{number}")
        moved = sum(flow.quantity for flow in solution.plan.flows)
        assert sum(outcome.served for outcome in found.needs) == moved
        for lot, outcome in zip(problem.lots, found.lots, strict=True):
            assert sum(line.quantity for line in outcome.lines) + outcome.left == lot.quantity
        for need, outcome in zip(problem.needs, found.needs, strict=True):
            full = outcome.served == need.quantity
            assert (outcome.state is Filled.FILLED) == full
            assert (outcome.reason is None) == full


def test_every_reason_has_words_in_both_languages():
    assert set(REASONS[1:]) < set(TEXTS)
    assert all(english and chinese for english, chinese in TEXTS.values())


def test_a_need_nobody_can_serve_says_what_came_nearest():
    problem, solution, found = explained("nearest", needs=40, lots=12)
    for row, outcome in enumerate(found.needs):
        if outcome.nearest_lot is None:
            continue
        column = [lot.id for lot in problem.lots].index(outcome.nearest_lot)
        assert REASONS[int(solution.candidates.codes[row, column])] == outcome.reason
        break
    else:
        pytest.fail("the instance has no such need")


def test_an_item_that_nobody_offers_is_called_so():
    problem, _, _ = explained("none")
    bare = replace(problem, lots=tuple(lot for lot in problem.lots if lot.item != "cap"))
    solution = solve(bare)
    found = explain(bare, solution.plan, solution.certificate, candidates=solution.candidates)
    reasons = {
        outcome.reason
        for need, outcome in zip(bare.needs, found.needs, strict=True)
        if need.items == ("cap",)
    }
    assert reasons == {NO_SUPPLY}


def test_the_summary_adds_up():
    problem, solution, found = explained("summary")
    tiers = found.summary["by_tier"].values()
    assert sum(row["wanted"] for row in tiers) == found.summary["units_wanted"]
    assert sum(row["served"] for row in tiers) == found.summary["units"]
    assert sum(found.summary["needs"].values()) == len(problem.needs)
    unserved = solution.plan.objective.unserved_by_tier
    assert [row["wanted"] - row["served"] for row in tiers] == list(unserved)
