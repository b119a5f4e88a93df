"""Facts about matching rounds and their lines that pages and JSON share. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows import rounds
from api.flows.round_alarms import alarm_of
from api.schemas.supply import AllocationOut, PolicyOut, RoundOut, RoundSummaryOut
from api.views.agreements import entry_facts
from api.views.public import item_names, shown_donor
from api.views.round_chain import chain_facts
from ledger.queries import log as log_queries
from ledger.queries import round_chain as chain_queries
from ledger.queries import supply as queries
from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow, RoundRow

NOBODY = "-"
"""An organisation id that no party has: a caller without organisation sees an empty list."""


def round_list(session: Session, *, before: str, limit: int) -> list[RoundSummaryOut]:
    """Rounds, newest first."""
    rows = queries.rounds_page(session, before=before, limit=limit)
    chains = chain_queries.states_of(session, [row.id for row in rows])
    return [_listed(row, chains.get(row.id)) for row in rows]


def round_facts(session: Session, round_id: str) -> RoundOut:
    """A round with its figures, the checker's report and its entries.

    Raises:
        NotFoundError: `round.not_found`.
    """
    found = rounds.round_summary(session, round_id=round_id)
    chain = chain_facts(session, round_id)
    return RoundOut(
        id=found.id,
        state=found.state,
        as_of=found.as_of,
        needs=found.needs,
        lots=found.lots,
        policy=found.policy,
        policy_sha256=found.policy_sha256,
        inputs_sha256=found.inputs_sha256,
        plan_sha256=found.plan_sha256,
        certificate_sha256=found.certificate_sha256,
        opened_at=found.opened_at,
        closed_at=found.closed_at,
        allocations=found.allocations,
        summary=None if found.summary is None else dict(found.summary),
        report=None if found.report is None else dict(found.report),
        chain_alarm="" if chain is None else chain.alarm,
        chain=chain,
        entries=entry_facts(session, log_queries.entries_of(session, [round_id])),
    )


def round_policy(session: Session, round_id: str) -> PolicyOut:
    """The policy of a round, out of the committed problem.

    Raises:
        NotFoundError: `round.not_found`.
    """
    found = rounds.round_summary(session, round_id=round_id)
    problem = rounds.round_document(session, round_id=round_id, name="problem")
    return PolicyOut(policy=dict(problem["policy"]), sha256=found.policy_sha256)


def own_allocations(
    session: Session,
    caller: Caller,
    *,
    round_id: str | None = None,
    state: str | None = None,
    after: str = "",
    limit: int,
) -> list[AllocationOut]:
    """Lines in which the caller's organisation gives or receives; an operator sees all."""
    organisation = None if caller.is_operator else caller.organisation_id or NOBODY
    found = queries.allocations_page(
        session,
        round_id=round_id,
        organisation_id=organisation,
        state=state,
        after=after,
        limit=limit,
    )
    return lines_of(found, caller=caller)


def lines_of(
    found: Sequence[tuple[AllocationRow, NeedRow, HospitalRow, OfferRow]], *, caller: Caller
) -> list[AllocationOut]:
    """Lines as the caller sees them."""
    return [_line(*row, caller=caller) for row in found]


def allocation_facts(session: Session, caller: Caller, row: AllocationRow) -> AllocationOut:
    """One line the caller has just decided on."""
    need = session.get_one(NeedRow, row.need_id)
    hospital = session.get_one(HospitalRow, need.hospital_id)
    offer = session.get_one(OfferRow, row.offer_id)
    return _line(row, need, hospital, offer, caller=caller)


def _listed(row: RoundRow, chain: RoundChainRow | None) -> RoundSummaryOut:
    return RoundSummaryOut(
        id=row.id,
        state=row.state,
        as_of=row.as_of,
        needs=row.needs,
        lots=row.lots,
        policy=row.policy,
        policy_sha256=row.policy_sha256,
        inputs_sha256=row.inputs_sha256,
        plan_sha256=row.plan_sha256,
        certificate_sha256=row.certificate_sha256,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        chain_alarm="" if chain is None else alarm_of(chain),
    )


def _line(
    line: AllocationRow,
    need: NeedRow,
    hospital: HospitalRow,
    offer: OfferRow,
    *,
    caller: Caller,
) -> AllocationOut:
    zh, en = item_names(offer.item)
    donor, _ = shown_donor(offer)
    return AllocationOut(
        id=line.id,
        round_id=line.round_id,
        need_id=need.id,
        offer_id=offer.id,
        window=line.window,
        quantity=line.quantity,
        km=line.km,
        substitute=line.substitute,
        state=line.state,
        decided_at=line.decided_at,
        decline_reason=line.decline_reason,
        kind=offer.kind,
        item=offer.item,
        item_zh=zh,
        item_en=en,
        donor=donor,
        hospital=hospital.name,
        city=hospital.city,
        giving=caller.organisation_id is not None
        and offer.organisation_id == caller.organisation_id,
    )
