// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CmsVerifier} from "../../src/verifiers/CmsVerifier.sol";
import {PrecompileDouble, Signing} from "../Signing.sol";
import {P256Verifier} from "../../src/verifiers/P256Verifier.sol";

contract CmsVerifierTest is Signing {
    CmsVerifier private _verifier = new CmsVerifier();
    string private _file;
    bytes32 private _digest;

    function setUp() public {
        _file = vm.readFile("../tests/golden/cms/vectors.json");
        _digest = bytes32(vm.parseJsonBytes(_file, ".digest"));
    }

    function test_EveryAcceptedFormIsAcceptedAndNoRefusedOneIs() public view {
        bytes memory key = vm.parseJsonBytes(_file, ".p256_key");
        for (uint256 i = 0; i < 5; ++i) {
            _expect(key, _digest, _signature(".accepted", i), 0x024ad318);
            _expect(key, keccak256("another document"), _signature(".accepted", i), 0xffffffff);
        }
        for (uint256 i = 0; i < 36; ++i) _expect(key, _digest, _signature(".refused", i), 0xffffffff);
    }

    function test_RsaIsCheckedOverTheSameAttributes() public view {
        bytes memory key = vm.parseJsonBytes(_file, ".rsa_key");
        bytes memory signature = vm.parseJsonBytes(_file, ".rsa_signature");
        _expect(key, _digest, signature, 0x024ad318);
        _expect(key, keccak256("another document"), signature, 0xffffffff);
        signature[300] ^= 0x01;
        _expect(key, _digest, signature, 0xffffffff);
    }

    function test_AKeyOfAnotherLengthIsRefused() public view {
        bytes memory signature = _signature(".accepted", 0);
        _expect("", _digest, signature, 0xffffffff);
        _expect(new bytes(65), _digest, signature, 0xffffffff);
        _expect(new bytes(64), _digest, new bytes(64), 0xffffffff);
        _expect(new bytes(256), _digest, signature, 0xffffffff);
    }

    function test_WithAPrecompileTheAnswersAreTheSame() public {
        vms.etch(address(0x7951), address(new P256Verifier()).code);
        vms.etch(address(0x100), type(PrecompileDouble).runtimeCode);
        _verifier = new CmsVerifier();
        isTrue(_verifier.native());
        bytes memory key = vm.parseJsonBytes(_file, ".p256_key");
        _expect(key, _digest, _signature(".accepted", 0), 0x024ad318);
        _expect(keyP256(7), _digest, _signature(".accepted", 0), 0xffffffff);
    }

    function test_TheUpperFormOfASignatureIsRefused() public view {
        bytes memory signature = _signature(".accepted", 0);
        uint256 s;
        for (uint256 i = 32; i < 64; ++i) s = s << 8 | uint8(signature[i]);
        bytes32 upper = bytes32(ORDER - s);
        for (uint256 i = 0; i < 32; ++i) signature[32 + i] = upper[i];
        _expect(vm.parseJsonBytes(_file, ".p256_key"), _digest, signature, 0xffffffff);
    }

    function _signature(string memory kind, uint256 index) private view returns (bytes memory) {
        bytes memory digits = index < 10
            ? abi.encodePacked(uint8(48 + index))
            : abi.encodePacked(uint8(48 + index / 10), uint8(48 + index % 10));
        return vm.parseJsonBytes(_file, string(abi.encodePacked(kind, "[", digits, "].signature")));
    }

    function _expect(bytes memory key, bytes32 digest, bytes memory signature, bytes4 answer) private view {
        answers(_verifier.verify(key, digest, signature), answer);
    }
}
