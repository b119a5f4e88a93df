// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The hash function SM3 (GB/T 32905), as far as an SM2 signature over 32 bytes needs it.
/// @dev Assembly (ADR 0010): the same in plain Solidity, as the tests have it, takes some 250 k gas a block; so it is 20 k. Numbers of 32
///      bits lie in words of 256. A rotation multiplies by 2**32 + 1, which writes the number twice side by side, and shifts
///      the wanted 32 bits down; what is left above them harms neither sums nor bitwise operations, and is cut off only
///      where the next rotation would bring it in.
library Sm3 {
    /// @notice The state before the first block: eight numbers of 32 bits, the first uppermost.
    uint256 private constant _START = 0x7380166f4914b2b9172442d7da8a0600a96f30bc163138aae38dee4db0fb0e4e;

    /// @dev The state after the first 128 bytes of what ZA is the hash of, the same for every key: the length in bits of the
    ///      identifier, 1234567812345678, a, b, and the base point but for the last 18 bytes of its y.
    uint256 private constant _ZA_MIDWAY = 0xadadedb50446043f08a87acee86d22438e232383bfc81fe2cf9117c84707011d;
    uint256 private constant _BASE_Y = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0;

    /// @notice SM3 of two words.
    function hashPair(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        uint256 words = _room();
        assembly ("memory-safe") {
            mstore(words, left)
            mstore(add(words, 0x20), right)
        }
        expand(words);
        // Of 64 bytes the last block is padding only, so its 68 numbers are known.
        bytes memory padding =
            hex"800000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            hex"000000000000000000000000000002008040400000000000010080801000500000000000002002a0ac545c0400000000"
            hex"09582a39a00030000000000000200280a4515804202000405160983830005701a0002000008200aa6ad525d00a0e0216"
            hex"b0f52042fa7073b020000000008200a87a54259022a20044d5d6ebd2820057718a202240b42826aaeaf84e594898eaf9"
            hex"8207283dee6775faa3e0e0a08828488a23b45a5d628a22c48d6d061538300a7ee96260e52b60c020502ed5319e878cb9"
            hex"218c38f8dcae3cb72a3e0e0ae9e0c4618c3e383144aaa228dc60a38b518300f7";
        uint256 last;
        assembly ("memory-safe") {
            last := add(padding, 0x20)
        }
        return bytes32(compress(last, compress(words, _START)));
    }

    /// @notice ZA of an SM2 key whose signer has the identifier 1234567812345678 (GB/T 32918.2 section 5.5).
    function zaOf(uint256 x, uint256 y) internal pure returns (bytes32) {
        uint256 words = _room();
        assembly ("memory-safe") {
            // 18 bytes of the base point's y, then the key, cut after 64 bytes.
            mstore(words, shl(112, _BASE_Y))
            mstore(add(words, 18), x)
            mstore(add(words, 50), y)
        }
        expand(words);
        uint256 state = compress(words, _ZA_MIDWAY);
        assembly ("memory-safe") {
            // The other 18 bytes, the bit that ends the message, and its length: 210 bytes, 1680 bits.
            mstore(words, or(shl(112, y), shl(104, 0x80)))
            mstore(add(words, 0x20), 1680)
        }
        expand(words);
        return bytes32(compress(words, state));
    }

    /// @notice Expand the block of 64 bytes at `words` to the 68 numbers of section 5.3.2, in place.
    /// @param words Address in memory; 300 bytes there are the caller's own.
    function expand(uint256 words) internal pure {
        assembly ("memory-safe") {
            // Three numbers at a time, side by side: a number depends on none nearer than three before it. The five on
            // their right are wrong, and the next step writes over them.
            for { let end := add(words, 216) } lt(words, end) { words := add(words, 12) } {
                let x := mload(add(words, 52))
                // Rotated by 15, then with those 16 and 9 before.
                x := or(
                    and(shl(15, x), 0xffff8000ffff8000ffff8000ffff8000ffff8000ffff8000ffff8000ffff8000),
                    and(shr(17, x), 0x00007fff00007fff00007fff00007fff00007fff00007fff00007fff00007fff)
                )
                x := xor(x, xor(mload(words), mload(add(words, 28))))
                // P1: with itself rotated by 15 and by 23.
                x := xor(
                    x,
                    xor(
                        or(
                            and(shl(15, x), 0xffff8000ffff8000ffff8000ffff8000ffff8000ffff8000ffff8000ffff8000),
                            and(shr(17, x), 0x00007fff00007fff00007fff00007fff00007fff00007fff00007fff00007fff)
                        ),
                        or(
                            and(shl(23, x), 0xff800000ff800000ff800000ff800000ff800000ff800000ff800000ff800000),
                            and(shr(9, x), 0x007fffff007fffff007fffff007fffff007fffff007fffff007fffff007fffff)
                        )
                    )
                )
                // With the one 13 before rotated by 7, and that 6 before.
                let y := mload(add(words, 12))
                y := or(
                    and(shl(7, y), 0xffffff80ffffff80ffffff80ffffff80ffffff80ffffff80ffffff80ffffff80),
                    and(shr(25, y), 0x0000007f0000007f0000007f0000007f0000007f0000007f0000007f0000007f)
                )
                mstore(add(words, 64), xor(x, xor(y, mload(add(words, 40)))))
            }
        }
    }

    /// @notice The state after one more block.
    /// @param words Address of the 68 numbers that `expand` made, at least 12; the 12 bytes before are read and do not matter.
    /// @param state The state before.
    function compress(uint256 words, uint256 state) internal pure returns (uint256 next) {
        assembly ("memory-safe") {
            let a := shr(224, state)
            let b := and(shr(192, state), 0xffffffff)
            let c := shr(160, state)
            let d := shr(128, state)
            let e := and(shr(96, state), 0xffffffff)
            let f := and(shr(64, state), 0xffffffff)
            let g := shr(32, state)
            let h := state
            let s
            let ss
            // From here the lowest 32 bits at `at` are number j + 4, and number j is 128 bits above; `next` holds both.
            let at := sub(words, 12)
            // Four rounds a time bring each letter back to its place. The constant T stands in `t` eight times side by side, so
            // that its upper end is T(j) after j shifts; its lower end, then zero, ends the run.
            for { let t := 0x79cc451979cc451979cc451979cc451979cc451979cc451979cc451979cc4519 } and(t, 0xffff) {
                t := shl(4, t)
                at := add(at, 16)
            } {
                next := mload(at)
                s := shr(20, mul(0x100000001, a))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(e, add(shr(224, t), s)))))
                d := and(0xffffffff, add(d, add(xor(ss, s), add(xor(next, shr(128, next)), xor(a, xor(b, c))))))
                h := and(0xffffffff, add(h, add(ss, add(shr(128, next), xor(e, xor(f, g))))))
                s := mul(0x100000001, h)
                h := and(0xffffffff, xor(h, xor(shr(23, s), shr(15, s))))
                b := shr(23, mul(0x100000001, b))
                f := shr(13, mul(0x100000001, f))
                next := mload(add(at, 4))
                s := shr(20, mul(0x100000001, d))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(h, add(shr(223, t), s)))))
                c := and(0xffffffff, add(c, add(xor(ss, s), add(xor(next, shr(128, next)), xor(d, xor(a, b))))))
                g := and(0xffffffff, add(g, add(ss, add(shr(128, next), xor(h, xor(e, f))))))
                s := mul(0x100000001, g)
                g := and(0xffffffff, xor(g, xor(shr(23, s), shr(15, s))))
                a := shr(23, mul(0x100000001, a))
                e := shr(13, mul(0x100000001, e))
                next := mload(add(at, 8))
                s := shr(20, mul(0x100000001, c))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(g, add(shr(222, t), s)))))
                b := and(0xffffffff, add(b, add(xor(ss, s), add(xor(next, shr(128, next)), xor(c, xor(d, a))))))
                f := and(0xffffffff, add(f, add(ss, add(shr(128, next), xor(g, xor(h, e))))))
                s := mul(0x100000001, f)
                f := and(0xffffffff, xor(f, xor(shr(23, s), shr(15, s))))
                d := shr(23, mul(0x100000001, d))
                h := shr(13, mul(0x100000001, h))
                next := mload(add(at, 12))
                s := shr(20, mul(0x100000001, b))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(f, add(shr(221, t), s)))))
                a := and(0xffffffff, add(a, add(xor(ss, s), add(xor(next, shr(128, next)), xor(b, xor(c, d))))))
                e := and(0xffffffff, add(e, add(ss, add(shr(128, next), xor(f, xor(g, h))))))
                s := mul(0x100000001, e)
                e := and(0xffffffff, xor(e, xor(shr(23, s), shr(15, s))))
                c := shr(23, mul(0x100000001, c))
                g := shr(13, mul(0x100000001, g))
            }
            for { let t := shl(16, 0x7a879d8a7a879d8a7a879d8a7a879d8a7a879d8a7a879d8a7a879d8a7a879d8a) } and(t, 0xffffffffffffffff) {
                t := shl(4, t)
                at := add(at, 16)
            } {
                next := mload(at)
                s := shr(20, mul(0x100000001, a))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(e, add(shr(224, t), s)))))
                d := and(0xffffffff, add(d, add(xor(ss, s), add(xor(next, shr(128, next)), or(and(a, or(b, c)), and(b, c))))))
                h := and(0xffffffff, add(h, add(ss, add(shr(128, next), xor(and(xor(f, g), e), g)))))
                s := mul(0x100000001, h)
                h := and(0xffffffff, xor(h, xor(shr(23, s), shr(15, s))))
                b := shr(23, mul(0x100000001, b))
                f := shr(13, mul(0x100000001, f))
                next := mload(add(at, 4))
                s := shr(20, mul(0x100000001, d))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(h, add(shr(223, t), s)))))
                c := and(0xffffffff, add(c, add(xor(ss, s), add(xor(next, shr(128, next)), or(and(d, or(a, b)), and(a, b))))))
                g := and(0xffffffff, add(g, add(ss, add(shr(128, next), xor(and(xor(e, f), h), f)))))
                s := mul(0x100000001, g)
                g := and(0xffffffff, xor(g, xor(shr(23, s), shr(15, s))))
                a := shr(23, mul(0x100000001, a))
                e := shr(13, mul(0x100000001, e))
                next := mload(add(at, 8))
                s := shr(20, mul(0x100000001, c))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(g, add(shr(222, t), s)))))
                b := and(0xffffffff, add(b, add(xor(ss, s), add(xor(next, shr(128, next)), or(and(c, or(d, a)), and(d, a))))))
                f := and(0xffffffff, add(f, add(ss, add(shr(128, next), xor(and(xor(h, e), g), e)))))
                s := mul(0x100000001, f)
                f := and(0xffffffff, xor(f, xor(shr(23, s), shr(15, s))))
                d := shr(23, mul(0x100000001, d))
                h := shr(13, mul(0x100000001, h))
                next := mload(add(at, 12))
                s := shr(20, mul(0x100000001, b))
                ss := shr(25, mul(0x100000001, and(0xffffffff, add(f, add(shr(221, t), s)))))
                a := and(0xffffffff, add(a, add(xor(ss, s), add(xor(next, shr(128, next)), or(and(b, or(c, d)), and(c, d))))))
                e := and(0xffffffff, add(e, add(ss, add(shr(128, next), xor(and(xor(g, h), f), h)))))
                s := mul(0x100000001, e)
                e := and(0xffffffff, xor(e, xor(shr(23, s), shr(15, s))))
                c := shr(23, mul(0x100000001, c))
                g := shr(13, mul(0x100000001, g))
            }
            next := or(shl(32, a), and(b, 0xffffffff))
            next := or(shl(64, next), or(shl(32, and(c, 0xffffffff)), and(d, 0xffffffff)))
            next := or(shl(32, next), e)
            next := or(shl(32, next), and(f, 0xffffffff))
            next := or(shl(64, next), or(shl(32, and(g, 0xffffffff)), and(h, 0xffffffff)))
            next := xor(next, state)
        }
    }

    /// @dev Memory for a block and what `expand` makes of it, with the 12 bytes before that `compress` may read.
    function _room() private pure returns (uint256 words) {
        assembly ("memory-safe") {
            words := add(mload(0x40), 0x20)
            mstore(0x40, add(words, 0x140))
        }
    }
}
