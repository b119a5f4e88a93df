"""The append-only log: journal, sequence into the tree, sign checkpoints.

Order of writes and what a crash leaves behind:
    1. journal row, private body and data key in the caller's transaction. A crash before: nothing happened.
    2. acknowledged. From here the record is never lost.
    3. sequencing: full tiles of the tree and checkpoint in one transaction. A crash leaves journal rows
       beyond the newest checkpoint, which the next run takes in the same order.
    4. anchoring (ledger/submitter.py), from the newest checkpoint.
"""

from __future__ import annotations

import functools
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Table, func, select, text
from sqlalchemy.orm import Session

from ledger.core import merkle
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    InputError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import require_id
from ledger.core.units import Digest32, utc_text
from ledger.disclosure import fields_commitment
from ledger.entry_types import DISCLOSABLE_VERSION, ENTRY_TYPES, ENTRY_VERSION
from ledger.note import Checkpoint, NoteSigner
from ledger.queries import log as queries
from ledger.store import insert_rows
from ledger.tables.log import CheckpointRow, EntryRow, PrivateBodyRow, TileRow
from ledger.tlog_proof import tlog_proof_text
from ledger.tree import WIDTH, Tree
from ledger.vault import SALT_BYTES, PrivateBody, SealedLater, Vault

CONSISTENCY_VERSION: Final = "fuqi/consistency-proof/v1"
ENTRY_BYTES_MAX: Final = 4096
"""Ids, a type, a time and two digests: a larger entry is our own bug."""
BODY_BYTES_MAX: Final = 256 * 1024
_V2_END: Final = f'"v":"{DISCLOSABLE_VERSION}"}}'.encode()
"""Keys are sorted, so the version ends the bytes."""
SEQUENCE_BATCH: Final = 4096
"""Rows sequenced in one transaction; keeps the lock short."""
SEQUENCER_LOCK: Final = 0x66757171
"""PostgreSQL advisory lock of the one sequencer."""
JOURNAL_LOCK: Final = 0x6675716A
"""PostgreSQL advisory lock held by a transaction that journals entries; SQLite has one writer anyway."""


# The tables, not the classes: rows by the thousand need no objects.
_JOURNAL: Final = cast("Table", EntryRow.__table__)
_BODIES: Final = cast("Table", PrivateBodyRow.__table__)
_TILES: Final = cast("Table", TileRow.__table__)
# Entries of a batch share their time.
_time_text = functools.lru_cache(maxsize=1024)(utc_text)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A record to make.

    Attributes:
        id: `ent_…`, made by the caller and kept across retries.
        type: a key of `ENTRY_TYPES`.
        at: when it happened, aware UTC; stored to the second.
        subject: random id of the thing it is about.
        actor: party or account id, or "system".
        body: private body; only its salted commitment enters the log.
        disclosable: whether single fields of it may be shown later; makes an entry `fuqi/entry/v2`.
    """

    id: str
    type: str
    at: datetime
    subject: str
    actor: str
    body: Mapping[str, Json]
    disclosable: bool = False


def record(session: Session, vault: Vault, entry: NewEntry) -> EntryRow:
    """Journal one entry in the caller's transaction; see `record_many`."""
    return record_many(session, vault, [entry])[0]


def record_many(session: Session, vault: Vault, entries: Sequence[NewEntry]) -> list[EntryRow]:
    """Journal entries in the caller's transaction, in order, and return their rows.

    An entry whose id is already there with the same content is returned as it stands.

    Raises:
        InputError: `entry.type`, `entry.body_size`, `id.malformed`.
        ExistsWithDifferentFieldError: same id, other content; `field` names the first difference in the
            order type, subject, actor, at, disclosable, body.
    """
    known = append_many(session, vault, entries)
    fresh = [entry.id for entry in entries if entry.id not in known]
    known |= queries.entries_by_ids(session, fresh)
    return [known[entry.id] for entry in entries]


def append_many(session: Session, vault: Vault, entries: Sequence[NewEntry]) -> dict[str, EntryRow]:
    """As `record_many`, without reading back what it wrote: the way for large batches.

    Returns the rows that were there before, by id. Raises as `record_many`.
    """
    # The journal is the last thing that is locked: whoever holds it waits for no row that another writer has.
    session.flush()
    _lock_journal(session)
    known = queries.entries_by_ids(session, [entry.id for entry in entries])
    order = queries.last_order(session)
    subjects = list(dict.fromkeys(entry.subject for entry in entries))
    heads = queries.last_leaves(session, subjects)
    rows: list[dict[str, Any]] = []
    private: list[SealedLater] = []
    made: dict[str, NewEntry] = {}
    for entry in entries:
        if entry.id in known:
            _require_same(known[entry.id], vault.get(session, entry.id), entry)
            continue
        if entry.id in made:
            _require_same_request(made[entry.id], entry)
            continue
        made[entry.id] = entry
        order += 1
        salt = secrets.token_bytes(SALT_BYTES)
        body = _body_bytes(entry)
        row = journal_row(entry, body, order=order, salt=salt, prev=heads.get(entry.subject))
        heads[entry.subject] = row["leaf"]
        rows.append(row)
        private.append(SealedLater(entry.id, entry.subject, salt, body))
    if rows:
        # Entries first: a private body refers to its entry.
        insert_rows(session, _JOURNAL, rows)
        sealed = vault.seal_many(session, private, at=rows[0]["journaled_at"])
        insert_rows(session, _BODIES, sealed)
        session.flush()
    return known


