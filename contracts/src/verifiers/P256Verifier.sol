// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";
import {P256Curve} from "../libraries/P256Curve.sol";

/// @title ECDSA P-256 over a digest.
/// @notice Key: x, y (64 bytes). Signature: r, s (64 bytes), s in the lower half of the order.
contract P256Verifier is IERC7913SignatureVerifier {
    bool private _native;

    constructor() {
        _native = P256Curve.hasPrecompile();
    }

    /// @notice Whether the chain's precompile checks the signatures (EIP-7951); else Solidity does, at ~230 k gas.
    function native() external view returns (bool) {
        return _native;
    }

    /// @inheritdoc IERC7913SignatureVerifier
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (key.length != 64 || signature.length != 64) return 0xffffffff;
        (bytes32 x, bytes32 y) = abi.decode(key, (bytes32, bytes32));
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        bool valid = P256Curve.verify(_native, hash, r, s, x, y);
        return valid ? IERC7913SignatureVerifier.verify.selector : bytes4(0xffffffff);
    }
}
