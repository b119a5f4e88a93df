"""Real rounds on the chain: opened before they are solved, proven or posted after, struck if wrong."""

import itertools
import json
import shutil
import socket
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from api import round_table
from api.callers import OPERATOR
from api.commands import round as command
from api.compose import open_ports
from api.flows import round_acts
from api.flows.round_acts import commit_round, expect_record, record_rounds
from api.flows.round_records import Decided, opened_row, record_closed, record_opened
from api.round_table import Result, claimed, recorded
from api.settings import Settings
from api.views.round_chain import chain_document, chain_facts
from contracts import acts_abi
from contracts.rounds_sparse import SparsePlan
from contracts.rounds_tree import Answer
from ledger.acts import ActsLane
from ledger.acts_calls import opening_json
from ledger.acts_outbox import NewAct, queue
from ledger.chain_key import OperatorKey
from ledger.core.ids import new_id
from ledger.embedded_chain import EmbeddedChain
from ledger.log import NewEntry, StoredCheckpoints, record, sequence
from ledger.queries.round_chain import alarmed_rounds
from ledger.store import transaction
from ledger.submitter import StepAction, Submitter
from ledger.tables.acts import ChainActRow
from ledger.tables.round_chain import RoundChainRow
from ledger.web3_chain import Web3Chain
from matching import transport
from matching.candidates import judge_pairs
from matching.check import check_plan
from matching.explain import explain
from matching.shared_capacity import solve_limited
from matching.testing import random_limited_problem, random_problem

ROOT = Path(__file__).parents[2]
ANVIL = ROOT / "node_modules" / ".bin" / "anvil"
AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
# The first account of anvil's public test mnemonic: money on no chain but a test node.
RICH = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
GAP_SEED = next(
    f"gap-{n}"
    for n in range(60)
    if solve_limited(random_limited_problem(f"gap-{n}")).certificate.gap is not None
)


class Market:
    """One installation with a chain, whose clock the test turns."""

    def __init__(self, ports, chain, relayer, ahead):
        self.ports, self.chain, self.ahead = ports, chain, ahead
        self.now = datetime.now(UTC)
        self.signer = OperatorKey.create()
        self.lane = ActsLane(
            ports.sessions, ports.vault, chain, relayer, self.signer, lambda: self.now
        )
        with transaction(ports.sessions) as session:
            entry = NewEntry(
                id=new_id("ent", at=AT),
                type="hospital.linked",
                at=AT,
                subject=new_id("hos", at=AT),
                actor="system",
                body={"invented": True},
            )
            record(session, ports.vault, entry)
            sequence(session, ports.log_key, at=self.now)
        submitter = Submitter(ports.sessions, chain, StoredCheckpoints(), lambda: self.now)
        for _ in range(60):
            if submitter.step().action is StepAction.IDLE:
                return
            self.mine()
        raise AssertionError("never anchored")

    def mine(self):
        if isinstance(self.chain, Web3Chain):
            self.chain._ask("anvil_mine", "0x3")

    def later(self, time_):
        self.now += time_
        self.ahead[0] += time_.total_seconds()
        if isinstance(self.chain, Web3Chain):
            self.chain._ask("evm_increaseTime", hex(int(time_.total_seconds())))
            self.mine()

    def open(self, problem):
        with transaction(self.ports.sessions) as session:
            row = opened_row(problem, round_id=problem.id, actor="system", at=self.now)
            session.add(row)
            session.flush()
            record_opened(session, self.ports, row, problem, actor="system", at=self.now)
            expect_record(session, self.ports, row, at=self.now)
        commit_round(self.ports, round_id=problem.id, at=self.now)

    def close(self, problem, *, solution=None):
        judged = judge_pairs(problem)
        found = solution or solve_limited(problem, candidates=judged)
        report = check_plan(problem, found.plan, found.certificate)
        told = explain(problem, found.plan, found.certificate, candidates=judged, classes={})
        with transaction(self.ports.sessions) as session:
            row = session.get_one(round_acts.RoundRow, problem.id)
            decided = Decided(problem, found.plan, found.certificate, report, told)
            record_closed(session, self.ports, row, decided, (), actor="system", at=self.now)
        return found

    def hold(self, seed, **sizes):
        problem = replace(random_problem(seed, **sizes), id=new_id("rnd", at=AT))
        self.open(problem)
        return problem, self.close(problem)

    def row(self, round_id):
        with transaction(self.ports.readers) as session:
            return session.get_one(RoundChainRow, round_id)

    def until(self, round_id, *states):
        for _ in range(150):
            record_rounds(self.ports, self.lane, at=self.now)
            self.lane.step()
            row = self.row(round_id)
            if row.state in states:
                return row
            self.mine()
            self.now += timedelta(seconds=5)
        raise AssertionError(f"still {self.row(round_id).state}")

    def alarm(self, round_id):
        """What pages say; supervisors are alarmed while no result stands."""
        with transaction(self.ports.readers) as session:
            alarmed = {one.round_id for one in alarmed_rounds(session, at=self.now)}
            found = chain_facts(session, round_id).alarm
        assert (round_id in alarmed) == found.startswith(("struck", "refused"))
        return found

    def stored(self, round_id):
        row = self.row(round_id)
        names = {"inputs_root": row.inputs_root, "policy_hash": row.policy_hash}
        name, stored = self.lane.round_on_chain(names)
        assert row.chain_round in (None, name.hex())
        return stored

    def calls(self, round_id):
        with transaction(self.ports.readers) as session:
            query = select(ChainActRow).where(ChainActRow.subject == round_id)
            return [
                (one.call, one.state) for one in session.scalars(query.order_by(ChainActRow.order))
            ]

    def strike(self, problem, found, answer, value):
        """What a stranger with the documents does: finds the fault, builds the call, sends it."""
        again = recorded(problem, judge_pairs(problem), found.plan, found.certificate)
        plan = SparsePlan(again.instance, answer)
        witness = again.round.strike_of(plan, objective=value)
        assert witness is not None
        data = acts_abi.encode_round_strike(
            round_=bytes.fromhex(self.row(problem.id).chain_round),
            opening=again.round.opening(plan),
            witness=witness,
        )
        act = NewAct(
            id=new_id("act", at=AT),
            contract="Rounds",
            call="strike",
            subject=new_id("rnd", at=AT),
            payload={"data": data.hex()},
            actor="system",
        )
        with transaction(self.ports.sessions) as session:
            queue(session, act, at=self.now)
        for _ in range(60):
            self.lane.step()
            self.mine()
            with transaction(self.ports.readers) as session:
                row = session.get_one(ChainActRow, act.id)
            if row.state in ("final", "refused"):
                return row
        raise AssertionError("never decided")


