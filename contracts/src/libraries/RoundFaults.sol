// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "../interfaces/IRounds.sol";
import {RoundTables} from "./RoundTables.sol";
import {Transport} from "./Transport.sol";

/// @title What shows that a posted result is false.
/// @dev A result without any of these faults is feasible and optimal: totals and values add up (Step, Total, Cell,
///      Node, Padding), capacities hold and are used up wherever they have a price (Row, Column), and prices cover every weight and
///      meet it wherever something flows (Edge, Slack). That is complementary slackness, so the dual equals the primal.
///      Faults only speak of committed bytes; a path to anything else does not lead to the root.
library RoundFaults {
    using RoundTables for uint256;

    /// @notice A path leads to another root than the one committed.
    error RoundFaultsRoot(bytes32 found, bytes32 committed);

    /// @notice The numbers lie outside the matrix or its tree.
    error RoundFaultsPlace(uint256 row, uint256 column);

    /// @notice The witness has not the number of words that this fault takes.
    error RoundFaultsWords(uint256 words, uint256 expected);

    /// @notice Whether `witness` shows the fault. Reverts when it is not about the committed round.
    /// @param primal The value the result claims.
    function shows(IRounds.Opening calldata opening, uint256 primal, IRounds.Witness calldata witness)
        internal
        pure
        returns (bool)
    {
        IRounds.Fault fault = witness.fault;
        if (fault == IRounds.Fault.Edge) return _edge(opening, witness);
        if (fault == IRounds.Fault.Slack) return _slack(opening, primal, witness);
        if (fault == IRounds.Fault.Row) return _row(opening, primal, witness);
        if (fault == IRounds.Fault.Column) return _column(opening, witness);
        if (fault == IRounds.Fault.Total) return _total(opening, primal, witness);
        if (fault == IRounds.Fault.Cell) return _cell(opening, primal, witness);
        if (fault == IRounds.Fault.Step) return _step(opening, primal, witness);
        if (fault == IRounds.Fault.Node) return _node(opening, primal, witness);
        return _padding(opening, primal, witness);
    }

    /// @dev u + v < w. Tables w, u, v.
    function _edge(IRounds.Opening calldata o, IRounds.Witness calldata w) private pure returns (bool) {
        _requireWords(w, 12);
        (uint256 weight, uint256 price,) = _prices(o, w);
        return price < weight;
    }

    /// @dev Something flows although u + v > w. Tables w, u, v, then cell, sums.
    function _slack(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w)
        private
        pure
        returns (bool)
    {
        _requireWords(w, 14);
        (uint256 weight, uint256 price, uint256 used) = _prices(o, w);
        _leaf(o, primal, w, 12, used, w.row);
        return price > weight && w.words[13].unitsOf() > 0;
    }

    /// @dev More leaves a row than it has, or less although it has a price. Tables s, u, then node, sums.
    function _row(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w) private pure returns (bool) {
        _requireWords(w, 10);
        (uint256 supply, uint256 used) = _open(o.supplyRoot, w, 0, w.row, o.rows, 0);
        uint256 price;
        (price, used) = _open(o.rowPriceRoot, w, 4, w.row, o.rows, used);
        uint256 sums = w.words[9];
        _requireSums(o, primal, bytes32(w.words[8]), sums, w.row, o.rows.depthOf(), w.path[used:]);
        return _capacity(sums.unitsOf(), supply, price);
    }

    /// @dev The same of a column. Tables d, v, totals.
    function _column(IRounds.Opening calldata o, IRounds.Witness calldata w) private pure returns (bool) {
        _requireWords(w, 12);
        (uint256 demand, uint256 used) = _open(o.demandRoot, w, 0, w.column, o.columns, 0);
        uint256 price;
        (price, used) = _open(o.columnPriceRoot, w, 4, w.column, o.columns, used);
        (uint256 total,) = _open(o.columnTotalRoot, w, 8, w.column, o.columns, used);
        return _capacity(total, demand, price);
    }

    /// @dev A column's total is not that of its last cell. Table totals, then cell, sums.
    function _total(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w)
        private
        pure
        returns (bool)
    {
        _requireWords(w, 6);
        (uint256 total, uint256 used) = _open(o.columnTotalRoot, w, 0, w.column, o.columns, 0);
        _leaf(o, primal, w, 4, used, o.rows - 1);
        return total != w.words[4];
    }

    /// @dev The cell's value is not weight times units, or something flows without weight. Table w, then cell, sums.
    function _cell(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w)
        private
        pure
        returns (bool)
    {
        _requireWords(w, 6);
        (uint256 weight, uint256 used) = _weight(o, w);
        _leaf(o, primal, w, 4, used, w.row);
        uint256 units = w.words[5].unitsOf();
        return w.words[5].valueOf() != units * weight || (weight == 0 && units > 0);
    }

    /// @dev A column total does not grow by the cell's units. Words cell, sums and, below the first row, those above.
    function _step(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w)
        private
        pure
        returns (bool)
    {
        _requirePlace(o, w);
        _requireWords(w, w.row == 0 ? 2 : 4);
        uint256 used = _leaf(o, primal, w, 0, 0, w.row);
        uint256 above = 0;
        if (w.row > 0) {
            _leaf(o, primal, w, 2, used, w.row - 1);
            above = w.words[2];
        }
        uint256 units = w.words[1].unitsOf();
        return w.words[0] < units || w.words[0] - units != above;
    }

    /// @dev A node's sums are not those of its two children. `row` is the node's height, `column` its index there.
    ///      Words node, sums, left, its sums, right, its sums.
    function _node(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w)
        private
        pure
        returns (bool)
    {
        _requireWords(w, 6);
        uint256 depth = o.rows.depthOf() + o.columns.depthOf();
        if (w.row == 0 || w.row > depth || w.column >> (depth - w.row) != 0) revert RoundFaultsPlace(w.row, w.column);
        _requireSums(o, primal, bytes32(w.words[0]), w.words[1], w.column, depth - w.row, w.path);
        bytes32 rebuilt =
            RoundTables.sumNodeOf(bytes32(w.words[2]), w.words[3], bytes32(w.words[4]), w.words[5]);
        if (rebuilt != bytes32(w.words[0])) revert RoundFaultsRoot(rebuilt, bytes32(w.words[0]));
        return w.words[1].unitsOf() != w.words[3].unitsOf() + w.words[5].unitsOf()
            || w.words[1].valueOf() != w.words[3].valueOf() + w.words[5].valueOf();
    }

    /// @dev Something stands in a cell that only fills the tree up. Words cell, sums.
    function _padding(IRounds.Opening calldata o, uint256 primal, IRounds.Witness calldata w)
        private
        pure
        returns (bool)
    {
        _requireWords(w, 2);
        bool outside = w.row >= o.rows || w.column >= o.columns;
        if (!outside || w.row >> o.rows.depthOf() != 0 || w.column >> o.columns.depthOf() != 0) {
            revert RoundFaultsPlace(w.row, w.column);
        }
        _leaf(o, primal, w, 0, 0, w.row);
        return w.words[1] != 0;
    }

    function _capacity(uint256 total, uint256 limit, uint256 price) private pure returns (bool) {
        return total > limit || (price > 0 && total < limit);
    }

    /// @dev Opens the pair's weight and both prices; gives weight, price sum and the steps of the path used.
    function _prices(IRounds.Opening calldata o, IRounds.Witness calldata w)
        private
        pure
        returns (uint256 weight, uint256 price, uint256 used)
    {
        uint256 columnPrice;
        (weight, used) = _weight(o, w);
        (price, used) = _open(o.rowPriceRoot, w, 4, w.row, o.rows, used);
        (columnPrice, used) = _open(o.columnPriceRoot, w, 8, w.column, o.columns, used);
        price += columnPrice;
    }

    /// @dev Opens the pair's weight, first in the witness.
    function _weight(IRounds.Opening calldata o, IRounds.Witness calldata w)
        private
        pure
        returns (uint256 weight, uint256 used)
    {
        _requirePlace(o, w);
        uint256 width = o.columns.wordsOf();
        return _number(o.weightRoot, w, 0, w.row * width * 4 + w.column, o.rows * width, 0);
    }

    /// @dev Opens number `index` of a table of `count` numbers.
    function _open(bytes32 root, IRounds.Witness calldata w, uint256 at, uint256 index, uint256 count, uint256 used)
        private
        pure
        returns (uint256, uint256)
    {
        if (index >= count) revert RoundFaultsPlace(w.row, w.column);
        return _number(root, w, at, index, count.wordsOf(), used);
    }

    /// @dev Number `index` of a table of `words` words, in the four words from `at`; and the steps of the path used.
    function _number(bytes32 root, IRounds.Witness calldata w, uint256 at, uint256 index, uint256 words, uint256 used)
        private
        pure
        returns (uint256, uint256)
    {
        uint256 depth = words.tableDepthOf();
        _requireRoot(RoundTables.climb(w.words, at, index / 16, depth, _part(w.path, used, depth)), root);
        return (w.words[at + (index / 4) % 4].laneOf(index), used + depth);
    }

    /// @dev Opens words `at` and `at + 1` as the cell at `row` and the witness's column.
    function _leaf(
        IRounds.Opening calldata o,
        uint256 primal,
        IRounds.Witness calldata w,
        uint256 at,
        uint256 used,
        uint256 row
    ) private pure returns (uint256) {
        uint256 across = o.columns.depthOf();
        uint256 levels = o.rows.depthOf() + across;
        bytes32[] calldata path = _part(w.path, used, 2 * levels);
        _requireSums(o, primal, bytes32(w.words[at]), w.words[at + 1], (row << across) | w.column, levels, path);
        return used + 2 * levels;
    }

    function _requireSums(
        IRounds.Opening calldata o,
        uint256 primal,
        bytes32 node,
        uint256 sums,
        uint256 index,
        uint256 levels,
        bytes32[] calldata path
    ) private pure {
        (bytes32 root, uint256 total) = RoundTables.climbSums(node, sums, index, levels, path);
        _requireRoot(root, o.cellRoot);
        // A root whose own sums are not the claimed ones is caught as a Node at the top, not here.
        if (levels > 0) return;
        _requireRoot(bytes32(total), bytes32(RoundTables.packOf(o.units, primal)));
    }

    function _part(bytes32[] calldata path, uint256 from, uint256 length) private pure returns (bytes32[] calldata) {
        if (path.length < from + length) revert RoundTables.RoundTablesPathLength(path.length, from + length);
        return path[from:from + length];
    }

    function _requireRoot(bytes32 found, bytes32 committed) private pure {
        if (found != committed) revert RoundFaultsRoot(found, committed);
    }

    function _requirePlace(IRounds.Opening calldata o, IRounds.Witness calldata w) private pure {
        if (w.row >= o.rows || w.column >= o.columns) revert RoundFaultsPlace(w.row, w.column);
    }

    function _requireWords(IRounds.Witness calldata w, uint256 expected) private pure {
        if (w.words.length != expected) revert RoundFaultsWords(w.words.length, expected);
    }
}
