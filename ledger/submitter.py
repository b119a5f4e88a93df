"""Checkpoint -> chain -> final. Safe to kill anywhere; nothing but the database and the chain is remembered.

Rules:
    - The database owns the nonce; one nonce is in flight; the next is used only when it is consumed in a
      final block.
    - A transaction is committed before it is sent. A crash in between leaves a row that the next run sends.
    - The chain is read before anything is decided: a send that timed out may have landed.
    - A stuck transaction is replaced under its nonce, fees an eighth higher up to an absolute ceiling, by one
      that carries the newest, larger checkpoint. At the ceiling the same bytes are sent again, and it says so.
    - A duplicate or stale append reverts in the contract and changes nothing.

No call to the chain is made inside a database transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from sqlalchemy.orm import Session, sessionmaker

from ledger.chain import AppendSeen, ChainPort, Deployment, Fees, LogHead
from ledger.chain_proof import verify_chain_evidence
from ledger.core import merkle
from ledger.core.errors import ConflictError, UnavailableError, VerificationError
from ledger.core.ids import new_id
from ledger.queries import anchors as queries
from ledger.store import transaction
from ledger.tables.anchors import AnchorRow, ChainTxRow, DeploymentRow

REPLACE_AFTER: Final = timedelta(seconds=60)
"""Five slots of a public chain: a fair offer is mined by then."""
FEE_CEILING_WEI: Final = 500 * 10**9
"""Per gas, 0.03 ether for one checkpoint. Above it a person decides; documents keep being accepted."""
DRAIN_MAX: Final = 100
FAILURES_MAX: Final = 3
FAILURES_PAUSE: Final = timedelta(hours=1)
"""After so many reverted appends in a row, one attempt an hour: each costs money and shows a fault of ours."""


class CheckpointSource(Protocol):
    """What the submitter needs to know of the log."""

    def latest(self, session: Session) -> tuple[int, bytes] | None:
        """(size, root) of the newest checkpoint, or None for an empty log."""
        ...

    def consistency(self, session: Session, old_size: int, size: int) -> list[bytes]:
        """RFC 9162 consistency path; empty for `old_size` 0."""
        ...


class StepAction(StrEnum):
    """What one step did."""

    DEPLOYED = "deployed"
    SIGNED = "signed"
    SENT = "sent"
    REPLACED = "replaced"
    MINED = "mined"
    FINAL = "final"
    FAILED = "failed"
    LOST = "lost"
    WAITING = "waiting"
    CAPPED = "capped"
    IDLE = "idle"


RESTING: Final = frozenset({StepAction.WAITING, StepAction.CAPPED, StepAction.IDLE})
"""Another step at once would find the same; wait first."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Outcome of one step; `size` is the checkpoint it was about, 0 for none."""

    action: StepAction
    size: int = 0
    tx_hash: str | None = None

    @property
    def resting(self) -> bool:
        """Whether to wait before the next step."""
        return self.action in RESTING

    @property
    def alarm(self) -> bool:
        """Whether a person must look: the fee ceiling is reached."""
        return self.action is StepAction.CAPPED


def drained(step: Callable[[], StepResult], limit: int) -> StepResult:
    """Step until there is nothing to do at once, at most `limit` times; returns the last outcome."""
    result = StepResult(StepAction.IDLE)
    for _ in range(limit):
        result = step()
        if result.resting:
            break
    return result


