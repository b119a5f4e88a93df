"""The round that the chain decides, in pure Python: commitments, exact check, fault search.

The twin of RoundTables.sol, Transport.sol and RoundFaults.sol; tests compare the two. The problem is the
transportation problem: supplies (rows), demands (columns), a weight per pair; maximise the weight moved.
A pair of weight 0 is not eligible. Everything is a whole number; nothing is rounded anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from eth_abi.abi import encode
from eth_hash.auto import keccak

from ledger.core.errors import InputError, LimitError, VerificationError

VALUE_MAX: Final = 2**62 - 1
"""Supplies, demands, weights and prices; two prices then add up within a lane of 63 bits."""
SIDE_MAX: Final = 2**16
CELLS_MAX: Final = 2**20
"""Rows times columns for which the trees are built: some twenty seconds in pure Python."""
EMPTY: Final = bytes(32)
Node: TypeAlias = tuple[bytes, int]
"""Hash (of a cell: the column total so far) and packed sums, units above value."""
_EMPTY_CELL: Final[Node] = (EMPTY, 0)
_LANE_BITS: Final = 64
_GROUP: Final = 4
"""Numbers to a word, and words to a leaf."""
_HALF_BITS: Final = 128
_HALF: Final = 2**_HALF_BITS - 1
_INPUTS_TAG: Final = keccak(b"fuqi/chain-inputs/v1")
_PLAN_TAG: Final = keccak(b"fuqi/chain-plan/v1")
_ANSWER_TAG: Final = keccak(b"fuqi/chain-answer/v1")


class Fault(IntEnum):
    """IRounds.Fault."""

    EDGE = 0
    SLACK = 1
    ROW = 2
    COLUMN = 3
    TOTAL = 4
    CELL = 5
    STEP = 6
    NODE = 7
    PADDING = 8


@dataclass(frozen=True, slots=True)
class Instance:
    """The inputs of a round; `weights[row][column]`. Build with `make_instance`."""

    supplies: tuple[int, ...]
    demands: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan, `flows` of (row, column, units) in ascending order, and its prices."""

    flows: tuple[tuple[int, int, int], ...]
    row_prices: tuple[int, ...]
    column_prices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """What the roots of a round's inputs and of a posted plan are hashed from; IRounds.Opening."""

    rows: int
    columns: int
    supply_root: bytes
    demand_root: bytes
    weight_root: bytes
    row_price_root: bytes
    column_price_root: bytes
    column_total_root: bytes
    cell_root: bytes
    units: int

    @property
    def inputs_root(self) -> bytes:
        """What `open` commits to."""
        return _hashed(
            ["bytes32", "uint256", "uint256", "bytes32", "bytes32", "bytes32"],
            [
                _INPUTS_TAG,
                self.rows,
                self.columns,
                self.supply_root,
                self.demand_root,
                self.weight_root,
            ],
        )

    @property
    def plan_root(self) -> bytes:
        """What `post` stores."""
        return _hashed(
            ["bytes32", "bytes32", "bytes32", "bytes32", "bytes32", "uint128"],
            [
                _PLAN_TAG,
                self.row_price_root,
                self.column_price_root,
                self.column_total_root,
                self.cell_root,
                self.units,
            ],
        )


@dataclass(frozen=True, slots=True)
class Witness:
    """One fault of a posted plan and what shows it; IRounds.Witness."""

    fault: Fault
    row: int
    column: int
    words: tuple[int, ...]
    path: tuple[bytes, ...]


class Table:
    """A table of numbers below 2**64, four to a word, and the tree over groups of four words."""

    def __init__(self, words: Sequence[int]) -> None:
        self._words = (*words, *([0] * (-len(words) % _GROUP)))
        levels = [
            [
                keccak(b"".join(_word(word) for word in self._words[at : at + _GROUP]))
                for at in range(0, len(self._words), _GROUP)
            ]
        ]
        empty = EMPTY
        while len(levels[-1]) > 1:
            level = levels[-1]
            if len(level) % 2:
                level.append(empty)
            levels.append([keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)])
            empty = keccak(empty + empty)
        self._levels = levels
        self.root = levels[-1][0]

    def open(self, index: int) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
        """The four words that hold number `index`, and the siblings above them."""
        leaf = index // (_GROUP * _GROUP)
        words = self._words[_GROUP * leaf : _GROUP * (leaf + 1)]
        return words, tuple(level[(leaf >> i) ^ 1] for i, level in enumerate(self._levels[:-1]))


