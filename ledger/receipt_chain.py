"""The chain's part of a receipt: what a block held, on which chain, and what makes the block final."""

from __future__ import annotations

from typing import Final

from ledger.core.report import Check
from ledger.ledger_trust import STATED
from ledger.receipt_findings import Case, failed, passed, unknown
from ledger.receipt_reading import require_members
from ledger.validator_seals import ProvenSeals, ValidatorPolicy, verify_seals

SEAL_RULES: Final = {
    "qbft": (
        "sealed the block (QBFT: it can no longer be replaced)",
        "为该区块签封（QBFT：不可再被替换）",
    ),
    "ibft2": (
        "sealed the block (IBFT 2.0: it can no longer be replaced)",
        "为该区块签封（IBFT 2.0：不可再被替换）",
    ),
    "clique": (
        "sealed the block or one built on it (Clique: no hard promise, see the guide)",
        "签封了该区块或其后继区块（Clique：无硬性终局保证，见指南）",
    ),
}
"""What seals of each consensus are worth, said beside the word final."""


def check_anchor(case: Case) -> Check:
    """A contract held exactly this checkpoint in a block."""
    code = "receipt.anchor"
    anchor = case.receipt["anchor"]
    if anchor is None:
        return unknown(code, "the checkpoint is not on the chain yet; ask again later")
    require_members(case.receipt, "anchor")
    log = case.receipt["log"]
    if anchor["size"] != log["size"] or anchor["root"] != log["root"]:
        return failed(code, "the anchor is of another checkpoint")
    head = case.head()
    if head is None:
        return unknown(code, "the receipt carries no chain evidence")
    stated = (anchor["block_number"], anchor["block_hash"], anchor["block_time"])
    if stated != (head.block_number, head.block_hash, head.block_time):
        return failed(code, "block number, hash or time differ from the proven header")
    if (anchor["chain_id"], anchor["contract"]) != (head.chain_id, head.contract):
        return failed(code, "chain or contract differ from those of the evidence")
    if anchor["state"] != "final":
        return unknown(code, "mined, but not final yet; ask again later")
    return passed(
        code,
        f"block {head.block_number} holds exactly this checkpoint in its state",
        f"区块 {head.block_number} 的状态中正是该检查点",
        block_time=head.block_time,
    )


def check_chain(case: Case) -> Check:
    """Chain, contract and contract code are pinned ones."""
    code = "receipt.chain"
    if case.receipt["anchor"] is None:
        return unknown(code, "no anchor to hold against your chain list yet")
    if case.trust is None:
        return unknown(code, "you have not pinned a chain and contract; pass a trust file")
    head = case.head()
    if head is None:
        return unknown(code, "the receipt carries no chain evidence")
    pin = case.pin(head)
    if pin is None:
        return failed(code, "the chain, contract or contract code is not one that you pinned")
    return passed(
        code,
        f"the contract and its code are the pinned ones; {pin.label_en}",
        f"合约及其代码与已固定的一致；{pin.label_zh}",
        kind=pin.kind,
    )


def check_finality(case: Case) -> Check:
    """Something says that the block is final, and the verifier has chosen to accept it."""
    code = "receipt.finality"
    anchor = case.receipt["anchor"]
    if anchor is None:
        return unknown(code, "nothing is on the chain yet that could be final")
    head = case.head()
    pin = None if head is None else case.pin(head)
    if head is None or pin is None:
        return unknown(code, "finality means nothing without evidence of a chain that you pinned")
    if anchor["state"] != "final":
        return unknown(code, "mined, but not final yet; ask again later")
    if pin.kind == "embedded":
        return passed(
            code,
            "final at once, by the word of the chain's single operator",
            "即时终局，仅以该链唯一运营者之言为据",
            proof="operator",
        )
    sealed = None if pin.validators is None else _sealed(case, pin.validators)
    if sealed is not None and sealed.enough:
        en, zh = SEAL_RULES[sealed.rule]
        return passed(
            code,
            f"{len(sealed.pinned)} of {sealed.n} pinned validators {en}, {sealed.k} needed",
            f"已固定的 {sealed.n} 个验证节点中有 {len(sealed.pinned)} 个{zh}（要求 {sealed.k} 个）",
            proof=sealed.rule,
            validators=list(sealed.pinned),
        )
    if pin.finality == STATED:
        return passed(
            code,
            "the log says that the block is final, and your trust file takes its word",
            "日志称该区块已终局，您的信任文件采信其言",
            proof=STATED,
        )
    if sealed is not None:
        return unknown(
            code,
            f"{len(sealed.pinned)} of {sealed.n} pinned validators sealed the block; {sealed.k} are needed",
            f"已固定的 {sealed.n} 个验证节点中仅 {len(sealed.pinned)} 个为该区块签封，要求 {sealed.k} 个",
        )
    return unknown(
        code,
        "nothing in the receipt proves the block final: compare its hash with a node of your choice",
    )


def _sealed(case: Case, policy: ValidatorPolicy) -> ProvenSeals | None:
    """Which validators sealed the block; None where the evidence shows no seals."""
    found = case.evidence if case.evidence is not None else case.receipt["anchor"]["evidence"]
    return verify_seals(found, policy=policy)