class Submitter:
    """One lane to one chain. Several may run; the database lets only one sign."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        chain: ChainPort,
        checkpoints: CheckpointSource,
        clock: Callable[[], datetime],
        *,
        replace_after: timedelta = REPLACE_AFTER,
        fee_ceiling_wei: int = FEE_CEILING_WEI,
    ) -> None:
        """A submitter; touches neither database nor chain yet."""
        self._sessions = sessions
        self._chain = chain
        self._checkpoints = checkpoints
        self._clock = clock
        self._replace_after = replace_after
        self._fee_ceiling_wei = fee_ceiling_wei
        self._deployment: Deployment | None = None

    def drain(self, limit: int = DRAIN_MAX) -> StepResult:
        """Step until there is nothing to do at once, at most `limit` times; returns the last outcome."""
        return drained(self.step, limit)

    def step(self) -> StepResult:
        """Do one thing: at most one write to the database and one to the chain.

        Raises:
            UnavailableError: the chain's or the database's; nothing is lost, the next step goes on.
            ConflictError: `concurrent_write` (another submitter was faster), `chain.deployment_missing`,
                `chain.not_writer`, `chain.refused`, `chain.insufficient_funds`, `chain.nonce_gap`,
                `submitter.reverting`.
            VerificationError: `submitter.fork` when the chain holds a head that our log never had (a
                restored database, or two installations on one contract); a person decides.
        """
        if self._deployment is None:
            return self._deploy()
        with transaction(self._sessions) as session:
            pending = queries.mined_anchor(session, self._chain_id)
            opened = queries.open_transactions(session, self._chain_id)
        if opened:
            lane = [row for row in opened if row.nonce == opened[0].nonce]
            if self._chain.nonce() > lane[0].nonce:
                return self._settle(lane)
            return self._push(lane)
        if pending is not None:
            return self._finalise(pending)
        return self._sign_next()

    @property
    def _chain_id(self) -> int:
        assert self._deployment is not None
        return self._deployment.chain_id

    def _deploy(self) -> StepResult:
        """Find or make the contract, then remember where it is."""
        chain_id = self._chain.info().chain_id
        with transaction(self._sessions) as session:
            row = queries.deployment_of(session, chain_id)
        stored = None if row is None else _deployment(row)
        # A crash after this line leaves a contract without a row; the next `deploy` finds it.
        found = self._chain.deploy(stored)
        if row is None:
            with transaction(self._sessions) as session:
                session.add(_deployment_row(found, at=self._clock()))
        self._deployment = found
        return StepResult(StepAction.DEPLOYED, tx_hash=found.tx_hash)

    def _settle(self, lane: Sequence[ChainTxRow]) -> StepResult:
        """The nonce is used up: which attempt was it?"""
        ours = {row.tx_hash for row in lane}
        for row in lane:
            seen = self._chain.find_append(size=row.size, root=bytes.fromhex(row.root))
            # An append of the same checkpoint under an earlier nonce (signed again at a node that was behind)
            # says nothing about this one: were it counted, the next nonce would be used before this is final.
            if seen is not None and seen.tx_hash in ours:
                return self._record(seen, lane)
        if self._chain.nonce(final=True) <= lane[0].nonce:
            # Mined without effect, or not visible yet: a reorganisation may still change that.
            return StepResult(StepAction.WAITING, lane[0].size, lane[0].tx_hash)
        self._mark(lane, "failed")
        return StepResult(StepAction.FAILED, lane[0].size, lane[0].tx_hash)

    def _push(self, lane: Sequence[ChainTxRow]) -> StepResult:
        """The nonce is unused: send the newest attempt, or replace it when it has waited too long."""
        newest = lane[0]
        sent_at = newest.sent_at
        if newest.state == "signed" or sent_at is None:
            return self._send(newest)
        if self._clock() - sent_at < self._replace_after:
            return StepResult(StepAction.WAITING, newest.size, newest.tx_hash)
        fees = Fees(max_fee=int(newest.max_fee), priority=int(newest.priority)).bumped()
        fees = fees.at_least(self._chain.fees())
        if fees.max_fee > self._fee_ceiling_wei:
            self._send(newest, state="capped")
            return StepResult(StepAction.CAPPED, newest.size, newest.tx_hash)
        return self._sign(nonce=newest.nonce, attempt=newest.attempt + 1, fees=fees)

    def _send(self, row: ChainTxRow, *, state: str = "sent") -> StepResult:
        try:
            self._chain.send(row.raw)
        except ConflictError as exc:
            if exc.error_code not in ("chain.nonce_used", "chain.underpriced"):
                raise
            # Used: the next step finds out by whom. Underpriced: it counts as sent, and is replaced in time.
            if exc.error_code == "chain.nonce_used":
                return StepResult(StepAction.SENT, row.size, row.tx_hash)
        # A crash before this commit: the row is still `signed` and the same bytes are sent again.
        with transaction(self._sessions) as session:
            kept = session.get_one(ChainTxRow, row.id)
            kept.state, kept.sent_at, kept.attempts = state, self._clock(), kept.attempts + 1
        return StepResult(StepAction.SENT, row.size, row.tx_hash)

    def _finalise(self, anchor: AnchorRow) -> StepResult:
        """Is the mined anchor final, still waiting, moved to another block, or gone?"""
        seen = self._chain.find_append(size=anchor.checkpoint_size, root=bytes.fromhex(anchor.root))
        if seen is not None and seen.block_hash == anchor.block_hash:
            if not seen.final:
                return StepResult(StepAction.WAITING, anchor.checkpoint_size, anchor.tx_hash)
            evidence = self._grown_evidence(anchor)
            with transaction(self._sessions) as session:
                kept = session.get_one(AnchorRow, anchor.id)
                kept.state, kept.evidence = "final", evidence
            return StepResult(StepAction.FINAL, anchor.checkpoint_size, anchor.tx_hash)
        with transaction(self._sessions) as session:
            session.get_one(AnchorRow, anchor.id).state = "lost"
            for row in queries.siblings_of(session, self._chain_id, anchor.tx_hash):
                # The reorganisation gave the nonce back: the same bytes go out again.
                row.state, row.sent_at = "signed", None
        return StepResult(StepAction.LOST, anchor.checkpoint_size, anchor.tx_hash)

    def _grown_evidence(self, anchor: AnchorRow) -> str:
        """The anchor's evidence, read again where validators' seals have joined it since it was mined."""
        if "seals" not in json.loads(anchor.evidence):
            return anchor.evidence
        try:
            evidence = self._chain.evidence(anchor.block_number)
            proven = verify_chain_evidence(
                evidence, size=anchor.checkpoint_size, root=bytes.fromhex(anchor.root)
            )
        except UnavailableError as exc:
            if exc.error_code != "chain.evidence_unavailable":
                raise
            return anchor.evidence  # The node has dropped that state; what we hold stays true.
        if proven.block_hash != anchor.block_hash:
            return anchor.evidence
        return json.dumps(evidence, ensure_ascii=False, sort_keys=True)

    def _sign_next(self) -> StepResult:
        """Nothing is in flight: bring the chain to the newest checkpoint, or find that it is there."""
        head = self._chain.head()
        with transaction(self._sessions) as session:
            latest = self._checkpoints.latest(session)
            known = queries.anchor_of(session, self._chain_id, head.size)
            newest = queries.newest_on(session, self._chain_id)
            last = queries.last_nonce(session, self._chain_id)
        if newest is not None and newest.state == "final" and head.size < newest.checkpoint_size:
            # No chain goes back behind a final block: this node does, and what it says of nonces is as old.
            return StepResult(StepAction.WAITING, newest.checkpoint_size, newest.tx_hash)
        if head.size > 0 and known is None:
            # Ours from before a lost database, or from a crash before the anchor was recorded.
            seen = self._chain.find_append(size=head.size, root=head.root)
            if seen is not None:
                self._require_ours(head, latest)
                return self._record(seen, ())
        if latest is None or latest[0] <= head.size:
            self._require_ours(head, latest)
            return StepResult(StepAction.IDLE, head.size)
        fees = self._chain.fees()
        if fees.max_fee > self._fee_ceiling_wei:
            return StepResult(StepAction.CAPPED, latest[0])
        self._require_not_reverting()
        nonce = max(self._chain.nonce(), 0 if last is None else last + 1)
        return self._sign(nonce=nonce, attempt=0, fees=fees)

    def _sign(self, *, nonce: int, attempt: int, fees: Fees) -> StepResult:
        """Sign the newest checkpoint under this nonce and commit the row; the next step sends it."""
        head = self._chain.head()
        with transaction(self._sessions) as session:
            latest = self._checkpoints.latest(session)
            if latest is None or latest[0] <= head.size:
                return StepResult(StepAction.IDLE, head.size)
            size, root = latest
            path = self._checkpoints.consistency(session, head.size, size)
        _require_extends(head, size=size, root=root, path=path)
        signed = self._chain.sign_append(size=size, root=root, proof=path, nonce=nonce, fees=fees)
        at = self._clock()
        row = ChainTxRow(
            id=new_id("ctx", at=at),
            chain_id=self._chain_id,
            nonce=nonce,
            attempt=attempt,
            raw=signed.raw,
            tx_hash=signed.tx_hash,
            size=size,
            root=root.hex(),
            max_fee=str(fees.max_fee),
            priority=str(fees.priority),
            state="signed",
            attempts=0,
            signed_at=at,
            sent_at=None,
        )
        with transaction(self._sessions) as session:
            session.add(row)
        action = StepAction.SIGNED if attempt == 0 else StepAction.REPLACED
        return StepResult(action, size, signed.tx_hash)

    def _record(self, seen: AppendSeen, lane: Sequence[ChainTxRow]) -> StepResult:
        """Store an accepted append with evidence that has just been verified."""
        evidence = self._chain.evidence(seen.block_number)
        proven = verify_chain_evidence(evidence, size=seen.size, root=seen.root)
        if proven.block_hash != seen.block_hash:
            # A reorganisation between the two questions: the next step asks again.
            return StepResult(StepAction.WAITING, seen.size, seen.tx_hash)
        assert self._deployment is not None
        assert proven.contract == self._deployment.address
        assert proven.code_hash == self._deployment.code_hash
        state = "final" if seen.final else "mined"
        with transaction(self._sessions) as session:
            anchor = queries.anchor_in_block(session, self._chain_id, seen.block_hash, seen.size)
            if anchor is None:
                session.add(
                    AnchorRow(
                        id=new_id("anc", at=self._clock()),
                        chain_id=self._chain_id,
                        contract=self._deployment.address,
                        checkpoint_size=seen.size,
                        root=seen.root.hex(),
                        tx_hash=seen.tx_hash,
                        block_number=seen.block_number,
                        block_hash=seen.block_hash,
                        block_time=seen.block_time,
                        gas_used=seen.gas_used,
                        state=state,
                        evidence=json.dumps(evidence, ensure_ascii=False, sort_keys=True),
                        recorded_at=self._clock(),
                    )
                )
            else:
                # Lost to a reorganisation that was itself undone: the same block is back.
                anchor.state = state
            for row in lane:
                kept = session.get_one(ChainTxRow, row.id)
                kept.state = "mined" if kept.tx_hash == seen.tx_hash else "replaced"
        action = StepAction.FINAL if seen.final else StepAction.MINED
        return StepResult(action, seen.size, seen.tx_hash)

    def _mark(self, lane: Sequence[ChainTxRow], state: str) -> None:
        with transaction(self._sessions) as session:
            for row in lane:
                session.get_one(ChainTxRow, row.id).state = state

    def _require_not_reverting(self) -> None:
        with transaction(self._sessions) as session:
            newest = queries.newest_transactions(session, self._chain_id, limit=FAILURES_MAX)
        if len(newest) < FAILURES_MAX or any(row.state != "failed" for row in newest):
            return
        if self._clock() - newest[0].signed_at < FAILURES_PAUSE:
            raise ConflictError(
                "the contract refused several checkpoints in a row; see their transactions",
                code="submitter.reverting",
                tx_hash=newest[0].tx_hash,
            )

    def _require_ours(self, head: LogHead, latest: tuple[int, bytes] | None) -> None:
        """A head beyond our log, or beside it, is not ours to build on."""
        if head.size == 0:
            return
        if latest is None or latest[0] < head.size:
            raise VerificationError(
                "the chain holds a longer log than this database: was an old copy restored?",
                code="submitter.fork",
                chain_size=head.size,
                log_size=0 if latest is None else latest[0],
            )
        with transaction(self._sessions) as session:
            path = self._checkpoints.consistency(session, head.size, latest[0])
        _require_extends(head, size=latest[0], root=latest[1], path=path)


def _require_extends(head: LogHead, *, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check what the contract will check, before paying for it."""
    try:
        merkle.verify_consistency(
            old_size=head.size, old_root=head.root, size=size, root=root, path=path
        )
    except VerificationError as exc:
        raise VerificationError(
            "the chain holds a checkpoint that this log never had",
            code="submitter.fork",
            chain_size=head.size,
            log_size=size,
        ) from exc


def _deployment(row: DeploymentRow) -> Deployment:
    return Deployment(
        chain_id=row.chain_id,
        address=row.address,
        block_number=row.block_number,
        tx_hash=row.tx_hash,
        artifact_sha256=row.artifact_sha256,
        code_hash=row.code_hash,
    )


def _deployment_row(found: Deployment, *, at: datetime) -> DeploymentRow:
    return DeploymentRow(
        chain_id=found.chain_id,
        address=found.address,
        block_number=found.block_number,
        tx_hash=found.tx_hash,
        artifact_sha256=found.artifact_sha256,
        code_hash=found.code_hash,
        recorded_at=at,
    )
