// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignerRegistry} from "../src/interfaces/ISignerRegistry.sol";
import {Keys} from "../src/libraries/Keys.sol";
import {P256Verifier} from "../src/verifiers/P256Verifier.sol";
import {Cheats} from "./Cheats.sol";

/// @dev The cheat codes that sign.
interface VmSigning {
    function addr(uint256 secret) external pure returns (address);

    function chainId(uint256 id) external;

    function etch(address target, bytes calldata code) external;

    function publicKeyP256(uint256 secret) external pure returns (uint256 x, uint256 y);

    function roll(uint256 number) external;

    function sign(uint256 secret, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    function signP256(uint256 secret, bytes32 digest) external pure returns (bytes32 r, bytes32 s);
}

/// @dev Keys are small numbers; nobody would mistake them for real ones.
abstract contract Signing is Cheats {
    VmSigning internal constant vms = VmSigning(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551;
    uint64 internal constant NOW = 1_800_000_000;

    function keyP256(uint256 secret) internal pure returns (bytes memory) {
        (uint256 x, uint256 y) = vms.publicKeyP256(secret);
        return abi.encode(x, y);
    }

    function signP256(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = vms.signP256(secret, digest);
        if (uint256(s) > ORDER / 2) s = bytes32(ORDER - uint256(s));
        return abi.encode(r, s);
    }

    function hashOfKey(address verifier, bytes memory key) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("fuqi/key/v1"), verifier, keccak256(key)));
    }

    function answers(bytes4 found, bytes4 expected) internal pure {
        same(bytes32(found), bytes32(expected));
    }

    /// @dev As Keys.digest, for a contract at another address or chain.
    function typed(string memory name, uint256 chain, address target, bytes32 structHash)
        internal
        pure
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                chain,
                target
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    /// @dev Secrets in the order of their key hashes.
    function ordered(address verifier, uint256[] memory secrets) internal pure returns (uint256[] memory) {
        for (uint256 i = 1; i < secrets.length; ++i) {
            for (uint256 j = i; j > 0; --j) {
                bytes32 left = hashOfKey(verifier, keyP256(secrets[j - 1]));
                if (left < hashOfKey(verifier, keyP256(secrets[j]))) break;
                (secrets[j - 1], secrets[j]) = (secrets[j], secrets[j - 1]);
            }
        }
        return secrets;
    }

    function approvals(address verifier, uint256[] memory secrets, bytes32 digest)
        internal
        pure
        returns (ISignerRegistry.Approval[] memory given)
    {
        given = new ISignerRegistry.Approval[](secrets.length);
        for (uint256 i = 0; i < secrets.length; ++i) {
            given[i] = ISignerRegistry.Approval({
                verifier: verifier,
                key: keyP256(secrets[i]),
                signature: signP256(secrets[i], digest)
            });
        }
    }

    function list(uint256 a, uint256 b) internal pure returns (uint256[] memory values) {
        values = new uint256[](2);
        (values[0], values[1]) = (a, b);
    }

    function list(uint256 a, uint256 b, uint256 c) internal pure returns (uint256[] memory values) {
        values = new uint256[](3);
        (values[0], values[1], values[2]) = (a, b, c);
    }
}

/// @dev Stands at 0x100 and answers as EIP-7951 does, by means of the library.
contract PrecompileDouble {
    fallback(bytes calldata input) external returns (bytes memory) {
        (bytes32 hash, bytes32 r, bytes32 s, bytes32 x, bytes32 y) =
            abi.decode(input, (bytes32, bytes32, bytes32, bytes32, bytes32));
        P256Verifier verifier = P256Verifier(address(0x7951));
        bytes4 answer = verifier.verify(abi.encode(x, y), hash, abi.encode(r, s));
        return answer == verifier.verify.selector ? abi.encode(1) : bytes("");
    }
}

/// @dev An address that says yes to everything.
contract YesToAll {
    fallback(bytes calldata) external returns (bytes memory) {
        return abi.encode(1);
    }
}
