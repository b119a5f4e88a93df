"""Facts about urgent needs that pages and JSON share. Reads only."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.entries import receipt_of
from api.flows.live_market import items_of
from api.flows.urgent import urgent_decision
from api.flows.urgent_policy import urgent_policy
from api.ports import Ports
from api.schemas.supply import AllocationOut
from api.schemas.urgent import LiveClassOut, UrgentNeedOut, UrgentPolicyOut, UrgentSummaryOut
from api.views.outcomes import reason_texts
from api.views.public import item_names
from api.views.rounds import NOBODY, lines_of
from ledger.queries import live as queries
from ledger.queries import supply as supply_queries
from ledger.tables.live import UrgentNeedRow
from ledger.tables.supply import HospitalRow, NeedRow, RoundRow
from matching.services import published_catalogue

LINES_SHOWN: Final = 100
"""Lots of one class that fit one hospital at once; the round's JSON has the rest."""


def urgent_facts(session: Session, ports: Ports, caller: Caller, need_id: str) -> UrgentNeedOut:
    """The decision on an urgent need.

    Raises:
        NotFoundError: `not_found`.
    """
    row = urgent_decision(session, caller, need_id=need_id)
    made = session.get_one(RoundRow, row.round_id)
    assert made.plan_sha256 is not None
    assert made.certificate_sha256 is not None
    why_zh, why_en = reason_texts(row.outcome["reason"])
    found = supply_queries.allocations_page(session, round_id=row.round_id, limit=LINES_SHOWN)
    return UrgentNeedOut(
        **_summary(session, row).model_dump(),
        reason=row.reason,
        why=row.outcome["reason"],
        why_zh=why_zh,
        why_en=why_en,
        number=row.number,
        limit=urgent_policy(ports.settings).per_hospital_day,
        needs=made.needs,
        lots=made.lots,
        inputs_sha256=made.inputs_sha256,
        plan_sha256=made.plan_sha256,
        certificate_sha256=made.certificate_sha256,
        policy_sha256=made.policy_sha256,
        urgent_policy_sha256=row.policy_sha256,
        checker=str((made.report or {}).get("verdict", "")),
        lines=lines_of(found, caller=caller),
        receipt=dict(receipt_of(session, ports, row.entry_id)),
    )


def urgent_list(
    session: Session, caller: Caller, *, before: str, limit: int
) -> list[UrgentSummaryOut]:
    """Urgent needs of the caller's hospitals, newest first; an operator sees all."""
    mine: list[str] | None = None
    if not caller.is_operator:
        organisation = caller.organisation_id or NOBODY
        mine = [
            one.id
            for one in supply_queries.hospitals_page(
                session, organisation_id=organisation, limit=supply_queries.IDS_MAX
            )
        ]
    rows = queries.urgent_page(session, hospital_ids=mine, before=before, limit=limit)
    return [_summary(session, row) for row in rows]


def asked_of(
    session: Session, caller: Caller, *, limit: int
) -> list[tuple[AllocationOut, datetime]]:
    """Lines of urgent needs that wait for the caller's organisation as donor, with until when."""
    organisation = caller.organisation_id or NOBODY
    found = queries.urgent_lines_asked(session, organisation_id=organisation, limit=limit)
    shown = lines_of([row[:4] for row in found], caller=caller)
    return [(line, row[4]) for line, row in zip(shown, found, strict=True)]


def policy_facts(ports: Ports) -> UrgentPolicyOut:
    """The rule of urgent needs."""
    rule = urgent_policy(ports.settings)
    return UrgentPolicyOut(policy=dict(rule.as_json()), sha256=rule.digest())


def live_facts(session: Session) -> list[LiveClassOut]:
    """The classes that live and how far each has come."""
    waiting, catalogue = queries.waiting_items(session), published_catalogue()
    return [
        LiveClassOut(
            item_class=row.item_class,
            day=row.day,
            version=row.version,
            policy_sha256=row.policy_sha256,
            changed_at=row.changed_at,
            waiting=bool(waiting & set(items_of(row.item_class, catalogue=catalogue))),
        )
        for row in queries.live_classes(session)
    ]


def _summary(session: Session, row: UrgentNeedRow) -> UrgentSummaryOut:
    need = session.get_one(NeedRow, row.need_id)
    zh, en = item_names(need.item)
    held = queries.units_by_state(session, round_id=row.round_id)
    accepted = held.get("accepted", 0)
    return UrgentSummaryOut(
        need_id=row.need_id,
        round_id=row.round_id,
        hospital=session.get_one(HospitalRow, row.hospital_id).name,
        item_zh=zh,
        item_en=en,
        quantity=need.quantity,
        served=row.served,
        held=held.get("proposed", 0) + accepted,
        accepted=accepted,
        state=str(row.outcome["state"]),
        accept_until=row.accept_until,
        lapsed_at=row.lapsed_at,
        created_at=row.created_at,
    )
