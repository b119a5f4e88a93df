// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceLog} from "../src/EvidenceLog.sol";
import {Seals} from "../src/Seals.sol";
import {SignerRegistry} from "../src/SignerRegistry.sol";
import {ISeals} from "../src/interfaces/ISeals.sol";
import {IEvidenceLog} from "../src/interfaces/IEvidenceLog.sol";
import {ISignerRegistry} from "../src/interfaces/ISignerRegistry.sol";
import {CmsVerifier} from "../src/verifiers/CmsVerifier.sol";
import {P256Verifier} from "../src/verifiers/P256Verifier.sol";
import {Signing} from "./Signing.sol";

/// @dev Everything deployed, one registrar (secret 11), and what signs seals.
abstract contract SealsFixture is Signing {
    uint64 internal constant DEADLINE = NOW + 10_000;
    uint256 internal constant REGISTRAR = 11;
    bytes32 internal constant DOC = keccak256("a document");

    address internal p256;
    address internal cms;
    EvidenceLog internal evidence;
    SignerRegistry internal registry;
    Seals internal seals;

    function deployAll() internal {
        vm.warp(NOW);
        p256 = address(new P256Verifier());
        cms = address(new CmsVerifier());
        evidence = new EvidenceLog(address(this));
        bytes32[] memory registrars = new bytes32[](1);
        registrars[0] = hashOfKey(p256, keyP256(REGISTRAR));
        registry = new SignerRegistry(registrars, 1);
        address[] memory documents = new address[](1);
        documents[0] = cms;
        seals = new Seals(address(registry), address(evidence), documents);
    }

    function register(address verifier, uint256 secret, uint64 from, uint64 to) internal {
        bytes32 key = hashOfKey(verifier, keyP256(secret));
        bytes32 kind = keccak256(
            "Register(bytes32 keyHash,uint64 validFrom,uint64 validTo,uint8 assurance,bytes32 identity,uint64 deadline)"
        );
        bytes32 structHash = keccak256(abi.encode(kind, key, from, to, uint8(3), bytes32(0), DEADLINE));
        registry.register(key, from, to, 3, 0, DEADLINE, _registrar(structHash));
    }

    function revokeKey(address verifier, uint256 secret) internal {
        bytes32 key = hashOfKey(verifier, keyP256(secret));
        bytes32 kind = keccak256("Revoke(bytes32 keyHash,uint8 reason,uint64 deadline)");
        registry.revoke(key, 1, DEADLINE, _registrar(keccak256(abi.encode(kind, key, uint8(1), DEADLINE))));
    }

    /// @dev Unsigned parties, by digest.
    function parties(uint256[] memory secrets) internal view returns (ISeals.Party[] memory given) {
        secrets = ordered(p256, secrets);
        given = new ISeals.Party[](secrets.length);
        for (uint256 i = 0; i < secrets.length; ++i) {
            given[i] = ISeals.Party({verifier: p256, key: keyP256(secrets[i]), signed: 0, signature: ""});
        }
    }

    function rootOf(ISeals.Party[] memory given) internal view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](given.length);
        bytes32[] memory signed = new bytes32[](given.length);
        for (uint256 i = 0; i < given.length; ++i) {
            hashes[i] = hashOfKey(given[i].verifier, given[i].key);
            signed[i] = given[i].signed;
        }
        return seals.partiesRootOf(hashes, signed);
    }

    function digestOf(bytes32 doc, bytes32 root, bytes32 prev, uint64 deadline, uint256 chain, address target)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256("Seal(bytes32 doc,bytes32 partiesRoot,bytes32 prev,uint64 deadline)");
        return typed("fuqi Seals", chain, target, keccak256(abi.encode(kind, doc, root, prev, deadline)));
    }

    function signedBy(uint256[] memory secrets, bytes32 digest) internal view returns (ISeals.Party[] memory given) {
        secrets = ordered(p256, secrets);
        given = parties(secrets);
        for (uint256 i = 0; i < secrets.length; ++i) given[i].signature = signP256(secrets[i], digest);
    }

    function agreed(uint256[] memory secrets, bytes32 doc, bytes32 prev)
        internal
        view
        returns (ISeals.Party[] memory)
    {
        bytes32 root = rootOf(parties(secrets));
        return signedBy(secrets, digestOf(doc, root, prev, DEADLINE, block.chainid, address(seals)));
    }

    function _registrar(bytes32 structHash) private view returns (ISignerRegistry.Approval[] memory) {
        uint256[] memory secrets = new uint256[](1);
        secrets[0] = REGISTRAR;
        return approvals(p256, secrets, typed("fuqi SignerRegistry", block.chainid, address(registry), structHash));
    }
}

