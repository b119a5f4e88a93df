"""A round as the contract `Rounds` holds it: what is committed to, and which result may be claimed. No I/O.

Everything here follows from the round's three documents, so that whoever has them makes the same roots: the
worker that posts, `fuqi round verify` that compares, `fuqi round strike` that looks for a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.rounds_sparse import SparseInstance, SparsePlan, SparseRound, make_sparse
from contracts.rounds_tree import Answer, answer_hash
from ledger.acts_calls import opening_json
from ledger.acts_outbox import PAYLOAD_BYTES_MAX
from ledger.core.canonical import Json, canonical_bytes, tagged_digest
from ledger.core.errors import LimitError, VerificationError
from matching.candidates import Candidates, judge_pairs
from matching.plan import Certificate, Plan
from matching.problem import Problem
from matching.transport import Table, answer_of, proof_of, table_of

DOCUMENT_TAG: Final = "fuqi/round-chain/v1"
POLICY_TAG: Final = "fuqi/chain-round-policy/v2"
EMPTY: Final = "matching.chain_empty"
"""Why nothing is written out: a side of the round is empty."""
PROVE_WORDS_MAX: Final = 2_560
"""Words of call data for a proof: 80 kB, below what a node takes as one transaction (128 kB)."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What `Rounds.open` commits to.

    Attributes:
        root: of the table; where the round is too large for one, the problem's own digest, to which nothing
            that could be posted ever hashes: a commitment and no more.
        reason: why there is no table.
    """

    root: str
    rows: int
    columns: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Inputs, plan and prices of a round as the chain holds them, made from its documents alone."""

    instance: SparseInstance
    round: SparseRound
    answer: Answer
    value: int

    def plan(self) -> SparsePlan:
        """The trees that `post` commits to."""
        return SparsePlan(self.instance, self.answer)


@dataclass(frozen=True, slots=True)
class Result:
    """The act that claims a result: `prove` or `post`, what it is made of, what the contract will hold."""

    call: str
    payload: dict[str, Json]
    root: str


def inputs_of(problem: Problem, *, judged: Candidates | None = None) -> Inputs:
    """The commitment to a round's inputs."""
    try:
        table = table_of(problem, judge_pairs(problem) if judged is None else judged)
    except LimitError as exc:
        return Inputs(problem.digest().hex(), 0, 0, exc.error_code)
    if not (table.supplies and table.demands):
        # An urgent need that nobody has goods for: there is no plan that a better one could beat.
        return Inputs(problem.digest().hex(), 0, 0, EMPTY)
    made = _round_of(table)
    return Inputs(made.inputs_root().hex(), made.rows, made.columns, None)


def policy_hash(round_id: str, *, policy_sha256: str, inputs_sha256: str) -> str:
    """What `Rounds` takes as the policy: the rule, the whole problem's digest and the round's id."""
    bound: dict[str, Json] = {
        "policy_sha256": policy_sha256,
        "inputs_sha256": inputs_sha256,
        "round": round_id,
    }
    return tagged_digest(POLICY_TAG, bound).hex()


def recorded(
    problem: Problem, judged: Candidates, plan: Plan, certificate: Certificate
) -> Recorded:
    """Inputs, plan and prices, proven.

    Raises:
        LimitError: `matching.chain_size`.
        VerificationError: `matching.chain_gap`, `matching.chain_prices`.
    """
    table = table_of(problem, judged)
    proof = proof_of(table, problem, plan, certificate)
    made = _round_of(table)
    return Recorded(
        made.instance, made, Answer(proof.flows, proof.row_prices, proof.column_prices), proof.value
    )


def claimed(problem: Problem, judged: Candidates, plan: Plan, certificate: Certificate) -> Recorded:
    """The same without proof: what somebody may have posted who did not prove it.

    Raises:
        LimitError: `matching.chain_size`.
    """
    table = table_of(problem, judged)
    made = _round_of(table)
    found = answer_of(table, problem, plan, certificate)
    answer = Answer(found.flows, found.row_prices, found.column_prices)
    return Recorded(made.instance, made, answer, found.value)


def result_of(found: Recorded, names: dict[str, Json], *, attempt: int) -> Result:
    """The act for this result: a proof where it fits into a transaction, else the roots of its trees.

    Args:
        names: `inputs_root` and `policy_hash` as they were opened.

    Raises:
        VerificationError: `matching.chain_prices`: it could be struck.
    """
    instance, answer = found.instance, found.answer
    words = len(instance.supplies) * -(-len(instance.demands) // 4) + len(answer.flows)
    if words <= PROVE_WORDS_MAX and attempt == 0:
        payload = {
            **names,
            "instance": _instance_json(instance),
            "answer": _answer_json(answer),
        }
        if len(canonical_bytes(payload)) <= PAYLOAD_BYTES_MAX:
            return Result("prove", payload, answer_hash(answer).hex())
    plan = found.plan()
    if found.round.strike_of(plan, objective=found.value) is not None:
        raise VerificationError("this result could be struck", code="matching.chain_prices")
    opening = found.round.opening(plan)
    payload = {
        **names,
        "opening": opening_json(opening),
        "objective": str(found.value),
        "attempt": attempt,
    }
    return Result("post", payload, opening.plan_root.hex())


def _round_of(table: Table) -> SparseRound:
    cells = table.cells
    return SparseRound(make_sparse(supplies=table.supplies, demands=table.demands, cells=cells))


def _instance_json(instance: SparseInstance) -> dict[str, Json]:
    return {
        "supplies": [str(value) for value in instance.supplies],
        "demands": [str(value) for value in instance.demands],
        "cells": [[[column, str(weight)] for column, weight in row] for row in instance.cells],
    }


def _answer_json(answer: Answer) -> dict[str, Json]:
    return {
        "flows": [[row, column, str(units)] for row, column, units in answer.flows],
        "row_prices": [str(price) for price in answer.row_prices],
        "column_prices": [str(price) for price in answer.column_prices],
    }
