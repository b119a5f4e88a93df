"""Packs, smallest lines, donors' limits, shared resources: plans keep them, and the gap is a true bound."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import InputError
from ledger.core.report import Verdict
from matching import relaxation
from matching.candidates import ELIGIBLE, judge_pairs
from matching.check import check_plan
from matching.engine import simplex
from matching.explain import explain
from matching.explain_texts import LIMITED, OUTBID
from matching.pallets_check import limit_fault, receivers_charges
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import Lot, Resource, make_problem, problem_from_json
from matching.receivers import receivers_of
from matching.shared_capacity import solve_limited
from matching.solve import solve
from matching.testing import DAY, LINE, WUHAN, random_limited_problem, random_problem


def rebuilt(problem, lots, resources=()):
    return make_problem(
        problem.id,
        day=problem.day,
        needs=problem.needs,
        lots=lots,
        lanes=problem.lanes,
        policy=problem.policy,
        catalogue=problem.catalogue,
        resources=resources,
    )


def units_of(problem, plan):
    served = np.zeros((len(problem.needs), len(problem.lots)), dtype=np.int64)
    rows = {need.id: row for row, need in enumerate(problem.needs)}
    columns = {lot.id: column for column, lot in enumerate(problem.lots)}
    for flow in plan.flows:
        served[rows[flow.need], columns[flow.lot]] = flow.quantity
    return served


@pytest.mark.parametrize("seed", range(10))
def test_a_limited_round_is_solved_checked_and_never_called_optimal_with_a_gap(seed):
    problem = random_limited_problem(f"all-{seed}")
    solution = solve_limited(problem)
    report = check_plan(problem, solution.plan, solution.certificate)
    assert report.verdict is Verdict.PASSED
    codes = [check.code for check in report.checks]
    assert "plan.limits" in codes
    if solution.certificate.gap is None:
        assert "certificate.optimal" in codes
    else:
        assert solution.certificate.gap >= (0, 0, 0)
        assert "certificate.optimal" not in codes
        assert codes[-1] == "certificate.gap"


def weight_of(problem, got):
    """Level one of any plan, added up plainly."""
    classes = {item.id: item.item_class for item in problem.catalogue.items.values()}
    total, unmet = {}, {}
    for need, units in zip(problem.needs, got, strict=True):
        key = (need.hospital, classes[need.items[0]], need.tier)
        total[key] = total.get(key, 0) + need.quantity
        unmet[key] = unmet.get(key, 0) + need.quantity - units
    segments, found = problem.policy.segments, 0
    for key, left in unmet.items():
        for step in range(segments):
            low, high = (total[key] * cut // segments for cut in (step, step + 1))
            rank = (2 - key[2]) * segments + step + 1
            found += rank * max(0, min(left, high) - low)
    return found


def best_weight(problem):
    """The least level one of all plans that keep every limit, by trying all; None where they are too many."""
    judged = judge_pairs(problem)
    arcs = [(int(j), int(i)) for j, i in zip(*np.nonzero(judged.codes == ELIGIBLE), strict=True)]
    limits = [min(problem.needs[j].quantity, problem.lots[i].quantity) for j, i in arcs]
    size = 1
    for limit in limits:
        size *= limit + 1
    if size > 20_000:
        return None
    best = None
    for amounts in itertools.product(*(range(limit + 1) for limit in limits)):
        served = np.zeros(judged.codes.shape, dtype=np.int64)
        for (j, i), units in zip(arcs, amounts, strict=True):
            served[j, i] = units
        got = served.sum(axis=1).tolist()
        if (
            all(units <= need.quantity for units, need in zip(got, problem.needs, strict=True))
            and all(
                units <= lot.quantity
                for units, lot in zip(served.sum(axis=0), problem.lots, strict=True)
            )
            and limit_fault(problem, served=served) is None
        ):
            weight = weight_of(problem, got)
            best = weight if best is None else min(best, weight)
    return best


def test_the_bound_is_below_the_true_optimum_and_the_plan_is_not():
    tried = reached = 0
    for seed in range(30):
        problem = random_limited_problem(f"tiny-{seed}", needs=3, lots=3, units=4)
        problem = replace(
            problem, resources=tuple(replace(r, capacity=6) for r in problem.resources)
        )
        best = best_weight(problem)
        if best is None:
            continue
        solution = solve_limited(problem)
        weight = solution.plan.objective.weight()
        gap, scale = solution.certificate.gap, solution.certificate.scale
        bound = weight * scale - (0 if gap is None else gap[0])
        assert bound <= best * scale
        assert best <= weight
        tried += 1
        reached += best == weight
    assert tried >= 15
    # Rounding is good on small rounds: most of them it solves.
    assert reached * 10 >= tried * 7


def test_shared_resources_alone_are_bounded_closely():
    gaps = []
    for seed in range(8):
        problem = random_limited_problem(f"line-{seed}", kinds=("resource",), needs=30, lots=12)
        problem = replace(problem, resources=(replace(LINE, capacity=150),))
        solution = solve_limited(problem)
        assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
        gap = solution.certificate.gap
        gaps.append(0 if gap is None else gap[0] / solution.certificate.scale)
        # The plan puts tiers first, the bound counts ranks: where they disagree, that is in the gap.
        assert gaps[-1] <= solution.plan.objective.weight() / 20
    assert any(gaps)


def scarce(*, cap_id, limits):
    """One pair of goggles for a critical need, or a hundred caps for a normal one, and not both."""
    base = random_limited_problem("scarce", needs=2, lots=2)
    need = base.needs[0]
    plain = {"standard": None, "edition": None, "certificate_min": 0, "sterile": False}
    wants = replace(
        need, deadline_day=DAY + 30, place=WUHAN, remaining_days_min=0, quantity=1, tier=0, **plain
    )
    goods = Lot(
        id="l1",
        donor="d",
        donor_kind="organisation",
        item="goggles",
        quantity=1,
        place=WUHAN,
        available_day=DAY,
        produced_day=DAY,
        expires_day=None,
        standard=None,
        edition=None,
        certificate=2,
        sterile=True,
        directed_to=(),
        related_to=(),
        frozen=False,
        resource=LINE.id if limits == "resource" else None,
        per_unit=60 if limits == "resource" else 0,
    )
    caps = replace(goods, id=cap_id, item="cap", quantity=60)
    lots = [goods, replace(caps, per_unit=1)]
    if limits == "receivers":
        lots = [replace(caps, receivers_max=1)]
    first = "goggles" if limits == "resource" else "cap"
    needs = [
        replace(wants, id="n1", hospital="h1", items=(first,)),
        replace(wants, id="n2", hospital="h2", items=("cap",), quantity=60, tier=2),
    ]
    resources = [LINE] if limits == "resource" else []
    return make_problem(
        "scarce",
        day=DAY,
        needs=needs,
        lots=lots,
        lanes=base.lanes,
        policy=base.policy,
        catalogue=base.catalogue,
        resources=resources,
    )


@pytest.mark.parametrize("limits", ["resource", "receivers"])
@pytest.mark.parametrize("cap_id", ["l0", "l2"])
def test_no_number_of_normal_units_takes_a_line_from_one_critical_need(limits, cap_id):
    problem = scarce(cap_id=cap_id, limits=limits)
    solution = solve_limited(problem)
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
    assert [flow.need for flow in solution.plan.flows] == ["n1"]
    assert solution.plan.objective.unserved_by_tier == (0, 0, 60)
    # By ranks alone the sixty would count more; the gap says so, and nothing is called optimal.
    assert solution.certificate.gap is not None


def test_prices_of_resources_tighten_the_bound():
    problem = random_limited_problem("line-3", kinds=("resource",), needs=30, lots=12)
    problem = replace(problem, resources=(replace(LINE, capacity=40),))
    solution = solve_limited(problem)
    scale = solution.certificate.scale
    bound = solution.plan.objective.weight() * scale - solution.certificate.gap[0]
    assert bound > solve(problem).plan.objective.weight() * scale


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pack", "pack"),
        ("smallest", "smaller"),
        ("receivers", "hospitals"),
        ("resource", "capacity"),
    ],
)
def test_the_flow_that_ignores_a_limit_is_rejected(kind, said):
    for seed in range(20):
        problem = random_limited_problem(f"ignored-{seed}", kinds=(kind,))
        free = solve(problem)
        report = check_plan(problem, free.plan, free.certificate)
        if limit_fault(problem, served=units_of(problem, free.plan)) is not None:
            failed = [check for check in report.checks if check.verdict is Verdict.FAILED]
            assert [check.code for check in failed] == ["plan.limits"]
            assert said in failed[0].summary_en
            return
    pytest.fail("no instance breaks the limit")


def test_every_changed_word_of_prices_and_gap_is_rejected_or_still_a_bound():
    problem = random_limited_problem("forged", kinds=("resource",), needs=20)
    solution = solve_limited(problem)
    plan, certificate = solution.plan, solution.certificate
    assert certificate.gap is not None
    for level in range(3):
        for step in (-1, 1):
            gap = list(certificate.gap)
            gap[level] += step
            forged = replace(certificate, gap=tuple(gap))
            assert check_plan(problem, plan, forged).verdict is Verdict.FAILED
    cheaper = {name: (price[0] - 1, *price[1:]) for name, price in certificate.resources.items()}
    dearer = {name: (price[0] + 1, *price[1:]) for name, price in certificate.resources.items()}
    for resources in (cheaper, dearer, {}):
        forged = replace(certificate, resources=resources)
        assert check_plan(problem, plan, forged).verdict is Verdict.FAILED
    assert check_plan(problem, plan, replace(certificate, scale=1)).verdict is Verdict.FAILED
    # Without its gap it would claim to be optimal.
    assert check_plan(problem, plan, replace(certificate, gap=None)).verdict is Verdict.FAILED


def test_problem_plan_and_certificate_of_a_limited_round_read_back():
    problem = random_limited_problem("again")
    solution = solve_limited(problem)
    again = problem_from_json(canonical_parse(canonical_bytes(problem.as_json())))
    assert again == problem
    assert again.as_json()["v"] == "fuqi/problem/v2"
    plan = plan_from_json(canonical_parse(canonical_bytes(solution.plan.as_json())))
    proof = certificate_from_json(canonical_parse(canonical_bytes(solution.certificate.as_json())))
    assert check_plan(again, plan, proof).verdict is Verdict.PASSED


def test_a_round_without_limits_stays_version_one_and_is_solved_as_ever():
    problem = random_problem("plain", needs=10, lots=8)
    assert problem.as_json()["v"] == "fuqi/problem/v1"
    assert "pack" not in problem.as_json()["lots"][0]
    assert solve_limited(problem).plan == solve(problem).plan


def test_limits_that_do_not_bind_leave_the_optimum_proven():
    problem = random_problem("loose", needs=10, lots=8)
    roomy = rebuilt(problem, [replace(lot, receivers_max=50) for lot in problem.lots])
    solution = solve_limited(roomy)
    assert solution.certificate.gap is None
    assert check_plan(roomy, solution.plan, solution.certificate).verdict is Verdict.PASSED


def test_nobody_in_a_round_with_a_gap_is_told_that_more_was_impossible():
    problem = random_limited_problem("told")
    solution = solve_limited(problem)
    assert solution.certificate.gap is not None
    found = explain(problem, solution.plan, solution.certificate, candidates=solution.candidates)
    reasons = {outcome.reason for outcome in found.needs}
    assert LIMITED in reasons
    assert OUTBID not in reasons


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"pack": 0}, "offer.pack"),
        ({"pack": 10**6}, "offer.pack"),
        ({"smallest": 0}, "offer.pack"),
        ({"receivers_max": 0}, "offer.receivers_max"),
        ({"resource": "line-1"}, "offer.resource"),
        ({"per_unit": 3}, "offer.resource"),
        ({"resource": "nobody", "per_unit": 3}, "resource.unknown"),
    ],
)
def test_limits_that_contradict_themselves_are_refused(change, code):
    problem = random_problem("refused", needs=2, lots=2)
    with pytest.raises(InputError) as fault:
        rebuilt(problem, [replace(problem.lots[0], **change)])
    assert fault.value.error_code == code


def test_a_resource_of_no_known_kind_is_refused():
    problem = random_problem("refused", needs=2, lots=2)
    with pytest.raises(InputError) as fault:
        rebuilt(problem, problem.lots, [Resource("r", "idea", 5)])
    assert fault.value.error_code == "resource.invalid"


@pytest.mark.parametrize("seed", range(6))
def test_a_limited_round_out_of_time_has_a_plan_that_keeps_its_limits_and_a_gap(monkeypatch, seed):
    problem = random_limited_problem(f"late-{seed}")
    best = solve_limited(problem)
    monkeypatch.setattr(simplex, "_PIVOTS_A_STEP", 1)
    late = solve_limited(problem, seconds=-1.0)
    report = check_plan(problem, late.plan, late.certificate)
    assert report.verdict is Verdict.PASSED
    assert [check.code for check in report.checks][-1] == "certificate.gap"
    scale, gap = late.certificate.scale, late.certificate.gap
    bound = [
        scale * value - part for value, part in zip(late.plan.objective.vector(), gap, strict=True)
    ]
    assert bound <= [scale * value for value in best.plan.objective.vector()]


def test_a_limit_of_time_that_is_not_reached_changes_no_byte_of_a_limited_round():
    problem = random_limited_problem("in time")
    plain, limited = solve_limited(problem), solve_limited(problem, seconds=10_000.0)
    assert limited.plan.packed() == plain.plan.packed()
    assert limited.certificate.packed() == plain.certificate.packed()


def receivers_round(seed, **sizes):
    return random_limited_problem(seed, kinds=("receivers",), **({"needs": 30, "lots": 20} | sizes))


def gap_share(problem, solution):
    """The gap at level one as a part of the plan's unserved weight."""
    proof = solution.certificate
    weight = solution.plan.objective.weight()
    return 0.0 if proof.gap is None else proof.gap[0] / proof.scale / weight


