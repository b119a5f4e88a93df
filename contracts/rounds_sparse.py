"""The trees of a large round, made without its empty parts; the same roots and paths as `rounds_tree`.

A real round has thousands of rows and columns and few pairs: most of the table is empty, and most rows of the
plan's tree are the row above with a few cells changed. Empty subtrees are hashed once, unchanged ones are
shared, so that the work grows with pairs and flows and not with rows times columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from eth_hash.auto import keccak

from contracts.rounds_tree import (
    EMPTY,
    SIDE_MAX,
    VALUE_MAX,
    Answer,
    Fault,
    Instance,
    Opening,
    Table,
    Witness,
    depth_of,
    pack,
    pack_sums,
)
from ledger.core.errors import InputError, LimitError

PAIRS_MAX: Final = 4_000_000
"""Eligible pairs for which trees are made: some ten seconds and half a gigabyte."""
_LEAF_NUMBERS: Final = 16
_LEAF_BYTES: Final = 128
_LANE_BITS: Final = 64
_HALF_BITS: Final = 128
_HALF: Final = 2**_HALF_BITS - 1

Row: TypeAlias = tuple[tuple[int, int], ...]
"""(column, weight) in ascending order; columns that are not named have weight 0."""


@dataclass(frozen=True, slots=True)
class SparseInstance:
    """The inputs of a round; build with `make_sparse`."""

    supplies: tuple[int, ...]
    demands: tuple[int, ...]
    cells: tuple[Row, ...]

    def dense(self) -> Instance:
        """The same with every weight written out; for small rounds only."""
        weights = []
        for row in self.cells:
            numbers = [0] * len(self.demands)
            for column, weight in row:
                numbers[column] = weight
            weights.append(tuple(numbers))
        return Instance(self.supplies, self.demands, tuple(weights))


@dataclass(frozen=True, slots=True)
class _Node:
    """A node of the plan's tree; a cell has no children and `digest` is its column's total so far."""

    digest: bytes
    sums: int
    left: _Node | None = None
    right: _Node | None = None


def make_sparse(
    *, supplies: Sequence[int], demands: Sequence[int], cells: Sequence[Row]
) -> SparseInstance:
    """Check sizes and ranges.

    Raises:
        InputError: `rounds.shape`, `rounds.value`.
        LimitError: `rounds.too_large`.
    """
    if not supplies or not demands or len(cells) != len(supplies):
        raise InputError("a round has rows, columns and a weight row each", code="rounds.shape")
    if max(len(supplies), len(demands)) > SIDE_MAX or sum(map(len, cells)) > PAIRS_MAX:
        raise LimitError("too many pairs", code="rounds.too_large", limit=PAIRS_MAX)
    if not all(0 <= value <= VALUE_MAX for value in (*supplies, *demands)):
        raise InputError("a number is negative or 2**62 or more", code="rounds.value")
    for row in cells:
        last = -1
        for column, weight in row:
            if not last < column < len(demands):
                raise InputError("a weight is out of order or outside", code="rounds.shape")
            if not 0 < weight <= VALUE_MAX:
                raise InputError("a number is negative or 2**62 or more", code="rounds.value")
            last = column
    return SparseInstance(tuple(supplies), tuple(demands), tuple(cells))


class SparseRound:
    """The committed inputs with their trees."""

    def __init__(self, instance: SparseInstance) -> None:
        self.instance = instance
        self.rows, self.columns = len(instance.supplies), len(instance.demands)
        self._supplies, self._demands = (
            Table(pack(instance.supplies)),
            Table(pack(instance.demands)),
        )
        self._width = -(-self.columns // 4) * 4
        self._leaves = self._filled_leaves()
        self._levels, self._empties = self._weight_levels()

    def inputs_root(self) -> bytes:
        """What `open` commits to, before anything is solved."""
        return self._opening(None).inputs_root

    def opening(self, plan: SparsePlan) -> Opening:
        """Inputs and plan together, as `post` and `strike` take them."""
        return self._opening(plan)

    def strike_of(self, plan: SparsePlan, *, objective: int) -> Witness | None:
        """The first fault that `strike` accepts; None when the plan is feasible, best and worth what it says.

        Args:
            objective: what was posted.
        """
        for witness in self._faults(plan, objective):
            return witness
        return None

    def _opening(self, plan: SparsePlan | None) -> Opening:
        return Opening(
            rows=self.rows,
            columns=self.columns,
            supply_root=self._supplies.root,
            demand_root=self._demands.root,
            weight_root=self._levels[-1][0],
            row_price_root=EMPTY if plan is None else plan.row_prices.root,
            column_price_root=EMPTY if plan is None else plan.column_prices.root,
            column_total_root=EMPTY if plan is None else plan.totals.root,
            cell_root=EMPTY if plan is None else plan.root.digest,
            units=0 if plan is None else plan.units,
        )

    def _filled_leaves(self) -> dict[int, tuple[int, ...]]:
        """Leaf -> its sixteen numbers, of leaves that hold a weight."""
        found: dict[int, list[int]] = {}
        for number, row in enumerate(self.instance.cells):
            first = number * self._width
            for column, weight in row:
                at, inside = divmod(first + column, _LEAF_NUMBERS)
                numbers = found.get(at)
                if numbers is None:
                    numbers = found[at] = [0] * _LEAF_NUMBERS
                numbers[inside] = weight
        return {at: tuple(numbers) for at, numbers in found.items()}

    def _weight_levels(self) -> tuple[list[dict[int, bytes]], list[tuple[bytes, int, bytes]]]:
        """Per level the nodes that are not plain; (plain node, nodes, missing node)."""
        count = max(1, -(-self.rows * self._width // _LEAF_NUMBERS))
        level = {at: keccak(_leaf_bytes(numbers)) for at, numbers in self._leaves.items()}
        plain, missing = keccak(bytes(_LEAF_BYTES)), EMPTY
        levels, empties = [level], [(plain, count, missing)]
        while count > 1:
            nodes = {}
            for at in sorted({index >> 1 for index in level} | {(count - 1) >> 1}):
                left = level.get(2 * at, plain)
                right = level.get(2 * at + 1, plain if 2 * at + 1 < count else missing)
                nodes[at] = keccak(left + right)
            count = (count + 1) >> 1
            plain, missing = keccak(plain + plain), keccak(missing + missing)
            level = nodes
            levels.append(level)
            empties.append((plain, count, missing))
        if 0 not in levels[-1]:
            levels[-1][0] = plain
        return levels, empties

    def _open_weight(self, row: int, column: int) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
        leaf = (row * self._width + column) // _LEAF_NUMBERS
        words = tuple(pack(self._leaves.get(leaf, (0,) * _LEAF_NUMBERS)))
        path = []
        for height in range(len(self._levels) - 1):
            plain, count, missing = self._empties[height]
            beside = (leaf >> height) ^ 1
            path.append(self._levels[height].get(beside, plain if beside < count else missing))
        return words, tuple(path)

    def _faults(self, plan: SparsePlan, objective: int) -> Iterator[Witness]:
        # The trees are made from prices and flows, so only these can be wrong: the sum that was claimed, a flow
        # without weight, a row or column over-full or left over though it has a price, a price sum.
        if plan.value != objective and plan.depth == 0:
            cell = (_number(plan.root.digest), pack_sums(plan.units, objective))
            yield Witness(Fault.CELL, 0, 0, *_together(self._open_weight(0, 0), (cell, ())))
        elif plan.value != objective:
            assert plan.root.left is not None
            assert plan.root.right is not None
            claimed = pack_sums(plan.units, objective)
            left, right = plan.root.left, plan.root.right
            sums = (_number(plan.root.digest), claimed, *_words(left), *_words(right))
            yield Witness(Fault.NODE, plan.depth, 0, sums, ())
        weights = [dict(row) for row in self.instance.cells]
        for row, column, _ in plan.flows:
            if not weights[row].get(column, 0):
                words, path = _together(self._open_weight(row, column), plan.open_cell(row, column))
                yield Witness(Fault.CELL, row, column, words, path)
        yield from self._capacity_faults(plan)
        yield from self._price_faults(plan, weights)

    def _capacity_faults(self, plan: SparsePlan) -> Iterator[Witness]:
        for row, (limit, price, total) in enumerate(
            zip(self.instance.supplies, plan.answer.row_prices, plan.row_totals, strict=True)
        ):
            if _capacity(total, limit, price):
                words, path = _together(
                    self._supplies.open(row), plan.row_prices.open(row), plan.open_row(row)
                )
                yield Witness(Fault.ROW, row, 0, words, path)
        for column, (limit, price, total) in enumerate(
            zip(self.instance.demands, plan.answer.column_prices, plan.column_totals, strict=True)
        ):
            if _capacity(total, limit, price):
                words, path = _together(
                    self._demands.open(column),
                    plan.column_prices.open(column),
                    plan.totals.open(column),
                )
                yield Witness(Fault.COLUMN, 0, column, words, path)

    def _price_faults(self, plan: SparsePlan, weights: list[dict[int, int]]) -> Iterator[Witness]:
        prices = plan.answer
        for row, pairs in enumerate(self.instance.cells):
            for column, weight in pairs:
                if prices.row_prices[row] + prices.column_prices[column] < weight:
                    yield Witness(
                        Fault.EDGE, row, column, *_together(*self._opened(plan, row, column))
                    )
        for row, column, _ in plan.flows:
            if prices.row_prices[row] + prices.column_prices[column] > weights[row].get(column, 0):
                opened = (*self._opened(plan, row, column), plan.open_cell(row, column))
                yield Witness(Fault.SLACK, row, column, *_together(*opened))

    def _opened(
        self, plan: SparsePlan, row: int, column: int
    ) -> tuple[tuple[tuple[int, ...], tuple[bytes, ...]], ...]:
        return (
            self._open_weight(row, column),
            plan.row_prices.open(row),
            plan.column_prices.open(column),
        )


class SparsePlan:
    """The trees of an answer, faithfully; nothing is checked but its shape."""

    def __init__(self, instance: SparseInstance, answer: Answer) -> None:
        """Build from flows in ascending order.

        Raises:
            InputError: `rounds.shape`, `rounds.value`.
        """
        rows, columns = len(instance.supplies), len(instance.demands)
        _require_shape(answer, rows=rows, columns=columns)
        self.answer, self.flows = answer, answer.flows
        self.row_prices, self.column_prices = (
            Table(pack(answer.row_prices)),
            Table(pack(answer.column_prices)),
        )
        self._across, self._down = depth_of(columns), depth_of(rows)
        self.depth = self._across + self._down
        self.row_totals, self.column_totals = [0] * rows, [0] * columns
        self._spine = self._rows_of(instance, rows)
        self.totals = Table(pack(self.column_totals))
        self.root = self._spine[-1][0]
        self.units, self.value = self.root.sums >> _HALF_BITS, self.root.sums & _HALF

    def open_cell(self, row: int, column: int) -> tuple[tuple[int, int], tuple[bytes, ...]]:
        """The words of a cell, and hash and sums of each sibling above it."""
        node = self._spine[0][row]
        path: list[bytes] = []
        for height in range(self._across - 1, -1, -1):
            assert node.left is not None
            assert node.right is not None
            right = column >> height & 1
            beside = node.left if right else node.right
            path = [beside.digest, beside.sums.to_bytes(32, "big"), *path]
            node = node.right if right else node.left
        return _words(node), (*path, *self._above(row))

    def open_row(self, row: int) -> tuple[tuple[int, int], tuple[bytes, ...]]:
        """The words of a row's node, and its siblings."""
        return _words(self._spine[0][row]), self._above(row)

    def _above(self, row: int) -> tuple[bytes, ...]:
        path: list[bytes] = []
        for level in self._spine[:-1]:
            beside = level[row ^ 1]
            path += [beside.digest, beside.sums.to_bytes(32, "big")]
            row >>= 1
        return tuple(path)

    def _rows_of(self, instance: SparseInstance, rows: int) -> list[list[_Node]]:
        """The tops of all rows and the levels above them; a row is the one above with some cells changed."""
        empty = _Node(EMPTY, 0)
        for _ in range(self._across):
            empty = _parent(empty, empty)
        by_row: dict[int, list[tuple[int, int]]] = {}
        for row, column, units in self.flows:
            by_row.setdefault(row, []).append((column, units))
        tops, top, before = [], empty, set[int]()
        for row in range(rows):
            changed: dict[int, _Node] = {}
            weights = dict(instance.cells[row]) if row in by_row else {}
            for column, units in by_row.get(row, ()):
                self.row_totals[row] += units
                self.column_totals[column] += units
                sums = pack_sums(units, units * weights.get(column, 0))
                changed[column] = _Node(_word(self.column_totals[column]), sums)
            now = set(changed)
            for column in before - now:
                changed[column] = _Node(_word(self.column_totals[column]), 0)
            if changed:
                top = _with(top, sorted(changed.items()), self._across)
            before = now
            tops.append(top)
        tops += [empty] * ((1 << self._down) - rows)
        levels = [tops]
        while len(levels[-1]) > 1:
            level = levels[-1]
            levels.append([_parent(level[i], level[i + 1]) for i in range(0, len(level), 2)])
        return levels


