"""What a living round hands out equals, to the byte, what is made from the start."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.canonical import canonical_bytes
from ledger.core.report import Verdict
from matching.assemble import objective_of
from matching.candidates import judge_pairs
from matching.check import check_plan
from matching.engine.translate import market_of
from matching.incremental import live_round
from matching.incremental.events import LotChanged, NeedArrived, NeedCancelled
from matching.incremental.live_round import LiveRound
from matching.incremental.state import pack_round, unpack_round
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import Policy, problem_from_json
from matching.testing import random_problem
from matching.testing_events import random_events

SEEDS = st.integers(0, 10**6)


def as_from_the_start(problem, plan, certificate):
    assert canonical_bytes(problem.as_json()) == problem.packed()
    assert canonical_bytes(plan.as_json()) == plan.packed()
    assert canonical_bytes(certificate.as_json()) == certificate.packed()
    assert plan.problem == replace(problem).digest().hex()
    assert certificate.plan == replace(plan).digest().hex()
    market, judged = market_of(problem), judge_pairs(problem)
    need_row = {need.id: row for row, need in enumerate(problem.needs)}
    lot_row = {lot.id: row for row, lot in enumerate(problem.lots)}
    lines = {(need_row[one.need], lot_row[one.lot]): one.quantity for one in plan.flows}
    assert list(lines) == sorted(lines)
    assert len(lines) == len(plan.flows)
    transport = sum(
        units * int(judged.transport[row, column]) for (row, column), units in lines.items()
    )
    assert plan.objective == objective_of(problem, market, lines, transport=transport)
    of_item = {item.id: item.item_class for item in problem.catalogue.items.values()}
    groups = {(need.hospital, of_item[need.items[0]], need.tier) for need in problem.needs}
    assert set(certificate.groups) == groups
    used = {of_item[need.items[0]] for need in problem.needs}
    used |= {of_item[lot.item] for lot in problem.lots}
    assert set(certificate.roots) == used
    assert set(certificate.needs) == {need.id for need in problem.needs}
    assert set(certificate.lots) == {lot.id for lot in problem.lots}
    assert problem_from_json(problem.as_json()) == problem
    assert plan_from_json(plan.as_json()) == plan
    assert certificate_from_json(certificate.as_json()) == certificate
    assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED


def digests(solution):
    return [part.digest() for part in solution]


@settings(max_examples=8)
@given(SEEDS, st.integers(0, 18), st.sampled_from([1, 4, 10]), st.sampled_from([1, 3]))
def test_what_is_kept_between_events_equals_what_is_made_from_the_start(
    seed, size, segments, every
):
    base = random_problem(f"kept{seed}", needs=size, lots=size, policy=Policy(segments=segments))
    live = LiveRound(base)
    for step, event in enumerate(random_events(seed, base, 24)):
        live.apply(event)
        if step % every:
            continue
        solution = live.solution()
        as_from_the_start(*solution)
        if step % 6 == 0:
            # Nothing is kept in a round that was read back; here all rows got new numbers as well.
            again = unpack_round(pack_round(live))
            assert digests(again.solution()) == digests(live.solution()) == digests(solution)


def test_a_name_that_comes_again_is_another_row(monkeypatch):
    monkeypatch.setattr(live_round, "GROWN", 3)
    base = random_problem("again", needs=8, lots=8)
    live = LiveRound(base)
    live.solution()
    # The same id in another class, then back; and a class that is solved anew on the way.
    first, other = (
        base.needs[0],
        next(need for need in base.needs if need.items != base.needs[0].items),
    )
    for items in (other.items, first.items, other.items, first.items, other.items):
        live.apply(NeedCancelled(first.id))
        live.apply(NeedArrived(replace(first, items=items, standard=None, edition=None)))
        as_from_the_start(*live.solution())


def test_a_round_with_limits_is_packed_as_before_and_its_problem_is_kept_until_the_next_event():
    base = random_problem("limited", needs=4, lots=4)
    live = LiveRound(base)
    assert live.problem() is live.problem()
    lot = replace(base.lots[0], quantity=6, pack=2)
    live.apply(LotChanged(lot))
    problem = live.problem()
    assert problem.limited
    assert problem.packed() == canonical_bytes(problem.as_json())
    with pytest.raises(AssertionError):
        problem.keep_packed(needs=[], lots=[])