contract SealsTest is SealsFixture {
    function setUp() public {
        deployAll();
        for (uint256 secret = 1; secret <= 3; ++secret) register(p256, secret, NOW, NOW + 5000);
    }

    function test_ASealNamesItsTimeBlockAndParties() public {
        vms.roll(77);
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        bytes32 id = seals.idOf(DOC, rootOf(given), 0);
        vm.expectEmit(true, true, true, true, address(seals));
        emit ISeals.Sealed(id, DOC, 0, rootOf(given), 2, 3);
        vm.prank(address(0xAE1A1));
        same(seals.seal(DOC, 0, DEADLINE, given), id);
        ISeals.Record memory record = seals.recordOf(id);
        same(record.time, NOW);
        same(record.blockNumber, 77);
        same(record.parties, 2);
        same(record.assurance, 3);
    }

    function test_TheSameSealIsMadeOnceAndStays() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        bytes32 id = seals.seal(DOC, 0, DEADLINE, given);
        vm.warp(NOW + 5);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsExists.selector, id, NOW));
        seals.seal(DOC, 0, DEADLINE, given);
        same(seals.recordOf(id).time, NOW);
    }

    function test_AnAmendmentNamesASealThatExists() public {
        bytes32 first = seals.seal(DOC, 0, DEADLINE, agreed(list(1, 2), DOC, 0));
        bytes32 doc = keccak256("amended");
        bytes32 second = seals.seal(doc, first, DEADLINE, agreed(list(1, 2), doc, first));
        isTrue(second != first);
        same(seals.recordOf(first).time, NOW);
        bytes32 unknown = keccak256("no seal");
        ISeals.Party[] memory given = agreed(list(1, 2), doc, unknown);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsUnknown.selector, unknown));
        seals.seal(doc, unknown, DEADLINE, given);
    }

    function test_TooLateIsTooLate() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        vm.warp(DEADLINE + 1);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsLate.selector, DEADLINE + 1, DEADLINE));
        seals.seal(DOC, 0, DEADLINE, given);
    }

    function test_NobodyTooManyDoubledOrUnorderedPartiesAreRefused() public {
        _refused(new ISeals.Party[](0), abi.encodeWithSelector(ISeals.SealsPartyCount.selector, 0, 32));
        _refused(new ISeals.Party[](33), abi.encodeWithSelector(ISeals.SealsPartyCount.selector, 33, 32));
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (bytes32 a, bytes32 b) = (_name(given[0]), _name(given[1]));
        (given[0], given[1]) = (given[1], given[0]);
        _refused(given, abi.encodeWithSelector(ISeals.SealsOrder.selector, b, a));
        given[0] = given[1];
        _refused(given, abi.encodeWithSelector(ISeals.SealsOrder.selector, a, a));
    }

    function test_AMissingPartyChangesWhatTheOthersSigned() public {
        ISeals.Party[] memory three = agreed(list(1, 2, 3), DOC, 0);
        ISeals.Party[] memory two = new ISeals.Party[](2);
        (two[0], two[1]) = (three[0], three[1]);
        _refused(two, _bad(two, 0));
    }

    function test_EachSignatureIsCheckedNotOnlyTheFirst() public {
        for (uint256 i = 0; i < 3; ++i) {
            ISeals.Party[] memory given = agreed(list(1, 2, 3), DOC, 0);
            given[i].signature = signP256(4, keccak256("anything"));
            _refused(given, _bad(given, i));
            given[i].signature = given[(i + 1) % 3].signature;
            _refused(given, _bad(given, i));
            given[i].signature = "";
            _refused(given, _bad(given, i));
        }
    }

    function test_TheUpperFormOfASignatureIsRefused() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (bytes32 r, bytes32 s) = abi.decode(given[1].signature, (bytes32, bytes32));
        given[1].signature = abi.encode(r, ORDER - uint256(s));
        _refused(given, _bad(given, 1));
    }

    /// @dev I7: every word that a signature must be bound to, changed in turn.
    function testFuzz_ASignatureIsNotReplayed(uint8 which, uint64 change) public {
        vm.assume(change != 0 && change != block.chainid && change != DEADLINE);
        ISeals.Party[] memory given = parties(list(1, 2));
        bytes32 root = rootOf(given);
        bytes32 digest;
        if (which % 6 == 0) digest = digestOf(bytes32(uint256(change)), root, 0, DEADLINE, block.chainid, address(seals));
        if (which % 6 == 1) digest = digestOf(DOC, bytes32(uint256(change)), 0, DEADLINE, block.chainid, address(seals));
        if (which % 6 == 2) digest = digestOf(DOC, root, bytes32(uint256(change)), DEADLINE, block.chainid, address(seals));
        if (which % 6 == 3) digest = digestOf(DOC, root, 0, change, block.chainid, address(seals));
        if (which % 6 == 4) digest = digestOf(DOC, root, 0, DEADLINE, change, address(seals));
        if (which % 6 == 5) digest = digestOf(DOC, root, 0, DEADLINE, block.chainid, address(uint160(change)));
        given = signedBy(list(1, 2), digest);
        _refused(given, _bad(given, 0));
    }

    function test_OnAnotherChainTheSameSignaturesSayNothing() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        vms.chainId(999);
        bytes32 digest = digestOf(DOC, rootOf(given), 0, DEADLINE, 999, address(seals));
        _refused(given, abi.encodeWithSelector(ISeals.SealsBadSignature.selector, _name(given[0]), digest));
    }

    /// @dev A raw digest is accepted from document verifiers only: this is the digest that the key signed elsewhere.
    function test_AForeignDigestIsNotPassedOffAsADocument() public {
        bytes32 foreign = digestOf(DOC, rootOf(parties(list(1, 2))), 0, DEADLINE, 1, address(1));
        ISeals.Party[] memory given = signedBy(list(1, 2), foreign);
        given[0].signed = given[1].signed = foreign;
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNotDocumentVerifier.selector, p256));
        seals.seal(foreign, 0, DEADLINE, given);
    }

    function test_KeysUnknownEarlyExpiredOrRevokedDoNotSeal() public {
        ISeals.Party[] memory given = agreed(list(1, 9), DOC, 0);
        bytes32 nine = hashOfKey(p256, keyP256(9));
        _refused(given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryUnknownKey.selector, nine));
        register(p256, 9, NOW + 10, NOW + 20);
        _refused(
            given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryNotYetValid.selector, nine, NOW + 10, NOW)
        );
        vm.warp(NOW + 21);
        _refused(
            given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryExpired.selector, nine, NOW + 20, NOW + 21)
        );
        vm.warp(NOW + 15);
        revokeKey(p256, 9);
        _refused(given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryRevoked.selector, nine, NOW + 15));
    }

    /// @dev A key registered under one verifier is nothing under another, such as one that always says yes.
    function test_ARegisteredKeyDoesNotBringItsOwnVerifier() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        given[1].verifier = address(this);
        if (_name(given[1]) < _name(given[0])) (given[0], given[1]) = (given[1], given[0]);
        bytes32 stranger = hashOfKey(address(this), given[0].verifier == address(this) ? given[0].key : given[1].key);
        _refused(given, abi.encodeWithSelector(ISignerRegistry.SignerRegistryUnknownKey.selector, stranger));
    }

    function test_ALaterRevocationOfAKeyLeavesTheSeal() public {
        bytes32 id = seals.seal(DOC, 0, DEADLINE, agreed(list(1, 2), DOC, 0));
        vm.warp(NOW + 50);
        revokeKey(p256, 1);
        same(seals.recordOf(id).time, NOW);
    }

    function test_AllPartiesTogetherRevokeASeal() public {
        bytes32 id = seals.seal(DOC, 0, DEADLINE, agreed(list(1, 2), DOC, 0));
        vm.warp(NOW + 60);
        ISeals.Party[] memory given = signedBy(list(1, 2), _revocation(id, 4));
        vm.expectEmit(true, true, true, true, address(seals));
        emit ISeals.SealRevoked(id, rootOf(given), 4);
        seals.revoke(DOC, 0, 4, DEADLINE, given);
        same(seals.revocationOf(id).time, NOW + 60);
        same(seals.revocationOf(id).reason, 4);
        same(seals.recordOf(id).time, NOW);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsRevoked.selector, id, NOW + 60));
        seals.revoke(DOC, 0, 4, DEADLINE, given);
    }

    function test_AnExpiredKeyRevokesNoSeal() public {
        bytes32 id = seals.seal(DOC, 0, DEADLINE, agreed(list(1, 2), DOC, 0));
        ISeals.Party[] memory given = signedBy(list(1, 2), _revocation(id, 4));
        vm.warp(NOW + 5001);
        bytes32 first = _name(given[0]);
        vm.expectRevert(
            abi.encodeWithSelector(ISignerRegistry.SignerRegistryExpired.selector, first, NOW + 5000, NOW + 5001)
        );
        seals.revoke(DOC, 0, 4, DEADLINE, given);
    }

    /// @dev The last second that a deadline or a period names still counts.
    function test_TheLastSecondCounts() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        vm.warp(NOW + 5000);
        bytes32 root = rootOf(given);
        bytes32 digest = digestOf(DOC, root, 0, NOW + 5000, block.chainid, address(seals));
        bytes32 id = seals.seal(DOC, 0, NOW + 5000, signedBy(list(1, 2), digest));
        same(seals.recordOf(id).time, NOW + 5000);
        bytes32 kind = keccak256("RevokeSeal(bytes32 id,uint16 reason,uint64 deadline)");
        bytes32 structHash = keccak256(abi.encode(kind, id, uint16(1), NOW + 5000));
        given = signedBy(list(1, 2), typed("fuqi Seals", block.chainid, address(seals), structHash));
        seals.revoke(DOC, 0, 1, NOW + 5000, given);
        same(seals.revocationOf(id).time, NOW + 5000);
        same(seals.revocationOf(id).blockNumber, block.number);
    }

    function test_AsManyPartiesAsTheLimitAllowsSeal() public {
        uint256[] memory secrets = new uint256[](32);
        for (uint256 i = 0; i < 32; ++i) {
            secrets[i] = 1 + i;
            if (i >= 3) register(p256, 1 + i, NOW, NOW + 5000);
        }
        bytes32 id = seals.seal(DOC, 0, DEADLINE, agreed(secrets, DOC, 0));
        same(seals.recordOf(id).parties, 32);
    }

    function test_OnePartyOrAnotherReasonOrAStrangerDoesNotRevoke() public {
        bytes32 id = seals.seal(DOC, 0, DEADLINE, agreed(list(1, 2), DOC, 0));
        ISeals.Party[] memory given = signedBy(list(1, 2), _revocation(id, 4));
        vm.expectRevert(
            abi.encodeWithSelector(ISeals.SealsBadSignature.selector, _name(given[0]), _revocation(id, 5))
        );
        seals.revoke(DOC, 0, 5, DEADLINE, given);
        ISeals.Party[] memory one = new ISeals.Party[](1);
        one[0] = given[0];
        bytes32 other = seals.idOf(DOC, rootOf(one), 0);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsUnknown.selector, other));
        seals.revoke(DOC, 0, 4, DEADLINE, one);
        given = signedBy(list(1, 3), _revocation(id, 4));
        other = seals.idOf(DOC, rootOf(given), 0);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsUnknown.selector, other));
        seals.revoke(DOC, 0, 4, DEADLINE, given);
        vm.warp(DEADLINE + 1);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsLate.selector, DEADLINE + 1, DEADLINE));
        seals.revoke(DOC, 0, 4, DEADLINE, given);
        same(seals.revocationOf(id).time, 0);
    }

    function test_ABatchedEntryIsPromotedLaterByAnyone() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (ISeals.Opening memory opening, bytes32 leaf) = _logged(rootOf(given));
        vm.warp(NOW + 500);
        bytes32 id = seals.idOf(DOC, rootOf(given), 0);
        vm.expectEmit(true, true, true, true, address(seals));
        emit ISeals.Promoted(leaf, id, 0);
        vm.prank(address(0xAE1A1));
        same(seals.promote(DOC, 0, DEADLINE, opening, given), id);
        same(seals.recordOf(id).time, NOW + 500);
        same(seals.sealOfLeaf(leaf), id);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsLeafPromoted.selector, leaf, id));
        seals.promote(DOC, 0, DEADLINE, opening, given);
    }

    function test_ASealThatExistsIsTiedToItsEntryAndKeepsItsTime() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (ISeals.Opening memory opening, bytes32 leaf) = _logged(rootOf(given));
        bytes32 id = seals.seal(DOC, 0, DEADLINE, given);
        vm.warp(NOW + 500);
        seals.promote(DOC, 0, DEADLINE, opening, given);
        same(seals.recordOf(id).time, NOW);
        same(seals.sealOfLeaf(leaf), id);
    }

    function test_AnEntryThatPromisedSomethingElseIsNotPromoted() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (ISeals.Opening memory opening,) = _logged(rootOf(given));
        ISeals.Party[] memory others = agreed(list(1, 3), DOC, 0);
        bytes32 leaf = seals.leafOf(DOC, rootOf(others), 0, opening);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNotInLog.selector, leaf, 0, 2));
        seals.promote(DOC, 0, DEADLINE, opening, others);
        opening.salt = ~opening.salt;
        leaf = seals.leafOf(DOC, rootOf(given), 0, opening);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNotInLog.selector, leaf, 0, 2));
        seals.promote(DOC, 0, DEADLINE, opening, given);
    }

    function test_AnEntryAtAnotherPlaceOrOfAnOldHeadIsNotPromoted() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (ISeals.Opening memory opening, bytes32 leaf) = _logged(rootOf(given));
        opening.index = 1;
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNotInLog.selector, leaf, 1, 2));
        seals.promote(DOC, 0, DEADLINE, opening, given);
        (opening.index, opening.size) = (0, 1);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogNotHead.selector, 1, 2));
        seals.promote(DOC, 0, DEADLINE, opening, given);
    }

    function test_PromotionChecksSignaturesAsSealingDoes() public {
        ISeals.Party[] memory given = agreed(list(1, 2), DOC, 0);
        (ISeals.Opening memory opening,) = _logged(rootOf(given));
        given[1].signature = given[0].signature;
        vm.expectRevert(_bad(given, 1));
        seals.promote(DOC, 0, DEADLINE, opening, given);
        revokeKey(p256, 1);
        given = agreed(list(1, 2), DOC, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISignerRegistry.SignerRegistryRevoked.selector, hashOfKey(p256, keyP256(1)), NOW
            )
        );
        seals.promote(DOC, 0, DEADLINE, opening, given);
    }

    function test_CmsSignaturesSealTheDocumentThatTheLastOneNames() public {
        bytes32 earlier = keccak256("an earlier revision");
        ISeals.Party[] memory given = _byCms(list(1, 2), earlier, DOC);
        bytes32 id = seals.seal(DOC, 0, DEADLINE, given);
        same(seals.recordOf(id).parties, 2);
        given = _byCms(list(1, 2), earlier, DOC);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsDocumentNotSigned.selector, keccak256("x")));
        seals.seal(keccak256("x"), 0, DEADLINE, given);
        given[0].signed = DOC;
        bytes32 digest = given[0].signed;
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsBadSignature.selector, _name(given[0]), digest));
        seals.seal(DOC, 0, DEADLINE, given);
    }

    function test_SealsAreMadeOnContractsOnly() public {
        address[] memory documents = new address[](0);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNoContract.selector, address(1)));
        new Seals(address(1), address(evidence), documents);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNoContract.selector, address(2)));
        new Seals(address(registry), address(2), documents);
        documents = new address[](1);
        vm.expectRevert(abi.encodeWithSelector(ISeals.SealsNoContract.selector, address(0)));
        new Seals(address(registry), address(evidence), documents);
        same(seals.registry(), address(registry));
        same(seals.log(), address(evidence));
        isTrue(seals.isDocumentVerifier(cms));
        isFalse(seals.isDocumentVerifier(p256));
    }

    /// @dev Two CMS parties; the first in order signed `earlier`, the second `last`.
    function _byCms(uint256[] memory secrets, bytes32 earlier, bytes32 last)
        private
        returns (ISeals.Party[] memory given)
    {
        secrets = ordered(cms, secrets);
        given = new ISeals.Party[](2);
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 signed = i == 0 ? earlier : last;
            if (registry.keyOf(hashOfKey(cms, keyP256(secrets[i]))).assurance == 0) {
                register(cms, secrets[i], NOW, NOW + 5000);
            }
            bytes memory attributes = bytes.concat(
                hex"314b301806092a864886f70d010903310b06092a864886f70d010701302f06092a864886f70d01090431220420", signed
            );
            bytes memory value = signP256(secrets[i], sha256(attributes));
            given[i] = ISeals.Party({
                verifier: cms,
                key: keyP256(secrets[i]),
                signed: signed,
                signature: bytes.concat(value, attributes)
            });
        }
    }

    /// @dev Put an entry that promises DOC under `root`, and another, into the log.
    function _logged(bytes32 root) private returns (ISeals.Opening memory opening, bytes32 leaf) {
        opening.salt = keccak256("salt");
        opening.before = '{"actor":"system","at":1,';
        opening.afterwards = ',"id":"ent_x","type":"agreement.promised","v":"fuqi/entry/v1"}';
        opening.size = 2;
        opening.path = new bytes32[](1);
        opening.path[0] = sha256(hex"00aa");
        leaf = seals.leafOf(DOC, root, 0, opening);
        evidence.append(2, sha256(bytes.concat(hex"01", leaf, opening.path[0])), new bytes32[](0));
    }

    function _refused(ISeals.Party[] memory given, bytes memory reason) private {
        vm.expectRevert(reason);
        seals.seal(DOC, 0, DEADLINE, given);
    }

    function _bad(ISeals.Party[] memory given, uint256 index) private view returns (bytes memory) {
        bytes32 digest = digestOf(DOC, rootOf(given), 0, DEADLINE, block.chainid, address(seals));
        return abi.encodeWithSelector(ISeals.SealsBadSignature.selector, _name(given[index]), digest);
    }

    function _name(ISeals.Party memory party) private pure returns (bytes32) {
        return hashOfKey(party.verifier, party.key);
    }

    function _revocation(bytes32 id, uint16 reason) private view returns (bytes32) {
        bytes32 kind = keccak256("RevokeSeal(bytes32 id,uint16 reason,uint64 deadline)");
        return typed("fuqi Seals", block.chainid, address(seals), keccak256(abi.encode(kind, id, reason, DEADLINE)));
    }
}

