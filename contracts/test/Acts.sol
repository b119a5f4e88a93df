// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cheats} from "./Cheats.sol";

/// @dev The cheat codes that sign acts.
interface VmActs {
    function addr(uint256 secret) external pure returns (address);

    function chainId(uint256 id) external;

    function expectEmitAnonymous(
        bool topic0,
        bool topic1,
        bool topic2,
        bool topic3,
        bool data,
        address emitter
    ) external;

    function sign(uint256 secret, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    function store(address target, bytes32 slot, bytes32 value) external;
}

/// @dev Keys are small numbers; nobody would mistake them for real ones.
abstract contract Acts is Cheats {
    VmActs internal constant vma = VmActs(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes32 internal constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    function plain(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vma.sign(secret, digest);
        return bytes.concat(r, s, bytes1(v));
    }

    function compact(uint256 secret, bytes32 digest) internal pure returns (bytes32, bytes32) {
        (uint8 v, bytes32 r, bytes32 s) = vma.sign(secret, digest);
        return (r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    function nameOf(uint256 secret) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(keccak256("fuqi/key/v1"), address(0), keccak256(bytes.concat(bytes20(vma.addr(secret)))))
        );
    }

    /// @dev EIP-712 written out again, so that a slip in the library shows.
    function digestFor(string memory name, address target, bytes memory act) internal view returns (bytes32) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN, keccak256(bytes(name)), keccak256("1"), block.chainid, target));
        return keccak256(bytes.concat(hex"1901", domain, keccak256(act)));
    }
}
