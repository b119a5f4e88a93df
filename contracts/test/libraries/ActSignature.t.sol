// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ActSignature} from "../../src/libraries/ActSignature.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {K1Verifier} from "../../src/verifiers/K1Verifier.sol";
import {Acts} from "../Acts.sol";

contract ActSignatureHarness {
    function signerOf(bytes32 digest, bytes calldata signature) external view returns (bytes32) {
        return ActSignature.signerOfDigest(digest, signature);
    }

    function holderOf(bytes32 digest, bytes calldata signature) external view returns (address) {
        return ActSignature.holderOf(digest, signature);
    }

    function keyHash(address verifier, bytes calldata key) external pure returns (bytes32) {
        return Keys.hashOf(verifier, key);
    }
}

contract ActSignatureTest is Acts {
    uint256 private constant _ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    ActSignatureHarness private _acts = new ActSignatureHarness();
    K1Verifier private _verifier = new K1Verifier();

    function testFuzz_APlainSignatureNamesItsKey(uint256 secret, bytes32 digest) public view {
        secret = secret % (_ORDER - 1) + 1;
        same(_acts.signerOf(digest, plain(secret, digest)), nameOf(secret));
        same(_acts.holderOf(digest, plain(secret, digest)), vma.addr(secret));
    }

    function testFuzz_ASignatureOfAnotherDigestNamesAnotherKeyOrNone(bytes32 digest, bytes32 other) public view {
        vm.assume(digest != other);
        try _acts.signerOf(other, plain(5, digest)) returns (bytes32 found) {
            isFalse(found == nameOf(5));
        } catch {}
    }

    function testFuzz_TheTwinOfASignatureIsRefused(uint256 secret, bytes32 digest) public {
        secret = secret % (_ORDER - 1) + 1;
        (uint8 v, bytes32 r, bytes32 s) = vma.sign(secret, digest);
        s = bytes32(_ORDER - uint256(s));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(digest, bytes.concat(r, s, bytes1(v == 27 ? 28 : 27)));
    }

    function testFuzz_AnyOtherVIsRefused(uint8 v) public {
        vm.assume(v != 27 && v != 28);
        (, bytes32 r, bytes32 s) = vma.sign(5, bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(bytes32(0), bytes.concat(r, s, bytes1(v)));
    }

    function test_AKeyBehindAVerifierHasItsRegistryName() public view {
        bytes memory key = bytes.concat(bytes20(vma.addr(5)));
        bytes memory signature = bytes.concat(
            bytes20(address(_verifier)), bytes2(uint16(20)), key, plain(5, bytes32(uint256(1)))
        );
        bytes32 name = _acts.keyHash(address(_verifier), key);
        same(_acts.signerOf(bytes32(uint256(1)), signature), name);
        same(_acts.holderOf(bytes32(uint256(1)), signature), address(uint160(uint256(name))));
        isFalse(name == nameOf(5));
    }

    function testFuzz_AVerifierThatSaysNoOrIsNoneNamesNobody(bytes32 digest, address verifier) public {
        vm.assume(verifier.code.length == 0);
        bytes memory key = bytes.concat(bytes20(vma.addr(5)));
        bytes memory tail = bytes.concat(bytes2(uint16(20)), key, plain(6, digest));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(digest, bytes.concat(bytes20(address(_verifier)), tail));
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(digest, bytes.concat(bytes20(verifier), tail));
    }

    function testFuzz_AnyLengthShortOfItsKeyIsRefused(uint8 length, uint16 claimed) public {
        vm.assume(length != 65 && (length < 22 || uint256(claimed) + 22 > length));
        bytes memory signature = new bytes(length);
        if (length >= 22) {
            bytes20 verifier = bytes20(address(_verifier));
            for (uint256 i = 0; i < 20; ++i) signature[i] = verifier[i];
            signature[20] = bytes1(uint8(claimed >> 8));
            signature[21] = bytes1(uint8(claimed));
        }
        vm.expectRevert(abi.encodeWithSelector(ActSignature.ActSignatureInvalid.selector));
        _acts.signerOf(bytes32(0), signature);
    }
}
