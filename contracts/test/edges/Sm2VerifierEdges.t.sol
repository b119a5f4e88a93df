// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../../src/interfaces/IERC7913SignatureVerifier.sol";
import {Sm2Verifier} from "../../src/verifiers/Sm2Verifier.sol";
import {Sm3} from "../../src/libraries/Sm3.sol";
import {Sm2} from "../Sm2.sol";

contract Sm2VerifierEdgesTest is Sm2 {
    Sm2Verifier private _verifier = new Sm2Verifier();
    bytes32 private constant _DIGEST = keccak256("digest");
    bytes private _key = abi.encode(X, Y);

    /// @dev Without a table only the part of the base point would count, and anybody can make that fit.
    function test_NumbersThatFitTheBasePointAloneSignForNoKey() public view {
        bytes memory nobody = abi.encode(X, Y + 1);
        for (uint256 s = 3; s < 6; ++s) {
            uint256 e = uint256(Sm3.hashPair(bytes32(0), _DIGEST));
            uint256 r = addmod(e, times(s, base()).x, N);
            isTrue(_verifier.verify(nobody, _DIGEST, abi.encode(r, s)) == bytes4(0xffffffff));
        }
    }

    /// @dev Gas for everything but the code's deposit: nothing is stored, and the key can still be prepared later.
    function test_AKeyThatCouldNotBeStoredIsNotPrepared() public {
        uint256 seen;
        for (uint256 limit = 200_000; limit < 440_000; limit += 2_000) {
            (bool done, bytes memory answer) =
                address(_verifier).call{gas: limit}(abi.encodeCall(Sm2Verifier.prepare, (_key)));
            if (done) break;
            isTrue(_verifier.preparedAt(_key) == address(0));
            if (answer.length == 4 && bytes4(answer) == Sm2Verifier.Sm2VerifierNotStored.selector) ++seen;
        }
        isTrue(seen > 0);
        isTrue(_verifier.preparedAt(_key) != address(0));
    }
}