/// @dev Does all that anyone can do, rightly and wrongly, and remembers what must stay.
contract SealsHandler is SealsFixture {
    bytes32[] public ids;
    mapping(bytes32 id => bytes32) public seen;
    mapping(bytes32 id => bytes32) public seenRevocation;
    mapping(bytes32 id => bytes) private _parties;
    mapping(bytes32 id => bytes32) private _docs;
    mapping(uint256 secret => bool) private _revoked;
    uint256 public wrongly;

    constructor() {
        deployAll();
        for (uint256 secret = 1; secret <= 4; ++secret) register(p256, secret, NOW, NOW + 5000);
    }

    function target() external view returns (Seals) {
        return seals;
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    function sealRightly(uint8 first, uint8 second, uint16 doc) external {
        uint256[] memory secrets = _two(first, second);
        bytes32 document = keccak256(abi.encode(doc));
        ISeals.Party[] memory given = agreed(secrets, document, 0);
        bool valid = !_revoked[secrets[0]] && !_revoked[secrets[1]] && block.timestamp <= NOW + 5000;
        try seals.seal(document, 0, DEADLINE, given) returns (bytes32 id) {
            if (!valid) ++wrongly;
            ids.push(id);
            seen[id] = keccak256(abi.encode(seals.recordOf(id)));
            _parties[id] = abi.encode(secrets);
            _docs[id] = document;
        } catch {}
    }

    function sealWrongly(uint8 first, uint8 second, uint16 doc, uint8 how, uint16 place) external {
        bytes32 document = keccak256(abi.encode(doc));
        ISeals.Party[] memory given = agreed(_two(first, second), document, 0);
        ISeals.Party memory party = given[how & 1];
        if (how % 5 == 0) party.signature[place % 64] ^= 0x01;
        if (how % 5 == 1) party.signature = given[1 - (how & 1)].signature;
        if (how % 5 == 2) party.key = keyP256(5 + place);
        if (how % 5 == 3) document = keccak256(abi.encode(document));
        if (how % 5 == 4) party.signed = document;
        try seals.seal(document, 0, DEADLINE, given) {
            ++wrongly;
        } catch {}
    }

    function revokeRightly(uint8 which, uint16 reason) external {
        if (ids.length == 0) return;
        bytes32 id = ids[which % ids.length];
        bytes32 kind = keccak256("RevokeSeal(bytes32 id,uint16 reason,uint64 deadline)");
        bytes32 structHash = keccak256(abi.encode(kind, id, reason, DEADLINE));
        uint256[] memory secrets = abi.decode(_parties[id], (uint256[]));
        ISeals.Party[] memory given = signedBy(secrets, typed("fuqi Seals", block.chainid, address(seals), structHash));
        try seals.revoke(_docs[id], 0, reason, DEADLINE, given) {
            if (seenRevocation[id] != 0) ++wrongly;
            seenRevocation[id] = keccak256(abi.encode(seals.revocationOf(id)));
        } catch {}
    }

    function revokeSomeKey(uint8 which) external {
        if (which % 8 != 0) return;
        uint256 secret = 1 + (which / 8) % 4;
        if (_revoked[secret]) return;
        revokeKey(p256, secret);
        _revoked[secret] = true;
    }

    function wait_(uint8 seconds_) external {
        vm.warp(block.timestamp + seconds_);
    }

    function _two(uint8 first, uint8 second) private pure returns (uint256[] memory) {
        uint256 a = 1 + first % 4;
        uint256 b = 1 + second % 4;
        return list(a, a == b ? 1 + b % 4 : b);
    }
}

/// forge-config: default.invariant.runs = 8
/// forge-config: intense.invariant.runs = 500
/// forge-config: default.invariant.depth = 24
/// forge-config: intense.invariant.depth = 100
contract SealsInvariantTest is Signing {
    SealsHandler private _handler;

    function setUp() public {
        _handler = new SealsHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev Without this the invariants could hold of a handler that never does anything.
    function test_TheHandlerSealsAndRevokesAndItsWrongWaysAllFail() public {
        _handler.sealRightly(0, 1, 7);
        same(_handler.count(), 1);
        bytes32 id = _handler.ids(0);
        same(_handler.target().recordOf(id).parties, 2);
        _handler.revokeRightly(0, 3);
        same(_handler.target().revocationOf(id).reason, 3);
        isTrue(_handler.seenRevocation(id) != 0);
        for (uint8 how = 0; how < 10; ++how) _handler.sealWrongly(1, 2, 8, how, how);
        same(_handler.wrongly(), 0);
        same(_handler.count(), 1);
    }

    /// @dev I2: whatever anyone does, a record and a revocation stay as they were first written.
    function invariant_NoRecordEverChanges() external view {
        for (uint256 i = 0; i < _handler.count(); ++i) {
            bytes32 id = _handler.ids(i);
            same(keccak256(abi.encode(_handler.target().recordOf(id))), _handler.seen(id));
            bytes32 revocation = _handler.seenRevocation(id);
            if (revocation != 0) same(keccak256(abi.encode(_handler.target().revocationOf(id))), revocation);
        }
    }

    /// @dev I3: no seal without all signatures of keys that were valid then.
    function invariant_NothingIsSealedWrongly() external view {
        same(_handler.wrongly(), 0);
    }
}
