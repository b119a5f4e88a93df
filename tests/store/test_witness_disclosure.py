"""Entries v2 in the log: one field in a receipt, the rest hidden; v1 entries and readers as they were."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from ledger import log, store
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import ExistsWithDifferentFieldError
from ledger.core.ids import derived_id
from ledger.disclosure import disclose
from ledger.note import NoteSigner
from ledger.receipts import LedgerTrust, build_receipt, verify_receipt
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
BODY = {"round": "rnd_one", "allocation": "all_one", "offer": "示例甲", "need": "n", "quantity": 7}


class Bench:
    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
        self.trust = LedgerTrust(self.signer.verifier)

    def record(self, number, **named):
        entry = log.NewEntry(
            id=derived_id("ent", at=AT, seed=str(number)),
            type="allocation.proposed",
            at=AT,
            subject="all_one",
            actor="system",
            body=BODY,
            **named,
        )
        with store.transaction(self.factory) as session:
            row = log.record(session, self.vault, entry)
        with store.transaction(self.factory) as session:
            log.sequence(session, self.signer, at=AT)
            return row.id

    def receipt(self, entry_id, fields=None):
        with store.transaction(self.factory) as session:
            private = self.vault.get(session, entry_id)
            shown = None if fields is None else disclose(private.body, private.salt, fields)
            row = session.get(log.EntryRow, entry_id)
            built = build_receipt(session, row, verifier=self.signer.verifier, disclosed=shown)
            return json.loads(json.dumps(built)), private

    def verdicts(self, receipt):
        report = verify_receipt(receipt, trust=self.trust)
        return {check.code: check.verdict.value for check in report.checks}


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.engine.dispose()


def test_a_receipt_shows_one_field_of_an_entry_and_hides_the_rest(bench):
    receipt, private = bench.receipt(bench.record(1, disclosable=True), ["quantity"])
    found = bench.verdicts(receipt)
    assert found["receipt.disclosure"] == found["receipt.inclusion"] == "passed"
    assert found["receipt.commitment"] == found["receipt.entry"] == "passed"
    text = json.dumps(receipt, ensure_ascii=False)
    assert "示例甲" not in text
    assert private.salt.hex() not in text


def test_a_changed_or_foreign_field_fails(bench):
    entry_id = bench.record(1, disclosable=True)
    other, _ = bench.receipt(bench.record(2, disclosable=True), ["quantity"])
    receipt, _ = bench.receipt(entry_id, ["quantity"])
    assert bench.verdicts({**receipt, "disclosed": other["disclosed"]})["receipt.disclosure"] == (
        "failed"
    )
    receipt["disclosed"]["fields"][0]["value"] = 8
    assert bench.verdicts(receipt)["receipt.disclosure"] == "failed"
    for damage in (5, "x", [], {}, {"v": 1}):
        assert bench.verdicts({**receipt, "disclosed": damage})["receipt.disclosure"] == "failed"


def test_an_entry_of_the_first_version_is_as_it_was_and_promises_no_fields(bench):
    entry_id = bench.record(1)
    receipt, private = bench.receipt(entry_id)
    assert "disclosed" not in receipt
    assert "receipt.disclosure" not in bench.verdicts(receipt)
    with store.transaction(bench.factory) as session:
        entry = json.loads(session.get(log.EntryRow, entry_id).bytes)
    assert entry["v"] == "fuqi/entry/v1"
    promised = hmac.new(private.salt, canonical_bytes(BODY), hashlib.sha256).hexdigest()
    assert entry["commitments"] == {"body": promised}
    shown, _ = bench.receipt(entry_id, ["quantity"])
    assert bench.verdicts(shown)["receipt.disclosure"] == "failed"


def test_a_retry_in_the_other_version_names_the_difference(bench):
    for number, first in ((1, True), (2, False)):
        entry_id = bench.record(number, disclosable=first)
        assert bench.record(number, disclosable=first) == entry_id
        with pytest.raises(ExistsWithDifferentFieldError) as caught:
            bench.record(number, disclosable=not first)
        assert caught.value.context["field"] == "disclosable"
