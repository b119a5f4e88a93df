// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A checker of signatures by keys that are no addresses (ERC-7913).
interface IERC7913SignatureVerifier {
    /// @notice Whether `signature` over `hash` was made by `key`.
    /// @dev Never reverts on bad input: anything that is not a valid signature gives 0xffffffff.
    /// @param key Public key, in the form that the verifier states.
    /// @param hash 32-byte digest.
    /// @param signature Signature, in the form that the verifier states.
    /// @return This function's selector when valid, 0xffffffff otherwise.
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4);
}