def _body_bytes(entry: NewEntry) -> bytes:
    require_id(entry.id, prefix="ent")
    if entry.type not in ENTRY_TYPES:
        raise InputError(f"unknown entry type {entry.type}", code="entry.type")
    body = canonical_bytes(entry.body)
    if len(body) > BODY_BYTES_MAX:
        raise InputError("the record is too large", code="entry.body_size", limit=BODY_BYTES_MAX)
    return body


def journal_row(
    entry: NewEntry, body: bytes, *, order: int, salt: bytes, prev: str | None
) -> dict[str, Any]:
    """Columns of the journal for one entry; writes nothing.

    Args:
        body: canonical bytes of the private body, so that they are made once (see `commitment`).
        order: the next order number.   prev: leaf (hex) of the subject's entry before.
    """
    body_commitment = hmac.digest(salt, body, "sha256").hex()
    commitments = {"body": body_commitment}
    if entry.disclosable:
        commitments["fields"] = fields_commitment(entry.body, salt).hex()
    data = canonical_bytes(
        {
            "v": DISCLOSABLE_VERSION if entry.disclosable else ENTRY_VERSION,
            "id": entry.id,
            "type": entry.type,
            "at": _time_text(entry.at),
            "subject": entry.subject,
            "actor": entry.actor,
            "commitments": commitments,
            "prev": prev,
        }
    )
    assert len(data) <= ENTRY_BYTES_MAX
    at = entry.at.replace(microsecond=0)
    return {
        "id": entry.id,
        "type": entry.type,
        "at": at,
        "subject": entry.subject,
        "actor": entry.actor,
        "body_commitment": body_commitment,
        "prev": prev,
        "bytes": data,
        "leaf": merkle.leaf_hash(data).hex(),
        "journaled_at": at,
        "order": order,
    }


def sequence(session: Session, signer: NoteSigner, *, at: datetime) -> CheckpointRow | None:
    """Give the next journal rows their place in the tree and sign a checkpoint over it.

    One bounded batch, in the caller's transaction. Returns None where nothing waits, or where another
    process is sequencing.

    Raises:
        VerificationError: `log.damaged`: the stored tree is not the one the newest checkpoint is of; an
            extension of it would be a fork under our own signature.
    """
    if not _become_sequencer(session):
        return None
    session.flush()
    size = queries.tree_size(session)
    rows = queries.unsequenced(session, size=size, limit=SEQUENCE_BATCH)
    if not rows:
        return None
    tree = Tree(session, size)
    _require_intact(session, tree)
    leaves: list[bytes] = []
    for place, row in enumerate(rows, start=size + 1):
        assert row.order == place, "a gap in the journal"
        leaf = merkle.leaf_hash(row.bytes)
        assert leaf.hex() == row.leaf, "journal row does not match its leaf"
        leaves.append(leaf)
    grown, full = tree.extended(leaves)
    if full:
        tiles = [
            {"level": one.level, "index": one.index, "root": one.root, "hashes": one.hashes}
            for one in full
        ]
        insert_rows(session, _TILES, tiles)
    root = grown.root()
    checkpoint = Checkpoint(origin=signer.verifier.name, size=grown.size, root=root)
    stored = CheckpointRow(
        size=grown.size, root=root.hex(), note=signer.sign(checkpoint), signed_at=at
    )
    session.add(stored)
    session.flush()
    for held in session.identity_map.values():
        if isinstance(held, EntryRow):
            session.expire(held, ["seq"])
    return stored


def inclusion(session: Session, *, index: int, size: int) -> list[Digest32]:
    """Inclusion path of leaf `index` in the tree of `size` leaves."""
    return Tree(session, size).inclusion(index)


def consistency(session: Session, old_size: int, size: int) -> list[bytes]:
    """Consistency path between two sizes of the tree."""
    return list(Tree(session, size).consistency(old_size))


def root_at(session: Session, size: int) -> Digest32:
    """Root of the first `size` leaves."""
    return Tree(session, size).root()


def cosigned_note(session: Session, checkpoint: CheckpointRow) -> str:
    """The signed note with the cosignatures that witnesses have given it, one line each."""
    lines = [row.line for row in queries.cosignatures_of(session, checkpoint.size)]
    return checkpoint.note + "".join(f"{line}\n" for line in lines)


