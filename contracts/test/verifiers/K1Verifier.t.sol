// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {K1Verifier} from "../../src/verifiers/K1Verifier.sol";
import {Signing} from "../Signing.sol";

/// @dev A contract account that accepts one digest with one byte string, and otherwise fails as it was told to.
contract Account {
    bytes32 private immutable _digest;
    uint256 private immutable _manner;

    constructor(bytes32 digest, uint256 manner) {
        _digest = digest;
        _manner = manner;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (hash == _digest && keccak256(signature) == keccak256("open")) return 0x1626ba7e;
        if (_manner == 1) revert("no");
        return _manner == 2 ? bytes4(0x1626ba7f) : bytes4(0xffffffff);
    }
}

contract K1VerifierTest is Signing {
    uint256 private constant _K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    bytes32 private constant _DIGEST = keccak256("digest");
    K1Verifier private _verifier = new K1Verifier();

    /// forge-config: default.fuzz.runs = 256
    function testFuzz_ASignatureIsOfItsAccountAndDigestOnly(uint256 secret, bytes32 digest, bytes32 other) public view {
        secret = 1 + secret % (_K1_ORDER - 2);
        vm.assume(other != digest);
        bytes memory key = abi.encodePacked(vms.addr(secret));
        bytes memory signature = _signed(secret, digest);
        _expect(key, digest, signature, 0x024ad318);
        _expect(key, other, signature, 0xffffffff);
        _expect(abi.encodePacked(vms.addr(secret + 1)), digest, signature, 0xffffffff);
    }

    function test_TheUpperFormOfASignatureIsRefused() public view {
        (uint8 v, bytes32 r, bytes32 s) = vms.sign(7, _DIGEST);
        bytes memory upper = abi.encodePacked(r, bytes32(_K1_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        same(ecrecover(_DIGEST, v == 27 ? 28 : 27, r, bytes32(_K1_ORDER - uint256(s))), vms.addr(7));
        _expect(abi.encodePacked(vms.addr(7)), _DIGEST, upper, 0xffffffff);
    }

    /// @dev `ecrecover` answers 0 to nonsense; the zero address has no key.
    function test_NobodySignsForTheZeroAddress() public view {
        _expect(new bytes(20), _DIGEST, new bytes(65), 0xffffffff);
    }

    function test_OtherLengthsAreRefused() public view {
        bytes memory key = abi.encodePacked(vms.addr(7));
        bytes memory signature = _signed(7, _DIGEST);
        _expect(key, _DIGEST, bytes.concat(signature, hex"00"), 0xffffffff);
        _expect(key, _DIGEST, "", 0xffffffff);
        _expect(bytes.concat(key, hex"00"), _DIGEST, signature, 0xffffffff);
        _expect("", _DIGEST, signature, 0xffffffff);
    }

    function test_AContractAccountAnswersForItself() public {
        bytes memory key = abi.encodePacked(address(new Account(_DIGEST, 0)));
        _expect(key, _DIGEST, "open", 0x024ad318);
        _expect(key, _DIGEST, "shut", 0xffffffff);
        _expect(key, keccak256("other"), "open", 0xffffffff);
    }

    function test_AnAccountThatRevertsOrAnswersAlmostRightIsRefused() public {
        _expect(abi.encodePacked(address(new Account(_DIGEST, 1))), _DIGEST, "shut", 0xffffffff);
        _expect(abi.encodePacked(address(new Account(_DIGEST, 2))), _DIGEST, "shut", 0xffffffff);
        _expect(abi.encodePacked(address(this)), _DIGEST, "open", 0xffffffff);
    }

    /// @dev An account may hold a key and have code as well (EIP-7702).
    function test_AnAccountWithCodeMayStillSignWithItsKey() public {
        vms.etch(vms.addr(7), address(new Account(0, 1)).code);
        _expect(abi.encodePacked(vms.addr(7)), _DIGEST, _signed(7, _DIGEST), 0x024ad318);
    }

    function _signed(uint256 secret, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vms.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    function _expect(bytes memory key, bytes32 digest, bytes memory signature, bytes4 answer) private view {
        answers(_verifier.verify(key, digest, signature), answer);
    }
}
