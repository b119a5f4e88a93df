// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cheats} from "../Cheats.sol";
import {Rsa2048Harness} from "../libraries/Rsa2048.t.sol";

/// @dev What mutation testing found untold of Rsa2048: moduli whose signatures do open to the right block.
contract Rsa2048EdgesTest is Cheats {
    address private constant _MODEXP = address(5);

    function test_AnEvenModulusIsRefusedWhateverItsSignatureOpensTo() public {
        _refused("even", 0xff);
    }

    function test_AModulusOfFewerBitsIsRefusedWhateverItsSignatureOpensTo() public {
        _refused("short", 0x7f);
    }

    function _refused(string memory kind, uint8 mostTop) private {
        string memory file = vm.readFile("../tests/golden/chain/rsa_weak_moduli.json");
        bytes32 digest = bytes32(vm.parseJsonBytes(file, ".digest"));
        bytes memory modulus = vm.parseJsonBytes(file, string.concat(".", kind, ".modulus"));
        bytes memory signature = vm.parseJsonBytes(file, string.concat(".", kind, ".signature"));
        // The vector is what it says: the precompile opens it to the block that RFC 8017 demands.
        (bool done, bytes memory opened) = _MODEXP.staticcall(
            bytes.concat(abi.encode(256, 32, 256), signature, abi.encode(65537), modulus)
        );
        isTrue(done && uint8(modulus[0]) <= mostTop);
        bytes memory filling = new bytes(202);
        for (uint256 i = 0; i < 202; ++i) filling[i] = 0xff;
        bytes memory block_ =
            bytes.concat(hex"0001", filling, hex"003031300d060960864801650304020105000420", digest);
        same(keccak256(opened), keccak256(block_));
        isFalse(new Rsa2048Harness().verify(modulus, digest, signature));
    }
}
