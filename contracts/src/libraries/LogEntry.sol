// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A `fuqi/entry/v1` log entry whose private body promises a seal.
/// @dev Nothing is parsed: the bytes that such an entry must have are built and hashed. No other entry can contain
///      the fragment: inside a JSON string each of its quotation marks would stand behind a backslash.
library LogEntry {
    uint256 private constant _BLOCK = 64;
    bytes16 private constant _DIGITS = "0123456789abcdef";

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
        bytes32 pads = bytes32(uint256(pad) * (type(uint256).max / 0xff));
        return abi.encode(salt ^ pads, pads);
    }

    function _hex(bytes32 value) private pure returns (bytes memory text) {
        text = new bytes(_BLOCK);
        for (uint256 i = 0; i < 32; ++i) {
            uint8 octet = uint8(value[i]);
            text[2 * i] = _DIGITS[octet >> 4];
            text[2 * i + 1] = _DIGITS[octet & 0x0f];
        }
    }
}
