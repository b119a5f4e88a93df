"""What the exports of all bundles share: entries opened and final, their anchors, the file and its record."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.ports import Ports
from arbitration.contents import Anchor, Purpose
from ledger.core.errors import ConflictError, FuqiError, LimitError, UnavailableError
from ledger.core.ids import new_id
from ledger.log import NewEntry, record
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.receipts import anchor_json
from ledger.store import transaction
from ledger.tables.agreements import BundleRow
from ledger.tables.log import EntryRow
from ledger.vault import PrivateBody

ENTRIES_MAX: Final = 900
"""Of one reading. A file holds at most 2 000 parts (`arbitration.container`), two for each entry."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry with its private body."""

    row: EntryRow
    private: PrivateBody

    @property
    def body(self) -> Mapping[str, Any]:
        """The private body."""
        return self.private.body


@dataclass(frozen=True, slots=True)
class NewBundle:
    """A bundle that somebody asked for.

    Attributes:
        id: bun_..., made by the caller.
        subject: the agreement or lot that it proves.
        makers_own: it opens its maker's own acts, so that the same id is never answered to another account.
    """

    id: str
    subject: str
    purpose: Purpose
    recipient: str
    at: datetime
    makers_own: bool = False


def made_before(
    session: Session, ports: Ports, caller: Caller, wanted: NewBundle
) -> tuple[BundleRow, bytes] | None:
    """The bundle that an earlier request with this id made.

    Raises:
        ConflictError: `bundle.other_agreement`.
    """
    row = session.get(BundleRow, wanted.id)
    if row is None:
        return None
    if row.subject != wanted.subject or (
        wanted.makers_own and row.exported_by != caller.account_id
    ):
        raise ConflictError(
            "this bundle id belongs to another export; make a new one",
            code="bundle.other_agreement",
        )
    return row, ports.blobs.get(row.sha256)


def keep_bundle(
    ports: Ports,
    caller: Caller,
    wanted: NewBundle,
    data: bytes,
    *,
    opened: Collection[str],
    still: Callable[[Session], None] = lambda _session: None,
) -> tuple[BundleRow, bytes]:
    """Store a bundle's file and record it; what another request with this id made meanwhile is returned.

    What it opens may have been erased or restricted since it was read: then it is not handed out, and its file
    is removed. An erasure that comes later finds the row and removes the file itself.

    Args:
        opened: subjects whose private bodies the file holds.
        still: what else must stand as it was read; called first, with locks of its own.

    Raises:
        ConflictError: `vault.restricted`, `bundle.other_agreement`, and those of `still`.
    """
    # Files first: a crash here leaves a file nothing refers to, never a row without its file.
    with kept_file(ports, data) as sha256, transaction(ports.sessions) as session:
        still(session)
        existing = made_before(session, ports, caller, wanted)
        if existing is None:
            require_unerased(session, opened)
            row = record_bundle(session, ports, caller, wanted, sha256=sha256, size=len(data))
            return row, data
    if existing[0].sha256 != sha256:
        ports.blobs.remove(sha256)
    return existing


@contextmanager
def kept_file(ports: Ports, data: bytes) -> Iterator[str]:
    """Store a file and hand out its digest; it goes again where whatever would have named it was refused.

    For files with a stamp of their own, which nobody else stores.
    """
    sha256 = ports.blobs.put(data)
    try:
        yield sha256
    except FuqiError as exc:
        # Whether a database that went away has committed nobody knows: then the file stays.
        if not isinstance(exc, UnavailableError):
            ports.blobs.remove(sha256)
        raise


def require_unerased(session: Session, subjects: Collection[str]) -> None:
    """Until the transaction ends nothing of these is erased or restricted; refused where it is already.

    Raises:
        ConflictError: `vault.restricted`.
    """
    for key in log_queries.held_keys(session, sorted(subjects)):
        if key.wrapped is None or key.restricted_at is not None:
            raise ConflictError(
                "something in this file was erased or restricted on request while it was made",
                code="vault.restricted",
            )


def record_bundle(
    session: Session, ports: Ports, caller: Caller, wanted: NewBundle, *, sha256: str, size: int
) -> BundleRow:
    """Note a bundle whose file is stored, and journal that it left, for whom.

    Args:
        sha256: digest under which `ports.blobs` holds the file.   size: its bytes.
    """
    row = BundleRow(
        id=wanted.id,
        subject=wanted.subject,
        sha256=sha256,
        size_bytes=size,
        purpose=wanted.purpose.value,
        exported_by=caller.account_id,
        created_at=wanted.at,
    )
    session.add(row)
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=wanted.at),
            type="bundle.exported",
            at=wanted.at,
            subject=row.id,
            actor=caller.account_id,
            body={
                "bundle": row.id,
                "subject": row.subject,
                "sha256": row.sha256,
                "purpose": row.purpose,
                "recipient": wanted.recipient,
            },
        ),
    )
    session.flush()
    return row


def open_entries(session: Session, ports: Ports, subjects: Sequence[str]) -> list[Opened]:
    """Entries about these subjects with their private bodies, oldest first: all of them, or a refusal.

    Raises:
        LimitError: `bundle.too_many_entries`.
    """
    rows = log_queries.every_entry_of(session, subjects, limit=ENTRIES_MAX)
    if len(rows) > ENTRIES_MAX:
        raise LimitError(
            "there are too many entries for one file: take the receipts one by one",
            code="bundle.too_many_entries",
            limit=ENTRIES_MAX,
        )
    return [Opened(row=row, private=ports.vault.get(session, row.id)) for row in rows]


def opened_subjects(receipts: Iterable[Mapping[str, Any]]) -> set[str]:
    """Whose private bodies these receipts open, whole or in part."""
    return {
        str(json.loads(base64.b64decode(one["entry"]["bytes"]))["subject"])
        for one in receipts
        if one["private"] is not None or one.get("disclosed") is not None
    }


def require_final(session: Session, opened: Sequence[Opened]) -> None:
    """Refuse while an entry is not under a final anchor.

    Raises:
        ConflictError: `bundle.not_final`.
    """
    final = anchor_queries.latest_final(session)
    size = 0 if final is None else final.checkpoint_size
    for one in opened:
        if one.row.seq is None or one.row.seq >= size:
            raise ConflictError(
                "some records are not final on the chain yet; ask again in a moment",
                code="bundle.not_final",
                entry=one.row.id,
            )


def anchors_named(session: Session, receipts: Sequence[Mapping[str, Any]]) -> list[Anchor]:
    """Every anchor that these receipts name, once, with its evidence."""
    wanted = sorted(
        {
            (int(one["anchor"]["chain_id"]), int(one["anchor"]["size"]))
            for one in receipts
            if one["anchor"] is not None
        }
    )
    rows = [anchor_queries.anchor_of(session, chain_id, size) for chain_id, size in wanted]
    return [Anchor(anchor_json(row, with_evidence=True)) for row in rows if row is not None]
