"""The simplex tree as a living thing: arcs are found by node, pivots look only where prices moved.

Beside what `engine.pivots` keeps, every node has lists of its arcs. After an event only arcs at nodes whose
price moved can price out; `settle` works through those nodes (first in, first out) and stops when none is left:
that is the optimum, without a look at the other arcs. It counts arcs looked at and gives up at a limit; the
caller then runs the plain simplex over all arcs from the same tree.

Flow between zero and the bound on an arc outside the tree is possible right after an event; `purify` pushes it,
in the direction that does not cost, until the arc is at an end or in the tree.

Ties (the written rule): nodes in the order in which they were touched; at a node the first arc with the most
negative reduced cost, newest arcs first; the leaving arc as in `engine.pivots`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matching.engine.exchange import NO_BOUND, SAME_TREE, append, exchange
from matching.engine.jit import lean
from matching.geo import Int64s

Int32s = NDArray[np.int32]
Int8s = NDArray[np.int8]

DONE: Final = 0
SPENT: Final = 1
ENDLESS: Final = 2
WORDS: Final = 7
"""`work`: head of the queue, its length, nodes touched, arcs looked at, pivots, nodes stirred, arcs in rows."""
OTHER: Final = 0
GROUP: Final = 1
NEED: Final = 2
LOT: Final = 3


class Tree(NamedTuple):
    """Arrays longer than what they hold: room to grow.

    Attributes:
        tails … price: as in `engine.pivots`; `state` 0 also on arcs that are out of use (bound 0).
        first_out, first_in: by node, its newest arc; next_out, next_in: by arc, the next older one; -1 ends.
        out_start, in_start: the first `work[6]` arcs once more, node after node, newest first: to look at those
            of node v is to read on from start[v] to start[v + 1].
        out_arc, out_end, out_cost, in_arc, in_end, in_cost: which arc, its other end, what it costs.
        dirty, queue: nodes whose arcs are to be looked at, each once.
        marked, touched: nodes whose price was moved since that was last asked.
        role: NEED, LOT or something else; says in which direction a move of the price can matter.
        stir_marked, stirred, start: nodes whose price moved while one node was worked on, and what it was.
    """

    tails: Int32s
    heads: Int32s
    costs: Int64s
    bounds: Int64s
    flows: Int64s
    state: Int8s
    next_out: Int32s
    next_in: Int32s
    parent: Int32s
    pred: Int32s
    upward: Int8s
    size: Int32s
    last: Int32s
    after: Int32s
    before: Int32s
    price: Int64s
    first_out: Int32s
    first_in: Int32s
    out_start: Int32s
    out_arc: Int32s
    out_end: Int32s
    out_cost: Int64s
    in_start: Int32s
    in_arc: Int32s
    in_end: Int32s
    in_cost: Int64s
    dirty: Int8s
    queue: Int32s
    marked: Int8s
    touched: Int32s
    role: Int8s
    stir_marked: Int8s
    stirred: Int32s
    start: Int64s
    work: Int64s


@lean
def link(tree: Tree, first: int, end: int) -> None:
    """Enter the arcs [first, end) into the lists of their nodes."""
    for arc in range(first, end):
        tail, head = tree.tails[arc], tree.heads[arc]
        tree.next_out[arc] = tree.first_out[tail]
        tree.first_out[tail] = arc
        tree.next_in[arc] = tree.first_in[head]
        tree.first_in[head] = arc


@lean
def retire(tree: Tree, node: int) -> None:
    """All arcs of a node, which carry nothing, are out of use for good."""
    arc = tree.first_out[node]
    while arc >= 0:
        tree.bounds[arc], tree.state[arc] = 0, 0
        arc = tree.next_out[arc]
    arc = tree.first_in[node]
    while arc >= 0:
        tree.bounds[arc], tree.state[arc] = 0, 0
        arc = tree.next_in[arc]


@lean
def soil(tree: Tree, node: int) -> None:
    """Put a node in the queue, once; the root's arcs are looked at from their other ends."""
    if tree.dirty[node] == 0 and tree.parent[node] >= 0:
        tree.dirty[node] = 1
        at = tree.work[0] + tree.work[1]
        if at >= len(tree.queue):
            at -= len(tree.queue)
        tree.queue[at] = node
        tree.work[1] += 1


