// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cheats} from "../Cheats.sol";
import {Rfc9162Harness} from "../libraries/Rfc9162.t.sol";

/// @dev The cheat codes that read the vectors.
interface VmVectors {
    function parseJsonStringArray(string calldata json, string calldata key) external pure returns (string[] memory);

    function toString(bytes32 value) external pure returns (string memory);
}

/// @dev I1 for every pair of sizes up to 64. Paths come from the recursion that RFC 9162 writes down; that they are the
///      paths of golang.org/x/mod and transparency-dev/merkle is shown by tests/golden/merkle/go_vectors.json, and that Python
///      makes the same by tests/property/test_merkle_rfc9162_vectors.py.
contract Rfc9162ExhaustiveTest is Cheats {
    VmVectors private constant _VM = VmVectors(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant _SIZES = 64;
    bytes32 private constant _OTHER = keccak256("another");

    Rfc9162Harness private _proofs;
    string private _json;
    /// @dev Roots of leaves [low, high), made when first asked for.
    mapping(uint256 low => mapping(uint256 high => bytes32)) private _known;

    function setUp() public {
        _proofs = new Rfc9162Harness();
        _json = vm.readFile("../tests/golden/merkle/go_vectors.json");
    }

    function test_EveryRootIsThatOfGo() public {
        string[] memory roots = _VM.parseJsonStringArray(_json, ".roots");
        same(roots.length, _SIZES + 1);
        for (uint256 size = 1; size <= _SIZES; ++size) _sameText(_root(0, size), roots[size]);
    }

    function test_EveryConsistencyPathOfGoExtendsAndNothingElseDoes() public {
        string[] memory digests = _VM.parseJsonStringArray(_json, ".consistency_sha256");
        for (uint256 size = 1; size <= _SIZES; ++size) {
            bytes memory all;
            for (uint256 old = 1; old <= size; ++old) {
                bytes32[] memory path = _subproof(old, 0, size, true);
                all = bytes.concat(all, bytes1(uint8(path.length)), abi.encodePacked(path));
                // A head of the same size is no extension: EvidenceLog refuses it before it asks.
                if (old == size) continue;
                _proofs.requireExtends(old, _root(0, old), size, _root(0, size), path);
                _refuseOthers(old, size, path);
            }
            _sameText(sha256(all), digests[size - 1]);
        }
    }

    function test_EveryInclusionPathOfGoIsIncludedAndNoOther() public {
        string[] memory digests = _VM.parseJsonStringArray(_json, ".inclusion_sha256");
        for (uint256 size = 1; size <= _SIZES; ++size) {
            bytes memory all;
            for (uint256 index = 0; index < size; ++index) {
                bytes32[] memory path = _audit(index, 0, size);
                all = bytes.concat(all, bytes1(uint8(path.length)), abi.encodePacked(path));
                bytes32 leaf = _root(index, index + 1);
                isTrue(_proofs.includes(leaf, index, size, _root(0, size), path));
                isFalse(_proofs.includes(leaf, (index + 1) % size, size, _root(0, size), path) && size > 1);
                isFalse(_proofs.includes(leaf, index, size, _OTHER, path));
                isFalse(_proofs.includes(_OTHER, index, size, _root(0, size), path));
                for (uint256 k = 0; k < path.length; ++k) {
                    bytes32 step = path[k];
                    path[k] = _OTHER;
                    isFalse(_proofs.includes(leaf, index, size, _root(0, size), path));
                    path[k] = step;
                }
            }
            _sameText(sha256(all), digests[size - 1]);
        }
    }

    /// @dev Sizes far beyond those a test can enumerate: all leaves alike, so each level has one hash.
    /// forge-config: default.fuzz.runs = 200
    function testFuzz_LargeTreesExtendByTheirOwnPathOnly(uint64 old, uint64 size, uint8 where) public {
        size = size % (2 ** 53 - 2) + 2;
        old = old % (size - 1) + 1;
        bytes32[] memory levels = _levels();
        bytes32[] memory path = _uniformPath(old, size, levels);
        (bytes32 oldRoot, bytes32 root) = (_uniformRoot(old, levels), _uniformRoot(size, levels));
        _proofs.requireExtends(old, oldRoot, size, root, path);
        isFalse(_extends(old, oldRoot, size, _OTHER, path));
        isFalse(_extends(old, _OTHER, size, root, path));
        isFalse(_extends(old, oldRoot, size, root, _resized(path, path.length + 1)));
        if (path.length == 0) return;
        isFalse(_extends(old, oldRoot, size, root, _resized(path, path.length - 1)));
        path[where % path.length] = _OTHER;
        isFalse(_extends(old, oldRoot, size, root, path));
    }

    function _refuseOthers(uint256 old, uint256 size, bytes32[] memory path) private {
        (bytes32 oldRoot, bytes32 root) = (_root(0, old), _root(0, size));
        isFalse(_extends(old, oldRoot, size, _OTHER, path));
        isFalse(_extends(old, _OTHER, size, root, path));
        isFalse(_extends(old, oldRoot, size, root, _resized(path, path.length + 1)));
        if (path.length == 0) return;
        isFalse(_extends(old, oldRoot, size, root, _resized(path, path.length - 1)));
        for (uint256 k = 0; k < path.length; ++k) {
            bytes32 step = path[k];
            path[k] = _OTHER;
            isFalse(_extends(old, oldRoot, size, root, path));
            path[k] = step;
        }
        // The same path between other sizes, with those sizes' own roots.
        if (old > 1) isFalse(_extends(old - 1, _root(0, old - 1), size, root, path));
        isFalse(_extends(old, oldRoot, size + 1, _root(0, size + 1), path));
    }

    function _extends(uint256 old, bytes32 oldRoot, uint256 size, bytes32 root, bytes32[] memory path)
        private
        view
        returns (bool)
    {
        try _proofs.requireExtends(old, oldRoot, size, root, path) {
            return true;
        } catch {
            return false;
        }
    }

    function _root(uint256 low, uint256 high) private returns (bytes32 root) {
        root = _known[low][high];
        if (root != 0) return root;
        if (high - low == 1) {
            root = sha256(abi.encodePacked(uint8(0), uint8(low)));
        } else {
            uint256 split = low + _split(high - low);
            root = sha256(bytes.concat(hex"01", _root(low, split), _root(split, high)));
        }
        _known[low][high] = root;
    }

    function _subproof(uint256 m, uint256 low, uint256 high, bool whole) private returns (bytes32[] memory path) {
        if (m == high - low) {
            path = new bytes32[](whole ? 0 : 1);
            if (!whole) path[0] = _root(low, high);
            return path;
        }
        uint256 k = _split(high - low);
        bool left = m <= k;
        bytes32[] memory rest = left ? _subproof(m, low, low + k, whole) : _subproof(m - k, low + k, high, false);
        return _with(rest, left ? _root(low + k, high) : _root(low, low + k));
    }

    function _audit(uint256 m, uint256 low, uint256 high) private returns (bytes32[] memory path) {
        if (high - low == 1) return new bytes32[](0);
        uint256 split = low + _split(high - low);
        return m < split
            ? _with(_audit(m, low, split), _root(split, high))
            : _with(_audit(m, split, high), _root(low, split));
    }

    function _levels() private pure returns (bytes32[] memory levels) {
        levels = new bytes32[](54);
        levels[0] = sha256(abi.encodePacked(uint8(0), "fuqi test leaf"));
        for (uint256 i = 1; i < 54; ++i) levels[i] = sha256(bytes.concat(hex"01", levels[i - 1], levels[i - 1]));
    }

    function _uniformRoot(uint256 count, bytes32[] memory levels) private pure returns (bytes32) {
        if (count & (count - 1) == 0) return levels[_log(count)];
        uint256 k = _split(count);
        return sha256(bytes.concat(hex"01", levels[_log(k)], _uniformRoot(count - k, levels)));
    }

    function _uniformPath(uint256 m, uint256 n, bytes32[] memory levels) private pure returns (bytes32[] memory) {
        bytes32[] memory reversed = new bytes32[](110);
        uint256 count = 0;
        bool whole = true;
        while (m != n) {
            uint256 k = _split(n);
            if (m <= k) {
                reversed[count++] = _uniformRoot(n - k, levels);
                n = k;
            } else {
                reversed[count++] = levels[_log(k)];
                (m, n, whole) = (m - k, n - k, false);
            }
        }
        if (!whole) reversed[count++] = _uniformRoot(n, levels);
        bytes32[] memory path = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) path[i] = reversed[count - 1 - i];
        return path;
    }

    function _split(uint256 n) private pure returns (uint256 split) {
        split = 1;
        while (split * 2 < n) split *= 2;
    }

    function _log(uint256 power) private pure returns (uint256 log) {
        while (power > 1) {
            power >>= 1;
            ++log;
        }
    }

    function _with(bytes32[] memory path, bytes32 last) private pure returns (bytes32[] memory longer) {
        longer = _resized(path, path.length + 1);
        longer[path.length] = last;
    }

    function _resized(bytes32[] memory path, uint256 length) private pure returns (bytes32[] memory out) {
        out = new bytes32[](length);
        for (uint256 i = 0; i < length && i < path.length; ++i) out[i] = path[i];
    }

    function _sameText(bytes32 found, string memory expected) private pure {
        same(keccak256(bytes(_VM.toString(found))), keccak256(bytes(string.concat("0x", expected))));
    }
}
