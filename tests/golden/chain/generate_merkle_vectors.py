"""Writes merkle_vectors.json: `python tests/golden/chain/generate_merkle_vectors.py`.

Consistency and inclusion proofs made by ledger/core/merkle.py, for the Solidity verifier to accept: every
size pair up to 16, and pairs around a million leaves (all of one value, so that the tree is quick to make).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from ledger.core.merkle import (
    EMPTY_ROOT,
    NodeReader,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    reader_over,
    root,
)

TARGET = Path(__file__).parent / "merkle_vectors.json"
SMALL = 16
LARGE = [
    (999_424, 1_000_000),
    (999_999, 1_000_000),
    (2**20 - 1, 2**20),
    (2**20, 2**20 + 1),
    (1, 10**6),
]


def uniform_reader() -> NodeReader:
    """A tree whose leaves are all alike: one hash per level."""
    levels = [leaf_hash(b"fuqi test leaf")]
    for _ in range(53):
        levels.append(node_hash(levels[-1], levels[-1]))
    return lambda level, _index: levels[level]


def consistency_cases() -> Iterator[dict[str, Any]]:
    small = reader_over([leaf_hash(bytes([i])) for i in range(SMALL)])
    pairs = [(m, n, small) for n in range(1, SMALL + 1) for m in range(n)]
    pairs += [(m, n, uniform_reader()) for m, n in LARGE]
    for old, new, node in pairs:
        yield {
            "old_size": old,
            "old_root": (root(old, node) if old else EMPTY_ROOT).hex(),
            "size": new,
            "root": root(new, node).hex(),
            "path": [step.hex() for step in consistency_path(old, size=new, node=node)],
        }


def inclusion_cases() -> Iterator[dict[str, Any]]:
    leaves = [leaf_hash(bytes([i])) for i in range(SMALL)]
    node = reader_over(leaves)
    for size in range(1, SMALL + 1):
        for index in range(size):
            yield {
                "leaf": leaves[index].hex(),
                "index": index,
                "size": size,
                "root": root(size, node).hex(),
                "path": [step.hex() for step in inclusion_path(index, size=size, node=node)],
            }


def vectors() -> dict[str, Any]:
    """The file's contents; `abi` is the same cases encoded for forge, which reads JSON slowly."""
    consistency = list(consistency_cases())
    inclusion = list(inclusion_cases())
    raw = bytes.fromhex
    first = [
        (c["old_size"], raw(c["old_root"]), c["size"], raw(c["root"]), [raw(p) for p in c["path"]])
        for c in consistency
    ]
    second = [
        (raw(c["leaf"]), c["index"], c["size"], raw(c["root"]), [raw(p) for p in c["path"]])
        for c in inclusion
    ]
    types = [
        "(uint64,bytes32,uint64,bytes32,bytes32[])[]",
        "(bytes32,uint64,uint64,bytes32,bytes32[])[]",
    ]
    return {
        "SOURCE": "made by ledger/core/merkle.py; see generate_merkle_vectors.py beside this file",
        "consistency": consistency,
        "inclusion": inclusion,
        "abi": "0x" + encode(types, [first, second]).hex(),
    }


def text() -> str:
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.name} written\n")
