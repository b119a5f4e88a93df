"""Lives of rounds for forge to replay: tests/golden/chain/rounds_replay.json, used by contracts/test/replay.

More than a thousand calls of Rounds, true and false in one place each, with what a node answered: return data
or revert data byte for byte, and the events. The Python twin (contracts/rounds_tree.py) predicts acceptance
and, where it knows one, the name of the error; a prediction that fails stops the making. With anvil here the
file is made anew and compared. To write it: `PYTHONPATH=. python tests/chain/test_rounds_replay.py`.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from eth_keys import keys

from contracts import acts_abi as acts
from contracts import artifacts
from contracts import rounds_tree as tree
from contracts.eip712 import Contract
from contracts.seals_testing import anvil, anvil_missing
from ledger.core.errors import VerificationError

TARGET = Path(__file__).parents[1] / "golden" / "chain" / "rounds_replay.json"
ADDRESS = bytes.fromhex("f09100000000000000000000000000000000f091")
STEP = "(bool,uint40,uint32,uint32[],bytes32[],bytes,bool,bytes,bytes32)[]"
POLICY = b"\x55" * 32
START = 1_800_001_000
DAY = 86_400
WORD = 2**256 - 1
TRANSPORT_ERRORS = {
    "rounds.price_too_low": "TransportPriceTooLow",
    "rounds.flow": "TransportFlow",
    "rounds.overfull": "TransportOverfull",
    "rounds.gap": "TransportGap",
}
SIGNER = keys.PrivateKey((7).to_bytes(32, "big"))


def contract_tests():
    """Instances with known optima, from the test of the contract."""
    spec = importlib.util.spec_from_file_location(
        "rounds_contract", Path(__file__).with_name("test_rounds_contract.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Recorder:
    """Sends calls to one Rounds at a fixed address and keeps what came back."""

    def __init__(self, node):
        self.node, self.time = node, START
        code = artifacts.load("Rounds").deployed_bytecode
        node.ask("anvil_setCode", "0x" + ADDRESS.hex(), "0x" + code.hex())
        self.contract = Contract(node.chain_id, ADDRESS)
        self.name = acts.k1_key_hash(SIGNER.public_key.to_canonical_address())
        self.steps, self.bases = [], []

    def sign(self, digest):
        made = SIGNER.sign_msg_hash(digest)
        return made.r.to_bytes(32, "big") + made.s.to_bytes(32, "big") + bytes([27 + made.v])

    def probe(self, data, expected=...):
        """A call whose effects are undone; `expected`: None accepted, or an error's name, or ... unknown."""
        ok, answer = self._ask(data)
        self._expect(ok, answer, expected)
        self._add(False, data, ok, answer, bytes(32))
        return ok

    def keep(self, data):
        """A call that stands, and the round as it is stored then."""
        ok, answer = self._ask(data)
        assert ok, answer.hex()
        self.node.warp(self.time)
        receipt = self.node.send(data, to=ADDRESS)
        logs = b"".join(
            encode(
                ["bytes32[]", "bytes"],
                [[_raw(topic) for topic in log["topics"]], _raw(log["data"])],
            )
            for log in receipt.logs
        )
        self._add(True, data, ok, answer, keccak(logs))
        self.probe(acts.encode_call("roundAt", data[4:36]), None)

    def _ask(self, data):
        request = {"to": "0x" + ADDRESS.hex(), "data": "0x" + data.hex(), "gas": hex(15_000_000)}
        found = self.node._post("eth_call", [request, "latest", {}, {"time": hex(self.time)}])
        if "error" in found:
            return False, _raw(found["error"].get("data", "0x"))
        return True, _raw(found["result"])

    def _expect(self, ok, answer, expected):
        if expected is ...:
            return
        assert ok is (expected is None), (expected, answer.hex())
        if expected:
            assert answer[:4] == acts.selector(expected, acts.ERRORS[expected]), expected

    def _add(self, keep, data, ok, answer, logs):
        at, words, whole = [], [], data
        base = 0
        for number, known in enumerate(self.bases):
            if len(known) != len(data):
                continue
            places = [k for k in range(4, len(data), 32) if known[k : k + 32] != data[k : k + 32]]
            if known[:4] == data[:4] and len(places) <= 3 and places[-1:] != [len(data) - 4]:
                base, whole, at = number, b"", places
                words = [data[k : k + 32].ljust(32, b"\0") for k in places]
                break
        if whole:
            base = len(self.bases)
            self.bases.append(data)
        self.steps.append((keep, self.time, base, at, words, whole, ok, answer, logs))


