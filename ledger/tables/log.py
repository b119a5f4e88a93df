"""Tables of the log: journal, private bodies, tiles of the tree, checkpoints, outbox. Rows are insert-only
but for erasure of a data key and the state of an outbox row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    case,
    func,
    select,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column

from ledger.store import Base, UtcDateTime


class CheckpointRow(Base):
    """A signed size and root of the tree, as a C2SP signed note."""

    __tablename__ = "checkpoint"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EntryRow(Base):
    """One record in the log: written once, never changed."""

    __tablename__ = "journal_entry"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    type: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    subject: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(40))
    body_commitment: Mapped[str] = mapped_column(String(64))
    prev: Mapped[str | None] = mapped_column(String(64))
    bytes: Mapped[bytes] = mapped_column(LargeBinary)
    leaf: Mapped[str] = mapped_column(String(64), unique=True)
    journaled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    order: Mapped[int] = mapped_column(BigInteger, unique=True)
    """Order of arrival, 1, 2, 3, … without a gap: writers take turns (`ledger.log`)."""
    seq: Mapped[int | None] = column_property(
        case(
            (
                order <= select(func.max(CheckpointRow.size)).scalar_subquery(),
                order - 1,
            ),
            else_=None,
        )
    )
    """Place in the tree: null between the journal commit (the acknowledgement) and the checkpoint over it.

    Not stored: the tree takes entries in their order, so that its size says which are in. Compare `order` in
    conditions, which has an index.
    """

    __table_args__ = (
        Index("ix_journal_entry_subject_order", "subject", "order"),
        Index("ix_journal_entry_type_order", "type", "order"),
    )


class PrivateBodyRow(Base):
    """Private body and salt of an entry, sealed under the subject's data key."""

    __tablename__ = "private_body"

    entry_id: Mapped[str] = mapped_column(ForeignKey("journal_entry.id"), primary_key=True)
    subject: Mapped[str] = mapped_column(String(40), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class DataKeyRow(Base):
    """A subject's data key, wrapped under the installation's key; `wrapped` is null once erased."""

    __tablename__ = "data_key"

    subject: Mapped[str] = mapped_column(String(40), primary_key=True)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    restricted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it is stored and protected and nothing else (PIPL Art. 47); the key is kept."""


class TileRow(Base):
    """256 hashes of the tree, none of which will change; see `ledger.tree`."""

    __tablename__ = "log_tile"

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Hash of the complete subtree over them: one hash of a tile of the next level."""
    hashes: Mapped[bytes] = mapped_column(LargeBinary(8192))


class CosignatureRow(Base):
    """A witness's signature on a checkpoint, verified before it was stored (C2SP tlog-cosignature)."""

    __tablename__ = "cosignature"

    size: Mapped[int] = mapped_column(BigInteger, ForeignKey("checkpoint.size"), primary_key=True)
    witness: Mapped[str] = mapped_column(String(200), primary_key=True)
    """Verifier key of the witness, `name+hash+base64`."""
    line: Mapped[str] = mapped_column(Text)
    """The note line, without its newline."""
    cosigned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The time that the witness signed."""


class OutboxRow(Base):
    """Work to do after the commit; taken by the worker by state, never by id."""

    __tablename__ = "outbox"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    topic: Mapped[str] = mapped_column(String(40))
    ref: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(12), default="waiting")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(200))
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_outbox_state_not_before", "state", "not_before"),)
