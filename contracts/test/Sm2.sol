// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cheats} from "./Cheats.sol";

/// @dev SM2 by the book (GB/T 32918.1, .2, .5): affine points, an inverse each sum. Slow, and nothing of it is in the contracts.
abstract contract Sm2 is Cheats {
    uint256 internal constant P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF;
    uint256 internal constant N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123;
    uint256 internal constant GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7;
    uint256 internal constant GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0;
    // GB/T 32918.5 appendix A.2: secret key, public key, ZA, digest of "message digest", signature.
    uint256 internal constant D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8;
    uint256 internal constant X = 0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020;
    uint256 internal constant Y = 0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13;
    bytes32 internal constant ZA = 0xB2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3;
    uint256 internal constant E = 0xF0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640;
    uint256 internal constant R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3;
    uint256 internal constant S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA;

    /// @dev (0, 0) is the point at infinity; it is not on the curve.
    struct Point {
        uint256 x;
        uint256 y;
    }

    function base() internal pure returns (Point memory) {
        return Point(GX, GY);
    }

    function sum(Point memory a, Point memory b) internal view returns (Point memory) {
        if (a.x == 0 && a.y == 0) return b;
        if (b.x == 0 && b.y == 0) return a;
        uint256 slope;
        if (a.x == b.x) {
            if (addmod(a.y, b.y, P) == 0) return Point(0, 0);
            slope = mulmod(3, addmod(mulmod(a.x, a.x, P), P - 1, P), P);
            slope = mulmod(slope, inverse(addmod(a.y, a.y, P), P), P);
        } else {
            slope = mulmod(addmod(b.y, P - a.y, P), inverse(addmod(b.x, P - a.x, P), P), P);
        }
        uint256 x = addmod(mulmod(slope, slope, P), P - addmod(a.x, b.x, P), P);
        return Point(x, addmod(mulmod(slope, addmod(a.x, P - x, P), P), P - a.y, P));
    }

    function times(uint256 k, Point memory a) internal view returns (Point memory result) {
        for (; k != 0; k >>= 1) {
            if (k & 1 == 1) result = sum(result, a);
            a = sum(a, a);
        }
    }

    function inverse(uint256 a, uint256 prime) internal view returns (uint256) {
        (bool done, bytes memory found) = address(5).staticcall(
            abi.encode(uint256(32), uint256(32), uint256(32), a, prime - 2, prime)
        );
        isTrue(done);
        return abi.decode(found, (uint256));
    }

    /// @dev k is the one-time number; none that gives a zero is met in these tests.
    function signSm2(uint256 d, uint256 e, uint256 k) internal view returns (uint256 r, uint256 s) {
        r = addmod(e, times(k, base()).x, N);
        s = mulmod(inverse(1 + d, N), addmod(k, N - mulmod(r, d, N), N), N);
    }
}
