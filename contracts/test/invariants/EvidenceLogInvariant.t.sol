// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceLog} from "../../src/EvidenceLog.sol";
import {IEvidenceLog} from "../../src/interfaces/IEvidenceLog.sol";
import {Cheats} from "../Cheats.sol";

/// @dev RFC 9162 sections 2.1.1 and 2.1.4.1 as written there, over leaves 0, 1, 2 … of a tree of its own.
abstract contract Trees {
    function leafAt(uint256 index, uint256 salt) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), index, salt));
    }

    /// @param forged Index of a leaf that is another one, or any number behind the end.
    function rootOf(uint256 low, uint256 high, uint256 forged) internal pure returns (bytes32) {
        if (high - low == 1) return leafAt(low, low == forged ? 1 : 0);
        uint256 split = low + splitOf(high - low);
        return sha256(bytes.concat(hex"01", rootOf(low, split, forged), rootOf(split, high, forged)));
    }

    function pathOf(uint256 m, uint256 n, uint256 forged) internal pure returns (bytes32[] memory) {
        return m == 0 ? new bytes32[](0) : _subproof(m, 0, n, true, forged);
    }

    function splitOf(uint256 n) internal pure returns (uint256 split) {
        split = 1;
        while (split * 2 < n) split *= 2;
    }

    function _subproof(uint256 m, uint256 low, uint256 high, bool whole, uint256 forged)
        private
        pure
        returns (bytes32[] memory path)
    {
        if (m == high - low) {
            path = new bytes32[](whole ? 0 : 1);
            if (!whole) path[0] = rootOf(low, high, forged);
            return path;
        }
        uint256 k = splitOf(high - low);
        bool left = m <= k;
        bytes32[] memory rest =
            left ? _subproof(m, low, low + k, whole, forged) : _subproof(m - k, low + k, high, false, forged);
        path = new bytes32[](rest.length + 1);
        for (uint256 i = 0; i < rest.length; ++i) path[i] = rest[i];
        path[rest.length] = left ? rootOf(low + k, high, forged) : rootOf(low, low + k, forged);
    }
}

/// @dev The writer and everybody else, rightly and wrongly; remembers each accepted head.
contract EvidenceLogHandler is Trees, Cheats {
    uint64 private constant _GROWN = 32;

    EvidenceLog public log;
    IEvidenceLog.Head[] private _heads;
    address private _writer = address(0xA11CE);
    uint256 public wrongly;

    constructor() {
        vm.warp(1_800_000_000);
        log = new EvidenceLog(_writer);
        _heads.push(log.head());
    }

    function heads() external view returns (IEvidenceLog.Head[] memory) {
        return _heads;
    }

    function grow(uint8 by) external {
        uint64 size = log.head().size + 1 + by % 4;
        if (size > _GROWN) return;
        _append(_writer, size, rootOf(0, size, type(uint256).max), pathOf(size - 1 - by % 4, size, type(uint256).max));
    }

    /// @dev A log that differs in one old leaf, with that log's own, valid, path.
    function fork(uint8 by, uint256 which) external {
        uint64 old = log.head().size;
        uint64 size = old + 1 + by % 4;
        if (old == 0 || size > _GROWN) return;
        uint256 forged = which % old;
        if (_append(_writer, size, rootOf(0, size, forged), pathOf(old, size, forged))) ++wrongly;
    }

    /// @dev The stored root or an old one again, at any size not above the head's.
    function shrink(uint256 which, uint64 size) external {
        bytes32 root = _heads[which % _heads.length].root;
        if (_append(_writer, size % (log.head().size + 1), root, new bytes32[](0))) ++wrongly;
    }

    function invent(uint64 size, bytes32 root, bytes32[] calldata path) external {
        if (log.head().size == 0) return;
        if (_append(_writer, size, root, path)) ++wrongly;
    }

    function intrude(address caller, uint8 by) external {
        uint64 old = log.head().size;
        uint64 size = old + 1 + by % 4;
        if (caller == _writer || size > _GROWN) return;
        bytes32[] memory path = pathOf(old, size, type(uint256).max);
        if (_append(caller, size, rootOf(0, size, type(uint256).max), path)) ++wrongly;
    }

    function handOver(uint160 to) external {
        address next = address(to | 1);
        vm.prank(_writer);
        log.offerWriter(next);
        vm.prank(next);
        log.acceptWriter();
        _writer = next;
    }

    function wait_(uint16 seconds_) external {
        vm.warp(block.timestamp + seconds_);
    }

    function _append(address caller, uint64 size, bytes32 root, bytes32[] memory path) private returns (bool) {
        vm.prank(caller);
        try log.append(size, root, path) {
            _heads.push(log.head());
            return true;
        } catch {
            return false;
        }
    }
}

contract EvidenceLogInvariantTest is Trees, Cheats {
    EvidenceLogHandler private _handler;

    function setUp() public {
        _handler = new EvidenceLogHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev Without this the invariant could hold of a handler that never does anything.
    function test_TheHandlerGrowsTheLogAndItsWrongWaysAllFail() public {
        _handler.grow(2);
        _handler.grow(0);
        _handler.handOver(77);
        _handler.grow(3);
        same(_handler.heads().length, 4);
        same(_handler.log().head().size, 8);
        for (uint8 i = 0; i < 8; ++i) {
            _handler.fork(i, i);
            _handler.shrink(i, i);
            _handler.intrude(address(0xB0B), i);
        }
        _handler.invent(9, bytes32(uint256(1)), new bytes32[](1));
        same(_handler.wrongly(), 0);
        same(_handler.heads().length, 4);
    }

    /// @dev I1: sizes only rise, the index counts them, time does not run back, and each accepted root is that of the same leaves:
    ///      every head extends every head before it.
    /// forge-config: default.invariant.runs = 20
    /// forge-config: intense.invariant.runs = 500
    /// forge-config: default.invariant.depth = 50
    /// forge-config: intense.invariant.depth = 500
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_EveryHeadExtendsAllBefore() external view {
        same(_handler.wrongly(), 0);
        IEvidenceLog.Head[] memory heads = _handler.heads();
        IEvidenceLog.Head memory last = heads[heads.length - 1];
        same(keccak256(abi.encode(_handler.log().head())), keccak256(abi.encode(last)));
        same(last.index, heads.length - 1);
        same(last.root, last.size == 0 ? sha256("") : rootOf(0, last.size, type(uint256).max));
        if (heads.length < 2) return;
        IEvidenceLog.Head memory before = heads[heads.length - 2];
        isTrue(last.size > before.size);
        isTrue(last.time >= before.time);
    }
}
