// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sm2Curve} from "../../src/libraries/Sm2Curve.sol";
import {Sm2} from "../Sm2.sol";

contract Sm2CurveTest is Sm2 {
    function test_TheStandardsExampleIsAccepted() public view {
        isTrue(_verified(E, R, S, Point(X, Y)));
        (uint256 r, uint256 s) = signSm2(D, E, 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21);
        same(r, R);
        same(s, S);
    }

    function testFuzz_TheStandardsExampleWithAnotherBitIsRefused(uint8 bit, uint8 field) public view {
        uint256 mask = uint256(1) << bit;
        field %= 5;
        Point memory key = Point(field == 3 ? X ^ mask : X, field == 4 ? Y ^ mask : Y);
        if (field > 2) isFalse(Sm2Curve.isOnCurve(key.x, key.y));
        else isFalse(
            _verified(field == 0 ? E ^ mask : E, field == 1 ? R ^ mask : R, field == 2 ? S ^ mask : S, key)
        );
    }

    function test_NumbersOutsideTheirRangeAreRefused() public view {
        Point memory key = Point(X, Y);
        isFalse(_verified(E, 0, S, key));
        isFalse(_verified(E, R, 0, key));
        isFalse(_verified(E, N, S, key));
        isFalse(_verified(E, R, N, key));
        isFalse(_verified(E, type(uint256).max, S, key));
        isFalse(_verified(E, R, type(uint256).max, key));
        // r + s = n: the key takes no part in the sum.
        isFalse(_verified(E, N - S, S, key));
        uint256 x1 = times(S, base()).x;
        isFalse(_verified(addmod(N - S, N - x1 % N, N), N - S, S, key));
        // The other half of a pair that ECDSA would take.
        isFalse(_verified(E, R, N - S, key));
    }

    function test_OnlyPointsOfTheCurveAreKeys() public pure {
        isTrue(Sm2Curve.isOnCurve(X, Y));
        isTrue(Sm2Curve.isOnCurve(X, P - Y));
        isTrue(Sm2Curve.isOnCurve(GX, GY));
        isFalse(Sm2Curve.isOnCurve(X, Y + 1));
        isFalse(Sm2Curve.isOnCurve(0, 0));
        isFalse(Sm2Curve.isOnCurve(P, 0));
        isFalse(Sm2Curve.isOnCurve(0, P));
    }

    /// @dev The curve has a point with x = 0; the same modulo p is no key.
    function test_ACoordinateOfThePrimeOrMoreIsRefused() public view {
        uint256 y = _root(0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93);
        isTrue(Sm2Curve.isOnCurve(0, y));
        isFalse(Sm2Curve.isOnCurve(P, y));
        uint256 small;
        uint256 x = 0;
        // Some y below 2**256 - p; the curve has such points, the first few x of them are searched.
        for (; x < 64; ++x) {
            small = _root(addmod(mulmod(addmod(mulmod(x, x, P), P - 3, P), x, P), 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93, P));
            if (Sm2Curve.isOnCurve(x, small)) isFalse(Sm2Curve.isOnCurve(P + x, small));
        }
    }

    /// forge-config: default.fuzz.runs = 60
    function testFuzz_WhatAKeySignsIsAcceptedForItAlone(uint256 d, uint256 e, uint256 k) public view {
        d = d % (N - 2) + 1;
        k = k % (N - 1) + 1;
        (uint256 r, uint256 s) = signSm2(d, e, k);
        Point memory key = times(d, base());
        isTrue(_verified(e, r, s, key));
        isFalse(_verified(addmod(e % N, 1, N), r, s, key));
        isFalse(_verified(e, r, s, Point(key.x, P - key.y)));
    }

    /// @dev Keys of small and opposite numbers make the sum meet itself, its opposite and infinity on the way: each s G + t Q is
    ///      compared with the one by the book, through the digest that makes a signature of it.
    function test_EverySumOfRelatedPointsIsTheOneByTheBook() public view {
        uint256[7] memory secrets = [1, 2, N - 1, N - 2, 2 ** 32, N - 2 ** 64, uint256(2 ** 64 + 1)];
        uint256[6] memory scalars = [1, 2, 3, 2 ** 32, 2 ** 64 + 2 ** 32 + 1, N - 1];
        uint256 infinities;
        for (uint256 i = 0; i < secrets.length; ++i) {
            for (uint256 j = 0; j < 36; ++j) {
                // By a call, for each takes more memory than one run has for all.
                if (!this.sumIsTheOneByTheBook(secrets[i], scalars[j / 6], scalars[j % 6])) ++infinities;
            }
        }
        isTrue(infinities > 0);
    }

    /// forge-config: default.fuzz.runs = 200
    function testFuzz_EverySumOfSmallMultiplesIsTheOneByTheBook(uint256 d, uint256 s, uint256 t) public view {
        d = d & 1 == 0 ? (d >> 1) % 9 + 1 : N - (d >> 1) % 9 - 1;
        this.sumIsTheOneByTheBook(d, s % 9 + 1, t & 1 == 0 ? (t >> 1) % 9 + 1 : N - (t >> 1) % 9 - 1);
    }

    /// @return finite Whether the sum is a point; checked is that it is accepted just then, and for its digest only.
    function sumIsTheOneByTheBook(uint256 d, uint256 s, uint256 t) external view returns (bool finite) {
        uint256 r = addmod(t, N - s, N);
        if (r == 0) return true;
        Point memory key = times(d, base());
        Point memory found = times(addmod(s, mulmod(t, d, N), N), base());
        bytes memory table = Sm2Curve.tableOf(key.x, key.y);
        uint256 e = addmod(r, N - found.x % N, N);
        finite = found.x != 0 || found.y != 0;
        isTrue(Sm2Curve.verify(e, r, s, table) == finite);
        isFalse(Sm2Curve.verify(addmod(e, 1, N), r, s, table));
    }

    /// forge-config: default.fuzz.runs = 20
    function testFuzz_ATableHoldsTheSumsItSaysItDoes(uint256 d) public view {
        Point memory key = times(d % (N - 1) + 1, base());
        bytes memory table = Sm2Curve.tableOf(key.x, key.y);
        same(table.length, 15 * 64);
        for (uint256 i = 1; i < 16; ++i) {
            uint256 k = (i & 1) + ((i >> 1 & 1) << 64) + ((i >> 2 & 1) << 128) + ((i >> 3) << 192);
            Point memory expected = times(k, key);
            (uint256 x, uint256 y) = _entry(table, i);
            same(x, expected.x);
            same(y, expected.y);
        }
    }

    function _verified(uint256 e, uint256 r, uint256 s, Point memory key) private view returns (bool) {
        return Sm2Curve.verify(e, r, s, Sm2Curve.tableOf(key.x, key.y));
    }

    function _root(uint256 a) private view returns (uint256) {
        (, bytes memory found) = address(5).staticcall(
            abi.encode(uint256(32), uint256(32), uint256(32), a, (P >> 2) + 1, P)
        );
        return abi.decode(found, (uint256));
    }

    function _entry(bytes memory table, uint256 i) private pure returns (uint256 x, uint256 y) {
        assembly ("memory-safe") {
            x := mload(add(table, sub(mul(64, i), 32)))
            y := mload(add(table, mul(64, i)))
        }
    }
}