def _raw(text):
    return bytes.fromhex(text[2:])


# ------------------------------------------------------------------------------ proofs
def prove_call(recorder, round_, instance, answer):
    rows = ["uint256", "uint256", "uint256[]", "uint256[]", "uint256[]"]
    kinds = ["bytes32", "bytes32", "(" + ",".join(rows) + ")", "(uint256[],uint256[],uint256[])"]
    plan = keccak(encode(["bytes32", kinds[3]], [keccak(b"fuqi/chain-answer/v1"), tuple(answer)]))
    digest = acts.round_prove_digest(recorder.contract, round_=round_, plan_hash=plan)
    values = [round_, POLICY, tuple(instance), tuple(answer), recorder.sign(digest)]
    name = "prove(" + ",".join([*kinds, "bytes"]) + ")"
    return keccak(name.encode())[:4] + encode([*kinds, "bytes"], values)


def word_variants(words, dice, *, lanes=4):
    """Tables that differ from `words` in one lane, or in length."""
    yield "TransportTableLength", [*words, 0]
    if words:
        yield "TransportTableLength", words[:-1]
        for bit in (62, 63):
            place, lane = dice.randrange(len(words)), dice.randrange(lanes)
            changed = [*words]
            changed[place] |= 1 << (64 * lane + bit)
            yield "TransportWord", changed


def answer_variants(instance, answer, dice):
    """(what the twin says, instance words, answer words) of answers with one fault."""
    for what, other in twisted(instance, answer, dice):
        try:
            tree.check_answer(instance, other)
            expected = None
        except VerificationError as exc:
            expected = TRANSPORT_ERRORS.get(exc.error_code, ...)
        yield what, expected, tree.instance_words(instance), tree.answer_words(other)
    given, said = list(tree.instance_words(instance)), list(tree.answer_words(answer))
    for place in (2, 3):
        for expected, words in word_variants(given[place], dice):
            yield "table", expected, [*given[:place], words, *given[place + 1 :]], said
    for place in (1, 2):
        for expected, words in word_variants(said[place], dice):
            yield "table", expected, given, [*said[:place], words, *said[place + 1 :]]
    for expected, words in word_variants(given[4], dice):
        yield "weights", expected, [*given[:4], words], said
    for place, count in ((2, given[0]), (3, given[1])):
        if count % 4:
            words = [*given[place]]
            words[-1] |= 1 << (64 * (count % 4))
            yield "filling", "TransportWord", [*given[:place], words, *given[place + 1 :]], said
    for rows, columns in (
        (0, given[1]),
        (given[0], 0),
        (2**16 + 1, given[1]),
        (given[0], 2**16 + 1),
    ):
        yield "size", "TransportSize", [rows, columns, *given[2:]], said
    for rows, columns in ((2**16, given[1]), (given[0], 2**16)):
        yield "size", "TransportTableLength", [rows, columns, *given[2:]], said
    yield "empty end", ..., given, [[*said[0], 0], *said[1:]]
    if said[0]:
        yield "no flows", ..., given, [said[0][:-1], *said[1:]]
        yield "first half", ..., given, [[said[0][0] & (2**128 - 1), *said[0][1:]], *said[1:]]
    column = given[1]
    outside = [(given[0] << 32) << 64 | 1, column << 64 | 1, (given[0] << 32 | column) << 64 | 1]
    for flow in outside:
        yield "outside", "TransportFlow", given, [[*said[0], flow << 128], *said[1:]]