class PostedPlan:
    """Everything a posted plan commits to; `levels[0]` are the cells, row by row, filled up with empty ones.

    The sums of the nodes are what the poster says. A faithful plan comes from `posted_plan`; a test or an
    attacker may change any cell or node and call `rehash`.
    """

    def __init__(
        self,
        *,
        row_prices: Sequence[int],
        column_prices: Sequence[int],
        column_totals: Sequence[int],
        cells: Sequence[Node],
        objective: int,
    ) -> None:
        self.row_prices, self.column_prices = tuple(row_prices), tuple(column_prices)
        self.column_totals = tuple(column_totals)
        self.rows, self.columns = len(row_prices), len(column_prices)
        self.row_price_table = Table(pack(row_prices))
        self.column_price_table = Table(pack(column_prices))
        self.column_total_table = Table(pack(column_totals))
        self.objective = objective
        self.levels: list[list[Node]] = [list(cells)]
        assert len(cells) == 1 << (depth_of(self.rows) + depth_of(self.columns))
        self.rehash()

    def rehash(self, *, forged: dict[tuple[int, int], int] | None = None) -> None:
        """Rebuild all nodes from the cells; `forged` gives other sums to the nodes at (height, index)."""
        self.levels = self.levels[:1]
        known: dict[tuple[Node, Node], Node] = {}
        while len(self.levels[-1]) > 1:
            level, made = self.levels[-1], []
            for i in range(0, len(level), 2):
                pair = (level[i], level[i + 1])
                node = known.get(pair)
                if node is None:
                    node = known[pair] = _parent(*pair)
                sums = (forged or {}).get((len(self.levels), i // 2), node[1])
                made.append((node[0], sums))
            self.levels.append(made)

    @property
    def cell_root(self) -> bytes:
        """Hash of the top node."""
        return self.levels[-1][0][0]

    @property
    def units(self) -> int:
        """Units that the plan says it moves."""
        return self.levels[-1][0][1] >> _HALF_BITS

    def node(self, height: int, index: int) -> Node:
        """A node as the chain reads it: the top's value is the claimed objective, whatever the tree says."""
        node = self.levels[height][index]
        if height == len(self.levels) - 1:
            return node[0], pack_sums(self.units, self.objective)
        return node

    def cell(self, row: int, column: int) -> Node:
        """(column total so far as 32 bytes, packed sums)."""
        return self.node(0, (row << depth_of(self.columns)) | column)

    def path(self, height: int, index: int) -> tuple[bytes, ...]:
        """Hash and sums of each sibling above a node, lowest first."""
        found: list[bytes] = []
        for level in self.levels[height:-1]:
            node, sums = level[index ^ 1]
            found += [node, sums.to_bytes(32, "big")]
            index >>= 1
        return tuple(found)


class RoundData:
    """The committed inputs with their trees."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.supplies, self.demands = Table(pack(instance.supplies)), Table(pack(instance.demands))
        self.weights = Table([word for row in instance.weights for word in pack(row)])

    def opening(self, plan: PostedPlan) -> Opening:
        """Inputs and plan together, as `post` and `strike` take them."""
        return Opening(
            rows=len(self.instance.supplies),
            columns=len(self.instance.demands),
            supply_root=self.supplies.root,
            demand_root=self.demands.root,
            weight_root=self.weights.root,
            row_price_root=plan.row_price_table.root,
            column_price_root=plan.column_price_table.root,
            column_total_root=plan.column_total_table.root,
            cell_root=plan.cell_root,
            units=plan.units,
        )

    def open_weight(self, row: int, column: int) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
        """The four words that hold a weight, and the siblings above them."""
        return self.weights.open(_GROUP * row * -(-len(self.instance.demands) // _GROUP) + column)

    def inputs_root(self) -> bytes:
        """What `open` commits to, before anything is solved."""
        instance = self.instance
        return Opening(
            len(instance.supplies), len(instance.demands),
            self.supplies.root, self.demands.root, self.weights.root,
            EMPTY, EMPTY, EMPTY, EMPTY, 0,
        ).inputs_root  # fmt: skip


def make_instance(
    *, supplies: Sequence[int], demands: Sequence[int], weights: Sequence[Sequence[int]]
) -> Instance:
    """Check sizes and ranges.

    Raises:
        InputError: `rounds.shape`, `rounds.value`.
        LimitError: `rounds.too_large`.
    """
    if not supplies or not demands or len(weights) != len(supplies):
        raise InputError("a round has rows, columns and a weight row each", code="rounds.shape")
    if any(len(row) != len(demands) for row in weights):
        raise InputError("a weight row has one number per column", code="rounds.shape")
    if max(len(supplies), len(demands)) > SIDE_MAX or len(supplies) * len(demands) > CELLS_MAX:
        raise LimitError("too many pairs", code="rounds.too_large", limit=CELLS_MAX)
    for row in (supplies, demands, *weights):
        if not all(0 <= value <= VALUE_MAX for value in row):
            raise InputError("a number is negative or 2**62 or more", code="rounds.value")
    return Instance(tuple(supplies), tuple(demands), tuple(tuple(row) for row in weights))


def check_answer(instance: Instance, answer: Answer) -> int:
    """The optimal value, if the answer proves it; what `prove` checks, in the same order.

    Raises:
        VerificationError: `rounds.shape`, `rounds.value`, `rounds.price_too_low`, `rounds.flow`,
            `rounds.overfull`, `rounds.gap`.
    """
    supplies, demands, weights = instance.supplies, instance.demands, instance.weights
    if len(answer.row_prices) != len(supplies) or len(answer.column_prices) != len(demands):
        raise _refused("one price for each row and column", "shape")
    if not all(0 <= price <= VALUE_MAX for price in answer.row_prices + answer.column_prices):
        raise _refused("a price is negative or 2**62 or more", "value")
    for u, row in zip(answer.row_prices, weights, strict=True):
        if any(u + v < w for v, w in zip(answer.column_prices, row, strict=True)):
            raise _refused("a price sum is below a weight", "price_too_low")
    dual = sum(s * u for s, u in zip(supplies, answer.row_prices, strict=True))
    dual += sum(d * v for d, v in zip(demands, answer.column_prices, strict=True))
    rows, columns, primal, last = [0] * len(supplies), [0] * len(demands), 0, (-1, -1)
    for i, j, units in answer.flows:
        inside = 0 <= i < len(supplies) and 0 <= j < len(demands)
        if (i, j) <= last or not inside or not 0 < units < 2**_LANE_BITS or weights[i][j] == 0:
            raise _refused("a flow is out of order, empty, or on no eligible pair", "flow")
        last = (i, j)
        rows[i] += units
        columns[j] += units
        primal += units * weights[i][j]
    for totals, limits in ((rows, supplies), (columns, demands)):
        if any(total > limit for total, limit in zip(totals, limits, strict=True)):
            raise _refused("a row or column is over-full", "overfull")
    if primal != dual:
        raise _refused("the plan does not reach the bound of its prices", "gap")
    return primal


def posted_plan(instance: Instance, answer: Answer) -> PostedPlan:
    """The trees of an answer, faithfully; nothing is checked."""
    across = depth_of(len(instance.demands))
    cells: list[Node] = [_EMPTY_CELL] * (1 << (depth_of(len(instance.supplies)) + across))
    flows = {(i, j): units for i, j, units in answer.flows}
    totals = [0] * len(instance.demands)
    objective = 0
    for i, row in enumerate(instance.weights):
        for j, weight in enumerate(row):
            units = flows.get((i, j), 0)
            totals[j] += units
            objective += units * weight
            cells[(i << across) | j] = (_word(totals[j]), pack_sums(units, units * weight))
    return PostedPlan(
        row_prices=answer.row_prices,
        column_prices=answer.column_prices,
        column_totals=totals,
        cells=cells,
        objective=objective,
    )


def find_fault(data: RoundData, plan: PostedPlan) -> Witness | None:
    """The first fault that `strike` accepts; None when the plan is feasible, optimal and worth what it says."""
    for witness in _faults(data, plan):
        return witness
    return None


def answer_hash(answer: Answer) -> bytes:
    """What `prove` stores: Keccak-256 of tag and answer."""
    kind = "(uint256[],uint256[],uint256[])"
    return _hashed(["bytes32", kind], [_ANSWER_TAG, answer_words(answer)])


def answer_words(answer: Answer) -> tuple[list[int], list[int], list[int]]:
    """IRounds.Answer: flows, row prices, column prices."""
    flows = [(i << 32 | j) << 64 | units for i, j, units in answer.flows]
    if len(flows) % 2:
        flows.append(0)
    packed = [
        left << _HALF_BITS | right for left, right in zip(flows[::2], flows[1::2], strict=True)
    ]
    return packed, pack(answer.row_prices), pack(answer.column_prices)


def instance_words(instance: Instance) -> tuple[int, int, list[int], list[int], list[int]]:
    """IRounds.Instance."""
    return (
        len(instance.supplies),
        len(instance.demands),
        pack(instance.supplies),
        pack(instance.demands),
        [word for row in instance.weights for word in pack(row)],
    )


def pack(values: Sequence[int]) -> list[int]:
    """Four numbers to a word, the first from the right."""
    return [
        sum(value << (_LANE_BITS * lane) for lane, value in enumerate(values[at : at + 4]))
        for at in range(0, len(values), 4)
    ]


def pack_sums(units: int, value: int) -> int:
    """Units above value, 128 bits each."""
    assert units <= _HALF
    assert value <= _HALF
    return units << _HALF_BITS | value


def depth_of(leaves: int) -> int:
    """Smallest depth of a tree with so many leaves."""
    return (leaves - 1).bit_length()


def _faults(data: RoundData, plan: PostedPlan) -> Iterator[Witness]:
    # Top down: everything above a node is then known to add up, and its path leads to the root.
    yield from _node_faults(plan)
    yield from _cell_faults(data, plan)
    yield from _capacity_faults(data, plan)
    yield from _price_faults(data, plan)


def _node_faults(plan: PostedPlan) -> Iterator[Witness]:
    for height in range(len(plan.levels) - 1, 0, -1):
        for index in range(len(plan.levels[height])):
            node, left, right = (
                _words(plan.node(height, index)),
                _words(plan.node(height - 1, 2 * index)),
                _words(plan.node(height - 1, 2 * index + 1)),
            )
            units = (left[1] >> _HALF_BITS) + (right[1] >> _HALF_BITS)
            value = (left[1] & _HALF) + (right[1] & _HALF)
            if (units, value) != (node[1] >> _HALF_BITS, node[1] & _HALF):
                words = (*node, *left, *right)
                yield Witness(Fault.NODE, height, index, words, plan.path(height, index))


def _cell_faults(data: RoundData, plan: PostedPlan) -> Iterator[Witness]:
    across = depth_of(plan.columns)
    for index in range(len(plan.levels[0])):
        row, column = index >> across, index & ((1 << across) - 1)
        words: tuple[int, ...] = _words(plan.node(0, index))
        path = plan.path(0, index)
        if row >= plan.rows or column >= plan.columns:
            if words[1]:
                yield Witness(Fault.PADDING, row, column, words, path)
            continue
        units, value = words[1] >> _HALF_BITS, words[1] & _HALF
        weight = data.instance.weights[row][column]
        if value != units * weight or (weight == 0 and units):
            opened = data.open_weight(row, column)
            yield Witness(Fault.CELL, row, column, opened[0] + words, opened[1] + path)
        above = 0
        if row:
            upper = _words(plan.cell(row - 1, column))
            above = upper[0]
            words, path = words + upper, path + plan.path(0, index - (1 << across))
        if words[0] - units != above:
            yield Witness(Fault.STEP, row, column, words, path)


def _capacity_faults(data: RoundData, plan: PostedPlan) -> Iterator[Witness]:
    across, last = depth_of(plan.columns), plan.rows - 1
    for row, price in enumerate(plan.row_prices):
        node = _words(plan.node(across, row))
        if _capacity(node[1] >> _HALF_BITS, data.instance.supplies[row], price):
            words, path = _together(data.supplies.open(row), plan.row_price_table.open(row))
            yield Witness(Fault.ROW, row, 0, words + node, path + plan.path(across, row))
    for column, price in enumerate(plan.column_prices):
        total, opened = plan.column_totals[column], plan.column_total_table.open(column)
        cell = _words(plan.cell(last, column))
        if total != cell[0]:
            path = opened[1] + plan.path(0, (last << across) | column)
            yield Witness(Fault.TOTAL, 0, column, opened[0] + cell, path)
        if _capacity(total, data.instance.demands[column], price):
            words, path = _together(
                data.demands.open(column), plan.column_price_table.open(column), opened
            )
            yield Witness(Fault.COLUMN, 0, column, words, path)


def _price_faults(data: RoundData, plan: PostedPlan) -> Iterator[Witness]:
    across = depth_of(plan.columns)
    for row, u in enumerate(plan.row_prices):
        for column, v in enumerate(plan.column_prices):
            weight = data.instance.weights[row][column]
            cell = plan.cell(row, column)
            slack = u + v > weight and cell[1] >> _HALF_BITS > 0
            if u + v >= weight and not slack:
                continue
            words, path = _together(
                data.open_weight(row, column),
                plan.row_price_table.open(row),
                plan.column_price_table.open(column),
            )
            if slack:
                path += plan.path(0, (row << across) | column)
                yield Witness(Fault.SLACK, row, column, words + _words(cell), path)
            else:
                yield Witness(Fault.EDGE, row, column, words, path)


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


def _parent(left: Node, right: Node) -> Node:
    # Lanes are kept apart and cut off: a forged sum shows as a Node fault, not as an exception here.
    units = (left[1] >> _HALF_BITS) + (right[1] >> _HALF_BITS)
    value = (left[1] & _HALF) + (right[1] & _HALF)
    packed = left[0] + left[1].to_bytes(32, "big") + right[0] + right[1].to_bytes(32, "big")
    return keccak(packed), pack_sums(units & _HALF, value & _HALF)


def _words(node: Node) -> tuple[int, int]:
    return _number(node[0]), node[1]


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _hashed(types: Sequence[str], values: Sequence[object]) -> bytes:
    return keccak(encode(types, values))


def _refused(message: str, reason: str) -> VerificationError:
    return VerificationError(message, code=f"rounds.{reason}")
