// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cheats} from "../Cheats.sol";
import {CmsAttributesHarness} from "../libraries/CmsAttributes.t.sol";

/// @dev What mutation testing found untold of CmsAttributes: the lengths at which DER changes its form.
contract CmsAttributesEdgesTest is Cheats {
    CmsAttributesHarness private _harness = new CmsAttributesHarness();
    bytes private constant _TYPE = hex"301806092a864886f70d010903310b06092a864886f70d010701";
    bytes private constant _PREFIX = hex"302f06092a864886f70d01090431220420";
    bytes32 private constant _DIGEST = keccak256("d");

    function test_AnAttributeOfEachLengthIsPassedOverInItsShortestForm() public view {
        uint16[7] memory lengths = [5, 127, 128, 129, 255, 256, 257];
        for (uint256 i = 0; i < lengths.length; ++i) {
            isTrue(_commits(_shortest(0x30, _attribute(lengths[i]))));
        }
    }

    function test_NoLengthIsWrittenLongerThanItMustBe() public view {
        isFalse(_commits(bytes.concat(hex"30817f", _attribute(127))));
        isFalse(_commits(bytes.concat(hex"308200ff", _attribute(255))));
        isFalse(_commits(bytes.concat(hex"30820080", _attribute(128))));
        isFalse(_commits(bytes.concat(hex"3083000100", _attribute(256))));
        isFalse(_commits(bytes.concat(hex"3080", _attribute(128))));
    }

    function test_ATypeInLongOrIndefiniteFormIsRefused() public view {
        isTrue(_commits(hex"300506012a3100"));
        isFalse(_commits(hex"300506802a3100"));
        isFalse(_commits(hex"30060681012a3100"));
        isFalse(_commits(hex"300507012a3100"));
    }

    function test_TheLeastAttributeIsATypeOfOneByteAndAnEmptySet() public view {
        isTrue(_commits(hex"300506012a3100"));
        isFalse(_commits(hex"300406003100"));
    }

    /// @dev Content type, digest, then the attribute.
    function _commits(bytes memory attribute) private view returns (bool) {
        return _harness.commitTo(_shortest(0x31, bytes.concat(_TYPE, _PREFIX, _DIGEST, attribute)), _DIGEST);
    }

    /// @dev A type of one byte and a SET to fill `length` bytes; what is in the SET is not read.
    function _attribute(uint256 length) private pure returns (bytes memory body) {
        body = new bytes(length);
        (body[0], body[1], body[2], body[3]) = (0x06, 0x01, 0x2a, 0x31);
    }

    function _shortest(uint8 tag, bytes memory body) private pure returns (bytes memory) {
        uint256 size = body.length;
        if (size < 0x80) return abi.encodePacked(tag, uint8(size), body);
        if (size < 0x100) return abi.encodePacked(tag, uint8(0x81), uint8(size), body);
        return abi.encodePacked(tag, uint8(0x82), uint16(size), body);
    }
}