@lean
def hang(tree: Tree, node: int, arc: int) -> None:
    """A new node becomes a leaf at the other end of `arc`; an arc that comes down carries a unit at least."""
    up = 1 if tree.tails[arc] == node else 0
    parent = tree.heads[arc] if up == 1 else tree.tails[arc]
    tree.parent[node], tree.pred[node], tree.upward[node] = parent, arc, up
    tree.price[node] = tree.price[parent] + (-tree.costs[arc] if up == 1 else tree.costs[arc])
    tree.size[node], tree.last[node] = 1, node
    append(tree.parent, tree.last, tree.after, tree.before, parent, node, node)
    while parent >= 0:
        tree.size[parent] += 1
        parent = tree.parent[parent]
    tree.state[arc] = 0
    soil(tree, node)
    touch(tree, node)


@lean
def touch(tree: Tree, node: int) -> None:
    """Remember that the price of a node was moved."""
    if tree.marked[node] == 0:
        tree.marked[node] = 1
        tree.touched[tree.work[2]] = node
        tree.work[2] += 1


@lean
def stir(tree: Tree, node: int) -> None:
    """Remember the price that a node had before the work on the present node began."""
    if tree.stir_marked[node] == 0:
        tree.stir_marked[node] = 1
        tree.start[node] = tree.price[node]
        tree.stirred[tree.work[5]] = node
        tree.work[5] += 1


@lean
def calm(tree: Tree) -> None:
    """Queue the stirred nodes at which an arc may price out now.

    A need has only arcs without a bound that come in: they price out if its price rises, or that of their other
    end falls. A lot has only such that go out. What came back to where it was changed nothing.
    """
    for at in range(tree.work[5]):
        node = tree.stirred[at]
        tree.stir_marked[node] = 0
        moved = tree.price[node] - tree.start[node]
        if tree.role[node] == 2:
            matters = moved > 0
        elif tree.role[node] == 3:
            matters = moved < 0
        else:
            matters = moved != 0
        if matters:
            soil(tree, node)
    tree.work[5] = 0


@lean
def touch_moved(tree: Tree, before: Int64s) -> None:
    """Mark the nodes whose price is another than `before`, as if they had been touched one by one."""
    for node in range(len(before)):
        if tree.price[node] != before[node] and tree.marked[node] == 0:
            touch(tree, node)


@lean
def pivot(tree: Tree, entering: int, forward: int) -> int:
    """Exchange an arc and shift the prices of the subtree that moved; DONE or ENDLESS."""
    inner, tip = exchange(
        tree.tails,
        tree.heads,
        tree.bounds,
        tree.flows,
        tree.state,
        tree.parent,
        tree.pred,
        tree.upward,
        tree.size,
        tree.last,
        tree.after,
        tree.before,
        entering,
        forward,
    )
    if inner == NO_BOUND:
        return 2
    tree.work[4] += 1
    if inner == SAME_TREE:
        return 0
    shift = (
        tree.costs[entering] + tree.price[tree.tails[entering]] - tree.price[tree.heads[entering]]
    )
    if shift == 0:
        return 0
    if tree.tails[entering] == inner:
        shift = -shift
    # Shifting is work as looking at arcs is.
    tree.work[3] += 2 * tree.size[inner]
    node, stop = inner, tree.after[tip]
    while node != stop:
        touch(tree, node)
        stir(tree, node)
        tree.price[node] += shift
        node = tree.after[node]
    return 0


@lean
def purify(tree: Tree, arc: int) -> int:
    """Bring an arc with flow between zero and its bound to an end, or into the tree."""
    if tree.flows[arc] == 0 or tree.flows[arc] == tree.bounds[arc]:
        tree.state[arc] = 0 if tree.bounds[arc] == 0 else (1 if tree.flows[arc] == 0 else -1)
        soil(tree, tree.tails[arc])
        soil(tree, tree.heads[arc])
        return 0
    reduced = tree.costs[arc] + tree.price[tree.tails[arc]] - tree.price[tree.heads[arc]]
    return pivot(tree, arc, 1 if reduced < 0 else 0)


