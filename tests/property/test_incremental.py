"""A living round equals a cold solve after every event, proven, conserved, and after any crash."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.core.errors import InputError, LimitError
from ledger.core.report import Verdict
from matching.check import check_plan
from matching.check_pairs import contradictions
from matching.engine import jit
from matching.engine.columns import run_class
from matching.engine.levels import Weights
from matching.engine.market import pair_transport
from matching.engine.network import class_network
from matching.incremental import live_class, live_round, live_tree, offers
from matching.incremental.events import (
    LotArrived,
    LotChanged,
    LotWithdrawn,
    NeedArrived,
    NeedCancelled,
    NeedChanged,
)
from matching.incremental.live_market import LiveMarket
from matching.incremental.live_round import LiveRound
from matching.incremental.offers import fewest
from matching.incremental.state import pack_round, unpack_round
from matching.incremental.warm import warm_up
from matching.incremental.what_if import what_if
from matching.problem import Policy
from matching.solve import solve, solve_priced
from matching.testing import random_problem
from matching.testing_events import random_events
from matching.testing_markets import synthetic_market

SEEDS = st.integers(0, 10**6)
WEIGHTS = Weights(upper=1 << 24, lower=1 << 16, proven=True)
"""Wide enough for these markets: lives and ways of a path do not add up to half of them."""


# ------------------------------------------------------------------ markets
def cold_value(market, segments):
    total = 0
    for number in range(int(max(market.need_class.max(), market.lot_class.max())) + 1):
        network = class_network(
            market, item_class=number, segments=segments, rank_cost=WEIGHTS.rank_cost
        )
        if network is None:
            continue
        run = run_class(market, network, transport_cost=WEIGHTS.lower)
        assert run.proven
        used = np.flatnonzero(run.simplex.flows[: run.simplex.arcs])
        total += sum(
            units * cost
            for units, cost in zip(
                run.simplex.flows[used].tolist(), run.simplex.costs[used].tolist(), strict=True
            )
        )
    return total


def conserved(market, live):
    """A need has its units from lots or the root, a lot gives all it has to needs or the root."""
    for number, one in live.classes.items():
        needs, lots, units, _ = one.lines()
        got, given_ = np.zeros_like(market.need_quantity), np.zeros_like(market.lot_quantity)
        np.add.at(got, needs, units)
        np.add.at(given_, lots, units)
        assert (units > 0).all()
        assert (got <= market.need_quantity).all()
        assert (given_ <= market.lot_quantity).all()
        tree, arcs = one.live.tree, one.live.arcs
        left = np.zeros(one.live.nodes, dtype=np.int64)
        np.add.at(left, tree.heads[:arcs], tree.flows[:arcs])
        np.subtract.at(left, tree.tails[:arcs], tree.flows[:arcs])
        for row in np.flatnonzero(market.need_class == number):
            assert left[live.places.need_node[row]] == market.need_quantity[row]
            left[live.places.need_node[row]] = 0
        for row in np.flatnonzero(market.lot_class == number):
            assert left[live.places.lot_node[row]] == -market.lot_quantity[row]
            left[live.places.lot_node[row]] = 0
        # Only the root is left: groups pass on what they get, and what has gone holds nothing.
        assert not left[1:].any()


def stream(seed, size, events, hospitals):
    """A market whose last rows are not there yet, and a function that makes one random event happen."""
    full = synthetic_market(size + events, seed=seed, hospitals=hospitals)
    market = full._replace(
        need_class=full.need_class.copy(),
        lot_class=full.lot_class.copy(),
        need_quantity=full.need_quantity.copy(),
        lot_quantity=full.lot_quantity.copy(),
    )
    market.need_class[size:] = market.lot_class[size:] = -1
    random = np.random.default_rng(seed)
    rows = {"need": list(range(size)), "lot": list(range(size))}
    coming = {"need": size, "lot": size}

    def happen(live):
        what = ("need", "lot")[random.integers(0, 2)]
        kind = random.integers(0, 3)
        if kind == 0 or not rows[what]:
            row = coming[what]
            coming[what] += 1
            rows[what].append(row)
            classes = getattr(market, f"{what}_class")
            classes[row] = getattr(full, f"{what}_class")[row]
            getattr(live, f"add_{what}")(market, row)
            return
        at = int(random.integers(0, len(rows[what])))
        units = 0 if kind == 1 else int(random.integers(1, 2000))
        row = rows[what].pop(at) if kind == 1 else rows[what][at]
        getattr(live, f"change_{what}")(market, row, units=units)

    return market, happen


@settings(max_examples=12)
@given(SEEDS, st.sampled_from([1, 8, 60, 120]), st.sampled_from([1, 3, 10]), st.booleans())
def test_after_every_event_the_value_is_that_of_a_cold_solve(seed, size, segments, shared):
    market, happen = stream(seed, size, 20, max(1, size // 5) if shared else None)
    live = LiveMarket(market, segments=segments, weights_of=lambda *_: WEIGHTS)
    for _ in range(20):
        happen(live)
        value = sum(one.value() for one in live.classes.values())
        assert value == cold_value(market, segments)
        for one in live.classes.values():
            one.require_optimal()
    conserved(market, live)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_pair_of_the_whole_market_contradicts_the_prices_after_a_long_stream(seed):
    market, happen = stream(seed, 250, 120, None)
    live = LiveMarket(market, segments=1, weights_of=lambda *_: WEIGHTS)
    for _ in range(120):
        happen(live)
    conserved(market, live)
    lots = np.full((len(market.lot_quantity), 3), 0, dtype=np.int64)
    needs = np.full((len(market.need_quantity), 3), 0, dtype=np.int64)
    lots[market.lot_class < 0, 0] = 4
    needs[market.need_class < 0, 0] = -4
    for number, one in live.classes.items():
        rows = np.flatnonzero(market.lot_class == number)
        lots[rows] = vectors(one.live.tree.price[live.places.lot_node[rows]])
        rows = np.flatnonzero(market.need_class == number)
        needs[rows] = vectors(one.live.tree.price[live.places.need_node[rows]])
    assert contradictions(market, lot_prices=lots, need_prices=needs) == 0
    # The same search does find needs that would pay more than their best offers.
    needs[market.need_class >= 0, 0] += 3
    assert contradictions(market, lot_prices=lots, need_prices=needs) > 0


def vectors(prices):
    rest, life = np.divmod(prices + WEIGHTS.lower // 2, WEIGHTS.lower)
    rank, transport = np.divmod(rest + WEIGHTS.upper // 2, WEIGHTS.upper)
    return np.stack([rank, transport - WEIGHTS.upper // 2, life - WEIGHTS.lower // 2], axis=1)


@pytest.mark.parametrize(
    ("scans", "pivots", "passes"), [(1, 10**6, 400), (1, 3, 400), (10**6, 10**6, 1)]
)
def test_out_of_budget_the_plain_simplex_or_a_new_solve_takes_over(
    monkeypatch, scans, pivots, passes
):
    market, happen = stream(7, 80, 40, 9)
    live = LiveMarket(market, segments=3, weights_of=lambda *_: WEIGHTS)
    monkeypatch.setattr(live_tree, "SCANS_MIN", scans)
    monkeypatch.setattr(live_tree, "SCANS_TIMES", 0)
    monkeypatch.setattr(live_tree, "PIVOTS_MAX", pivots)
    monkeypatch.setattr(live_class, "PASSES_MAX", passes)
    for _ in range(40):
        happen(live)
        assert sum(one.value() for one in live.classes.values()) == cold_value(market, 3)
    conserved(market, live)
    swept = sum(one.live.fallbacks for one in live.classes.values())
    rebuilt = sum(one.rebuilt for one in live.classes.values())
    assert swept > 0 or scans > 1
    assert rebuilt > 0 or (pivots > 3 and passes > 1)


# ------------------------------------------------------------------ rounds
def accepted(live):
    problem, plan, certificate = live.solution()
    assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED
    return problem, plan, certificate


@settings(max_examples=8)
@given(SEEDS, st.integers(0, 20), st.sampled_from([1, 4, 10]))
def test_after_every_event_the_checker_accepts_and_a_cold_solve_is_no_better(seed, size, segments):
    base = random_problem(f"live{seed}", needs=size, lots=size, policy=Policy(segments=segments))
    live = LiveRound(base)
    for event in random_events(seed, base, 25):
        live.apply(event)
        problem, plan, _ = accepted(live)
        assert plan.objective == solve(problem).plan.objective


@pytest.mark.parametrize("seed", [3, 4])
def test_a_stored_state_goes_on_to_the_byte_as_if_nothing_had_happened(seed):
    base = random_problem(f"crash{seed}", needs=25, lots=25)
    live = LiveRound(base)
    stored, since = pack_round(live), []
    for step, event in enumerate(random_events(seed, base, 60)):
        live.apply(event)
        since.append(event)
        if step % 20 == 9:
            # A crash here: the last stored state, and the events since, give the same plan.
            again = unpack_round(stored)
            for missed in since:
                again.apply(missed)
            assert again.solution()[1].digest() == live.solution()[1].digest()
            assert again.solution()[2].digest() == live.solution()[2].digest()
            stored, since = pack_round(live), []
    accepted(unpack_round(pack_round(live)))


def test_a_class_that_outgrows_its_weights_is_solved_anew_and_stays_exact(monkeypatch):
    monkeypatch.setattr(live_round, "GROWN", 2)
    base = random_problem("grown", needs=4, lots=4)
    live = LiveRound(base)
    for event in random_events(11, base, 40):
        live.apply(event)
        problem, plan, _ = accepted(live)
        assert plan.objective == solve(problem).plan.objective


def test_a_round_may_empty_out_and_fill_again():
    base = random_problem("tide", needs=6, lots=6)
    live = LiveRound(base)
    for need in base.needs:
        live.apply(NeedCancelled(need.id))
    for lot in base.lots:
        live.apply(LotWithdrawn(lot.id))
    assert accepted(live)[1].flows == ()
    for need in base.needs:
        live.apply(NeedArrived(need))
    for lot in base.lots:
        live.apply(LotArrived(lot))
    assert accepted(live)[1].objective == solve(base).plan.objective


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"x" + b[1:], lambda _: b""])
def test_a_damaged_state_is_refused(spoil):
    packed = pack_round(LiveRound(random_problem("damaged", needs=4, lots=4)))
    assert unpack_round(packed).solution()[1].flows is not None
    with pytest.raises(InputError) as fault:
        unpack_round(spoil(packed))
    assert fault.value.error_code == "matching.state_malformed"


def test_events_that_cannot_be_are_refused_by_name_and_change_nothing(monkeypatch):
    base = random_problem("refused", needs=4, lots=4)
    live = LiveRound(base)
    before = live.solution()[1].digest()
    need, lot = base.needs[0], base.lots[0]
    for event, code in (
        (NeedArrived(need), "matching.duplicate_id"),
        (LotArrived(lot), "matching.duplicate_id"),
        (NeedCancelled("nobody"), "matching.row_unknown"),
        (NeedChanged(replace(need, id="nobody")), "matching.row_unknown"),
        (LotWithdrawn("nothing"), "matching.row_unknown"),
        (LotChanged(replace(lot, id="nothing")), "matching.row_unknown"),
        (NeedArrived(replace(need, id="z", quantity=0)), "need.quantity_zero"),
        (NeedChanged(replace(need, quantity=1 << 63)), "need.quantity_limit"),
        (LotArrived(replace(lot, id="z", quantity=-1)), "offer.quantity_negative"),
        (LotChanged(replace(lot, expires_day=0)), "offer.dates"),
    ):
        with pytest.raises(InputError) as fault:
            live.apply(event)
        assert fault.value.error_code == code
        assert live.solution()[1].digest() == before
    monkeypatch.setattr(live_round, "NEEDS_MAX", 4)
    with pytest.raises(LimitError) as limit:
        live.apply(NeedArrived(replace(need, id="z")))
    assert limit.value.error_code == "matching.too_large"


@pytest.mark.parametrize("seed", [5, 6])
def test_a_question_is_answered_like_a_round_and_leaves_the_round_as_it_was(monkeypatch, seed):
    base = random_problem(f"what{seed}", needs=20, lots=20)
    before = base.digest()
    urgent = replace(base.needs[0], id="urgent", tier=0)
    answer = what_if(base, [NeedArrived(urgent), LotWithdrawn(base.lots[3].id)])
    assert check_plan(answer.problem, answer.plan, answer.certificate).verdict is Verdict.PASSED
    assert answer.before == solve(base).plan.objective
    assert base.digest() == before
    lines = {(flow.need, flow.lot): flow.quantity for flow in answer.plan.flows}
    for change in answer.changes:
        assert change.before != change.after
        assert lines.get((change.need, change.lot), 0) == change.after
    assert not what_if(base, []).changes
    monkeypatch.setattr("matching.incremental.what_if.EVENTS_MAX", 1)
    with pytest.raises(LimitError) as fault:
        what_if(base, [NeedArrived(urgent), NeedCancelled("urgent")])
    assert fault.value.error_code == "matching.too_large"


def dispatchers():
    """Every compiled function of the package, by name."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith("matching."):
            for key, value in vars(module).items():
                if hasattr(value, "nopython_signatures"):
                    found[f"{value.__module__}.{key}"] = value
    return found


