"""The tree against a second implementation written from the recursive definitions of RFC 6962.

Every size up to SMALL is tried in full; every tampered proof must fail with the code that was predicted.
"""

from __future__ import annotations

import hashlib

import pytest

from ledger.core import merkle
from ledger.core.errors import VerificationError

SMALL = 20
LEAVES = [merkle.leaf_hash(b"entry %d" % i) for i in range(SMALL)]
NODE = merkle.reader_over(LEAVES)
OTHER = hashlib.sha256(b"another").digest()


# ------------------------------------------------- the second implementation (RFC 6962 section 2.1)
def _split(count):
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def audit_path(m, leaves):
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*audit_path(m, leaves[:k]), mth(leaves[k:])]
    return [*audit_path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m, leaves, *, complete=True):
    if m == len(leaves):
        return [] if complete else [mth(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], complete=complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], complete=False), mth(leaves[:k])]


def recomputed_root(leaf, index, size, path):
    """Root that an inclusion path leads to, by recursion from the top; None when it does not fit."""
    if size == 1:
        return leaf if not path else None
    if not path:
        return None
    k = _split(size)
    *rest, last = path
    if index < k:
        left = recomputed_root(leaf, index, k, rest)
        return left and hashlib.sha256(b"\x01" + left + last).digest()
    right = recomputed_root(leaf, index - k, size - k, rest)
    return right and hashlib.sha256(b"\x01" + last + right).digest()


def code_of(caught):
    return caught.value.error_code


def inclusion_cases():
    return [(i, size) for size in range(1, SMALL + 1) for i in range(size)]


def consistency_cases():
    return [(m, n) for n in range(SMALL + 1) for m in range(n + 1)]


def verify(index, size, path, *, leaf=None, root=None):
    merkle.verify_inclusion(
        LEAVES[index] if leaf is None else leaf,
        index=index,
        size=size,
        path=path,
        root=mth(LEAVES[:size]) if root is None else root,
    )


def verify_growth(m, n, path, *, old_root=None, root=None):
    merkle.verify_consistency(
        old_size=m,
        old_root=mth(LEAVES[:m]) if old_root is None else old_root,
        size=n,
        root=mth(LEAVES[:n]) if root is None else root,
        path=path,
    )


# ------------------------------------------------------------------------------ what must hold
def test_every_small_root_is_that_of_the_definition():
    for size in range(SMALL + 1):
        assert merkle.root(size, NODE) == mth(LEAVES[:size])


def test_leaf_and_node_hashes_are_kept_apart_by_their_prefix():
    pair = LEAVES[0] + LEAVES[1]
    assert merkle.leaf_hash(pair) != merkle.node_hash(LEAVES[0], LEAVES[1])
    assert merkle.leaf_hash(b"") == hashlib.sha256(b"\x00").digest()


def test_every_small_inclusion_path_is_that_of_the_definition_and_verifies():
    for index, size in inclusion_cases():
        path = merkle.inclusion_path(index, size=size, node=NODE)
        assert path == audit_path(index, LEAVES[:size])
        verify(index, size, path)
        assert recomputed_root(LEAVES[index], index, size, path) == mth(LEAVES[:size])


def test_every_small_consistency_path_is_that_of_the_definition_and_verifies():
    for m, n in consistency_cases():
        path = merkle.consistency_path(m, size=n, node=NODE)
        assert path == ([] if m == 0 else subproof(m, LEAVES[:n]))
        verify_growth(m, n, path)


def test_a_tree_grown_leaf_by_leaf_stores_every_node_its_proofs_need():
    stored = {}
    for index, leaf in enumerate(LEAVES):
        for level, position, value in merkle.nodes_completed_by(
            index, leaf, lambda level, position: stored[(level, position)]
        ):
            assert (level, position) not in stored
            stored[(level, position)] = value

        def node(level, position):
            return stored[(level, position)]

        size = index + 1
        assert merkle.root(size, node) == mth(LEAVES[:size])
        for i in range(size):
            assert merkle.inclusion_path(i, size=size, node=node) == audit_path(i, LEAVES[:size])
        for m in range(1, size):
            assert merkle.consistency_path(m, size=size, node=node) == subproof(m, LEAVES[:size])


