"""The tree agrees with the literature: roots, inclusion and consistency proofs of the eight-leaf test tree."""

import json
from pathlib import Path

import pytest

from ledger.core import merkle
from ledger.core.errors import VerificationError

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
LEAVES = [merkle.leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["entries"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]
NODE = merkle.reader_over(LEAVES)


def path_of(vector):
    return [bytes.fromhex(step) for step in vector["path"]]


def test_every_root_is_the_published_one():
    assert [merkle.root(size, NODE) for size in range(9)] == ROOTS


@pytest.mark.parametrize("vector", VECTORS["inclusion"])
def test_a_published_inclusion_proof_is_made_and_verified(vector):
    index, size, path = vector["index"], vector["size"], path_of(vector)
    assert merkle.inclusion_path(index, size=size, node=NODE) == path
    good = {"index": index, "size": size, "path": path, "root": ROOTS[size]}
    merkle.verify_inclusion(LEAVES[index], **good)
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(LEAVES[index], **{**good, "root": ROOTS[size - 1]})


@pytest.mark.parametrize("vector", VECTORS["consistency"])
def test_a_published_consistency_proof_is_made_and_verified(vector):
    old, size, path = vector["old_size"], vector["size"], path_of(vector)
    assert merkle.consistency_path(old, size=size, node=NODE) == path
    good = {
        "old_size": old,
        "old_root": ROOTS[old],
        "size": size,
        "root": ROOTS[size],
        "path": path,
    }
    merkle.verify_consistency(**good)
    with pytest.raises(VerificationError):
        merkle.verify_consistency(**{**good, "old_root": ROOTS[old - 1]})
