// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RsaVerifier} from "../../src/verifiers/RsaVerifier.sol";
import {Signing} from "../Signing.sol";

contract RsaVerifierTest is Signing {
    function test_ADigestSignedByTheKeyIsAcceptedAndNoOther() public {
        RsaVerifier verifier = new RsaVerifier();
        string memory file = vm.readFile("../tests/golden/cms/vectors.json");
        bytes memory key = vm.parseJsonBytes(file, ".rsa_key");
        bytes memory all = vm.parseJsonBytes(file, ".rsa_signature");
        bytes memory value = new bytes(256);
        bytes memory attributes = new bytes(all.length - 256);
        for (uint256 i = 0; i < all.length; ++i) {
            if (i < 256) value[i] = all[i];
            else attributes[i - 256] = all[i];
        }
        answers(verifier.verify(key, sha256(attributes), value), 0x024ad318);
        answers(verifier.verify(key, keccak256(attributes), value), 0xffffffff);
        answers(verifier.verify("", sha256(attributes), value), 0xffffffff);
    }
}
