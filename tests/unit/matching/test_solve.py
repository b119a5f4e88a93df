"""The solver: exact, deterministic, within its limits."""

import operator
from dataclasses import replace

import pytest

from ledger.core.errors import LimitError
from ledger.core.report import Verdict
from matching.candidates import judge_pairs
from matching.check import check_plan
from matching.engine import simplex
from matching.problem import Policy, make_problem
from matching.solve import SOLVER, solve
from matching.testing import LANES, random_problem


def only(problem, *, needs, lots):
    return make_problem(
        "x",
        day=problem.day,
        needs=needs,
        lots=lots,
        lanes=LANES,
        policy=problem.policy,
        catalogue=problem.catalogue,
    )


def test_the_same_problem_gives_the_same_bytes():
    problem = random_problem("twice", needs=20, lots=20)
    first, second = solve(problem), solve(problem)
    assert first.plan.digest() == second.plan.digest()
    assert first.certificate.digest() == second.certificate.digest()
    assert SOLVER in first.plan.solver


@pytest.mark.parametrize("side", ["needs", "lots"])
def test_a_round_with_one_side_empty_has_an_empty_optimal_plan(side):
    base = random_problem("empty", needs=5, lots=5)
    problem = only(base, **({"needs": base.needs, "lots": base.lots} | {side: ()}))
    solution = solve(problem)
    assert solution.plan.flows == ()
    report = check_plan(problem, solution.plan, solution.certificate)
    assert report.verdict is Verdict.PASSED


def test_huge_quantities_stay_exact():
    base = random_problem("huge", needs=6, lots=6)
    problem = only(
        base,
        needs=[replace(need, quantity=10**12 - need.tier) for need in base.needs],
        lots=[replace(lot, quantity=10**12) for lot in base.lots],
    )
    solution = solve(problem)
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED


def test_sums_that_no_document_holds_are_refused_by_name():
    base = random_problem("huge", needs=60, lots=60)
    problem = only(
        base,
        needs=[replace(need, quantity=10**12) for need in base.needs],
        lots=[replace(lot, quantity=10**12) for lot in base.lots],
    )
    with pytest.raises(LimitError) as fault:
        solve(problem)
    assert fault.value.error_code == "matching.too_large"


def test_weights_that_would_pass_63_bits_give_way_to_level_by_level_and_then_to_a_refusal():
    problem = random_problem("overflow", needs=60, lots=60, policy=Policy(segments=100))
    judged = judge_pairs(problem)
    heavy = replace(judged, transport=judged.transport * 10**9)
    solution = solve(problem, candidates=heavy)
    report = check_plan(problem, solution.plan, solution.certificate, candidates=heavy)
    assert report.verdict is Verdict.PASSED
    light = solve(problem, candidates=judged).plan.objective
    assert solution.plan.objective.transport == light.transport * 10**9
    assert solution.plan.objective.unserved_by_rank == light.unserved_by_rank
    with pytest.raises(LimitError) as fault:
        solve(problem, candidates=replace(judged, transport=judged.transport * 10**14))
    assert fault.value.error_code == "matching.weights_overflow"


def test_nobody_gets_a_second_share_before_others_get_their_first():
    base = random_problem("fair", needs=1, lots=1)
    need = replace(
        base.needs[0],
        items=("cap",),
        quantity=100,
        tier=0,
        standard=None,
        edition=None,
        sterile=False,
        certificate_min=0,
        remaining_days_min=0,
        deadline_day=base.day + 30,
    )
    lot = replace(
        base.lots[0],
        item="cap",
        quantity=100,
        donor_kind="organisation",
        standard=None,
        edition=None,
        directed_to=(),
        related_to=(),
        frozen=False,
        expires_day=None,
    )
    needs = [replace(need, id=f"n{k}", hospital=f"h{k}") for k in range(4)]
    solution = solve(only(base, needs=needs, lots=[lot]))
    got = {need.id: 0 for need in needs}
    for flow in solution.plan.flows:
        got[flow.need] += flow.quantity
    # 100 units over four equal needs in ten segments: two segments each, half of them a third.
    assert sum(got.values()) == 100
    assert min(got.values()) >= 20
    assert max(got.values()) <= 30