@lean
def _worst_arc(tree: Tree, node: int) -> int:
    """The arc at a node that prices out most, newest first; -1 where none does."""
    entering, least = -1, 0
    rows, own = tree.work[6], tree.price[node]
    arc = tree.first_out[node]
    while arc >= rows:
        tree.work[3] += 1
        reduced = tree.state[arc] * (tree.costs[arc] + own - tree.price[tree.heads[arc]])
        if reduced < least:
            least, entering = reduced, arc
        arc = tree.next_out[arc]
    arc = tree.first_in[node]
    # Arcs at their bound price out the other way round; only groups have arcs with bounds.
    bounded = tree.role[node] != 2 and tree.role[node] != 3
    in_rows = node + 1 < len(tree.out_start)
    if in_rows:
        first, end = tree.out_start[node], tree.out_start[node + 1]
        tree.work[3] += end - first
        for at in range(first, end):
            reduced = tree.out_cost[at] + own - tree.price[tree.out_end[at]]
            if reduced < least or (bounded and reduced > -least):
                reduced *= tree.state[tree.out_arc[at]]
                if reduced < least:
                    least, entering = reduced, tree.out_arc[at]
    while arc >= rows:
        tree.work[3] += 1
        reduced = tree.state[arc] * (tree.costs[arc] + tree.price[tree.tails[arc]] - own)
        if reduced < least:
            least, entering = reduced, arc
        arc = tree.next_in[arc]
    if in_rows:
        first, end = tree.in_start[node], tree.in_start[node + 1]
        tree.work[3] += end - first
        for at in range(first, end):
            reduced = tree.in_cost[at] + tree.price[tree.in_end[at]] - own
            if reduced < least or (bounded and reduced > -least):
                reduced *= tree.state[tree.in_arc[at]]
                if reduced < least:
                    least, entering = reduced, tree.in_arc[at]
    return entering


@lean
def settle(tree: Tree, scans_max: int, pivots_max: int) -> int:
    """Pivot at the nodes in the queue until it is empty: DONE. SPENT where a limit stopped it before."""
    outcome = 0
    spent = tree.work[3] + scans_max
    started = tree.work[4]
    while tree.work[1] > 0:
        node = tree.queue[tree.work[0]]
        tree.work[0] += 1
        if tree.work[0] == len(tree.queue):
            tree.work[0] = 0
        tree.work[1] -= 1
        tree.dirty[node] = 0
        while True:
            entering = _worst_arc(tree, node)
            if entering < 0:
                break
            outcome = pivot(tree, entering, 1 if tree.state[entering] == 1 else 0)
            if outcome != 0:
                break
            if tree.work[3] > spent or tree.work[4] - started > pivots_max:
                soil(tree, node)
                outcome = 1
                break
        calm(tree)
        if outcome != 0:
            break
    return outcome


@lean
def catch_up(
    tree: Tree,
    first: int,
    end: int,
    retired: Int32s,
    hung: Int32s,
    soiled: Int32s,
    impure: Int32s,
    scans_max: int,
    pivots_max: int,
) -> int:
    """All edits of one event, then the optimum: one call, as handing over so many arrays takes its time.

    Args:
        first, end: arcs that are new.
        retired: nodes whose arcs carry nothing and are out of use from now on.
        hung: a new node and its tree arc, by turns.
        impure: arcs with another flow or bound.
    """
    link(tree, first, end)
    for node in retired:
        retire(tree, node)
    for at in range(0, len(hung), 2):
        hang(tree, hung[at], hung[at + 1])
    for node in soiled:
        soil(tree, node)
    for arc in impure:
        # Arcs of the tree may carry anything.
        if tree.pred[tree.tails[arc]] != arc and tree.pred[tree.heads[arc]] != arc:
            outcome = purify(tree, arc)
            calm(tree)
            if outcome != 0:
                return outcome
    return settle(tree, scans_max, pivots_max)


@lean
def empty_queue(tree: Tree) -> None:
    """After a run over all arcs nothing is left to look at."""
    while tree.work[1] > 0:
        tree.dirty[tree.queue[tree.work[0]]] = 0
        tree.work[0] += 1
        if tree.work[0] == len(tree.queue):
            tree.work[0] = 0
        tree.work[1] -= 1
    tree.work[0] = 0
