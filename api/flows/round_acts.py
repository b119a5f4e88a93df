"""What a matching round does on the chain: its commitment, and its result with the proof that it is best.

The round is written out as one transportation problem (`matching.transport`), whose roots `Rounds.open` commits
to before anything is solved. Once the round is closed:

    - a small one is proven: the chain itself checks plan and prices (`Rounds.prove`);
    - a large one is posted: roots of plan and prices, and its value; for a day anybody who holds the round's
      documents can strike a wrong one with a single number, then it is final;
    - one with a gap, or too large to be written out, is withheld: its commitment stands, no result is claimed.

`record_rounds` is the worker's part. The chain is never asked inside a transaction, and nothing is queued
twice: an act's id follows from the round and the attempt.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.orm import Session

from api.flows.round_alarms import RESTATED, STRUCK, concerned_in, tell_all
from api.flows.round_records import load_document
from api.ports import Ports
from api.round_table import inputs_of, policy_hash, recorded, result_of
from contracts.acts_abi import RoundState, StoredRound
from ledger.acts import ActsLane
from ledger.acts_outbox import NewAct, queue
from ledger.core.canonical import Json
from ledger.core.errors import LimitError, VerificationError
from ledger.core.ids import derived_id
from ledger.queries.round_chain import due_rounds
from ledger.store import transaction
from ledger.tables.acts import ChainActRow
from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import RoundRow
from matching.candidates import judge_pairs
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import problem_from_json

LOOKED_AT_MAX: Final = 20
HEAVY_MAX: Final = 2
"""Rounds written out in one step of the worker: a large one takes two seconds."""
PENDING: Final = timedelta(seconds=15)
"""How long an act on its way, or a round that is not solved, is left alone."""
WATCH_EVERY: Final = timedelta(minutes=10)
"""How often a posted result is looked at: a strike is answered long before the day is over."""
ATTEMPTS_MAX: Final = 3
"""Results posted for one round; more would only repeat what was struck."""

log = structlog.get_logger()


def expect_record(session: Session, ports: Ports, row: RoundRow, *, at: datetime) -> None:
    """Note, in the transaction that makes the round, that it is to stand on the chain."""
    if ports.settings.acts_enabled:
        session.add(RoundChainRow(round_id=row.id, state="waiting", due_at=at))


def expect_result(session: Session, round_id: str, *, at: datetime) -> None:
    """Note, in the transaction that closes the round, that its result is due at once."""
    row = session.get(RoundChainRow, round_id)
    if row is not None and row.due_at is not None:
        row.due_at = at


def commit_round(ports: Ports, *, round_id: str, at: datetime) -> None:
    """Queue `Rounds.open` over the round's inputs and policy; again is harmless.

    Called between opening and solving, so that a result cannot shape what is committed to. The policy hash
    binds the problem's digest and the round's id too: two rounds on the same inputs are two on the chain.
    """
    with transaction(ports.readers) as session:
        waiting = session.get(RoundChainRow, round_id)
        if waiting is None or waiting.state != "waiting":
            return
        problem = problem_from_json(load_document(session, round_id, "problem"))
    inputs = inputs_of(problem)
    # A crash before this commit leaves the round waiting; solving, or the worker, does it again.
    with transaction(ports.sessions) as session:
        kept = session.get_one(RoundChainRow, round_id, with_for_update=True)
        if kept.state != "waiting":
            return
        made = session.get_one(RoundRow, round_id)
        kept.inputs_root, kept.policy_hash = (
            inputs.root,
            policy_hash(
                made.id, policy_sha256=made.policy_sha256, inputs_sha256=made.inputs_sha256
            ),
        )
        kept.rows, kept.columns, kept.reason = inputs.rows, inputs.columns, inputs.reason
        _queue(session, kept, "open", _names(kept), actor=made.created_by, at=at)
        kept.state = "committed"


def record_rounds(ports: Ports, lane: ActsLane, *, at: datetime) -> int:
    """Take every round that is due one step further; returns how many were looked at.

    Raises:
        UnavailableError: the chain's; the next call goes on.
    """
    with transaction(ports.readers) as session:
        due = due_rounds(session, at=at, limit=LOOKED_AT_MAX)
    heavy = 0
    for round_id in due:
        with transaction(ports.readers) as session:
            row = session.get_one(RoundChainRow, round_id)
            closed = session.get_one(RoundRow, round_id).state == "closed"
        if row.state in ("waiting", "committed", "struck"):
            if not closed:
                _later(ports, round_id, at=at + PENDING)
                continue
            if heavy == HEAVY_MAX:
                continue
            # Before the work: should one round be our bug, the others come first from now on.
            _later(ports, round_id, at=at)
            heavy += 1
            commit_round(ports, round_id=round_id, at=at)
            _submit(ports, round_id, at=at)
        elif row.state == "posted":
            _watch(ports, lane, row, at=at)
        else:
            _advance(ports, lane, row, at=at)
    return len(due)


def _submit(ports: Ports, round_id: str, *, at: datetime) -> None:
    """Queue the proof or the posting of a closed round, or say why there is none."""
    with transaction(ports.readers) as session:
        row = session.get_one(RoundChainRow, round_id)
        reason = None if row.rows else row.reason
        if row.rows:
            problem = problem_from_json(load_document(session, round_id, "problem"))
            plan = plan_from_json(load_document(session, round_id, "plan"))
            certificate = certificate_from_json(load_document(session, round_id, "certificate"))
    found, result = None, None
    if row.rows:
        try:
            found = recorded(problem, judge_pairs(problem), plan, certificate)
            result = result_of(found, _names(row), attempt=row.attempt)
        except (LimitError, VerificationError) as exc:
            reason = exc.error_code
        else:
            assert found.round.inputs_root().hex() == row.inputs_root, "not the opened inputs"
    with transaction(ports.sessions) as session:
        kept = session.get_one(RoundChainRow, round_id, with_for_update=True)
        if kept.state not in ("committed", "struck"):
            return
        kept.due_at = None
        if kept.state == "struck" and (result is None or result.root == kept.plan_root):
            # What was struck is not posted again: the documents themselves are at fault.
            log.error("round.struck_for_good", round=round_id, reason=reason)
            return
        if found is None or result is None:
            kept.state, kept.reason = "withheld", reason
            log.info("round.withheld", round=round_id, reason=reason)
            return
        made = session.get_one(RoundRow, round_id)
        _queue(session, kept, result.call, result.payload, actor=made.created_by, at=at)
        kept.plan_root, kept.objective, kept.reason = result.root, str(found.value), None
        kept.state, kept.due_at = ("proving" if result.call == "prove" else "posting"), at


def _advance(ports: Ports, lane: ActsLane, row: RoundChainRow, *, at: datetime) -> None:
    """An act is on its way: has it arrived?"""
    with transaction(ports.readers) as session:
        act = session.get_one(ChainActRow, row.act_id)
    if act.state not in ("final", "refused"):
        _later(ports, row.round_id, at=at + PENDING)
        return
    name, stored = lane.round_on_chain(_names(row))
    again = row.state == "posting" and row.attempt > 0
    concerned = _concerned(ports, row.round_id) if again else frozenset()
    with transaction(ports.sessions) as session:
        kept = session.get_one(RoundChainRow, row.round_id, with_for_update=True)
        if kept.state != row.state:  # another worker was faster
            return
        kept.chain_round = name.hex()
        if act.state == "refused" and row.state != "closing":
            kept.state, kept.reason, kept.due_at = "refused", act.reason, None
            log.error("round.act_refused", round=row.round_id, reason=act.reason)
        elif row.state == "proving":
            kept.state, kept.due_at = "proven", None
        elif row.state == "closing" and act.state == "final":
            kept.state, kept.due_at = "final", None
        elif stored is not None:
            kept.closes_at = datetime.fromtimestamp(stored.closes_at, UTC)
            kept.state, kept.due_at = "posted", at
            tell_all(session, kept, concerned, kind=RESTATED, at=at)


def _watch(ports: Ports, lane: ActsLane, row: RoundChainRow, *, at: datetime) -> None:
    """A posted result: was it struck, can it be closed?"""
    _, stored = lane.round_on_chain(_names(row))
    if stored is None:
        return
    # Read before anything is locked: the problem of a large round takes a second.
    concerned = _concerned(ports, row.round_id) if _struck(row, stored) else frozenset()
    with transaction(ports.sessions) as session:
        kept = session.get_one(RoundChainRow, row.round_id, with_for_update=True)
        if kept.state != "posted":
            return
        if stored.state in (RoundState.FINAL, RoundState.PROVEN):
            kept.state, kept.due_at = "final", None
        elif _struck(kept, stored):
            kept.attempt, kept.state, kept.due_at = stored.attempt, "struck", at
            kept.reason = f"struck: attempt {stored.attempt - 1}"
            log.error("round.struck", round=row.round_id, attempt=stored.attempt)
            tell_all(session, kept, concerned, kind=STRUCK, at=at)
            if stored.attempt >= ATTEMPTS_MAX:
                kept.due_at = None
        elif kept.closes_at is not None and at >= kept.closes_at:
            made = session.get_one(RoundRow, row.round_id)
            _queue(session, kept, "finalise", _names(kept), actor=made.created_by, at=at)
            kept.state, kept.due_at = "closing", at
        else:
            kept.due_at = at + WATCH_EVERY
            if kept.closes_at is not None:
                kept.due_at = min(kept.due_at, kept.closes_at)


def _concerned(ports: Ports, round_id: str) -> frozenset[str]:
    with transaction(ports.readers) as session:
        return concerned_in(session, round_id)


def _struck(row: RoundChainRow, stored: StoredRound) -> bool:
    return stored.state is RoundState.OPEN and stored.attempt > row.attempt


def _later(ports: Ports, round_id: str, *, at: datetime) -> None:
    """Look again then, behind the others that are due."""
    with transaction(ports.sessions) as session:
        kept = session.get_one(RoundChainRow, round_id)
        if kept.due_at is not None:
            kept.due_at = at


def _queue(
    session: Session,
    row: RoundChainRow,
    call: str,
    payload: dict[str, Json],
    *,
    actor: str,
    at: datetime,
) -> None:
    """After the act before it; one act per call and attempt."""
    made = session.get_one(RoundRow, row.round_id)
    act = NewAct(
        id=derived_id("act", at=made.opened_at, seed=f"Rounds.{call}.{row.attempt}|{row.round_id}"),
        contract="Rounds",
        call=call,
        subject=row.round_id,
        payload=payload,
        actor=actor,
        after=row.act_id if call in ("prove", "post") else None,
    )
    row.act_id = queue(session, act, at=at).id


def _names(row: RoundChainRow) -> dict[str, Json]:
    assert row.inputs_root is not None
    assert row.policy_hash is not None
    return {"inputs_root": row.inputs_root, "policy_hash": row.policy_hash}
