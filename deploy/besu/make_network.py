#!/usr/bin/env python3
"""Make the keys and files of a QBFT network of Besu nodes: `make_network.py FOLDER [--validators 4]`.

Writes, into an absent folder:

    genesis.json, static-nodes.json   the same for every node
    nodeN/key, nodeN/data/            a validator's key (0600), which seals blocks and names the node
    fuqi/chain.key                    the key that writes the evidence log (0600); all money is its
    fuqi/database.password            of PostgreSQL, random (0600)
    fuqi/validators.json              {k, addresses}: for the trust file, see README.md

Where several bodies run the network, each makes its own key with Besu and only the addresses are put together:
`--address 0x… --enode enode://…` once for each, and no key but the writer's is made here.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coincurve import PrivateKey

from ledger.chain_key import OperatorKey
from ledger.keccak import keccak
from ledger.validator_seals import BFT_DIGEST, bft_extra_data

CHAIN_ID = 20_261_124
FIRST_HOST = 11
NETWORK = "172.30.57"
"""compose.yaml gives node N the address .10 + N; Besu wants addresses, not names, in an enode."""
P2P_PORT = 30303
GAS_LIMIT = 30_000_000
BLOCK_SECONDS = 2
WRITER_WEI = 10**24


def genesis_json(validators: Sequence[str], *, writer: str) -> dict[str, Any]:
    """The first block of a Besu QBFT network: rules up to Cancun, a base fee, money for the writer only."""
    forks = ("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople")
    later = ("petersburg", "istanbul", "berlin", "london")
    return {
        "config": {
            "chainId": CHAIN_ID,
            **{f"{fork}Block": 0 for fork in (*forks, *later)},
            "shanghaiTime": 0,
            "cancunTime": 0,
            "qbft": {
                "blockperiodseconds": BLOCK_SECONDS,
                "epochlength": 30_000,
                "requesttimeoutseconds": 2 * BLOCK_SECONDS,
            },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "mixHash": "0x" + BFT_DIGEST.hex(),
        "coinbase": "0x" + "00" * 20,
        "extraData": "0x" + bft_extra_data(validators).hex(),
        "alloc": {writer[2:]: {"balance": hex(WRITER_WEI)}},
    }


def quorum(validators: int) -> int:
    """Two thirds, rounded up: so many must seal a QBFT block, so many a trust file should ask for."""
    return -(-2 * validators // 3)


def main() -> int:
    """The command line; see the head of this file."""
    parser = argparse.ArgumentParser(description="keys and files of a Besu QBFT network")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--address", action="append", default=[], help="a validator of others")
    parser.add_argument("--enode", action="append", default=[], help="where that validator is")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} is there already; keys are never overwritten")
    if len(options.address) != len(options.enode):
        parser.error("give --address and --enode as often as each other")
    if not options.address and not 4 <= options.validators <= 100:
        parser.error("QBFT bears a fault from four validators on; at most 100")
    options.folder.mkdir(mode=0o700, parents=True)
    addresses = [str(address).lower() for address in options.address]
    enodes = list(options.enode)
    if not addresses:
        for index in range(options.validators):
            address, enode = _new_node(options.folder / f"node{index + 1}", index)
            addresses.append(address)
            enodes.append(enode)
    (options.folder / "fuqi").mkdir()
    writer = OperatorKey.load_or_create(options.folder / "fuqi" / "chain.key")
    _write(options.folder / "genesis.json", genesis_json(addresses, writer=writer.address_hex))
    _write(options.folder / "static-nodes.json", enodes)
    _write_secret(options.folder / "fuqi" / "database.password", secrets.token_urlsafe(24))
    pinned = {"k": quorum(len(addresses)), "addresses": sorted(addresses)}
    _write(options.folder / "fuqi" / "validators.json", pinned)
    return 0


def _new_node(folder: Path, index: int) -> tuple[str, str]:
    """(address, enode) of a node whose key is made here."""
    key = PrivateKey()
    public = key.public_key.format(compressed=False)[1:]
    (folder / "data").mkdir(parents=True, mode=0o700)
    _write_secret(folder / "key", "0x" + key.secret.hex())
    host = f"{NETWORK}.{FIRST_HOST + index}"
    return "0x" + keccak(public)[12:].hex(), f"enode://{public.hex()}@{host}:{P2P_PORT}"


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
