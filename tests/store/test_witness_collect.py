"""The log asks its witnesses over HTTP; receipts carry what they signed; the policy says how many it takes."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from ledger import log, store
from ledger.core.errors import InputError, UnavailableError
from ledger.core.ids import derived_id
from ledger.cosigning import WitnessEndpoint, collect, http_post, read_witnesses
from ledger.note import NoteSigner, WitnessPolicy, open_note
from ledger.queries import log as queries
from ledger.receipts import LedgerTrust, build_receipt, verify_receipt
from ledger.tables.log import CosignatureRow, EntryRow
from ledger.vault import FileKeyProvider, Vault
from ledger.witness import Witness, make_server

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
NAMES = ("w1.example.invalid", "w2.example.invalid", "w3.example.invalid")


class Installation:
    """Database, log key; `fork` is the same key over a database restored from an older copy."""

    def __init__(self, url, folder):
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "vault.key"))
        self.signer = NoteSigner(folder / "log.key", name="log.example.invalid/fuqi")
        self.count = 0

    def grow(self, number, *, mark=""):
        entries = [
            log.NewEntry(
                id=derived_id("ent", at=AT, seed=f"{mark}{self.count + i}"),
                type="document.opened",
                at=AT,
                subject="agr_one",
                actor="acc_one",
                body={"number": self.count + i},
            )
            for i in range(number)
        ]
        self.count += number
        with store.transaction(self.factory) as session:
            log.record_many(session, self.vault, entries)
        with store.transaction(self.factory) as session:
            return log.sequence(session, self.signer, at=AT)

    def receipt(self, index):
        with store.transaction(self.factory) as session:
            row = session.query(EntryRow).filter_by(order=index + 1).one()
            return build_receipt(session, row, verifier=self.signer.verifier)

    def trust(self, k, keys):
        return LedgerTrust(self.signer.verifier, witnesses=WitnessPolicy.of(k, keys))


@pytest.fixture
def installation(database_url, tmp_path):
    made = Installation(database_url, tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def witnesses(tmp_path, installation):
    """Three witnesses as separate HTTP servers; (endpoints, the witnesses themselves)."""
    servers, endpoints, found = [], [], []
    for name in NAMES:
        witness = Witness(
            tmp_path / name, name=name, logs=[installation.signer.verifier], clock=lambda: AT
        )
        server = make_server(witness)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        found.append(witness)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        endpoints.append(WitnessEndpoint(key=witness.key, url=url))
    yield endpoints, found
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(installation, endpoints, **named):
    outcomes = collect(installation.factory, endpoints, at=AT, **named)
    return [outcome.code for outcome in outcomes]


def verdict(receipt, trust):
    found = {check.code: check for check in verify_receipt(receipt, trust=trust).checks}
    return found["receipt.witnesses"].verdict.value


def test_every_checkpoint_gets_its_cosignatures_and_the_receipt_carries_them(
    installation, witnesses
):
    endpoints, found = witnesses
    keys = [endpoint.key for endpoint in endpoints]
    installation.grow(3)
    assert ask(installation, endpoints) == [None, None, None]
    installation.grow(4)
    assert ask(installation, endpoints) == [None, None, None]
    assert [witness.seen() for witness in found] == [{"log.example.invalid/fuqi": 7}] * 3
    for index, size in ((0, 3), (5, 7)):
        receipt = installation.receipt(index)
        assert receipt["log"]["size"] == size
        open_note(receipt["log"]["note"], verifier=installation.signer.verifier)
        assert receipt["log"]["note"].count("\n— ") == 4
        assert verdict(receipt, installation.trust(3, keys)) == "passed"


def test_asking_again_sends_nothing(installation, witnesses):
    endpoints, _ = witnesses
    installation.grow(1)
    ask(installation, endpoints)

    def never(url, body):
        raise AssertionError("asked again")

    assert ask(installation, endpoints, post=never) == [None, None, None]


def test_too_few_cosignatures_are_unknown_and_a_wrong_one_is_a_failure(installation, witnesses):
    endpoints, _ = witnesses
    keys = [endpoint.key for endpoint in endpoints]
    installation.grow(2)
    ask(installation, endpoints[:2])
    receipt = installation.receipt(0)
    assert verdict(receipt, installation.trust(2, keys)) == "passed"
    assert verdict(receipt, installation.trust(3, keys)) == "indeterminate"
    assert verdict(receipt, installation.trust(1, keys[2:])) == "indeterminate"
    line = receipt["log"]["note"].splitlines()[-1]
    twice = {**receipt, "log": {**receipt["log"], "note": receipt["log"]["note"] + line + "\n"}}
    assert verdict(twice, installation.trust(3, keys)) == "indeterminate"
    character = "A" if line[-20] != "A" else "B"
    forged = receipt["log"]["note"].replace(line, line[:-20] + character + line[-19:])
    assert forged != receipt["log"]["note"]
    changed = {**receipt, "log": {**receipt["log"], "note": forged}}
    assert verdict(changed, installation.trust(2, keys)) == "failed"


def test_without_a_policy_nothing_is_asked_and_old_trust_files_still_read(installation, witnesses):
    endpoints, _ = witnesses
    installation.grow(1)
    ask(installation, endpoints)
    old = LedgerTrust(installation.signer.verifier)
    assert "witnesses" not in old.as_json()
    assert LedgerTrust.from_json(old.as_json()) == old
    codes = [check.code for check in verify_receipt(installation.receipt(0), trust=old).checks]
    assert "receipt.witnesses" not in codes
    trust = installation.trust(1, [endpoints[0].key])
    assert LedgerTrust.from_json(json.loads(json.dumps(trust.as_json()))) == trust
    for policy in ({"k": 2, "keys": [endpoints[0].key.text()]}, {"k": 1, "keys": ["x"]}, 5):
        with pytest.raises(InputError) as caught:
            LedgerTrust.from_json({**old.as_json(), "witnesses": policy})
        assert caught.value.error_code == "trust.malformed"


def test_a_witness_that_is_down_stops_no_other_and_catches_up_later(installation, witnesses):
    endpoints, _ = witnesses

    def half(url, body):
        if url.startswith(endpoints[1].url):
            raise UnavailableError("down", code="witness.unreachable")
        return http_post(url, body)

    for _ in range(3):
        installation.grow(5)
        assert ask(installation, endpoints, post=half) == [None, "witness.unreachable", None]
    assert ask(installation, endpoints) == [None, None, None]


def test_a_log_that_forgot_its_cosignatures_learns_the_size_from_the_witness(
    installation, witnesses
):
    endpoints, _ = witnesses
    installation.grow(4)
    sent = []

    def lost(url, body):
        http_post(url, body)
        raise UnavailableError("the answer was lost", code="witness.unreachable")

    def counted(url, body):
        sent.append(body.split(b"\n")[0])
        return http_post(url, body)

    assert ask(installation, endpoints[:1], post=lost) == ["witness.unreachable"]
    installation.grow(4)
    assert ask(installation, endpoints[:1], post=counted) == [None]
    assert sent == [b"old 0", b"old 4"]


def test_a_restored_old_database_is_found_out_by_every_witness(installation, witnesses, tmp_path):
    endpoints, found = witnesses
    installation.grow(9)
    ask(installation, endpoints)
    url = f"sqlite:///{tmp_path / 'restored.sqlite3'}"
    store.migrate(url)
    restored = Installation(url, tmp_path)
    restored.grow(4, mark="other")
    assert ask(restored, endpoints) == ["witness.ahead"] * 3
    restored.grow(5, mark="other")
    assert ask(restored, endpoints) == ["witness.split_view"] * 3
    restored.grow(3, mark="other")
    assert ask(restored, endpoints) == ["witness.inconsistent"] * 3
    assert all(witness.seen() == {"log.example.invalid/fuqi": 9} for witness in found)
    with store.transaction(restored.factory) as session:
        assert queries.cosignatures_of(session, 12) == []
    restored.engine.dispose()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, "text/plain", b""), "witness.answer"),
        ((200, "text/plain", b"\xff\xfe"), "witness.answer"),
        ((200, "text/plain", "— stranger AAAA\n".encode()), "witness.answer"),
        ((500, "text/plain", b"oops"), "witness.answer"),
        ((302, "text/plain", b""), "witness.answer"),
        ((409, "text/x.tlog.size", b"many\n"), "witness.answer"),
        ((409, "text/x.tlog.size", b"99\n"), "witness.ahead"),
        ((409, "text/x.tlog.size", b"0\n"), "witness.answer"),
        ((403, "text/plain", b"witness.unsigned\n"), "witness.unsigned"),
    ],
)
def test_an_answer_that_is_no_cosignature_is_never_stored(installation, witnesses, answer, code):
    endpoints, _ = witnesses
    installation.grow(2)
    assert ask(installation, endpoints[:1], post=lambda url, body: answer) == [code]
    with store.transaction(installation.factory) as session:
        assert queries.cosignatures_of(session, 2) == []


def test_a_cosignature_of_the_future_or_of_another_witness_is_not_stored(
    installation, witnesses, tmp_path
):
    endpoints, _ = witnesses
    installation.grow(2)
    early = collect(installation.factory, endpoints[:1], at=AT - timedelta(hours=1))
    assert [outcome.code for outcome in early] == ["witness.clock"]
    swapped = WitnessEndpoint(key=endpoints[0].key, url=endpoints[1].url)
    assert ask(installation, [swapped]) == ["witness.answer"]


def test_stored_cosignatures_are_never_changed(installation, witnesses):
    endpoints, _ = witnesses
    installation.grow(1)
    ask(installation, endpoints)
    for statement in (update(CosignatureRow).values(line="x"), delete(CosignatureRow)):
        with pytest.raises(IntegrityError), installation.factory.begin() as session:
            session.execute(statement)


def test_a_file_names_the_witnesses_and_the_policy(installation, witnesses, tmp_path):
    endpoints, _ = witnesses
    listed = [{"key": one.key.text(), "url": one.url} for one in endpoints]
    path = tmp_path / "witnesses.json"
    good = {"v": "fuqi/witnesses/v1", "k": 2, "witnesses": listed}
    path.write_text(json.dumps(good))
    policy, found = read_witnesses(path)
    assert (policy.k, list(found)) == (2, endpoints)
    for change in (
        {"v": "fuqi/witnesses/v2"},
        {"k": 4},
        {"witnesses": listed + listed[:1]},
        {"witnesses": [{**listed[0], "url": "ftp://x"}], "k": 1},
        {"witnesses": [{**listed[0], "key": installation.signer.verifier.text()}], "k": 1},
        {"witnesses": None},
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(InputError) as caught:
            read_witnesses(path)
        assert caught.value.error_code == "witness.file"
