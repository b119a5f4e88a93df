"""Make the vectors of validators' seals: `generate_seals.py [--network] --write`.

SOURCE of seals_qbft.json and seals_ibft2.json: made here from the written rules with the libraries `rlp`
and `coincurve`, not with ledger/validator_seals.py; keys are digests of invented words. Blocks of a real QBFT
engine that carry commit seals could not be had where this was written.
SOURCE of seals_clique.json: four validators of geth 1.13.15, started by scripts/network.py. What was once made
must verify for ever, so an existing file is kept.
SOURCE of besu_qbft_genesis.json, which is not made here: the first block of a Besu QBFT test network as Besu
printed it in its pull request 6285 (December 2023); it pins the layout of header and extra data.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path

import rlp
from coincurve import PrivateKey
from eth_hash.auto import keccak

from ledger.chain_key import OperatorKey
from ledger.testing import FakeChain, MemoryLog
from ledger.web3_chain import Web3Chain

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
KEYS = [PrivateKey(keccak(f"invented validator {index}".encode())) for index in range(4)]
BFT_DIGEST = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
HEADER = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot"),
    *("logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData"),
    *("mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas"),
    *("parentBeaconBlockRoot", "requestsHash"),
)
NUMBERS = {
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
}
NUMBERS |= {"excessBlobGas"}
SEALED = 3
ROUND = 1


def public(key: PrivateKey) -> bytes:
    return key.public_key.format(compressed=False)[1:]


def address(key: PrivateKey) -> bytes:
    return keccak(public(key))[12:]


def bft(rule: str) -> dict[str, object]:
    """A block whose state holds a head, sealed by three of four validators in round 1."""
    chain, log = FakeChain(), MemoryLog()
    chain.deploy()
    size, root = log.grow(5)
    signed = chain.sign_append(
        size=size, root=root, proof=[], nonce=chain.nonce(), fees=chain.fees()
    )
    chain.send(signed.raw)
    evidence = chain.evidence(chain.find_append(size=size, root=root).block_number)
    fields = [bytes(item) for item in rlp.decode(bytes.fromhex(evidence["header_rlp"][2:]))]
    vanity, validators = bytes(32), sorted(address(key) for key in KEYS)
    fields[7], fields[13], fields[14] = b"\x01", BFT_DIGEST, bytes(8)

    def header(extra: list[object]) -> bytes:
        return rlp.encode([*fields[:12], rlp.encode(extra), *fields[13:]])

    if rule == "qbft":
        hashed = header([vanity, validators, [], 0, []])
        digest = keccak(header([vanity, validators, [], ROUND, []]))
    else:
        hashed = header([vanity, validators, b""])
        digest = keccak(header([vanity, validators, b"", ROUND.to_bytes(4, "big")]))
    seals = [key.sign_recoverable(digest, hasher=None) for key in KEYS[:SEALED]]
    told = (
        [vanity, validators, [], ROUND, seals]
        if rule == "qbft"
        else [vanity, validators, b"", ROUND.to_bytes(4, "big"), seals]
    )
    block_hash = "0x" + keccak(hashed).hex()
    evidence |= {
        "header_rlp": "0x" + hashed.hex(),
        "block_hash": block_hash,
        "seals": {
            "rule": rule,
            "round": ROUND,
            "seals": ["0x" + seal[:64].hex() for seal in seals],
            "signers": ["0x" + public(key).hex() for key in KEYS[:SEALED]],
        },
    }
    block = {
        name: hex(int.from_bytes(value, "big")) if name in NUMBERS else "0x" + value.hex()
        for name, value in zip(HEADER, rlp.decode(header(told)), strict=False)
    }
    return {
        "source": "made by tests/golden/chain/generate_seals.py from the written rules",
        "block_as_told_by_a_node": block | {"hash": block_hash},
        "evidence": evidence,
        "size": size,
        "root": root.hex(),
        "validators": ["0x" + name.hex() for name in validators],
        "sealed_by": ["0x" + address(key).hex() for key in KEYS[:SEALED]],
    }


def clique() -> dict[str, object]:
    """Evidence of an append on a real network, read when six blocks stood on it."""
    spec = importlib.util.spec_from_file_location("network_script", ROOT / "scripts" / "network.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["network_script"] = module
    spec.loader.exec_module(module)
    key, log = OperatorKey.create(), MemoryLog()
    with (
        tempfile.TemporaryDirectory() as folder,
        module.Network(Path(folder), funded=[key.address_hex]) as network,
    ):
        chain = Web3Chain(network.nodes[0].url, key=key, confirmations=6)
        chain.deploy()
        size, root = log.grow(5)
        signed = chain.sign_append(
            size=size,
            root=root,
            proof=log.path(0, size),
            nonce=chain.nonce(),
            fees=chain.fees(),
        )
        chain.send(signed.raw)
        while (seen := chain.find_append(size=size, root=root)) is None or not seen.final:
            time.sleep(0.5)
        return {
            "source": "four validators of geth 1.13.15 (clique), started by scripts/network.py",
            "evidence": chain.evidence(seen.block_number),
            "size": size,
            "root": root.hex(),
            "validators": network.validators,
        }


def text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def main() -> None:
    for rule in ("qbft", "ibft2"):
        path = HERE / f"seals_{rule}.json"
        if "--write" in sys.argv and not path.exists():
            path.write_text(text(bft(rule)), encoding="utf-8")
    path = HERE / "seals_clique.json"
    if "--network" in sys.argv and "--write" in sys.argv and not path.exists():
        path.write_text(text(clique()), encoding="utf-8")


if __name__ == "__main__":
    main()
