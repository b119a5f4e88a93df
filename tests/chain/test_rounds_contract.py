"""Rounds on a node under Osaka rules, against its Python twin: proofs, tampering, every kind of fault, gas."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from eth_keys import keys
from ortools.graph.python import min_cost_flow

from contracts import acts_abi as acts
from contracts import rounds_tree as tree
from contracts.eip712 import Contract
from contracts.seals_testing import RevertedError, anvil, anvil_missing
from ledger.core.errors import VerificationError

GAS = json.loads((Path(__file__).parents[2] / "contracts" / "gas.json").read_text())
POLICY = b"\x55" * 32
CELL_BITS = 128


class Opener:
    def __init__(self, node):
        self.node = node
        self.private = keys.PrivateKey((7).to_bytes(32, "big"))
        self.name = acts.k1_key_hash(self.private.public_key.to_canonical_address())
        self.rounds = node.deploy("Rounds")
        self.contract = Contract(node.chain_id, self.rounds)

    def sign(self, digest):
        made = self.private.sign_msg_hash(digest)
        return made.r.to_bytes(32, "big") + made.s.to_bytes(32, "big") + bytes([27 + made.v])

    def send(self, data):
        return self.node.send(data, to=self.rounds)

    def refusal(self, data):
        """The name of the error that a call ends in, or None."""
        try:
            self.node.call(self.rounds, data)
        except RevertedError as exc:
            head = exc.revert.values[0][:8] if exc.revert.name == "unknown" else ""
            names = [n for n, t in acts.ERRORS.items() if acts.selector(n, t).hex() == head]
            return names[0] if names else exc.revert.name
        return None

    def open(self, instance):
        root = tree.RoundData(instance).inputs_root()
        round_ = acts.round_id(self.name, inputs_root=root, policy_hash=POLICY)
        digest = acts.round_open_digest(self.contract, inputs_root=root, policy_hash=POLICY)
        self.send(
            acts.encode_round_open(
                round_=round_, inputs_root=root, policy_hash=POLICY, signature=self.sign(digest)
            )
        )
        return round_

    def proof(self, round_, instance, answer):
        digest = acts.round_prove_digest(
            self.contract, round_=round_, plan_hash=tree.answer_hash(answer)
        )
        return acts.encode_round_prove(
            round_=round_, policy_hash=POLICY, instance=instance, answer=answer,
            signature=self.sign(digest),
        )  # fmt: skip

    def post(self, round_, data, plan, attempt):
        opening = data.opening(plan)
        digest = acts.round_post_digest(
            self.contract, round_=round_, plan_root=opening.plan_root,
            objective=plan.objective, attempt=attempt,
        )  # fmt: skip
        self.send(
            acts.encode_round_post(
                round_=round_, policy_hash=POLICY, opening=opening, objective=plan.objective,
                attempt=attempt, signature=self.sign(digest),
            )
        )  # fmt: skip
        return opening

    def state(self, round_):
        return acts.decode_round(self.node.call(self.rounds, acts.encode_call("roundAt", round_)))


@pytest.fixture(scope="module")
def opener():
    reason = anvil_missing()
    if reason:
        pytest.skip(reason)
    with anvil() as node:
        yield Opener(node)


def built(seed, rows, columns, weight_max=1000):
    """An instance with an optimal answer by construction: weights meet the prices wherever something flows."""
    rng = random.Random(seed)
    u = [rng.randrange(weight_max) for _ in range(rows)]
    v = [rng.randrange(weight_max) for _ in range(columns)]
    pairs, i, j = set(), 0, 0
    while i < rows and j < columns:
        pairs.add((i, j))
        if rng.random() < rows / (rows + columns):
            i += 1
        else:
            j += 1
    flows = [(i, j, rng.randrange(1, 5000)) for i, j in sorted(pairs) if u[i] + v[j]]
    used = {(i, j) for i, j, _ in flows}
    weights = [
        [u[i] + v[j] if (i, j) in used else rng.randrange(u[i] + v[j] + 1) for j in range(columns)]
        for i in range(rows)
    ]
    supplies = [sum(x for a, _, x in flows if a == i) for i in range(rows)]
    demands = [sum(x for _, b, x in flows if b == j) for j in range(columns)]
    u = [price if supplies[i] else max(u[i], 0) for i, price in enumerate(u)]
    instance = tree.make_instance(supplies=supplies, demands=demands, weights=weights)
    return instance, tree.Answer(tuple(flows), tuple(u), tuple(v))


def solved(instance):
    """An optimal answer from OR-Tools' flow and the distances in its residual graph."""
    rows, columns = len(instance.supplies), len(instance.demands)
    source, sink = rows + columns, rows + columns + 1
    total = sum(instance.supplies) + 1
    arcs = [(source, i, s, 0) for i, s in enumerate(instance.supplies)]
    arcs += [(rows + j, sink, d, 0) for j, d in enumerate(instance.demands)]
    arcs += [
        (i, rows + j, total, -w)
        for i, row in enumerate(instance.weights) for j, w in enumerate(row) if w
    ]  # fmt: skip
    arcs.append((source, sink, total + 1, 0))
    graph = min_cost_flow.SimpleMinCostFlow()
    for arc in arcs:
        graph.add_arc_with_capacity_and_unit_cost(*arc)
    graph.set_node_supply(source, total)
    graph.set_node_supply(sink, -total)
    assert graph.solve() == graph.OPTIMAL
    flow = [graph.flow(k) for k in range(len(arcs))]
    distance, changed = [0] * (rows + columns + 2), True
    while changed:
        changed = False
        for (a, b, capacity, cost), x in zip(arcs, flow, strict=True):
            if x < capacity and distance[b] > distance[a] + cost:
                distance[b], changed = distance[a] + cost, True
            if x and distance[a] > distance[b] - cost:
                distance[a], changed = distance[b] - cost, True
    flows = tuple(
        (a, b - rows, x) for (a, b, _, _), x in zip(arcs, flow, strict=True)
        if x and a < rows and b < source
    )  # fmt: skip
    u = tuple(max(0, distance[i] - distance[source]) for i in range(rows))
    v = tuple(max(0, distance[sink] - distance[rows + j]) for j in range(columns))
    return tree.Answer(tuple(sorted(flows)), u, v), -graph.optimal_cost()


