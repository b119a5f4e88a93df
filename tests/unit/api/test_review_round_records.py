"""A round's chain record as a hostile hand gives it: judged or refused by name, never a fault of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.commands.round_chain import Documents, Record, chain_checks
from api.round_table import inputs_of, policy_hash
from ledger.core.errors import InputError
from ledger.core.report import Verdict
from matching.candidates import judge_pairs
from matching.solve import solve
from matching.testing import random_problem

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def found():
    problem = random_problem("1", needs=6, lots=4, units=20)
    made = solve(problem, candidates=judge_pairs(problem))
    return Documents(problem, made.plan, made.certificate)


def record(found, **payloads):
    bodies = {call: [{"payload": payload}] for call, payload in payloads.items()}
    return Record(found.problem.id, (), bodies, None)


def names(found):
    return {
        "inputs_root": inputs_of(found.problem).root,
        "policy_hash": policy_hash(
            found.problem.id,
            policy_sha256=found.problem.policy.digest().hex(),
            inputs_sha256=found.problem.digest().hex(),
        ),
    }


def judged(found, **payloads):
    checks = chain_checks(record(found, **payloads), found, trust=None, at=AT)
    return {one.code: one.verdict for one in checks}["round.chain"]


def test_a_commitment_to_this_round_waits_for_its_result(found):
    assert judged(found, open=names(found)) is Verdict.INDETERMINATE


@pytest.mark.parametrize("call", ["open", "prove", "post", "finalise"])
def test_raw_call_data_does_not_stand_for_the_names_of_inputs_and_policy(found, call):
    said = {"open": names(found), call: {"data": "00"}}
    assert judged(found, **said) is Verdict.FAILED


def test_a_strike_is_raw_call_data_and_names_nothing(found):
    assert judged(found, open=names(found), strike={"data": "00"}) is Verdict.INDETERMINATE


def test_a_result_of_another_shape_is_refused_by_name_or_fails(found):
    with pytest.raises(InputError) as fault:
        judged(found, open=names(found), post=names(found))
    assert fault.value.error_code == "round.chain_malformed"
    assert judged(found, open=names(found), prove=names(found)) is Verdict.FAILED


def test_an_act_without_a_payload_is_refused_by_name(found):
    odd = Record(found.problem.id, (), {"open": [{}]}, None)
    with pytest.raises(InputError) as fault:
        chain_checks(odd, found, trust=None, at=AT)
    assert fault.value.error_code == "round.chain_malformed"
