"""Contract acts through the lane, on the embedded chain and on anvil: once each, whatever dies in between."""

import itertools
import json
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from contracts import acts_abi, seals_abi
from contracts.rounds_tree import Answer, RoundData, make_instance, posted_plan
from ledger import acts_calls, store
from ledger.acts import ActsLane
from ledger.acts_calls import Bench
from ledger.acts_outbox import NewAct, queue
from ledger.chain_key import OperatorKey
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    FuqiError,
    InputError,
    LimitError,
    UnavailableError,
)
from ledger.core.ids import new_id
from ledger.embedded_chain import EmbeddedChain
from ledger.log import NewEntry, StoredCheckpoints, record, sequence
from ledger.note import NoteSigner
from ledger.queries import acts as queries
from ledger.submitter import StepAction, Submitter
from ledger.tables.acts import ActTxRow, ChainActRow, ChainContractRow
from ledger.tables.log import EntryRow
from ledger.vault import FileKeyProvider, Vault
from ledger.web3_chain import Web3Chain

ROOT = Path(__file__).parents[2]
ANVIL = ROOT / "node_modules" / ".bin" / "anvil"
AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
# The first account of anvil's public test mnemonic: money on no chain but a test node.
RICH = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
SOLVED = make_instance(supplies=[5, 4], demands=[3, 6], weights=[[4, 2], [1, 3]])
ANSWER = Answer(flows=((0, 0, 3), (0, 1, 2), (1, 1, 4)), row_prices=(2, 3), column_prices=(2, 0))


@dataclass
class World:
    """One installation: database, log, chain, and a lane that can be thrown away and made again."""

    chain: object
    sessions: object
    vault: Vault
    note: NoteSigner
    relayer: OperatorKey
    signer: OperatorKey
    # A node has the time of the machine, and signatures of the installation end after a day.
    now: list = field(default_factory=lambda: [datetime.now(UTC)])
    bench: Bench | None = None
    options: dict = field(default_factory=dict)

    def clock(self):
        return self.now[0]

    def lane(self, chain=None, sessions=None):
        return ActsLane(
            sessions or self.sessions,
            self.vault,
            chain or self.chain,
            self.relayer,
            self.signer,
            self.clock,
            bench=self.bench,
            **self.options,
        )

    def anchor(self):
        """Everything journaled comes under the chain's head."""
        with store.transaction(self.sessions) as session:
            sequence(session, self.note, at=self.now[0])
        submitter = Submitter(self.sessions, self.chain, StoredCheckpoints(), self.clock)
        for _ in range(60):
            if submitter.step().action is StepAction.IDLE:
                return
            self.advance()
        raise AssertionError("never anchored")

    def advance(self):
        """On a node, make blocks so that what is mined becomes final."""
        if isinstance(self.chain, Web3Chain):
            self.chain._ask("anvil_mine", "0x3")

    def put(self, contract, call, payload, **more):
        act = NewAct(
            id=new_id("act", at=AT),
            contract=contract,
            call=call,
            subject=new_id("rnd", at=AT),
            payload=payload,
            actor="system",
            **more,
        )
        with store.transaction(self.sessions) as session:
            queue(session, act, at=self.now[0])
        return act.id

    def row(self, act_id):
        with store.transaction(self.sessions) as session:
            return session.get_one(ChainActRow, act_id)

    def rows(self, table):
        with store.transaction(self.sessions) as session:
            return session.scalars(select(table)).all()

    def run(self, act_id, lane=None):
        """Step until the act is decided."""
        lane = lane or self.lane()
        for _ in range(120):
            lane.step()
            row = self.row(act_id)
            if row.state in ("final", "refused"):
                return row
            self.advance()
        raise AssertionError(f"never decided: {self.row(act_id).state}")

    def ask(self, contract, data):
        with store.transaction(self.sessions) as session:
            row = queries.contracts_on(session, self.chain.info().chain_id)[contract]
        return self.chain.ask(bytes.fromhex(row.address[2:]), data).data

    def entry(self, row):
        with store.transaction(self.sessions) as session:
            found = session.get_one(EntryRow, row.entry_id)
            return found.type, self.vault.get(session, found.id).body