def random_instance(rng):
    rows, columns = rng.randrange(1, 6), rng.randrange(1, 7)
    return tree.make_instance(
        supplies=[rng.randrange(1, 20) for _ in range(rows)],
        demands=[rng.randrange(1, 20) for _ in range(columns)],
        weights=[
            [rng.choice([0, rng.randrange(1, 30)]) for _ in range(columns)] for _ in range(rows)
        ],
    )


def test_the_optimum_of_another_solver_is_proved_and_anything_else_is_not(opener):
    rng = random.Random(11)
    for _ in range(25):
        instance = random_instance(rng)
        answer, best = solved(instance)
        assert tree.check_answer(instance, answer) == best
        round_ = opener.open(instance)
        if answer.flows:
            i, j, units = answer.flows[0]
            rest = answer.flows[1:]
            less = replace(answer, flows=(((i, j, units - 1),) if units > 1 else ()) + rest)
            assert opener.refusal(opener.proof(round_, instance, less)) == "TransportGap"
        opener.send(opener.proof(round_, instance, answer))
        stored = opener.state(round_)
        assert (stored.state, stored.objective) == (acts.RoundState.PROVEN, best)
        assert stored.plan_root == tree.answer_hash(answer)


def test_every_changed_word_of_a_proof_is_refused(opener):
    instance, answer = built(3, 4, 6)
    round_ = opener.open(instance)
    data = opener.proof(round_, instance, answer)
    rng, size = random.Random(5), len(data)
    for at in range(4, size, 32):
        for _ in range(2):
            changed = bytearray(data)
            changed[at : at + 32] = (
                int.from_bytes(data[at : at + 32], "big") ^ rng.getrandbits(256)
            ).to_bytes(32, "big")[: size - at]
            last = at + 32 >= size
            # The signature's 65th byte stands at the front of the last word; what follows is filling.
            assert (last and changed[at] == data[at]) or opener.refusal(bytes(changed)) is not None
    assert opener.refusal(data) is None