def test_a_critical_need_goes_before_any_number_of_normal_ones():
    base = random_problem("tier", needs=1, lots=1)
    common = {
        "items": ("cap",),
        "standard": None,
        "edition": None,
        "sterile": False,
        "certificate_min": 0,
        "remaining_days_min": 0,
        "deadline_day": base.day + 30,
    }
    far = replace(base.needs[0], id="far", hospital="h-far", tier=0, quantity=10, **common)
    near = [
        replace(base.needs[0], id=f"near{k}", hospital=f"h{k}", tier=2, quantity=10, **common)
        for k in range(9)
    ]
    lot = replace(
        base.lots[0],
        item="cap",
        quantity=10,
        donor_kind="organisation",
        standard=None,
        edition=None,
        directed_to=(),
        related_to=(),
        frozen=False,
        expires_day=None,
    )
    plan = solve(only(base, needs=[far, *near], lots=[lot])).plan
    assert [(flow.need, flow.quantity) for flow in plan.flows] == [("far", 10)]
    assert plan.objective.unserved_by_tier == (0, 0, 90)


@pytest.mark.parametrize("seconds", [-1.0, 0.0])
def test_a_table_solved_out_of_time_has_a_plan_and_a_gap_that_holds(monkeypatch, seconds):
    # The clock is looked at after so many pivots, which end any small round.
    monkeypatch.setattr(simplex, "_PIVOTS_A_STEP", 1)
    gaps = 0
    for seed in range(12):
        problem = random_problem(f"late-{seed}", needs=20, lots=15)
        best, late = solve(problem).plan.objective.vector(), solve(problem, seconds=seconds)
        report = check_plan(problem, late.plan, late.certificate)
        assert report.verdict is Verdict.PASSED
        found, gap = late.plan.objective.vector(), late.certificate.gap
        if gap is None:
            assert found == best
            continue
        gaps += 1
        assert report.checks[-1].code == "certificate.gap"
        assert tuple(map(operator.sub, found, gap)) <= best <= found
    assert gaps


def test_a_limit_that_is_not_reached_changes_no_byte():
    problem = random_problem("in time", needs=60, lots=50)
    plain, limited = solve(problem), solve(problem, seconds=10_000.0)
    assert limited.plan.packed() == plain.plan.packed()
    assert limited.certificate.packed() == plain.certificate.packed()


@pytest.mark.parametrize("levels", range(4))
def test_level_by_level_out_of_time_keeps_what_the_ended_levels_prove(monkeypatch, levels):
    """`levels` of the three end in time; those are exact, and the rest is a bound."""
    problem = random_problem("late levels", needs=30, lots=30, policy=Policy(segments=100))
    judged = judge_pairs(problem)
    heavy = replace(judged, transport=judged.transport * 10**9)
    best = solve(problem, candidates=heavy)
    run, seen = simplex.Simplex.run, []

    def in_time(self, *, until=None, pivots_max=None):
        seen.append(self)
        ended = sum(one is self for one in seen) <= levels
        return run(self, until=None) if ended else run(self, until=until, pivots_max=0)

    monkeypatch.setattr(simplex.Simplex, "run", in_time)
    late = solve(problem, candidates=heavy, seconds=10_000.0)
    report = check_plan(problem, late.plan, late.certificate, candidates=heavy)
    assert report.verdict is Verdict.PASSED
    gap = late.certificate.gap
    if levels == 3:
        assert gap is None
        assert late.plan.objective == best.plan.objective
        return
    value = best.plan.objective.vector()
    assert gap is not None
    assert late.plan.objective.vector()[:levels] == value[:levels]
    assert gap[:levels] == (0,) * levels
    assert tuple(map(operator.sub, late.plan.objective.vector(), gap)) <= value
