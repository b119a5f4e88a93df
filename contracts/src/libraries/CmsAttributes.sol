// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The signed attributes of a CMS signature (RFC 5652 section 5.3), as PDF signatures carry them.
/// @dev No DER parser. One flat walk over the attributes; the two that matter must be, byte for byte, the only DER
///      that says "content type: data" and "message digest: these 32 bytes". What is inside any other attribute is
///      not read: it was signed, and means nothing here.
library CmsAttributes {
    uint256 private constant _TYPE_BYTES = 11;
    uint256 private constant _CONTENT_TYPE_BYTES = 26;
    uint256 private constant _DIGEST_BYTES = 49;

    /// @dev SEQUENCE { OID 1.2.840.113549.1.9.3, SET { OID 1.2.840.113549.1.7.1 } }
    bytes26 private constant _CONTENT_TYPE_DATA = hex"301806092a864886f70d010903310b06092a864886f70d010701";
    /// @dev SEQUENCE { OID 1.2.840.113549.1.9.4, SET { OCTET STRING of 32 bytes, which follow } }
    bytes17 private constant _DIGEST_PREFIX = hex"302f06092a864886f70d01090431220420";
    bytes11 private constant _CONTENT_TYPE = hex"06092a864886f70d010903";
    bytes11 private constant _MESSAGE_DIGEST = hex"06092a864886f70d010904";

    /// @notice Whether `attributes` is a SET whose first attribute is "content type: data" and which holds exactly
    ///         one message digest, equal to `digest`.
    /// @dev The outer tag is 0x31, as it stood when it was signed; inside the PDF the same bytes carry 0xa0.
    function commitTo(bytes calldata attributes, bytes32 digest) internal pure returns (bool) {
        uint256 length = attributes.length;
        (uint256 offset, uint256 end) = _header(_word(attributes, 0), 0, 0x31);
        if (offset == 0 || end != length || length < offset + _CONTENT_TYPE_BYTES) return false;
        if (bytes26(_word(attributes, offset)) != _CONTENT_TYPE_DATA) return false;
        offset += _CONTENT_TYPE_BYTES;
        bool found = false;
        while (offset < length) {
            bytes32 word = _word(attributes, offset);
            (uint256 body, uint256 next) = _header(word, offset, 0x30);
            // A type of one byte and an empty SET are the least that an attribute has.
            if (next > length || next < body + 5) return false;
            bytes32 kind = _word(attributes, body);
            // Types in long form are refused: some other reader could take one for a second message digest.
            if (bytes1(kind) != 0x06 || uint8(kind[1]) >= 0x80) return false;
            if (bytes11(kind) == _CONTENT_TYPE) return false;
            if (bytes11(kind) == _MESSAGE_DIGEST) {
                if (found || next - offset != _DIGEST_BYTES || bytes17(word) != _DIGEST_PREFIX) return false;
                if (_word(attributes, offset + 17) != digest) return false;
                found = true;
            }
            offset = next;
        }
        return found;
    }

    /// @dev Tag and length at `offset`, in the shortest form and at most two length bytes: where the content begins
    ///      and ends, or (0, 0). The end may lie behind the input; the caller compares.
    /// @param word The 32 bytes at `offset`.
    function _header(bytes32 word, uint256 offset, uint8 tag) private pure returns (uint256 body, uint256 end) {
        if (uint8(word[0]) != tag) return (0, 0);
        uint256 first = uint8(word[1]);
        if (first < 0x80) return (offset + 2, offset + 2 + first);
        uint256 length = uint8(word[2]);
        if (first == 0x81) return length < 0x80 ? (0, 0) : (offset + 3, offset + 3 + length);
        if (first != 0x82 || length == 0) return (0, 0);
        return (offset + 4, offset + 4 + (length << 8 | uint8(word[3])));
    }

    /// @dev The 32 bytes at `offset`, which is at most the length; zeros stand for what is behind the end.
    function _word(bytes calldata input, uint256 offset) private pure returns (bytes32) {
        return bytes32(input[offset:]);
    }
}
