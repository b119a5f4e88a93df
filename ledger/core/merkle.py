"""RFC 6962 / RFC 9162 Merkle tree over SHA-256: heads, inclusion and consistency proofs.

Pure functions over leaf hashes or over a node reader, so that the same code serves a list in memory
and a table of millions of stored nodes.

Invariants:
    - leaf = SHA-256(0x00 || entry bytes), node = SHA-256(0x01 || left || right); no other hash is made.
    - the root of the empty tree is SHA-256 of nothing.
    - a stored node (level, index) covers leaves [index << level, (index + 1) << level) and is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from ledger.core.errors import VerificationError
from ledger.core.units import Digest32, digest32

SIZE_MAX: Final = 2**53 - 1
PATH_MAX: Final = 53
EMPTY_ROOT: Final = digest32(hashlib.sha256(b"").digest())

NodeReader = Callable[[int, int], Digest32]
"""(level, index) -> hash of that complete subtree; called only for complete subtrees."""


def leaf_hash(entry: bytes) -> Digest32:
    """SHA-256(0x00 || entry). RFC 9162 section 2.1.1."""
    return digest32(hashlib.sha256(b"\x00" + entry).digest())


def node_hash(left: bytes, right: bytes) -> Digest32:
    """SHA-256(0x01 || left || right). RFC 9162 section 2.1.1."""
    return digest32(hashlib.sha256(b"\x01" + left + right).digest())


def root(size: int, node: NodeReader) -> Digest32:
    """Head of the first `size` leaves."""
    if size == 0:
        return EMPTY_ROOT
    return _range_hash(0, size, node)


def inclusion_path(index: int, *, size: int, node: NodeReader) -> list[Digest32]:
    """Sibling digests from leaf `index` up to the root of `size` leaves, leaf level first.

    Source: RFC 9162 section 2.1.3.1.
    """
    assert 0 <= index < size <= SIZE_MAX
    path: list[Digest32] = []
    low, high = 0, size
    while high - low > 1:
        split = low + _largest_power_below(high - low)
        if index < split:
            path.append(_range_hash(split, high, node))
            high = split
        else:
            path.append(_range_hash(low, split, node))
            low = split
    path.reverse()
    return path


def consistency_path(old_size: int, *, size: int, node: NodeReader) -> list[Digest32]:
    """Proof that the tree of `size` leaves extends the tree of `old_size` leaves.

    Empty for old_size 0 and for old_size == size. Source: RFC 9162 section 2.1.4.1.
    """
    assert 0 <= old_size <= size <= SIZE_MAX
    if old_size in (0, size):
        return []
    path: list[Digest32] = []
    low, high, complete = 0, size, True
    while old_size != high - low:
        split = _largest_power_below(high - low)
        if old_size <= split:
            path.append(_range_hash(low + split, high, node))
            high = low + split
        else:
            path.append(_range_hash(low, low + split, node))
            low += split
            old_size -= split
            complete = False
    if not complete:
        path.append(_range_hash(low, high, node))
    path.reverse()
    return path


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Prove that the leaf hash `leaf` is leaf `index` of the tree of `size` leaves under `root`.

    Args:
        leaf: leaf hash, 32 bytes (see `leaf_hash`).
        index: 0-based, index < size.
        size: 1 .. 2**53-1.
        path: sibling digests, leaf level first, at most 53.

    Raises:
        VerificationError: `merkle.range`, `merkle.path_length`, `merkle.root_mismatch`.

    Source: RFC 9162 section 2.1.3.2. Vectors: tests/golden/merkle.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise VerificationError(
            "leaf index is outside the tree", code="merkle.range", index=index, size=size
        )
    _require_digests([leaf, root, *path])
    fn, sn, running = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            raise VerificationError("inclusion path is too long", code="merkle.path_length")
        if fn & 1 or fn == sn:
            running = node_hash(sibling, running)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            running = node_hash(running, sibling)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise VerificationError("inclusion path is too short", code="merkle.path_length")
    if running != root:
        raise VerificationError(
            "inclusion path does not lead to the root", code="merkle.root_mismatch"
        )


def verify_consistency(
    *, old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> None:
    """Prove that the tree (size, root) extends the tree (old_size, old_root).

    Raises:
        VerificationError: `merkle.range`, `merkle.path_length`, `merkle.old_root_mismatch`,
            `merkle.root_mismatch`.

    Source: RFC 9162 section 2.1.4.2. Vectors: tests/golden/merkle.
    """
    if not 0 <= old_size <= size <= SIZE_MAX:
        raise VerificationError(
            "sizes are out of order", code="merkle.range", old_size=old_size, size=size
        )
    _require_digests([old_root, root, *path])
    if old_size in (0, size):
        if path:
            raise VerificationError("consistency path must be empty", code="merkle.path_length")
        if old_size == 0 and old_root != EMPTY_ROOT:
            raise VerificationError(
                "not the root of the empty tree", code="merkle.old_root_mismatch"
            )
        if old_size == size and old_root != root:
            raise VerificationError("same size, different roots", code="merkle.root_mismatch")
        return
    steps = list(path)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, digest32(old_root))
    if not steps:
        raise VerificationError("consistency path is too short", code="merkle.path_length")
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old_running = new_running = steps[0]
    for step in steps[1:]:
        if sn == 0:
            raise VerificationError("consistency path is too long", code="merkle.path_length")
        if fn & 1 or fn == sn:
            old_running = node_hash(step, old_running)
            new_running = node_hash(step, new_running)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            new_running = node_hash(new_running, step)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise VerificationError("consistency path is too short", code="merkle.path_length")
    if old_running != old_root:
        raise VerificationError(
            "path does not rebuild the old root", code="merkle.old_root_mismatch"
        )
    if new_running != root:
        raise VerificationError("path does not lead to the new root", code="merkle.root_mismatch")


def nodes_completed_by(
    index: int, leaf: Digest32, node: NodeReader
) -> list[tuple[int, int, Digest32]]:
    """The (level, index, hash) rows that appending leaf `index` completes, the leaf itself first."""
    rows = [(0, index, leaf)]
    level, position, running = 0, index, leaf
    while position & 1:
        running = node_hash(node(level, position - 1), running)
        level, position = level + 1, position >> 1
        rows.append((level, position, running))
    return rows


def reader_over(leaves: Sequence[Digest32]) -> NodeReader:
    """A node reader over leaf hashes in memory; for tests, offline checks and small trees."""
    cache: dict[tuple[int, int], Digest32] = {}

    def node(level: int, index: int) -> Digest32:
        if level == 0:
            return leaves[index]
        found = cache.get((level, index))
        if found is None:
            found = node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
            cache[(level, index)] = found
        return found

    return node


def _range_hash(low: int, high: int, node: NodeReader) -> Digest32:
    """Hash of leaves [low, high); `low` is a multiple of the subtree size, as RFC 9162 splits make it."""
    width = high - low
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return node(level, low >> level)
    split = low + _largest_power_below(width)
    return node_hash(_range_hash(low, split, node), _range_hash(split, high, node))


def _largest_power_below(count: int) -> int:
    """Largest power of two strictly smaller than `count` (count >= 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _require_digests(values: Sequence[bytes]) -> None:
    if len(values) > PATH_MAX + 2 + 1:
        raise VerificationError("path is longer than any tree allows", code="merkle.path_length")
    for value in values:
        if len(value) != 32:
            raise VerificationError("a digest is not 32 bytes", code="merkle.range")
