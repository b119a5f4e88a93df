// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sm2Base} from "./Sm2Base.sol";

/// @title SM2 signatures over a digest, on the curve of GB/T 32918.5 (verification: GB/T 32918.2 section 7.1).
/// @dev Points stand as (x, y, zz, zzz) for (x/zz, y/zzz) with zz**3 = zzz**2 (formulas dbl-2008-s-1, add-2008-s and madd-2008-s
///      of the Explicit-Formulas Database, a = -3); infinity is (0, _, 0, 0). A check takes no inverse: the signature says what
///      x must be, and x = wanted * zz is asked instead.
library Sm2Curve {
    uint256 private constant _P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF;
    uint256 private constant _B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93;
    uint256 private constant _N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123;

    /// @dev Entries of a key's table: one for each set of four bits but the empty one.
    uint256 private constant _ENTRIES = 15;

    /// @notice Whether (r, s) over the digest `e` was made by the key whose table this is.
    /// @dev Refused: r or s outside 1 .. n - 1, and r + s = n. Unlike ECDSA's, an SM2 signature has no second form: n - s is
    ///      another signature, and of nothing.
    /// @param e SM3(ZA || message) as a number; any 256 bits.
    /// @param table What `tableOf` made of the key.
    function verify(uint256 e, uint256 r, uint256 s, bytes memory table) internal pure returns (bool) {
        if (r == 0 || r >= _N || s == 0 || s >= _N) return false;
        uint256 t = addmod(r, s, _N);
        if (t == 0) return false;
        (uint256 x, uint256 zz) = _sum(table, Sm2Base.table(), s, t, _P);
        if (zz == 0) return false;
        // r = e + x1 modulo n, so x1 is one of two numbers; that the second is below p too happens once in 2**129.
        uint256 wanted = addmod(r, _N - e % _N, _N);
        return mulmod(wanted, zz, _P) == x || (wanted < _P - _N && mulmod(wanted + _N, zz, _P) == x);
    }

    /// @notice Whether (x, y) is a point of the curve y**2 = x**3 - 3 x + b, both below p.
    function isOnCurve(uint256 x, uint256 y) internal pure returns (bool) {
        if (x >= _P || y >= _P) return false;
        return mulmod(y, y, _P) == addmod(mulmod(addmod(mulmod(x, x, _P), _P - 3, _P), x, _P), _B, _P);
    }

    /// @notice A key's table: entry i, from 1 to 15, is the sum of 2**(64 j) Q over the bits j of i; x and y, 64 bytes each.
    /// @dev The key is a point of the curve. No sum met here is of equal or opposite points, for Q has the large prime order n.
    ///      Assembly (ADR 0010), as `_sum`: 192 doublings, 11 sums, one inverse for all.
    function tableOf(uint256 keyX, uint256 keyY) internal view returns (bytes memory table) {
        table = new bytes(_ENTRIES * 64);
        uint256 p = _P;
        assembly ("memory-safe") {
            // The point at `to` := twice the point at `from`.
            function twice(to, from, prime) {
                let x := mload(from)
                let y := mload(add(from, 0x20))
                let zz := mload(add(from, 0x40))
                let u := addmod(y, y, prime)
                let v := mulmod(u, u, prime)
                let w := mulmod(u, v, prime)
                let m := mulmod(3, mulmod(addmod(x, zz, prime), addmod(x, sub(prime, zz), prime), prime), prime)
                mstore(add(to, 0x40), mulmod(v, zz, prime))
                mstore(add(to, 0x60), mulmod(w, mload(add(from, 0x60)), prime))
                v := mulmod(x, v, prime)
                x := addmod(mulmod(m, m, prime), sub(prime, addmod(v, v, prime)), prime)
                mstore(to, x)
                m := mulmod(m, addmod(v, sub(prime, x), prime), prime)
                mstore(add(to, 0x20), addmod(m, sub(prime, mulmod(w, y, prime)), prime))
            }
            // The point at `to` := those at `from` and at `other`, which differ in x.
            function plus(to, from, other, prime) {
                let zz := mload(add(from, 0x40))
                let zzz := mload(add(from, 0x60))
                let q := mulmod(mload(from), mload(add(other, 0x40)), prime)
                let y := mulmod(mload(add(from, 0x20)), mload(add(other, 0x60)), prime)
                let d := addmod(mulmod(mload(other), zz, prime), sub(prime, q), prime)
                let r := addmod(mulmod(mload(add(other, 0x20)), zzz, prime), sub(prime, y), prime)
                let dd := mulmod(d, d, prime)
                d := mulmod(d, dd, prime)
                q := mulmod(q, dd, prime)
                mstore(add(to, 0x40), mulmod(mulmod(zz, mload(add(other, 0x40)), prime), dd, prime))
                mstore(add(to, 0x60), mulmod(mulmod(zzz, mload(add(other, 0x60)), prime), d, prime))
                dd := addmod(mulmod(r, r, prime), sub(prime, addmod(d, addmod(q, q, prime), prime)), prime)
                mstore(to, dd)
                r := mulmod(r, addmod(q, sub(prime, dd), prime), prime)
                mstore(add(to, 0x20), addmod(r, sub(prime, mulmod(y, d, prime)), prime))
            }

            // Entry i stands at `free` + 128 i. After the last, six words for the modular power; from 0x900 on, the products.
            let free := mload(0x40)
            mstore(add(free, 0x80), keyX)
            mstore(add(free, 0xa0), keyY)
            mstore(add(free, 0xc0), 1)
            mstore(add(free, 0xe0), 1)
            for { let bit := 0x100 } lt(bit, 0x800) { bit := add(bit, bit) } {
                let at := add(free, bit)
                twice(at, add(free, shr(1, bit)), p)
                for { let i := 63 } i { i := sub(i, 1) } { twice(at, at, p) }
                for { let i := 0x80 } lt(i, bit) { i := add(i, 0x80) } { plus(add(at, i), at, add(free, i), p) }
            }
            // Each zzz inverted: all multiplied, one inverse of the product, and the factors taken off again from the last.
            let product := 1
            for { let i := 0x80 } lt(i, 0x800) { i := add(i, 0x80) } {
                mstore(add(add(free, 0x900), shr(2, i)), product)
                product := mulmod(product, mload(add(add(free, i), 0x60)), p)
            }
            {
                let power := add(free, 0x800)
                mstore(power, 0x20)
                mstore(add(power, 0x20), 0x20)
                mstore(add(power, 0x40), 0x20)
                mstore(add(power, 0x60), product)
                mstore(add(power, 0x80), sub(p, 2))
                mstore(add(power, 0xa0), p)
                // Fails for want of gas only; then the whole call must fail.
                if iszero(staticcall(gas(), 5, power, 0xc0, 0x00, 0x20)) { revert(0, 0) }
            }
            let inverse := mload(0x00)
            for { let i := 0x780 } i { i := sub(i, 0x80) } {
                let at := add(free, i)
                let factor := mulmod(inverse, mload(add(add(free, 0x900), shr(2, i))), p)
                inverse := mulmod(inverse, mload(add(at, 0x60)), p)
                // 1 / zz = (zz / zzz)**2.
                let root := mulmod(mload(add(at, 0x40)), factor, p)
                let to := sub(add(table, shr(1, i)), 0x20)
                mstore(to, mulmod(mload(at), mulmod(root, root, p), p))
                mstore(add(to, 0x20), mulmod(mload(add(at, 0x20)), factor, p))
            }
        }
    }

    /// @dev s G + t Q. In each of 64 rounds the sum is doubled, and gets one entry of the key's table, for the bits of t that are
    ///      64 apart; in the last 32 rounds also one of the base point's, for the bits of s that are 32 apart.
    ///      Assembly (ADR 0010): some 100 sums and doublings of 17 modular operations each, in which calls and checks of the
    ///      language would cost more than the operations.
    /// @param base As Sm2Base has it.
    /// @param p The field's prime; an argument, for a constant in so many places would be worked out each time.
    /// @return x The sum's x, times zz.
    /// @return zz The sum's zz; 0 for infinity.
    function _sum(bytes memory table, bytes memory base, uint256 s, uint256 t, uint256 p)
        private
        pure
        returns (uint256 x, uint256 zz)
    {
        assembly ("memory-safe") {
            // Twice the point at `at`, whose zz and zzz are 1.
            function twice(at, prime) -> x3, y3, zz3, zzz3 {
                let x1 := mload(at)
                let y1 := mload(add(at, 0x20))
                let u := addmod(y1, y1, prime)
                zz3 := mulmod(u, u, prime)
                zzz3 := mulmod(u, zz3, prime)
                let q := mulmod(x1, zz3, prime)
                let m := mulmod(3, addmod(mulmod(x1, x1, prime), sub(prime, 1), prime), prime)
                x3 := addmod(mulmod(m, m, prime), sub(prime, addmod(q, q, prime)), prime)
                m := mulmod(m, addmod(q, sub(prime, x3), prime), prime)
                y3 := addmod(m, sub(prime, mulmod(zzz3, y1, prime)), prime)
            }

            // Entry i stands 64 (i - 1) bytes behind the length.
            table := sub(table, 0x20)
            base := sub(base, 0x20)
            let y := 0
            let zzz := 0
            for { let bit := 63 } 1 { bit := sub(bit, 1) } {
                {
                    let u := addmod(y, y, p)
                    let v := mulmod(u, u, p)
                    u := mulmod(u, v, p)
                    let m := mulmod(3, mulmod(addmod(x, zz, p), addmod(x, sub(p, zz), p), p), p)
                    zz := mulmod(v, zz, p)
                    zzz := mulmod(u, zzz, p)
                    v := mulmod(x, v, p)
                    x := addmod(mulmod(m, m, p), sub(p, addmod(v, v, p)), p)
                    y := addmod(mulmod(m, addmod(v, sub(p, x), p), p), sub(p, mulmod(u, y, p)), p)
                }
                // The product brings the bits at 0, 64, 128 and 192 to the upper end, side by side, and all its other terms
                // below them, each to a bit of its own; so with those at 0, 32, .. 224.
                let at :=
                    shr(
                        252,
                        mul(
                            and(shr(bit, t), 0x0000000000000001000000000000000100000000000000010000000000000001),
                            0x1000000000000000200000000000000040000000000000008000000000000000
                        )
                    )
                if at { at := add(table, shl(6, at)) }
                let afterwards := 0
                if lt(bit, 32) {
                    afterwards :=
                        shr(
                            248,
                            mul(
                                and(shr(bit, s), 0x0000000100000001000000010000000100000001000000010000000100000001),
                                0x0100000002000000040000000800000010000000200000004000000080000000
                            )
                        )
                    if afterwards { afterwards := add(base, shl(6, afterwards)) }
                }
                for {} or(at, afterwards) {
                    at := afterwards
                    afterwards := 0
                } {
                    if iszero(at) { continue }
                    let d := addmod(mulmod(mload(at), zz, p), sub(p, x), p)
                    let r := addmod(mulmod(mload(add(at, 0x20)), zzz, p), sub(p, y), p)
                    // The same x: infinity and any point, which is that point; a point and itself; a point and its opposite,
                    // which is infinity. Honest signatures meet the first only.
                    if iszero(d) {
                        if iszero(zz) {
                            x := mload(at)
                            y := mload(add(at, 0x20))
                            zz := 1
                            zzz := 1
                            continue
                        }
                        if iszero(r) {
                            x, y, zz, zzz := twice(at, p)
                            continue
                        }
                        x := 0
                        zz := 0
                        zzz := 0
                        continue
                    }
                    let dd := mulmod(d, d, p)
                    zz := mulmod(zz, dd, p)
                    d := mulmod(d, dd, p)
                    zzz := mulmod(zzz, d, p)
                    dd := mulmod(x, dd, p)
                    x := addmod(mulmod(r, r, p), sub(p, addmod(d, addmod(dd, dd, p), p)), p)
                    y := addmod(mulmod(r, addmod(dd, sub(p, x), p), p), sub(p, mulmod(y, d, p)), p)
                }
                if iszero(bit) { break }
            }
        }
    }
}
