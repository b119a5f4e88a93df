"""Entries of outside systems: recorded beside our own, and never to be mistaken for them.

Every one has the type `external.recorded` and a subject `ext_…` that belongs to one organisation, so that no
outside system can write what only we write, or about a thing of somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role
from api.flows.evidence import require_subject_visible
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    LimitError,
    NotFoundError,
)
from ledger.core.ids import require_id
from ledger.core.units import utc_text
from ledger.log import (
    NewEntry,
    append_many,
    consistency_proof,
    cosigned_note,
    inclusion,
    tlog_proof,
)
from ledger.queries import external as queries
from ledger.queries import log as log_queries
from ledger.receipts import build_receipt
from ledger.tables.external import ExternalSubjectRow
from ledger.tables.log import EntryRow

ENTRY_TYPE: Final = "external.recorded"
SUBJECT_PREFIX: Final = "ext"
DATA_PREFIX: Final = "data."
"""Each field of the data is a field of the body, so that it can be compared and disclosed by itself."""
BATCH_MAX: Final = 4096
"""As many as the sequencer takes at once: one batch is then one checkpoint."""
FIELDS_MAX: Final = 256
"""A record with more is a document: record its digest instead."""
INCLUSION_VERSION: Final = "fuqi/inclusion-proof/v1"


@dataclass(frozen=True, slots=True)
class OutsideEntry:
    """What an outside system sends; `happened_at` is its own claim, kept in the body."""

    id: str
    subject: str
    kind: str
    happened_at: datetime
    data: Mapping[str, Json]
    disclosable: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry's id, leaf hash (hex), place in the tree (None before), and whether this request made it."""

    id: str
    leaf: str
    index: int | None
    new: bool


def record_outside(
    session: Session, ports: Ports, caller: Caller, entries: Sequence[OutsideEntry], *, at: datetime
) -> list[Recorded]:
    """Journal entries of an outside system, all or none, in order.

    What is there already with the same content is returned as it stands.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        LimitError: `entries.too_many`, `entries.fields`.
        InputError: `id.malformed`, and the codes of `canonical_bytes`.
        NotFoundError: a subject is another organisation's.
        ExistsWithDifferentFieldError: same id, other content; `field` is the first that differs in the order
            subject, account, disclosable, data (by name), happened_at, kind.
        ConflictError: `vault.restricted`, `vault.erased`.
    """
    require_role(caller, Role.INTEGRATION)
    organisation = require_organisation(caller)
    if len(entries) > BATCH_MAX:
        raise LimitError("too many entries at once", code="entries.too_many", entries_max=BATCH_MAX)
    for entry in entries:
        _require_form(entry)
    _own_subjects(session, organisation, [entry.subject for entry in entries], at=at)
    ids = [entry.id for entry in entries]
    known = _append(session, ports, caller, organisation, entries, at=at)
    places = queries.places_of(session, [one for one in ids if one not in known])
    places |= {one: (row.leaf, row.seq) for one, row in known.items()}
    seen = set(known)
    made: list[Recorded] = []
    for one in ids:
        made.append(Recorded(one, *places[one], new=one not in seen))
        seen.add(one)
    return made


def receipt_of(session: Session, ports: Ports, entry_id: str) -> dict[str, Json]:
    """The receipt of an entry that the caller has just recorded, with its private body."""
    row = session.get_one(EntryRow, entry_id)
    return build_receipt(
        session, row, verifier=ports.log_key.verifier, private=ports.vault.get(session, row.id)
    )


def entries_page(
    session: Session, caller: Caller, *, subject: str | None, after: int, limit: int
) -> Sequence[EntryRow]:
    """A page of what the caller's organisation has recorded from outside, oldest first.

    Raises:
        ForbiddenError: `auth.no_organisation`.
    """
    return queries.entries_of_organisation(
        session, require_organisation(caller), subject=subject, after=after, limit=limit
    )


