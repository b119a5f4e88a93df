// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256Verifier} from "../../src/verifiers/P256Verifier.sol";
import {PrecompileDouble, Signing, YesToAll} from "../Signing.sol";

contract P256VerifierTest is Signing {
    P256Verifier private _verifier;
    bytes32 private constant _DIGEST = keccak256("digest");

    function setUp() public {
        _verifier = new P256Verifier();
    }

    function test_WithoutThePrecompileSolidityChecks() public view {
        isFalse(_verifier.native());
        _accepts(_verifier, keyP256(7), _DIGEST, signP256(7, _DIGEST));
    }

    function test_ThePrecompileIsFoundByWhatItAccepts() public {
        vms.etch(address(0x7951), address(_verifier).code);
        vms.etch(address(0x100), type(PrecompileDouble).runtimeCode);
        P256Verifier native = new P256Verifier();
        isTrue(native.native());
        _accepts(native, keyP256(7), _DIGEST, signP256(7, _DIGEST));
        _refuses(native, keyP256(8), _DIGEST, signP256(7, _DIGEST));
    }

    /// @dev What says yes to a bad signature too is not the precompile, and is never asked again.
    function test_AnAddressThatSaysYesToEverythingIsNotThePrecompile() public {
        vms.etch(address(0x100), type(YesToAll).runtimeCode);
        P256Verifier careful = new P256Verifier();
        isFalse(careful.native());
        _refuses(careful, keyP256(8), _DIGEST, signP256(7, _DIGEST));
    }

    function test_TheUpperFormOfASignatureIsRefused() public view {
        (bytes32 r, bytes32 s) = abi.decode(signP256(7, _DIGEST), (bytes32, bytes32));
        _refuses(_verifier, keyP256(7), _DIGEST, abi.encode(r, ORDER - uint256(s)));
    }

    function test_OtherLengthsAreRefused() public view {
        bytes memory key = keyP256(7);
        bytes memory signature = signP256(7, _DIGEST);
        _refuses(_verifier, bytes.concat(key, hex"00"), _DIGEST, signature);
        _refuses(_verifier, key, _DIGEST, bytes.concat(signature, hex"00"));
        _refuses(_verifier, "", _DIGEST, signature);
        _refuses(_verifier, key, _DIGEST, "");
    }

    function test_NumbersOutOfRangeAndPointsOffTheCurveAreRefused() public view {
        _refuses(_verifier, keyP256(7), _DIGEST, abi.encode(0, 1));
        _refuses(_verifier, keyP256(7), _DIGEST, abi.encode(1, 0));
        _refuses(_verifier, keyP256(7), _DIGEST, abi.encode(ORDER, 1));
        _refuses(_verifier, abi.encode(0, 0), _DIGEST, signP256(7, _DIGEST));
        _refuses(_verifier, abi.encode(1, 1), _DIGEST, signP256(7, _DIGEST));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_ASignatureIsOfItsKeyAndDigestOnly(uint256 secret, bytes32 digest, bytes32 other) public view {
        secret = 1 + secret % (ORDER - 2);
        vm.assume(other != digest);
        bytes memory signature = signP256(secret, digest);
        _accepts(_verifier, keyP256(secret), digest, signature);
        _refuses(_verifier, keyP256(secret), other, signature);
        _refuses(_verifier, keyP256(secret == 1 ? 2 : secret - 1), digest, signature);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_ASignatureWithOneBitChangedIsRefused(uint16 bit) public view {
        bytes memory signature = signP256(7, _DIGEST);
        signature[(bit / 8) % 64] ^= bytes1(uint8(1 << (bit % 8)));
        _refuses(_verifier, keyP256(7), _DIGEST, signature);
    }

    function _accepts(P256Verifier verifier, bytes memory key, bytes32 digest, bytes memory signature) private view {
        answers(verifier.verify(key, digest, signature), 0x024ad318);
    }

    function _refuses(P256Verifier verifier, bytes memory key, bytes32 digest, bytes memory signature) private view {
        answers(verifier.verify(key, digest, signature), 0xffffffff);
    }
}
