"""The checker accepts what is optimal and rejects every change that is not."""

from dataclasses import replace

import pytest

from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import InputError
from ledger.core.report import Verdict
from matching.candidates import judge_pairs
from matching.check import check_plan
from matching.plan import Certificate, Flow, certificate_from_json, plan_from_json
from matching.solve import solve
from matching.testing import random_problem

SEEDS = [str(number) for number in range(12)]


def solved(seed, **sizes):
    problem = random_problem(f"check-{seed}", **({"needs": 8, "lots": 12} | sizes))
    solution = solve(problem)
    return problem, solution.plan, solution.certificate


def rebound(plan, certificate):
    """A forger would also fix the digests."""
    return replace(certificate, plan=plan.digest().hex())


def recomputed(problem, plan, candidates=None):
    """A forger would also declare the objective his lines add up to."""
    report = check_plan(problem, plan, _dummy(plan), candidates=candidates)
    for check in report.checks:
        if check.code == "plan.objective" and check.verdict is Verdict.FAILED:
            value = plan.as_json() | {"objective": check.details["recomputed"]}
            return plan_from_json(value)
    return plan


def _dummy(plan):
    return rebound(plan, Certificate("", {}, {}, {}, {}))


def failed(report):
    return [check.code for check in report.checks if check.verdict is Verdict.FAILED]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_optimal_plan_is_accepted(seed):
    problem, plan, certificate = solved(seed)
    report = check_plan(problem, plan, certificate)
    assert report.verdict is Verdict.PASSED
    assert len(report.checks) == 7


def test_plan_and_certificate_read_back_from_canonical_bytes():
    problem, plan, certificate = solved("1")
    again = plan_from_json(canonical_parse(canonical_bytes(plan.as_json())))
    proof = certificate_from_json(canonical_parse(canonical_bytes(certificate.as_json())))
    assert check_plan(problem, again, proof).verdict is Verdict.PASSED


def _single_unit_changes(plan, problem):
    """Every plan that moves one unit more or less on one line, or opens a line of one unit."""
    lines = {(flow.need, flow.lot): flow.quantity for flow in plan.flows}
    for need in problem.needs:
        for lot in problem.lots:
            for step in (-1, 1):
                quantity = lines.get((need.id, lot.id), 0) + step
                if quantity < 0:
                    continue
                changed = dict(lines)
                changed[(need.id, lot.id)] = quantity
                yield replace(
                    plan,
                    flows=tuple(
                        Flow(*key, changed[key]) for key in sorted(changed) if changed[key]
                    ),
                )


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_every_single_unit_change_of_the_flow_is_rejected(seed):
    problem, plan, certificate = solved(seed)
    pairs = judge_pairs(problem)
    tried = 0
    for changed in _single_unit_changes(plan, problem):
        # As sent, and with everything a forger can recompute recomputed.
        honest = recomputed(problem, changed, pairs)
        for forged in (changed, honest):
            report = check_plan(problem, forged, rebound(forged, certificate), candidates=pairs)
            assert report.verdict is Verdict.FAILED
        tried += 1
    assert tried >= 96


def _price_changes(certificate):
    for table in ("roots", "groups", "needs", "lots"):
        prices = getattr(certificate, table)
        for key, price in prices.items():
            for level in range(3):
                for step in (-1, 1):
                    moved = list(price)
                    moved[level] += step
                    yield replace(certificate, **{table: dict(prices) | {key: tuple(moved)}})


def _still_optimal(problem, plan, certificate, pairs):
    """The definition, written a third time and plainly: complementary slackness on every arc."""
    classes = {item.id: item.item_class for item in problem.catalogue.items.values()}
    lines = {(flow.need, flow.lot): flow.quantity for flow in plan.flows}
    zero = (0, 0, 0)

    def reduced(cost, tail, head):
        return tuple(c + t - h for c, t, h in zip(cost, tail, head, strict=True))

    def holds(value, flow, room):
        return not (room and value < zero) and not (flow and value > zero)

    ok = True
    for j, need in enumerate(problem.needs):
        for i, lot in enumerate(problem.lots):
            if pairs.codes[j, i] == 0:
                cost = (0, int(pairs.transport[j, i]), int(pairs.life[i]))
                value = reduced(cost, certificate.lots[lot.id], certificate.needs[need.id])
                ok &= holds(value, lines.get((need.id, lot.id), 0), True)
    for lot in problem.lots:
        left = lot.quantity - sum(q for (_, name), q in lines.items() if name == lot.id)
        value = reduced(zero, certificate.lots[lot.id], certificate.roots[classes[lot.item]])
        ok &= holds(value, left, True)
    unmet = {}
    total = {}
    for need in problem.needs:
        key = (need.hospital, classes[need.items[0]], need.tier)
        left = need.quantity - sum(q for (name, _), q in lines.items() if name == need.id)
        unmet[key] = unmet.get(key, 0) + left
        total[key] = total.get(key, 0) + need.quantity
        value = reduced(zero, certificate.groups[key], certificate.needs[need.id])
        ok &= holds(value, left, True)
    segments = problem.policy.segments
    for key, left in unmet.items():
        rest = left
        for step in range(segments):
            size = total[key] * (step + 1) // segments - total[key] * step // segments
            flow = min(rest, size)
            rest -= flow
            cost = ((2 - key[2]) * segments + step + 1, 0, 0)
            value = reduced(cost, certificate.roots[key[1]], certificate.groups[key])
            ok &= holds(value, flow, flow < size)
    return ok


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_every_single_price_change_that_breaks_optimality_is_rejected(seed):
    problem, plan, certificate = solved(seed)
    pairs = judge_pairs(problem)
    broken = kept = 0
    for changed in _price_changes(certificate):
        verdict = check_plan(problem, plan, changed, candidates=pairs).verdict
        if _still_optimal(problem, plan, changed, pairs):
            # Another valid set of prices: optimal plans have many.
            assert verdict is Verdict.PASSED
            kept += 1
        else:
            assert verdict is Verdict.FAILED
            broken += 1
    assert broken > 0