def tlog_proof(session: Session, entry_id: str, *, size: int | None = None) -> str:
    """The entry's inclusion proof as a C2SP `tlog-proof@v1` text, with its bytes as the extra data.

    Args:
        size: of the checkpoint to prove it in; None for the newest.

    Raises:
        NotFoundError: no such entry; `log.no_checkpoint`: none of that size.
        ConflictError: `log.not_in_tree`: the entry is not in that tree (yet).
    """
    entry = session.get(EntryRow, entry_id)
    if entry is None:
        raise NotFoundError("there is no such record")
    checkpoint = _checkpoint(session, size)
    if entry.seq is None or entry.seq >= checkpoint.size:
        raise ConflictError("the entry is not in this tree", code="log.not_in_tree")
    path = inclusion(session, index=entry.seq, size=checkpoint.size)
    note = cosigned_note(session, checkpoint)
    return tlog_proof_text(entry=entry.bytes, index=entry.seq, path=path, note=note)


def consistency_proof(session: Session, old_size: int, size: int | None) -> dict[str, Json]:
    """`fuqi/consistency-proof/v1`: both signed checkpoints and the path between them (hex).

    Raises:
        InputError: `log.sizes`: the old size is not below the new one.
        NotFoundError: `log.no_checkpoint`.
    """
    new = _checkpoint(session, size)
    if old_size >= new.size:
        raise InputError("the old size must be below the new one", code="log.sizes")
    old = _checkpoint(session, old_size)
    return {
        "v": CONSISTENCY_VERSION,
        "old": {"size": old.size, "root": old.root, "note": cosigned_note(session, old)},
        "new": {"size": new.size, "root": new.root, "note": cosigned_note(session, new)},
        "path": [step.hex() for step in consistency(session, old.size, new.size)],
    }


def _checkpoint(session: Session, size: int | None) -> CheckpointRow:
    row = (
        queries.latest_checkpoint(session)
        if size is None
        else queries.checkpoint_of_size(session, size)
    )
    if row is None:
        raise NotFoundError(
            "no checkpoint was signed at that size", code="log.no_checkpoint", size=size
        )
    return row


class StoredCheckpoints:
    """What the submitter needs to know of the log (its `CheckpointSource`)."""

    def latest(self, session: Session) -> tuple[int, bytes] | None:
        """(size, root) of the newest checkpoint, or None for an empty log."""
        row = queries.latest_checkpoint(session)
        return None if row is None else (row.size, bytes.fromhex(row.root))

    def consistency(self, session: Session, old_size: int, size: int) -> list[bytes]:
        """Consistency path between two sizes."""
        return consistency(session, old_size, size)


def _require_same(row: EntryRow, private: PrivateBody, entry: NewEntry) -> None:
    _require_same_request(
        NewEntry(
            id=row.id,
            type=row.type,
            at=row.at,
            subject=row.subject,
            actor=row.actor,
            body=private.body,
            disclosable=row.bytes.endswith(_V2_END),
        ),
        entry,
    )


def _require_same_request(old: NewEntry, new: NewEntry) -> None:
    """Idempotency: the declared order of fields is the order of complaint."""
    compared: tuple[tuple[str, object, object], ...] = (
        ("type", old.type, new.type),
        ("subject", old.subject, new.subject),
        ("actor", old.actor, new.actor),
        ("at", old.at.replace(microsecond=0), new.at.replace(microsecond=0)),
        ("disclosable", old.disclosable, new.disclosable),
    )
    for field, before, after in compared:
        if before != after:
            raise ExistsWithDifferentFieldError(f"different {field}", field=field, id=new.id)
    for key in sorted(set(old.body) | set(new.body)):
        # Absent is not the same as null: the commitments differ.
        if (key in old.body) != (key in new.body) or canonical_bytes(
            old.body.get(key)
        ) != canonical_bytes(new.body.get(key)):
            field = f"body.{key}"
            raise ExistsWithDifferentFieldError(f"different {field}", field=field, id=new.id)


def _require_intact(session: Session, tree: Tree) -> None:
    newest = queries.latest_checkpoint(session)
    signed = merkle.EMPTY_ROOT.hex() if newest is None else newest.root
    try:
        stored = tree.root().hex()
    except NotFoundError:
        stored = ""
    # A tile beyond the newest checkpoint: a checkpoint over it was lost, and the chain may know it.
    if stored != signed or queries.has_tile(session, level=0, index=tree.size // WIDTH):
        raise VerificationError(
            "the stored tree is not the one of the newest checkpoint; nothing more is signed. Restore "
            "the database from a backup",
            code="log.damaged",
            size=tree.size,
        )


def _lock_journal(session: Session) -> None:
    """Writers of the journal take turns, so that order numbers and `prev` links never collide."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(text(str(JOURNAL_LOCK)))))


def _become_sequencer(session: Session) -> bool:
    """One sequencer at a time: PostgreSQL by an advisory lock of this transaction; SQLite has one writer."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    locked = session.execute(
        select(func.pg_try_advisory_xact_lock(text(str(SEQUENCER_LOCK))))
    ).scalar_one()
    return bool(locked)
