// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sm2Curve} from "../../src/libraries/Sm2Curve.sol";
import {Sm2} from "../Sm2.sol";

contract Sm2CurveEdgesTest is Sm2 {
    uint256 private constant _B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93;

    /// @dev The sum's x may lie between n and p, once in 2**129 signatures. Such a point is chosen first here, then the numbers,
    ///      then the key that makes them fit; nobody knows its private half.
    function test_AnXBetweenTheOrderAndThePrimeIsTheOtherNumberThatItMayBe() public view {
        (uint256 s, uint256 t) = (7, 12);
        uint256 found;
        for (uint256 x = N; found < 3; ++x) {
            uint256 y = _root(addmod(mulmod(addmod(mulmod(x, x, P), P - 3, P), x, P), _B, P));
            if (!Sm2Curve.isOnCurve(x, y)) continue;
            ++found;
            Point memory key = times(inverse(t, N), sum(Point(x, y), times(N - s, base())));
            bytes memory table = Sm2Curve.tableOf(key.x, key.y);
            uint256 r = t - s;
            uint256 e = addmod(r, N - x % N, N);
            isTrue(Sm2Curve.verify(e, r, s, table));
            isFalse(Sm2Curve.verify(addmod(e, 1, N), r, s, table));
            isFalse(Sm2Curve.verify(e, r, s + 1, table));
        }
    }

    function _root(uint256 a) private view returns (uint256) {
        (, bytes memory found) = address(5).staticcall(
            abi.encode(uint256(32), uint256(32), uint256(32), a, (P >> 2) + 1, P)
        );
        return abi.decode(found, (uint256));
    }
}
