// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "../interfaces/IRounds.sol";
import {RoundTables} from "./RoundTables.sol";

/// @title Optimality of a transportation plan, checked in whole numbers.
/// @dev Maximise sum w x with row totals at most s, column totals at most d, x >= 0. Prices u, v >= 0 with
///      u + v >= w on every pair bound every plan from above by sum s u + sum d v; a plan that reaches the bound is
///      optimal. Nothing overflows: w, u, v, s and d are below 2**62 and there are at most 2**16 rows and columns, so every
///      product is below 2**126 and every sum below 2**143.
library Transport {
    using RoundTables for uint256;

    uint256 internal constant SIDE_MAX = 2 ** 16;
    /// @dev The two top bits of each of the four lanes. Clear in u and v, their sum stays in the lane.
    uint256 private constant _TOP_TWO = 0xC000000000000000_C000000000000000_C000000000000000_C000000000000000;
    uint256 private constant _TOP_ONE = 0x8000000000000000_8000000000000000_8000000000000000_8000000000000000;
    uint256 private constant _ONES = 0x0000000000000001_0000000000000001_0000000000000001_0000000000000001;
    uint256 private constant _FLOW = 2 ** 128 - 1;
    uint256 private constant _LANE = 2 ** 64 - 1;
    uint256 private constant _SIDE = 2 ** 32 - 1;

    /// @notice No row or column, or too many.
    error TransportSize(uint256 rows, uint256 columns);

    /// @notice A table has not the number of words that the size demands.
    error TransportTableLength(uint256 words, uint256 expected);

    /// @notice A number is 2**62 or more (`word`: all words of the table or weight row, combined), or one past a table's end is
    ///         not zero (`word`: its last).
    error TransportWord(uint256 word);

    /// @notice A price sum is below the weight of a pair in this row.
    error TransportPriceTooLow(uint256 row);

    /// @notice A flow is out of order, empty, outside the matrix, or on a pair without weight.
    error TransportFlow(uint256 position);

    /// @notice A flow takes more from a row, or gives more to a column, than the flows before it left.
    error TransportOverfull(bool isColumn, uint256 index, uint256 units, uint256 left);

    /// @notice The plan does not reach the bound that its prices give.
    error TransportGap(uint256 primal, uint256 dual);

    /// @notice Revert unless the plan is feasible, the prices are valid and both objectives are equal.
    /// @return objective The common value.
    function requireOptimal(IRounds.Instance calldata instance, IRounds.Answer calldata answer)
        internal
        pure
        returns (uint256 objective)
    {
        _requireShape(instance, answer);
        _requirePrices(instance.weights, answer.rowPrices, answer.columnPrices, instance.rows);
        uint256 dual = _worth(instance.supplies, answer.rowPrices) + _worth(instance.demands, answer.columnPrices);
        objective = _flows(
            instance.weights,
            answer.flows,
            _spread(instance.supplies, instance.rows),
            _spread(instance.demands, instance.columns)
        );
        if (objective != dual) revert TransportGap(objective, dual);
    }

    function _requireShape(IRounds.Instance calldata instance, IRounds.Answer calldata answer) private pure {
        (uint256 rows, uint256 columns) = (instance.rows, instance.columns);
        if (rows == 0 || columns == 0 || rows > SIDE_MAX || columns > SIDE_MAX) revert TransportSize(rows, columns);
        _requireTable(instance.supplies, rows);
        _requireTable(instance.demands, columns);
        _requireTable(answer.rowPrices, rows);
        _requireTable(answer.columnPrices, columns);
        uint256 expected = rows * columns.wordsOf();
        if (instance.weights.length != expected) revert TransportTableLength(instance.weights.length, expected);
    }

    function _requireTable(uint256[] calldata table, uint256 count) private pure {
        uint256 length = table.length;
        if (length != count.wordsOf()) revert TransportTableLength(length, count.wordsOf());
        uint256 seen = 0;
        for (uint256 i = 0; i < length; ++i) seen |= table[i];
        if (seen & _TOP_TWO != 0) revert TransportWord(seen);
        uint256 last = count % 4;
        if (last != 0 && table[length - 1] >> (64 * last) != 0) revert TransportWord(table[length - 1]);
    }

    /// @dev Four pairs at a time. With the top bit of each lane set before subtracting, a lane keeps it exactly when
    ///      u + v >= w there, and no lane borrows from the next.
    function _requirePrices(uint256[] calldata weights, uint256[] calldata rowPrices, uint256[] memory prices, uint256 rows)
        private
        pure
    {
        uint256 width = prices.length;
        uint256 at;
        assembly ("memory-safe") {
            at := weights.offset
        }
        for (uint256 row = 0; row < rows; ++row) {
            uint256 guarded = (rowPrices[row / 4].laneOf(row) * _ONES) | _TOP_ONE;
            uint256 kept = _TOP_ONE;
            uint256 seen = 0;
            // Lanes stay below 2**64, see above, so neither step carries or borrows. `_requireShape` has shown that
            // `weights` holds `rows * width` words.
            assembly ("memory-safe") {
                let end := add(at, shl(5, width))
                let shift := sub(add(prices, 0x20), at)
                // Two words a turn: at 20 x 50 the turns alone would cost 6 k gas more.
                for {} lt(add(at, 0x20), end) { at := add(at, 0x40) } {
                    let weight := calldataload(at)
                    let right := calldataload(add(at, 0x20))
                    seen := or(seen, or(weight, right))
                    kept := and(kept, sub(add(guarded, mload(add(at, shift))), weight))
                    kept := and(kept, sub(add(guarded, mload(add(add(at, 0x20), shift))), right))
                }
                if lt(at, end) {
                    let weight := calldataload(at)
                    seen := or(seen, weight)
                    kept := and(kept, sub(add(guarded, mload(add(at, shift))), weight))
                    at := end
                }
            }
            // Too large a weight may have borrowed, so it is refused whatever `kept` says.
            if (seen & _TOP_TWO != 0) revert TransportWord(seen);
            if (kept != _TOP_ONE) revert TransportPriceTooLow(row);
        }
    }

    function _worth(uint256[] calldata amounts, uint256[] calldata prices) private pure returns (uint256 total) {
        uint256 length = amounts.length;
        for (uint256 i = 0; i < length; ++i) {
            (uint256 amount, uint256 price) = (amounts[i], prices[i]);
            // Four products below 2**124 each, at most 2**14 times.
            unchecked {
                total += (amount & _LANE) * (price & _LANE) + ((amount >> 64) & _LANE) * ((price >> 64) & _LANE)
                    + ((amount >> 128) & _LANE) * ((price >> 128) & _LANE) + (amount >> 192) * (price >> 192);
            }
        }
    }

    /// @dev Two flows to a word; the right half of the last word may be empty.
    function _flows(
        uint256[] calldata weights,
        uint256[] calldata flows,
        uint256[] memory supplies,
        uint256[] memory demands
    ) private pure returns (uint256 primal) {
        uint256 next = 0;
        uint256 count = 2 * flows.length;
        for (uint256 position = 0; position < count; ++position) {
            uint256 flow;
            assembly ("memory-safe") {
                flow := shr(128, calldataload(add(flows.offset, shl(4, position))))
            }
            if (flow == 0 && position + 1 == count) break;
            if (flow >> 64 < next) revert TransportFlow(position);
            // A pair is below 2**64, and a value is below 2**128: neither sum wraps.
            unchecked {
                next = (flow >> 64) + 1;
                primal += _take(weights, flow, supplies, demands, position);
            }
        }
    }

    /// @dev Takes a flow from what is left of its row's supply and its column's demand; gives its value.
    function _take(
        uint256[] calldata weights,
        uint256 flow,
        uint256[] memory supplies,
        uint256[] memory demands,
        uint256 position
    ) private pure returns (uint256) {
        (uint256 row, uint256 column) = (flow >> 96, (flow >> 64) & _SIDE);
        if (row >= supplies.length || column >= demands.length) revert TransportFlow(position);
        uint256 weight;
        flow &= _LANE;
        // The sides are at most 2**16 and inside the matrix; nothing is taken that is not there.
        unchecked {
            uint256 index = row * ((demands.length + 3) / 4) + column / 4;
            assembly ("memory-safe") {
                weight := calldataload(add(weights.offset, shl(5, index)))
            }
            weight = (weight >> (64 * (column & 3))) & _LANE;
            if (weight == 0 || flow == 0) revert TransportFlow(position);
            uint256 left = supplies[row];
            if (flow > left) revert TransportOverfull(false, row, flow, left);
            supplies[row] = left - flow;
            left = demands[column];
            if (flow > left) revert TransportOverfull(true, column, flow, left);
            demands[column] = left - flow;
            return flow * weight;
        }
    }

    /// @dev The numbers of a table, one to a word.
    function _spread(uint256[] calldata table, uint256 count) private pure returns (uint256[] memory numbers) {
        numbers = new uint256[](count);
        assembly ("memory-safe") {
            let from := table.offset
            let to := add(numbers, 0x20)
            let end := add(to, shl(5, count))
            let word := 0
            for { let i := 0 } lt(to, end) { i := add(i, 1) } {
                switch and(i, 3)
                case 0 {
                    word := calldataload(from)
                    from := add(from, 0x20)
                }
                default { word := shr(64, word) }
                mstore(to, and(word, 0xffffffffffffffff))
                to := add(to, 0x20)
            }
        }
    }
}
