"""From solved classes to a plan and its certificate: names for numbers, sums, the gap where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.core.canonical import INTEGER_MAX
from ledger.core.errors import LimitError
from matching.engine import jit
from matching.engine.graph import Int32s
from matching.engine.levels import LEVELS, below_zero
from matching.engine.market import Market
from matching.engine.network import Network
from matching.engine.portfolio import SIMPLEX
from matching.geo import Int64s
from matching.plan import Certificate, Flow, Group, Objective, Plan, Price
from matching.problem import TIERS, Problem


@dataclass(frozen=True, slots=True)
class Part:
    """One class solved: lines by market number with their unit transport cost, vector prices by node."""

    network: Network
    needs: Int32s
    lots: Int32s
    units: Int64s
    transports: Int64s
    prices: Int64s
    proven: bool
    solvers: tuple[str, ...]


def assemble(
    problem: Problem, market: Market, parts: Iterable[Part | None]
) -> tuple[Plan, Certificate]:
    """Plan and certificate of all classes."""
    names = class_names(problem)
    found = [(name, part) for name, part in zip(names, parts, strict=True) if part is not None]
    lines: dict[tuple[int, int], int] = {}
    transport = 0
    for _, part in found:
        for row, column, units, cost in zip(
            part.needs.tolist(),
            part.lots.tolist(),
            part.units.tolist(),
            part.transports.tolist(),
            strict=True,
        ):
            lines[(row, column)] = lines.get((row, column), 0) + units
            transport += units * cost
    solvers = sorted({name for _, part in found for name in part.solvers} | {SIMPLEX})
    objective = objective_of(problem, market, lines, transport=transport)
    plan = Plan(
        problem=problem.digest().hex(),
        flows=tuple(
            Flow(problem.needs[row].id, problem.lots[column].id, lines[(row, column)])
            for row, column in sorted(lines)
        ),
        objective=objective,
        solver=", ".join([*solvers, f"numba {jit.VERSION}"]),
    )
    gap: Price | None = None
    if not all(part.proven for _, part in found):
        dual = [0, 0, 0]
        for _, part in found:
            for level, value in enumerate(_dual_value(market, part)):
                dual[level] += value
        primal = objective.vector()
        gap = (primal[0] - dual[0], primal[1] - dual[1], primal[2] - dual[2])
    return plan, _certificate(problem, plan, found, gap=gap)


def _certificate(
    problem: Problem, plan: Plan, found: list[tuple[str, Part]], *, gap: Price | None
) -> Certificate:
    roots: dict[str, Price] = {}
    groups: dict[Group, Price] = {}
    needs: dict[str, Price] = {}
    lots: dict[str, Price] = {}
    for name, part in found:
        network, prices = part.network, _tuples(part.prices)
        roots[name] = prices[0]
        for at, row in enumerate(network.needs.tolist()):
            need = problem.needs[row]
            needs[need.id] = prices[network.first_need + at]
            node = int(network.group_node[network.group_of[at]])
            groups[(need.hospital, name, need.tier)] = prices[node]
        for at, row in enumerate(network.lots.tolist()):
            lots[problem.lots[row].id] = prices[network.first_lot + at]
    return Certificate(plan.digest().hex(), roots, groups, needs, lots, gap)


def _dual_value(market: Market, part: Part) -> list[int]:
    """Value of the prices: what no plan of this class can fall below."""
    network, prices = part.network, part.prices
    value = [0, 0, 0]
    rows: list[tuple[Int64s, Int64s]] = [
        (
            prices[network.first_need : network.first_need + len(network.needs)],
            market.need_quantity[network.needs],
        ),
        (
            prices[network.first_lot : network.first_lot + len(network.lots)],
            -market.lot_quantity[network.lots],
        ),
    ]
    reduced = -prices[network.group_node[network.segment_group]]
    reduced[:, 0] += network.segment_rank
    low = below_zero(reduced)
    size = network.base.bounds[network.base.arcs - len(network.segment_rank) :]
    rows.append((reduced[low], size[low]))
    for vectors, amounts in rows:
        for vector, amount in zip(vectors.tolist(), amounts.tolist(), strict=True):
            for level in range(LEVELS):
                value[level] += vector[level] * amount
    return value


def _tuples(prices: Int64s) -> list[Price]:
    return [(first, second, third) for first, second, third in prices.tolist()]


def class_names(problem: Problem) -> list[str]:
    return sorted({item.item_class for item in problem.catalogue.items.values()})


def objective_of(
    problem: Problem, market: Market, lines: Mapping[tuple[int, int], int], *, transport: int
) -> Objective:
    """Every level of the plan with these lines: (need row, lot row) -> units.

    Args:
        transport: sum of units times their transport cost.

    Raises:
        LimitError: `matching.too_large`.
    """
    segments = problem.policy.segments
    total: dict[tuple[int, int, int], int] = {}
    unmet: dict[tuple[int, int, int], int] = {}
    got: dict[int, int] = {}
    expiry = 0
    for (row, column), units in lines.items():
        got[row] = got.get(row, 0) + units
        expiry += units * int(market.lot_life[column])
    for row, need in enumerate(problem.needs):
        key = (int(market.need_hospital[row]), int(market.need_class[row]), need.tier)
        total[key] = total.get(key, 0) + need.quantity
        unmet[key] = unmet.get(key, 0) + need.quantity - got.get(row, 0)
    by_tier = [0] * len(TIERS)
    by_rank = [0] * (len(TIERS) * segments)
    for key, units in unmet.items():
        by_tier[key[2]] += units
        for step in range(segments):
            low = total[key] * step // segments
            high = total[key] * (step + 1) // segments
            rank = (len(TIERS) - 1 - key[2]) * segments + step
            by_rank[rank] += max(0, min(units, high) - low)
    found = Objective(tuple(by_tier), tuple(by_rank), transport, expiry)
    if max(found.vector()) > INTEGER_MAX:
        raise LimitError(
            "the sums of this round pass 2**53, which no document holds: ask for fewer pieces",
            code="matching.too_large",
            limit=INTEGER_MAX,
        )
    return found
