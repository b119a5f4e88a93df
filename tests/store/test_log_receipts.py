"""Receipts made from rows, through every state an entry passes: journaled, logged, mined, final."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta

import pytest

from contracts import artifacts
from ledger import log, store
from ledger.core.errors import ConflictError
from ledger.core.ids import derived_id
from ledger.note import NoteSigner
from ledger.receipts import ChainPin, LedgerTrust, build_receipt, verify_receipt
from ledger.submitter import Submitter
from ledger.tables.log import EntryRow
from ledger.testing import FakeChain
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
BODY = {"agreement": "agr_one", "by": "示例（虚构）"}
CODES = ("entry", "commitment", "inclusion", "checkpoint", "anchor", "chain", "finality")
P, F, U = "passed", "failed", "indeterminate"


class Bench:
    """Log, chain and submitter of one installation, with a clock that the test moves."""

    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
        self.chain = FakeChain(final_depth=2)
        self.now = AT
        self.submitter = Submitter(
            self.factory, self.chain, log.StoredCheckpoints(), lambda: self.now
        )
        pin = ChainPin(
            chain_id=self.chain.info().chain_id,
            contract=self.chain.deploy().address,
            code_hash="0x" + artifacts.load("EvidenceLog").code_hash.hex(),
            kind="embedded",
            label_en="a fake chain",
            label_zh="测试链",
        )
        self.trust = LedgerTrust(self.signer.verifier, (pin,))

    def record(self, number):
        with store.transaction(self.factory) as session:
            return log.record(
                session,
                self.vault,
                log.NewEntry(
                    id=derived_id("ent", at=AT, seed=str(number)),
                    type="document.opened",
                    at=AT,
                    subject="agr_one",
                    actor="acc_one",
                    body=BODY,
                ),
            ).id

    def sequence(self):
        with store.transaction(self.factory) as session:
            log.sequence(session, self.signer, at=AT)

    def anchor(self):
        self.now += timedelta(seconds=13)
        self.submitter.drain()

    def finish(self):
        self.chain.mine(2)
        self.anchor()

    def receipt(self, entry_id, *, disclose=False, **named):
        with store.transaction(self.factory) as session:
            private = self.vault.get(session, entry_id) if disclose else None
            built = build_receipt(
                session,
                session.get(EntryRow, entry_id),
                verifier=self.signer.verifier,
                private=private,
                **named,
            )
        return json.loads(json.dumps(built))  # as it travels

    def verdicts(self, receipt, **named):
        report = verify_receipt(receipt, **{"trust": self.trust, **named})
        return dict(zip(CODES, [check.verdict.value for check in report.checks], strict=True))


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.engine.dispose()


def test_a_receipt_says_how_far_its_entry_has_come(bench):
    entry = bench.record(1)
    journaled = bench.receipt(entry)
    assert journaled["state"] == "journaled"
    assert bench.verdicts(journaled) == dict(zip(CODES, (P, P, U, U, U, U, U), strict=True))
    bench.sequence()
    logged = bench.receipt(entry)
    assert logged["state"] == "logged"
    assert bench.verdicts(logged) == dict(zip(CODES, (P, P, P, P, U, U, U), strict=True))
    bench.anchor()
    mined = bench.receipt(entry)
    assert mined["state"] == "mined"
    assert bench.verdicts(mined) == dict(zip(CODES, (P, P, P, P, U, P, U), strict=True))
    bench.finish()
    final = bench.receipt(entry)
    assert final["state"] == "final"
    assert set(bench.verdicts(final).values()) == {P}
    # What was handed out early stays true.
    for earlier in (journaled, logged, mined):
        assert F not in bench.verdicts(earlier).values()


def test_every_entry_of_every_batch_gets_a_final_receipt(bench, monkeypatch):
    monkeypatch.setattr(log, "SEQUENCE_BATCH", 3)
    entries = [bench.record(number) for number in range(5)]
    bench.sequence()
    bench.anchor()
    bench.sequence()
    bench.finish()
    bench.finish()
    entries.append(bench.record(99))
    states = []
    for entry in entries:
        receipt = bench.receipt(entry)
        states.append(receipt["state"])
        if receipt["state"] == "final":
            assert set(bench.verdicts(receipt).values()) == {P}
            assert receipt["log"]["size"] == receipt["anchor"]["size"]
    assert states == ["final"] * 5 + ["journaled"]


def test_a_receipt_may_open_its_body_and_then_binds_it(bench):
    entry = bench.record(1)
    bench.sequence()
    receipt = bench.receipt(entry, disclose=True)
    assert receipt["private"]["body"] == BODY
    assert bench.verdicts(receipt)["commitment"] == P
    other = copy.deepcopy(receipt)
    other["private"]["body"]["by"] = "别人（虚构）"
    assert bench.verdicts(other)["commitment"] == F
    hidden = bench.receipt(entry)
    assert hidden["private"] is None
    assert "示例" not in json.dumps(hidden, ensure_ascii=False)


def test_after_erasure_a_receipt_proves_the_entry_but_opens_nothing(bench):
    entry = bench.record(1)
    bench.sequence()
    bench.anchor()
    bench.finish()
    with store.transaction(bench.factory) as session:
        bench.vault.erase(session, "agr_one", at=AT)
    assert set(bench.verdicts(bench.receipt(entry)).values()) == {P}
    with pytest.raises(ConflictError) as caught:
        bench.receipt(entry, disclose=True)
    assert caught.value.error_code == "vault.restricted"


def test_the_receipt_of_another_entry_does_not_pass_for_this_one(bench):
    first, second = bench.record(1), bench.record(2)
    bench.sequence()
    one, two = bench.receipt(first), bench.receipt(second)
    assert bench.verdicts({**one, "entry": two["entry"]})["inclusion"] == F
    assert bench.verdicts({**one, "log": two["log"]})["inclusion"] == F


def test_a_receipt_without_evidence_needs_it_beside(bench):
    entry = bench.record(1)
    bench.sequence()
    bench.anchor()
    bench.finish()
    whole, slim = bench.receipt(entry), bench.receipt(entry, with_evidence=False)
    assert slim["anchor"]["evidence"] is None
    assert bench.verdicts(slim)["anchor"] == U
    found = bench.verdicts(slim, evidence=whole["anchor"]["evidence"])
    assert set(found.values()) == {P}


def test_a_reorganisation_takes_a_mined_receipt_back_to_the_log(bench):
    entry = bench.record(1)
    bench.sequence()
    bench.anchor()
    assert bench.receipt(entry)["state"] == "mined"
    bench.chain.reorganise(1, keep=False)
    bench.chain.mine(3)
    bench.submitter.step()
    assert bench.receipt(entry)["state"] == "logged"
    for _ in range(4):
        bench.anchor()
        bench.finish()
    receipt = bench.receipt(entry)
    assert receipt["state"] == "final"
    assert set(bench.verdicts(receipt).values()) == {P}
