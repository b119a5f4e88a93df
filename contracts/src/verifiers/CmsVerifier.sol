// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";
import {CmsAttributes} from "../libraries/CmsAttributes.sol";
import {P256Curve} from "../libraries/P256Curve.sol";
import {Rsa2048} from "../libraries/Rsa2048.sol";

/// @title The signature that stands in a PDF (CMS, PAdES): over the signed attributes, which name the document.
/// @notice Key: x, y of P-256 (64 bytes), or the modulus of RSA-2048 with exponent 65537 (256 bytes).
///         Hash: SHA-256 of the signature's byte range. Signature: the signature value (P-256: r, s with s in the
///         lower half of the order, 64 bytes; RSA PKCS#1 v1.5: 256 bytes), then the DER of the signed attributes
///         with outer tag 0x31, to the end.
/// @dev Signed attributes bind a document and nothing else: no chain, no contract, no other party. What calls this
///      must get its replay rule from the document.
contract CmsVerifier is IERC7913SignatureVerifier {
    uint256 private constant _P256_KEY = 64;
    uint256 private constant _RSA_KEY = 256;

    bool private _native;

    constructor() {
        _native = P256Curve.hasPrecompile();
    }

    /// @notice Whether the chain's precompile checks P-256 (EIP-7951); else Solidity does, at ~230 k gas.
    function native() external view returns (bool) {
        return _native;
    }

    /// @inheritdoc IERC7913SignatureVerifier
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        // In both kinds the signature value is as long as the key.
        uint256 length = key.length;
        if ((length != _P256_KEY && length != _RSA_KEY) || signature.length <= length) return 0xffffffff;
        bytes calldata attributes = signature[length:];
        if (!CmsAttributes.commitTo(attributes, hash)) return 0xffffffff;
        bytes32 digest = sha256(attributes);
        bool valid = length == _RSA_KEY
            ? Rsa2048.verify(key, digest, signature[:length])
            : _verifyP256(key, digest, signature[:length]);
        return valid ? IERC7913SignatureVerifier.verify.selector : bytes4(0xffffffff);
    }

    function _verifyP256(bytes calldata key, bytes32 digest, bytes calldata value) private view returns (bool) {
        (bytes32 x, bytes32 y) = abi.decode(key, (bytes32, bytes32));
        (bytes32 r, bytes32 s) = abi.decode(value, (bytes32, bytes32));
        return P256Curve.verify(_native, digest, r, s, x, y);
    }
}
