// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sm3} from "../../src/libraries/Sm3.sol";
import {Sm2} from "../Sm2.sol";

contract Sm3Test is Sm2 {
    /// @dev GB/T 32905 appendix A.2: "abcd", sixteen times.
    function test_TheStandardsExampleOfTwoBlocks() public pure {
        bytes32 half = "abcdabcdabcdabcdabcdabcdabcdabcd";
        same(Sm3.hashPair(half, half), 0xdebe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732);
    }

    function test_ZaOfTheStandardsExample() public pure {
        same(Sm3.zaOf(X, Y), ZA);
    }

    /// @dev Against the function written out as the standard has it, one bit operation at a time.
    /// forge-config: default.fuzz.runs = 100
    function testFuzz_AnyTwoWordsHashAsTheStandardSays(bytes32 left, bytes32 right) public pure {
        same(Sm3.hashPair(left, right), _sm3(bytes.concat(left, right)));
    }

    /// forge-config: default.fuzz.runs = 50
    function testFuzz_ZaIsTheHashOfTheKeyAndItsCurve(uint256 x, uint256 y) public pure {
        bytes memory text = bytes.concat(
            hex"0080",
            "1234567812345678",
            bytes32(P - 3),
            hex"28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93",
            bytes32(GX),
            bytes32(GY),
            bytes32(x),
            bytes32(y)
        );
        same(Sm3.zaOf(x, y), _sm3(text));
    }

    /// @dev What lies in memory before does not matter, and nothing of it is changed.
    function testFuzz_MemoryOfOthersIsLeftAlone(bytes32 left, bytes memory others) public pure {
        bytes32 before = keccak256(others);
        bytes32 first = Sm3.hashPair(left, 0);
        bytes32 za = Sm3.zaOf(1, uint256(left));
        bytes memory more = bytes.concat(others, others);
        same(Sm3.hashPair(left, 0), first);
        same(Sm3.zaOf(1, uint256(left)), za);
        same(keccak256(others), before);
        same(keccak256(more), keccak256(bytes.concat(others, others)));
    }

    function _sm3(bytes memory text) private pure returns (bytes32) {
        uint256 bits = text.length * 8;
        text = bytes.concat(text, hex"80");
        while (text.length % 64 != 56) text = bytes.concat(text, hex"00");
        text = bytes.concat(text, bytes8(uint64(bits)));
        uint32[8] memory v = [
            uint32(0x7380166F), 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E
        ];
        for (uint256 i = 0; i < text.length; i += 64) v = _block(text, i, v);
        bytes memory found;
        for (uint256 i = 0; i < 8; ++i) found = bytes.concat(found, bytes4(v[i]));
        return bytes32(found);
    }

    function _block(bytes memory text, uint256 at, uint32[8] memory v) private pure returns (uint32[8] memory next) {
        uint32[68] memory w = _expanded(text, at);
        uint32[8] memory s;
        for (uint256 i = 0; i < 8; ++i) s[i] = v[i];
        unchecked {
            for (uint256 j = 0; j < 64; ++j) {
                uint32 t = j < 16 ? 0x79cc4519 : 0x7a879d8a;
                uint32 ss1 = _rotated(_rotated(s[0], 12) + s[4] + _rotated(t, j % 32), 7);
                uint32 ff = j < 16 ? s[0] ^ s[1] ^ s[2] : (s[0] & s[1]) | (s[0] & s[2]) | (s[1] & s[2]);
                uint32 gg = j < 16 ? s[4] ^ s[5] ^ s[6] : (s[4] & s[5]) | (~s[4] & s[6]);
                uint32 tt1 = ff + s[3] + (ss1 ^ _rotated(s[0], 12)) + (w[j] ^ w[j + 4]);
                uint32 tt2 = gg + s[7] + ss1 + w[j];
                (s[3], s[2], s[1], s[0]) = (s[2], _rotated(s[1], 9), s[0], tt1);
                (s[7], s[6], s[5], s[4]) =
                    (s[6], _rotated(s[5], 19), s[4], tt2 ^ _rotated(tt2, 9) ^ _rotated(tt2, 17));
            }
        }
        for (uint256 i = 0; i < 8; ++i) next[i] = s[i] ^ v[i];
    }

    function _expanded(bytes memory text, uint256 at) private pure returns (uint32[68] memory w) {
        for (uint256 i = 0; i < 64; ++i) w[i / 4] = (w[i / 4] << 8) | uint8(text[at + i]);
        for (uint256 j = 16; j < 68; ++j) {
            uint32 x = w[j - 16] ^ w[j - 9] ^ _rotated(w[j - 3], 15);
            w[j] = x ^ _rotated(x, 15) ^ _rotated(x, 23) ^ _rotated(w[j - 13], 7) ^ w[j - 6];
        }
    }

    function _rotated(uint32 x, uint256 n) private pure returns (uint32) {
        return n == 0 ? x : (x << n) | (x >> (32 - n));
    }
}
