"""OR-Tools' cost scaling; `residual` finds the dual prices that it does not return. The only module that
imports OR-Tools, which cannot be interrupted: the portfolio gives it only graphs of bounded size.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import ortools
from ortools.graph.python import min_cost_flow

from ledger.core.errors import InputError, LimitError
from matching.engine.graph import Graph
from matching.engine.residual import flow_max
from matching.geo import Int64s

NAME: Final = f"ortools {ortools.__version__} SimpleMinCostFlow"


def run_cost_scaling(graph: Graph) -> Int64s:
    """Flow of every arc, optimal.

    Raises:
        InputError: `graph.infeasible`.
        LimitError: `graph.cost_overflow`, `graph.flow_overflow`.
    """
    solver = min_cost_flow.SimpleMinCostFlow()
    most = flow_max(graph)
    bounds = np.minimum(graph.bounds, most)
    arcs = solver.add_arcs_with_capacity_and_unit_cost(
        graph.tails, graph.heads, bounds, graph.costs
    )
    nodes = np.arange(graph.nodes, dtype=np.int32)
    solver.set_nodes_supplies(nodes, graph.supplies)
    status = solver.solve()
    if status == solver.BAD_COST_RANGE:
        raise LimitError(
            "cost scaling multiplies costs by the number of nodes, which would pass 63 bits here",
            code="graph.cost_overflow",
        )
    if status == solver.BAD_CAPACITY_RANGE:
        raise LimitError(
            "the bounds of the arcs at one node pass 63 bits together", code="graph.flow_overflow"
        )
    if status != solver.OPTIMAL:
        raise InputError("the demands cannot all be met over these arcs", code="graph.infeasible")
    flows: Int64s = np.asarray(solver.flows(arcs), dtype=np.int64)
    return flows
