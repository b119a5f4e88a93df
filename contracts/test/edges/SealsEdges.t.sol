// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISeals} from "../../src/interfaces/ISeals.sol";
import {ISignerRegistry} from "../../src/interfaces/ISignerRegistry.sol";
import {SealsFixture} from "../Seals.t.sol";

/// @dev What mutation testing found untold of Seals and SignerRegistry: what is read back, and what a promotion reports.
contract SealsEdgesTest is SealsFixture {
    function setUp() public {
        deployAll();
        for (uint256 secret = 1; secret <= 3; ++secret) register(p256, secret, NOW, NOW + 5000);
    }

    function test_WhatItWasMadeWithCanBeRead() public view {
        same(seals.registry(), address(registry));
        same(seals.log(), address(evidence));
        isTrue(seals.isDocumentVerifier(cms));
        isFalse(seals.isDocumentVerifier(p256));
    }

    function test_APromotionReportsTheSealItMakes() public {
        uint256[] memory secrets = list(1, 2);
        bytes32 root = rootOf(parties(secrets));
        ISeals.Party[] memory given = agreed(secrets, DOC, 0);
        ISeals.Opening memory opening;
        opening.salt = keccak256("salt");
        opening.before = '{"actor":"system","at":1,';
        opening.afterwards = ',"id":"ent_x","type":"agreement.promised","v":"fuqi/entry/v1"}';
        opening.size = 1;
        bytes32 leaf = seals.leafOf(DOC, root, 0, opening);
        evidence.append(1, leaf, new bytes32[](0));
        bytes32 id = seals.idOf(DOC, root, 0);
        vm.expectEmit(true, true, true, true, address(seals));
        emit ISeals.Sealed(id, DOC, 0, root, 2, 3);
        vm.expectEmit(true, true, true, true, address(seals));
        emit ISeals.Promoted(leaf, id, 0);
        same(seals.promote(DOC, 0, DEADLINE, opening, given), id);
        same(seals.sealOfLeaf(leaf), id);
        same(seals.recordOf(id).time, NOW);
        same(seals.recordOf(id).parties, 2);
        same(seals.recordOf(id).assurance, 3);
        same(seals.recordOf(id).blockNumber, block.number);
    }

    function test_AFreshKeyIsNeitherRevokedNorReasoned() public view {
        ISignerRegistry.Key memory key = registry.keyOf(hashOfKey(p256, keyP256(1)));
        same(key.validFrom, NOW);
        same(key.validTo, NOW + 5000);
        same(key.revokedAt, 0);
        same(key.assurance, 3);
        same(key.reason, 0);
    }

    function test_TheOfferedSetCanBeReadUntilItIsTaken() public {
        bytes32[] memory next = new bytes32[](1);
        next[0] = hashOfKey(p256, keyP256(12));
        bytes32 set = keccak256(abi.encode(keccak256("fuqi/registrars/v1"), next, uint8(1)));
        same(registry.offeredSet(), 0);
        registry.offerRegistrars(next, 1, DEADLINE, _approved(REGISTRAR, "OfferRegistrars", set));
        same(registry.offeredSet(), set);
        registry.acceptRegistrars(next, 1, DEADLINE, _approved(12, "AcceptRegistrars", set));
        same(registry.offeredSet(), 0);
        (uint64 epoch, uint8 threshold, uint8 count) = registry.registrarSet();
        same(epoch, 2);
        same(threshold, 1);
        same(count, 1);
        isTrue(registry.isRegistrar(next[0]));
        isFalse(registry.isRegistrar(hashOfKey(p256, keyP256(REGISTRAR))));
    }

    function _approved(uint256 secret, string memory act, bytes32 set)
        private
        view
        returns (ISignerRegistry.Approval[] memory)
    {
        bytes32 kind = keccak256(abi.encodePacked(act, "(bytes32 set,uint64 epoch,uint64 deadline)"));
        bytes32 structHash = keccak256(abi.encode(kind, set, uint64(2), DEADLINE));
        uint256[] memory secrets = new uint256[](1);
        secrets[0] = secret;
        return approvals(p256, secrets, typed("fuqi SignerRegistry", block.chainid, address(registry), structHash));
    }
}