def _with(node: _Node, cells: Sequence[tuple[int, _Node]], height: int) -> _Node:
    """The subtree with these cells in it; columns are counted inside the subtree."""
    if not cells:
        return node
    if height == 0:
        return cells[0][1]
    assert node.left is not None
    assert node.right is not None
    half = 1 << (height - 1)
    split = next((at for at, (column, _) in enumerate(cells) if column >= half), len(cells))
    return _parent(
        _with(node.left, cells[:split], height - 1),
        _with(node.right, [(column - half, cell) for column, cell in cells[split:]], height - 1),
    )


def _parent(left: _Node, right: _Node) -> _Node:
    packed = left.digest + left.sums.to_bytes(32, "big")
    packed += right.digest + right.sums.to_bytes(32, "big")
    # Both halves stay inside 128 bits: units are below 2**64, values below 2**126, rows and columns 2**16.
    return _Node(keccak(packed), left.sums + right.sums, left, right)


def _require_shape(answer: Answer, *, rows: int, columns: int) -> None:
    if len(answer.row_prices) != rows or len(answer.column_prices) != columns:
        raise InputError("one price for each row and column", code="rounds.shape")
    if not all(0 <= price <= VALUE_MAX for price in answer.row_prices + answer.column_prices):
        raise InputError("a price is negative or 2**62 or more", code="rounds.value")
    last = (-1, -1)
    for row, column, units in answer.flows:
        inside = 0 <= row < rows and 0 <= column < columns
        if (row, column) <= last or not inside or not 0 < units <= VALUE_MAX:
            raise InputError("a flow is out of order, empty or outside", code="rounds.shape")
        last = (row, column)


def _together(
    *opened: tuple[tuple[int, ...], tuple[bytes, ...]],
) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    words: tuple[int, ...] = ()
    path: tuple[bytes, ...] = ()
    for part in opened:
        words, path = words + part[0], path + part[1]
    return words, path


def _capacity(total: int, limit: int, price: int) -> bool:
    return total > limit or (price > 0 and total < limit)


def _leaf_bytes(numbers: Sequence[int]) -> bytes:
    return b"".join(_word(word) for word in pack(numbers))


def _words(node: _Node) -> tuple[int, int]:
    return _number(node.digest), node.sums


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
