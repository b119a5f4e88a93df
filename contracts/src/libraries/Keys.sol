// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";

/// @title Keys that are no addresses, and digests that name chain and contract.
library Keys {
    bytes32 private constant _KEY_TAG = keccak256("fuqi/key/v1");
    // Written out, for assembly takes constants only so; tests sign by the text.
    /// @dev Keccak-256 of `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
    bytes32 private constant _DOMAIN = 0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f;
    /// @dev Keccak-256 of `1`.
    bytes32 private constant _VERSION = 0xc89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc6;

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
    /// @dev The domain is hashed anew each time: a chain that splits gets another id, and old signatures must not follow.
    ///      Assembly (ADR 0010): `abi.encode` and `bytes.concat` copy all words twice, which costs each signed act 200 gas.
    /// @param name Keccak-256 of the contract's domain name.
    /// @param structHash Hash of the struct, its type first.
    function digest(bytes32 name, bytes32 structHash) internal view returns (bytes32 made) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, _DOMAIN)
            mstore(add(words, 0x20), name)
            mstore(add(words, 0x40), _VERSION)
            mstore(add(words, 0x60), chainid())
            mstore(add(words, 0x80), address())
            let domain := keccak256(words, 0xa0)
            // EIP-712's own form: 0x19 0x01 domain structHash; every part has a fixed length.
            mstore(words, shl(240, 0x1901))
            mstore(add(words, 0x02), domain)
            mstore(add(words, 0x22), structHash)
            made := keccak256(words, 0x42)
        }
    }
}
