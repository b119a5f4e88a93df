// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

import {K1Verifier} from "../../src/verifiers/K1Verifier.sol";
import {P256Verifier} from "../../src/verifiers/P256Verifier.sol";
import {Signing} from "../Signing.sol";

/// @dev What mutation testing found untold of the verifiers: the largest s that is low. The other form of a signature has
///      order - s; the half order's is the very next number, so one key stands behind both, and only one is accepted.
contract VerifierEdgesTest is Signing {
    uint256 private constant _K1_HALF = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    bytes32 private constant _DIGEST = keccak256("digest");

    function test_TheLargestLowSOfSecp256k1IsAcceptedAndTheNextIsNot() public {
        K1Verifier verifier = new K1Verifier();
        (, bytes32 r,) = vms.sign(5, _DIGEST);
        address account = ecrecover(_DIGEST, 27, r, bytes32(_K1_HALF));
        same(ecrecover(_DIGEST, 28, r, bytes32(_K1_HALF + 1)), account);
        bytes memory key = bytes.concat(bytes20(account));
        bytes memory low = bytes.concat(r, bytes32(_K1_HALF), bytes1(uint8(27)));
        bytes memory high = bytes.concat(r, bytes32(_K1_HALF + 1), bytes1(uint8(28)));
        answers(verifier.verify(key, _DIGEST, low), verifier.verify.selector);
        answers(verifier.verify(key, _DIGEST, high), 0xffffffff);
    }

    /// @dev What is no signature names no account, not even the first ones of the chain, which are not zero.
    function test_WhatIsNoSignatureIsNobodys() public {
        K1Verifier verifier = new K1Verifier();
        bytes memory high = bytes.concat(bytes32(uint256(1)), bytes32(_K1_HALF + 1), bytes1(uint8(27)));
        for (uint160 account = 1; account < 4; ++account) {
            bytes memory key = bytes.concat(bytes20(account));
            answers(verifier.verify(key, _DIGEST, ""), 0xffffffff);
            answers(verifier.verify(key, _DIGEST, high), 0xffffffff);
        }
    }

    function test_TheLargestLowSOfP256IsAcceptedAndTheNextIsNot() public {
        P256Verifier verifier = new P256Verifier();
        (bytes32 r,) = vms.signP256(5, _DIGEST);
        (bytes32 x, bytes32 y) = P256.recovery(_DIGEST, 0, r, bytes32(ORDER / 2));
        isTrue(x != 0);
        bytes memory key = abi.encode(x, y);
        answers(verifier.verify(key, _DIGEST, abi.encode(r, ORDER / 2)), verifier.verify.selector);
        answers(verifier.verify(key, _DIGEST, abi.encode(r, ORDER / 2 + 1)), 0xffffffff);
    }
}
