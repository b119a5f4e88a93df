"""Places in an agreement: handing one on (转交) and reminding whoever is waited for (催办)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import (
    agreement_for,
    record_step,
    require_handler,
    signer_for,
    state_of,
)
from api.ports import Ports
from ledger.core.errors import ConflictError
from ledger.core.ids import derived_id
from ledger.core.units import utc_text
from ledger.queries import agreements as queries
from ledger.tables.agreements import AgreementRow, SignerRow
from signing import agreement as rules

REMIND_EVERY: Final = timedelta(hours=4)
"""Between two reminders of one agreement: a reminder that comes too often is not read."""


def forward(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    to_person: str,
    reason: str,
    at: datetime,
) -> SignerRow:
    """Hand one's own place to another handler of the same organisation; returns the new place.

    The new handler is delivered the document anew and reads, consents and acts by themselves.
    Cannot be undone; they can hand it back.

    Raises:
        NotFoundError: absent, another person's; `party.not_found`.
        ForbiddenError: `authority.none`, `agreement.not_a_signer`.
        ConflictError, InputError: `agreement.*`.
    """
    row, signer = signer_for(session, caller, signer_id)
    organisation, person = require_handler(
        session, organisation_id=signer.organisation_id, person_id=to_person
    )
    step = rules.forward(
        state_of(session, row),
        field=signer.field,
        person=signer.person_id,
        to=person.id,
        reason=reason,
        at=at,
    )
    number = max(one.position for one in queries.all_places_of(session, row.id)) + 1
    taken = SignerRow(
        id=derived_id("sig", at=at, seed=f"{row.id}/{number}"),
        agreement_id=row.id,
        position=number,
        stage=signer.stage,
        act=signer.act,
        role=signer.role,
        organisation_id=organisation.id,
        person_id=person.id,
        field=signer.field,
        delivered_at=at,
    )
    # One place holds a field at a time; the earlier one keeps its record under another name.
    signer.field = f"{signer.field}~{signer.position}"
    signer.forwarded_at, signer.forwarded_to = at, taken.id
    session.flush()
    session.add(taken)
    for event in step.events:
        record_step(
            session,
            ports,
            caller,
            row,
            event,
            {
                "signer": signer.id,
                "to_signer": taken.id,
                "organisation": organisation.id,
                "by": signer.person_id,
                "to": person.id,
                "reason": reason.strip(),
            },
            at=at,
        )
    record_step(
        session,
        ports,
        caller,
        row,
        "document.delivered",
        {
            "signer": taken.id,
            "from": organisation.id,
            "to": organisation.id,
            "system": organisation.receiving_system or "fuqi",
            "channel": "fuqi",
            "sha256": row.document_sha256,
            "sent_at": utc_text(at),
            "received_at": utc_text(at),
        },
        at=at,
    )
    session.flush()
    return taken


def remind(
    session: Session, ports: Ports, caller: Caller, agreement_id: str, *, at: datetime
) -> AgreementRow:
    """Remind everybody whose turn it is; whoever takes part may ask for it.

    Raises:
        NotFoundError: absent or another organisation's.
        ConflictError: `agreement.closed`, `agreement.reminded_lately`.
    """
    row = agreement_for(session, caller, agreement_id)
    require_organisation(caller)
    row = queries.lock_agreement(session, row.id) or row
    waiting = state_of(session, row).waiting
    if not waiting:
        raise ConflictError("nobody is waited for", code="agreement.closed", state=row.state)
    if row.reminded_at is not None and at - row.reminded_at < REMIND_EVERY:
        raise ConflictError(
            "they were reminded lately; wait a few hours", code="agreement.reminded_lately"
        )
    row.reminded_at = at
    by_field = {one.field: one.id for one in queries.signers_of(session, row.id)}
    record_step(
        session,
        ports,
        caller,
        row,
        "agreement.reminded",
        {"signers": [by_field[one.field] for one in waiting], "channel": "fuqi"},
        at=at,
    )
    return row
