// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "./Keys.sol";

/// @title Which key signed an act.
/// @dev A key's name is `Keys.hashOf(verifier, key)`. The verifier of plain secp256k1 is the zero address: the chain's own
///      recovery, at half the price of a verifier contract. A signature says by its form which it is.
library ActSignature {
    /// @dev Half of the curve's order: the larger `s` of each pair is refused, so that a signature has one form.
    uint256 private constant _LOW_S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    uint256 private constant _PLAIN_LENGTH = 65;
    uint256 private constant _HEAD_LENGTH = 22;
    bytes32 private constant _KEY_TAG = keccak256("fuqi/key/v1");

    /// @notice The signature is not of an accepted form, or no key fits it.
    error ActSignatureInvalid();

    /// @notice The name of the key that signed an act.
    /// @param name Keccak-256 of the contract's EIP-712 domain name.
    /// @param act EIP-712 struct hash of the act.
    /// @param signature 65 bytes r, s, v of secp256k1; or 20 bytes of an ERC-7913 verifier, 2 bytes of length, the key
    ///        of that length, and the verifier's signature.
    function signerOf(bytes32 name, bytes32 act, bytes calldata signature) internal view returns (bytes32) {
        return signerOfDigest(Keys.digest(name, act), signature);
    }

    /// @notice The same over a digest already made.
    function signerOfDigest(bytes32 digest, bytes calldata signature) internal view returns (bytes32) {
        if (signature.length != _PLAIN_LENGTH) return _named(digest, signature);
        address account = _plain(digest, signature);
        return keccak256(abi.encode(_KEY_TAG, address(0), keccak256(bytes.concat(bytes20(account)))));
    }

    /// @notice The signer as a holder: the account of a plain key, else the last 20 bytes of the key's name.
    function holderOf(bytes32 digest, bytes calldata signature) internal view returns (address) {
        if (signature.length == _PLAIN_LENGTH) return _plain(digest, signature);
        return address(uint160(uint256(_named(digest, signature))));
    }

    function _plain(bytes32 digest, bytes calldata signature) private pure returns (address account) {
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > _LOW_S_MAX) revert ActSignatureInvalid();
        account = ecrecover(digest, uint8(signature[64]), bytes32(signature[:32]), s);
        if (account == address(0)) revert ActSignatureInvalid();
    }

    function _named(bytes32 digest, bytes calldata signature) private view returns (bytes32) {
        if (signature.length < _HEAD_LENGTH) revert ActSignatureInvalid();
        address verifier = address(bytes20(signature[:20]));
        uint256 end = _HEAD_LENGTH + uint16(bytes2(signature[20:22]));
        // Without code nothing is checked; the zero address is the name of plain keys and must not be claimed here.
        if (signature.length < end || verifier.code.length == 0) revert ActSignatureInvalid();
        bytes calldata key = signature[_HEAD_LENGTH:end];
        if (!Keys.verified(verifier, key, digest, signature[end:])) revert ActSignatureInvalid();
        return Keys.hashOf(verifier, key);
    }
}
