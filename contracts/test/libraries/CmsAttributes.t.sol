// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CmsAttributes} from "../../src/libraries/CmsAttributes.sol";
import {Cheats} from "../Cheats.sol";

contract CmsAttributesHarness {
    function commitTo(bytes calldata attributes, bytes32 digest) external pure returns (bool) {
        return CmsAttributes.commitTo(attributes, digest);
    }
}

contract CmsAttributesTest is Cheats {
    CmsAttributesHarness private _harness = new CmsAttributesHarness();
    bytes private constant _TYPE = hex"301806092a864886f70d010903310b06092a864886f70d010701";
    bytes private constant _PREFIX = hex"302f06092a864886f70d01090431220420";

    function testFuzz_TheDigestAndNoOtherIsCommittedTo(bytes32 digest, bytes32 other) public view {
        vm.assume(other != digest);
        isTrue(_harness.commitTo(_good(digest), digest));
        isFalse(_harness.commitTo(_good(digest), other));
    }

    /// @dev Header, content type and digest leave no byte free.
    function testFuzz_NoByteOfTheTwoAttributesCanChange(bytes32 digest, uint256 place, uint8 change) public view {
        bytes memory attributes = _good(digest);
        place = place % attributes.length;
        vm.assume(change != 0);
        attributes[place] ^= bytes1(change);
        isFalse(_harness.commitTo(attributes, digest));
    }

    function testFuzz_EveryBodyOfAnotherAttributeIsPassedOver(bytes calldata body) public view {
        vm.assume(body.length <= 300);
        bytes memory other = _tlv(0x30, bytes.concat(hex"06032a0304", _tlv(0x31, body)));
        bytes memory attributes = _tlv(0x31, bytes.concat(_TYPE, _PREFIX, keccak256("d"), other));
        isTrue(_harness.commitTo(attributes, keccak256("d")));
        attributes = _tlv(0x31, bytes.concat(_TYPE, other, _PREFIX, keccak256("d")));
        isTrue(_harness.commitTo(attributes, keccak256("d")));
    }

    /// @dev Whatever the bytes are, the walk ends and never reads outside them.
    function testFuzz_NonsenseIsRefusedAndNeverReverts(bytes calldata tail, bytes32 digest) public view {
        isFalse(_harness.commitTo(tail, digest));
        bytes memory attributes = bytes.concat(hex"314b", _TYPE, _PREFIX, digest, tail);
        same(_harness.commitTo(attributes, digest) ? 1 : 0, tail.length == 0 ? 1 : 0);
    }

    function testFuzz_WhateverFollowsInsideTheSetNeverReverts(bytes calldata tail, bytes32 digest) public view {
        _harness.commitTo(_tlv(0x31, bytes.concat(_TYPE, _PREFIX, digest, tail)), digest);
        _harness.commitTo(_tlv(0x31, bytes.concat(_TYPE, tail)), digest);
    }

    function _good(bytes32 digest) private pure returns (bytes memory) {
        return _tlv(0x31, bytes.concat(_TYPE, _PREFIX, digest));
    }

    function _tlv(uint8 tag, bytes memory body) private pure returns (bytes memory) {
        uint256 size = body.length;
        if (size < 0x80) return abi.encodePacked(tag, uint8(size), body);
        if (size < 0x100) return abi.encodePacked(tag, uint8(0x81), uint8(size), body);
        return abi.encodePacked(tag, uint8(0x82), uint16(size), body);
    }
}
