// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";
import {Rsa2048} from "../libraries/Rsa2048.sol";

/// @title RSASSA-PKCS1-v1_5 over a digest, for parties whose certificate holds an RSA key.
/// @notice Key: modulus (256 bytes), exponent 65537. Hash: the digest that stands in the DigestInfo, named as SHA-256
///         there. Signature: 256 bytes.
contract RsaVerifier is IERC7913SignatureVerifier {
    /// @inheritdoc IERC7913SignatureVerifier
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bool valid = Rsa2048.verify(key, hash, signature);
        return valid ? IERC7913SignatureVerifier.verify.selector : bytes4(0xffffffff);
    }
}
