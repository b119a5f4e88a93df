// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The part of forge's cheat codes that these tests use.
interface Vm {
    function assume(bool condition) external pure;

    function expectEmit(bool topic1, bool topic2, bool topic3, bool data, address emitter) external;

    function expectRevert(bytes calldata revertData) external;

    function load(address target, bytes32 slot) external view returns (bytes32);

    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);

    function prank(address sender) external;

    function readFile(string calldata path) external view returns (string memory);

    function warp(uint256 timestamp) external;
}

/// @dev Assertions by revert; forge fails a test that reverts.
abstract contract Cheats {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(bytes32 found, bytes32 expected);

    function same(bytes32 found, bytes32 expected) internal pure {
        if (found != expected) revert NotEqual(found, expected);
    }

    function same(uint256 found, uint256 expected) internal pure {
        same(bytes32(found), bytes32(expected));
    }

    function same(address found, address expected) internal pure {
        same(uint256(uint160(found)), uint256(uint160(expected)));
    }

    function isTrue(bool found) internal pure {
        same(found ? 1 : 0, 1);
    }

    function isFalse(bool found) internal pure {
        same(found ? 1 : 0, 0);
    }
}
