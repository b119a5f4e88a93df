"""The worker tells a person when fees pass the ceiling, once, and goes on by itself when they fall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog

from api.compose import open_ports
from api.settings import Settings
from api.worker import Worker
from ledger import log, store
from ledger.core.ids import new_id
from ledger.submitter import FEE_CEILING_WEI
from ledger.testing import FakeChain


@pytest.fixture
def clock():
    at = [datetime.now(UTC).replace(microsecond=0)]

    def now():
        at[0] += timedelta(seconds=1)
        return at[0]

    return now


def acknowledge(ports, clock):
    at = clock()
    entry = log.NewEntry(
        new_id("ent", at=at), "document.opened", at, "agr_one", "acc_one", {"n": 1}
    )
    with store.transaction(ports.sessions) as session:
        log.record(session, ports.vault, entry)


def test_a_fee_ceiling_is_said_once_and_so_is_its_end(tmp_path, clock):
    ports = open_ports(Settings(home=tmp_path, demo=True), at=clock())
    chain = FakeChain()
    worker = Worker(ports, chain, clock=clock)
    worker.step()
    acknowledge(ports, clock)
    calm, chain.base_fee = chain.base_fee, FEE_CEILING_WEI
    with structlog.testing.capture_logs() as said:
        assert not worker.step().settled
        worker.step()
    assert [(one["event"], one["log_level"], one["lane"]) for one in said] == [
        ("worker.fee_ceiling", "error", "log")
    ]
    chain.base_fee = calm
    with structlog.testing.capture_logs() as said:
        assert worker.step().settled
        worker.step()
    assert [one["event"] for one in said] == ["worker.fee_ceiling_passed"]
    ports.engine.dispose()
