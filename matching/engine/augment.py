"""Own cost scaling on arrays: augments along short paths, returns flow and prices together.

A flow is e-optimal when no residual arc has a reduced cost below -e; e falls by a constant factor from phase to
phase. A phase fills every arc that prices out, then moves what is too much at a node along paths of at most
`PATH_MAX` arcs that price out; a node without such an arc has its price lowered. From time to time all prices
are lowered at once by the distance to where units are missing. Costs are multiplied by the nodes plus one, so
that a 1-optimal flow is optimal; prices in the graph's own units are then a few steps away.

Ties (the written rule): nodes are served first come first served; a node's residual arcs are tried in the order
of the graph, from where the last try stopped.

Sources: Goldberg 1997, An efficient implementation of a scaling minimum-cost flow algorithm (phases, updates of
all prices); Kiraly, Kovacs 2012, Efficient implementations of minimum-cost flow algorithms (short paths).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import InputError, LimitError
from matching.engine.graph import Graph, Int32s
from matching.engine.jit import compiled
from matching.engine.residual import flow_max, recover_prices
from matching.geo import Int64s

Int8s = NDArray[np.int8]

NAME: Final = "fuqi cost scaling 1"
PATH_MAX: Final = 4
FACTOR: Final = 16
"""How much finer each phase is: 8 and 32 were as quick on the measured graphs."""
_ROOM_BITS: Final = 62


class Residual(NamedTuple):
    """Both directions of every arc, by the node they leave: node n has [first[n], first[n + 1]).

    Attributes:
        target, back, room, cost: where it leads, its other direction, what it can still carry, its scaled cost.
        excess, price: of the nodes.
        current: of the nodes, the direction to be tried next.
    """

    first: Int64s
    target: Int32s
    back: Int32s
    room: Int64s
    cost: Int64s
    excess: Int64s
    price: Int64s
    current: Int64s


class Buckets(NamedTuple):
    """Nodes by their distance in steps to where units are missing, in doubly linked lists."""

    first: Int32s
    rank: Int32s
    after: Int32s
    before: Int32s


def run_own_scaling(graph: Graph) -> tuple[Int64s, Int64s]:
    """(flow of every arc, price of every node), optimal.

    Raises:
        InputError: `graph.infeasible`.
        LimitError: `graph.cost_overflow`, `graph.flow_overflow`.
    """
    nodes, arcs, scale = graph.nodes, graph.arcs, graph.nodes + 1
    largest = int(np.abs(graph.costs).max(initial=0))
    # No price falls by more than three times nodes * step in a phase; the phases are a geometric row.
    if (4 * largest * scale * nodes).bit_length() > _ROOM_BITS:
        raise LimitError(
            "cost scaling multiplies costs by the number of nodes, which would pass 63 bits here",
            code="graph.cost_overflow",
        )
    bounds = np.minimum(graph.bounds, flow_max(graph))
    sums = np.bincount(graph.tails, weights=bounds, minlength=nodes)
    sums += np.bincount(graph.heads, weights=bounds, minlength=nodes)
    if sums.max(initial=0) + np.abs(graph.supplies).max(initial=0) >= 2.0**_ROOM_BITS:
        raise LimitError(
            "the bounds of the arcs at one node pass 63 bits together", code="graph.flow_overflow"
        )
    place = np.empty(arcs, dtype=np.int32)
    net = Residual(
        first=np.zeros(nodes + 1, dtype=np.int64),
        target=np.empty(2 * arcs, dtype=np.int32),
        back=np.empty(2 * arcs, dtype=np.int32),
        room=np.empty(2 * arcs, dtype=np.int64),
        cost=np.empty(2 * arcs, dtype=np.int64),
        excess=graph.supplies.copy(),
        price=np.zeros(nodes, dtype=np.int64),
        current=np.zeros(nodes, dtype=np.int64),
    )
    _fill_in(graph.tails, graph.heads, bounds, graph.costs, scale, net, place)
    phases: Callable[..., Any] = _phases
    if not phases(net, largest * scale, FACTOR, PATH_MAX):
        raise InputError("the demands cannot all be met over these arcs", code="graph.infeasible")
    flows: Int64s = bounds - net.room[place]
    return flows, recover_prices(graph, flows, near=net.price // scale)


@compiled
def _fill_in(
    tails: Int32s,
    heads: Int32s,
    bounds: Int64s,
    costs: Int64s,
    scale: int,
    net: Residual,
    place: Int32s,
) -> None:
    """Lay both directions of every arc in the order of the nodes; `place`: where its own direction stands."""
    first, target, back, room, cost = net.first, net.target, net.back, net.room, net.cost
    for arc in range(len(tails)):
        first[tails[arc] + 1] += 1
        first[heads[arc] + 1] += 1
    for node in range(len(first) - 1):
        first[node + 1] += first[node]
    fill = first[:-1].copy()
    for arc in range(len(tails)):
        tail, head = tails[arc], heads[arc]
        here = fill[tail]
        fill[tail] += 1
        there = fill[head]
        fill[head] += 1
        place[arc] = here
        target[here], target[there] = head, tail
        back[here], back[there] = there, here
        room[here], room[there] = bounds[arc], 0
        cost[here], cost[there] = costs[arc] * scale, -costs[arc] * scale


@compiled
def _phases(net: Residual, start: int, factor: int, path_max: int) -> bool:
    """Phases until the flow is 1-optimal; false where some units cannot be carried away.

    Args:
        start: no reduced cost is below minus this yet.
    """
    nodes = len(net.excess)
    buckets = Buckets(
        np.empty(factor * nodes + 1, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
    )
    queue = np.empty(nodes, np.int32)
    waiting = np.zeros(nodes, np.int8)
    path = np.empty(path_max, np.int32)
    step = start
    while True:
        step = max(1, step // factor)
        _saturate(net)
        if not _discharge(net, buckets, queue, waiting, path, step):
            return False
        if step == 1:
            return True


@compiled
def _saturate(net: Residual) -> None:
    """Fill every residual arc that prices out: the flow is optimal for these prices, but out of balance."""
    first, target, back, room, cost = net.first, net.target, net.back, net.room, net.cost
    excess, price = net.excess, net.price
    for node in range(len(excess)):
        own = price[node]
        for arc in range(first[node], first[node + 1]):
            if room[arc] > 0:
                other = target[arc]
                if cost[arc] + own - price[other] < 0:
                    moved = room[arc]
                    excess[node] -= moved
                    excess[other] += moved
                    room[back[arc]] += moved
                    room[arc] = 0


@compiled
def _discharge(
    net: Residual, buckets: Buckets, queue: Int32s, waiting: Int8s, path: Int32s, step: int
) -> bool:
    """Move what is too much until every node is in balance; false where that cannot be."""
    first, target, back, room, cost = net.first, net.target, net.back, net.room, net.cost
    excess, price, current = net.excess, net.price, net.current
    nodes = len(excess)
    head = 0
    count = 0
    for node in range(nodes):
        current[node] = first[node]
        waiting[node] = 0
        if excess[node] > 0:
            queue[count] = node
            waiting[node] = 1
            count += 1
    lowered = 0
    next_update = 0
    while count > 0:
        if lowered >= next_update:
            if not _update_prices(net, buckets, step):
                return False
            next_update = lowered + nodes
        start = queue[head]
        if excess[start] <= 0:
            head += 1
            if head == nodes:
                head = 0
            count -= 1
            waiting[start] = 0
            continue
        length, more = _walk(
            first, target, back, room, cost, excess, price, current, path, start, step
        )
        if length < 0:
            return False
        lowered += more
        node = start
        for at in range(length):
            arc = path[at]
            other = target[arc]
            moved = min(room[arc], excess[node])
            room[arc] -= moved
            room[back[arc]] += moved
            excess[node] -= moved
            excess[other] += moved
            if excess[other] > 0 and waiting[other] == 0:
                waiting[other] = 1
                place = head + count
                if place >= nodes:
                    place -= nodes
                queue[place] = other
                count += 1
            node = other
    return True


@compiled
def _walk(
    first: Int64s,
    target: Int32s,
    back: Int32s,
    room: Int64s,
    cost: Int64s,
    excess: Int64s,
    price: Int64s,
    current: Int64s,
    path: Int32s,
    start: int,
    step: int,
) -> tuple[int, int]:
    """A path of arcs that price out: (its length, how many prices it took); length -1 where nothing leads on.

    It ends where units are missing, where it is long enough, or where it meets itself. Plain arrays: counting
    the references of a tuple's arrays would take as long as a short walk.
    """
    tip = start
    length = 0
    lowered = 0
    while length < len(path) and excess[tip] >= 0:
        own = price[tip]
        least = np.int64(9223372036854775807)
        found = -1
        for arc in range(current[tip], first[tip + 1]):
            if room[arc] > 0:
                reduced = cost[arc] + own - price[target[arc]]
                if reduced < 0:
                    found = arc
                    break
                if reduced < least:
                    least = reduced
        if found >= 0:
            current[tip] = found
            met = False
            for at in range(length):
                met = met or path[at] == found
            path[length] = found
            length += 1
            tip = target[found]
            if met:
                break
            continue
        for arc in range(first[tip], current[tip]):
            if room[arc] > 0:
                reduced = cost[arc] + own - price[target[arc]]
                if reduced < least:
                    least = reduced
        if length > 0:
            # The way back will carry what came: it must not price out by more than a step either.
            arc = back[path[length - 1]]
            least = min(least, cost[arc] + own - price[target[arc]])
        if least == 9223372036854775807:
            return -1, lowered
        price[tip] -= least + step
        current[tip] = first[tip]
        lowered += 1
        if length > 0:
            length -= 1
            tip = target[back[path[length]]]
    return length, lowered


@compiled
def _update_prices(net: Residual, buckets: Buckets, step: int) -> bool:
    """Lower every price by its distance, in steps, to the nearest node where units are missing.

    False where too much stands at a node from which no such node can be reached.
    """
    first, target, back, room, cost = net.first, net.target, net.back, net.room, net.cost
    excess, price = net.excess, net.price
    bucket, rank, after, before = buckets.first, buckets.rank, buckets.after, buckets.before
    farthest = len(bucket) - 1
    bucket[:] = -1
    left = 0
    for node in range(len(excess)):
        rank[node] = farthest
        if excess[node] < 0:
            _put(bucket, rank, after, before, node, 0)
        elif excess[node] > 0:
            left += 1
    at = 0
    while at < farthest and left > 0:
        node = bucket[at]
        if node < 0:
            at += 1
            continue
        _take(bucket, rank, after, before, node)
        if excess[node] > 0:
            left -= 1
            if left == 0:
                break
        own = price[node]
        for arc in range(first[node], first[node + 1]):
            other = target[arc]
            if at < rank[other] and room[back[arc]] > 0:
                steps = (price[other] - cost[arc] - own) // step
                if steps < farthest and at + 1 + steps < rank[other]:
                    if rank[other] < farthest:
                        _take(bucket, rank, after, before, other)
                    _put(bucket, rank, after, before, other, at + 1 + steps)
    if left > 0:
        # Too far for the buckets, or not to be reached at all: a plain search tells which.
        return bool(_reachable(net))
    for node in range(len(excess)):
        steps = min(np.int64(rank[node]), np.int64(at))
        if steps > 0:
            price[node] -= step * steps
            net.current[node] = first[node]
    return True


@compiled
def _put(
    bucket: Int32s, rank: Int32s, after: Int32s, before: Int32s, node: int, steps: int
) -> None:
    old = bucket[steps]
    rank[node] = steps
    after[node], before[node] = old, -1
    if old >= 0:
        before[old] = node
    bucket[steps] = node


@compiled
def _take(bucket: Int32s, rank: Int32s, after: Int32s, before: Int32s, node: int) -> None:
    next_, prior = after[node], before[node]
    if prior >= 0:
        after[prior] = next_
    else:
        bucket[rank[node]] = next_
    if next_ >= 0:
        before[next_] = prior


@compiled
def _reachable(net: Residual) -> bool:
    """Whether every node with too much has a residual path to one with too little."""
    nodes = len(net.excess)
    queue = np.empty(nodes, np.int32)
    seen = np.zeros(nodes, np.int8)
    count = 0
    for node in range(nodes):
        if net.excess[node] < 0:
            seen[node] = 1
            queue[count] = node
            count += 1
    head = 0
    while head < count:
        node = queue[head]
        head += 1
        for arc in range(net.first[node], net.first[node + 1]):
            other = net.target[arc]
            if seen[other] == 0 and net.room[net.back[arc]] > 0:
                seen[other] = 1
                queue[count] = other
                count += 1
    return not ((net.excess > 0) & (seen == 0)).any()