def ticking(ahead):
    """Seconds that go on with every block, and leap with the test."""
    seconds = itertools.count(int(time.time()))
    return lambda: float(next(seconds)) + ahead[0]


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


@pytest.fixture(params=["embedded", "anvil"], scope="module")
def market(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("recorded")
    ports = open_ports(Settings(home=home, demo=True), at=AT)
    relayer, ahead = OperatorKey.create(), [0.0]
    if request.param == "embedded":
        chain = EmbeddedChain(home / "chain", clock=ticking(ahead))
    else:
        url, key = request.getfixturevalue("anvil_url"), OperatorKey.create()
        Web3Chain(url, key=OperatorKey(RICH))._ask("anvil_setBalance", key.address_hex, hex(10**20))
        chain = Web3Chain(url, key=key)
        chain._ask("anvil_setBalance", relayer.address_hex, hex(10**20))
    yield Market(ports, chain, relayer, ahead)
    ports.engine.dispose()
    if isinstance(chain, EmbeddedChain):
        chain.close()


def test_a_small_round_is_proven_by_the_chain_itself(market):
    problem = replace(random_problem("1"), id=new_id("rnd", at=AT))
    market.open(problem)
    before = market.row(problem.id)
    assert (before.state, market.calls(problem.id)) == ("committed", [("open", "queued")])
    found = market.close(problem)
    row = market.until(problem.id, "proven", "refused")
    assert (row.state, row.reason, row.inputs_root) == ("proven", None, before.inputs_root)
    again = recorded(problem, judge_pairs(problem), found.plan, found.certificate)
    stored = market.stored(problem.id)
    assert stored.state is acts_abi.RoundState.PROVEN
    assert (stored.objective, str(stored.objective)) == (again.value, row.objective)
    assert market.calls(problem.id) == [("open", "final"), ("prove", "final")]


def test_a_large_round_is_posted_and_final_after_its_day(market):
    problem, found = market.hold("2", needs=60, lots=60)
    row = market.until(problem.id, "posted", "refused")
    stored = market.stored(problem.id)
    assert stored.state is acts_abi.RoundState.POSTED
    assert stored.plan_root.hex() == row.plan_root
    # The chain's clock and ours differ by some seconds.
    assert abs(row.closes_at - market.now - timedelta(hours=24)) < timedelta(minutes=5)
    # Nothing is sent while it can be struck, and a good result cannot be.
    again = recorded(problem, judge_pairs(problem), found.plan, found.certificate)
    assert again.round.strike_of(again.plan(), objective=again.value) is None
    market.later(timedelta(hours=24, minutes=1))
    assert market.until(problem.id, "final", "refused").state == "final"
    assert market.stored(problem.id).state is acts_abi.RoundState.FINAL
    assert market.calls(problem.id) == [
        ("open", "final"),
        ("post", "final"),
        ("finalise", "final"),
    ]


def test_a_wrong_result_is_struck_and_the_right_one_is_posted_and_stands(market, monkeypatch):
    problem = replace(random_problem("3", needs=60, lots=60), id=new_id("rnd", at=AT))
    market.open(problem)
    found = market.close(problem)
    again = recorded(problem, judge_pairs(problem), found.plan, found.certificate)
    (first, *rest) = again.answer.flows
    # One piece less than the best, and said to be best.
    less = ((first[0], first[1], first[2] - 1),) if first[2] > 1 else ()
    wrong = Answer((*less, *rest), again.answer.row_prices, again.answer.column_prices)
    plan = SparsePlan(again.instance, wrong)
    opening = again.round.opening(plan)

    def forged(result, names, *, attempt):
        payload = names | {
            "opening": opening_json(opening),
            "objective": str(plan.value),
            "attempt": attempt,
        }
        return Result("post", payload, opening.plan_root.hex())

    with monkeypatch.context() as patch:
        patch.setattr(round_acts, "result_of", forged)
        assert market.until(problem.id, "posted", "refused").state == "posted"
    assert market.strike(problem, found, wrong, plan.value).state == "final"
    assert market.stored(problem.id).state is acts_abi.RoundState.OPEN
    market.now += round_acts.WATCH_EVERY
    row = market.until(problem.id, "struck", "refused")
    assert (row.attempt, row.reason) == (1, "struck: attempt 0")
    assert market.alarm(problem.id) == "struck"
    row = market.until(problem.id, "posted", "refused")
    assert row.plan_root == again.round.opening(again.plan()).plan_root.hex()
    assert market.stored(problem.id).attempt == 1
    assert market.alarm(problem.id) == "restated"
    # The result that stands cannot be struck with the fault of the one before.
    assert market.strike(problem, found, wrong, plan.value).reason.startswith("RoundsPlan")
    market.later(timedelta(hours=24, minutes=1))
    assert market.until(problem.id, "final", "refused").state == "final"


def test_a_round_with_a_gap_keeps_its_commitment_and_claims_nothing(market):
    problem = replace(random_limited_problem(GAP_SEED), id=new_id("rnd", at=AT))
    market.open(problem)
    market.close(problem)
    row = market.until(problem.id, "withheld", "refused")
    assert (row.state, row.reason) == ("withheld", "matching.chain_gap")
    for _ in range(6):
        market.lane.step()
        market.mine()
    assert market.calls(problem.id) == [("open", "final")]
    assert market.stored(problem.id).state is acts_abi.RoundState.OPEN


def test_a_round_too_large_to_write_out_is_committed_to_by_its_digest(market, monkeypatch):
    monkeypatch.setattr(transport, "SIDE_MAX", 3)
    problem, _ = market.hold("5")
    row = market.until(problem.id, "withheld", "refused")
    assert (row.state, row.reason) == ("withheld", "matching.chain_size")
    assert row.inputs_root == problem.digest().hex()
    assert market.calls(problem.id)[0][0] == "open"


def test_a_need_that_nobody_has_goods_for_is_committed_to_and_holds_up_no_other_round(market):
    """The worker once stumbled over it at every step."""
    problem = replace(random_problem("7"), id=new_id("rnd", at=AT), lots=())
    market.open(problem)
    market.close(problem)
    other, _ = market.hold("11")
    row = market.until(problem.id, "withheld", "refused")
    assert (row.state, row.reason, row.due_at) == ("withheld", "matching.chain_empty", None)
    assert row.inputs_root == problem.digest().hex()
    assert market.until(other.id, "proven", "refused").state == "proven"


def test_the_same_result_is_not_posted_twice_after_a_strike(market):
    problem, _ = market.hold("6", needs=60, lots=60)
    market.until(problem.id, "posted", "refused")
    with transaction(market.ports.sessions) as session:
        kept = session.get_one(RoundChainRow, problem.id)
        kept.state, kept.attempt, kept.reason, kept.due_at = (
            "struck",
            1,
            "struck: attempt 0",
            market.now,
        )
    for _ in range(4):
        record_rounds(market.ports, market.lane, at=market.now)
    row = market.row(problem.id)
    assert (row.state, row.due_at) == ("struck", None)
    assert [call for call, _ in market.calls(problem.id)] == ["open", "post"]
    assert market.alarm(problem.id) == "struck_for_good"


def test_recording_again_and_again_queues_nothing_twice(market):
    problem, _ = market.hold("8")
    for _ in range(5):
        record_rounds(market.ports, market.lane, at=market.now)
    commit_round(market.ports, round_id=problem.id, at=market.now)
    assert [call for call, _ in market.calls(problem.id)] == ["open", "prove"]


def test_a_round_is_left_alone_while_it_is_open_and_due_at_once_when_it_closes(market):
    problem = replace(random_problem("10"), id=new_id("rnd", at=AT))
    market.open(problem)
    record_rounds(market.ports, market.lane, at=market.now)
    assert market.row(problem.id).due_at == market.now + round_acts.PENDING
    market.close(problem)
    with transaction(market.ports.sessions) as session:
        round_acts.expect_result(session, problem.id, at=market.now)
    record_rounds(market.ports, market.lane, at=market.now)
    assert market.row(problem.id).state == "proving"
    # Nothing more happens by itself to a round that is proven, and closing it again says nothing.
    market.until(problem.id, "proven")
    with transaction(market.ports.sessions) as session:
        round_acts.expect_result(session, problem.id, at=market.now)
    assert market.row(problem.id).due_at is None


def test_what_goes_on_the_chain_names_nobody(market):
    problem, _ = market.hold("9")
    market.until(problem.id, "proven", "refused")
    with transaction(market.ports.readers) as session:
        rows = session.scalars(select(ChainActRow).where(ChainActRow.subject == problem.id)).all()
        payloads = [json.loads(row.payload) for row in rows]
    text = json.dumps(payloads)
    names = {need.id for need in problem.needs} | {need.hospital for need in problem.needs}
    names |= {lot.id for lot in problem.lots} | {lot.donor for lot in problem.lots}
    assert not [name for name in names if f'"{name}"' in text]


def documents(market, folder, problem, found):
    """The folder that `fuqi round` reads, as the service serves it."""
    folder.mkdir()
    for name, thing in (
        ("problem", problem),
        ("plan", found.plan),
        ("certificate", found.certificate),
    ):
        (folder / f"{name}.json").write_text(
            json.dumps(thing.as_json(), ensure_ascii=False), "utf-8"
        )
    with transaction(market.ports.sessions) as session:
        value = chain_document(session, market.ports, OPERATOR, problem.id, at=market.now)
    (folder / "chain.json").write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return folder


def verified(folder):
    done = CliRunner().invoke(command.app, ["verify", str(folder), "--json"])
    checks = {one["code"]: one for one in json.loads(done.output)["checks"]}
    return checks["round.chain"]["verdict"], checks["round.chain"]["summary_en"]


def test_a_stranger_checks_the_chains_record_offline(market, tmp_path):
    small, solved_small = market.hold("21")
    large, solved_large = market.hold("22", needs=60, lots=60)
    assert verified(documents(market, tmp_path / "none", small, solved_small))[0] == "indeterminate"
    market.until(small.id, "proven", "refused")
    market.until(large.id, "posted", "refused")
    proven = documents(market, tmp_path / "small", small, solved_small)
    assert verified(proven) == (
        "passed",
        "the contract itself has checked this plan and its prices: no better plan exists",
    )
    posted = documents(market, tmp_path / "posted", large, solved_large)
    verdict, text = verified(posted)
    assert (verdict, text.endswith("can still be struck")) == ("indeterminate", True)
    done = CliRunner().invoke(command.app, ["strike", str(posted), "--out", str(tmp_path / "x")])
    assert (done.exit_code, "nothing to strike" in done.output) == (1, True)
    assert not (tmp_path / "x").exists()
    market.later(timedelta(hours=24, minutes=1))
    market.until(large.id, "final", "refused")
    final = documents(market, tmp_path / "final", large, solved_large)
    verdict, text = verified(final)
    assert (verdict, text.endswith("are final")) == ("passed", True)
    done = CliRunner().invoke(command.app, ["strike", str(final), "--out", str(tmp_path / "x")])
    assert (done.exit_code, "round.nothing_posted" in done.output) == (2, True)


def test_a_plan_that_states_another_value_fails_and_is_told_so(market, tmp_path):
    problem, found = market.hold("31")
    market.until(problem.id, "proven", "refused")
    folder = documents(market, tmp_path / "value", problem, found)
    plan = json.loads((folder / "plan.json").read_text("utf-8"))
    plan["objective"]["unserved_by_rank"][0] += 1
    (folder / "plan.json").write_text(json.dumps(plan, ensure_ascii=False), "utf-8")
    verdict, text = verified(folder)
    assert (verdict, "matching.chain_prices" in text) == ("failed", True)


def test_a_record_of_other_inputs_or_another_plan_fails(market, tmp_path):
    problem, found = market.hold("23")
    market.until(problem.id, "proven", "refused")
    folder = documents(market, tmp_path / "a", problem, found)
    record_ = json.loads((folder / "chain.json").read_text("utf-8"))
    for receipt in record_["receipts"]:
        receipt["private"]["body"]["payload"]["inputs_root"] = "00" * 32
    (folder / "chain.json").write_text(json.dumps(record_), "utf-8")
    verdict, text = verified(folder)
    assert (verdict, "other inputs" in text) == ("failed", True)
    # The receipts say so too: the body no longer opens the entry.
    done = CliRunner().invoke(command.app, ["verify", str(folder), "--json"])
    checks = {one["code"]: one["verdict"] for one in json.loads(done.output)["checks"]}
    assert (checks["round.chain_receipts"], done.exit_code) == ("failed", 1)
    record_["round"] = "rnd_other"
    (folder / "chain.json").write_text(json.dumps(record_), "utf-8")
    done = CliRunner().invoke(command.app, ["verify", str(folder), "--json"])
    assert (done.exit_code, "round.chain_malformed" in done.output) == (2, True)


def test_the_command_writes_the_call_that_strikes_a_wrong_result(market, tmp_path, monkeypatch):
    problem = replace(random_problem("24", needs=60, lots=60), id=new_id("rnd", at=AT))
    market.open(problem)
    judged = judge_pairs(problem)
    good = solve_limited(problem, candidates=judged)
    # Documents whose prices are too low: a dishonest operator stores and posts them all the same.
    zero = dict.fromkeys(good.certificate.lots, (0, 0, 0))
    bad = replace(good, certificate=replace(good.certificate, lots=zero))
    with monkeypatch.context() as patch:
        patch.setattr(round_acts, "recorded", claimed)
        patch.setattr(round_table.SparseRound, "strike_of", lambda *_, **__: None)
        market.close(problem, solution=bad)
        assert market.until(problem.id, "posted", "refused").state == "posted"
    folder = documents(market, tmp_path / "bad", problem, bad)
    assert verified(folder)[0] == "failed"
    done = CliRunner().invoke(command.app, ["strike", str(folder), "--out", str(tmp_path / "call")])
    assert done.exit_code == 0, done.output
    call = json.loads((tmp_path / "call").read_text("utf-8"))
    act = NewAct(
        id=new_id("act", at=AT),
        contract="Rounds",
        call="strike",
        subject=new_id("rnd", at=AT),
        payload={"data": call["data"][2:]},
        actor="system",
    )
    with transaction(market.ports.sessions) as session:
        queue(session, act, at=market.now)
    for _ in range(30):
        market.lane.step()
        market.mine()
    assert market.stored(problem.id).state is acts_abi.RoundState.OPEN
    # The documents are at fault: nothing is posted from them again.
    market.now += round_acts.WATCH_EVERY
    market.until(problem.id, "struck")
    for _ in range(3):
        record_rounds(market.ports, market.lane, at=market.now)
    assert (market.row(problem.id).state, market.row(problem.id).due_at) == ("struck", None)
