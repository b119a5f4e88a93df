// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rsa2048} from "../../src/libraries/Rsa2048.sol";
import {Cheats} from "../Cheats.sol";

contract Rsa2048Harness {
    function verify(bytes calldata modulus, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Rsa2048.verify(modulus, digest, signature);
    }
}

contract Rsa2048Test is Cheats {
    Rsa2048Harness private _harness = new Rsa2048Harness();
    bytes private _modulus;
    bytes private _value;
    bytes32 private _digest;

    function setUp() public {
        string memory file = vm.readFile("../tests/golden/cms/vectors.json");
        _modulus = vm.parseJsonBytes(file, ".rsa_key");
        bytes memory all = vm.parseJsonBytes(file, ".rsa_signature");
        bytes memory attributes = new bytes(all.length - 256);
        _value = new bytes(256);
        for (uint256 i = 0; i < all.length; ++i) {
            if (i < 256) _value[i] = all[i];
            else attributes[i - 256] = all[i];
        }
        _digest = sha256(attributes);
    }

    function test_ASignatureOfTheKeyIsAccepted() public view {
        isTrue(_harness.verify(_modulus, _digest, _value));
        isFalse(_harness.verify(_modulus, sha256("other"), _value));
    }

    function testFuzz_AnyChangedByteIsRefused(uint8 place, uint8 change) public {
        vm.assume(change != 0);
        _value[place] ^= bytes1(change);
        isFalse(_harness.verify(_modulus, _digest, _value));
        _value[place] ^= bytes1(change);
        _modulus[place] ^= bytes1(change);
        isFalse(_harness.verify(_modulus, _digest, _value));
    }

    function test_ASignatureOfAnotherLengthIsRefused() public view {
        isFalse(_harness.verify(_modulus, _digest, bytes.concat(_value, hex"00")));
        isFalse(_harness.verify(_modulus, _digest, bytes.concat(hex"00", _value)));
        isFalse(_harness.verify(_modulus, _digest, ""));
        isFalse(_harness.verify(bytes.concat(hex"00", _modulus), _digest, _value));
    }

    /// @dev A modulus of one makes every power zero; a small or even one has roots for everybody.
    function test_AWeakModulusIsRefused() public view {
        bytes memory small = new bytes(256);
        small[255] = 0x01;
        isFalse(_harness.verify(small, _digest, new bytes(256)));
        bytes memory even = _modulus;
        even[255] ^= 0x01;
        isFalse(_harness.verify(even, _digest, _value));
    }

    function test_ASignatureNotBelowTheModulusIsRefused() public view {
        isFalse(_harness.verify(_modulus, _digest, _modulus));
        string memory file = vm.readFile("../tests/golden/cms/vectors.json");
        bytes32 digest = bytes32(vm.parseJsonBytes(file, ".rsa_unreduced.digest"));
        isTrue(_harness.verify(_modulus, digest, vm.parseJsonBytes(file, ".rsa_unreduced.signature")));
        isFalse(_harness.verify(_modulus, digest, vm.parseJsonBytes(file, ".rsa_unreduced.larger")));
    }
}
