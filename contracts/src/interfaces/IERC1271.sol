// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A contract account that answers for signatures (ERC-1271).
interface IERC1271 {
    /// @notice This function's selector when `signature` over `hash` is the account's.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
}