def test_a_plan_that_is_only_feasible_is_rejected():
    problem, plan, certificate = solved("2")
    empty = recomputed(problem, replace(plan, flows=()))
    assert failed(check_plan(problem, empty, rebound(empty, certificate))) == [
        "certificate.optimal"
    ]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda p, c: (replace(p, problem="00" * 32), c), "plan.binding"),
        (lambda p, c: (p, replace(c, plan="00" * 32)), "plan.binding"),
        (lambda p, c: (replace(p, flows=(*p.flows, p.flows[-1])), None), "plan.eligible"),
        (lambda p, c: (replace(p, flows=p.flows[::-1]), None), "plan.eligible"),
        (lambda p, c: (replace(p, flows=(Flow("n000", "nobody", 1),)), None), "plan.eligible"),
        (
            lambda p, c: (replace(p, flows=(replace(p.flows[0], quantity=-1),)), None),
            "plan.eligible",
        ),
        (
            lambda p, c: (replace(p, objective=replace(p.objective, transport=1)), None),
            "plan.objective",
        ),
        (lambda p, c: (p, replace(c, lots=dict(list(c.lots.items())[1:]))), "certificate.complete"),
        (lambda p, c: (p, replace(c, needs=c.needs | {"x": (0, 0, 0)})), "certificate.complete"),
        (
            lambda p, c: (p, replace(c, needs=c.needs | {"n000": (0, 1 << 61, 0)})),
            "certificate.complete",
        ),
    ],
)
def test_each_fault_is_named_by_its_check(spoil, code):
    problem, plan, certificate = solved("3")
    assert len(plan.flows) > 1
    spoilt, proof = spoil(plan, certificate)
    report = check_plan(problem, spoilt, proof or rebound(spoilt, certificate))
    assert failed(report) == [code]


def test_an_ineligible_pair_is_named_with_its_reason():
    problem, plan, certificate = solved("3")
    pairs = judge_pairs(problem)
    row, column = next(zip(*(pairs.codes > 0).nonzero(), strict=True))
    flow = Flow(problem.needs[int(row)].id, problem.lots[int(column)].id, 1)
    forged = replace(plan, flows=(flow,))
    report = check_plan(problem, forged, rebound(forged, certificate))
    assert failed(report) == ["plan.eligible"]
    assert report.checks[-1].details["lot"] == flow.lot


def test_an_overdrawn_lot_and_an_overfilled_need_are_rejected():
    problem, plan, certificate = solved("4", needs=10, lots=12)
    pairs = judge_pairs(problem)
    for axis, rows, other in ((0, problem.lots, problem.needs), (1, problem.needs, problem.lots)):
        codes = pairs.codes if axis == 0 else pairs.codes.T
        for number, one in enumerate(rows):
            partners = [k for k in range(len(other)) if codes[k, number] == 0]
            amounts = [min(one.quantity, other[k].quantity) for k in partners]
            if sum(amounts) > one.quantity:
                break
        else:
            pytest.fail("the instance has no such pair")
        flows = [
            Flow(other[k].id, one.id, q) if axis == 0 else Flow(one.id, other[k].id, q)
            for k, q in zip(partners, amounts, strict=True)
        ]
        forged = replace(plan, flows=tuple(sorted(flows, key=lambda f: (f.need, f.lot))))
        assert failed(check_plan(problem, forged, rebound(forged, certificate))) == [
            "plan.quantities"
        ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("flows"),
        lambda v: v.update(v="fuqi/plan/v2"),
        lambda v: v.update(extra=1),
        lambda v: v["objective"].update(transport=True),
        lambda v: v["objective"].update(transport="1"),
        lambda v: v["flows"].append(["n", "l"]),
    ],
)
def test_a_malformed_plan_is_refused(spoil):
    value = canonical_parse(canonical_bytes(solved("1")[1].as_json()))
    spoil(value)
    with pytest.raises(InputError) as fault:
        plan_from_json(value)
    assert fault.value.error_code == "matching.plan_malformed"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("roots"),
        lambda v: v["lots"][0].append(0),
        lambda v: v["lots"].append(v["lots"][0]),
        lambda v: v["needs"].reverse(),
        lambda v: v["groups"][0].__setitem__(2, False),
    ],
)
def test_a_malformed_certificate_is_refused(spoil):
    value = canonical_parse(canonical_bytes(solved("1")[2].as_json()))
    spoil(value)
    with pytest.raises(InputError) as fault:
        certificate_from_json(value)
    assert fault.value.error_code == "matching.certificate_malformed"
