// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A `fuqi/entry/v1` log entry whose private body promises a seal.
/// @dev Nothing is parsed: the bytes that such an entry must have are built and hashed. No other entry can contain
///      the fragment: inside a JSON string each of its quotation marks would stand behind a backslash.
library LogEntry {
    /// @dev One in each of 32 bytes.
    uint256 private constant _EACH = type(uint256).max / 0xff;

    /// @notice SHA-256(0x00 || entry) of the entry made of these parts.
    function leaf(bytes calldata before, bytes32 committed, bytes calldata afterwards)
        internal
        pure
        returns (bytes32)
    {
        return sha256(
            bytes.concat(hex"00", before, '"commitments":{"body":"', _hex(committed), '"}', afterwards)
        );
    }

    /// @notice HMAC-SHA256 (RFC 2104) of the body that promises this seal.
    function commitment(bytes32 salt, bytes32 doc, bytes32 partiesRoot, bytes32 prev)
        internal
        pure
        returns (bytes32)
    {
        bytes memory body = bytes.concat(
            '{"doc":"', _hex(doc), '","parties_root":"', _hex(partiesRoot), '","prev":"', _hex(prev), '"}'
        );
        bytes32 inner = sha256(bytes.concat(_padded(salt, 0x36), body));
        return sha256(bytes.concat(_padded(salt, 0x5c), inner));
    }

    /// @dev The salt, zeros up to one SHA-256 block, and every byte of it mixed with `pad`.
    function _padded(bytes32 salt, uint8 pad) private pure returns (bytes memory) {
        bytes32 pads = bytes32(uint256(pad) * _EACH);
        return abi.encode(salt ^ pads, pads);
    }

    /// @dev 64 lower-case digits. All nibbles at once: a loop over them would cost more than the signatures.
    function _hex(bytes32 value) private pure returns (bytes memory) {
        return abi.encode(_digits(uint256(value) >> 128), _digits(uint256(value) & type(uint128).max));
    }

    /// @dev 16 bytes become 32 digits: each step moves the upper half of every group as far again to the left, until
    ///      each byte holds one nibble; then '0' is added, and to those above 9 the way from ':' to 'a'.
    function _digits(uint256 value) private pure returns (uint256) {
        value = (value | value << 64) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        value = (value | value << 32) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        value = (value | value << 16) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        value = (value | value << 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        value = (value | value << 4) & 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
        uint256 above = (value + 6 * _EACH) >> 4 & _EACH;
        return value + 0x30 * _EACH + above * 0x27;
    }
}