def twisted(instance, answer, dice):
    """Answers with one thing changed."""
    yield "true", answer
    for name in ("row_prices", "column_prices"):
        prices = getattr(answer, name)
        for place in range(len(prices)):
            for step in (-1, 1):
                changed = [*prices]
                changed[place] = max(0, changed[place] + step)
                yield name, replace(answer, **{name: tuple(changed)})
    for place, (i, j, units) in enumerate(answer.flows):
        before, after = answer.flows[:place], answer.flows[place + 1 :]
        for flow in ((i, j, units + 1), (i, j, units - 1), (i, j, 0)):
            yield "units", replace(answer, flows=(*before, flow, *after))
        yield "missing", replace(answer, flows=before + after)
        yield "twice", replace(answer, flows=(*before, (i, j, units), (i, j, units), *after))
    if len(answer.flows) > 1:
        place = dice.randrange(len(answer.flows) - 1)
        flows = list(answer.flows)
        flows[place], flows[place + 1] = flows[place + 1], flows[place]
        yield "order", replace(answer, flows=tuple(flows))
    empty = [(i, j) for i, row in enumerate(instance.weights) for j, w in enumerate(row) if not w]
    for i, j in empty[:2]:
        flows = sorted({(a, b): (a, b, u) for a, b, u in (*answer.flows, (i, j, 1))}.values())
        yield "no weight", replace(answer, flows=tuple(flows))


def record_proofs(recorder, made, dice):
    shapes = ((1, 1), (2, 3), (4, 4), (3, 5), (5, 9))
    for number, (rows, columns) in enumerate(shapes):
        instance, answer = made.built(20 + number, rows, columns, 40)
        round_ = open_round(recorder, tree.RoundData(instance).inputs_root())
        variants = list(answer_variants(instance, answer, dice))
        true, rest = variants[0], variants[1:]
        variants = [true, *dice.sample(rest, min(36, len(rest)))]
        for _what, expected, given, said in variants:
            recorder.probe(prove_call(recorder, round_, given, said), expected)
        given, said = tree.instance_words(instance), tree.answer_words(answer)
        true = prove_call(recorder, round_, given, said)
        other, more = made.built(40 + number, rows, columns, 40)
        recorder.probe(
            prove_call(recorder, round_, tree.instance_words(other), tree.answer_words(more)),
            "RoundsInputs",
        )
        unsigned = bytearray(true)
        unsigned[4 + 32] ^= 1  # the policy, which the round's name holds
        recorder.probe(bytes(unsigned), "RoundsUnauthorized")
        recorder.keep(true)
        recorder.probe(true, "RoundsState")
    recorder.probe(prove_call(recorder, b"\x01" * 32, given, said), "RoundsState")


# ------------------------------------------------------------------------------ posting and striking
def open_round(recorder, root):
    round_ = acts.round_id(recorder.name, inputs_root=root, policy_hash=POLICY)
    digest = acts.round_open_digest(recorder.contract, inputs_root=root, policy_hash=POLICY)
    call = acts.encode_round_open(
        round_=round_, inputs_root=root, policy_hash=POLICY, signature=recorder.sign(digest)
    )
    broken = bytearray(call)
    broken[4 + 63] ^= 1
    recorder.probe(bytes(broken), "RoundsUnauthorized")
    recorder.keep(call)
    recorder.probe(call, "RoundsState")
    return round_


def post_call(recorder, round_, opening, objective, attempt, *, plan_root=None):
    digest = acts.round_post_digest(
        recorder.contract, round_=round_, plan_root=plan_root or opening.plan_root,
        objective=objective, attempt=attempt,
    )  # fmt: skip
    return acts.encode_round_post(
        round_=round_, policy_hash=POLICY, opening=opening, objective=objective,
        attempt=attempt, signature=recorder.sign(digest),
    )  # fmt: skip


def strike_call(round_, opening, witness):
    return acts.encode_round_strike(round_=round_, opening=opening, witness=witness)


def witness_of(data, plan, fault, row, column):
    """The true openings that a fault's witness holds, whether they show a fault or not."""
    across, words, path = tree.depth_of(plan.columns), (), ()

    def opened(*parts):
        nonlocal words, path
        for part in parts:
            words, path = words + part[0], path + part[1]

    def cell(row, column, height=0):
        nonlocal words, path
        index = (row << across) | column if height == 0 else row
        words += tree._words(plan.node(height, index))
        path += plan.path(height, index)

    prices = (plan.row_price_table.open(row), plan.column_price_table.open(column))
    match fault:
        case tree.Fault.EDGE:
            opened(data.open_weight(row, column), *prices)
        case tree.Fault.SLACK:
            opened(data.open_weight(row, column), *prices)
            cell(row, column)
        case tree.Fault.ROW:
            opened(data.supplies.open(row), prices[0])
            cell(row, 0, height=across)
        case tree.Fault.COLUMN:
            opened(data.demands.open(column), prices[1], plan.column_total_table.open(column))
        case tree.Fault.TOTAL:
            opened(plan.column_total_table.open(column))
            cell(plan.rows - 1, column)
        case tree.Fault.CELL:
            opened(data.open_weight(row, column))
            cell(row, column)
        case tree.Fault.STEP:
            cell(row, column)
            if row:
                cell(row - 1, column)
        case tree.Fault.NODE:
            words = (
                *tree._words(plan.node(row, column)),
                *tree._words(plan.node(row - 1, 2 * column)),
                *tree._words(plan.node(row - 1, 2 * column + 1)),
            )
            path = plan.path(row, column)
        case tree.Fault.PADDING:
            cell(row, column)
    return tree.Witness(fault, row, column, words, path)


