// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "../../src/libraries/Keys.sol";
import {Signing, YesToAll} from "../Signing.sol";

contract KeysHarness {
    function hashOf(address verifier, bytes calldata key) external pure returns (bytes32) {
        return Keys.hashOf(verifier, key);
    }

    function verified(address verifier, bytes calldata key, bytes calldata signature) external view returns (bool) {
        return Keys.verified(verifier, key, 0, signature);
    }

    function digest(bytes32 structHash) external view returns (bytes32) {
        return Keys.digest(keccak256("fuqi Seals"), structHash);
    }
}

/// @dev Answers with the bytes that it was made with.
contract Answering {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        if (_answer.length == 0) revert("no");
        return _answer;
    }
}

contract KeysTest is Signing {
    KeysHarness private _harness = new KeysHarness();

    function testFuzz_AKeyUnderAnotherVerifierIsAnotherKey(address a, address b, bytes calldata key) public view {
        vm.assume(a != b);
        isTrue(_harness.hashOf(a, key) != _harness.hashOf(b, key));
        isTrue(_harness.hashOf(a, key) != _harness.hashOf(a, bytes.concat(key, hex"00")));
        same(_harness.hashOf(a, key), hashOfKey(a, key));
    }

    function test_OnlyTheExactAnswerIsAYes() public {
        isTrue(_verified(bytes.concat(bytes4(0x024ad318), new bytes(28))));
        isFalse(_verified(bytes.concat(bytes4(0x024ad318), new bytes(27))));
        isFalse(_verified(bytes.concat(bytes4(0x024ad318), new bytes(29))));
        isFalse(_verified(bytes.concat(bytes4(0x024ad318), new bytes(27), hex"01")));
        isFalse(_verified(abi.encode(1)));
        isFalse(_verified(""));
        isFalse(_harness.verified(address(0xBEEF), "", ""));
        isFalse(_harness.verified(address(new YesToAll()), "", ""));
    }

    function testFuzz_ADigestNamesChainAndContract(bytes32 structHash, uint32 chain) public {
        vm.assume(chain != 0 && chain != block.chainid);
        bytes32 here = _harness.digest(structHash);
        same(here, typed("fuqi Seals", block.chainid, address(_harness), structHash));
        isTrue(here != new KeysHarness().digest(structHash));
        vms.chainId(chain);
        isTrue(here != _harness.digest(structHash));
    }

    function _verified(bytes memory answer) private returns (bool) {
        return _harness.verified(address(new Answering(answer)), "", "");
    }
}
