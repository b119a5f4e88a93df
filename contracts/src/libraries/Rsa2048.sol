// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits, exponent 65537 (RFC 8017 section 8.2.2).
/// @dev Encode and compare: the one block that a signature may open to is built and compared whole, so there is no
///      padding to parse.
library Rsa2048 {
    uint256 private constant _BYTES = 256;
    uint256 private constant _EXPONENT = 65537;
    address private constant _MODEXP = address(0x05);

    /// @notice Whether `signature` over `digest` was made by the key with this modulus.
    /// @dev A modulus of another length, with its top bit clear or even, and a signature not below it, give false.
    /// @param modulus Big-endian, 256 bytes.
    /// @param digest SHA-256 of the message.
    /// @param signature Big-endian, 256 bytes.
    function verify(bytes calldata modulus, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (modulus.length != _BYTES || signature.length != _BYTES) return false;
        if (uint8(modulus[0]) < 0x80 || uint8(modulus[_BYTES - 1]) & 1 == 0) return false;
        if (!_below(signature, modulus)) return false;
        (bool done, bytes memory opened) =
            _MODEXP.staticcall(bytes.concat(abi.encode(_BYTES, 32, _BYTES), signature, abi.encode(_EXPONENT), modulus));
        return done && keccak256(opened) == keccak256(_encoded(digest));
    }

    /// @dev Without this a signature plus the modulus would open to the same block.
    function _below(bytes calldata left, bytes calldata right) private pure returns (bool) {
        for (uint256 i = 0; i < _BYTES; i += 32) {
            bytes32 a = bytes32(left[i:i + 32]);
            bytes32 b = bytes32(right[i:i + 32]);
            if (a != b) return a < b;
        }
        return false;
    }

    /// @dev EMSA-PKCS1-v1_5: 00 01, 202 times ff, 00, DigestInfo of SHA-256 (19 bytes), digest.
    function _encoded(bytes32 digest) private pure returns (bytes memory) {
        bytes32 full = bytes32(type(uint256).max);
        return bytes.concat(
            hex"0001",
            abi.encode(full, full, full, full, full, full),
            hex"ffffffffffffffffffff",
            hex"003031300d060960864801650304020105000420",
            digest
        );
    }
}
