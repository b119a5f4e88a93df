// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc9162} from "../../src/libraries/Rfc9162.sol";
import {Cheats} from "../Cheats.sol";

/// @dev Gives the internal functions an outside, so that a revert can be expected.
contract Rfc9162Harness {
    function requireExtends(uint256 oldSize, bytes32 oldRoot, uint256 size, bytes32 root, bytes32[] calldata path)
        external
        view
    {
        Rfc9162.requireExtends(oldSize, oldRoot, size, root, path);
    }

    function includes(bytes32 leaf, uint256 index, uint256 size, bytes32 root, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return Rfc9162.includes(leaf, index, size, root, path);
    }
}

struct Extension {
    uint64 oldSize;
    bytes32 oldRoot;
    uint64 size;
    bytes32 root;
    bytes32[] path;
}

struct Inclusion {
    bytes32 leaf;
    uint64 index;
    uint64 size;
    bytes32 root;
    bytes32[] path;
}

contract Rfc9162Test is Cheats {
    Rfc9162Harness private _proofs;
    Extension[] private _extensions;
    Inclusion[] private _inclusions;

    function setUp() public {
        _proofs = new Rfc9162Harness();
        bytes memory blob = vm.parseJsonBytes(vm.readFile("../tests/golden/chain/merkle_vectors.json"), ".abi");
        (Extension[] memory extensions, Inclusion[] memory inclusions) = abi.decode(blob, (Extension[], Inclusion[]));
        for (uint256 i = 0; i < extensions.length; ++i) _extensions.push(extensions[i]);
        for (uint256 i = 0; i < inclusions.length; ++i) _inclusions.push(inclusions[i]);
    }

    function test_EveryExtensionMadeByPythonIsAccepted() public view {
        same(_extensions.length, 136 + 5);
        for (uint256 i = 0; i < _extensions.length; ++i) {
            Extension memory e = _extensions[i];
            _proofs.requireExtends(e.oldSize, e.oldRoot, e.size, e.root, e.path);
        }
    }

    function test_EveryInclusionMadeByPythonIsAccepted() public view {
        same(_inclusions.length, 136);
        for (uint256 i = 0; i < _inclusions.length; ++i) {
            Inclusion memory e = _inclusions[i];
            isTrue(_proofs.includes(e.leaf, e.index, e.size, e.root, e.path));
        }
    }

    function test_EveryOtherIndexAndEveryFlippedStepOfAnInclusionIsFalse() public view {
        for (uint256 i = 0; i < _inclusions.length; ++i) {
            Inclusion memory e = _inclusions[i];
            for (uint64 index = 0; index <= e.size; ++index) {
                if (index != e.index) isFalse(_proofs.includes(e.leaf, index, e.size, e.root, e.path));
            }
            for (uint256 k = 0; k < e.path.length; ++k) {
                e.path[k] ^= bytes32(uint256(1));
                isFalse(_proofs.includes(e.leaf, e.index, e.size, e.root, e.path));
                e.path[k] ^= bytes32(uint256(1));
            }
        }
    }

    /// @dev A step on the right edge changes both sums, so the old root is missed first; any other step only the new.
    function testFuzz_AFlippedStepRevertsWithThePredictedError(uint256 pick, uint256 where, uint256 bits) public {
        Extension memory e = _extensions[pick % _extensions.length];
        vm.assume(e.path.length > 0 && bits != 0);
        e.path[where % e.path.length] ^= bytes32(bits);
        (bytes32 old, bytes32 fresh) = _rebuild(e);
        if (old != e.oldRoot) {
            vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162OldRootMismatch.selector, old, e.oldRoot));
        } else {
            vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162RootMismatch.selector, fresh, e.root));
        }
        _proofs.requireExtends(e.oldSize, e.oldRoot, e.size, e.root, e.path);
    }

    function testFuzz_AnotherOldRootIsRefused(uint256 pick, bytes32 other) public {
        Extension memory e = _extensions[pick % _extensions.length];
        vm.assume(e.oldSize > 0 && other != e.oldRoot);
        bool complete = e.oldSize & (e.oldSize - 1) == 0;
        bytes32 rebuilt = complete ? other : e.oldRoot;
        e.oldRoot = other;
        if (complete) {
            // The old root is itself the first step: it matches itself, and the new root is missed.
            (, bytes32 fresh) = _rebuild(e);
            vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162RootMismatch.selector, fresh, e.root));
        } else {
            vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162OldRootMismatch.selector, rebuilt, other));
        }
        _proofs.requireExtends(e.oldSize, e.oldRoot, e.size, e.root, e.path);
    }

    function testFuzz_AnotherNewRootIsRefused(uint256 pick, bytes32 other) public {
        Extension memory e = _extensions[pick % _extensions.length];
        vm.assume(e.oldSize > 0 && other != e.root);
        vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162RootMismatch.selector, e.root, other));
        _proofs.requireExtends(e.oldSize, e.oldRoot, e.size, other, e.path);
    }

    function test_EveryPathOneStepTooShortOrTooLongIsRefused() public {
        for (uint256 i = 0; i < _extensions.length; ++i) {
            Extension memory e = _extensions[i];
            bytes32[] memory longer = _resized(e.path, e.path.length + 1);
            vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162PathLength.selector, longer.length));
            _proofs.requireExtends(e.oldSize, e.oldRoot, e.size, e.root, longer);
            if (e.path.length == 0) continue;
            bytes32[] memory shorter = _resized(e.path, e.path.length - 1);
            vm.expectRevert(abi.encodeWithSelector(Rfc9162.Rfc9162PathLength.selector, shorter.length));
            _proofs.requireExtends(e.oldSize, e.oldRoot, e.size, e.root, shorter);
        }
    }

    function testFuzz_RandomPathsNeverExtendAndNeverPanic(
        uint64 oldSize,
        uint64 size,
        bytes32 oldRoot,
        bytes32 root,
        bytes32[] calldata path
    ) public view {
        vm.assume(oldSize > 0 && oldSize < size);
        try _proofs.requireExtends(oldSize, oldRoot, size, root, path) {
            revert("a random path was accepted");
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            isTrue(
                selector == Rfc9162.Rfc9162PathLength.selector || selector == Rfc9162.Rfc9162OldRootMismatch.selector
                    || selector == Rfc9162.Rfc9162RootMismatch.selector
            );
        }
    }

    /// @dev The two sums again, written the other way round: recursion over the split, not bit by bit.
    function _rebuild(Extension memory e) private pure returns (bytes32 old, bytes32 fresh) {
        uint256 next = e.path.length;
        bool complete = e.oldSize & (e.oldSize - 1) == 0;
        (old, fresh, next) = _subtree(e.oldSize, e.size, true, complete, e, next);
        same(next, 0);
    }

    function _subtree(uint256 m, uint256 n, bool edge, bool complete, Extension memory e, uint256 next)
        private
        pure
        returns (bytes32 old, bytes32 fresh, uint256)
    {
        if (m == n) {
            if (edge) return (e.oldRoot, e.oldRoot, next);
            return (e.path[next - 1], e.path[next - 1], next - 1);
        }
        uint256 split = 1;
        while (split * 2 < n) split *= 2;
        bytes32 step = e.path[next - 1];
        if (m <= split) {
            (old, fresh, next) = _subtree(m, split, edge, complete, e, next - 1);
            return (old, sha256(bytes.concat(hex"01", fresh, step)), next);
        }
        (old, fresh, next) = _subtree(m - split, n - split, false, complete, e, next - 1);
        return (sha256(bytes.concat(hex"01", step, old)), sha256(bytes.concat(hex"01", step, fresh)), next);
    }

    function _resized(bytes32[] memory path, uint256 length) private pure returns (bytes32[] memory out) {
        out = new bytes32[](length);
        for (uint256 i = 0; i < length && i < path.length; ++i) out[i] = path[i];
    }
}
