"""One exchange of the network simplex: the cycle, the push, and the tree with one arc instead of another.

Tree: `parent`, `pred` (the arc to the parent), `upward` (that arc points to the parent), the nodes in
preorder as a ring (`after`, `before`) from the root, and of each subtree its number of nodes (`size`) and its
last node in the ring (`last`). With those two the tree changes along the paths of one cycle alone, however many
nodes move. Prices are the caller's: the subtree that moved is the stretch of the ring from `inner` to `tip`.

Of all arcs that block the cycle the last one in the direction of the push, counted from the cycle's apex,
leaves: that keeps the tree strongly feasible (from every node a unit could go to the root).

Sources: Cunningham 1976 (strongly feasible trees); Ahuja, Magnanti, Orlin, Network Flows, ch. 11.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.jit import lean
from matching.geo import Int64s

Int32s = NDArray[np.int32]
Int8s = NDArray[np.int8]

SAME_TREE: Final = -1
"""Instead of `inner`: the entering arc went from one end of its bounds to the other."""
NO_BOUND: Final = -2
"""Instead of `inner`: nothing on the cycle has a bound."""


@lean
def exchange(
    tails: Int32s,
    heads: Int32s,
    bounds: Int64s,
    flows: Int64s,
    state: Int8s,
    parent: Int32s,
    pred: Int32s,
    upward: Int8s,
    size: Int32s,
    last: Int32s,
    after: Int32s,
    before: Int32s,
    entering: int,
    forward: int,
) -> tuple[int, int]:
    """Push along an arc outside the tree and round through the tree: (inner, tip), or one of the codes above.

    Args:
        forward: 1 where the push goes from tail to head, else 0.
    """
    if forward == 1:
        first, second = tails[entering], heads[entering]
        push = bounds[entering] - flows[entering]
    else:
        first, second = heads[entering], tails[entering]
        push = flows[entering]
    # A subtree is smaller than each that holds it, so the smaller of two climbs.
    a, b = first, second
    while a != b:
        if size[a] < size[b]:
            a = parent[a]
        else:
            b = parent[b]
    apex = a
    # Ratio test: `<` below `first` and `<=` below `second` pick the last blocking arc from the apex.
    side = 0
    leaver = first
    node = first
    while node != apex:
        link = pred[node]
        room = flows[link] if upward[node] == 1 else bounds[link] - flows[link]
        if room < push:
            push, leaver, side = room, node, 1
        node = parent[node]
    node = second
    while node != apex:
        link = pred[node]
        room = bounds[link] - flows[link] if upward[node] == 1 else flows[link]
        if room <= push:
            push, leaver, side = room, node, 2
        node = parent[node]
    # 1 << 61: an unbounded arc less any flow is still above it, and no bounded cycle is.
    if push > 2305843009213693952:
        return NO_BOUND, NO_BOUND
    if push > 0:
        flows[entering] += push if forward == 1 else -push
        node = first
        while node != apex:
            flows[pred[node]] += -push if upward[node] == 1 else push
            node = parent[node]
        node = second
        while node != apex:
            flows[pred[node]] += push if upward[node] == 1 else -push
            node = parent[node]
    if side == 0:
        state[entering] = 1 if flows[entering] == 0 else -1
        return SAME_TREE, SAME_TREE
    state[entering] = 0
    left = pred[leaver]
    # An arc that can carry nothing is never priced.
    state[left] = 0 if bounds[left] == 0 else (1 if flows[left] == 0 else -1)
    inner, outer = (first, second) if side == 1 else (second, first)
    up = 1 if tails[entering] == inner else 0
    # Between the apex and the ends of the path the two sides of the tree grow and shrink.
    moved = size[leaver]
    node = parent[leaver]
    while node != apex:
        size[node] -= moved
        node = parent[node]
    node = outer
    while node != apex:
        size[node] += moved
        node = parent[node]
    up = 1 if tails[entering] == inner else 0
    tip = rehang(
        parent, pred, upward, size, last, after, before, entering, up, inner, outer, leaver
    )
    return inner, tip


@lean
def rehang(
    parent: Int32s,
    pred: Int32s,
    upward: Int8s,
    size: Int32s,
    last: Int32s,
    after: Int32s,
    before: Int32s,
    entering: int,
    up: int,
    inner: int,
    outer: int,
    leaver: int,
) -> int:
    """Cut the subtree of `leaver`, hang it below `outer` by `inner` and the entering arc; its last node then.

    Args:
        up: the entering arc points from `inner` to `outer`.
    """
    # Where the subtree stood last in those above it, what stood before it is last now.
    end, prior = last[leaver], before[leaver]
    node = parent[leaver]
    while node >= 0 and last[node] == end:
        last[node] = prior
        node = parent[node]
    # The new preorder: the subtree of `inner`, then of each node above it what its child did not take along.
    # The path from `inner` to `leaver` is turned round on the way.
    moved = size[leaver]
    node, tip = inner, last[inner]
    child_size, child_last = size[inner], last[inner]
    prior, next_ = before[inner], after[tip]
    after[prior] = next_
    before[next_] = prior
    up_node, up_arc, up_way = parent[inner], pred[inner], upward[inner]
    parent[inner], pred[inner], upward[inner], size[inner] = outer, entering, up, moved
    while node != leaver:
        child, node = node, up_node
        node_size, node_last = size[node], last[node]
        stop = prior if node_last == child_last else node_last
        prior, next_ = before[node], after[stop]
        after[prior] = next_
        before[next_] = prior
        after[tip] = node
        before[node] = tip
        tip = stop
        arc, way = up_arc, 1 - up_way
        up_node, up_arc, up_way = parent[node], pred[node], upward[node]
        parent[node], pred[node], upward[node] = child, arc, way
        size[node] = moved - child_size
        child_size, child_last = node_size, node_last
    while node != outer:
        last[node] = tip
        node = parent[node]
    append(parent, last, after, before, outer, inner, tip)
    return int(tip)


@lean
def append(
    parent: Int32s,
    last: Int32s,
    after: Int32s,
    before: Int32s,
    outer: int,
    first: int,
    tip: int,
) -> None:
    """Put the stretch from `first` to `tip` right behind `outer` in the ring, below which it hangs."""
    next_ = after[outer]
    after[outer] = first
    before[first] = outer
    after[tip] = next_
    before[next_] = tip
    node = outer
    while node >= 0 and last[node] == outer:
        last[node] = tip
        node = parent[node]


@lean
def measure(parent: Int32s, size: Int32s, last: Int32s, before: Int32s, root: int) -> None:
    """Sizes and last nodes of all subtrees, from the ring."""
    size[:] = 1
    last[:] = -1
    node = before[root]
    while node != root:
        if last[node] < 0:
            last[node] = node
        up = parent[node]
        size[up] += size[node]
        if last[up] < 0:
            last[up] = last[node]
        node = before[node]
    if last[root] < 0:
        last[root] = root