def test_a_proof_counts_for_its_round_signer_and_chain_state(opener):
    instance, answer = built(4, 3, 5)
    round_ = opener.open(instance)
    other, _ = built(5, 3, 5)
    assert opener.refusal(opener.proof(opener.open(other), instance, answer)) == "RoundsInputs"
    unsigned = acts.encode_round_prove(
        round_=round_, policy_hash=POLICY, instance=instance, answer=answer,
        signature=keys.PrivateKey(b"\x09" * 32).sign_msg_hash(b"\x01" * 32).to_bytes()[:64] + b"\x1b",
    )  # fmt: skip
    assert opener.refusal(unsigned) == "RoundsUnauthorized"
    opener.send(opener.proof(round_, instance, answer))
    assert opener.refusal(opener.proof(round_, instance, answer)) == "RoundsState"


def tampered(instance, answer, kind):
    """A posted plan with one lie of each kind."""
    plan = tree.posted_plan(instance, answer)
    across = tree.depth_of(plan.columns)
    i, j, units = answer.flows[0]
    at = (i << across) | j
    total, sums = plan.levels[0][at]
    if kind is tree.Fault.EDGE:
        return tree.posted_plan(instance, replace(answer, row_prices=(0,) * plan.rows))
    if kind is tree.Fault.SLACK:
        raised = tuple(price + 1 for price in answer.row_prices)
        return tree.posted_plan(instance, replace(answer, row_prices=raised))
    if kind in (tree.Fault.ROW, tree.Fault.COLUMN):
        return tree.posted_plan(
            instance, replace(answer, flows=((i, j, units + 1), *answer.flows[1:]))
        )
    if kind is tree.Fault.TOTAL:
        plan.column_totals = (plan.column_totals[0] + 1, *plan.column_totals[1:])
        plan.column_total_table = tree.Table(tree.pack(plan.column_totals))
    if kind is tree.Fault.CELL:
        plan.levels[0][at] = (total, sums + 1)
        plan.objective += 1
    if kind is tree.Fault.STEP:
        plan.levels[0][at] = ((int.from_bytes(total, "big") + 1).to_bytes(32, "big"), sums)
    if kind is tree.Fault.PADDING:
        plan.levels[0][-1] = (bytes(32), 1 << CELL_BITS)
    plan.rehash(forged={(1, 0): 12345} if kind is tree.Fault.NODE else None)
    return plan


def test_every_kind_of_lie_is_struck_and_the_truth_stands(opener):
    instance, answer = built(8, 5, 7)
    data = tree.RoundData(instance)
    round_ = opener.open(instance)
    for attempt, kind in enumerate(tree.Fault):
        plan = tampered(instance, answer, kind)
        found = tree.find_fault(data, plan)
        witness = next(w for w in tree._faults(data, plan) if w.fault is kind)
        opening = opener.post(round_, data, plan, attempt)
        for shown in {found, witness}:
            call = acts.encode_round_strike(round_=round_, opening=opening, witness=shown)
            assert opener.refusal(call) is None, kind
        # A changed witness no longer leads to the committed root.
        broken = replace(witness, words=(witness.words[0] ^ 1, *witness.words[1:]))
        call = acts.encode_round_strike(round_=round_, opening=opening, witness=broken)
        assert opener.refusal(call) is not None
        opener.send(acts.encode_round_strike(round_=round_, opening=opening, witness=witness))
        assert opener.state(round_).state is acts.RoundState.OPEN
        assert opener.state(round_).attempt == attempt + 1


