"""A lost key: blocked here at once, revoked at the authority, and everybody concerned is told.

What stays: finished signatures (their time stamps are older than the revocation). What ends: the key, what
was prepared for it, and each statement it affirmed for a document that is not signed yet. What goes on:
the holder makes a new key and takes up each agreement where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation
from api.ports import Ports
from ledger.core.errors import FuqiError, InputError, NotFoundError
from ledger.core.ids import new_id
from ledger.log import NewEntry, record
from ledger.queries import notices as queries
from ledger.store import transaction
from ledger.tables.log import OutboxRow
from ledger.tables.notices import NoticeRow
from ledger.tables.parties import CertificateRow

REASONS: Final = ("key_compromise", "superseded", "cessation_of_operation")
"""Lost or stolen; replaced by a new key; no longer acts for the organisation."""
TOPICS: Final = {f"revoke.{reason}": reason for reason in REASONS}
"""Topic of the outbox -> reason that the authority is told."""
BATCH: Final = 50
"""Revocations carried to the authority in one step of the worker."""
RETRY_SECONDS_MAX: Final = 3600
KIND_OPEN: Final = "key.revoked"
KIND_SIGNED: Final = "key.revoked_after_signing"


@dataclass(frozen=True, slots=True)
class LostKey:
    """What the report of a lost key did.

    Attributes:
        revoked_at: since when the key is blocked here.
        at_authority: whether the authority has revoked it already; if not, the worker goes on trying.
        agreements: open agreements in which its holder is named.
        resumed: those in which the holder affirms and signs again with a new key.
    """

    certificate: CertificateRow
    revoked_at: datetime
    at_authority: bool
    agreements: int
    resumed: int


def report_lost_key(
    ports: Ports,
    caller: Caller,
    certificate_id: str,
    *,
    reason: str,
    at: datetime,
    kept_session: str = "",
) -> LostKey:
    """Block a key for good. Its holder or the organisation's administrator may; once more changes nothing.

    Args:
        kept_session: SHA-256 of the session in use: every other login of the holder ends, because the
            lost device may be logged in.

    Raises:
        InputError: `key.reason`.
        NotFoundError: no such certificate of the caller, or of the caller's organisation.
    """
    if reason not in REASONS:
        raise InputError(f"reasons: {', '.join(REASONS)}", code="key.reason", field="reason")
    organisation_id = require_organisation(caller)
    with transaction(ports.sessions) as session:
        row = queries.lock_certificate(session, certificate_id)
        allowed = row is not None and row.organisation_id == organisation_id
        if row is None or not (
            allowed and (caller.person_id == row.person_id or Role.ADMIN in caller.roles)
        ):
            raise NotFoundError("there is no such record")
        agreements, resumed = 0, 0
        if row.revoked_at is None:
            agreements, resumed = _block(session, ports, caller, row, reason=reason, at=at)
        queries.end_sessions(session, person_id=row.person_id, kept=kept_session)
        revoked_at = row.revoked_at
        assert revoked_at is not None
    # After the commit: the key is blocked here even if the authority does not answer now.
    revoke_at_authority(ports, at=at)
    with transaction(ports.readers) as session:
        outbox = session.get(OutboxRow, _outbox_id(certificate_id))
        done = outbox is None or outbox.state == "done"
    return LostKey(
        certificate=row,
        revoked_at=revoked_at,
        at_authority=done,
        agreements=agreements,
        resumed=resumed,
    )


def revoke_at_authority(ports: Ports, *, at: datetime) -> int:
    """Carry waiting revocations to the authority; returns how many arrived. The worker calls it too.

    Repeating a revocation changes nothing, so a crash between the answer and our row loses nothing.
    """
    with transaction(ports.readers) as session:
        waiting = [
            (row.id, row.ref, TOPICS[row.topic])
            for row in queries.due_outbox(session, topics=tuple(TOPICS), at=at, limit=BATCH)
        ]
        found = {
            outbox_id: (certificate, reason)
            for outbox_id, certificate_id, reason in waiting
            if (certificate := session.get(CertificateRow, certificate_id)) is not None
        }
    arrived = 0
    for outbox_id, (certificate, reason) in found.items():
        assert certificate.revoked_at is not None
        code = None
        try:
            ports.authority.revoke(certificate.serial, at=certificate.revoked_at, reason=reason)
            arrived += 1
        except FuqiError as exc:
            code = exc.error_code
        with transaction(ports.sessions) as session:
            row = session.get(OutboxRow, outbox_id)
            assert row is not None
            row.attempts += 1
            row.last_error = code
            if code is None:
                row.state, row.done_at = "done", at
            else:
                pause = min(2 ** min(row.attempts, 12), RETRY_SECONDS_MAX)
                row.not_before = at + timedelta(seconds=pause)
    return arrived


def mark_seen(session: Session, caller: Caller, notice_id: str, *, at: datetime) -> NoticeRow:
    """Mark a notice to the caller's organisation as seen; the first time stays.

    Raises:
        NotFoundError: no such notice of the caller's organisation.
    """
    row = session.get(NoticeRow, notice_id)
    if row is None or row.organisation_id != require_organisation(caller):
        raise NotFoundError("there is no such record")
    if row.seen_at is None:
        row.seen_at = at
    return row


def _block(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: CertificateRow,
    *,
    reason: str,
    at: datetime,
) -> tuple[int, int]:
    """(open agreements of the holder, those that go on with a new key)."""
    row.revoked_at = at
    queries.end_preparations(session, certificate_id=row.id, at=at)
    places = queries.open_places_of(
        session, organisation_id=row.organisation_id, person_id=row.person_id
    )
    resumed = 0
    for place in places:
        signed = place.signed_at is not None
        if signed and place.certificate_id != row.id:
            continue
        if not signed:
            resumed += 1
            acts = queries.affirmed_with(session, place.id, row.id)
            # What a key in other hands may have affirmed is affirmed again with the new one.
            if "sign" in acts:
                place.intent_at = None
            if "consent" in acts:
                place.consented_at = None
                place.intent_at = None
        kind = KIND_SIGNED if signed else KIND_OPEN
        for organisation_id in sorted(queries.parties_of(session, place.agreement_id)):
            session.add(
                NoticeRow(
                    id=new_id("ntc", at=at),
                    organisation_id=organisation_id,
                    kind=kind,
                    subject=place.agreement_id,
                    cause=row.id,
                    created_at=at,
                )
            )
    session.add(
        OutboxRow(
            id=_outbox_id(row.id),
            topic=f"revoke.{reason}",
            ref=row.id,
            state="waiting",
            attempts=0,
            not_before=at,
        )
    )
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="key.revoked",
            at=at,
            subject=row.person_id,
            actor=caller.account_id,
            body={"certificate": row.id, "serial": row.serial, "reason": reason},
        ),
    )
    session.flush()
    return len(places), resumed


def _outbox_id(certificate_id: str) -> str:
    return "obx_" + certificate_id.partition("_")[2]
