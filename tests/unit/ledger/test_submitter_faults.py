"""Random faults, kills and reorganisations: the promise of docs on the submitter, as one property."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from ledger.core.errors import UnavailableError
from ledger.store import make_engine, migrate, sessions
from ledger.submitter import Submitter
from ledger.tables.anchors import AnchorRow, ChainTxRow
from ledger.testing import FakeChain, MemoryLog

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "empty.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


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


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 4)),
        st.tuples(st.just("step"), st.integers(1, 4)),
        st.tuples(st.just("mine"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.just(61)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("forget"), st.just(0)),
        st.tuples(st.just("reorganise"), st.integers(1, 2)),
        st.tuples(st.just("drop"), st.integers(1, 2)),
        st.tuples(
            st.just("fail"),
            st.sampled_from(
                [
                    ("send", "before"),
                    ("send", "after"),
                    ("head", "before"),
                    ("nonce", "before"),
                    ("find_append", "before"),
                    ("evidence", "before"),
                ]
            ),
        ),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(moves=MOVES)
def test_after_any_faults_every_leaf_is_under_one_final_anchor(
    moves, empty_database, tmp_path_factory
):
    path = tmp_path_factory.mktemp("run") / "fuqi.sqlite3"
    shutil.copy(empty_database, path)
    engine = make_engine(f"sqlite:///{path}")
    # Power cuts are not part of this test, and waiting for the disk is most of its time.
    event.listen(
        engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF")
    )
    chain = FakeChain(auto_mine=False, final_depth=3)
    bench = Bench(sessions(engine), chain)
    bench.submitter.step()
    floor = len(chain._blocks)
    for name, value in moves:
        if name == "grow":
            bench.log.grow(value)
        elif name == "step":
            for _ in range(value):
                try:
                    bench.submitter.step()
                except UnavailableError:
                    bench.restart()
        elif name == "mine":
            chain.mine(value)
        elif name == "wait":
            bench.wait(value)
        elif name == "restart":
            bench.restart()
        elif name == "forget":
            chain.forget_pool()
        elif name in ("reorganise", "drop"):
            depth = min(value, len(chain._blocks) - floor)
            if depth > 0:
                chain.reorganise(depth, keep=name == "reorganise")
        else:
            chain.fail(*value)
    chain._faults.clear()
    bench.log.grow(1)
    for _ in range(12):
        bench.submitter.drain()
        chain.mine(4)
        bench.wait()
    size, root = bench.log.latest()
    assert (chain.head().size, chain.head().root) == (size, root)
    standing = [row for row in bench.rows(AnchorRow) if row.state == "final"]
    assert max(row.checkpoint_size for row in standing) == size
    assert len({row.checkpoint_size for row in standing}) == len(standing) == chain.head().index
    nonces = sorted({row.nonce for row in bench.rows(ChainTxRow)})
    assert nonces == list(range(1, chain.nonce()))
    engine.dispose()
