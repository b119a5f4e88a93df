"""What `fuqi round` says of a round's record on the chain, from receipts and the round's documents alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.round_table import (
    DOCUMENT_TAG,
    Recorded,
    claimed,
    inputs_of,
    policy_hash,
    recorded,
    result_of,
)
from contracts.acts_abi import encode_round_strike
from contracts.rounds_tree import Fault
from ledger.acts_calls import opening_of
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, InputError, LimitError
from ledger.core.report import Check, Verdict
from ledger.ledger_trust import LedgerTrust
from ledger.receipt_checking import verify_receipt
from matching.candidates import judge_pairs
from matching.plan import Certificate, Plan
from matching.problem import Problem

LIVING: Final = "live:"
"""How the problem of a living class is called (api/flows/live_market.py)."""
OURS: Final = frozenset({"open", "prove", "post", "finalise"})
"""Acts by which the service itself commits and claims."""
RECEIPTS_MAX: Final = 40
"""Acts of one round: a commitment, at most three results, and what closes them."""


@dataclass(frozen=True, slots=True)
class Documents:
    """The three documents of a round."""

    problem: Problem
    plan: Plan
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Record:
    """What the receipts say was done: bodies of confirmed acts by call, newest last."""

    round_id: str
    receipts: Sequence[Mapping[str, Any]]
    bodies: Mapping[str, Sequence[Mapping[str, Any]]]
    chain_round: str | None


@dataclass(frozen=True, slots=True)
class Strike:
    """A call that voids a posted result: where to send it, and which number is wrong."""

    contract: str
    chain_id: int
    data: bytes
    fault: Fault
    row: int
    column: int


def read_record(document: Mapping[str, Any], *, problem_id: str) -> Record:
    """`fuqi/round-chain/v1`.

    Args:
        problem_id: the round's own id; the problem of an urgent decision is that of a whole living class.

    Raises:
        InputError: `round.chain_malformed`: no such document, or one of another round.
        LimitError: `round.chain_malformed`.
    """
    try:
        receipts, round_id = document["receipts"], str(document["round"])
        known = problem_id == round_id or problem_id.startswith(LIVING)
        if document["v"] != DOCUMENT_TAG or not known:
            raise ValueError(round_id)
        if len(receipts) > RECEIPTS_MAX:
            raise LimitError(
                "too many receipts for one round", code="round.chain_malformed", limit=RECEIPTS_MAX
            )
        bodies: dict[str, list[Mapping[str, Any]]] = {}
        for one in receipts:
            body = one["private"]["body"]
            if body["contract"] != "Rounds" or body["subject"] != round_id:
                raise ValueError(round_id)
            if not body["reason"]:
                bodies.setdefault(str(body["call"]), []).append(body)
        return Record(round_id, tuple(receipts), bodies, document["chain_round"])
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InputError(
            "this is not the chain record of this round: take it from /api/v1/rounds/{id}/chain",
            code="round.chain_malformed",
        ) from exc


def chain_checks(
    record: Record, found: Documents, *, trust: LedgerTrust | None, at: datetime
) -> list[Check]:
    """`round.chain_receipts` and `round.chain`.

    Raises:
        InputError: `round.chain_malformed`: an act is not shaped as its entry is.
    """
    try:
        content = _content(record, found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
        raise InputError(
            "an act in the chain record is malformed: take it from /api/v1/rounds/{id}/chain",
            code="round.chain_malformed",
        ) from exc
    return [_receipts(record, trust=trust, at=at), content]


def strike_for(record: Record, found: Documents) -> Strike | None:
    """The call that strikes the posted result, or None when these documents hold no fault.

    Raises:
        InputError: `round.nothing_posted`: nothing can be struck; `round.posted_other`: the posted roots are
            not those of these documents, so that no fault of theirs can be shown.
        LimitError: `matching.chain_size`.
    """
    posted = record.bodies.get("post", ())
    if not posted or record.chain_round is None or "finalise" in record.bodies:
        raise InputError("no result of this round is open to strikes", code="round.nothing_posted")
    body = posted[-1]
    opening = opening_of(body["payload"]["opening"])
    said = claimed(found.problem, judge_pairs(found.problem), found.plan, found.certificate)
    plan = said.plan()
    if said.round.opening(plan) != opening:
        raise InputError(
            "what was posted was not made from these documents: that is for the operator to explain, and no "
            "single number shows it",
            code="round.posted_other",
        )
    witness = said.round.strike_of(plan, objective=int(body["payload"]["objective"]))
    if witness is None:
        return None
    data = encode_round_strike(
        round_=bytes.fromhex(record.chain_round), opening=opening, witness=witness
    )
    return Strike(
        str(body["address"]),
        int(body["chain_id"]),
        data,
        witness.fault,
        witness.row,
        witness.column,
    )


def _receipts(record: Record, *, trust: LedgerTrust | None, at: datetime) -> Check:
    worst, code = Verdict.PASSED, ""
    for one in record.receipts:
        report = verify_receipt(one, trust=trust, at=at)
        for check in report.checks:
            if check.verdict is Verdict.FAILED or (
                check.verdict is Verdict.INDETERMINATE and worst is Verdict.PASSED
            ):
                worst, code = check.verdict, check.code
    details: dict[str, Json] = {"receipts": len(record.receipts), "check": code}
    if not record.receipts:
        return _said(
            "round.chain_receipts",
            Verdict.INDETERMINATE,
            "there is no receipt of any act on the chain yet",
            "尚无任何链上操作的回执",
            details,
        )
    texts = {
        Verdict.PASSED: ("every act's receipt holds", "各项链上操作的回执均成立"),
        Verdict.FAILED: (f"a receipt fails at {code}", f"有回执在 {code} 处不成立"),
        Verdict.INDETERMINATE: (
            f"receipts hold together, but {code} stays open: pass a trust file, or wait for the anchor",
            f"回执前后一致，但 {code} 无法判定：请提供信任文件，或等待锚定",
        ),
    }
    return _said("round.chain_receipts", worst, *texts[worst], details)


def _content(record: Record, found: Documents) -> Check:
    """Whether what was opened, proven or posted is made from these documents."""
    problem, bodies = found.problem, record.bodies
    if "open" not in bodies:
        return _chain(
            Verdict.INDETERMINATE,
            "the commitment is not on the chain yet",
            "承诺尚未上链",
            {},
        )
    judged = judge_pairs(problem)
    inputs = inputs_of(problem, judged=judged)
    policy = policy_hash(
        record.round_id,
        policy_sha256=problem.policy.digest().hex(),
        inputs_sha256=problem.digest().hex(),
    )
    facts: dict[str, Json] = {"inputs_root": inputs.root, "policy_hash": policy}
    for call, done in bodies.items():
        for body in done:
            payload = body["payload"]
            # A strike is sent as raw call data, by whoever found the fault; ours name what they are about.
            if (call in OURS or "data" not in payload) and (
                payload.get("inputs_root") != inputs.root or payload.get("policy_hash") != policy
            ):
                return _chain(
                    Verdict.FAILED,
                    f"the chain's {call} is about other inputs or another policy",
                    f"链上 {call} 所涉输入或规则与本轮次不符",
                    facts,
                )
    results = [*bodies.get("prove", ()), *bodies.get("post", ())]
    if not results:
        return _unclaimed(found, inputs.reason, facts)
    try:
        made = recorded(problem, judged, found.plan, found.certificate)
    except FuqiError as exc:
        return _chain(
            Verdict.FAILED,
            f"a result is claimed on the chain that these documents do not prove ({exc.error_code})",
            f"链上声明的结果未被这些文件证明（{exc.error_code}）",
            facts,
        )
    return _result(made, record, facts)


def _unclaimed(found: Documents, reason: str | None, facts: dict[str, Json]) -> Check:
    if found.certificate.gap is not None or reason is not None:
        return _chain(
            Verdict.PASSED,
            "inputs and policy were committed to on the chain; no result is claimed there",
            "输入与规则已在链上承诺；链上未声明任何结果",
            facts,
        )
    return _chain(
        Verdict.INDETERMINATE,
        "inputs and policy were committed to; the result is not on the chain yet",
        "输入与规则已承诺；结果尚未上链",
        facts,
    )


def _result(made: Recorded, record: Record, facts: dict[str, Json]) -> Check:
    names: dict[str, Json] = {name: facts[name] for name in ("inputs_root", "policy_hash")}
    facts = facts | {"objective": str(made.value)}
    proven = record.bodies.get("prove", ())
    if proven:
        same = result_of(made, names, attempt=0).payload == proven[-1]["payload"]
        if same:
            return _chain(
                Verdict.PASSED,
                "the contract itself has checked this plan and its prices: no better plan exists",
                "合约已逐项验证本方案及其价格：不存在更优方案",
                facts,
            )
        return _chain(Verdict.FAILED, "another plan was proven", "链上证明的是另一个方案", facts)
    posted = record.bodies["post"][-1]["payload"]
    opening = made.round.opening(made.plan())
    if opening_of(posted["opening"]) != opening or int(posted["objective"]) != made.value:
        return _chain(Verdict.FAILED, "another plan was posted", "链上公布的是另一个方案", facts)
    if "finalise" in record.bodies:
        return _chain(
            Verdict.PASSED,
            "this plan and its prices were posted, stood open to strikes for a day, and are final",
            "本方案及其价格已公布，满一天无人推翻，已定案",
            facts,
        )
    return _chain(
        Verdict.INDETERMINATE,
        "this plan and its prices are posted; the result can still be struck",
        "本方案及其价格已公布，仍在质疑期内",
        facts,
    )


def _chain(verdict: Verdict, en: str, zh: str, details: Mapping[str, Json]) -> Check:
    return _said("round.chain", verdict, en, zh, details)


def _said(code: str, verdict: Verdict, en: str, zh: str, details: Mapping[str, Json]) -> Check:
    return Check(code, verdict, en, zh, dict(details))
