"""Deterministic simulation of log and submitter: one seed, one history of faults, the same every time.

Real code runs on a real schema: `record_many`, `sequence`, `Submitter`, receipts. What fails are the chain
and the database around it:

    chain      a reply lost before or after the act, a transaction sent twice or arriving late, a pool that
               forgets, reorganisations up to the final depth, fee spikes beyond the ceiling, a node that is
               back at an old head (perhaps on a branch that is dead by now)
    database   the process dies before or after a commit, a commit fails, a commit succeeds and its answer
               is lost
    people     retry what was not acknowledged; restart the worker; run two workers

After every step the promises are checked (`World.check`); at the end the faults stop and every acknowledged
entry must come to a final receipt that verifies. Decisions are drawn from the seed only, so a failing seed
fails again; salts and ids are fresh, nothing depends on them.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from ledger.chain import AppendSeen, Fees, LogHead
from ledger.core import merkle
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, FuqiError, UnavailableError
from ledger.core.ids import derived_id
from ledger.core.report import Verdict
from ledger.core.units import digest32
from ledger.log import NewEntry, StoredCheckpoints, record_many, sequence
from ledger.note import NoteSigner, open_note
from ledger.queries import log as queries
from ledger.receipts import ChainPin, LedgerTrust, build_receipt, verify_receipt
from ledger.store import make_engine, migrate, transaction
from ledger.submitter import StepAction, Submitter
from ledger.tables.anchors import AnchorRow, ChainTxRow
from ledger.tables.log import EntryRow
from ledger.testing import FakeChain
from ledger.vault import Vault

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
STEPS: Final = 60
FINAL_DEPTH: Final = 3
CEILING_WEI: Final = 1000
SPIKE_WEI: Final = 700
"""A base fee whose offer is beyond the ceiling, and which a bumped offer under the ceiling may still meet."""
CALM_WEI: Final = 7
HEAL_ROUNDS: Final = 60
EXPECTED: Final = frozenset({"concurrent_write", "submitter.reverting"})
"""Conflicts that a submitter may report under faults; any other is a failure of the simulation."""

_Result = TypeVar("_Result")


class PromiseBrokenError(AssertionError):
    """A promise does not hold; the message names the seed and the step."""


class KilledError(BaseException):
    """The process dies here. No ordinary handler may catch it."""


@dataclass(slots=True)
class Outcome:
    """What happened under one seed: entries acknowledged, steps taken, faults and answers by name."""

    seed: int
    steps: int
    entries: int
    counts: Counter[str] = field(default_factory=Counter)


class _ClearKeys:
    """Data keys in clear: nothing here is private."""

    def wrap(self, key: bytes, *, subject: str) -> bytes:
        del subject
        return key

    def unwrap(self, wrapped: bytes, *, subject: str) -> bytes:
        del subject
        return wrapped


class Simulator:
    """What all seeds share: a migrated, empty database to copy and the log's key."""

    def __init__(self, folder: Path) -> None:
        """Prepare in `folder`, which is the caller's to remove."""
        path = folder / "template.sqlite3"
        migrate(f"sqlite:///{path}")
        self._template = sqlite3.connect(":memory:", check_same_thread=False)
        with sqlite3.connect(path) as source:
            source.backup(self._template)
        source.close()
        # One engine for all seeds: it keeps its compiled statements; each run overwrites its database.
        self._engine = make_engine("sqlite:///:memory:")
        self.signer = NoteSigner(folder / "log.key", name="sim.fuqi.invalid/log")
        self.vault = Vault(_ClearKeys())

    def close(self) -> None:
        """Release both databases."""
        self._engine.dispose()
        self._template.close()

    def run(self, seed: int, *, steps: int = STEPS) -> Outcome:
        """One history.

        Raises:
            PromiseBrokenError: a promise does not hold.
        """
        connection = self._engine.raw_connection()
        target: Any = connection.driver_connection
        self._template.backup(target)
        connection.close()
        return World(seed, self._engine, signer=self.signer, vault=self.vault).live(steps)