def test_donors_that_split_to_few_hospitals_are_bounded_closely():
    shares = []
    for seed in range(8):
        problem = receivers_round(f"r{seed}")
        solution = solve_limited(problem)
        assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
        shares.append(gap_share(problem, solution))
    # The flow alone knows nothing of that limit: its bound is more than half the weight away.
    assert max(shares) < 0.25
    assert sum(shares) < 8 * 0.15
    problem = receivers_round("r2")
    assert gap_share(problem, without_prices(problem)) > 0.5


def without_prices(problem):
    """The same round with the bound of the flow without limits, which the checker accepts as well."""
    solution = solve_limited(problem)
    free = solve(problem).certificate
    primal, dual = solution.plan.objective.vector(), solve(problem).plan.objective.vector()
    gap = tuple(mine - least for mine, least in zip(primal, dual, strict=True))
    proof = replace(free, plan=solution.plan.digest().hex(), gap=gap)
    assert check_plan(problem, solution.plan, proof).verdict is Verdict.PASSED
    return replace(solution, certificate=proof)


def test_the_bound_of_receivers_is_never_above_the_true_optimum():
    tried = reached = 0
    for seed in range(25):
        problem = receivers_round(f"tiny-{seed}", needs=4, lots=3, units=4)
        best = best_weight(problem)
        if best is None:
            continue
        solution = solve_limited(problem)
        proof, weight = solution.certificate, solution.plan.objective.weight()
        bound = weight * proof.scale - (0 if proof.gap is None else proof.gap[0])
        assert bound <= best * proof.scale
        assert best <= weight
        tried += 1
        # A whole plan's weight is whole.
        reached += -(-bound // proof.scale) == best
    assert tried >= 15
    assert reached * 10 >= tried * 8


def test_no_changed_price_of_a_donor_passes():
    problem = receivers_round("r2")
    solution = solve_limited(problem)
    plan, proof = solution.plan, solution.certificate
    assert proof.donors
    assert all(price > 0 for price in proof.donors.values())
    for name, price in proof.donors.items():
        for other in (price - 1, price + 1, -price, 0, 1 << 61):
            forged = replace(proof, donors=proof.donors | {name: other})
            assert check_plan(problem, plan, forged).verdict is Verdict.FAILED
    for donors in ({}, proof.donors | {"nobody": 1}):
        forged = replace(proof, donors=donors)
        assert check_plan(problem, plan, forged).verdict is Verdict.FAILED
    # Dearer donors with a gap that fits would be a bound above every plan.
    dear = {name: 2 * price for name, price in proof.donors.items()}
    better = (0, *proof.gap[1:])
    forged = replace(proof, donors=dear, gap=better)
    assert check_plan(problem, plan, forged).verdict is Verdict.FAILED
    # Prices of donors bound a plan and never prove it best.
    assert check_plan(problem, plan, replace(proof, gap=None)).verdict is Verdict.FAILED
    again = certificate_from_json(canonical_parse(canonical_bytes(proof.as_json())))
    assert again == proof


@pytest.mark.parametrize("seed", range(6))
def test_solver_and_checker_charge_receivers_alike_by_rules_written_twice(seed):
    problem = random_limited_problem(f"charge-{seed}", kinds=("receivers", "pack"), needs=25)
    judged = judge_pairs(problem)
    receivers = receivers_of(problem, judged)
    assert receivers.donors
    prices = {name: 1_000_003 * (at + 1) for at, name in enumerate(receivers.donors)}
    rows, columns = np.nonzero(judged.codes == ELIGIBLE)
    mine = receivers.charges(prices, needs=rows, lots=columns)
    checked = receivers_charges(problem, judged, prices)[rows, columns]
    assert mine.tolist() == checked.tolist()
    assert mine.any()


@pytest.mark.parametrize("fault", ["too large", "unsolved"])
def test_without_a_relaxation_the_wider_bound_stands(monkeypatch, fault):
    problem = receivers_round("r2")
    if fault == "too large":
        monkeypatch.setattr(relaxation, "RECEIVERS_ARCS_MAX", 10)
    else:
        monkeypatch.setattr(
            relaxation, "linprog", lambda *_rest, **_options: SimpleNamespace(status=1)
        )
    solution = solve_limited(problem)
    assert not solution.certificate.donors
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
    assert gap_share(problem, solution) > 0.5


@pytest.mark.parametrize("times", [10**3, 10**6, 10**9])
@pytest.mark.parametrize("kinds", [("receivers",), ("receivers", "resource")])
def test_however_many_pieces_the_proof_of_a_limited_round_can_be_written_down(kinds, times):
    """Prices are written in ever coarser parts of a rank, so that every sum stays inside 2**53."""
    small = random_limited_problem("many", kinds=kinds, needs=30, lots=20)
    problem = make_problem(
        small.id,
        day=small.day,
        needs=[replace(need, quantity=need.quantity * times) for need in small.needs],
        lots=[replace(lot, quantity=lot.quantity * times) for lot in small.lots],
        lanes=small.lanes,
        policy=small.policy,
        catalogue=small.catalogue,
        resources=[replace(one, capacity=one.capacity * times) for one in small.resources],
    )
    solution = solve_limited(problem)
    proof = certificate_from_json(canonical_parse(solution.certificate.packed()))
    assert check_plan(problem, solution.plan, proof).verdict is Verdict.PASSED
    assert (proof.scale < relaxation.SCALE) == (times > 10**3)
    # Whole ranks for each unit are too coarse where a donor serves many; all finer ones keep the bound close.
    if proof.scale > 1:
        assert proof.donors
        assert gap_share(problem, solution) < 0.4
