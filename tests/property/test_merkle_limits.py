"""The edges of the tree's functions, each the only thing that tells a mutant of ledger/core/merkle.py apart."""

from __future__ import annotations

import hashlib

import pytest

from ledger.core import merkle
from ledger.core.errors import VerificationError

LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(8)]
NODE = merkle.reader_over(LEAVES)
OTHER = hashlib.sha256(b"another").digest()
PATH_LONGEST = merkle.PATH_MAX + 1
"""One step more than any path has is still read, so that the fault is named; more is refused unread."""


def test_sizes_end_where_json_readers_stop_being_exact_and_paths_with_them():
    assert merkle.SIZE_MAX == 9_007_199_254_740_991
    assert merkle.PATH_MAX == merkle.SIZE_MAX.bit_length() == 53


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0), (0, merkle.SIZE_MAX + 1)])
def test_no_path_is_made_for_a_leaf_outside_the_tree(index, size):
    with pytest.raises(AssertionError):
        merkle.inclusion_path(index, size=size, node=lambda _level, _index: LEAVES[0])


@pytest.mark.parametrize(
    ("old", "size"), [(-1, 4), (5, 4), (merkle.SIZE_MAX + 1, merkle.SIZE_MAX + 1)]
)
def test_no_path_is_made_between_sizes_that_no_tree_grows_through(old, size):
    with pytest.raises(AssertionError):
        merkle.consistency_path(old, size=size, node=lambda _level, _index: LEAVES[0])


def test_paths_are_made_up_to_the_largest_size():
    def same(_level, _index):
        return LEAVES[0]

    assert len(merkle.inclusion_path(0, size=merkle.SIZE_MAX, node=same)) == merkle.PATH_MAX
    assert merkle.consistency_path(merkle.SIZE_MAX, size=merkle.SIZE_MAX, node=same) == []


@pytest.mark.parametrize("part", ["old_root", "root", "path"])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_digest_of_another_length_is_no_part_of_a_consistency_proof(part, length):
    good = {
        "old_size": 3,
        "old_root": merkle.root(3, NODE),
        "size": 7,
        "root": merkle.root(7, NODE),
        "path": merkle.consistency_path(3, size=7, node=NODE),
    }
    merkle.verify_consistency(**good)
    wrong = [bytes(length), *good["path"][1:]] if part == "path" else bytes(length)
    with pytest.raises(VerificationError) as caught:
        merkle.verify_consistency(**{**good, part: wrong})
    assert caught.value.error_code == "merkle.range"


@pytest.mark.parametrize(
    ("steps", "code"), [(PATH_LONGEST, "merkle.range"), (PATH_LONGEST + 1, "merkle.path_length")]
)
def test_a_path_longer_than_any_tree_allows_is_refused_before_its_digests_are_read(steps, code):
    path = [*([OTHER] * (steps - 1)), b"not a digest"]
    with pytest.raises(VerificationError) as caught:
        merkle.verify_inclusion(OTHER, index=0, size=4, path=path, root=OTHER)
    assert caught.value.error_code == code
    with pytest.raises(VerificationError) as caught:
        merkle.verify_consistency(old_size=1, old_root=OTHER, size=4, root=OTHER, path=path)
    assert caught.value.error_code == code


class CountedLeaves(list):
    """Leaf hashes that know how often they were read."""

    reads = 0

    def __getitem__(self, place):
        self.reads += 1
        return super().__getitem__(place)


def test_a_reader_in_memory_computes_each_node_once():
    leaves = CountedLeaves(LEAVES)
    node = merkle.reader_over(leaves)
    assert node(3, 0) == merkle.root(8, NODE)
    assert leaves.reads == 8
    assert node(3, 0) == node(3, 0)
    node(2, 1)
    assert leaves.reads == 8