class _SimChain(FakeChain):
    """A fake chain behind an unreliable node."""

    def __init__(self, rng: random.Random, counts: Counter[str]) -> None:
        super().__init__(auto_mine=False, final_depth=FINAL_DEPTH, base_fee=CALM_WEI)
        self.reliable = True
        self.stale: list[Any] | None = None
        self._rng, self._counts = rng, counts
        self._late: list[bytes] = []

    def head(self, *, final: bool = False) -> LogHead:
        return self._read("head", lambda: FakeChain.head(self, final=final))

    def nonce(self, *, final: bool = False) -> int:
        return self._read("nonce", lambda: FakeChain.nonce(self, final=final))

    def fees(self) -> Fees:
        return self._read("fees", lambda: FakeChain.fees(self))

    def find_append(self, *, size: int, root: bytes) -> AppendSeen | None:
        return self._read("find", lambda: FakeChain.find_append(self, size=size, root=root))

    def evidence(self, block_number: int) -> dict[str, Json]:
        return self._read("evidence", lambda: FakeChain.evidence(self, block_number))

    def send(self, raw: bytes) -> None:
        fault = self._draw(lost=8, unheard=8, twice=6, late=8)
        if fault == "lost":
            raise _silence()
        if fault == "late":
            self._late.append(raw)
            return
        super().send(raw)
        if fault == "twice":
            self._arrive(raw)
        if fault == "unheard":
            raise _silence()

    def mine(self, blocks: int = 1) -> None:
        late, self._late = self._late, []
        for raw in late:
            self._arrive(raw)
        super().mine(blocks)

    def go_stale(self, depth: int) -> None:
        """The node answers from a copy of the chain as it was, until `stale` is None again."""
        self.stale = list(self._blocks[: max(self.floor, len(self._blocks) - depth)])

    @property
    def floor(self) -> int:
        """Blocks that stay: everything up to the deployment's finality."""
        return 2 + FINAL_DEPTH

    @property
    def height(self) -> int:
        return len(self._blocks)

    def canonical(self) -> set[str]:
        """Hashes of all blocks of the chain as it truly is."""
        return {"0x" + block.hash.hex() for block in self._blocks}

    def truth(self) -> LogHead:
        """The head as it truly is."""
        return self._blocks[-1].head

    def _arrive(self, raw: bytes) -> None:
        try:
            super().send(raw)
        except ConflictError:
            self._counts["chain.refused_late"] += 1

    def _read(self, name: str, ask: Callable[[], _Result]) -> _Result:
        if self._draw(lost=4):
            raise _silence()
        if self.stale is None:
            return ask()
        self._counts[f"stale.{name}"] += 1
        true, self._blocks = self._blocks, self.stale
        try:
            return ask()
        finally:
            self._blocks = true

    def _draw(self, **percent: int) -> str | None:
        if self.reliable:
            return None
        roll = self._rng.randrange(100)
        for name, share in percent.items():
            if roll < share:
                self._counts[f"chain.{name}"] += 1
                return name
            roll -= share
        return None


class _SimSessions(sessionmaker[Session]):
    """Sessions whose commits fail, and processes that die at them."""

    world: World

    def begin(self) -> AbstractContextManager[Session]:
        return self._begin()

    @contextmanager
    def _begin(self) -> Iterator[Session]:
        with super().begin() as session:
            event.listen(session, "after_flush", _note_write)
            yield session
            writes = "wrote" in session.info or bool(session.new or session.dirty)
            self.world.at_commit("before", writes=writes)
        self.world.at_commit("after", writes=writes)


