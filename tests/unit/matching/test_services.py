"""Services are offered and needed like goods; remote ones need no carrier."""

from dataclasses import replace

import pytest

from ledger.core.errors import InputError
from ledger.core.report import Verdict
from matching.candidates import REASONS, judge_pairs, reason_against
from matching.catalogue import load_catalogue, parse_catalogue, read_item
from matching.check import check_plan
from matching.problem import Resource, make_problem, problem_from_json
from matching.services import with_services
from matching.shared_capacity import solve_limited
from matching.solve import solve, solve_priced
from matching.testing import PLACES, random_problem

CATALOGUE = with_services(load_catalogue())
SERVICES = (
    "service_design",
    "service_simulation",
    "service_experiment",
    "service_processing",
    "service_procurement",
)
CHENGDU = PLACES[4]


def service_round(*, lanes=True, hours=10, resource=False):
    """A need for each service in Wuhan and one offer of each from Chengdu."""
    plain = random_problem("services", needs=1, lots=1)
    need = replace(
        plain.needs[0],
        standard=None,
        edition=None,
        certificate_min=0,
        sterile=False,
        remaining_days_min=0,
        accepts_substitutes=False,
        deadline_day=plain.day + 10,
        place=PLACES[0],
    )
    lot = replace(
        plain.lots[0],
        donor_kind="organisation",
        quantity=hours,
        place=CHENGDU,
        available_day=plain.day + 1,
        produced_day=plain.day + 1,
        expires_day=None,
        standard=None,
        edition=None,
        directed_to=(),
        related_to=(),
        frozen=False,
    )
    shared = {"resource": "engineers", "per_unit": 2} if resource else {}
    return make_problem(
        "services",
        day=plain.day,
        needs=[replace(need, id=f"n-{name}", items=(name,), quantity=8) for name in SERVICES],
        lots=[replace(lot, id=f"l-{name}", item=name, **shared) for name in SERVICES],
        lanes=plain.lanes if lanes else (),
        policy=plain.policy,
        catalogue=CATALOGUE,
        resources=[Resource("engineers", "service", 30)] if resource else [],
    )


def served(problem, plan):
    got = dict.fromkeys(SERVICES, 0)
    for flow in plan.flows:
        got[flow.need.removeprefix("n-")] += flow.quantity
    return got


def test_every_service_the_issue_names_is_matched_and_proven():
    problem = service_round()
    solution = solve(problem)
    assert served(problem, solution.plan) == dict.fromkeys(SERVICES, 8)
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED


def test_without_a_carrier_only_remote_services_arrive():
    problem = service_round(lanes=False)
    got = served(problem, solve(problem).plan)
    assert {name for name in SERVICES if not got[name]} == {
        "service_experiment",
        "service_processing",
    }
    judged = judge_pairs(problem)
    for row, need in enumerate(problem.needs):
        for column, lot in enumerate(problem.lots):
            plain = reason_against(problem, need=need, lot=lot)
            assert REASONS[int(judged.codes[row, column])] == (plain or "eligible")


def test_the_search_without_a_table_finds_the_same():
    for lanes in (True, False):
        problem = service_round(lanes=lanes)
        plan, certificate = solve_priced(problem)
        assert plan.objective == solve(problem).plan.objective
        assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED


def test_a_remote_service_costs_no_distance():
    problem = service_round()
    judged = judge_pairs(problem)
    names = [need.items[0] for need in problem.needs]
    row = names.index("service_design")
    assert int(judged.km[row, row]) == 0
    other = names.index("service_experiment")
    assert int(judged.km[other, other]) > 500


def test_one_team_does_several_services_and_no_more_than_it_can():
    problem = service_round(resource=True)
    solution = solve_limited(problem)
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
    assert sum(served(problem, solution.plan).values()) * 2 <= 30
    assert solution.certificate.gap is not None
    assert problem_from_json(problem.as_json()) == problem


def test_a_service_is_read_from_what_people_write():
    assert read_item("仿真分析", catalogue=CATALOGUE).items == ("service_simulation",)
    with pytest.raises(InputError):
        read_item("仿真分析", catalogue=load_catalogue())


def test_goods_are_read_and_judged_as_before():
    plain = load_catalogue()
    assert plain.items.keys() == CATALOGUE.items.keys() - set(SERVICES)
    assert plain.digest() != CATALOGUE.digest()
    assert not any(item.remote for item in plain.items.values())


def test_a_class_that_is_remote_in_part_is_refused():
    source = dict(CATALOGUE.source)
    rows = [dict(row) for row in source["items"]]
    rows[-1]["class"] = "service_experiment"
    with pytest.raises(InputError) as fault:
        parse_catalogue(source | {"items": rows})
    assert fault.value.error_code == "catalogue.invalid"
