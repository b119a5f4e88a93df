"""The submitter on a real network of five validators whose blocks come by the clock, while things go wrong.

Every entry that was acknowledged must end as exactly one leaf with a receipt that a stranger finds final.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from api.commands import receipt as receipt_commands
from api.commands import trust as trust_commands
from ledger import log, store
from ledger.chain_key import OperatorKey
from ledger.core.errors import UnavailableError
from ledger.core.ids import new_id
from ledger.ledger_trust import ChainPin, LedgerTrust
from ledger.note import NoteSigner
from ledger.receipt_checking import verify_receipt
from ledger.receipts import build_receipt
from ledger.submitter import StepAction, Submitter
from ledger.tables.anchors import AnchorRow
from ledger.tables.log import EntryRow
from ledger.validator_seals import ValidatorPolicy
from ledger.vault import FileKeyProvider, Vault
from ledger.web3_chain import Web3Chain

CONFIRMATIONS = 2
"""Of five validators any three blocks in a row are sealed by three: enough for the policy below."""
WITHIN_SECONDS = 120


@pytest.fixture(scope="module")
def network(clocked_network):
    return clocked_network


class Installation:
    """Log, database and submitter of one operator who asks one node of the network."""

    def __init__(self, folder, network, node):
        self.folder = folder  # laid out as an installation's home
        (folder / "keys").mkdir()
        url = f"sqlite:///{folder}/fuqi.sqlite3"
        store.migrate(url)
        self.network = network
        self.engine = store.make_engine(url)
        self.factory = store.sessions(self.engine)
        self.vault = Vault(FileKeyProvider(folder / "keys" / "vault.key"))
        self.signer = NoteSigner(folder / "keys" / "log.key", name="log.example.invalid/fuqi")
        self.key = network.funded_key()
        self.acknowledged = []
        self.actions = []
        self.ask(node)

    def ask(self, node):
        """Follow this node from now on, as after a restart with another address."""
        self.chain = Web3Chain(
            node.url, key=self.key, confirmations=CONFIRMATIONS, timeout_seconds=2
        )
        self.submitter = Submitter(
            self.factory,
            self.chain,
            log.StoredCheckpoints(),
            lambda: datetime.now(UTC),
            replace_after=timedelta(seconds=15),
        )

    def acknowledge(self, count):
        """Journal entries and put them into the tree; from here on they must not be lost."""
        for _ in range(count):
            at = datetime.now(UTC).replace(microsecond=0)
            entry = log.NewEntry(
                id=new_id("ent", at=at),
                type="document.opened",
                at=at,
                subject="agr_one",
                actor="acc_one",
                body={"note": "invented"},
            )
            with store.transaction(self.factory) as session:
                self.acknowledged.append(log.record(session, self.vault, entry).id)
        with store.transaction(self.factory) as session:
            log.sequence(session, self.signer, at=datetime.now(UTC).replace(microsecond=0))

    def step(self):
        """One step, as the worker does it: what is not available now is asked again later."""
        try:
            action = self.submitter.step().action
        except UnavailableError as exc:
            action = exc.error_code
        self.actions.append(action)
        return action

    def run_until(self, wanted):
        """Step until `wanted` comes out; returns every outcome on the way."""
        began, seen = time.monotonic(), []
        while wanted not in seen:
            assert time.monotonic() - began < WITHIN_SECONDS, f"never {wanted}: {seen[-20:]}"
            seen.append(self.step())
            time.sleep(0.1)
        return seen

    def run_until_settled(self):
        """Step until everything acknowledged is under a final anchor."""
        began = time.monotonic()
        while not self.settled():
            assert time.monotonic() - began < WITHIN_SECONDS, f"stuck: {self.actions[-20:]}"
            self.step()
            time.sleep(0.1)

    def anchors(self):
        with self.factory() as session:
            return [(row.checkpoint_size, row.state) for row in session.query(AnchorRow)]

    def settled(self):
        return (len(self.acknowledged), "final") in self.anchors()

    def trust(self, *, k=3, validators=None):
        deployment = self.chain.deploy()
        pin = ChainPin(
            chain_id=deployment.chain_id,
            contract=deployment.address,
            code_hash=deployment.code_hash,
            kind="json-rpc",
            label_en="five validators on one machine",
            label_zh="单机五节点",
            validators=ValidatorPolicy.of(k, validators or self.network.validators),
        )
        return LedgerTrust(self.signer.verifier, (pin,))

    def receipts(self):
        with self.factory() as session:
            return [
                build_receipt(session, session.get(EntryRow, name), verifier=self.signer.verifier)
                for name in self.acknowledged
            ]

    def require_exactly_one_leaf_and_a_final_receipt_for_each(self):
        trust, receipts = self.trust(), json.loads(json.dumps(self.receipts()))
        assert sorted(receipt["log"]["index"] for receipt in receipts) == list(
            range(len(self.acknowledged))
        )
        for receipt in receipts:
            report = verify_receipt(receipt, trust=trust)
            assert report.verdict.value == "passed", report
            found = {check.code: check for check in report.checks}["receipt.finality"]
            assert found.details["proof"] == "clique"
            assert len(found.details["validators"]) >= 3
        # Other eyes: another validator's node tells the same head.
        other = Web3Chain(self.network.nodes[2].url, key=self.key, confirmations=CONFIRMATIONS)
        other.deploy(self.chain.deploy())
        assert other.head(final=True).size == len(self.acknowledged)

    def finality(self, receipt, **named):
        report = verify_receipt(receipt, trust=self.trust(**named))
        return {check.code: check.verdict.value for check in report.checks}["receipt.finality"]


@pytest.fixture
def installation(network, tmp_path):
    made = Installation(tmp_path, network, network.nodes[0])
    yield made
    made.engine.dispose()


def test_the_network_goes_on_while_a_validator_is_stopped(installation, network):
    stopped = network.nodes[3]
    network.stop(stopped)
    try:
        installation.acknowledge(2)
        installation.run_until_settled()
        installation.require_exactly_one_leaf_and_a_final_receipt_for_each()
        # Blocks come by the clock: sent is not mined, and mined is not final.
        assert StepAction.MINED in installation.actions
        assert StepAction.WAITING in installation.actions
        # Three validators sealed. Four were not there to, others than these do not count, and a forgery fails.
        receipt = json.loads(json.dumps(installation.receipts()[0]))
        assert installation.finality(receipt, k=4) == "indeterminate"
        others = ["0x" + f"{index:040x}" for index in range(1, 6)]
        assert installation.finality(receipt, validators=others) == "indeterminate"
        receipt["anchor"]["evidence"]["seals"]["signers"].reverse()
        assert installation.finality(receipt) == "failed"
    finally:
        network.start(stopped)
    network.agree()
    assert stopped.height() > 0


def command(app, *arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_exported_trust_file_is_enough_to_find_receipts_final_offline(
    installation, network, monkeypatch
):
    installation.acknowledge(2)
    installation.run_until_settled()
    folder = installation.folder
    monkeypatch.setenv("FUQI_HOME", str(folder))
    monkeypatch.setenv("FUQI_LOG_ORIGIN", "log.example.invalid/fuqi")
    exported = command(trust_commands.app, "export", folder / "trust.json")
    assert exported.exit_code == 0, exported.output
    trust = json.loads((folder / "trust.json").read_text("utf-8"))
    (pin,) = trust["ledger"]["chains"]
    assert pin["validators"] == {"k": 3, "addresses": sorted(network.validators)}
    assert "finality" not in pin
    for index, receipt in enumerate(installation.receipts()):
        file = folder / f"receipt-{index}.json"
        file.write_text(json.dumps(receipt), "utf-8")
        done = command(
            receipt_commands.app, "verify", file, "--trust", folder / "trust.json", "--json"
        )
        report = json.loads(done.output)
        assert (done.exit_code, report["verdict"]) == (0, "passed"), done.output
        (found,) = (one for one in report["checks"] if one["code"] == "receipt.finality")
        assert found["details"]["proof"] == "clique"
    # Other validators than these make it indeterminate, and so does nobody.
    for validators in ({"k": 1, "addresses": ["0x" + "11" * 20]}, None):
        pin["validators"] = validators
        (folder / "other.json").write_text(json.dumps(trust), "utf-8")
        done = command(receipt_commands.app, "verify", file, "--trust", folder / "other.json")
        assert done.exit_code == 3, done.output


def test_a_node_that_hangs_or_is_gone_is_unreachable_and_nothing_is_lost(installation, network):
    node = network.nodes[0]
    installation.acknowledge(1)
    installation.run_until(StepAction.SENT)
    network.freeze(node)
    try:
        installation.acknowledge(2)
        assert installation.step() == "chain.unreachable"
    finally:
        network.thaw(node)
    network.stop(node)
    try:
        assert installation.step() == "chain.unreachable"
        # Another node of the same network will do, from the head on the chain.
        installation.acknowledge(1)
        installation.ask(network.nodes[1])
        installation.run_until_settled()
        installation.require_exactly_one_leaf_and_a_final_receipt_for_each()
    finally:
        network.start(node)
    network.agree()
    installation.ask(node)
    installation.acknowledge(1)
    installation.run_until_settled()
    installation.require_exactly_one_leaf_and_a_final_receipt_for_each()


def test_a_node_cut_off_from_the_others_has_an_old_head_and_catches_up(installation, network):
    node = network.nodes[0]
    node.seal(on=False)
    try:
        installation.acknowledge(1)
        installation.run_until(StepAction.SIGNED)
        network.cut([node])
        stale = node.height()
        installation.acknowledge(2)
        for _ in range(8):
            installation.step()
            time.sleep(0.25)
        # The node answers, so nothing is unreachable; its head stands still and nothing becomes final.
        assert not installation.settled()
        assert node.height() == stale
        assert max(other.height() for other in network.nodes[1:]) > stale
        network.join()
        installation.run_until_settled()
    finally:
        network.join()
        node.seal()
    installation.require_exactly_one_leaf_and_a_final_receipt_for_each()


def test_a_block_that_a_reorganisation_removes_is_given_up_and_its_entries_end_final(
    installation, network
):
    node = network.nodes[0]
    # A validator that has not sealed for a while may seal one block of its own when it is alone.
    node.seal(on=False)
    installation.acknowledge(2)
    installation.run_until_settled()
    network.cut([node])
    installation.acknowledge(3)
    installation.run_until(StepAction.SENT)
    node.seal()
    installation.run_until(StepAction.MINED)
    with installation.factory() as session:
        removed = session.query(AnchorRow).filter_by(state="mined").one()
        number, block_hash = removed.block_number, removed.block_hash
    assert node.block(number)["hash"] == block_hash
    network.wait_for_height(number + 1, nodes=network.nodes[1:])
    assert network.nodes[1].block(number)["hash"] != block_hash
    network.join()
    network.agree()
    assert node.block(number)["hash"] != block_hash
    assert StepAction.LOST in installation.run_until(StepAction.LOST)
    installation.acknowledge(1)
    installation.run_until_settled()
    installation.require_exactly_one_leaf_and_a_final_receipt_for_each()
    states = [state for _, state in installation.anchors()]
    assert states.count("lost") == 1


def test_a_key_without_money_is_told_so(network):
    poor = Web3Chain(network.nodes[0].url, key=OperatorKey.create())
    with pytest.raises(Exception, match="no money") as caught:
        poor.deploy()
    assert caught.value.error_code == "chain.insufficient_funds"
