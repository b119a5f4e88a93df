"""Uploads whose signature fields are being placed: kept for a day, seen by their organisation only.

Nothing is published and nothing is an entry yet: a draft is a file on its way in. The worker deletes those that
are past their day, row and file; a file that anything else refers to stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.examining import examiner
from api.flows.agreements import NewAgreement, create_from_upload, limits_of
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, NotFoundError
from ledger.core.ids import require_id
from ledger.queries import seals as queries
from ledger.queries.blobs import referred_to
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from ledger.tables.seals import UploadDraftRow
from signing.placement import Anchor, Spot

KEPT_FOR: Final = timedelta(days=1)
DELETED_PER_RUN: Final = 100
"""Rows of one run of the worker: a flood of uploads is cleared in minutes and holds no lock for long."""
PAGE_SIDE_PX: Final = 1200
"""Longest side of a page picture while fields are placed."""


def keep_draft(
    session: Session,
    ports: Ports,
    caller: Caller,
    draft_id: str,
    *,
    data: bytes,
    request: Mapping[str, Json],
    at: datetime,
) -> UploadDraftRow:
    """Take an uploaded PDF in and keep it; the same again returns it.

    Args:
        draft_id: the id the agreement will have.
        request: what else was typed; at most a few kilobytes.

    Raises:
        InputError, LimitError: `pdf.*`.
        ConflictError: `placement.other_file`: the id was used with another file.
    """
    require_id(draft_id, prefix="agr")
    organisation_id = require_organisation(caller)
    existing = session.get(UploadDraftRow, draft_id)
    if existing is None:
        facts = examiner().take_in(data, limits=limits_of(ports))
        row = UploadDraftRow(
            id=draft_id,
            organisation_id=organisation_id,
            account_id=caller.account_id,
            sha256=ports.blobs.put(data),
            pages=facts.pages,
            request=json.dumps(dict(request), ensure_ascii=False),
            created_at=at,
            expires_at=at + KEPT_FOR,
        )
        session.add(row)
        session.flush()
        return row
    if existing.organisation_id != organisation_id:
        raise NotFoundError("there is no such record")
    if existing.sha256 != ports.blobs.put(data):
        raise ConflictError(
            "this id was used with another file: start anew", code="placement.other_file"
        )
    existing.request = json.dumps(dict(request), ensure_ascii=False)
    return existing


def draft_for(session: Session, caller: Caller, draft_id: str, *, at: datetime) -> UploadDraftRow:
    """A draft of the caller's organisation that is not too old.

    Raises:
        NotFoundError: absent, another organisation's, or past its day.
    """
    row = queries.draft_of(session, draft_id, at=at)
    if row is None or row.organisation_id != require_organisation(caller):
        raise NotFoundError("there is no such record")
    return row


def plan_fields(
    session: Session,
    caller: Caller,
    draft_id: str,
    fields: Sequence[Mapping[str, Json]],
    *,
    at: datetime,
) -> UploadDraftRow:
    """Keep with a draft which form fields its author leaves to whom; publication judges it.

    Raises:
        NotFoundError: as `draft_for`.
    """
    row = draft_for(session, caller, draft_id, at=at)
    typed = json.loads(row.request)
    typed["fillable"] = json.dumps([dict(one) for one in fields], ensure_ascii=False)
    row.request = json.dumps(typed, ensure_ascii=False)
    return row


def publish_draft(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewAgreement,
    *,
    places: Sequence[Anchor | Spot],
    at: datetime,
) -> AgreementRow:
    """Place the fields and publish; the draft is gone afterwards.

    Raises:
        NotFoundError: as `draft_for`.
        InputError, LimitError, ConflictError: `placement.*`, `agreement.*`, `pdf.*`.
    """
    row = draft_for(session, caller, new.id, at=at)
    made = create_from_upload(
        session, ports, caller, new, data=ports.blobs.get(row.sha256), places=places, at=at
    )
    session.delete(row)
    return made


def delete_expired(ports: Ports, *, at: datetime) -> int:
    """Delete drafts past their day, at most `DELETED_PER_RUN`; returns how many.

    The rows go first: a crash after them leaves files that nothing refers to, never a draft without its file.
    Nothing of a draft is on the log, so the log keeps everything it has.

    Raises:
        UnavailableError: `storage.unavailable`.
    """
    with transaction(ports.readers) as session:
        if not queries.expired_drafts(session, at=at, limit=1):
            return 0
    with transaction(ports.sessions) as session:
        rows = queries.expired_drafts(session, at=at, limit=DELETED_PER_RUN)
        digests = {row.sha256 for row in rows}
        for row in rows:
            session.delete(row)
    with transaction(ports.readers) as session:
        unused = digests - referred_to(session, digests)
    for digest in sorted(unused):
        ports.blobs.remove_unused(digest)
    return len(rows)