def proof_of_entry(session: Session, caller: Caller, entry_id: str, *, size: int | None) -> str:
    """The C2SP `tlog-proof@v1` of an entry that the caller may see.

    Raises:
        NotFoundError: absent or not the caller's; `log.no_checkpoint`.
        ConflictError: `log.not_in_tree`.
    """
    row = session.get(EntryRow, entry_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_subject_visible(session, caller, row.subject)
    return tlog_proof(session, entry_id, size=size)


def inclusion_of_leaf(session: Session, leaf: str, *, size: int | None) -> dict[str, Any]:
    """`fuqi/inclusion-proof/v1` of a leaf hash, for whoever knows it: the log itself is public.

    Raises:
        NotFoundError: `log.leaf_unknown`, `log.no_checkpoint`.
        ConflictError: `log.not_in_tree`.
    """
    row = queries.entry_of_leaf(session, leaf)
    if row is None:
        raise NotFoundError("the log holds no such leaf", code="log.leaf_unknown")
    checkpoint = (
        log_queries.latest_checkpoint(session)
        if size is None
        else log_queries.checkpoint_of_size(session, size)
    )
    if checkpoint is None:
        raise NotFoundError(
            "no checkpoint was signed at that size", code="log.no_checkpoint", size=size
        )
    if row.seq is None or row.seq >= checkpoint.size:
        raise ConflictError("the entry is not in this tree", code="log.not_in_tree")
    path = inclusion(session, index=row.seq, size=checkpoint.size)
    return {
        "v": INCLUSION_VERSION,
        "leaf": leaf,
        "index": row.seq,
        "size": checkpoint.size,
        "root": checkpoint.root,
        "path": [step.hex() for step in path],
        "note": cosigned_note(session, checkpoint),
    }


def consistency_between(session: Session, old: int, new: int | None) -> dict[str, Json]:
    """`fuqi/consistency-proof/v1` between two signed checkpoints.

    Raises:
        InputError: `log.sizes`.
        NotFoundError: `log.no_checkpoint`.
    """
    return consistency_proof(session, old, new)


def _require_form(entry: OutsideEntry) -> None:
    require_id(entry.id, prefix="ent")
    require_id(entry.subject, prefix=SUBJECT_PREFIX)
    if len(entry.data) > FIELDS_MAX:
        raise LimitError(
            "too many fields in one record", code="entries.fields", fields_max=FIELDS_MAX
        )


def _own_subjects(
    session: Session, organisation: str, subjects: Sequence[str], *, at: datetime
) -> None:
    """Every subject is this organisation's, now at the latest; two that claim one at once collide here."""
    wanted = list(dict.fromkeys(subjects))
    owners = queries.owners_of(session, wanted)
    if any(owner != organisation for owner in owners.values()):
        # Absent and somebody else's are not told apart elsewhere; here the id is at least taken.
        raise NotFoundError("there is no such record")
    session.add_all(
        ExternalSubjectRow(id=subject, organisation_id=organisation, created_at=at)
        for subject in wanted
        if subject not in owners
    )


def _append(
    session: Session,
    ports: Ports,
    caller: Caller,
    organisation: str,
    entries: Sequence[OutsideEntry],
    *,
    at: datetime,
) -> dict[str, EntryRow]:
    """Append. What is there already is compared under the time at which it was accepted then."""
    accepted: dict[str, datetime] = {}
    for last in (False, True):
        wanted = [
            _new_entry(entry, caller, organisation, at=accepted.get(entry.id, at))
            for entry in entries
        ]
        try:
            return append_many(session, ports.vault, wanted)
        except ExistsWithDifferentFieldError as exc:
            if exc.context.get("field") != "at" or last:
                raise _named(exc) from exc
            # A retry. `append_many` has written nothing and holds the journal from here on, so that what
            # stands there now is what the second attempt meets.
            known = log_queries.entries_by_ids(session, [entry.id for entry in entries])
            accepted = {one: row.at for one, row in known.items()}
    raise AssertionError("unreachable")


def _new_entry(entry: OutsideEntry, caller: Caller, organisation: str, *, at: datetime) -> NewEntry:
    body: dict[str, Json] = {
        "organisation": organisation,
        "kind": entry.kind,
        "happened_at": utc_text(entry.happened_at),
    }
    body.update({DATA_PREFIX + name: value for name, value in entry.data.items()})
    return NewEntry(
        id=entry.id,
        type=ENTRY_TYPE,
        at=at,
        subject=entry.subject,
        actor=caller.account_id,
        body=body,
        disclosable=entry.disclosable,
    )


def _named(exc: ExistsWithDifferentFieldError) -> ExistsWithDifferentFieldError:
    """The field as the request names it."""
    field = str(exc.context["field"]).removeprefix("body.")
    return ExistsWithDifferentFieldError(
        f"this id was sent before with a different {field}", field=field, id=exc.context["id"]
    )
