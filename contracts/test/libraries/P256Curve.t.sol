// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256Curve} from "../../src/libraries/P256Curve.sol";
import {Signing, YesToAll} from "../Signing.sol";

/// @dev Answers no, in a full word.
contract NoInAWord {
    fallback(bytes calldata) external returns (bytes memory) {
        return abi.encode(0);
    }
}

/// @dev Answers yes and goes on talking.
contract YesAndMore {
    fallback(bytes calldata) external returns (bytes memory) {
        return abi.encode(1, 0);
    }
}

contract P256CurveTest is Signing {
    function test_NoPrecompileIsSeenWhereThereIsNone() public view {
        isFalse(P256Curve.hasPrecompile());
    }

    function test_AnAddressThatAcceptsTheBadSignatureIsNoPrecompile() public {
        vms.etch(address(0x100), type(YesToAll).runtimeCode);
        isFalse(P256Curve.hasPrecompile());
    }

    function test_ANativeCallThatIsNotAnsweredIsARefusal() public view {
        (bytes32 r, bytes32 s) = abi.decode(signP256(7, keccak256("d")), (bytes32, bytes32));
        (bytes32 x, bytes32 y) = abi.decode(keyP256(7), (bytes32, bytes32));
        isFalse(P256Curve.verify(true, keccak256("d"), r, s, x, y));
        isTrue(P256Curve.verify(false, keccak256("d"), r, s, x, y));
    }

    function test_EvenAYesDoesNotHelpTheUpperForm() public {
        vms.etch(address(0x100), type(YesToAll).runtimeCode);
        bytes32 half = bytes32(ORDER / 2);
        isTrue(P256Curve.verify(true, 0, 0, half, 0, 0));
        isFalse(P256Curve.verify(true, 0, 0, bytes32(ORDER / 2 + 1), 0, 0));
    }

    function test_OnlyASingleWordOfOneIsAYes() public {
        vms.etch(address(0x100), type(NoInAWord).runtimeCode);
        isFalse(P256Curve.verify(true, 0, 0, 0, 0, 0));
        vms.etch(address(0x100), type(YesAndMore).runtimeCode);
        isFalse(P256Curve.verify(true, 0, 0, 0, 0, 0));
    }
}
