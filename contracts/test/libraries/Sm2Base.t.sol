// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sm2Base} from "../../src/libraries/Sm2Base.sol";
import {Sm2} from "../Sm2.sol";

contract Sm2BaseTest is Sm2 {
    /// @dev Each entry is that of its bits but the lowest, and that bit's own; those of one bit are 2**32 times the one before.
    function test_EveryEntryIsTheSumItSaysItIs() public view {
        bytes memory table = Sm2Base.table();
        same(table.length, 255 * 64);
        Point[256] memory entries;
        for (uint256 i = 1; i < 256; ++i) {
            uint256 bit = i & (~i + 1);
            if (i == 1) entries[i] = base();
            else if (i == bit) entries[i] = times(2 ** 32, entries[i / 2]);
            else entries[i] = sum(entries[i ^ bit], entries[bit]);
            (uint256 x, uint256 y) = _entry(table, i);
            same(x, entries[i].x);
            same(y, entries[i].y);
        }
    }

    function _entry(bytes memory table, uint256 i) private pure returns (uint256 x, uint256 y) {
        assembly ("memory-safe") {
            x := mload(add(table, sub(mul(64, i), 32)))
            y := mload(add(table, mul(64, i)))
        }
    }
}
