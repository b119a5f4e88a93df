"""The log as static files (c2sp.org/tlog-tiles), which any web server or cache can serve.

    checkpoint                       the newest signed note, with its cosignatures
    tile/<level>/<index>[.p/<w>]     256 (or w) hashes of 32 bytes
    tile/entries/<index>[.p/<w>]     256 (or w) entries, each after its length as two big-endian bytes

Only canonical entry bytes are written, never a private body. Order of writes: a tile appears whole (written
aside, synced, renamed); the checkpoint comes last. A crash leaves the old checkpoint with all its tiles and
perhaps a few newer tiles, which the next run finds and keeps.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from ledger.core import merkle
from ledger.core.errors import NotFoundError, UnavailableError, VerificationError
from ledger.log import cosigned_note, root_at
from ledger.note import Checkpoint, parse_note
from ledger.queries import log as queries
from ledger.tree import HEIGHT, WIDTH, Tree

ENTRIES: Final = -1
"""In place of a level: the entry bundles."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: `width` hashes of `level` from hash `index * 256` on; level `ENTRIES` holds entries."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Path below the log's prefix, e.g. `tile/0/x001/x234/067` or `tile/entries/000.p/5`."""
        folder = "entries" if self.level == ENTRIES else str(self.level)
        suffix = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{folder}/{index_path(self.index)}{suffix}"


@dataclass(frozen=True, slots=True)
class TilesWritten:
    """What a run did. `size` leaves are published; `repaired` files were there with other bytes."""

    size: int
    written: int
    repaired: int
    unchanged: int


def index_path(index: int) -> str:
    """`1234067` as `x001/x234/067`: groups of three digits, all but the last behind an `x`."""
    assert index >= 0
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def tiles_of(size: int, *, since: int = 0) -> Iterator[Tile]:
    """The files a tree of `size` leaves needs and the tree of `since` leaves did not, entries first."""
    for level in (ENTRIES, *range(64 // HEIGHT)):
        shift = HEIGHT * max(level, 0)
        have, want = since >> shift, size >> shift
        if want == 0:
            break
        if have == want:
            continue
        for index in range(have >> HEIGHT, (want - 1 >> HEIGHT) + 1):
            yield Tile(level, index, min(WIDTH, want - index * WIDTH))


def write_tiles(session: Session, folder: Path, *, repair: bool = False) -> TilesWritten:
    """Bring `folder` up to the newest checkpoint. Running it again changes nothing.

    Reads the database only. Partial tiles of every checkpoint since the published one are written, unless
    the full tile is there by now; partial tiles of a full one are removed.

    Args:
        repair: start from an empty tree and compare every file instead of trusting the published checkpoint.

    Raises:
        VerificationError: `tiles.damaged` (the published checkpoint is unreadable: run with `repair`),
            `tiles.fork` (it is not of this log, or of more entries than this database holds; a person
            decides), `tiles.nodes_missing`, `tiles.entry_mismatch` (the database is damaged).
        UnavailableError: `tiles.storage`.
    """
    newest = queries.latest_checkpoint(session)
    try:
        published = _published(session, folder, repair=repair)
        if newest is None:
            return TilesWritten(size=0, written=0, repaired=0, unchanged=0)
        done = 0 if repair else published
        counts = {"written": 0, "repaired": 0, "unchanged": 0}
        for size in queries.checkpoint_sizes_after(session, done):
            for tile in tiles_of(size, since=done):
                if tile.width < WIDTH and _fills(tile, newest.size):
                    continue
                counts[_put(folder / tile.path, _content(session, tile))] += 1
                if tile.width == WIDTH:
                    # A reader of an older checkpoint takes the full tile instead.
                    shutil.rmtree(folder / f"{tile.path}.p", ignore_errors=True)
            done = size
        # A crash before this line: the old checkpoint stands with every tile it needs.
        counts[_put(folder / "checkpoint", cosigned_note(session, newest).encode())] += 1
    except OSError as exc:
        raise UnavailableError("the tile folder cannot be written", code="tiles.storage") from exc
    return TilesWritten(size=newest.size, **counts)


def _published(session: Session, folder: Path, *, repair: bool) -> int:
    """Size of the checkpoint in the folder, 0 for none; never one that this log did not make."""
    try:
        text = (folder / "checkpoint").read_text(encoding="utf-8")
        seen = parse_note(text)[0]
    except FileNotFoundError:
        return 0
    except (VerificationError, UnicodeDecodeError) as exc:
        if repair:
            return 0
        raise VerificationError(
            "the published checkpoint is unreadable; run `fuqi log tiles --repair`",
            code="tiles.damaged",
        ) from exc
    _require_ours(session, seen)
    return seen.size


def _require_ours(session: Session, seen: Checkpoint) -> None:
    newest = queries.latest_checkpoint(session)
    size = 0 if newest is None else newest.size
    if newest is not None and seen.size <= size:
        origin = parse_note(newest.note)[0].origin
        if (seen.origin, seen.root) == (origin, root_at(session, seen.size)):
            return
    raise VerificationError(
        "the published checkpoint is not one of this log: is it another log's folder, or was an old "
        "database restored?",
        code="tiles.fork",
        published_size=seen.size,
        log_size=size,
    )


def _fills(tile: Tile, size: int) -> bool:
    """Whether the tile is full in the tree of `size` leaves."""
    return size >> HEIGHT * max(tile.level, 0) >= (tile.index + 1) * WIDTH


def _content(session: Session, tile: Tile) -> bytes:
    start, level = tile.index * WIDTH, max(tile.level, 0)
    try:
        # As the tree stood when this tile was so wide.
        tree = Tree(session, start + tile.width << HEIGHT * level)
        hashes = list(tree.tile(level, tile.index))
    except NotFoundError as exc:
        raise VerificationError(
            "part of the tree is not stored", code="tiles.nodes_missing", tile=tile.path
        ) from exc
    if tile.level != ENTRIES:
        return b"".join(hashes)
    entries = queries.entry_bytes(session, start=start, count=tile.width)
    if [merkle.leaf_hash(entry) for entry in entries] != hashes:
        raise VerificationError(
            "stored entries are not those of the tree", code="tiles.entry_mismatch", tile=tile.path
        )
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def _put(path: Path, data: bytes) -> str:
    """Write atomically unless the very bytes are there; `written`, `repaired` or `unchanged`."""
    outcome = "written"
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return "unchanged"
        outcome = "repaired" if path.name != "checkpoint" else "written"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return outcome
