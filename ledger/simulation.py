"""Deterministic simulation of log and submitter: one seed, one history of faults, the same every time.

Real code runs on a real schema: `record_many`, `sequence`, `Submitter`, receipts. What fails are the chain
and the database around it:

    chain      an answer lost, or late (chain and clock have moved on by then); a transaction lost, sent twice,
               arriving late, or sent with its answer lost; a pool that forgets; reorganisations up to the
               final depth; fee spikes up to and beyond the ceiling; a node that is back at an old head
               (perhaps on a branch that is dead by now)
    database   the process dies before or after a commit, a commit fails, a commit succeeds and its answer
               is lost
    people     retry what was not acknowledged; restart the worker; run two workers

Each is counted when it happens (`FAULTS`): one that never does would prove nothing. `run(seed, die_at=n)` is
the same without dice: a history without any other fault in which the process dies at its n-th write.

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

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from ledger.chain import AppendSeen, Fees, LogHead
from ledger.core import merkle
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, FuqiError, UnavailableError
from ledger.core.ids import derived_id
from ledger.core.report import Verdict
from ledger.core.units import Digest32, digest32
from ledger.log import NewEntry, StoredCheckpoints, record_many, sequence
from ledger.note import NoteSigner, open_note
from ledger.queries import log as queries
from ledger.receipts import ChainPin, LedgerTrust, build_receipt, verify_receipt
from ledger.store import make_engine, migrate, transaction
from ledger.submitter import StepAction, Submitter
from ledger.tables.anchors import AnchorRow
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
LATE_SECONDS: Final = (5, 40, 70)
"""How long a late answer takes; the last is longer than the submitter waits before it replaces."""
FAULTS: Final[dict[str, str]] = {
    "fault.reply_lost": "a question to the node without an answer",
    "fault.reply_late": "an answer that chain and clock have overtaken",
    "fault.send_lost": "a transaction that never arrived",
    "fault.send_unheard": "a transaction that arrived, its answer lost",
    "fault.send_twice": "a transaction that arrived twice",
    "fault.send_late": "a transaction that arrived later than its answer",
    "fault.pool_forgotten": "a node that forgot what waits",
    **{
        f"fault.reorganised_{n}": f"a branch of {n} blocks replaced"
        for n in range(1, FINAL_DEPTH + 1)
    },
    "fault.node_behind": "an answer from an old head",
    "fault.fee_spike": "fees above what was offered",
    "fault.fee_ceiling": "fees above what we may offer",
    "fault.killed_before_commit": "the process died, nothing was written",
    "fault.killed_after_commit": "the process died after it wrote",
    "fault.commit_failed": "the database refused to commit",
    "fault.commit_unheard": "the database committed, its answer lost",
    "fault.restarted": "a worker started anew, remembering nothing",
}
"""What can go wrong here, by the name under which it is counted."""
EXPECTED: Final = frozenset({"concurrent_write", "submitter.reverting"})
"""Conflicts that a submitter may report under faults; any other is a failure of the simulation."""

_JOURNAL_SQL: Final = 'SELECT id, "order", leaf FROM journal_entry ORDER BY "order"'
_NEWEST_SQL: Final = "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1"
_TRANSACTIONS_SQL: Final = (
    "SELECT nonce, attempt, state, max_fee, raw FROM chain_tx ORDER BY nonce, attempt"
)
_ANCHORS_SQL: Final = "SELECT id, checkpoint_size, root, state, block_hash FROM anchor"

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
    writes: int = 0
    """Moments around a commit that wrote, two for each commit."""
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

    def run(self, seed: int, *, steps: int = STEPS, die_at: int | None = None) -> Outcome:
        """One history.

        Args:
            die_at: no dice but for the acts; the process dies at this write (from 0): before the commit
                where it is even, after it where it is odd. The outcome's `writes` says how many there are.

        Raises:
            PromiseBrokenError: a promise does not hold.
        """
        connection = self._engine.raw_connection()
        target: Any = connection.driver_connection
        self._template.backup(target)
        connection.close()
        world = World(seed, self._engine, signer=self.signer, vault=self.vault, die_at=die_at)
        try:
            return world.live(steps)
        except PromiseBrokenError:
            raise
        except Exception as exc:
            # Our own assertions, and errors that nobody expects: a broken promise like any other.
            raise PromiseBrokenError(f"seed {seed}, step {world.outcome.steps}: {exc!r}") from exc

    def run_dying_everywhere(self, seed: int, *, steps: int = STEPS) -> Counter[str]:
        """The history of a seed once for each of its writes, dying there; returns the counts of all.

        Raises:
            PromiseBrokenError: a promise does not hold; the message names the write too.
        """
        counts: Counter[str] = Counter()
        die_at = 0
        while True:
            try:
                outcome = self.run(seed, steps=steps, die_at=die_at)
            except PromiseBrokenError as exc:
                raise PromiseBrokenError(f"{exc} (dying at write {die_at})") from exc
            counts.update(outcome.counts)
            if die_at >= outcome.writes:
                return counts
            die_at += 1


class _SimChain(FakeChain):
    """A fake chain behind an unreliable node."""

    def __init__(
        self, rng: random.Random, counts: Counter[str], wait: Callable[[int], None]
    ) -> None:
        super().__init__(auto_mine=False, final_depth=FINAL_DEPTH, base_fee=CALM_WEI)
        self.reliable = True
        self._wait = wait
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
        fault = self._draw(send_lost=8, send_unheard=8, send_twice=6, send_late=8)
        if fault == "send_lost":
            raise _silence()
        if fault == "send_late":
            self._late.append(raw)
            return
        super().send(raw)
        if fault == "send_twice":
            self._arrive(raw)
        if fault == "send_unheard":
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
            self._counts["late.refused"] += 1

    def _read(self, name: str, ask: Callable[[], _Result]) -> _Result:
        fault = self._draw(reply_lost=4, reply_late=3)
        if fault == "reply_lost":
            raise _silence()
        if self.stale is None:
            answer = ask()
        else:
            self._counts["fault.node_behind"] += 1
            self._counts[f"behind.{name}"] += 1
            true, self._blocks = self._blocks, self.stale
            try:
                answer = ask()
            finally:
                self._blocks = true
        if fault == "reply_late":
            self._wait(self._rng.choice(LATE_SECONDS))
            self.mine(self._rng.randint(0, 2))
        return answer

    def _draw(self, **percent: int) -> str | None:
        if self.reliable:
            return None
        roll = self._rng.randrange(100)
        for name, share in percent.items():
            if roll < share:
                self._counts[f"fault.{name}"] += 1
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
            raw: Any = session.connection().connection.driver_connection
            changes = raw.total_changes
            yield session
            session.flush()
            writes = raw.total_changes != changes
            self.world.at_commit("before", writes=writes)
        self.world.at_commit("after", writes=writes)


class World:
    """One installation, its clients and its chain."""

    def __init__(
        self,
        seed: int,
        engine: Engine,
        *,
        signer: NoteSigner,
        vault: Vault,
        die_at: int | None = None,
    ) -> None:
        """A fresh world with the contract deployed and nothing journaled; see `Simulator.run`."""
        self._rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.outcome = Outcome(seed=seed, steps=0, entries=0)
        self._counts = self.outcome.counts
        self._engine, self._signer, self._vault = engine, signer, vault
        self._plain = sessionmaker(engine, expire_on_commit=False)
        self._sessions = _SimSessions(engine, expire_on_commit=False)
        self._sessions.world = self
        self._commits_fail = False
        self._die_at = die_at
        self._now = START
        self._chain = _SimChain(self._rng, self._counts, self._pass)
        self._workers = [self._worker(), self._worker()]
        for worker in self._workers:
            worker.step()
        self._acknowledged: list[str] = []
        self._unanswered: list[list[NewEntry]] = []
        self._leaves: list[Digest32] = []
        self._roots: dict[int, bytes] = {}
        self._signed: dict[int, str] = {}
        self._finals: set[str] = set()
        self._last = "start"

    # ---------------------------------------------------------- the story
    def live(self, steps: int) -> Outcome:
        """`steps` random acts with faults, then recovery; the promises hold after each."""
        acts: list[tuple[Callable[[], None], int]] = [
            (self._journal, 20), (self._retry, 8), (self._sequence, 24), (self._submit, 44),
            (self._mine, 34), (self._wait, 12), (self._reorganise, 8), (self._forget, 2),
            (self._go_stale, 2), (self._come_back, 10), (self._spike, 5), (self._calm, 16), (self._restart, 2),
        ]  # fmt: skip
        if self._die_at is not None:
            faults = (self._reorganise, self._forget, self._go_stale, self._spike, self._restart)
            acts = [(act, weight) for act, weight in acts if act not in faults]
        names, weights = [act for act, _ in acts], [weight for _, weight in acts]
        self._chain.reliable, self._commits_fail = self._die_at is not None, True
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
        if self._die_at is not None:
            self.outcome.writes += writes
            if not writes or self.outcome.writes - 1 != self._die_at:
                return
            roll = 0
        else:
            roll = self._rng.randrange(100) if writes else self._rng.randrange(1000)
        if roll < 3:
            self._counts[f"fault.killed_{when}_commit"] += 1
            raise KilledError
        if roll < 5:
            self._counts["fault.commit_failed" if when == "before" else "fault.commit_unheard"] += 1
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
        for _ in range(self._rng.randint(2, 8)):
            result = self._rng.choice(self._workers).step()
            self._counts[f"step.{result.action}"] += 1

    def _drain(self) -> None:
        result = self._workers[0].drain()
        self._require(result.action is not StepAction.CAPPED, "capped although fees are low")

    def _mine(self) -> None:
        self._chain.mine(self._rng.randint(1, 4))

    def _wait(self) -> None:
        self._pass(self._rng.choice((5, 30, 61, 90, 3700)))

    def _pass(self, seconds: int) -> None:
        self._now += timedelta(seconds=seconds)

    def _reorganise(self) -> None:
        depth = min(self._rng.randint(1, FINAL_DEPTH), self._chain.height - self._chain.floor)
        if depth > 0:
            self._counts[f"fault.reorganised_{depth}"] += 1
            self._chain.reorganise(depth, keep=self._rng.random() < 0.6)
            # A branch wins because it is longer; without this, final blocks would not stay final.
            self._chain.mine(depth + self._rng.randint(0, 2))

    def _forget(self) -> None:
        self._counts["fault.pool_forgotten"] += 1
        self._chain.forget_pool()

    def _go_stale(self) -> None:
        self._chain.go_stale(self._rng.randint(1, 12))

    def _come_back(self) -> None:
        self._chain.stale = None

    def _spike(self) -> None:
        self._chain.base_fee = self._rng.choice((40, 300, SPIKE_WEI))
        high = 2 * self._chain.base_fee > CEILING_WEI
        self._counts["fault.fee_ceiling" if high else "fault.fee_spike"] += 1

    def _calm(self) -> None:
        self._chain.base_fee = CALM_WEI

    def _restart(self) -> None:
        self._counts["fault.restarted"] += 1
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
        # Plain rows and plain SQL: this runs after every step, and a third of all time was spent here.
        with self._engine.begin() as connection:
            self._check_journal(connection)
            self._check_transactions(connection)
            self._check_anchors(connection)

    def _check_journal(self, connection: Connection) -> None:
        rows = connection.exec_driver_sql(_JOURNAL_SQL).all()
        ids = {str(row[0]) for row in rows}
        self._require(len(ids) == len(rows), "an entry is there twice")
        self._require(ids.issuperset(self._acknowledged), "an acknowledged entry is lost")
        orders = [int(row[1]) for row in rows]
        self._require(orders == list(range(1, len(rows) + 1)), "a gap in the journal")
        newest = connection.exec_driver_sql(_NEWEST_SQL).first()
        size = 0 if newest is None else int(newest[0])
        self._require(size <= len(rows), "a leaf without an entry")
        leaves = [digest32(bytes.fromhex(row[2])) for row in rows[:size]]
        self._require(leaves[: len(self._leaves)] == self._leaves, "a leaf was changed")
        self._leaves = leaves
        if newest is not None and size not in self._signed:
            checkpoint = open_note(str(newest[1]), verifier=self._signer.verifier)
            signed = (checkpoint.size, checkpoint.root)
            self._require(signed == (size, self._root(size)), "the checkpoint is of another tree")
            self._signed[size] = str(newest[1])
        if newest is not None:
            self._require(self._signed[size] == newest[1], "two checkpoints of one size")

    def _check_transactions(self, connection: Connection) -> None:
        rows = connection.exec_driver_sql(_TRANSACTIONS_SQL).all()
        nonces = sorted({row.nonce for row in rows})
        self._require(nonces == list(range(1, len(nonces) + 1)), "a gap between nonces")
        for nonce in nonces:
            attempts = [row.attempt for row in rows if row.nonce == nonce]
            self._require(attempts == list(range(len(attempts))), "attempts out of order")
        pending = {row.nonce for row in rows if row.state in ("signed", "sent", "capped")}
        self._require(len(pending) <= 1, "two nonces in flight")
        self._require(all(int(row.max_fee) <= CEILING_WEI for row in rows), "above the ceiling")
        known = {row.raw for row in rows}
        self._require(known.issuperset(self._chain.sent), "sent before it was durable")

    def _check_anchors(self, connection: Connection) -> None:
        rows = connection.exec_driver_sql(_ANCHORS_SQL).all()
        finals = {row.id for row in rows if row.state == "final"}
        self._require(self._finals <= finals, "a final anchor is no longer final")
        self._finals = finals
        canonical = self._chain.canonical() if finals else set()
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
            size = queries.tree_size(session)
        self._require(size == len(known), "one entry, one leaf")

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
        # Leaves never change (`_check_journal`), so neither does a root.
        if size not in self._roots:
            self._roots[size] = merkle.root(size, merkle.reader_over(self._leaves))
        return self._roots[size]

    def _require(self, holds: object, what: str) -> None:
        if not holds:
            raise PromiseBrokenError(
                f"seed {self.outcome.seed}, step {self.outcome.steps} ({self._last}): {what}"
            )


def _silence() -> UnavailableError:
    return UnavailableError("the simulated chain does not answer", code="chain.unreachable")
