"""The append-only log: journal, sequence into the tree, sign checkpoints.

Order of writes and what a crash leaves behind:
    1. journal row, private body and data key in the caller's transaction. A crash before: nothing happened.
    2. acknowledged. From here the record is never lost.
    3. sequencing: sequence number, tree nodes and checkpoint in one transaction. A crash leaves journal
       rows without a number, which the next run takes in the same order.
    4. anchoring (ledger/submitter.py), from the newest checkpoint.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ledger.core import merkle
from ledger.core.canonical import Json, canonical_bytes, commitment
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    InputError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import require_id
from ledger.core.units import Digest32, digest32, utc_text
from ledger.disclosure import fields_commitment
from ledger.entry_types import ENTRY_TYPES
from ledger.note import Checkpoint, NoteSigner
from ledger.queries import log as queries
from ledger.tables.log import CheckpointRow, EntryRow, NodeRow
from ledger.vault import SALT_BYTES, PrivateBody, Vault

ENTRY_VERSION: Final = "fuqi/entry/v1"
DISCLOSABLE_VERSION: Final = "fuqi/entry/v2"
"""As v1, and `commitments.fields` commits to each field of the body (ledger/disclosure.py)."""
ENTRY_VERSIONS: Final = (ENTRY_VERSION, DISCLOSABLE_VERSION)
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
    """Journal entries in the caller's transaction, in order.

    An entry whose id is already there with the same content is returned as it stands.

    Raises:
        InputError: `entry.type`, `entry.body_size`, `id.malformed`.
        ExistsWithDifferentFieldError: same id, other content; `field` names the first difference in the
            order type, subject, actor, at, disclosable, body.
    """
    _lock_journal(session)
    known = queries.entries_by_ids(session, [entry.id for entry in entries])
    order = queries.last_order(session)
    subjects = list(dict.fromkeys(entry.subject for entry in entries))
    heads = queries.last_leaves(session, subjects)
    rows: list[EntryRow] = []
    fresh: list[EntryRow] = []
    private: dict[str, PrivateBody] = {}
    for entry in entries:
        existing = known.get(entry.id)
        if existing is not None:
            kept = private.get(entry.id) or vault.get(session, entry.id)
            _require_same(existing, kept, entry)
            rows.append(existing)
            continue
        order += 1
        salt = secrets.token_bytes(SALT_BYTES)
        row = _journal_row(entry, order=order, salt=salt, prev=heads.get(entry.subject))
        heads[entry.subject] = row.leaf
        known[entry.id] = row
        private[entry.id] = PrivateBody(salt=salt, body=entry.body)
        rows.append(row)
        fresh.append(row)
    if fresh:
        # Entries first: a private body refers to its entry.
        session.add_all(fresh)
        session.flush()
        items = [(row.id, row.subject, private[row.id]) for row in fresh]
        session.add_all(vault.seal_many(session, items, at=fresh[0].at))
        session.flush()
    return rows


def _journal_row(entry: NewEntry, *, order: int, salt: bytes, prev: str | None) -> EntryRow:
    require_id(entry.id, prefix="ent")
    if entry.type not in ENTRY_TYPES:
        raise InputError(f"unknown entry type {entry.type}", code="entry.type")
    if len(canonical_bytes(entry.body)) > BODY_BYTES_MAX:
        raise InputError("the record is too large", code="entry.body_size", limit=BODY_BYTES_MAX)
    body_commitment = commitment(salt, entry.body).hex()
    commitments = {"body": body_commitment}
    if entry.disclosable:
        commitments["fields"] = fields_commitment(entry.body, salt).hex()
    data = canonical_bytes(
        {
            "v": DISCLOSABLE_VERSION if entry.disclosable else ENTRY_VERSION,
            "id": entry.id,
            "type": entry.type,
            "at": utc_text(entry.at),
            "subject": entry.subject,
            "actor": entry.actor,
            "commitments": commitments,
            "prev": prev,
        }
    )
    assert len(data) <= ENTRY_BYTES_MAX
    at = entry.at.replace(microsecond=0)
    return EntryRow(
        id=entry.id,
        type=entry.type,
        at=at,
        subject=entry.subject,
        actor=entry.actor,
        body_commitment=body_commitment,
        prev=prev,
        bytes=data,
        leaf=merkle.leaf_hash(data).hex(),
        journaled_at=at,
        order=order,
    )


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
    rows = queries.unsequenced(session, limit=SEQUENCE_BATCH)
    if not rows:
        return None
    size = queries.tree_size(session)
    fresh: dict[tuple[int, int], Digest32] = {}
    reader = _reader(session, fresh)
    _require_intact(session, reader, size=size)
    nodes: list[NodeRow] = []
    for row in rows:
        leaf = digest32(bytes.fromhex(row.leaf))
        assert merkle.leaf_hash(row.bytes) == leaf, "journal row does not match its leaf"
        for level, index, value in merkle.nodes_completed_by(size, leaf, reader):
            fresh[(level, index)] = value
            nodes.append(NodeRow(level=level, index=index, hash=value))
        row.seq = size
        size += 1
    session.add_all(nodes)
    root = merkle.root(size, reader)
    checkpoint = Checkpoint(origin=signer.verifier.name, size=size, root=root)
    stored = CheckpointRow(size=size, root=root.hex(), note=signer.sign(checkpoint), signed_at=at)
    session.add(stored)
    session.flush()
    return stored


def inclusion(session: Session, *, index: int, size: int) -> list[Digest32]:
    """Inclusion path of leaf `index` in the tree of `size` leaves."""
    return merkle.inclusion_path(index, size=size, node=_reader(session, {}))


def consistency(session: Session, old_size: int, size: int) -> list[bytes]:
    """Consistency path between two sizes of the tree."""
    return list(merkle.consistency_path(old_size, size=size, node=_reader(session, {})))


def root_at(session: Session, size: int) -> Digest32:
    """Root of the first `size` leaves."""
    return merkle.root(size, _reader(session, {}))


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
    lines = [
        "c2sp.org/tlog-proof@v1",
        f"extra {base64.b64encode(entry.bytes).decode()}",
        f"index {entry.seq}",
        *(base64.b64encode(step).decode() for step in path),
    ]
    return "\n".join(lines) + "\n\n" + cosigned_note(session, checkpoint)


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
    """Idempotency: the declared order of fields is the order of complaint."""
    compared: tuple[tuple[str, object, object], ...] = (
        ("type", row.type, entry.type),
        ("subject", row.subject, entry.subject),
        ("actor", row.actor, entry.actor),
        ("at", row.at, entry.at.replace(microsecond=0)),
        ("disclosable", row.bytes.endswith(_V2_END), entry.disclosable),
    )
    for field, old, new in compared:
        if old != new:
            raise ExistsWithDifferentFieldError(f"different {field}", field=field, id=entry.id)
    for key in sorted(set(private.body) | set(entry.body)):
        # Absent is not the same as null: the commitments differ.
        if (key in private.body) != (key in entry.body) or canonical_bytes(
            private.body.get(key)
        ) != canonical_bytes(entry.body.get(key)):
            field = f"body.{key}"
            raise ExistsWithDifferentFieldError(f"different {field}", field=field, id=entry.id)


def _require_intact(session: Session, reader: merkle.NodeReader, *, size: int) -> None:
    newest = queries.latest_checkpoint(session)
    signed = (0, merkle.EMPTY_ROOT.hex()) if newest is None else (newest.size, newest.root)
    try:
        stored = (size, merkle.root(size, reader).hex())
    except NotFoundError:
        stored = (size, "")
    if stored != signed:
        raise VerificationError(
            "the stored tree is not the one of the newest checkpoint; nothing more is signed. Restore "
            "the database from a backup",
            code="log.damaged",
            stored_size=size,
            signed_size=signed[0],
        )


def _reader(session: Session, fresh: dict[tuple[int, int], Digest32]) -> merkle.NodeReader:
    def node(level: int, index: int) -> Digest32:
        found = fresh.get((level, index))
        if found is not None:
            return found
        row = session.get(NodeRow, (level, index))
        if row is None:
            raise NotFoundError("this part of the tree is not stored", code="log.node_missing")
        value = digest32(row.hash)
        fresh[(level, index)] = value
        return value

    return node


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