@pytest.mark.skipif(not jit.HAS_NUMBA, reason="nothing is compiled without numba")
def test_after_the_warm_up_neither_rounds_nor_events_compile_anything():
    warm_up()
    before = {name: len(one.nopython_signatures) for name, one in dispatchers().items()}
    assert before["matching.engine.look.look"] > 0
    base = random_problem("warm", needs=12, lots=12, policy=Policy(segments=4))
    solve(base)
    solve_priced(base)
    live = LiveRound(base)
    for event in random_events(5, base, 40):
        live.apply(event)
    unpack_round(pack_round(live))
    after = {name: len(one.nopython_signatures) for name, one in dispatchers().items()}
    assert after == before


SQUEEZED = {"FEW": 0, "GROUPS_MAX": 2, "ALIKE": 5, "MARGIN": 1, "SLACK": 1, "ADDED": 1}
"""Every budget of the search at next to nothing: groups of one, one offer at a time."""


@settings(max_examples=16, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    SEEDS,
    st.sampled_from([6, 25, 60]),
    st.sampled_from([1, 4]),
    st.sampled_from([{}, SQUEEZED, {"FEW": 0}, {"FEW": 2, "ALIKE": 10**6}]),
)
def test_at_worst_prices_no_pair_without_an_arc_prices_out(
    monkeypatch, seed, size, segments, budgets
):
    for name, value in budgets.items():
        monkeypatch.setattr(offers, name, value)
    market, happen = stream(seed, size, 15, max(1, size // 4))
    live = LiveMarket(market, segments=segments, weights_of=lambda *_: WEIGHTS)
    for _ in range(15):
        happen(live)
        assert sum(one.value() for one in live.classes.values()) == cold_value(market, segments)
    monkeypatch.undo()
    for number, one in live.classes.items():
        saved = one.saved()
        worst, shift = saved["worst"], int(saved["shift"][0])
        tree, places = one.live.tree, live.places
        arcs = slice(0, one.live.arcs)
        joined = set(zip(tree.tails[arcs].tolist(), tree.heads[arcs].tolist(), strict=True))
        needs = np.flatnonzero(market.need_class == number)
        lots = np.flatnonzero(market.lot_class == number)
        for need in needs:
            node = int(places.need_node[need])
            # No worse than its worst price, moved together with all others.
            assert -tree.price[node] >= worst[node] - shift
            for lot in lots:
                other = int(places.lot_node[lot])
                assert tree.price[other] + market.lot_life[lot] >= worst[other] + shift
                transport = pair_transport(market, lot, need)
                if transport >= 0 and (other, node) not in joined:
                    assert worst[other] + worst[node] + WEIGHTS.lower * transport >= 0


@given(
    st.lists(st.integers(-9, 9), max_size=12).map(np.array),
    st.lists(st.integers(-9, 9), max_size=12).map(np.array),
)
def test_the_common_move_leaves_the_fewest(rises, falls):
    if not len(rises) + len(falls):
        assert fewest(rises.astype(np.int64), falls.astype(np.int64), otherwise=7) == 7
        return
    counts = {move: int((rises > move).sum() + (falls < move).sum()) for move in range(-10, 11)}
    chosen = fewest(rises.astype(np.int64), falls.astype(np.int64), otherwise=7)
    assert counts[chosen] == min(counts.values())
