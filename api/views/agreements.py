"""Facts about agreements and entries that pages and JSON share. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.agreements import agreement_for
from api.schemas.agreements import (
    AgreementList,
    AgreementOut,
    AgreementSummary,
    ArchiveOut,
    EntryOut,
    RevisionOut,
    SignerOut,
)
from ledger.core.errors import NotFoundError
from ledger.queries import agreements as queries
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import BundleRow
from ledger.tables.log import EntryRow


def agreement_list(
    session: Session, caller: Caller, *, before: str | None, limit: int
) -> AgreementList:
    """Agreements the caller's organisation takes part in; an operator sees all."""
    rows = queries.agreements_page(
        session,
        organisation_id=None if caller.is_operator else caller.organisation_id,
        before=before,
        limit=limit,
    )
    return AgreementList(
        items=[AgreementSummary.model_validate(row) for row in rows],
        next=rows[-1].id if len(rows) == limit else None,
    )


def agreement_facts(session: Session, caller: Caller, agreement_id: str) -> AgreementOut:
    """Everything a party may see of an agreement.

    Raises:
        NotFoundError: absent or another organisation's.
    """
    row = agreement_for(session, caller, agreement_id)
    signers = queries.signers_of(session, row.id)
    ids = [one for s in signers for one in (s.organisation_id, s.person_id)]
    people = party_queries.parties_by_ids(session, ids)
    summary = AgreementSummary.model_validate(row)
    return AgreementOut(
        **summary.model_dump(),
        origin=row.origin,
        template=row.template,
        allocation_id=row.allocation_id,
        owner_organisation_id=row.owner_organisation_id,
        original_sha256=row.original_sha256,
        document_sha256=row.document_sha256,
        current_sha256=row.current_sha256,
        place_of_formation=row.place_of_formation,
        ended_reason=row.ended_reason,
        signers=[
            SignerOut(
                id=s.id,
                position=s.position,
                role=s.role,
                organisation_id=s.organisation_id,
                organisation_name=people[s.organisation_id].name,
                person_id=s.person_id,
                person_name=people[s.person_id].name,
                field=s.field,
                mine=s.person_id == caller.person_id
                and s.organisation_id == caller.organisation_id,
                delivered_at=s.delivered_at,
                opened_at=s.opened_at,
                read_at=s.read_at,
                consented_at=s.consented_at,
                intent_at=s.intent_at,
                signed_at=s.signed_at,
                revision_sha256=s.revision_sha256,
            )
            for s in signers
        ],
        revisions=[
            RevisionOut.model_validate(one) for one in queries.revisions_of(session, row.id)
        ],
        archives=[ArchiveOut.model_validate(one) for one in queries.archives_of(session, row.id)],
        entries=entry_facts(session, log_queries.entries_of(session, [row.id])),
    )


def bundle_for(session: Session, caller: Caller, bundle_id: str) -> BundleRow:
    """An exported bundle of an agreement the caller may see.

    Raises:
        NotFoundError: absent or another organisation's.
    """
    row = session.get(BundleRow, bundle_id)
    if row is None:
        raise NotFoundError("there is no such record")
    agreement_for(session, caller, row.subject)
    return row


def entry_facts(session: Session, rows: Sequence[EntryRow]) -> list[EntryOut]:
    """Entries with how far each is anchored, as `ledger.receipts` names it but without the proof."""
    final = anchor_queries.latest_final(session)
    standing = anchor_queries.latest_standing(session)
    final_size = 0 if final is None else final.checkpoint_size
    standing_size = 0 if standing is None else standing.checkpoint_size
    return [
        EntryOut(
            id=row.id,
            type=row.type,
            at=row.at,
            actor=row.actor,
            leaf=row.leaf,
            index=row.seq,
            state=_state(row.seq, final_size=final_size, standing_size=standing_size),
        )
        for row in rows
    ]


def _state(index: int | None, *, final_size: int, standing_size: int) -> str:
    if index is None:
        return "journaled"
    if index < final_size:
        return "final"
    return "mined" if index < standing_size else "logged"
