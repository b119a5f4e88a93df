"""Reads of the log's tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ledger.tables.log import CheckpointRow, CosignatureRow, DataKeyRow, EntryRow, TileRow

IDS_PER_QUERY: Final = 500
"""SQLite's default limit on bound parameters is 999 in old builds."""
PAGE_MAX: Final = 500
_LAST_LEAVES: Final = text(
    "SELECT wanted.subject, newest.leaf FROM unnest(CAST(:subjects AS varchar[])) AS wanted (subject) "
    "CROSS JOIN LATERAL (SELECT leaf FROM journal_entry WHERE subject = wanted.subject "
    'ORDER BY "order" DESC LIMIT 1) AS newest'
)
_LAST_LEAVES_SQLITE: Final = text(
    "SELECT wanted.value, (SELECT leaf FROM journal_entry WHERE subject = wanted.value "
    'ORDER BY "order" DESC LIMIT 1) AS leaf FROM json_each(:subjects) AS wanted'
)


def entries_by_ids(session: Session, ids: Sequence[str]) -> dict[str, EntryRow]:
    """Entries by id; missing ones are simply absent."""
    found: dict[str, EntryRow] = {}
    for start in range(0, len(ids), IDS_PER_QUERY):
        part = ids[start : start + IDS_PER_QUERY]
        for row in session.scalars(select(EntryRow).where(EntryRow.id.in_(part))):
            found[row.id] = row
    return found


def data_keys(session: Session, subjects: Sequence[str]) -> list[DataKeyRow]:
    """Data keys of the given subjects, erased ones included; missing ones are simply absent."""
    found: list[DataKeyRow] = []
    for start in range(0, len(subjects), IDS_PER_QUERY):
        part = subjects[start : start + IDS_PER_QUERY]
        found.extend(session.scalars(select(DataKeyRow).where(DataKeyRow.subject.in_(part))))
    return found


def held_keys(session: Session, subjects: Sequence[str]) -> list[DataKeyRow]:
    """Data keys of these subjects as they stand now; none is erased or restricted until the transaction ends.

    Args:
        subjects: in the order of their ids, so that nobody waits in a circle.
    """
    found: list[DataKeyRow] = []
    for start in range(0, len(subjects), IDS_PER_QUERY):
        query = (
            select(DataKeyRow)
            .where(DataKeyRow.subject.in_(subjects[start : start + IDS_PER_QUERY]))
            .order_by(DataKeyRow.subject)
            .with_for_update(read=True)
            .execution_options(populate_existing=True)
        )
        found.extend(session.scalars(query))
    return found


def wrapped_after(session: Session, subject: str, *, limit: int) -> Sequence[DataKeyRow]:
    """Data keys that are not erased, after `subject` in order of subjects; locked for the change."""
    return session.scalars(
        select(DataKeyRow)
        .where(DataKeyRow.subject > subject, DataKeyRow.wrapped.is_not(None))
        .order_by(DataKeyRow.subject)
        .limit(limit)
        .with_for_update()
    ).all()


def last_leaves(session: Session, subjects: Sequence[str]) -> dict[str, str]:
    """Leaf hash (hex) of each subject's newest entry; subjects without entries are absent."""
    # One index look-up per subject, however many entries it has, whatever the statistics of a young table say.
    if session.get_bind().dialect.name == "postgresql":
        rows = session.execute(_LAST_LEAVES, {"subjects": list(subjects)})
    else:
        rows = session.execute(_LAST_LEAVES_SQLITE, {"subjects": json.dumps(list(subjects))})
    return {subject: leaf for subject, leaf in rows if leaf is not None}


