// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "../interfaces/IERC1271.sol";
import {IERC7913SignatureVerifier} from "../interfaces/IERC7913SignatureVerifier.sol";

/// @title ECDSA secp256k1 by an Ethereum account, or whatever a contract account accepts (ERC-1271).
/// @notice Key: the account's address (20 bytes). Signature: r, s, v (65 bytes, v 27 or 28, s in the lower half of
///         the order), or, for an account with code, any bytes that its `isValidSignature` accepts.
contract K1Verifier is IERC7913SignatureVerifier {
    uint256 private constant _HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @inheritdoc IERC7913SignatureVerifier
    /// @dev An account with code may still hold its key (EIP-7702), so the key is tried first.
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (key.length != 20) return 0xffffffff;
        address account = address(bytes20(key));
        if (account == address(0)) return 0xffffffff;
        if (_recovered(hash, signature) == account || _accepted(account, hash, signature)) {
            return IERC7913SignatureVerifier.verify.selector;
        }
        return 0xffffffff;
    }

    function _recovered(bytes32 hash, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65 || uint256(bytes32(signature[32:64])) > _HALF_ORDER) return address(0);
        return ecrecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }

    function _accepted(address account, bytes32 hash, bytes calldata signature) private view returns (bool) {
        if (account.code.length == 0) return false;
        (bool done, bytes memory answer) =
            account.staticcall(abi.encodeCall(IERC1271.isValidSignature, (hash, signature)));
        return done && answer.length == 32 && bytes32(answer) == bytes32(IERC1271.isValidSignature.selector);
    }
}
