// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../../src/interfaces/IERC7913SignatureVerifier.sol";
import {Sm2Verifier} from "../../src/verifiers/Sm2Verifier.sol";
import {Sm3} from "../../src/libraries/Sm3.sol";
import {Sm2} from "../Sm2.sol";

contract Sm2VerifierTest is Sm2 {
    Sm2Verifier private _verifier;
    bytes32 private constant _DIGEST = keccak256("digest");
    bytes private _key = abi.encode(X, Y);

    function setUp() public {
        _verifier = new Sm2Verifier();
    }

    function test_ASignatureIsAcceptedBeforeAndAfterTheKeyIsPrepared() public {
        bytes memory signature = _signed(D, _DIGEST, 77);
        isTrue(_accepted(_key, _DIGEST, signature));
        isFalse(_accepted(_key, keccak256("another"), signature));
        same(_verifier.preparedAt(_key), address(0));
        vm.expectEmit(true, false, false, false, address(_verifier));
        emit Sm2Verifier.Sm2KeyPrepared(keccak256(_key), address(0));
        _verifier.prepare(_key);
        isTrue(_accepted(_key, _DIGEST, signature));
        isFalse(_accepted(_key, keccak256("another"), signature));
        isFalse(_accepted(abi.encode(GX, GY), _DIGEST, signature));
    }

    function test_WhatIsStoredIsWorkedOutHereAndCannotBeCalled() public {
        _verifier.prepare(_key);
        address stored = _verifier.preparedAt(_key);
        bytes memory code = stored.code;
        same(code.length, 993);
        isTrue(code[0] == 0x00);
        for (uint256 i = 0; i < 32; ++i) isTrue(code[1 + i] == ZA[i]);
        // The first of the table's entries is the key itself.
        for (uint256 i = 0; i < 64; ++i) isTrue(code[33 + i] == _key[i]);
        (bool done, bytes memory answer) = stored.call(hex"01");
        isTrue(done);
        same(answer.length, 0);
        same(_verifier.zaOf(X, Y), ZA);
    }

    function test_AKeyIsPreparedOnce() public {
        _verifier.prepare(_key);
        bytes memory again =
            abi.encodeWithSelector(Sm2Verifier.Sm2VerifierPrepared.selector, _verifier.preparedAt(_key));
        vm.expectRevert(again);
        _verifier.prepare(_key);
    }

    function test_WhatIsNoKeyIsNotPrepared() public {
        bytes[5] memory others =
            [abi.encode(X, Y + 1), abi.encode(X), bytes.concat(_key, hex"00"), bytes(""), abi.encode(P, Y)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Sm2Verifier.Sm2VerifierKey.selector, others[i]));
            _verifier.prepare(others[i]);
            isFalse(_accepted(others[i], _DIGEST, _signed(D, _DIGEST, 77)));
        }
    }

    function test_OtherLengthsAreRefused() public {
        bytes memory signature = _signed(D, _DIGEST, 77);
        for (uint256 i = 0; i < 2; ++i) {
            isFalse(_accepted(_key, _DIGEST, bytes.concat(signature, hex"00")));
            isFalse(_accepted(_key, _DIGEST, ""));
            isFalse(_accepted(bytes.concat(_key, hex"00"), _DIGEST, signature));
            isFalse(_accepted("", _DIGEST, signature));
            if (i == 0) _verifier.prepare(_key);
        }
    }

    function testFuzz_AnotherBitAnywhereIsRefused(uint16 place) public {
        bytes memory all = bytes.concat(_key, _DIGEST, _signed(D, _DIGEST, 77));
        place %= uint16(all.length * 8);
        _verifier.prepare(_key);
        all[place / 8] ^= bytes1(uint8(1 << place % 8));
        (uint256 x, uint256 y, bytes32 hash, uint256 r, uint256 s) =
            abi.decode(all, (uint256, uint256, bytes32, uint256, uint256));
        isFalse(_accepted(abi.encode(x, y), hash, abi.encode(r, s)));
    }

    function _accepted(bytes memory key, bytes32 hash, bytes memory signature) private view returns (bool) {
        bytes4 answer = _verifier.verify(key, hash, signature);
        if (answer == IERC7913SignatureVerifier.verify.selector) return true;
        same(bytes32(answer), bytes32(bytes4(0xffffffff)));
        return false;
    }

    function _signed(uint256 d, bytes32 hash, uint256 k) private view returns (bytes memory) {
        (uint256 r, uint256 s) = signSm2(d, uint256(Sm3.hashPair(ZA, hash)), k);
        return abi.encode(r, s);
    }
}
