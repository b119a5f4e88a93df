"""What every signed act of our contracts shares: the EIP-712 domain, the digest to sign, the name of a key.

One encoder for these bytes; their Solidity twins are in `src/libraries/Keys.sol` and each contract's domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import encode
from eth_hash.auto import keccak

_KEY_TAG: Final = keccak(b"fuqi/key/v1")
_DOMAIN: Final = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_VERSION: Final = keccak(b"1")


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract on a chain; every digest names both. `address` is 20 bytes."""

    chain_id: int
    address: bytes


def typed_digest(contract: Contract, name: bytes, struct: bytes) -> bytes:
    """The 32 bytes to sign (EIP-712).

    Args:
        name: keccak-256 of the contract's domain name.
        struct: the encoded struct, its type hash first, not yet hashed.
    """
    types = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    domain = encode(types, [_DOMAIN, name, _VERSION, contract.chain_id, contract.address])
    return keccak(b"\x19\x01" + keccak(domain) + keccak(struct))


def key_hash(*, verifier: bytes, key: bytes) -> bytes:
    """The name of a public key: nobody can bring a verifier of their own for it.

    Args:
        verifier: 20 bytes; zero for secp256k1 keys that the chain itself checks.
        key: in that verifier's form; an address (20 bytes) for verifier zero.
    """
    types = ["bytes32", "address", "bytes32"]
    return keccak(encode(types, [_KEY_TAG, verifier, keccak(key)]))