def ticking():
    seconds = itertools.count(int(time.time()))
    return lambda: float(next(seconds))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("acts") / "t.sqlite3"
    store.migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def anvil_url():
    if shutil.which("node") is None or not ANVIL.exists():
        pytest.skip("anvil is not installed: run `make setup-test`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [ANVIL, "--host", "127.0.0.1", "--port", str(port), "--silent"]
    command += ["--hardfork", "osaka", "--slots-in-an-epoch", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def make_world(chain, template, tmp_path):
    path = tmp_path / "fuqi.sqlite3"
    shutil.copy(template, path)
    engine = store.make_engine(f"sqlite:///{path}")
    world = World(
        chain=chain,
        sessions=store.sessions(engine),
        vault=Vault(FileKeyProvider(tmp_path / "vault.key")),
        note=NoteSigner(tmp_path / "log.key", name="acts.example.invalid/log"),
        relayer=OperatorKey.create(),
        signer=OperatorKey.create(),
    )
    if isinstance(chain, Web3Chain):
        chain._ask("anvil_setBalance", world.relayer.address_hex, hex(10**20))
    with store.transaction(world.sessions) as session:
        record(session, world.vault, an_entry("hospital.linked"))
    world.anchor()
    return world, engine


def an_entry(kind, body=None):
    return NewEntry(
        id=new_id("ent", at=AT),
        type=kind,
        at=AT,
        subject=new_id("hos", at=AT),
        actor="system",
        body=body or {"invented": True},
    )


@pytest.fixture
def embedded(tmp_path, template):
    chain = EmbeddedChain(tmp_path / "chain", clock=ticking())
    world, engine = make_world(chain, template, tmp_path)
    yield world
    engine.dispose()
    chain.close()


@pytest.fixture(params=["embedded", "anvil"])
def world(request, tmp_path, template):
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
        return
    url = request.getfixturevalue("anvil_url")
    key = OperatorKey.create()
    rich = Web3Chain(url, key=OperatorKey(RICH))
    rich._ask("anvil_setBalance", key.address_hex, hex(10**20))
    made, engine = make_world(Web3Chain(url, key=key), template, tmp_path)
    yield made
    engine.dispose()


def opening_payload(seed=1):
    return {
        "inputs_root": RoundData(SOLVED).inputs_root().hex(),
        "policy_hash": f"{seed:064x}",
    }


def round_of(world, payload):
    return acts_abi.round_id(
        acts_abi.k1_key_hash(world.signer.address),
        inputs_root=bytes.fromhex(payload["inputs_root"]),
        policy_hash=bytes.fromhex(payload["policy_hash"]),
    )


def stored_round(world, payload):
    data = acts_abi.encode_call("roundAt", round_of(world, payload))
    return acts_abi.decode_round(world.ask("Rounds", data))


def test_a_round_is_opened_then_posted_and_the_log_says_both(world):
    payload = opening_payload()
    opened = world.put("Rounds", "open", payload)
    plan = RoundData(SOLVED).opening(posted_plan(SOLVED, ANSWER))
    posted = world.put(
        "Rounds",
        "post",
        payload | {"opening": acts_calls.opening_json(plan), "objective": "28", "attempt": 0},
        after=opened,
    )
    row = world.run(posted)
    assert (world.row(opened).state, row.state, row.reason) == ("final", "final", None)
    held = stored_round(world, payload)
    assert (held.state, held.objective) == (acts_abi.RoundState.POSTED, 28)
    assert held.plan_root == plan.plan_root
    kind, body = world.entry(row)
    assert kind == "act.confirmed"
    assert (body["tx_hash"], body["act"], body["call"]) == (row.tx_hash, posted, "post")
    assert body["payload"]["objective"] == "28"


def test_a_small_round_is_proven_on_the_chain(world):
    payload = opening_payload(seed=2)
    world.put("Rounds", "open", payload)
    proof = {
        "instance": {"supplies": [5, 4], "demands": [3, 6], "weights": [[4, 2], [1, 3]]},
        "answer": {
            "flows": [[0, 0, "3"], [0, 1, "2"], [1, 1, "4"]],
            "row_prices": ["2", "3"],
            "column_prices": ["2", "0"],
        },
    }
    row = world.run(world.put("Rounds", "prove", payload | proof))
    assert row.state == "final", row.reason
    assert stored_round(world, payload).state is acts_abi.RoundState.PROVEN


def test_what_the_contract_refuses_is_recorded_with_its_own_words_and_nothing_is_sent(world):
    payload = opening_payload(seed=3)
    opened = world.put("Rounds", "open", payload)
    world.run(opened)
    before = len(world.rows(ActTxRow))
    plan = RoundData(SOLVED).opening(posted_plan(SOLVED, ANSWER))
    wrong = payload | {
        "opening": acts_calls.opening_json(plan),
        "objective": "28",
        "attempt": 7,
    }
    row = world.run(world.put("Rounds", "post", wrong))
    assert (row.state, row.reason) == ("refused", "RoundsAttempt(7, 0)")
    assert len(world.rows(ActTxRow)) == before
    kind, body = world.entry(row)
    assert (kind, body["reason"]) == ("act.refused", "RoundsAttempt(7, 0)")


def test_what_waits_for_a_refused_act_is_refused_too(embedded):
    bad = embedded.put("Seals", "seal", {"data": seals_abi.SEAL.hex() + "00" * 32})
    after = embedded.put("Rounds", "open", opening_payload(), after=bad)
    row = embedded.run(after)
    assert embedded.row(bad).state == "refused"
    assert (row.state, row.reason) == ("refused", "acts.before_refused")


def test_an_act_that_has_happened_already_is_final_without_a_transaction(world):
    payload = opening_payload(seed=4)
    first = world.run(world.put("Rounds", "open", payload))
    before = len(world.rows(ActTxRow))
    again = world.run(world.put("Rounds", "open", payload))
    assert first.tx_hash is not None
    assert (again.state, again.tx_hash) == ("final", None)
    assert len(world.rows(ActTxRow)) == before


def test_a_signers_key_is_registered_and_revoked(world):
    word = "ab" * 32
    registration = {
        "key_hash": word, "valid_from": 0, "valid_to": 2**40, "assurance": 3, "identity": "cd" * 32,
    }  # fmt: skip
    assert world.run(world.put("SignerRegistry", "register", registration)).state == "final"
    key = world.ask("SignerRegistry", seals_abi.KEY_OF + bytes.fromhex(word))
    assert key[127] == 3
    revoke = world.put("SignerRegistry", "revoke", {"key_hash": word, "reason": 1})
    assert world.run(revoke).state == "final"
    assert any(world.ask("SignerRegistry", seals_abi.KEY_OF + bytes.fromhex(word))[64:96])


def test_a_lot_is_minted_and_moved_by_its_holders_signatures(world):
    holder = OperatorKey.create()
    bench = acts_abi.k1_key_hash(world.signer.address)
    world.bench = Bench((bench,), 1, (bench,), 1, 86_400)
    doc = b"\x07" * 32
    lot = acts_abi.lot_id(holder.address, doc_ref=doc)
    # The first act of a contract deploys it: the holder can name it only when it stands.
    nothing = world.run(world.put("SupplyLots", "mint", {"data": "00" * 4}))
    assert nothing.state == "refused"
    with store.transaction(world.sessions) as session:
        row = queries.contracts_on(session, world.chain.info().chain_id)["SupplyLots"]
    site = acts_abi.Contract(world.chain.info().chain_id, bytes.fromhex(row.address[2:]))
    signature = holder.sign_digest(
        acts_abi.lot_mint_digest(site, lot=lot, quantity=100, doc_ref=doc)
    )
    mint = acts_abi.encode_lot_mint(lot=lot, quantity=100, doc_ref=doc, signature=signature)
    assert world.run(world.put("SupplyLots", "mint", {"data": mint.hex()})).state == "final"
    target = b"\x11" * 20
    move = acts_abi.encode_lot_move(
        lot=lot,
        target=target,
        quantity=30,
        turn=0,
        signature=holder.sign_digest(
            acts_abi.lot_move_digest(site, lot=lot, target=target, quantity=30, turn=0)
        ),
    )
    assert world.run(world.put("SupplyLots", "move", {"data": move.hex()})).state == "final"
    position = acts_abi.decode_position(
        world.ask("SupplyLots", acts_abi.encode_call("positionOf", lot, target))
    )
    assert position.quantity == 30
    again = world.run(world.put("SupplyLots", "move", {"data": move.hex()}))
    assert (again.state, again.reason) == ("refused", "SupplyLotsTurn(0, 1)")


def test_without_a_bench_nothing_that_needs_rulings_is_done(embedded):
    row = embedded.run(embedded.put("SupplyLots", "mint", {"data": "00"}))
    assert (row.state, row.reason) == ("refused", "acts.no_bench")
    assert {one.name for one in embedded.rows(ChainContractRow)} == set()


@pytest.mark.parametrize(
    ("contract", "call", "payload", "error", "code"),
    [
        ("Rounds", "steal", {}, InputError, "acts.call_unknown"),
        ("EvidenceLog", "append", {}, InputError, "acts.call_unknown"),
        ("Seals", "seal", {"data": "00" * 40_000}, LimitError, "acts.payload_size"),
    ],
)
def test_what_is_no_act_of_ours_is_not_queued(embedded, contract, call, payload, error, code):
    with pytest.raises(error) as caught:
        embedded.put(contract, call, payload)
    assert caught.value.error_code == code


def test_a_malformed_payload_is_refused_with_our_code(embedded):
    row = embedded.run(embedded.put("Rounds", "open", {"inputs_root": "00"}))
    assert (row.state, row.reason) == ("refused", "acts.payload")


def test_the_same_act_id_is_the_same_act_or_names_the_field(embedded):
    act = NewAct("act_" + "0" * 26, "Rounds", "open", "rnd_x", opening_payload(), "system")
    other = NewAct("act_" + "0" * 26, "Rounds", "open", "rnd_x", opening_payload(9), "system")
    with store.transaction(embedded.sessions) as session:
        assert queue(session, act, at=AT).id == queue(session, act, at=AT).id
        with pytest.raises(ExistsWithDifferentFieldError) as caught:
            queue(session, other, at=AT)
    assert caught.value.context["field"] == "payload"


class Faulty:
    """The chain, but that the n-th question fails: before it arrives, or after it was carried out."""

    def __init__(self, chain, at, *, lost_reply):
        self._chain, self._at, self._lost = chain, at, lost_reply
        self.count = 0

    def __getattr__(self, name):
        call = getattr(self._chain, name)

        def asked(*arguments, **named):
            self.count += 1
            if self.count != self._at:
                return call(*arguments, **named)
            if self._lost:
                call(*arguments, **named)
            raise UnavailableError("invented outage", code="chain.unreachable")

        return asked


def count_questions(world):
    """How many questions one whole act asks; each of them may fail."""
    counting = Faulty(world.chain, 0, lost_reply=False)
    world.run(world.put("Rounds", "open", opening_payload(seed=50)), lane=world.lane(counting))
    return counting.count


@pytest.mark.parametrize("lost_reply", [False, True], ids=["never-asked", "reply-lost"])
def test_an_outage_and_a_restart_at_any_question_lose_and_double_nothing(embedded, lost_reply):
    questions = count_questions(embedded)
    assert questions > 5
    for at in range(1, questions + 1):
        payload = opening_payload(seed=100 + at)
        act = embedded.put("Rounds", "open", payload)
        lane = embedded.lane(Faulty(embedded.chain, at, lost_reply=lost_reply))
        try:
            row = embedded.run(act, lane=lane)
        except UnavailableError:
            # The process is gone; a new one knows only the database and the chain.
            row = embedded.run(act)
        assert row.state == "final", row.reason
        done = [one for one in embedded.rows(ActTxRow) if one.act_id == act]
        assert [one.state for one in done].count("mined") == 1
        assert stored_round(embedded, payload).state is acts_abi.RoundState.OPEN
    nonces = sorted({one.nonce for one in embedded.rows(ActTxRow)})
    assert nonces == list(range(len(nonces)))
    assert embedded.chain.nonce_of(embedded.relayer.address) == len(nonces)


class DyingSessions:
    """A session factory whose n-th commit never happens: the process was killed before it."""

    def __init__(self, sessions, at):
        self._sessions, self._at, self.count = sessions, at, 0

    def begin(self):
        return _Dying(self, self._sessions.begin())


class _Dying:
    def __init__(self, owner, inner):
        self._owner, self._inner = owner, inner

    def __enter__(self):
        return self._inner.__enter__()

    def __exit__(self, *exc):
        self._owner.count += 1
        if self._owner.count == self._owner._at:
            killed = KeyboardInterrupt("killed")
            self._inner.__exit__(KeyboardInterrupt, killed, None)
            raise killed
        return self._inner.__exit__(*exc)


def test_a_kill_before_any_commit_leaves_what_the_next_process_finishes(embedded):
    counting = DyingSessions(embedded.sessions, 0)
    embedded.run(
        embedded.put("Rounds", "open", opening_payload(seed=60)),
        lane=embedded.lane(sessions=counting),
    )
    assert counting.count > 5
    for at in range(1, counting.count + 1):
        payload = opening_payload(seed=200 + at)
        act = embedded.put("Rounds", "open", payload)
        lane = embedded.lane(sessions=DyingSessions(embedded.sessions, at))
        try:
            row = embedded.run(act, lane=lane)
        except KeyboardInterrupt:
            row = embedded.run(act)
        assert row.state == "final", row.reason
        confirmed = [
            one
            for one in embedded.rows(EntryRow)
            if (one.type, one.subject) == ("act.confirmed", act)
        ]
        assert len(confirmed) == 1


def test_a_stuck_transaction_is_replaced_up_to_the_ceiling_and_never_above(
    anvil_url, template, tmp_path
):
    key = OperatorKey.create()
    chain = Web3Chain(anvil_url, key=key)
    chain._ask("anvil_setBalance", key.address_hex, hex(10**20))
    world, engine = make_world(chain, template, tmp_path)
    world.run(world.put("Rounds", "open", opening_payload(seed=70)))
    try:
        chain._ask("evm_setAutomine", False)
        ceiling = chain.fees().max_fee * 3 // 2
        world.options = {"replace_after": timedelta(seconds=10), "fee_ceiling_wei": ceiling}
        act = world.put("Rounds", "open", opening_payload(seed=71))
        lane, actions = world.lane(), []
        for _ in range(14):
            actions.append(lane.step().action)
            world.now[0] += timedelta(seconds=6)
        mine = sorted(
            (one for one in world.rows(ActTxRow) if one.act_id == act), key=lambda one: one.attempt
        )
        fees = [int(one.max_fee) for one in mine]
        assert len(fees) >= 2
        assert len({one.nonce for one in mine}) == 1
        assert all(10 * new >= 11 * old for old, new in itertools.pairwise(fees))
        assert max(fees) <= ceiling
        assert StepAction.CAPPED in actions
        chain._ask("evm_setAutomine", True)
        row = world.run(act)
        assert row.state == "final"
        states = sorted(one.state for one in world.rows(ActTxRow) if one.act_id == act)
        assert states.count("mined") == 1
    finally:
        chain._ask("evm_setAutomine", True)
        engine.dispose()


def test_a_reorganisation_takes_an_act_back_and_it_is_done_again(anvil_url, template, tmp_path):
    key = OperatorKey.create()
    chain = Web3Chain(anvil_url, key=key)
    chain._ask("anvil_setBalance", key.address_hex, hex(10**20))
    world, engine = make_world(chain, template, tmp_path)
    try:
        world.run(world.put("Rounds", "open", opening_payload(seed=80)))
        payload = opening_payload(seed=81)
        act = world.put("Rounds", "open", payload)
        snapshot = chain._ask("evm_snapshot")
        lane = world.lane()
        for _ in range(5):
            lane.step()
        assert world.row(act).state == "mined"
        chain._ask("evm_revert", snapshot)
        actions = [lane.step().action]
        assert actions == [StepAction.LOST]
        assert (world.row(act).state, world.row(act).block_hash) == ("sent", None)
        row = world.run(act, lane=lane)
        assert row.state == "final"
        assert stored_round(world, payload).state is acts_abi.RoundState.OPEN
    finally:
        engine.dispose()


def test_a_relayer_without_money_says_so_and_loses_nothing(anvil_url, template, tmp_path):
    key = OperatorKey.create()
    chain = Web3Chain(anvil_url, key=key)
    chain._ask("anvil_setBalance", key.address_hex, hex(10**20))
    world, engine = make_world(chain, template, tmp_path)
    try:
        chain._ask("anvil_setBalance", world.relayer.address_hex, "0x0")
        act = world.put("Rounds", "open", opening_payload(seed=90))
        with pytest.raises(ConflictError) as caught:
            world.lane().step()
        assert caught.value.error_code == "chain.insufficient_funds"
        assert world.row(act).state == "queued"
        chain._ask("anvil_setBalance", world.relayer.address_hex, hex(10**20))
        assert world.run(act).state == "final"
    finally:
        engine.dispose()


def test_the_relayer_is_not_the_writer_of_the_log_and_leaves_its_nonces_alone(embedded):
    before = embedded.chain.nonce()
    embedded.run(embedded.put("Rounds", "open", opening_payload()))
    # One transfer of money, once.
    assert embedded.chain.nonce() == before + 1
    embedded.run(embedded.put("Rounds", "open", opening_payload(seed=2)))
    assert embedded.chain.nonce() == before + 1
    with store.transaction(embedded.sessions) as session:
        record(session, embedded.vault, an_entry("offer.linked"))
    embedded.anchor()


def test_a_stranger_may_still_not_write_to_the_embedded_chain(embedded):
    stranger = OperatorKey.create()
    signed = stranger.sign(
        chain_id=embedded.chain.info().chain_id,
        nonce=0,
        gas=21_000,
        fees=embedded.chain.fees(),
        to=stranger.address,
        data=b"",
    )
    with pytest.raises(FuqiError) as caught:
        embedded.chain.send(signed.raw)
    assert caught.value.error_code == "chain.refused"


def test_payloads_are_kept_as_they_were_given(embedded):
    payload = opening_payload(seed=5)
    act = embedded.put("Rounds", "open", payload)
    assert json.loads(embedded.row(act).payload) == payload