def last_order(session: Session) -> int:
    """Order number of the newest journal row, 0 for none."""
    return session.scalar(select(func.max(EntryRow.order))) or 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the sequencer needs of a journal row."""

    order: int
    leaf: str
    bytes: bytes


def unsequenced(session: Session, *, size: int, limit: int) -> list[Waiting]:
    """Journal rows after the first `size`, which are in the tree, in order of arrival."""
    rows = session.execute(
        select(EntryRow.order, EntryRow.leaf, EntryRow.bytes)
        .where(EntryRow.order > size)
        .order_by(EntryRow.order)
        .limit(limit)
    )
    return [Waiting(order=row[0], leaf=row[1], bytes=row[2]) for row in rows]


def waiting(session: Session) -> int:
    """How many journal rows wait to be sequenced."""
    return last_order(session) - tree_size(session)


def tree_size(session: Session) -> int:
    """Leaves in the tree: those under the newest checkpoint."""
    return session.scalar(select(func.max(CheckpointRow.size))) or 0


def latest_checkpoint(session: Session) -> CheckpointRow | None:
    """The newest checkpoint."""
    return session.scalar(select(CheckpointRow).order_by(CheckpointRow.size.desc()).limit(1))


def checkpoint_covering(session: Session, index: int) -> CheckpointRow | None:
    """The smallest checkpoint whose tree holds leaf `index`."""
    return session.scalar(
        select(CheckpointRow)
        .where(CheckpointRow.size > index)
        .order_by(CheckpointRow.size)
        .limit(1)
    )


def entries_of(
    session: Session, subjects: Sequence[str], *, limit: int = PAGE_MAX
) -> Sequence[EntryRow]:
    """Entries about any of `subjects`, oldest first."""
    return session.scalars(
        select(EntryRow)
        .where(EntryRow.subject.in_(list(subjects)[:IDS_PER_QUERY]))
        .order_by(EntryRow.order)
        .limit(limit)
    ).all()


def every_entry_of(session: Session, subjects: Sequence[str], *, limit: int) -> list[EntryRow]:
    """Entries about all of `subjects`, oldest first; one more than `limit` where there are more."""
    found: list[EntryRow] = []
    for start in range(0, len(subjects), IDS_PER_QUERY):
        part = subjects[start : start + IDS_PER_QUERY]
        found += entries_of(session, part, limit=limit + 1 - len(found))
        if len(found) > limit:
            break
    return sorted(found, key=lambda row: row.order)


def entries_after(session: Session, subject: str, order: int) -> list[tuple[int, str, str]]:
    """(index in the tree, type, leaf hash in hex) of sequenced entries about `subject` after `order`.

    Oldest first; of a long history the newest `PAGE_MAX`.
    """
    rows = session.execute(
        select(EntryRow.seq, EntryRow.type, EntryRow.leaf)
        .where(EntryRow.subject == subject, EntryRow.order > order, EntryRow.seq.is_not(None))
        .order_by(EntryRow.order.desc())
        .limit(PAGE_MAX)
    )
    return [(int(row[0] or 0), row[1], row[2]) for row in reversed(rows.all())]


def entries_page(session: Session, *, after: int, limit: int) -> Sequence[EntryRow]:
    """A page of the journal after order number `after`."""
    return session.scalars(
        select(EntryRow)
        .where(EntryRow.order > after)
        .order_by(EntryRow.order)
        .limit(min(limit, PAGE_MAX))
    ).all()


def checkpoint_of_size(session: Session, size: int) -> CheckpointRow | None:
    """The checkpoint over exactly `size` leaves."""
    return session.get(CheckpointRow, size)


def checkpoint_sizes_after(session: Session, size: int) -> list[int]:
    """Sizes of the checkpoints over more than `size` leaves, smallest first; eight bytes each."""
    return list(
        session.scalars(
            select(CheckpointRow.size).where(CheckpointRow.size > size).order_by(CheckpointRow.size)
        )
    )


def cosignatures_of(session: Session, size: int) -> Sequence[CosignatureRow]:
    """Cosignatures of the checkpoint over exactly `size` leaves, by witness."""
    return session.scalars(
        select(CosignatureRow)
        .where(CosignatureRow.size == size)
        .order_by(CosignatureRow.witness)
        .limit(PAGE_MAX)
    ).all()


def cosigned_size(session: Session, witness: str, *, up_to: int) -> int:
    """Size of the newest checkpoint that this witness cosigned for us, 0 for none."""
    newest = select(func.max(CosignatureRow.size)).where(
        CosignatureRow.witness == witness, CosignatureRow.size <= up_to
    )
    return session.scalar(newest) or 0


def tile_hashes(session: Session, *, level: int, index: int) -> bytes:
    """The hashes of a full tile, one after the other; empty where it lacks."""
    stored = select(TileRow.hashes).where(TileRow.level == level, TileRow.index == index)
    return session.scalar(stored) or b""


def has_tile(session: Session, *, level: int, index: int) -> bool:
    """Whether that full tile is stored."""
    stored = select(TileRow.index).where(TileRow.level == level, TileRow.index == index)
    return session.scalar(stored) is not None


def tile_roots(session: Session, *, level: int, start: int, count: int) -> list[bytes]:
    """Roots of the full tiles `start` .. `start + count - 1` of a level; fewer where some lack."""
    rows = session.execute(
        select(TileRow.root)
        .where(TileRow.level == level, TileRow.index >= start, TileRow.index < start + count)
        .order_by(TileRow.index)
    )
    return list(rows.scalars())


def leaves(session: Session, *, start: int, count: int) -> list[bytes]:
    """Leaf hashes `start` .. `start + count - 1`, from the journal; fewer where some lack."""
    rows = session.execute(
        select(EntryRow.leaf)
        .where(EntryRow.order > start, EntryRow.order <= start + count)
        .order_by(EntryRow.order)
    )
    return [bytes.fromhex(leaf) for leaf in rows.scalars()]


def entry_bytes(session: Session, *, start: int, count: int) -> list[bytes]:
    """Canonical bytes of leaves `start` .. `start + count - 1`; fewer where some lack."""
    rows = session.execute(
        select(EntryRow.bytes)
        .where(EntryRow.order > start, EntryRow.order <= start + count)
        .order_by(EntryRow.order)
    )
    return list(rows.scalars())
