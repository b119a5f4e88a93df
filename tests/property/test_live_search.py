"""The search of a living class: both sides, newcomers in no box, hubs, and groups that moved alike."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matching.check_pairs import contradictions
from matching.engine.columns import run_class
from matching.engine.levels import Weights
from matching.engine.look import NOBODY_KNOWN, look
from matching.engine.market import pair_transport
from matching.engine.network import class_network
from matching.engine.translate import market_of
from matching.incremental import live_class, live_tree, offers
from matching.incremental.live_market import LiveMarket
from matching.incremental.offers import densest, suspects
from matching.incremental.pairs import GONE, Side
from matching.testing import random_problem
from matching.testing_markets import synthetic_market

SEEDS = st.integers(0, 10**6)
WEIGHTS = Weights(upper=1 << 28, lower=1, proven=True)
SQUEEZED = {"FEW": 0, "GROUPS_MAX": 2, "ALIKE": 40, "MARGIN": 1, "SLACK": 1, "ADDED": 2}


def every_offer(market, rows, values, limits, weight, *, of_needs):
    """By a look at every pair."""
    count = len(market.lot_quantity if of_needs else market.need_quantity)
    for row, limit in zip(rows.tolist(), limits.tolist(), strict=True):
        found = []
        for other in range(count):
            lot, need = (other, row) if of_needs else (row, other)
            transport = pair_transport(market, lot, need)
            value = int(values[other]) + weight * transport
            if values[other] < GONE and transport >= 0 and value < limit:
                found.append((value, other, transport))
        yield sorted(found)


@settings(max_examples=30)
@given(
    SEEDS, st.booleans(), st.booleans(), st.integers(1, 9), st.sampled_from([1, 1 << 16, 1 << 40])
)
def test_both_sides_find_what_a_look_at_every_pair_finds(seed, of_needs, hubs, most, weight):
    # Rounds have lanes over hubs; markets have many places, short lives and frozen lots.
    if hubs:
        market = market_of(random_problem(f"look{seed}", needs=90, lots=90))
    else:
        market = synthetic_market(90, seed=seed)
    random = np.random.default_rng(seed)
    everybody = np.arange(90, dtype=np.int32)
    values = random.integers(-3_000, 3_000, 90) * weight
    side = Side(market, everybody[:70], of_lots=of_needs, weight=weight)
    side.set_values(everybody[:70], values[:70])
    side.rebuild(market)
    # Twenty come later, and some of all get another value: they stand where they stood.
    for number in range(70, 90):
        side.add(market, number)
    values[random.integers(0, 90, 9)] -= 500 * weight
    values[random.integers(0, 90, 5)] = GONE
    side.set_values(everybody, values)
    rows = everybody[::7].copy()
    limits = random.integers(-2_000, 6_000, len(rows)) * weight
    shape = (len(rows), most)
    found, transports = np.empty(shape, np.int32), np.empty(shape, np.int64)
    given_, counts = np.empty(shape, np.int64), np.zeros(len(rows), np.int64)
    look(
        market,
        side.boxes,
        side.values,
        NOBODY_KNOWN,
        rows,
        limits,
        weight,
        int(of_needs),
        found,
        transports,
        given_,
        counts,
    )
    for at, wanted in enumerate(
        every_offer(market, rows, values, limits, weight, of_needs=of_needs)
    ):
        got = slice(0, int(counts[at]))
        listed = zip(
            given_[at, got].tolist(),
            found[at, got].tolist(),
            transports[at, got].tolist(),
            strict=True,
        )
        assert list(listed) == wanted[:most]


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 20))
def test_the_densest_window_holds_the_most(steps, width):
    upper, held = densest(np.array(steps, dtype=np.int64), width)
    counts = [sum(top - width < step <= top for step in steps) for top in range(1, 61)]
    assert held == max(counts) if steps else held == 0
    assert held == sum(upper - width < step <= upper for step in steps)


@given(SEEDS, st.integers(0, 4), st.integers(1, 30))
def test_every_suspect_is_searched_once_and_only_who_moved_as_far_comes_along(seed, few, width):
    random = np.random.default_rng(seed)
    rows, others = random.permutation(40).astype(np.int32), random.permutation(30).astype(np.int32)
    spare, others_spare = random.integers(-60, 60, 40), random.integers(-60, 60, 30)
    alone = random.random(40) < 0.2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offers, "FEW", few)
        found = suspects(rows, spare, others, others_spare, width=width, alone=alone)
    everybody = np.concatenate([[], *(one.rows for one in found)])
    assert sorted(everybody.tolist()) == sorted(rows[spare < 0].tolist())
    worse = dict(zip(rows.tolist(), (-spare).tolist(), strict=True))
    for one in found:
        assert one.rows.tolist() == sorted(one.rows.tolist())
        if one.step is not None:
            assert len(one.rows) > few
            assert not set(one.rows.tolist()) & set(rows[alone].tolist())
            assert all(one.step - width < worse[row] <= one.step for row in one.rows.tolist())
            assert set(one.along.tolist()) == set(others[others_spare >= one.step].tolist())


def one_class(seed, size, events):
    """A market whose rows are all of one class: what fits is still what fits. The last rows come later."""
    full = synthetic_market(size + events, seed=seed)
    market = full._replace(
        need_class=np.zeros_like(full.need_class), lot_class=np.zeros_like(full.lot_class)
    )
    market.need_class[size:] = market.lot_class[size:] = -1
    return market


def cold_value(market):
    network = class_network(market, item_class=0, segments=1, rank_cost=WEIGHTS.rank_cost)
    run = run_class(market, network, transport_cost=WEIGHTS.lower)
    assert run.proven
    used = np.flatnonzero(run.simplex.flows[: run.simplex.arcs])
    costs, flows = run.simplex.costs[used].tolist(), run.simplex.flows[used].tolist()
    return sum(cost * units for cost, units in zip(costs, flows, strict=True))


def wrong_pairs(market, live):
    """Eligible pairs of the whole market that contradict the prices: the checker's own search."""
    market = market._replace(lot_life=np.zeros_like(market.lot_life))
    lots = np.full((len(market.lot_quantity), 3), 1 << 50, dtype=np.int64) * [0, 1, 0]
    needs = np.full((len(market.need_quantity), 3), -(1 << 50), dtype=np.int64) * [0, 1, 0]
    one, places = live.classes[0], live.places
    rows = np.flatnonzero(market.lot_class == 0)
    lots[rows, 1] = one.live.tree.price[places.lot_node[rows]]
    rows = np.flatnonzero(market.need_class == 0)
    needs[rows, 1] = one.live.tree.price[places.need_node[rows]]
    return contradictions(market, lot_prices=lots, need_prices=needs)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SEEDS, st.sampled_from([{}, SQUEEZED, {"FEW": 0}]), st.booleans())
