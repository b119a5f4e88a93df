"""Laws of the tree for any size and any tampering that hypothesis thinks of."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core import merkle
from ledger.core.errors import VerificationError

SIZES = st.integers(1, 300)
LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(301)]
NODE = merkle.reader_over(LEAVES)


def verifies(check, **arguments):
    try:
        check(**arguments)
    except VerificationError:
        return False
    return True


@given(SIZES, st.data())
def test_a_path_proves_exactly_its_own_leaf_place_size_and_root(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(index, size=size, node=NODE)
    good = {
        "leaf": LEAVES[index],
        "index": index,
        "size": size,
        "path": path,
        "root": merkle.root(size, NODE),
    }
    assert verifies(merkle.verify_inclusion, **good)
    other = data.draw(st.integers(0, size - 1))
    assert verifies(merkle.verify_inclusion, **{**good, "index": other}) == (other == index)
    assert verifies(merkle.verify_inclusion, **{**good, "leaf": LEAVES[other]}) == (other == index)
    other_size = data.draw(st.integers(index + 1, 301))
    claimed = {**good, "size": other_size, "root": merkle.root(other_size, NODE)}
    # The same path may serve two sizes only where the roots are the same, which is never.
    assert verifies(merkle.verify_inclusion, **claimed) == (other_size == size)


@given(SIZES, st.data())
def test_one_flipped_bit_anywhere_breaks_an_inclusion_proof(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(index, size=size, node=NODE)
    parts = [LEAVES[index], merkle.root(size, NODE), *path]
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(parts[which], "big") ^ (1 << bit)).to_bytes(32, "big")
    parts[which] = flipped
    leaf, root, *path = parts
    assert not verifies(
        merkle.verify_inclusion, leaf=leaf, index=index, size=size, path=path, root=root
    )


@given(SIZES, st.data())
def test_growth_is_proven_between_any_two_sizes_and_for_no_other_pair_of_roots(size, data):
    old = data.draw(st.integers(0, size))
    path = merkle.consistency_path(old, size=size, node=NODE)
    good = {
        "old_size": old,
        "old_root": merkle.root(old, NODE),
        "size": size,
        "root": merkle.root(size, NODE),
        "path": path,
    }
    assert verifies(merkle.verify_consistency, **good)
    parts = ["old_root", "root"] if old else ["old_root"]  # nothing grows into anything
    which = data.draw(st.sampled_from(parts))
    bad = hashlib.sha256(good[which]).digest()
    assert not verifies(merkle.verify_consistency, **{**good, which: bad})


@given(
    st.integers(-2, 40),
    st.integers(-2, 40),
    st.lists(st.binary(min_size=30, max_size=33), max_size=8),
    st.binary(min_size=32, max_size=32),
)
def test_the_verifiers_meet_any_input_with_a_code_and_accept_none_of_it(a, b, path, root):
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(root, index=a, size=b, path=path, root=merkle.leaf_hash(root))
    with pytest.raises(VerificationError):
        merkle.verify_consistency(
            old_size=a, old_root=root, size=b, root=merkle.leaf_hash(root), path=path
        )