class World:
    """One installation, its clients and its chain."""

    def __init__(self, seed: int, engine: Engine, *, signer: NoteSigner, vault: Vault) -> None:
        """A fresh world with the contract deployed and nothing journaled."""
        self._rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.outcome = Outcome(seed=seed, steps=0, entries=0)
        self._counts = self.outcome.counts
        self._signer, self._vault = signer, vault
        self._plain = sessionmaker(engine, expire_on_commit=False)
        self._sessions = _SimSessions(engine, expire_on_commit=False)
        self._sessions.world = self
        self._commits_fail = False
        self._now = START
        self._chain = _SimChain(self._rng, self._counts)
        self._workers = [self._worker(), self._worker()]
        for worker in self._workers:
            worker.step()
        self._acknowledged: list[str] = []
        self._unanswered: list[list[NewEntry]] = []
        self._leaves: list[bytes] = []
        self._finals: set[str] = set()
        self._last = "start"

    # ---------------------------------------------------------- the story
    def live(self, steps: int) -> Outcome:
        """`steps` random acts with faults, then recovery; the promises hold after each."""
        acts: list[tuple[Callable[[], None], int]] = [
            (self._journal, 16), (self._retry, 6), (self._sequence, 18), (self._submit, 40),
            (self._mine, 26), (self._wait, 8), (self._reorganise, 8), (self._forget, 2),
            (self._go_stale, 3), (self._come_back, 6), (self._spike, 2), (self._calm, 6), (self._restart, 2),
        ]  # fmt: skip
        names, weights = [act for act, _ in acts], [weight for _, weight in acts]
        self._chain.reliable, self._commits_fail = False, True
        for _ in range(steps):
            act = self._rng.choices(names, weights)[0]
            self._do(act)
        self._heal()
        self.outcome.entries = len(self._acknowledged)
        return self.outcome

    def at_commit(self, when: str, *, writes: bool) -> None:
        """Called around every commit: perhaps the process dies, or the database's answer is lost."""
        if not self._commits_fail:
            return
        roll = self._rng.randrange(100) if writes else self._rng.randrange(1000)
        if roll < 5:
            self._counts[f"killed.{when}_commit"] += 1
            raise KilledError
        if roll < 8:
            self._counts[f"database.{when}_commit"] += 1
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("connection lost"))

    def _do(self, act: Callable[[], None]) -> None:
        self.outcome.steps += 1
        self._last = act.__name__.strip("_")
        try:
            act()
        except KilledError:
            self._workers = [self._worker(), self._worker()]
        except OperationalError:
            self._counts["error.database"] += 1
        except UnavailableError:
            self._counts["error.unavailable"] += 1
        except FuqiError as exc:
            self._counts[f"error.{exc.error_code}"] += 1
            self._require(exc.error_code in EXPECTED, f"unexpected {exc}")
        self.check()

    def _heal(self) -> None:
        """Everything works again; within a bounded number of rounds all is final."""
        self._chain.reliable, self._chain.stale, self._commits_fail = True, None, False
        self._chain.base_fee = CALM_WEI
        for _ in range(HEAL_ROUNDS):
            while self._unanswered:
                self._do(self._retry)
            self._do(self._sequence)
            self._do(self._drain)
            self._chain.mine(FINAL_DEPTH + 1)
            self._now += timedelta(minutes=61)
            if self._is_settled():
                break
        self._require(self._is_settled(), "not settled although everything works")
        self._require_receipts()

    # ---------------------------------------------------------- acts
    def _journal(self) -> None:
        batch: list[NewEntry] = []
        for _ in range(self._rng.randint(1, 4)):
            number = self._counts["entries.made"]
            self._counts["entries.made"] += 1
            batch.append(
                NewEntry(
                    id=derived_id("ent", at=START, seed=str(number)),
                    type="document.opened",
                    at=self._now,
                    subject=f"agr_{self._rng.randrange(3)}",
                    actor="system",
                    body={"number": number},
                )
            )
        self._unanswered.append(batch)
        self._submit_batch(batch)

    def _retry(self) -> None:
        if self._unanswered:
            self._submit_batch(self._rng.choice(self._unanswered))

    def _submit_batch(self, batch: list[NewEntry]) -> None:
        with transaction(self._sessions) as session:
            record_many(session, self._vault, batch)
        # Only here is it acknowledged.
        self._unanswered.remove(batch)
        self._acknowledged.extend(entry.id for entry in batch)

    def _sequence(self) -> None:
        with transaction(self._sessions) as session:
            sequence(session, self._signer, at=self._now)

    def _submit(self) -> None:
        for _ in range(self._rng.randint(1, 6)):
            result = self._rng.choice(self._workers).step()
            self._counts[f"step.{result.action}"] += 1

    def _drain(self) -> None:
        result = self._workers[0].drain()
        self._require(result.action is not StepAction.CAPPED, "capped although fees are low")

    def _mine(self) -> None:
        self._chain.mine(self._rng.randint(1, 3))

    def _wait(self) -> None:
        self._now += timedelta(seconds=self._rng.choice((5, 30, 61, 90, 3700)))

    def _reorganise(self) -> None:
        depth = min(self._rng.randint(1, FINAL_DEPTH), self._chain.height - self._chain.floor)
        if depth > 0:
            self._counts["chain.reorganised"] += 1
            self._chain.reorganise(depth, keep=self._rng.random() < 0.6)
            # A branch wins because it is longer; without this, final blocks would not stay final.
            self._chain.mine(depth + self._rng.randint(0, 2))

    def _forget(self) -> None:
        self._chain.forget_pool()

    def _go_stale(self) -> None:
        self._chain.go_stale(self._rng.randint(1, 12))

    def _come_back(self) -> None:
        self._chain.stale = None

    def _spike(self) -> None:
        self._chain.base_fee = self._rng.choice((40, 300, SPIKE_WEI))

    def _calm(self) -> None:
        self._chain.base_fee = CALM_WEI

    def _restart(self) -> None:
        self._workers[self._rng.randrange(2)] = self._worker()

    def _worker(self) -> Submitter:
        return Submitter(
            self._sessions,
            self._chain,
            StoredCheckpoints(),
            lambda: self._now,
            fee_ceiling_wei=CEILING_WEI,
        )

    # ---------------------------------------------------------- promises
    def check(self) -> None:
        """Every promise, as things stand now.

        Raises:
            PromiseBrokenError: one does not hold.
        """
        with self._plain.begin() as session:
            self._check_journal(session)
            self._check_tree(session)
            self._check_transactions(session)
            self._check_anchors(session)

    def _check_journal(self, session: Session) -> None:
        columns = select(EntryRow.id, EntryRow.seq, EntryRow.leaf).order_by(EntryRow.order)
        rows = [tuple(row) for row in session.execute(columns)]
        ids = [str(row[0]) for row in rows]
        self._require(len(set(ids)) == len(ids), "an entry is there twice")
        self._require(set(self._acknowledged) <= set(ids), "an acknowledged entry is lost")
        numbered = [row for row in rows if row[1] is not None]
        expected = list(range(len(numbered)))
        self._require(rows[: len(numbered)] == numbered, "an entry was overtaken")
        self._require([row[1] for row in numbered] == expected, "the leaves are not in order")
        leaves = [bytes.fromhex(str(row[2])) for row in numbered]
        self._require(leaves[: len(self._leaves)] == self._leaves, "a leaf was changed")
        self._leaves = leaves

    def _check_tree(self, session: Session) -> None:
        newest = queries.latest_checkpoint(session)
        size = 0 if newest is None else newest.size
        self._require(size == len(self._leaves), "a leaf is under no checkpoint")
        if newest is not None:
            checkpoint = open_note(newest.note, verifier=self._signer.verifier)
            self._require(checkpoint.root == self._root(size), "the checkpoint is of another tree")

    def _check_transactions(self, session: Session) -> None:
        rows = session.execute(
            select(
                ChainTxRow.nonce,
                ChainTxRow.attempt,
                ChainTxRow.state,
                ChainTxRow.max_fee,
                ChainTxRow.raw,
            ).order_by(ChainTxRow.nonce, ChainTxRow.attempt)
        ).all()
        nonces = sorted({row.nonce for row in rows})
        self._require(nonces == list(range(1, len(nonces) + 1)), "a gap between nonces")
        for nonce in nonces:
            attempts = [row.attempt for row in rows if row.nonce == nonce]
            self._require(attempts == list(range(len(attempts))), "attempts out of order")
        pending = {row.nonce for row in rows if row.state in ("signed", "sent", "capped")}
        self._require(len(pending) <= 1, "two nonces in flight")
        self._require(all(int(row.max_fee) <= CEILING_WEI for row in rows), "above the ceiling")
        known = {row.raw for row in rows}
        self._require(set(self._chain.sent) <= known, "sent before it was durable")

    def _check_anchors(self, session: Session) -> None:
        rows = session.execute(
            select(
                AnchorRow.id,
                AnchorRow.checkpoint_size,
                AnchorRow.root,
                AnchorRow.state,
                AnchorRow.block_hash,
            )
        ).all()
        finals = {row.id for row in rows if row.state == "final"}
        self._require(self._finals <= finals, "a final anchor is no longer final")
        self._finals = finals
        canonical = self._chain.canonical()
        for row in rows:
            if row.state == "final":
                right = row.root == self._root(row.checkpoint_size).hex()
                self._require(right, "a final anchor is of another tree")
                self._require(row.block_hash in canonical, "a final anchor is not on the chain")
        head = self._chain.truth()
        self._require(head.size <= len(self._leaves), "the chain is ahead of the log")
        self._require(head.root == self._root(head.size), "the chain holds another tree")

    def _is_settled(self) -> bool:
        with self._plain.begin() as session:
            waiting = queries.waiting(session)
            newest = queries.latest_checkpoint(session)
            final = session.scalars(
                select(AnchorRow.checkpoint_size).where(AnchorRow.state == "final")
            ).all()
        return not waiting and (newest is None or newest.size in final)

    def _require_receipts(self) -> None:
        trust = self._trust()
        known = set(self._acknowledged)
        self._require(len(known) == len(self._acknowledged), "acknowledged twice")
        with self._plain.begin() as session:
            for entry_id in self._sample(sorted(known)):
                row = session.get_one(EntryRow, entry_id)
                private = self._vault.get(session, entry_id)
                receipt = build_receipt(
                    session, row, verifier=self._signer.verifier, private=private
                )
                self._require(receipt["state"] == "final", "an entry without a final receipt")
                report = verify_receipt(receipt, trust=trust)
                self._require(report.verdict is Verdict.PASSED, f"a receipt fails: {report}")
            last = session.scalar(select(EntryRow.seq).order_by(EntryRow.seq.desc()).limit(1))
        self._require((-1 if last is None else last) + 1 == len(known), "one entry, one leaf")

    def _sample(self, ids: Sequence[str]) -> list[str]:
        """The first, the last and two more: each proof is checked whole, which takes milliseconds."""
        if len(ids) <= 4:
            return list(ids)
        return [ids[0], ids[-1], *self._rng.sample(list(ids[1:-1]), 2)]

    def _trust(self) -> LedgerTrust:
        info, contract = self._chain.info(), self._chain.deploy()
        pin = ChainPin(
            chain_id=info.chain_id,
            contract=contract.address,
            code_hash=contract.code_hash,
            kind=info.kind,
            label_en=info.label_en,
            label_zh=info.label_zh,
        )
        return LedgerTrust(self._signer.verifier, (pin,))

    def _root(self, size: int) -> bytes:
        leaves = [digest32(leaf) for leaf in self._leaves]
        return merkle.root(size, merkle.reader_over(leaves))

    def _require(self, holds: object, what: str) -> None:
        if not holds:
            raise PromiseBrokenError(
                f"seed {self.outcome.seed}, step {self.outcome.steps} ({self._last}): {what}"
            )


def _note_write(session: Session, context: object) -> None:
    del context
    session.info["wrote"] = True


def _silence() -> UnavailableError:
    return UnavailableError("the simulated chain does not answer", code="chain.unreachable")
