// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../../src/interfaces/IERC7913SignatureVerifier.sol";
import {ActSignature} from "../../src/libraries/ActSignature.sol";
import {Acts} from "../Acts.sol";
import {ActSignatureHarness} from "../libraries/ActSignature.t.sol";

/// @dev Says yes to anything, and remembers nothing.
contract Agreeable is IERC7913SignatureVerifier {
    function verify(bytes calldata, bytes32, bytes calldata) external pure returns (bytes4) {
        return IERC7913SignatureVerifier.verify.selector;
    }
}

/// @dev Says yes to the key "abc" and the signature "xy", over the digest 7, and to nothing else.
contract Particular is IERC7913SignatureVerifier {
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external pure returns (bytes4) {
        bool right = keccak256(key) == keccak256("abc") && hash == bytes32(uint256(7))
            && keccak256(signature) == keccak256("xy");
        return right ? IERC7913SignatureVerifier.verify.selector : bytes4(0xffffffff);
    }
}

/// @dev What mutation testing found untold of ActSignature: where each part of a signature begins and ends.
contract ActSignatureEdgesTest is Acts {
    uint256 private constant _HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    bytes32 private constant _DIGEST = bytes32(uint256(7));

    ActSignatureHarness private _acts = new ActSignatureHarness();

    /// @dev Whatever s is, some key signed so; only which one is unknown.
    function test_TheLargestLowSIsAcceptedAndTheNextIsNot() public {
        (, bytes32 r,) = vma.sign(5, _DIGEST);
        isTrue(_acts.holderOf(_DIGEST, bytes.concat(r, bytes32(_HALF), bytes1(uint8(27)))) != address(0));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.holderOf(_DIGEST, bytes.concat(r, bytes32(_HALF + 1), bytes1(uint8(27))));
    }

    function test_AVerifierGetsExactlyTheKeyTheDigestAndTheRest() public {
        address verifier = address(new Particular());
        bytes memory head = bytes.concat(bytes20(verifier), bytes2(uint16(3)));
        same(_acts.signerOf(_DIGEST, bytes.concat(head, "abcxy")), _acts.keyHash(verifier, "abc"));
        bytes[4] memory wrong = [bytes("abcx"), "abcxyz", "bcxy", "aabcxy"];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
            _acts.signerOf(_DIGEST, bytes.concat(head, wrong[i]));
        }
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(bytes32(uint256(8)), bytes.concat(head, "abcxy"));
        head = bytes.concat(bytes20(verifier), bytes2(uint16(2)));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(_DIGEST, bytes.concat(head, "abcxy"));
    }

    /// @dev 22 bytes name a verifier and an empty key; whether that is enough is for the verifier to say.
    function test_TheShortestSignatureIsAHeadAlone() public {
        address verifier = address(new Agreeable());
        bytes memory head = bytes.concat(bytes20(verifier), bytes2(0));
        same(_acts.signerOf(_DIGEST, head), _acts.keyHash(verifier, ""));
        bytes memory key = new bytes(300);
        key[299] = 0x01;
        head = bytes.concat(bytes20(verifier), bytes2(uint16(300)), key);
        same(_acts.signerOf(_DIGEST, head), _acts.keyHash(verifier, key));
        // 65 bytes are always a plain signature.
        bytes memory plainLength = bytes.concat(bytes20(verifier), bytes2(uint16(43)), new bytes(43));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(_DIGEST, plainLength);
    }
}
