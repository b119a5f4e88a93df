"""Every solver of the portfolio finds the same value, and flow and prices prove each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.errors import InputError, LimitError
from ledger.core.report import Verdict
from matching.check_graph import check_flow
from matching.engine import augment, cost_scaling, portfolio
from matching.engine.exchange import measure
from matching.engine.graph import UNBOUNDED, make_graph
from matching.engine.portfolio import limit_of, solve_graph, solve_with_simplex
from matching.engine.residual import recover_prices
from matching.engine.simplex import Ended, Simplex
from matching.testing_graphs import (
    cheapest_by_hand,
    feasible_graph,
    flow_cost,
    market_graphs,
    without_start,
)
from matching.testing_markets import grid_graph, netgen_graph, synthetic_market, torus_graph

SEEDS = st.integers(0, 10**6)


def judged(graph, flows, prices):
    return check_flow(
        tails=graph.tails,
        heads=graph.heads,
        bounds=graph.bounds,
        costs=graph.costs,
        supplies=graph.supplies,
        flows=flows,
        prices=prices,
    ).verdict


def proven(graph, solved):
    assert solved.proven
    assert judged(graph, solved.flows, solved.prices) is Verdict.PASSED
    return flow_cost(graph, solved.flows)


def by_ortools(graph):
    flows = cost_scaling.run_cost_scaling(graph)
    assert judged(graph, flows, recover_prices(graph, flows)) is Verdict.PASSED
    return flow_cost(graph, flows)


def by_own_scaling(graph):
    flows, prices = augment.run_own_scaling(graph)
    assert judged(graph, flows, prices) is Verdict.PASSED
    return flow_cost(graph, flows)


def by_lemon(graph):
    pylmcf = pytest.importorskip("pylmcf", reason="the second oracle is a development dependency")
    # It takes no negative costs: an arc that pays is filled beforehand, and its reverse takes back.
    pays = graph.costs < 0
    tails, heads = graph.tails.astype(np.int64), graph.heads.astype(np.int64)
    supplies = graph.supplies.copy()
    np.subtract.at(supplies, tails[pays], graph.bounds[pays])
    np.add.at(supplies, heads[pays], graph.bounds[pays])
    most = int(supplies[supplies > 0].sum()) + 1
    solver = pylmcf.NetworkSimplexLCT(
        supplies,
        np.where(pays, heads, tails),
        np.where(pays, tails, heads),
        np.minimum(graph.bounds, most),
        np.abs(graph.costs),
    )
    solver.solve()
    return int(solver.total_cost()) + int((graph.costs * graph.bounds)[pays].sum())


@settings(max_examples=80)
@given(SEEDS, st.integers(2, 5), st.integers(1, 7), st.integers(1, 4))
def test_no_flow_is_cheaper_than_the_one_found_on_tiny_graphs(seed, nodes, arcs, units):
    graph = feasible_graph(seed, nodes=nodes, arcs=arcs, units=units)
    best = cheapest_by_hand(graph)
    if best is not None:
        assert proven(graph, solve_with_simplex(graph)) == best
        assert by_own_scaling(graph) == best
        assert by_ortools(graph) == best


@settings(max_examples=60)
@given(SEEDS, st.integers(2, 40), st.integers(1, 200))
def test_four_solvers_agree_on_any_graph(seed, nodes, arcs):
    graph = feasible_graph(seed, nodes=nodes, arcs=arcs, units=1000, cost=50)
    value = proven(graph, solve_graph(graph))
    assert by_own_scaling(graph) == value
    assert proven(graph, solve_with_simplex(graph)) == value
    assert by_ortools(graph) == value
    assert by_lemon(graph) == value


@settings(max_examples=25)
@given(SEEDS, st.integers(5, 120), st.sampled_from([1, 3, 10]), st.booleans())
def test_four_solvers_agree_on_markets(seed, size, segments, shared):
    market = synthetic_market(size, seed=seed, hospitals=max(1, size // 4) if shared else None)
    for graph in market_graphs(market, segments=segments):
        value = proven(graph, solve_graph(graph))
        assert proven(graph, solve_with_simplex(graph)) == value
        assert proven(graph, solve_with_simplex(without_start(graph))) == value
        assert by_own_scaling(without_start(graph)) == value
        assert by_ortools(graph) == value
        assert by_lemon(graph) == value


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: netgen_graph(400, 6_000, seed=seed),
        lambda seed: netgen_graph(900, 5_000, seed=seed, sources=90),
        lambda seed: grid_graph(30, 20, seed=seed),
        lambda seed: torus_graph(8, seed=seed),
    ],
    ids=["netgen-transport", "netgen-transit", "gridgen", "goto"],
)
def test_generated_instances_have_one_value(make, seed):
    graph = make(seed)
    value = proven(graph, solve_graph(graph))
    assert proven(graph, solve_with_simplex(graph)) == value
    assert by_own_scaling(graph) == value
    assert by_ortools(graph) == value
    assert by_lemon(graph) == value


def test_what_makes_the_simplex_crawl_goes_to_cost_scaling():
    graph = torus_graph(10)
    solved = solve_graph(graph)
    assert solved.solvers == (augment.NAME,)
    assert proven(graph, solved) == proven(graph, solve_with_simplex(graph))


def test_costs_that_cost_scaling_cannot_multiply_stay_with_the_simplex(monkeypatch):
    monkeypatch.setattr(portfolio, "PIVOTS_A_NODE", 0)
    monkeypatch.setattr(portfolio, "PIVOTS_MIN", 3)
    graph = netgen_graph(900, 5_000, sources=90, cost_max=1 << 45)
    with pytest.raises(LimitError) as fault:
        augment.run_own_scaling(graph)
    assert fault.value.error_code == "graph.cost_overflow"
    solved = solve_graph(graph)
    assert solved.solvers == (portfolio.SIMPLEX,)
    assert proven(graph, solved) == proven(graph, solve_with_simplex(graph))
    small = solve_graph(netgen_graph(900, 5_000, sources=90))
    assert small.solvers == (augment.NAME,)


@pytest.mark.parametrize("seed", [1, 2])
def test_large_dense_components_go_to_cost_scaling_and_come_back_proven(monkeypatch, seed):
    graphs = market_graphs(synthetic_market(150, seed=seed), segments=3)
    plain = [proven(graph, solve_graph(graph)) for graph in graphs]
    monkeypatch.setattr(portfolio, "SCALING_ARCS", 20)
    monkeypatch.setattr(portfolio, "SCALING_DENSITY", 2)
    mixed = [solve_graph(graph) for graph in graphs]
    assert any(cost_scaling.NAME in solved.solvers for solved in mixed)
    assert [proven(graph, one) for graph, one in zip(graphs, mixed, strict=True)] == plain


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 12), st.integers(2, 30))
def test_a_single_changed_word_is_rejected_unless_it_is_another_proof(seed, nodes, arcs):
    graph = feasible_graph(seed, nodes=nodes, arcs=arcs, units=9)
    solved = solve_with_simplex(graph)
    best = flow_cost(graph, solved.flows)
    for step in (-1, 1, 1 << 40, -(1 << 40)):
        # A flow changed at one arc leaves a node unbalanced: never a proof.
        for arc in range(graph.arcs):
            flows = solved.flows.copy()
            flows[arc] += step
            assert judged(graph, flows, solved.prices) is Verdict.FAILED
        for node in range(graph.nodes):
            prices = solved.prices.copy()
            prices[node] += step
            if judged(graph, solved.flows, prices) is Verdict.PASSED:
                # Dual prices need not be unique; then their value must be the optimum again.
                assert dual_value(graph, prices) == best
            else:
                assert dual_value(graph, prices) < best


def dual_value(graph, prices):
    value = 0
    for tail, head, bound, cost in zip(
        graph.tails.tolist(),
        graph.heads.tolist(),
        graph.bounds.tolist(),
        graph.costs.tolist(),
        strict=True,
    ):
        value += bound * min(0, cost + int(prices[tail]) - int(prices[head]))
    for supply, price in zip(graph.supplies.tolist(), prices.tolist(), strict=True):
        value -= supply * price
    return value


@settings(max_examples=20)
@given(SEEDS, st.integers(2, 20), st.integers(2, 60))
def test_a_dearer_flow_with_the_same_prices_is_rejected(seed, nodes, arcs):
    graph = feasible_graph(seed, nodes=nodes, arcs=arcs, units=9)
    cheap = solve_with_simplex(graph)
    dear = solve_with_simplex(
        make_graph(
            tails=graph.tails,
            heads=graph.heads,
            bounds=graph.bounds,
            costs=-graph.costs,
            supplies=graph.supplies,
        )
    )
    same = flow_cost(graph, dear.flows) == flow_cost(graph, cheap.flows)
    assert (judged(graph, dear.flows, cheap.prices) is Verdict.PASSED) == same


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 30), st.integers(2, 90), st.integers(2, 1000))
def test_values_scale_with_units_and_with_costs(seed, nodes, arcs, times):
    graph = feasible_graph(seed, nodes=nodes, arcs=arcs, units=99)
    value = flow_cost(graph, solve_with_simplex(graph).flows)
    for units, costs in ((times, 1), (1, times), (times, times)):
        larger = make_graph(
            tails=graph.tails,
            heads=graph.heads,
            bounds=graph.bounds * units,
            costs=graph.costs * costs,
            supplies=graph.supplies * units,
        )
        assert proven(larger, solve_graph(larger)) == value * units * costs


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 30), st.integers(2, 90))
def test_the_order_of_nodes_and_arcs_does_not_change_the_value(seed, nodes, arcs):
    graph = feasible_graph(seed, nodes=nodes, arcs=arcs, units=99)
    random = np.random.default_rng(seed + 1)
    order, name = random.permutation(arcs), random.permutation(nodes)
    supplies = np.empty_like(graph.supplies)
    supplies[name] = graph.supplies
    other = make_graph(
        tails=name[graph.tails[order]],
        heads=name[graph.heads[order]],
        bounds=graph.bounds[order],
        costs=graph.costs[order],
        supplies=supplies,
    )
    assert proven(other, solve_graph(other)) == proven(graph, solve_graph(graph))


@settings(max_examples=20)
@given(SEEDS)
def test_ties_are_decided_the_same_way_every_time(seed):
    # All costs equal: nothing but ties.
    graph = feasible_graph(seed, nodes=12, arcs=60, units=9, cost=0)
    first, again = solve_graph(graph), solve_graph(graph)
    assert first.flows.tolist() == again.flows.tolist()
    assert first.prices.tolist() == again.prices.tolist()


@settings(max_examples=20)
@given(SEEDS, st.integers(0, 40))
def test_a_run_cut_short_leaves_a_feasible_flow_and_goes_on_from_there(seed, pivots):
    for graph in market_graphs(synthetic_market(60, seed=seed), segments=3):
        simplex = Simplex(graph)
        ended = simplex.run(pivots_max=pivots)
        left = graph.supplies.copy()
        np.subtract.at(left, graph.tails, simplex.flows)
        np.add.at(left, graph.heads, simplex.flows)
        assert not left.any()
        assert ((simplex.flows >= 0) & (simplex.flows <= graph.bounds)).all()
        if ended is Ended.LIMIT:
            assert simplex.run() is Ended.OPTIMAL
        assert judged(graph, simplex.flows, simplex.price) is Verdict.PASSED


def test_a_limit_in_the_past_still_gives_a_feasible_flow_that_is_not_called_optimal():
    for graph in market_graphs(synthetic_market(400, seed=5), segments=3):
        if graph.arcs > 3_000:
            break
    found = solve_graph(graph, until=limit_of(-1.0))
    left = graph.supplies.copy()
    np.subtract.at(left, graph.tails, found.flows)
    np.add.at(left, graph.heads, found.flows)
    assert not left.any()
    best = solve_graph(graph)
    assert best.proven
    assert flow_cost(graph, found.flows) >= flow_cost(graph, best.flows)
    # Either it was done inside the first step, or it says so.
    assert found.proven == (flow_cost(graph, found.flows) == flow_cost(graph, best.flows))


def plain(**changes):
    return make_graph(
        **{
            "tails": np.array([0], dtype=np.int32),
            "heads": np.array([1], dtype=np.int32),
            "bounds": np.array([5], dtype=np.int64),
            "costs": np.array([3], dtype=np.int64),
            "supplies": np.array([2, -2], dtype=np.int64),
        }
        | changes
    )


def int64(*values):
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"heads": np.array([2], dtype=np.int32)}, "graph.node_unknown"),
        ({"tails": np.array([-1], dtype=np.int32)}, "graph.node_unknown"),
        ({"heads": np.array([1 << 40])}, "graph.node_unknown"),
        ({"bounds": int64(-1)}, "graph.bound_negative"),
        ({"bounds": int64((1 << 63) - 1)}, "graph.flow_overflow"),
        ({"bounds": int64(5, 5)}, "graph.shape"),
        ({"supplies": int64()}, "graph.shape"),
        ({"supplies": int64(2, -1)}, "graph.unbalanced"),
        ({"supplies": int64((1 << 62), -(1 << 62))}, "graph.flow_overflow"),
        ({"supplies": int64((1 << 63) - 1, -(1 << 63))}, "graph.flow_overflow"),
        ({"supplies": int64(-(1 << 63), -(1 << 63))}, "graph.flow_overflow"),
        ({"costs": int64((1 << 63) - 1)}, "graph.cost_overflow"),
        ({"costs": int64(-(1 << 63))}, "graph.cost_overflow"),
        ({"costs": int64(1 << 60)}, "graph.cost_overflow"),
    ],
)
def test_what_no_solver_may_see_is_refused_by_name(changes, code):
    with pytest.raises((InputError, LimitError)) as fault:
        plain(**changes)
    assert fault.value.error_code == code


def test_demands_that_no_arc_can_meet_are_refused_by_every_solver():
    graph = plain(bounds=int64(1))
    solvers = (
        solve_graph,
        solve_with_simplex,
        cost_scaling.run_cost_scaling,
        augment.run_own_scaling,
    )
    for solve in solvers:
        with pytest.raises(InputError) as fault:
            solve(graph)
        assert fault.value.error_code == "graph.infeasible"


def test_a_cycle_that_pays_for_ever_is_refused():
    graph = plain(
        tails=np.array([0, 1], dtype=np.int32),
        heads=np.array([1, 0], dtype=np.int32),
        bounds=int64(UNBOUNDED, UNBOUNDED),
        costs=int64(-2, 1),
        supplies=int64(0, 0),
    )
    with pytest.raises(InputError) as fault:
        solve_with_simplex(graph)
    assert fault.value.error_code == "graph.endless"


@pytest.mark.parametrize(
    ("supply", "cost"), [(0, 0), (1, 0), ((1 << 59) - 1, 1), (1, (1 << 61) // 3 - 2)]
)
def test_the_largest_allowed_words_are_exact(supply, cost):
    graph = plain(bounds=int64(UNBOUNDED), costs=int64(cost), supplies=int64(supply, -supply))
    solved = solve_graph(graph)
    assert solved.flows.tolist() == [supply]
    assert judged(graph, solved.flows, solved.prices) is Verdict.PASSED


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_sizes_and_last_nodes_of_subtrees_stay_what_the_ring_says(seed):
    simplex = Simplex(feasible_graph(seed, nodes=12, arcs=60))
    simplex.run()
    size, last = simplex.size.copy(), simplex.last.copy()
    measure(simplex.parent, simplex.size, simplex.last, simplex.before, simplex.root)
    assert size.tolist() == simplex.size.tolist()
    assert last.tolist() == simplex.last.tolist()
    assert size[simplex.root] == simplex.nodes
    # The root's price is where all others count from.
    assert simplex.price[simplex.root] == 0