def test_a_proof_in_the_largest_tree_has_no_more_steps_than_allowed():
    level = [merkle.leaf_hash(b"same")]
    for _ in range(merkle.PATH_MAX):
        level.append(merkle.node_hash(level[-1], level[-1]))

    def node(height, _index):
        return level[height]

    size = merkle.SIZE_MAX
    for index in (0, 1, size // 2, size - 1):
        path = merkle.inclusion_path(index, size=size, node=node)
        assert len(path) <= merkle.PATH_MAX
        merkle.verify_inclusion(
            level[0], index=index, size=size, path=path, root=merkle.root(size, node)
        )
    for old in (1, 2, size // 3, 2**52, size - 1):
        path = merkle.consistency_path(old, size=size, node=node)
        merkle.verify_consistency(
            old_size=old,
            old_root=merkle.root(old, node),
            size=size,
            root=merkle.root(size, node),
            path=path,
        )


# ------------------------------------------------------------------------------ what must fail
@pytest.mark.parametrize(
    ("index", "size"), [(-1, 4), (4, 4), (9, 4), (0, 0), (0, -1), (0, merkle.SIZE_MAX + 1)]
)
def test_an_index_outside_the_tree_is_out_of_range(index, size):
    with pytest.raises(VerificationError) as caught:
        merkle.verify_inclusion(OTHER, index=index, size=size, path=[], root=OTHER)
    assert code_of(caught) == "merkle.range"


def test_every_altered_step_of_every_inclusion_path_misses_the_root():
    for index, size in inclusion_cases():
        path = audit_path(index, LEAVES[:size])
        for i in range(len(path)):
            altered = [*path]
            altered[i] = OTHER
            with pytest.raises(VerificationError) as caught:
                verify(index, size, altered)
            assert code_of(caught) == "merkle.root_mismatch"


def test_every_shortened_or_lengthened_inclusion_path_is_of_the_wrong_length():
    for index, size in inclusion_cases():
        path = audit_path(index, LEAVES[:size])
        for wrong in ([*path, OTHER], [OTHER, *path], *([path[1:], path[:-1]] if path else [])):
            with pytest.raises(VerificationError) as caught:
                verify(index, size, wrong)
            assert code_of(caught) == "merkle.path_length", (index, size, len(wrong))


def test_another_leaf_or_another_root_misses_the_root():
    for index, size in inclusion_cases():
        path = audit_path(index, LEAVES[:size])
        for change in ({"leaf": OTHER}, {"root": OTHER}):
            with pytest.raises(VerificationError) as caught:
                verify(index, size, path, **change)
            assert code_of(caught) == "merkle.root_mismatch"


def test_a_path_proves_its_leaf_at_no_other_place():
    for index, size in inclusion_cases():
        path = audit_path(index, LEAVES[:size])
        for other in range(size):
            if other == index:
                continue
            # The second implementation says whether that place could even take a path of this length.
            fits = len(audit_path(other, LEAVES[:size])) == len(path)
            with pytest.raises(VerificationError) as caught:
                merkle.verify_inclusion(
                    LEAVES[index], index=other, size=size, path=path, root=mth(LEAVES[:size])
                )
            assert code_of(caught) == ("merkle.root_mismatch" if fits else "merkle.path_length")


def test_an_inner_node_does_not_pass_as_a_leaf_of_a_smaller_tree():
    """Without prefixes a node hash could be shown as a leaf; sizes are signed, so this stays a mismatch."""
    inner = merkle.node_hash(LEAVES[0], LEAVES[1])
    path = audit_path(0, LEAVES[:4])[1:]
    with pytest.raises(VerificationError) as caught:
        merkle.verify_inclusion(inner, index=0, size=4, path=path, root=mth(LEAVES[:4]))
    assert code_of(caught) == "merkle.path_length"


@pytest.mark.parametrize("wrong", [b"", b"\x00" * 31, b"\x00" * 33])
def test_a_digest_of_another_length_is_out_of_range(wrong):
    path = audit_path(2, LEAVES[:5])
    for change in ({"leaf": wrong}, {"root": wrong}):
        if wrong or "leaf" in change:
            with pytest.raises(VerificationError) as caught:
                verify(2, 5, path, **change)
            assert code_of(caught) == "merkle.range"
    with pytest.raises(VerificationError) as caught:
        verify(2, 5, [*path[:-1], wrong])
    assert code_of(caught) == "merkle.range"


def test_a_path_no_tree_could_have_is_refused_unread():
    with pytest.raises(VerificationError) as caught:
        verify(0, 2, [OTHER] * 1_000_000)
    assert code_of(caught) == "merkle.path_length"


@pytest.mark.parametrize(("m", "n"), [(-1, 3), (4, 3), (0, merkle.SIZE_MAX + 1)])
def test_sizes_out_of_order_are_out_of_range(m, n):
    with pytest.raises(VerificationError) as caught:
        merkle.verify_consistency(old_size=m, old_root=OTHER, size=n, root=OTHER, path=[])
    assert code_of(caught) == "merkle.range"


def test_a_growth_path_where_none_belongs_is_of_the_wrong_length():
    for m, n in ((0, 5), (5, 5), (0, 0)):
        with pytest.raises(VerificationError) as caught:
            verify_growth(m, n, [OTHER])
        assert code_of(caught) == "merkle.path_length"


def test_an_empty_tree_has_one_root_only():
    verify_growth(0, 5, [])
    with pytest.raises(VerificationError) as caught:
        verify_growth(0, 5, [], old_root=OTHER)
    assert code_of(caught) == "merkle.old_root_mismatch"


def test_one_size_has_one_root_only():
    with pytest.raises(VerificationError) as caught:
        verify_growth(5, 5, [], root=OTHER)
    assert code_of(caught) == "merkle.root_mismatch"


def proper_cases():
    return [(m, n) for m, n in consistency_cases() if 0 < m < n]


def test_every_altered_step_of_every_growth_path_misses_a_root():
    for m, n in proper_cases():
        path = subproof(m, LEAVES[:n])
        for i in range(len(path)):
            altered = [*path]
            altered[i] = OTHER
            with pytest.raises(VerificationError) as caught:
                verify_growth(m, n, altered)
            assert code_of(caught) in {"merkle.old_root_mismatch", "merkle.root_mismatch"}


def test_every_shortened_or_lengthened_growth_path_is_refused():
    for m, n in proper_cases():
        path = subproof(m, LEAVES[:n])
        for wrong in (path[1:], path[:-1], [*path, OTHER], [OTHER, *path], []):
            with pytest.raises(VerificationError) as caught:
                verify_growth(m, n, wrong)
            assert code_of(caught) == "merkle.path_length"


def test_a_fork_is_told_from_a_growth():
    """Another history of the same size: the old root is not rebuilt, whatever path is shown."""
    for m, n in proper_cases():
        forked = [*LEAVES[:n]]
        forked[m - 1] = OTHER
        with pytest.raises(VerificationError) as caught:
            verify_growth(m, n, subproof(m, forked), root=mth(forked))
        # With a power of two as old size the old root itself is the first step.
        power = m & (m - 1) == 0
        assert code_of(caught) == ("merkle.root_mismatch" if power else "merkle.old_root_mismatch")


def test_the_wrong_root_is_the_one_that_is_named():
    for m, n in proper_cases():
        path = subproof(m, LEAVES[:n])
        with pytest.raises(VerificationError) as caught:
            verify_growth(m, n, path, root=OTHER)
        assert code_of(caught) == "merkle.root_mismatch"
        with pytest.raises(VerificationError) as caught:
            verify_growth(m, n, path, old_root=OTHER)
        power = m & (m - 1) == 0
        assert code_of(caught) == ("merkle.root_mismatch" if power else "merkle.old_root_mismatch")
