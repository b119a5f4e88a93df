"""What a round leaves behind: its row, its documents, its lines and their entries; scheduled or urgent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.flows.round_outcomes import outcomes_document
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import NotFoundError
from ledger.core.ids import derived_id
from ledger.core.report import Report
from ledger.log import NewEntry, append_many, record
from ledger.queries import supply as queries
from ledger.tables.supply import AllocationRow, RoundDocumentRow, RoundRow
from matching.candidates import Candidates
from matching.catalogue import from_day
from matching.explain import Explanation
from matching.gap import room_left
from matching.plan import Certificate, Plan
from matching.problem import Problem

DOCUMENT_BYTES_MAX: Final = 256 * 1024 * 1024
"""A stored document, unpacked: a round of 20 000 needs takes a tenth of this."""
_COMPRESSION: Final = 1
"""Level 6 takes twice as long for a fifth less; an urgent need waits for it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A plan that the checker accepted, with its proof and its explanation."""

    problem: Problem
    plan: Plan
    certificate: Certificate
    report: Report
    explanation: Explanation


def opened_row(problem: Problem, *, round_id: str, actor: str, at: datetime) -> RoundRow:
    """The row of a round that has committed to inputs and policy and to nothing else."""
    rule = problem.policy
    return RoundRow(
        id=round_id,
        state="opened",
        as_of=from_day(problem.day),
        needs=len(problem.needs),
        lots=len(problem.lots),
        policy=f"{rule.id} v{rule.version}",
        policy_sha256=rule.digest().hex(),
        inputs_sha256=problem.digest().hex(),
        plan_sha256=None,
        certificate_sha256=None,
        summary=None,
        report=None,
        created_by=actor,
        opened_at=at,
        closed_at=None,
    )


def record_opened(
    session: Session, ports: Ports, row: RoundRow, problem: Problem, *, actor: str, at: datetime
) -> None:
    """Store the problem and record the commitment to it."""
    record(session, ports.vault, store_opened(session, row, problem, actor=actor, at=at))


def store_opened(
    session: Session, row: RoundRow, problem: Problem, *, actor: str, at: datetime
) -> NewEntry:
    """Store the problem; the entry that commits to it is the caller's to record, in this transaction."""
    session.add(_packed(row.id, "problem", problem.packed()))
    body: dict[str, Json] = {
        "round": row.id,
        "inputs_sha256": row.inputs_sha256,
        "policy_sha256": row.policy_sha256,
        "needs": row.needs,
        "offers": row.lots,
    }
    return round_entry("round.opened", row.id, actor, at, body)


def record_closed(
    session: Session,
    ports: Ports,
    row: RoundRow,
    decided: Decided,
    lines: Sequence[AllocationRow],
    *,
    actor: str,
    at: datetime,
) -> None:
    """Store plan, certificate, report and outcomes; propose the lines; record all of it."""
    entries = store_closed(session, row, decided, lines, actor=actor, at=at)
    append_many(session, ports.vault, entries)


def store_closed(
    session: Session,
    row: RoundRow,
    decided: Decided,
    lines: Sequence[AllocationRow],
    *,
    actor: str,
    at: datetime,
) -> list[NewEntry]:
    """Store all of it; the entries are the caller's to record, in this transaction."""
    plan, certificate, explanation = decided.plan, decided.certificate, decided.explanation
    row.plan_sha256 = plan.digest().hex()
    row.certificate_sha256 = certificate.digest().hex()
    room = room_left(decided.problem, plan, certificate)
    gap: Json = None if room is None else room.as_json()
    row.summary = {
        **explanation.summary,
        "gap": gap,
        "objective": plan.objective.as_json(),
        "solver": plan.solver,
    }
    row.report = decided.report.as_json()
    row.state, row.closed_at = "closed", at
    outcomes = outcomes_document(explanation, segments=decided.problem.policy.segments)
    session.add_all(
        [
            _packed(row.id, "plan", plan.packed()),
            _packed(row.id, "certificate", certificate.packed()),
            document_row(row.id, "outcomes", outcomes),
        ]
    )
    session.add_all(lines)
    session.flush()
    body: dict[str, Json] = {
        "round": row.id,
        "plan_sha256": row.plan_sha256,
        "certificate_sha256": row.certificate_sha256,
        "objective": plan.objective.as_json(),
        "checker": decided.report.verdict.value,
        "unserved": list(plan.objective.unserved_by_tier),
        "gap": gap,
    }
    entries = [round_entry("round.closed", row.id, actor, at, body)]
    entries += [_proposed(line, actor=actor, at=at) for line in lines]
    return entries


def allocation_lines(
    problem: Problem,
    plan: Plan,
    judged: Candidates,
    *,
    round_id: str,
    at: datetime,
    needs: Collection[str] | None = None,
) -> list[AllocationRow]:
    """The plan's lines as proposals; of these needs only, if named."""
    rows = {need.id: number for number, need in enumerate(problem.needs)}
    columns = {lot.id: number for number, lot in enumerate(problem.lots)}
    lines: list[AllocationRow] = []
    for flow in plan.flows:
        if needs is not None and flow.need not in needs:
            continue
        need, lot = problem.needs[rows[flow.need]], problem.lots[columns[flow.lot]]
        offer, _, window = flow.lot.partition(".")
        lines.append(
            AllocationRow(
                id=derived_id("alloc", at=at, seed=f"{round_id}|{flow.need}|{flow.lot}"),
                round_id=round_id,
                need_id=flow.need,
                offer_id=offer,
                window=int(window or 0),
                quantity=flow.quantity,
                km=int(judged.km[rows[flow.need], columns[flow.lot]]),
                substitute=lot.item not in need.items,
                state="proposed",
                decided_by=None,
                decided_at=None,
                decline_reason=None,
                created_at=at,
            )
        )
    return lines


def round_entry(
    kind: str, subject: str, actor: str, at: datetime, body: Mapping[str, Json]
) -> NewEntry:
    """An entry about a round or a line; each happens once to its subject."""
    return NewEntry(
        id=derived_id("ent", at=at, seed=f"{kind}|{subject}"),
        type=kind,
        at=at,
        subject=subject,
        actor=actor,
        body=body,
    )


def document_row(round_id: str, name: str, value: Mapping[str, Json]) -> RoundDocumentRow:
    """A document of a round, canonical and compressed."""
    return _packed(round_id, name, canonical_bytes(value))


def _packed(round_id: str, name: str, data: bytes) -> RoundDocumentRow:
    return RoundDocumentRow(
        round_id=round_id, name=name, size=len(data), data=zlib.compress(data, _COMPRESSION)
    )


def load_document(session: Session, round_id: str, name: str) -> Mapping[str, Any]:
    """A document of a round.

    Raises:
        NotFoundError: `round.document_not_found`.
    """
    row = queries.round_document(session, round_id=round_id, name=name)
    if row is None:
        raise NotFoundError("there is no such document", code="round.document_not_found")
    assert row.size <= DOCUMENT_BYTES_MAX
    data = zlib.decompressobj().decompress(row.data, row.size)
    assert len(data) == row.size, "stored document is damaged"
    value: Mapping[str, Any] = json.loads(data)
    return value


def _proposed(line: AllocationRow, *, actor: str, at: datetime) -> NewEntry:
    body: dict[str, Json] = {
        "round": line.round_id,
        "allocation": line.id,
        "offer": line.offer_id,
        "window": line.window,
        "need": line.need_id,
        "quantity": line.quantity,
    }
    return round_entry("allocation.proposed", line.id, actor, at, body)