def test_a_large_class_stays_at_the_optimum_over_all_pairs_with_every_budget_squeezed(
    monkeypatch, seed, budgets, swept
):
    market = one_class(seed, 160, 24)
    market = market._replace(lot_life=np.zeros_like(market.lot_life))
    live = LiveMarket(market, segments=1, weights_of=lambda *_: WEIGHTS)
    random = np.random.default_rng(seed)
    with monkeypatch.context() as patch:
        for name, value in budgets.items():
            patch.setattr(offers, name, value)
        if swept:
            patch.setattr(live_tree, "SCANS_MIN", 50)
            patch.setattr(live_tree, "SCANS_TIMES", 0)
            patch.setattr(live_class, "KEPT", 0)
        for step in range(24):
            gone = int(random.integers(0, 160))
            kind = step % 4
            if kind == 0:
                market.need_class[160 + step] = 0
                live.add_need(market, 160 + step)
            elif kind == 1:
                market.lot_class[160 + step] = 0
                live.add_lot(market, 160 + step)
            elif kind == 2 and market.need_class[gone] == 0:
                live.change_need(market, gone, units=0)
            elif kind == 3 and market.lot_class[gone] == 0:
                live.change_lot(market, gone, units=int(random.integers(0, 2)) * 77)
            assert sum(one.value() for one in live.classes.values()) == cold_value(market)
    live.classes[0].require_optimal()
    assert wrong_pairs(market, live) == 0


@pytest.mark.parametrize("priced", [True, False])
def test_over_a_fixed_list_newcomers_bring_theirs_and_the_plan_is_optimal_over_the_list(priced):
    market = one_class(3, 120, 20)
    live = LiveMarket(market, segments=1, weights_of=lambda *_: WEIGHTS, near=4, priced=priced)
    one = live.classes[0]
    for step in range(20):
        before = one.live.arcs
        row = 120 + step
        if step % 2:
            market.lot_class[row] = 0
            live.add_lot(market, row)
        else:
            market.need_class[row] = 0
            live.add_need(market, row)
        # Its own arc, at a new group's the segment's and the link, and no more pairs than four.
        assert before < one.live.arcs <= before + 6
        one.require_optimal()
    if not priced:
        # The four nearest are not all pairs, and the search says so.
        assert wrong_pairs(market, live) > 0


@settings(max_examples=8)
@given(SEEDS, st.sampled_from([1, 3, 20]))
def test_over_a_fixed_list_a_newcomer_brings_the_best_of_those_who_are_there(seed, near):
    market = one_class(seed, 80, 24)
    market = market._replace(lot_life=np.zeros_like(market.lot_life))
    live = LiveMarket(market, segments=1, weights_of=lambda *_: WEIGHTS, near=near, priced=False)
    one, places = live.classes[0], live.places
    random = np.random.default_rng(seed)
    for step in range(24):
        row, of_needs = 80 + step, step % 2 == 0
        classes = market.need_class if of_needs else market.lot_class
        others = market.lot_class if of_needs else market.need_class
        values = np.where(others == 0, 0, GONE)
        limits = np.array([GONE])
        rows = np.array([row])
        (wanted,) = every_offer(market, rows, values, limits, 1, of_needs=of_needs)
        classes[row] = 0
        (live.add_need if of_needs else live.add_lot)(market, row)
        node = int((places.need_node if of_needs else places.lot_node)[row])
        tree, nodes = one.live.tree, places.lot_node if of_needs else places.need_node
        mine, ends = (tree.heads, tree.tails) if of_needs else (tree.tails, tree.heads)
        arcs = np.flatnonzero(mine[: one.live.arcs] == node)
        of_node = {int(nodes[other]): other for other in np.flatnonzero(others == 0).tolist()}
        brought = [
            (int(tree.costs[arc]), of_node[int(ends[arc])])
            for arc in arcs.tolist()
            if int(ends[arc]) in of_node
        ]
        assert brought == [(value, other) for value, other, _ in wanted[:near]]
        one.require_optimal()
        # Somebody leaves: nobody brings a pair with them any more, and their arcs carry nothing.
        gone = int(random.integers(0, 80))
        if others[gone] == 0:
            node = int(nodes[gone])
            (live.change_lot if of_needs else live.change_need)(market, gone, units=0)
            arcs = one.live.arcs_of(node)
            assert not tree.flows[arcs].any()
            assert not tree.bounds[arcs].any()
            one.require_optimal()