def honest_witnesses(data, plan):
    """Every kind of witness at every place that the tree has, all true and none a fault."""
    across, down = tree.depth_of(plan.columns), tree.depth_of(plan.rows)
    for row in range(plan.rows):
        for column in range(plan.columns):
            for fault in (tree.Fault.EDGE, tree.Fault.SLACK, tree.Fault.CELL, tree.Fault.STEP):
                yield witness_of(data, plan, fault, row, column)
        yield witness_of(data, plan, tree.Fault.ROW, row, 0)
    for column in range(plan.columns):
        yield witness_of(data, plan, tree.Fault.COLUMN, 0, column)
        yield witness_of(data, plan, tree.Fault.TOTAL, 0, column)
    for height in range(1, across + down + 1):
        for index in range(1 << (across + down - height)):
            yield witness_of(data, plan, tree.Fault.NODE, height, index)
    for row in range(1 << down):
        for column in range(1 << across):
            if row >= plan.rows or column >= plan.columns:
                yield witness_of(data, plan, tree.Fault.PADDING, row, column)


def witness_variants(witness, opening, dice):
    """A witness with one thing changed, and the error if it is certain."""
    words, path = witness.words, witness.path
    yield "RoundFaultsWords", replace(witness, words=(*words, 0))
    yield "RoundFaultsWords", replace(witness, words=words[:-1])
    for place in range(len(words)):
        for flip in (1, 1 << 64 * dice.randrange(4), 1 << 128 + dice.randrange(20)):
            changed = [*words]
            changed[place] ^= flip
            yield ..., replace(witness, words=tuple(changed))
    for place in range(len(path)):
        changed = [*path]
        changed[place] = (int.from_bytes(path[place], "big") ^ 1).to_bytes(32, "big")
        yield ..., replace(witness, path=tuple(changed))
    yield ..., replace(witness, path=(*path, bytes(32)))
    if path:
        yield "RoundTablesPathLength", replace(witness, path=path[:-1])
    for row in {witness.row + 1, max(0, witness.row - 1), opening.rows, WORD} - {witness.row}:
        yield ..., replace(witness, row=row)
    columns = {witness.column + 1, max(0, witness.column - 1), opening.columns, WORD}
    for column in columns - {witness.column}:
        yield ..., replace(witness, column=column)
    for fault in set(tree.Fault) - {witness.fault}:
        yield ..., replace(witness, fault=fault)


def record_strikes(recorder, made, dice, *, seed, rows, columns, share):
    instance, answer = made.built(seed, rows, columns, 30)
    instance = without_one_weight(instance, answer)
    data = tree.RoundData(instance)
    round_ = open_round(recorder, data.inputs_root())
    attempt = 0
    for kind in tree.Fault:
        plan = made.tampered(instance, answer, kind)
        witness = next((w for w in tree._faults(data, plan) if w.fault is kind), None)
        if witness is None:  # a matrix of powers of two has no padding
            continue
        opening = data.opening(plan)
        recorder.keep(post_call(recorder, round_, opening, plan.objective, attempt))
        true = strike_call(round_, opening, witness)
        recorder.probe(true, None)
        variants = list(witness_variants(witness, opening, dice))
        for expected, other in dice.sample(variants, min(share, len(variants))):
            recorder.probe(strike_call(round_, opening, other), expected)
        for name in ("rows", "columns", "supply_root", "demand_root", "weight_root"):
            recorder.probe(strike_call(round_, changed(opening, name), witness), "RoundsInputs")
        for name in (
            *("row_price_root", "column_price_root", "column_total_root", "cell_root", "units"),
        ):
            recorder.probe(strike_call(round_, changed(opening, name), witness), "RoundsPlan")
        recorder.keep(true)
        recorder.probe(true, "RoundsState")
        attempt += 1
    record_truth(recorder, dice, round_, data, tree.posted_plan(instance, answer), attempt)


