"""The log's signed word on what came after an entry: counted in the tree, bounded, never of the future."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ledger import log, store
from ledger.core.ids import derived_id
from ledger.core.report import Verdict
from ledger.entry_types import ENTRY_TYPES
from ledger.ledger_trust import LedgerTrust
from ledger.note import NoteSigner
from ledger.receipt_checking import verify_receipt
from ledger.receipt_status import EFFECT_TYPES, EFFECTS_SHOWN, open_status
from ledger.receipts import build_receipt, signed_status
from ledger.tables.log import EntryRow
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)


class Bench:
    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
        self.count = 0

    def record(self, kind, *, subject="agr_one"):
        self.count += 1
        entry = log.NewEntry(
            id=derived_id("ent", at=AT, seed=str(self.count)),
            type=kind,
            at=AT,
            subject=subject,
            actor="acc_one",
            body={"number": self.count},
        )
        with store.transaction(self.factory) as session:
            return log.record(session, self.vault, entry).id

    def sequence(self):
        with store.transaction(self.factory) as session:
            log.sequence(session, self.signer, at=AT)

    def receipt(self, entry_id):
        with store.transaction(self.factory) as session:
            row = session.get(EntryRow, entry_id)
            receipt = build_receipt(session, row, verifier=self.signer.verifier)
            state = receipt["state"]
            receipt["status"] = signed_status(
                session, row, state=state, signer=self.signer, at=AT + timedelta(hours=1)
            )
        return json.loads(json.dumps(receipt))

    def status(self, entry_id):
        return open_status(self.receipt(entry_id)["status"], verifier=self.signer.verifier)

    def finding(self, entry_id):
        trust = LedgerTrust(self.signer.verifier, status_max_age=60)
        report = verify_receipt(self.receipt(entry_id), trust=trust, at=AT + timedelta(hours=1))
        check = report.checks[-1]
        assert check.code == "receipt.status"
        return check


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.engine.dispose()


def test_every_type_that_counts_as_an_effect_is_a_type():
    assert set(ENTRY_TYPES) >= EFFECT_TYPES


def test_before_the_tree_the_statement_says_so(bench):
    entry = bench.record("document.opened")
    status = bench.status(entry)
    assert (status.state, status.size, status.later) == ("journaled", 0, 0)
    assert bench.finding(entry).verdict is Verdict.PASSED


def test_later_entries_of_the_subject_are_counted_and_others_are_not(bench):
    entry = bench.record("document.opened")
    bench.record("document.read")
    bench.record("agreement.withdrawn", subject="agr_two")
    bench.sequence()
    status = bench.status(entry)
    assert (status.size, status.later, status.effects, status.shown) == (3, 1, 0, ())
    assert bench.finding(entry).verdict is Verdict.PASSED


def test_an_entry_that_ends_it_leaves_the_finding_open_and_is_named(bench):
    entry = bench.record("document.opened")
    bench.record("agreement.withdrawn")
    bench.sequence()
    check = bench.finding(entry)
    assert check.verdict is Verdict.INDETERMINATE
    assert "agreement.withdrawn at index 1" in check.summary_en
    assert "agreement.withdrawn" in check.summary_zh


def test_what_is_not_in_the_tree_yet_is_not_told(bench):
    entry = bench.record("document.opened")
    bench.sequence()
    bench.record("agreement.withdrawn")
    assert bench.status(entry).effects == 0
    bench.sequence()
    assert bench.status(entry).effects == 1


def test_an_earlier_entry_is_no_effect(bench):
    bench.record("agreement.withdrawn")
    entry = bench.record("document.opened")
    bench.sequence()
    assert bench.status(entry).later == 0


def test_of_many_effects_the_newest_are_named_and_all_are_counted(bench):
    entry = bench.record("document.opened")
    for _ in range(EFFECTS_SHOWN + 3):
        bench.record("key.revoked")
    bench.sequence()
    status = bench.status(entry)
    assert status.effects == EFFECTS_SHOWN + 3
    assert [one.index for one in status.shown] == [4, 5, 6, 7, 8]
    with store.transaction(bench.factory) as session:
        leaves = [
            session.get(EntryRow, derived_id("ent", at=AT, seed=str(n))).leaf for n in range(5, 10)
        ]
    assert [one.leaf for one in status.shown] == leaves