def test_no_true_statement_about_an_honest_plan_strikes_it(opener):
    instance, answer = built(9, 3, 5)
    data, plan = tree.RoundData(instance), tree.posted_plan(instance, answer)
    assert tree.find_fault(data, plan) is None
    round_ = opener.open(instance)
    opening = opener.post(round_, data, plan, 0)
    for kind in tree.Fault:
        lie = tampered(instance, answer, kind)
        for witness in itertools.islice(tree._faults(data, lie), 3):
            call = acts.encode_round_strike(round_=round_, opening=opening, witness=witness)
            assert opener.refusal(call) in {
                "RoundFaultsRoot",
                "RoundsNoFault",
                "RoundTablesSumTooLarge",
            }
    assert opener.refusal(acts.encode_call("finalise", round_)) == "RoundsWindow"
    opener.node.warp(opener.state(round_).closes_at + 1)
    opener.send(acts.encode_call("finalise", round_))
    assert opener.state(round_).state is acts.RoundState.FINAL


def test_objectives_that_differ_and_used_attempts_are_refused(opener):
    instance, answer = built(10, 3, 5)
    data, plan = tree.RoundData(instance), tree.posted_plan(instance, answer)
    round_, words = opener.open(instance), acts.opening_words(data.opening(plan))
    call = acts.encode_call("post", round_, POLICY, words, 5, 6, 0, b"")
    assert opener.refusal(call) == "RoundsGap"
    call = acts.encode_call("post", round_, POLICY, words, 5, 5, 1, b"")
    assert opener.refusal(call) == "RoundsAttempt"


@pytest.mark.parametrize("change", ["price", "flow", "none"])
def test_both_checkers_agree(opener, change):
    rng = random.Random(change)
    for _ in range(15):
        instance = random_instance(rng)
        answer, _ = solved(instance)
        if change == "price":
            at = rng.randrange(len(answer.row_prices))
            prices = list(answer.row_prices)
            prices[at] = max(0, prices[at] + rng.choice([-1, 1]))
            answer = replace(answer, row_prices=tuple(prices))
        if change == "flow" and answer.flows:
            i, j, units = answer.flows[-1]
            answer = replace(answer, flows=(*answer.flows[:-1], (i, j, units + 1)))
        try:
            tree.check_answer(instance, answer)
            agreed = True
        except VerificationError:
            agreed = False
        round_ = opener.open(instance)
        assert (opener.refusal(opener.proof(round_, instance, answer)) is None) is agreed


def test_gas_of_a_proof_and_of_a_strike(opener):
    instance, answer = built(1, 20, 50)
    gas = {
        "prove_20x50": opener.send(opener.proof(opener.open(instance), instance, answer)).gas_used
    }
    instance, answer = built(2, 150, 200, 100_000)
    data, round_ = tree.RoundData(instance), opener.open(instance)
    prices = list(answer.row_prices)
    prices[77] -= 1
    plans = (
        tree.posted_plan(instance, replace(answer, row_prices=tuple(prices))),
        tampered(instance, answer, tree.Fault.ROW),
    )
    worst = 0
    for attempt, (plan, kind) in enumerate(
        ((plans[0], tree.Fault.EDGE), (plans[1], tree.Fault.ROW), (plans[1], tree.Fault.COLUMN))
    ):
        opening = opener.post(round_, data, plan, attempt)
        witness = next(w for w in tree._faults(data, plan) if w.fault is kind)
        call = acts.encode_round_strike(round_=round_, opening=opening, witness=witness)
        worst = max(worst, opener.send(call).gas_used)
    gas["strike_30k"] = worst
    assert gas["prove_20x50"] <= 290_000
    assert gas["strike_30k"] <= 72_000
    for name, used in gas.items():
        assert used * 100 <= GAS.get(name, used) * 101, (name, used)
    print(gas)