def without_one_weight(instance, answer):
    """The same with one pair ineligible that nothing flows through; the answer stays optimal."""
    used = {(i, j) for i, j, _ in answer.flows}
    weights = [list(row) for row in instance.weights]
    for i, row in enumerate(weights):
        for j in range(len(row)):
            if (i, j) not in used:
                row[j] = 0
                return replace(instance, weights=tuple(tuple(row) for row in weights))
    return instance


def changed(opening, name):
    value = getattr(opening, name)
    other = value + 1 if isinstance(value, int) else keccak(value)
    return replace(opening, **{name: other})


def record_truth(recorder, dice, round_, data, plan, attempt):
    opening, objective = data.opening(plan), plan.objective
    post = post_call(recorder, round_, opening, objective, attempt)
    recorder.probe(post_call(recorder, round_, opening, objective, attempt + 1), "RoundsAttempt")
    if attempt:
        recorder.probe(
            post_call(recorder, round_, opening, objective, attempt - 1), "RoundsAttempt"
        )
    recorder.probe(
        post_call(recorder, round_, changed(opening, "rows"), objective, attempt), "RoundsInputs"
    )
    other = post_call(recorder, round_, opening, objective, attempt, plan_root=b"\x01" * 32)
    recorder.probe(other, "RoundsUnauthorized")
    recorder.probe(acts.encode_call("finalise", round_), "RoundsState")
    recorder.keep(post)
    recorder.probe(post, "RoundsState")
    posted = recorder.time
    witnesses = list(honest_witnesses(data, plan))
    for witness in witnesses if len(witnesses) < 120 else dice.sample(witnesses, 40):
        recorder.probe(strike_call(round_, opening, witness), "RoundsNoFault")
    late = strike_call(round_, opening, witnesses[0])
    finalise = acts.encode_call("finalise", round_)
    recorder.probe(finalise, "RoundsWindow")
    recorder.time = posted + DAY - 1
    recorder.probe(finalise, "RoundsWindow")
    recorder.probe(late, "RoundsNoFault")
    recorder.time = posted + DAY
    recorder.probe(late, "RoundsWindow")
    recorder.probe(finalise, None)
    recorder.keep(finalise)
    recorder.probe(finalise, "RoundsState")
    recorder.time += 10


def record_sizes(recorder):
    """Rounds whose committed sizes no matrix has: they open, since nothing is read then, and take no result."""
    for rows, columns in ((0, 1), (1, 0), (2**16 + 1, 1), (1, 2**16 + 1), (2**16, 2**16)):
        root = b"\x07" * 32
        opening = tree.Opening(rows, columns, root, root, root, root, root, root, root, 5)
        round_ = open_round(recorder, opening.inputs_root)
        call = post_call(recorder, round_, opening, 9, 0)
        fits = rows == columns
        recorder.probe(call, None if fits else "TransportSize")


def made():
    """The file's contents."""
    with anvil() as node:
        recorder, tests = Recorder(node), contract_tests()
        dice = random.Random(9162)
        record_proofs(recorder, tests, dice)
        record_strikes(recorder, tests, dice, seed=8, rows=3, columns=5, share=20)
        record_strikes(recorder, tests, dice, seed=31, rows=1, columns=1, share=12)
        record_strikes(recorder, tests, dice, seed=33, rows=2, columns=18, share=3)
        record_sizes(recorder)
    source = "made by tests/chain/test_rounds_replay.py on a node (anvil), predictions checked"
    return {
        "SOURCE": source,
        "steps": len(recorder.steps),
        "accepted": sum(step[6] for step in recorder.steps),
        "abi": "0x" + encode([STEP], [recorder.steps]).hex(),
    }


def test_the_recorded_lives_of_rounds_come_out_the_same_on_a_node():
    reason = anvil_missing()
    if reason:
        pytest.skip(reason)
    assert made() == json.loads(TARGET.read_text("utf-8"))


if __name__ == "__main__":
    TARGET.write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET.name} written\n")
