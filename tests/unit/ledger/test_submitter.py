"""The submitter against a chain that fails on request: nothing lost, nothing doubled, money bounded."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ledger.chain_proof import verify_chain_evidence
from ledger.core.errors import ConflictError, UnavailableError, VerificationError
from ledger.queries import anchors as queries
from ledger.store import make_engine, migrate, sessions
from ledger.submitter import StepAction, Submitter
from ledger.tables.anchors import AnchorRow, ChainTxRow, DeploymentRow
from ledger.testing import FakeChain, MemoryLog

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "empty.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def factory(empty_database, tmp_path):
    path = tmp_path / "fuqi.sqlite3"
    shutil.copy(empty_database, path)
    engine = make_engine(f"sqlite:///{path}")
    yield sessions(engine)
    engine.dispose()


class Bench:
    """One database, one chain, one log, one clock; `submitter()` is a fresh process."""

    def __init__(self, factory, chain=None, **options):
        self.factory, self.chain, self.log = factory, chain or FakeChain(), MemoryLog()
        self.now, self.options = START, options
        self.submitter = self.fresh()

    def fresh(self):
        return Submitter(self.factory, self.chain, self.log, lambda: self.now, **self.options)

    def restart(self):
        self.submitter = self.fresh()

    def wait(self, seconds=61):
        self.now += timedelta(seconds=seconds)

    def rows(self, kind):
        with self.factory() as session:
            return list(session.scalars(select(kind)))

    def states(self):
        rows = sorted(self.rows(ChainTxRow), key=lambda row: (row.nonce, row.attempt))
        return [(row.nonce, row.attempt, row.state) for row in rows]

    def anchors(self):
        rows = sorted(self.rows(AnchorRow), key=lambda row: (row.checkpoint_size, row.id))
        return [(row.checkpoint_size, row.state) for row in rows]


def test_a_checkpoint_goes_from_signed_to_final_one_step_at_a_time(factory):
    bench = Bench(factory)
    bench.log.grow(3)
    actions = [bench.submitter.step().action for _ in range(5)]
    assert actions == [
        StepAction.DEPLOYED,
        StepAction.SIGNED,
        StepAction.SENT,
        StepAction.FINAL,
        StepAction.IDLE,
    ]
    assert bench.anchors() == [(3, "final")]


def test_an_empty_log_sends_nothing(factory):
    bench = Bench(factory)
    assert bench.submitter.drain().action is StepAction.IDLE
    assert bench.chain.sent == []


def test_the_anchor_row_carries_what_the_chain_said_and_evidence_that_verifies(factory):
    bench = Bench(factory)
    size, root = bench.log.grow(4)
    bench.submitter.drain()
    (row,) = bench.rows(AnchorRow)
    seen = bench.chain.find_append(size=size, root=root)
    assert (row.tx_hash, row.block_hash, row.block_time, row.gas_used) == (
        seen.tx_hash,
        seen.block_hash,
        seen.block_time,
        seen.gas_used,
    )
    proven = verify_chain_evidence(json.loads(row.evidence), size=size, root=root)
    assert proven.contract == row.contract


def test_one_deployment_is_made_and_remembered(factory):
    bench = Bench(factory)
    bench.submitter.drain()
    bench.restart()
    bench.submitter.drain()
    (row,) = bench.rows(DeploymentRow)
    assert row.address == bench.chain.deploy().address


def test_a_deployment_whose_answer_was_lost_is_found_again(factory):
    bench = Bench(factory)
    bench.chain.fail("deploy", "after")
    with pytest.raises(UnavailableError):
        bench.submitter.step()
    bench.restart()
    assert bench.submitter.step().action is StepAction.DEPLOYED
    assert bench.chain.nonce() == 1


def test_the_signed_row_is_committed_before_anything_is_sent(factory):
    bench = Bench(factory)
    bench.log.grow(1)
    bench.submitter.step()
    assert bench.submitter.step().action is StepAction.SIGNED
    assert bench.states() == [(1, 0, "signed")]
    assert bench.chain.sent == []


@pytest.mark.parametrize("mode", ["before", "after"])
def test_a_send_without_an_answer_ends_in_exactly_one_anchor(factory, mode):
    bench = Bench(factory)
    bench.log.grow(2)
    bench.submitter.step()
    bench.submitter.step()
    bench.chain.fail("send", mode)
    with pytest.raises(UnavailableError):
        bench.submitter.step()
    bench.restart()
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final")]
    assert bench.chain.head().index == 1


@pytest.mark.parametrize("method", ["info", "head", "nonce", "fees", "find_append", "evidence"])
def test_a_read_without_an_answer_loses_nothing(factory, method):
    bench = Bench(factory)
    bench.log.grow(2)
    bench.chain.fail(method, times=3)
    failures = []
    for _ in range(20):
        try:
            bench.submitter.step()
        except UnavailableError as exc:
            failures.append(exc.error_code)
            bench.restart()
    assert failures == ["chain.unreachable"] * 3
    assert bench.anchors() == [(2, "final")]
    assert bench.chain.head().index == 1


def test_entries_that_arrive_meanwhile_are_anchored_next(factory):
    bench = Bench(factory)
    bench.log.grow(2)
    bench.submitter.drain()
    bench.log.grow(5)
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final"), (7, "final")]


def test_a_mined_anchor_waits_for_finality_and_blocks_the_next_nonce(factory):
    bench = Bench(factory, FakeChain(final_depth=3))
    bench.log.grow(2)
    assert bench.submitter.drain().action is StepAction.WAITING
    bench.log.grow(1)
    assert bench.submitter.drain().action is StepAction.WAITING
    assert bench.states() == [(1, 0, "mined")]
    bench.chain.mine(3)
    bench.submitter.drain()
    assert bench.states() == [(1, 0, "mined"), (2, 0, "mined")]
    assert bench.anchors() == [(2, "final"), (3, "mined")]


def test_a_stuck_transaction_is_replaced_by_a_larger_root_under_the_same_nonce(factory):
    bench = Bench(factory, FakeChain(auto_mine=False))
    bench.log.grow(2)
    bench.submitter.drain()
    bench.log.grow(6)
    assert bench.submitter.step().action is StepAction.WAITING
    bench.wait()
    assert bench.submitter.step().action is StepAction.REPLACED
    bench.submitter.step()
    bench.chain.mine()
    bench.submitter.drain()
    first, second = sorted(bench.rows(ChainTxRow), key=lambda row: row.attempt)
    assert (first.nonce, first.size, first.state) == (1, 2, "replaced")
    assert (second.nonce, second.size, second.state) == (1, 8, "mined")
    assert int(second.max_fee) * 10 >= int(first.max_fee) * 11
    assert bench.anchors() == [(8, "final")]


def test_a_replaced_transaction_that_is_mined_after_all_is_recognised(factory):
    bench = Bench(factory, FakeChain(auto_mine=False))
    bench.log.grow(2)
    bench.submitter.drain()
    bench.wait()
    bench.log.grow(1)
    bench.submitter.step()
    bench.chain.mine()
    bench.submitter.drain()
    assert bench.states()[:2] == [(1, 0, "mined"), (1, 1, "replaced")]
    assert bench.anchors()[0] == (2, "final")


def test_at_the_fee_ceiling_it_says_so_and_never_pays_more(factory):
    chain = FakeChain(auto_mine=False, base_fee=7)
    bench = Bench(factory, chain, fee_ceiling_wei=20)
    bench.log.grow(2)
    bench.submitter.drain()
    chain.base_fee = 1000
    results = []
    for _ in range(6):
        bench.wait()
        results.append(bench.submitter.drain())
    assert results[-1].action is StepAction.CAPPED
    assert results[-1].alarm
    assert max(int(row.max_fee) for row in bench.rows(ChainTxRow)) <= 20
    assert bench.states()[-1][2] == "capped"
    chain.base_fee = 7
    chain.mine()
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final")]


def test_above_the_ceiling_nothing_is_signed_at_all(factory):
    bench = Bench(factory, FakeChain(base_fee=1000), fee_ceiling_wei=20)
    bench.log.grow(2)
    assert bench.submitter.drain().alarm
    assert bench.rows(ChainTxRow) == []


def test_a_node_that_forgot_its_pool_gets_the_transaction_again(factory):
    bench = Bench(factory, FakeChain(auto_mine=False))
    bench.log.grow(2)
    bench.submitter.drain()
    bench.chain.forget_pool()
    bench.wait()
    bench.submitter.drain()
    bench.chain.mine()
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final")]


@pytest.mark.parametrize("keep", [True, False])
def test_a_reorganisation_falls_back_to_the_head_on_the_chain(factory, keep):
    bench = Bench(factory, FakeChain(final_depth=2))
    bench.log.grow(2)
    bench.submitter.drain()
    assert bench.anchors() == [(2, "mined")]
    bench.chain.reorganise(1, keep=keep)
    bench.log.grow(1)
    for _ in range(4):
        bench.submitter.drain()
        bench.chain.mine(3)
    states = bench.anchors()
    assert [state for _, state in states if state != "lost"] == ["final", "final"]
    assert bench.chain.head().size == 3
    assert bench.chain.head().index == 2


def test_an_anchor_that_moved_to_another_block_is_recorded_anew(factory):
    bench = Bench(factory, FakeChain(final_depth=2))
    bench.log.grow(2)
    bench.submitter.drain()
    (before,) = bench.rows(AnchorRow)
    bench.chain.reorganise(1, keep=True)
    bench.chain.mine(4)
    bench.submitter.drain()
    after = [row for row in bench.rows(AnchorRow) if row.state == "final"]
    assert len(after) == 1
    assert after[0].block_hash != before.block_hash
    assert bench.anchors() == [(2, "lost"), (2, "final")] or bench.anchors() == [
        (2, "final"),
        (2, "lost"),
    ]


def test_a_database_that_lost_its_anchoring_rows_recovers_from_the_chain(
    factory, empty_database, tmp_path
):
    bench = Bench(factory)
    bench.log.grow(2)
    bench.submitter.drain()
    other = tmp_path / "restored.sqlite3"
    shutil.copy(empty_database, other)
    engine = make_engine(f"sqlite:///{other}")
    bench.factory = sessions(engine)
    bench.restart()
    bench.log.grow(3)
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final"), (5, "final")]
    assert bench.chain.head().index == 2
    engine.dispose()


def test_a_log_restored_from_an_old_copy_is_refused(factory):
    bench = Bench(factory)
    bench.log.grow(5)
    bench.submitter.drain()
    bench.log = MemoryLog()
    bench.log.grow(3)
    bench.restart()
    bench.submitter.step()
    with pytest.raises(VerificationError) as caught:
        bench.submitter.step()
    assert caught.value.error_code == "submitter.fork"


def test_a_log_with_another_history_is_refused_before_any_money_is_spent(factory):
    bench = Bench(factory)
    bench.log.grow(5)
    bench.submitter.drain()
    sent = len(bench.chain.sent)
    bench.log = MemoryLog()
    bench.log.grow(1)
    bench.log._leaves[0] = bytes(32)
    bench.log.grow(7)
    bench.restart()
    bench.submitter.step()
    with pytest.raises(VerificationError) as caught:
        bench.submitter.step()
    assert caught.value.error_code == "submitter.fork"
    assert len(bench.chain.sent) == sent


def test_two_submitters_at_once_make_one_anchor(factory):
    bench = Bench(factory)
    bench.log.grow(2)
    first, second = bench.submitter, bench.fresh()
    collisions = set()
    for _ in range(8):
        for one in (first, second):
            try:
                one.step()
            except ConflictError as exc:
                collisions.add(exc.error_code)
    assert collisions <= {"concurrent_write"}
    assert bench.anchors() == [(2, "final")]
    assert bench.chain.head().index == 1


def test_appends_that_keep_reverting_stop_for_an_hour(factory, monkeypatch):
    bench = Bench(factory)
    bench.submitter.step()
    monkeypatch.setattr("ledger.testing._extends", lambda _head, _tx: False)
    bench.log.grow(2)
    with pytest.raises(ConflictError) as caught:
        bench.submitter.drain()
    assert caught.value.error_code == "submitter.reverting"
    assert len(bench.chain.sent) == 3
    monkeypatch.undo()
    bench.wait(3601)
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final")]


def test_a_node_behind_a_final_anchor_is_waited_for_and_nothing_is_signed(factory):
    bench = Bench(factory, FakeChain(final_depth=3))
    bench.log.grow(2)
    bench.submitter.drain()
    bench.chain.mine(3)
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final")]
    bench.log.grow(3)
    true = bench.chain._blocks
    bench.chain._blocks = true[:5]  # deployed, and nothing appended yet
    assert bench.chain.head().size == 0
    assert bench.submitter.drain().action is StepAction.WAITING
    assert bench.states() == [(1, 0, "mined")]
    bench.chain._blocks = true
    bench.submitter.drain()
    bench.chain.mine(3)
    bench.submitter.drain()
    assert bench.anchors() == [(2, "final"), (5, "final")]


def test_an_older_append_of_the_same_checkpoint_does_not_settle_a_later_nonce(factory):
    """Seed 5702 of the simulation: the next nonce was used before this one was final, and a gap stayed."""
    bench = Bench(factory, FakeChain(final_depth=3, auto_mine=False))
    size, root = bench.log.grow(2)
    for _ in range(3):
        bench.submitter.drain()
        bench.chain.mine(4)
    assert bench.anchors() == [(2, "final")]
    # Signed again under the next nonce, as by a worker whose node was behind; it is mined and reverts.
    fees = bench.chain.fees()
    again = bench.chain.sign_append(size=size, root=root, proof=[], nonce=2, fees=fees)
    with bench.factory.begin() as session:
        session.add(
            ChainTxRow(id="ctx_again", chain_id=bench.chain.info().chain_id, nonce=2, attempt=0,
                       raw=again.raw, tx_hash=again.tx_hash, size=size, root=root.hex(),
                       max_fee=str(fees.max_fee), priority=str(fees.priority), state="signed",
                       attempts=0, signed_at=START, sent_at=None)
        )  # fmt: skip
    bench.log.grow(1)
    bench.submitter.drain()
    bench.chain.mine()
    assert bench.submitter.drain().action is StepAction.WAITING
    assert bench.states() == [(1, 0, "mined"), (2, 0, "sent")]
    bench.chain.reorganise(1, keep=False)
    bench.chain.mine(2)
    bench.wait()
    for _ in range(4):
        bench.submitter.drain()
        bench.chain.mine(4)
        bench.wait()
    assert bench.anchors() == [(2, "final"), (3, "final")]
    nonces = [nonce for nonce, *_ in bench.states()]
    assert sorted(set(nonces)) == list(range(1, max(nonces) + 1))


def test_readers_find_the_first_anchor_that_covers_an_entry(factory):
    bench = Bench(factory)
    bench.log.grow(2)
    bench.submitter.drain()
    bench.log.grow(3)
    bench.submitter.drain()
    with factory() as session:
        assert queries.anchor_covering(session, 1).checkpoint_size == 2
        assert queries.anchor_covering(session, 2).checkpoint_size == 5
        assert queries.anchor_covering(session, 5) is None
        assert queries.latest_final(session).checkpoint_size == 5
