// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceLog} from "../src/EvidenceLog.sol";
import {IEvidenceLog} from "../src/interfaces/IEvidenceLog.sol";
import {Rfc9162} from "../src/libraries/Rfc9162.sol";
import {Cheats} from "./Cheats.sol";

contract EvidenceLogTest is Cheats {
    address private constant _WRITER = address(0xA11CE);
    address private constant _OTHER = address(0xB0B);

    EvidenceLog private _log;
    bytes32[] private _leaves;

    function setUp() public {
        vm.warp(1_700_000_000);
        _log = new EvidenceLog(_WRITER);
        for (uint256 i = 0; i < 32; ++i) _leaves.push(sha256(abi.encodePacked(uint8(0), uint8(i))));
    }

    function test_ANewLogHoldsTheEmptyTree() public view {
        IEvidenceLog.Head memory head = _log.head();
        same(head.size, 0);
        same(head.index, 0);
        same(head.time, 1_700_000_000);
        same(head.root, sha256(""));
        same(_log.writer(), _WRITER);
        same(_log.pendingWriter(), address(0));
    }

    function test_ALogWithoutAWriterCannotBeMade() public {
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogZeroWriter.selector));
        new EvidenceLog(address(0));
    }

    function test_TheFirstTwoSlotsHoldTheWholeHead() public {
        _append(5);
        vm.warp(1_700_000_100);
        _append(9);
        same(vm.load(address(_log), bytes32(uint256(0))), _root(0, 9));
        uint256 packed = 9 | (uint256(1_700_000_100) << 64) | (uint256(2) << 128);
        same(vm.load(address(_log), bytes32(uint256(1))), bytes32(packed));
    }

    function test_ACheckpointIsReported() public {
        _append(3);
        bytes32 root = _root(0, 7);
        bytes32[] memory path = _path(3, 7);
        vm.expectEmit(true, true, true, true, address(_log));
        emit IEvidenceLog.Checkpoint(2, 7, root);
        vm.prank(_WRITER);
        _log.append(7, root, path);
    }

    /// @dev Any rising series of sizes is accepted, and the head is always the last of it.
    function testFuzz_TheHeadFollowsEveryExtension(uint8[6] calldata steps) public {
        uint64 size = 0;
        uint64 count = 0;
        for (uint256 i = 0; i < steps.length; ++i) {
            uint64 next = size + uint64(steps[i] % 6);
            if (next == size) continue;
            _append(next);
            size = next;
            ++count;
            IEvidenceLog.Head memory head = _log.head();
            same(head.size, size);
            same(head.index, count);
            same(head.root, _root(0, size));
        }
    }

    function testFuzz_OnlyTheWriterAppends(address caller) public {
        vm.assume(caller != _WRITER);
        bytes32 root = _root(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogUnauthorized.selector, caller, _WRITER));
        vm.prank(caller);
        _log.append(1, root, new bytes32[](0));
    }

    function testFuzz_ASizeThatDoesNotGrowChangesNothing(uint64 size) public {
        _append(9);
        vm.assume(size <= 9);
        bytes32 before = vm.load(address(_log), bytes32(uint256(1)));
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogNotNewer.selector, size, 9));
        vm.prank(_WRITER);
        _log.append(size, bytes32(uint256(1)), new bytes32[](0));
        same(vm.load(address(_log), bytes32(uint256(1))), before);
        same(vm.load(address(_log), bytes32(uint256(0))), _root(0, 9));
    }

    function testFuzz_ASizeBeyondEveryReaderIsRefused(uint64 size) public {
        vm.assume(size >= 2 ** 53);
        uint64 maximum = 2 ** 53 - 1;
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogTooLarge.selector, size, maximum));
        vm.prank(_WRITER);
        _log.append(size, bytes32(uint256(1)), new bytes32[](0));
    }

    /// @dev The operator itself cannot replace a leaf it has anchored: the fork has no path from the stored root.
    function testFuzz_AForkOfTheLogIsRefused(uint256 changed) public {
        _append(6);
        bytes32 honest = _leaves[changed % 6];
        _leaves[changed % 6] = bytes32(uint256(0xBAD));
        bytes32 forged = _root(0, 11);
        bytes32 forgedOld = _root(0, 6);
        bytes32[] memory path = _path(6, 11);
        _leaves[changed % 6] = honest;
        vm.expectRevert(
            abi.encodeWithSelector(Rfc9162.Rfc9162OldRootMismatch.selector, forgedOld, _root(0, 6))
        );
        vm.prank(_WRITER);
        _log.append(11, forged, path);
    }

    function test_TheFirstCheckpointTakesNoPath() public {
        vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162PathLength.selector, 1));
        vm.prank(_WRITER);
        _log.append(4, bytes32(uint256(1)), new bytes32[](1));
    }

    function test_TheWriterRoleMovesInTwoSteps() public {
        vm.prank(_WRITER);
        _log.offerWriter(_OTHER);
        same(_log.writer(), _WRITER);
        same(_log.pendingWriter(), _OTHER);
        vm.expectEmit(true, true, true, true, address(_log));
        emit IEvidenceLog.WriterHandedOver(_WRITER, _OTHER);
        vm.prank(_OTHER);
        _log.acceptWriter();
        same(_log.writer(), _OTHER);
        same(_log.pendingWriter(), address(0));
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogUnauthorized.selector, _WRITER, _OTHER));
        vm.prank(_WRITER);
        _log.append(1, bytes32(uint256(1)), new bytes32[](0));
    }

    function testFuzz_NobodyElseOffersOrTakesTheRole(address caller) public {
        vm.assume(caller != _WRITER && caller != _OTHER);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogUnauthorized.selector, caller, _WRITER));
        vm.prank(caller);
        _log.offerWriter(caller);
        vm.prank(_WRITER);
        _log.offerWriter(_OTHER);
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogUnauthorized.selector, caller, _OTHER));
        vm.prank(caller);
        _log.acceptWriter();
    }

    function test_TheRoleIsNotOfferedToNobody() public {
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogZeroWriter.selector));
        vm.prank(_WRITER);
        _log.offerWriter(address(0));
    }

    function test_InclusionIsAnsweredForTheHead() public {
        _append(2);
        bytes32[] memory path = new bytes32[](1);
        path[0] = _leaves[1];
        isTrue(_log.isIncluded(_leaves[0], 0, 2, path));
        isFalse(_log.isIncluded(_leaves[1], 0, 2, path));
        isFalse(_log.isIncluded(_leaves[0], 2, 2, path));
        vm.expectRevert(abi.encodeWithSelector(IEvidenceLog.EvidenceLogNotHead.selector, 1, 2));
        _log.isIncluded(_leaves[0], 0, 1, path);
    }

    function test_AnEmptyLogIncludesNothing() public view {
        isFalse(_log.isIncluded(sha256(""), 0, 0, new bytes32[](0)));
    }

    function _append(uint64 size) private {
        bytes32 root = _root(0, size);
        bytes32[] memory path = _path(_log.head().size, size);
        vm.prank(_WRITER);
        _log.append(size, root, path);
    }

    function _root(uint256 low, uint256 high) private view returns (bytes32) {
        if (high - low == 1) return _leaves[low];
        uint256 split = low + _split(high - low);
        return sha256(bytes.concat(hex"01", _root(low, split), _root(split, high)));
    }

    function _path(uint256 m, uint256 n) private view returns (bytes32[] memory path) {
        if (m == 0) return new bytes32[](0);
        return _subproof(m, 0, n, true);
    }

    /// @dev SUBPROOF as RFC 9162 section 2.1.4.1 writes it.
    function _subproof(uint256 m, uint256 low, uint256 high, bool whole) private view returns (bytes32[] memory path) {
        if (m == high - low) {
            path = new bytes32[](whole ? 0 : 1);
            if (!whole) path[0] = _root(low, high);
            return path;
        }
        uint256 k = _split(high - low);
        bool left = m <= k;
        bytes32[] memory rest = left ? _subproof(m, low, low + k, whole) : _subproof(m - k, low + k, high, false);
        path = new bytes32[](rest.length + 1);
        for (uint256 i = 0; i < rest.length; ++i) path[i] = rest[i];
        path[rest.length] = left ? _root(low + k, high) : _root(low, low + k);
    }

    function _split(uint256 n) private pure returns (uint256 split) {
        split = 1;
        while (split * 2 < n) split *= 2;
    }
}
