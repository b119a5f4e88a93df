"""The stored tree: full tiles of 256 hashes, written once; what is not full yet is read from below.

    log_tile (0, i)      leaf hashes 256 i .. 256 i + 255 and the root over them
    log_tile (l, i)      the roots of the tiles 256 i .. 256 i + 255 of level l - 1, and the root over them

The hashes of a tile that is not full are the newest leaves (level 0: journal rows) or the roots of the newest
tiles below it, at most 255. So every row is final when it is written, a tree of n leaves has n / 255 rows, and
any node, head or proof is made from a few tiles: nothing is kept in memory, a restart reads nothing ahead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from ledger.core import merkle
from ledger.core.errors import NotFoundError
from ledger.core.units import Digest32, digest32
from ledger.queries import log as queries

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
"""Hashes in a full tile."""
DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class FullTile:
    """A row of `log_tile`: 256 hashes of `level` * 8, one after the other, and the root over them."""

    level: int
    index: int
    root: Digest32
    hashes: bytes


class Tree:
    """The first `size` leaves, read from the database tile by tile; keeps what it has read.

    Short-lived: one per proof or per batch.
    """

    def __init__(self, session: Session, size: int) -> None:
        """The tree of `size` leaves; reads nothing yet."""
        self._session = session
        self._size = size
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    @property
    def size(self) -> int:
        """Leaves."""
        return self._size

    def node(self, level: int, index: int) -> Digest32:
        """Hash of the complete subtree over leaves [index << level, (index + 1) << level).

        Raises:
            NotFoundError: `log.node_missing`.
        """
        tile_level, rest = divmod(level, HEIGHT)
        first = index << rest
        hashes = self.tile(tile_level, first >> HEIGHT)
        at = first & WIDTH - 1
        return _root_over(hashes[at : at + (1 << rest)])

    def tile(self, level: int, index: int) -> Sequence[bytes]:
        """The hashes of a tile as far as the tree reaches, 1 .. 256 of them.

        Raises:
            NotFoundError: `log.node_missing`.
        """
        found = self._tiles.get((level, index))
        if found is None:
            width = min(WIDTH, (self._size >> HEIGHT * level) - index * WIDTH)
            assert width > 0, "beyond the tree"
            found = _read(self._session, level, index, width)
            if len(found) != width:
                raise NotFoundError("this part of the tree is not stored", code="log.node_missing")
            self._tiles[(level, index)] = found
        return found

    def root(self) -> Digest32:
        """Head of the tree."""
        return merkle.root(self._size, self.node)

    def inclusion(self, index: int) -> list[Digest32]:
        """Inclusion path of leaf `index`."""
        return merkle.inclusion_path(index, size=self._size, node=self.node)

    def consistency(self, old_size: int) -> list[Digest32]:
        """Consistency path from the first `old_size` leaves."""
        return merkle.consistency_path(old_size, size=self._size, node=self.node)

    def extended(self, leaves: Sequence[bytes]) -> tuple[Tree, list[FullTile]]:
        """The tree with `leaves` added, and the tiles that are full with them; writes nothing."""
        grown = Tree(self._session, self._size + len(leaves))
        full: list[FullTile] = []
        level, start, fresh = 0, self._size, leaves
        while fresh:
            index, have = start >> HEIGHT, start & WIDTH - 1
            hashes = [*self.tile(level, index), *fresh] if have else list(fresh)
            roots: list[bytes] = []
            for at in range(0, len(hashes), WIDTH):
                part = hashes[at : at + WIDTH]
                grown._tiles[(level, index)] = part
                if len(part) == WIDTH:
                    root = _root_over(part)
                    roots.append(root)
                    full.append(FullTile(level, index, root, b"".join(part)))
                index += 1
            level, start, fresh = level + 1, start >> HEIGHT, roots
        return grown, full


def _read(session: Session, level: int, index: int, width: int) -> Sequence[bytes]:
    start = index * WIDTH
    if width == WIDTH:
        stored = queries.tile_hashes(session, level=level, index=index)
        return [stored[at : at + DIGEST_BYTES] for at in range(0, len(stored), DIGEST_BYTES)]
    if level == 0:
        return queries.leaves(session, start=start, count=width)
    return queries.tile_roots(session, level=level - 1, start=start, count=width)


def _root_over(hashes: Sequence[bytes]) -> Digest32:
    """Root of a power of two of hashes. As `merkle.node_hash`, written out: it runs for every leaf."""
    sha256 = hashlib.sha256
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + hashes[at] + hashes[at + 1]).digest()
            for at in range(0, len(hashes), 2)
        ]
    return digest32(hashes[0])
