"""Instances for benches and tests, generated from a seed: markets of matching.md B, and NETGEN-like graphs.

Nothing in them is anybody's data.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.graph import Graph, make_graph
from matching.engine.market import NEVER, Market
from matching.geo import Int64s, chord_table

SKUS: Final = 50
CLASSES: Final = 12
CLUSTERS: Final = 40
DAY: Final = 18_293
_GRADE_KM: Final = 50
"""Penalty of a substitute, per grade above the one asked for."""


def synthetic_market(size: int, *, seed: int = 1, hospitals: int | None = None) -> Market:
    """`size` needs and `size` lots: Zipf goods, clustered places, a surge at one city, demand 4/3 of supply.

    Args:
        hospitals: how many share the needs; None gives every need its own.
    """
    random = np.random.default_rng(seed)
    centres = np.stack([random.uniform(100, 122, CLUSTERS), random.uniform(22, 42, CLUSTERS)], 1)
    lots_at = _places(random, centres, size, surge=0.0)
    needs_at = _places(random, centres, size, surge=0.25)
    popularity = 1.0 / np.arange(1, SKUS + 1)
    popularity /= popularity.sum()
    lot_kind = random.choice(SKUS, size, p=popularity).astype(np.int32)
    need_sku = random.choice(SKUS, size, p=popularity).astype(np.int32)
    sku_class, grade = _classes(random)
    supply = np.maximum(1, random.lognormal(6.5, 1.1, size)).astype(np.int64)
    demand = np.maximum(1, random.lognormal(6.5, 1.1, size)).astype(np.int64)
    demand = np.maximum(1, demand * int(supply.sum() * 4 // 3) // int(demand.sum()))
    ready = DAY + random.integers(0, 4, size)
    tier = random.choice(3, size, p=[0.3, 0.3, 0.4])
    accepts = random.random(size) < 0.8
    durable = random.random(size) < 0.2
    life = random.integers(40, 900, size)
    none = np.zeros(size + 1, dtype=np.int32)
    few = np.zeros(0, dtype=np.int32)
    hub = np.zeros((size, 0), dtype=np.int16)
    return Market(
        lot_quantity=supply,
        lot_class=sku_class[lot_kind],
        lot_kind=lot_kind,
        lot_region=np.zeros(size, dtype=np.int32),
        lot_xyz=_vectors(lots_at),
        lot_ready=ready,
        lot_expires=np.where(durable, NEVER, DAY + life).astype(np.int64),
        lot_life=np.where(durable, 3650, life).astype(np.int64),
        lot_short=(~durable & (random.random(size) < 0.1)).astype(np.int8),
        lot_certificate=random.choice(3, size, p=[0.15, 0.25, 0.6]).astype(np.int8),
        lot_sterile=(random.random(size) < 0.8).astype(np.int8),
        lot_frozen=(random.random(size) < 0.01).astype(np.int8),
        directed_start=none,
        directed=few,
        related_start=none,
        related=few,
        lot_hub_km=hub,
        need_quantity=demand,
        need_class=sku_class[need_sku],
        need_kind=(need_sku * 2 + accepts).astype(np.int32),
        need_region=np.zeros(size, dtype=np.int32),
        need_xyz=_vectors(needs_at),
        need_hospital=_hospitals(random, needs_at, hospitals),
        need_tier=tier.astype(np.int8),
        need_deadline=(DAY + np.array([3, 5, 9])[tier] + random.integers(0, 3, size)),
        need_certificate=random.choice(3, size, p=[0.5, 0.3, 0.2]).astype(np.int8),
        need_sterile=(random.random(size) < 0.1).astype(np.int8),
        need_remaining=random.choice(np.array([0, 30, 90, 180]), size).astype(np.int64),
        need_hub_km=hub,
        fit=_fit(sku_class, grade),
        need_regions=np.array([1], dtype=np.int64),
        route_start=np.array([0, 1], dtype=np.int32),
        route_hub=np.array([-1], dtype=np.int32),
        route_days=np.array([0], dtype=np.int32),
        km_per_day=np.array([600], dtype=np.int64),
        chords=chord_table(),
    )


def netgen_graph(
    nodes: int, arcs: int, *, seed: int = 1, sources: int | None = None, cost_max: int = 10_000
) -> Graph:
    """A feasible random network in the manner of NETGEN: sources, sinks, transit nodes, bounded arcs.

    Args:
        sources: how many, and as many sinks; half the nodes give a transportation problem.
    """
    random = np.random.default_rng(seed)
    ends = nodes // 2 if sources is None else sources
    supplies = np.zeros(nodes, dtype=np.int64)
    amounts = random.integers(1, 1000, ends)
    supplies[:ends] = amounts
    supplies[nodes - ends :] = -random.permutation(amounts)
    bipartite = 2 * ends >= nodes
    if bipartite:
        tails = random.integers(0, ends, arcs)
        heads = random.integers(nodes - ends, nodes, arcs)
    else:
        tails = random.integers(0, nodes, arcs)
        heads = (tails + 1 + random.integers(0, nodes - 1, arcs)) % nodes
    # A skeleton that carries everything, at a price that is used only where it must be.
    left = np.arange(ends)
    hub = nodes - ends
    ring_tails = np.concatenate([left, np.full(ends - 1, hub)])
    ring_heads = np.concatenate([np.full(ends, hub), np.arange(hub + 1, nodes)])
    extra = len(ring_tails)
    return make_graph(
        tails=np.concatenate([tails, ring_tails]),
        heads=np.concatenate([heads, ring_heads]),
        bounds=np.concatenate(
            [random.integers(1, 1000, arcs), np.full(extra, int(amounts.sum()), dtype=np.int64)]
        ),
        costs=np.concatenate(
            [random.integers(1, cost_max, arcs), np.full(extra, 2 * cost_max, dtype=np.int64)]
        ),
        supplies=supplies,
    )


def grid_graph(width: int, height: int, *, seed: int = 1, units: int = 1000) -> Graph:
    """A grid in the manner of GRIDGEN: flow from the left side to the right one, bounds on every arc."""
    random = np.random.default_rng(seed)
    number = np.arange(width * height).reshape(height, width)
    pairs = [
        (number[:, :-1].ravel(), number[:, 1:].ravel()),
        (number[:-1].ravel(), number[1:].ravel()),
        (number[1:].ravel(), number[:-1].ravel()),
    ]
    tails = np.concatenate([pair[0] for pair in pairs])
    heads = np.concatenate([pair[1] for pair in pairs])
    supplies = np.zeros(width * height, dtype=np.int64)
    supplies[number[:, 0]] = units
    supplies[number[:, -1]] = -units
    bounds = random.integers(units // 4, 2 * units, len(tails))
    # The rows themselves can carry everything.
    along = len(pairs[0][0])
    bounds[:along] = units + random.integers(0, units, along)
    return make_graph(
        tails=tails,
        heads=heads,
        bounds=bounds,
        costs=random.integers(1, 1000, len(tails)),
        supplies=supplies,
    )


def torus_graph(
    height: int,
    *,
    seed: int = 1,
    across: int = 5,
    along: int = 2,
    bound_max: int = 1_000,
    cost_max: int = 10_000,
) -> Graph:
    """A grid on a torus in the manner of GOTO, known to be hard for the network simplex: long cheap detours.

    `height`**2 columns. From each node arcs lead 1 to `across` columns on, the farther the narrower, at any
    price, and 1 to `along` rows on, nearly free. What would pass the last column ends at the sink instead, and
    begins at the source; one dear path through all nodes could carry everything.
    """
    random = np.random.default_rng(seed)
    width = height * height
    nodes = width * height
    source, sink = 0, nodes - 1
    rows, columns = (part.ravel() for part in np.divmod(np.arange(nodes), width))
    parts: list[tuple[Int64s, Int64s, Int64s, Int64s]] = []
    narrower = bound_max ** (1 / (max(across, along) + 2))
    supply = int(bound_max**0.5)
    for step in range(1, across + 1):
        bounds = np.ceil(random.integers(1, bound_max, nodes) / narrower ** (step - 1))
        bounds = bounds.astype(np.int64)
        costs = random.integers(0, cost_max, nodes)
        to = rows * width + (columns + step) % width
        inside = columns + step < width
        out, into = ~inside & (np.arange(nodes) != sink), ~inside & (to != source)
        parts.append((np.flatnonzero(inside), to[inside], bounds[inside], costs[inside]))
        parts.append((np.flatnonzero(out), np.full(out.sum(), sink), bounds[out], costs[out]))
        parts.append((np.full(into.sum(), source), to[into], bounds[into], costs[into]))
        supply += int(bounds[out].sum())
    for step in range(1, along + 1):
        to = (rows + step) % height * width + columns
        parts.append(
            (
                np.arange(nodes),
                to,
                random.integers(1, bound_max, nodes),
                random.integers(0, 8, nodes),
            )
        )
    # Down each column, then on to the next.
    order = np.arange(nodes).reshape(height, width).T.ravel()
    dear = np.full(nodes - 1, max(1, cost_max // height), dtype=np.int64)
    parts.append((order[:-1], order[1:], np.full(nodes - 1, supply, dtype=np.int64), dear))
    supplies = np.zeros(nodes, dtype=np.int64)
    supplies[source], supplies[sink] = supply, -supply
    tails, heads, bounds, costs = (
        np.concatenate([part[place] for part in parts]) for place in range(4)
    )
    return make_graph(tails=tails, heads=heads, bounds=bounds, costs=costs, supplies=supplies)


def _places(
    random: np.random.Generator, centres: NDArray[np.float64], size: int, *, surge: float
) -> Int64s:
    """Degrees * 10**6: four in five near a town, the rest anywhere; `surge` of all near the first town."""
    town = random.integers(0, CLUSTERS, size)
    town = np.where(random.random(size) < surge, 0, town)
    near = centres[town] + random.normal(0, 0.3, (size, 2))
    anywhere = np.stack([random.uniform(98, 124, size), random.uniform(20, 44, size)], axis=1)
    rural = (random.random(size) < 0.2)[:, None]
    found: Int64s = (np.where(rural, anywhere, near) * 1_000_000).astype(np.int64)
    return found


def _vectors(places: Int64s) -> Int64s:
    """Unit vectors * 2**30. Floating point: an instance, unlike a round, needs no bit-exact place."""
    angles = np.radians(places / 1_000_000)
    longitude, latitude = angles[:, 0], angles[:, 1]
    xyz = np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ],
        axis=1,
    )
    found: Int64s = np.rint(xyz * (1 << 30)).astype(np.int64)
    return found


def _classes(random: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(class, grade) of each of the goods: every class has at least one."""
    of = np.concatenate([np.arange(CLASSES), random.integers(0, CLASSES, SKUS - CLASSES)])
    of = random.permutation(of).astype(np.int32)
    grade = np.zeros(SKUS, dtype=np.int32)
    for number in range(CLASSES):
        members = np.flatnonzero(of == number)
        grade[members] = np.arange(len(members))
    return of, grade


def _fit(sku_class: NDArray[np.int32], grade: NDArray[np.int32]) -> NDArray[np.int32]:
    """A higher grade of a class may serve a lower one where the need accepts substitutes."""
    fit = np.full((2 * SKUS, SKUS), -1, dtype=np.int32)
    for wanted in range(SKUS):
        fit[2 * wanted : 2 * wanted + 2, wanted] = 0
        for given in range(SKUS):
            step = int(grade[given] - grade[wanted])
            if sku_class[given] == sku_class[wanted] and step > 0:
                fit[2 * wanted + 1, given] = _GRADE_KM * step
    return fit


def _hospitals(
    random: np.random.Generator, places: Int64s, hospitals: int | None
) -> NDArray[np.int32]:
    size = len(places)
    if hospitals is None:
        return np.arange(size, dtype=np.int32)
    # Needs of one hospital lie near each other: consecutive ones along the longitude.
    found = np.zeros(size, dtype=np.int32)
    found[np.argsort(places[:, 0], kind="stable")] = np.sort(random.integers(0, hospitals, size))
    return found
