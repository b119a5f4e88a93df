"""The inner loop of the network simplex: price, ratio test, flow change, tree change. Plain arrays only.

Tree: `parent`, `pred` (the arc to the parent), `upward` (that arc points to the parent), `depth`, and the
nodes in preorder as a ring (`after`, `before`) from the root. A pivot cuts one subtree, re-hangs it by the
entering arc and shifts its potentials; only that subtree is touched.

Reduced cost of an arc a -> b is cost + price(a) - price(b); tree arcs have zero. `state` is 1 for an arc at
zero, -1 for an arc at its bound, 0 for an arc of the tree and for one that can carry nothing.

Ties (the written rule): arcs are scanned in their order, in blocks, from where the last scan stopped; the
first arc with the most negative reduced cost of a block enters. Of all arcs that block the cycle the last one
in the direction of the push, counted from the cycle's apex, leaves: that keeps the tree strongly feasible
(from every node a unit could go to the root), so the method cannot cycle.

Sources: Cunningham 1976 (strongly feasible trees); Ahuja, Magnanti, Orlin, Network Flows, ch. 11.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.jit import compiled
from matching.geo import Int64s

Int32s = NDArray[np.int32]
Int8s = NDArray[np.int8]

OPTIMAL: Final = 0
PAUSED: Final = 1
ENDLESS: Final = 2
"""A cycle of negative cost without a bound: the graph has no finite optimum."""


@compiled
def run_pivots(
    tails: Int32s,
    heads: Int32s,
    costs: Int64s,
    bounds: Int64s,
    flows: Int64s,
    state: Int8s,
    parent: Int32s,
    pred: Int32s,
    upward: Int8s,
    depth: Int32s,
    after: Int32s,
    before: Int32s,
    price: Int64s,
    span: Int64s,
    limit: int,
) -> int:
    """Pivot until no arc prices out or `limit` pivots are done.

    Args:
        span: [first arc to price, end, where the next scan starts, block size, pivots done]; updated.
    """
    first_arc, end, cursor, block = span[0], span[1], span[2], span[3]
    total = end - first_arc
    done = 0
    outcome = 1
    while done < limit:
        # Pricing: the best arc of the first block that holds one that prices out.
        entering = -1
        least = 0
        seen = 0
        in_block = block
        arc = cursor
        while seen < total:
            sign = state[arc]
            if sign != 0:
                reduced = sign * (costs[arc] + price[tails[arc]] - price[heads[arc]])
                if reduced < least:
                    least = reduced
                    entering = arc
            arc += 1
            if arc == end:
                arc = first_arc
            seen += 1
            in_block -= 1
            if in_block == 0:
                if entering >= 0:
                    break
                in_block = block
        if entering < 0:
            outcome = 0
            break
        cursor = arc
        # The push goes along the entering arc from `first` to `second`, then round through the tree.
        if state[entering] == 1:
            first, second = tails[entering], heads[entering]
        else:
            first, second = heads[entering], tails[entering]
        a, b = first, second
        while a != b:
            if depth[a] > depth[b]:
                a = parent[a]
            elif depth[a] < depth[b]:
                b = parent[b]
            else:
                a = parent[a]
                b = parent[b]
        apex = a
        # Ratio test: `<` below `first` and `<=` below `second` pick the last blocking arc from the apex.
        push = bounds[entering]
        side = 0
        leaver = -1
        node = first
        while node != apex:
            link = pred[node]
            room = flows[link] if upward[node] == 1 else bounds[link] - flows[link]
            if room < push:
                push = room
                leaver = node
                side = 1
            node = parent[node]
        node = second
        while node != apex:
            link = pred[node]
            room = bounds[link] - flows[link] if upward[node] == 1 else flows[link]
            if room <= push:
                push = room
                leaver = node
                side = 2
            node = parent[node]
        # 1 << 61: an unbounded arc less any flow is still above it, and no bounded cycle is.
        if push > 2305843009213693952:
            outcome = 2
            break
        if push > 0:
            flows[entering] += state[entering] * push
            node = first
            while node != apex:
                if upward[node] == 1:
                    flows[pred[node]] -= push
                else:
                    flows[pred[node]] += push
                node = parent[node]
            node = second
            while node != apex:
                if upward[node] == 1:
                    flows[pred[node]] += push
                else:
                    flows[pred[node]] -= push
                node = parent[node]
        done += 1
        if side == 0:
            state[entering] = -state[entering]
            continue
        inner, outer = (first, second) if side == 1 else (second, first)
        reduced = costs[entering] + price[tails[entering]] - price[heads[entering]]
        state[entering] = 0
        left = pred[leaver]
        if bounds[left] == 0:
            state[left] = 0
        else:
            state[left] = 1 if flows[left] == 0 else -1
        # Cut the subtree below `leaver` out of the ring, in the new preorder from `inner`.
        last = inner
        while depth[after[last]] > depth[inner]:
            last = after[last]
        prior, next_ = before[inner], after[last]
        after[prior] = next_
        before[next_] = prior
        tip = last
        node = inner
        while node != leaver:
            node = parent[node]
            last = prior
            if depth[next_] > depth[node]:
                last = next_
                while depth[after[last]] > depth[node]:
                    last = after[last]
            # `last` may be `prior`, which lies in node's subtree or is node itself.
            prior, next_ = before[node], after[last]
            after[prior] = next_
            before[next_] = prior
            after[tip] = node
            before[node] = tip
            tip = last
        next_ = after[outer]
        after[outer] = inner
        before[inner] = outer
        after[tip] = next_
        before[next_] = tip
        # Turn the path from `inner` to `leaver` round.
        new_parent, new_arc = outer, entering
        new_up = 1 if tails[entering] == inner else 0
        node = inner
        while True:
            up_parent, up_arc, up_dir = parent[node], pred[node], upward[node]
            parent[node], pred[node], upward[node] = new_parent, new_arc, new_up
            if node == leaver:
                break
            new_parent, new_arc, new_up = node, up_arc, 1 - up_dir
            node = up_parent
        shift = -reduced if tails[entering] == inner else reduced
        node = inner
        while True:
            price[node] += shift
            depth[node] = depth[parent[node]] + 1
            if node == tip:
                break
            node = after[node]
    span[2] = cursor
    span[4] += done
    return outcome


@compiled
def plant(
    tails: Int32s,
    costs: Int64s,
    parent: Int32s,
    pred: Int32s,
    upward: Int8s,
    depth: Int32s,
    after: Int32s,
    before: Int32s,
    price: Int64s,
    root: int,
) -> None:
    """Fill in the ring, the depths and the prices of a tree given by `parent` and `pred`."""
    nodes = len(parent)
    child = np.full(nodes, -1, np.int32)
    sibling = np.full(nodes, -1, np.int32)
    for node in range(nodes - 1, -1, -1):
        if node != root:
            sibling[node] = child[parent[node]]
            child[parent[node]] = node
            upward[node] = 1 if tails[pred[node]] == node else 0
    depth[root] = 0
    price[root] = 0
    last = root
    node = child[root]
    while node >= 0:
        up = parent[node]
        depth[node] = depth[up] + 1
        # Zero reduced cost on the tree arc.
        price[node] = price[up] + (-costs[pred[node]] if upward[node] == 1 else costs[pred[node]])
        after[last] = node
        before[node] = last
        last = node
        if child[node] >= 0:
            node = child[node]
        else:
            while node != root and sibling[node] < 0:
                node = parent[node]
            node = sibling[node] if node != root else -1
    after[last] = root
    before[root] = last


@compiled
def run_components(
    tails: Int32s,
    heads: Int32s,
    costs: Int64s,
    bounds: Int64s,
    flows: Int64s,
    state: Int8s,
    parent: Int32s,
    pred: Int32s,
    upward: Int8s,
    depth: Int32s,
    after: Int32s,
    before: Int32s,
    price: Int64s,
    ends: Int64s,
    members: Int64s,
    block_min: int,
    block_factor: int,
    span: Int64s,
) -> int:
    """`run_pivots` to the optimum of each stretch of arcs in turn; OPTIMAL or ENDLESS."""
    for at in range(len(members)):
        first, end = ends[members[at]], ends[members[at] + 1]
        span[0], span[1], span[2] = first, end, first
        span[3] = max(block_min, int(block_factor * np.sqrt(float(end - first))))
        outcome = run_pivots(
            tails,
            heads,
            costs,
            bounds,
            flows,
            state,
            parent,
            pred,
            upward,
            depth,
            after,
            before,
            price,
            span,
            4611686018427387904,
        )
        if outcome != 0:
            return outcome
    return 0
