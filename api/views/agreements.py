"""Facts about agreements and entries that pages and JSON share. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.agreements import agreement_for, state_of
from api.flows.annexes import clauses_for
from api.flows.approvals import may_approve_again, unapproved_fields
from api.schemas.agreements import (
    AgreementList,
    AgreementOut,
    AgreementSummary,
    ArchiveOut,
    EntryOut,
    RelatedOut,
    RevisionOut,
    SignerOut,
    StageOut,
)
from api.schemas.identity import RatificationOut
from api.views.annexes import (
    attachments_facts,
    clause_facts,
    confirmation_facts,
    demand_facts,
    field_facts,
)
from ledger.core.errors import NotFoundError
from ledger.queries import agreements as queries
from ledger.queries import anchors as anchor_queries
from ledger.queries import identity as identity_queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, BundleRow
from ledger.tables.log import EntryRow
from signing import agreement as rules
from signing.amounts import amount_text


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
    rule = state_of(session, row)
    waiting = {one.field for one in rule.waiting}
    ids = [one for s in signers for one in (s.organisation_id, s.person_id)]
    people = party_queries.parties_by_ids(session, ids)
    confirmed = confirmation_facts(session, [one.id for one in signers])
    clauses = clause_facts(session, row)
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
        released_at=row.released_at,
        amount_minor=row.amount_minor,
        no_amount=row.no_amount,
        amount=amount_text(row.amount_minor, none=row.no_amount),
        currency=row.currency,
        hand_out_partial=row.hand_out_partial,
        read_seconds_min=row.read_seconds_min,
        clauses=clauses,
        demands=demand_facts(session, row),
        attachments=attachments_facts(session, caller, row),
        fields=field_facts(session, caller, row),
        ratifications=[
            RatificationOut.model_validate(one)
            for one in identity_queries.ratifications_of(session, row.id)
        ],
        stages=[_stage(rule, number) for number in rule.stages],
        consented=sorted(rule.consents),
        related=_related(session, caller, row),
        signers=[
            SignerOut(
                id=s.id,
                position=s.position,
                stage=s.stage,
                act=s.act,
                turn=s.field in waiting,
                needed=bool(rule.needed(s.stage)),
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
                approved_at=s.approved_at,
                approve_again=s.organisation_id == caller.organisation_id
                and may_approve_again(session, row, s),
                unapproved=s.organisation_id == caller.organisation_id
                and s.signed_at is None
                and bool(unapproved_fields(session, row, s)),
                refused_at=s.refused_at,
                receiving_system=people[s.organisation_id].receiving_system,
                place=people[s.organisation_id].place,
                must_confirm=bool(clauses_for(session, row, s)),
                confirmed=confirmed[s.id],
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


def _stage(rule: rules.Agreement, number: int) -> StageOut:
    members = rule.members(number)
    return StageOut(
        stage=number,
        act=members[0].act.value,
        members=len(members),
        need=dict(rule.quorums).get(number, len(members)),
        missing=rule.needed(number),
    )


def _related(session: Session, caller: Caller, row: AgreementRow) -> list[RelatedOut]:
    """Those the caller may see as well: the parties are the same, but for revisions."""
    found = []
    pairs = [(one, one.relation, "from") for one in queries.referring_to(session, row.id)]
    if row.related_id is not None:
        earlier = session.get(AgreementRow, row.related_id)
        if earlier is not None:
            pairs.append((earlier, row.relation, "to"))
    for one, relation, direction in pairs:
        try:
            agreement_for(session, caller, one.id)
        except NotFoundError:
            continue
        found.append(
            RelatedOut(
                id=one.id,
                title=one.title,
                state=one.state,
                relation=relation or "",
                direction=direction,
            )
        )
    return found


def my_place(facts: AgreementOut, *, place: str | None = None) -> SignerOut | None:
    """The caller's place: the one asked for, else the one whose turn it is, else one that is open."""
    mine = [one for one in facts.signers if one.mine]
    if place is not None:
        return next((one for one in mine if one.id == place), None)

    def rank(one: SignerOut) -> tuple[bool, bool]:
        if one.approve_again:
            return (False, False)
        done = bool(one.signed_at or one.approved_at or one.refused_at or not one.needed)
        return (done, not one.turn)

    return min(mine, key=rank, default=None)


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
