// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";

/// @title Keys that are no addresses, and digests that name chain and contract.
library Keys {
    bytes32 private constant _KEY_TAG = keccak256("fuqi/key/v1");
    bytes32 private constant _DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant _VERSION = keccak256("1");

    /// @notice The name of a key. It binds the verifier too: else a caller could bring one that says yes.
    function hashOf(address verifier, bytes calldata key) internal pure returns (bytes32) {
        return keccak256(abi.encode(_KEY_TAG, verifier, keccak256(key)));
    }

    /// @notice Whether the verifier accepts the signature. A verifier that reverts or is no contract says no.
    function verified(address verifier, bytes calldata key, bytes32 hash, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        (bool done, bytes memory answer) =
            verifier.staticcall(abi.encodeCall(IERC7913SignatureVerifier.verify, (key, hash, signature)));
        return done && answer.length == 32
            && bytes32(answer) == bytes32(IERC7913SignatureVerifier.verify.selector);
    }

    /// @notice EIP-712 digest of a struct for the calling contract on this chain.
    /// @param name Keccak-256 of the contract's domain name.
    /// @param structHash Hash of the struct, its type first.
    function digest(bytes32 name, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(_DOMAIN, name, _VERSION, block.chainid, address(this)));
        // EIP-712's own form; every part has a fixed length.
        return keccak256(bytes.concat(hex"1901", domain, structHash));
    }
}
