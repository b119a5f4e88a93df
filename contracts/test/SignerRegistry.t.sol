// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SignerRegistry} from "../src/SignerRegistry.sol";
import {ISignerRegistry} from "../src/interfaces/ISignerRegistry.sol";
import {P256Verifier} from "../src/verifiers/P256Verifier.sol";
import {Signing} from "./Signing.sol";

contract SignerRegistryTest is Signing {
    bytes32 private constant _KEY = keccak256("a key");
    bytes32 private constant _IDENTITY = keccak256("salted identity");
    uint64 private constant _DEADLINE = NOW + 1000;

    address private _verifier;
    SignerRegistry private _registry;
    uint256[] private _secrets;

    function setUp() public {
        vm.warp(NOW);
        _verifier = address(new P256Verifier());
        _secrets = ordered(_verifier, list(11, 12, 13));
        _registry = new SignerRegistry(_hashes(_secrets), 2);
    }

    function test_ARegisteredKeyIsValidInItsPeriodOnly() public {
        vm.expectEmit(true, true, true, true, address(_registry));
        emit ISignerRegistry.KeyRegistered(_KEY, _IDENTITY, NOW, NOW + 100, 3);
        _register(_KEY, NOW, NOW + 100, 3);
        same(_registry.identityOf(_KEY), _IDENTITY);
        same(_registry.keyOf(_KEY).validFrom, NOW);
        same(_registry.requireValid(_one(_KEY)), 3);
        vm.warp(NOW + 100);
        same(_registry.requireValid(_one(_KEY)), 3);
        vm.warp(NOW + 101);
        vm.expectRevert(
            abi.encodeWithSelector(ISignerRegistry.SignerRegistryExpired.selector, _KEY, NOW + 100, NOW + 101)
        );
        _registry.requireValid(_one(_KEY));
        vm.warp(NOW - 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISignerRegistry.SignerRegistryNotYetValid.selector, _KEY, NOW, NOW - 1)
        );
        _registry.requireValid(_one(_KEY));
    }

    function test_TheLowestAssuranceOfAllIsAnswered() public {
        _register(_KEY, 0, NOW, 5);
        _register(keccak256("b"), 0, NOW, 2);
        bytes32[] memory keys = new bytes32[](2);
        (keys[0], keys[1]) = (_KEY, keccak256("b"));
        same(_registry.requireValid(keys), 2);
        keys[1] = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryUnknownKey.selector, keys[1]));
        _registry.requireValid(keys);
    }

    function test_ARevokedKeyStaysRevokedFromThatBlockOn() public {
        _register(_KEY, 0, NOW + 100, 3);
        vm.warp(NOW + 7);
        bytes32 digest = _digest(abi.encode(keccak256("Revoke(bytes32 keyHash,uint8 reason,uint64 deadline)"), _KEY, 1, _DEADLINE));
        ISignerRegistry.Approval[] memory given = _two(digest);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit ISignerRegistry.KeyRevoked(_KEY, NOW + 7, 1);
        _registry.revoke(_KEY, 1, _DEADLINE, given);
        same(_registry.keyOf(_KEY).revokedAt, NOW + 7);
        same(_registry.keyOf(_KEY).reason, 1);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryRevoked.selector, _KEY, NOW + 7));
        _registry.requireValid(_one(_KEY));
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryRevoked.selector, _KEY, NOW + 7));
        _registry.revoke(_KEY, 1, _DEADLINE, given);
    }

    function test_AnUnknownKeyIsNotRevoked() public {
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryUnknownKey.selector, _KEY));
        _registry.revoke(_KEY, 1, _DEADLINE, new ISignerRegistry.Approval[](0));
    }

    function test_ARevocationNeedsItsOwnApprovals() public {
        ISignerRegistry.Approval[] memory other = _register(_KEY, 0, NOW, 3);
        bytes32 first = hashOfKey(_verifier, other[0].key);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryApprovals.selector, 0, 2));
        _registry.revoke(_KEY, 1, _DEADLINE, new ISignerRegistry.Approval[](0));
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryBadSignature.selector, first));
        _registry.revoke(_KEY, 1, _DEADLINE, other);
        bytes32 kind = keccak256("Revoke(bytes32 keyHash,uint8 reason,uint64 deadline)");
        other = _two(_digest(abi.encode(kind, _KEY, 2, _DEADLINE)));
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryBadSignature.selector, first));
        _registry.revoke(_KEY, 1, _DEADLINE, other);
        same(_registry.requireValid(_one(_KEY)), 3);
    }

    function test_AKeyIsRegisteredOnce() public {
        ISignerRegistry.Approval[] memory given = _register(_KEY, 0, NOW, 3);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryKnown.selector, _KEY));
        _registry.register(_KEY, 0, NOW, 3, _IDENTITY, _DEADLINE, given);
    }

    function test_NonsenseIsNotRegistered() public {
        ISignerRegistry.Approval[] memory none = new ISignerRegistry.Approval[](0);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryNoAssurance.selector));
        _registry.register(_KEY, 0, NOW, 0, _IDENTITY, _DEADLINE, none);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryBadPeriod.selector, 2, 1));
        _registry.register(_KEY, 2, 1, 3, _IDENTITY, _DEADLINE, none);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryLate.selector, NOW, NOW - 1));
        _registry.register(_KEY, 0, NOW, 3, _IDENTITY, NOW - 1, none);
    }

    function test_FewerMoreDoubledOrForeignApprovalsAreRefused() public {
        bytes32 digest = _registration(_KEY, 0, NOW, 3);
        _refused(_given(digest, 1), abi.encodeWithSelector(ISignerRegistry.SignerRegistryApprovals.selector, 1, 2));
        _refused(_given(digest, 3), abi.encodeWithSelector(ISignerRegistry.SignerRegistryApprovals.selector, 3, 2));
        ISignerRegistry.Approval[] memory given = _two(digest);
        bytes32 first = hashOfKey(_verifier, given[0].key);
        bytes32 second = hashOfKey(_verifier, given[1].key);
        ISignerRegistry.Approval memory kept = given[1];
        given[1] = given[0];
        _refused(given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryOrder.selector, first, first));
        given[0] = kept;
        _refused(given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryOrder.selector, second, first));
        given = approvals(_verifier, ordered(_verifier, list(98, 99)), digest);
        _refused(
            given,
            abi.encodeWithSelector(
                ISignerRegistry.SignerRegistryNotRegistrar.selector, hashOfKey(_verifier, given[0].key)
            )
        );
    }

    function testFuzz_AnApprovalIsForEveryWordOfTheAct(uint8 which) public {
        bytes32 digest;
        if (which % 6 == 0) digest = _registration(keccak256("another"), 0, NOW, 3);
        if (which % 6 == 1) digest = _registration(_KEY, 1, NOW, 3);
        if (which % 6 == 2) digest = _registration(_KEY, 0, NOW + 1, 3);
        if (which % 6 == 3) digest = _registration(_KEY, 0, NOW, 4);
        if (which % 6 == 4) digest = typed("fuqi SignerRegistry", block.chainid + 1, address(_registry), _struct(3));
        if (which % 6 == 5) digest = typed("fuqi SignerRegistry", block.chainid, address(this), _struct(3));
        ISignerRegistry.Approval[] memory given = _two(digest);
        _refused(
            given,
            abi.encodeWithSelector(
                ISignerRegistry.SignerRegistryBadSignature.selector, hashOfKey(_verifier, given[0].key)
            )
        );
    }

    function testFuzz_WhoSendsItDoesNotMatter(address sender) public {
        ISignerRegistry.Approval[] memory given = _two(_registration(_KEY, 0, NOW, 3));
        vm.prank(sender);
        _registry.register(_KEY, 0, NOW, 3, _IDENTITY, _DEADLINE, given);
        same(_registry.keyOf(_KEY).assurance, 3);
    }

    function test_TheRoleMovesOnlyWhenTheNewSetTakesIt() public {
        uint256[] memory next = ordered(_verifier, list(21, 22));
        bytes32[] memory set = _hashes(next);
        _offer(set, 2, 2);
        (uint64 epoch, uint8 threshold, uint8 count) = _registry.registrarSet();
        same(epoch, 1);
        same(threshold, 2);
        same(count, 3);
        isFalse(_registry.isRegistrar(set[0]));
        bytes32 digest = _change("AcceptRegistrars", set, 2, 2);
        ISignerRegistry.Approval[] memory old = _two(digest);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISignerRegistry.SignerRegistryNotRegistrar.selector, hashOfKey(_verifier, old[0].key)
            )
        );
        _registry.acceptRegistrars(set, 2, _DEADLINE, old);
        isTrue(_registry.isRegistrar(hashOfKey(_verifier, keyP256(_secrets[0]))));
        ISignerRegistry.Approval[] memory given = approvals(_verifier, next, digest);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit ISignerRegistry.RegistrarsChanged(2, set, 2);
        _registry.acceptRegistrars(set, 2, _DEADLINE, given);
        isTrue(_registry.isRegistrar(set[0]));
        isFalse(_registry.isRegistrar(hashOfKey(_verifier, keyP256(_secrets[0]))));
        same(_registry.offeredSet(), 0);
        bytes memory reason = abi.encodeWithSelector(
            ISignerRegistry.SignerRegistryNotOffered.selector,
            keccak256(abi.encode(keccak256("fuqi/registrars/v1"), set, uint8(2))),
            bytes32(0)
        );
        vm.expectRevert(reason);
        _registry.acceptRegistrars(set, 2, _DEADLINE, given);
    }

    /// @dev The same offer, brought again after the role came back to the first set, names an old epoch.
    function test_AnOldOfferIsNotBroughtAgain() public {
        bytes32[] memory set = _hashes(ordered(_verifier, list(21, 22)));
        ISignerRegistry.Approval[] memory given = _offer(set, 2, 2);
        _registry.acceptRegistrars(
            set, 2, _DEADLINE, approvals(_verifier, ordered(_verifier, list(21, 22)), _change("AcceptRegistrars", set, 2, 2))
        );
        bytes32 digest = _change("OfferRegistrars", _hashes(_secrets), 2, 3);
        _registry.offerRegistrars(
            _hashes(_secrets), 2, _DEADLINE, approvals(_verifier, ordered(_verifier, list(21, 22)), digest)
        );
        digest = _change("AcceptRegistrars", _hashes(_secrets), 2, 3);
        _registry.acceptRegistrars(_hashes(_secrets), 2, _DEADLINE, _two(digest));
        vm.expectRevert(
            abi.encodeWithSelector(
                ISignerRegistry.SignerRegistryBadSignature.selector, hashOfKey(_verifier, given[0].key)
            )
        );
        _registry.offerRegistrars(set, 2, _DEADLINE, given);
    }

    function test_ASetIsNeverEmptyDoubledTooLargeOrUnreachable() public {
        _badSet(new bytes32[](0), 0);
        _badSet(_hashes(_secrets), 0);
        _badSet(_hashes(_secrets), 4);
        bytes32[] memory doubled = new bytes32[](2);
        doubled[0] = doubled[1] = _KEY;
        _badSet(doubled, 1);
        bytes32[] memory many = new bytes32[](17);
        for (uint256 i = 0; i < 17; ++i) many[i] = bytes32(i + 1);
        _badSet(many, 1);
        _badSet(_one(0), 1);
    }

    function test_EveryActHasALastSecond() public {
        ISignerRegistry.Approval[] memory none = new ISignerRegistry.Approval[](0);
        bytes32[] memory set = _one(_KEY);
        bytes memory late = abi.encodeWithSelector(ISignerRegistry.SignerRegistryLate.selector, NOW, NOW - 1);
        vm.expectRevert(late);
        _registry.revoke(_KEY, 1, NOW - 1, none);
        vm.expectRevert(late);
        _registry.offerRegistrars(set, 1, NOW - 1, none);
        vm.expectRevert(late);
        _registry.acceptRegistrars(set, 1, NOW - 1, none);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryApprovals.selector, 0, 2));
        _registry.offerRegistrars(set, 1, NOW, none);
        vm.expectRevert(abi.encodeWithSelector(ISignerRegistry.SignerRegistryBadSet.selector, 1, 2));
        _registry.offerRegistrars(set, 2, NOW, none);
    }

    function test_TheLargestSetAndAPeriodOfOneSecondAreAccepted() public {
        bytes32[] memory many = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) many[i] = bytes32(i + 1);
        SignerRegistry full = new SignerRegistry(many, 16);
        isTrue(full.isRegistrar(many[15]));
        _register(_KEY, NOW, NOW, 3);
        same(_registry.requireValid(_one(_KEY)), 3);
    }

    function test_AKeyIsNamedTogetherWithItsVerifier() public view {
        same(_registry.hashOf(_verifier, keyP256(1)), hashOfKey(_verifier, keyP256(1)));
        isTrue(_registry.hashOf(address(this), keyP256(1)) != hashOfKey(_verifier, keyP256(1)));
    }

    function _badSet(bytes32[] memory set, uint8 threshold) private {
        vm.expectRevert(
            abi.encodeWithSelector(ISignerRegistry.SignerRegistryBadSet.selector, set.length, threshold)
        );
        new SignerRegistry(set, threshold);
    }

    function _register(bytes32 key, uint64 from, uint64 to, uint8 assurance)
        private
        returns (ISignerRegistry.Approval[] memory given)
    {
        given = _two(_registration(key, from, to, assurance));
        _registry.register(key, from, to, assurance, _IDENTITY, _DEADLINE, given);
    }

    function _refused(ISignerRegistry.Approval[] memory given, bytes memory reason) private {
        vm.expectRevert(reason);
        _registry.register(_KEY, 0, NOW, 3, _IDENTITY, _DEADLINE, given);
        same(_registry.keyOf(_KEY).assurance, 0);
    }

    function _offer(bytes32[] memory set, uint8 threshold, uint64 epoch)
        private
        returns (ISignerRegistry.Approval[] memory given)
    {
        given = _two(_change("OfferRegistrars", set, threshold, epoch));
        _registry.offerRegistrars(set, threshold, _DEADLINE, given);
    }

    function _change(string memory act, bytes32[] memory set, uint8 threshold, uint64 epoch)
        private
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256(abi.encodePacked(act, "(bytes32 set,uint64 epoch,uint64 deadline)"));
        bytes32 hash = keccak256(abi.encode(keccak256("fuqi/registrars/v1"), set, threshold));
        return _digest(abi.encode(kind, hash, epoch, _DEADLINE));
    }

    function _registration(bytes32 key, uint64 from, uint64 to, uint8 assurance) private view returns (bytes32) {
        bytes32 kind = keccak256(
            "Register(bytes32 keyHash,uint64 validFrom,uint64 validTo,uint8 assurance,bytes32 identity,uint64 deadline)"
        );
        return _digest(abi.encode(kind, key, from, to, assurance, _IDENTITY, _DEADLINE));
    }

    function _struct(uint8 assurance) private pure returns (bytes32) {
        bytes32 kind = keccak256(
            "Register(bytes32 keyHash,uint64 validFrom,uint64 validTo,uint8 assurance,bytes32 identity,uint64 deadline)"
        );
        return keccak256(abi.encode(kind, _KEY, 0, NOW, assurance, _IDENTITY, _DEADLINE));
    }

    function _digest(bytes memory encoded) private view returns (bytes32) {
        return typed("fuqi SignerRegistry", block.chainid, address(_registry), keccak256(encoded));
    }

    function _two(bytes32 digest) private view returns (ISignerRegistry.Approval[] memory) {
        return _given(digest, 2);
    }

    function _given(bytes32 digest, uint256 count) private view returns (ISignerRegistry.Approval[] memory) {
        uint256[] memory secrets = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) secrets[i] = _secrets[i];
        return approvals(_verifier, secrets, digest);
    }

    function _hashes(uint256[] memory secrets) private view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](secrets.length);
        for (uint256 i = 0; i < secrets.length; ++i) hashes[i] = hashOfKey(_verifier, keyP256(secrets[i]));
    }

    function _one(bytes32 key) private pure returns (bytes32[] memory keys) {
        keys = new bytes32[](1);
        keys[0] = key;
    }
}
