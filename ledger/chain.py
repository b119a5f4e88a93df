"""The chain as the ledger sees it: one contract, one writer key, one head.

`ChainPort` is the written contract of every adapter: `ledger/embedded_chain.py`, `ledger/web3_chain.py` and
`ledger/testing.py` (FakeChain). tests/chain runs one behaviour suite against all of them.

Common to every method:
    - UnavailableError means "no answer, state unknown": ask again, after reading. Codes `chain.unreachable`
      (no answer in time), `chain.answer_malformed` (an answer that makes no sense), `chain.locked`,
      `chain.disk_full`, `chain.store_failed`, `chain.clock_behind`.
    - ConflictError means the chain understood and refused. Codes `chain.not_deployed`, `chain.nonce_used`,
      `chain.nonce_gap`, `chain.underpriced`, `chain.insufficient_funds`, `chain.refused`.
    - Hashes and addresses are lower-case hex text with `0x`; roots and raw transactions are bytes; times are
      seconds since 1970; money is wei.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from ledger.core.canonical import Json
from ledger.core.units import UnixSeconds

ChainKind: TypeAlias = Literal["embedded", "json-rpc"]

EVIDENCE_VERSION: Final = "fuqi/chain-evidence/v1"
EMBEDDED_LABEL_EN: Final = (
    "embedded single-operator chain: proves order to its operator and nothing to a stranger"
)
EMBEDDED_LABEL_ZH: Final = "内嵌单一运营者链：只向其运营者证明先后顺序，对第三人不证明任何事"
JSON_RPC_LABEL_EN: Final = (
    "external chain: as strong as its validators; compare the block hash with an independent node"
)
JSON_RPC_LABEL_ZH: Final = "外部链：其证明力取决于验证节点；请向独立节点核对区块哈希"

BUMP_NUMERATOR: Final = 1125
BUMP_DENOMINATOR: Final = 1000
"""A replacement pays an eighth more; nodes demand at least a tenth more of both fees."""
APPEND_GAS_BASE: Final = 120_000
APPEND_GAS_PER_STEP: Final = 3_000
"""Gas limits without asking the node: 60 k measured at a million leaves, 21 steps; unused gas is not paid."""
DEPLOY_GAS: Final = 1_500_000
"""Twice what the deployment was measured to use."""


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """Which chain this is, in words for receipts.

    Attributes:
        client: node software and version, as it names itself.
        finality: how a block becomes final here, in one English phrase.
    """

    chain_id: int
    kind: ChainKind
    name: str
    client: str
    finality: str
    label_en: str
    label_zh: str


@dataclass(frozen=True, slots=True)
class LogHead:
    """What EvidenceLog holds: `size` leaves under `root`; `index` counts checkpoints; `time` of its block."""

    size: int
    root: bytes
    index: int
    time: UnixSeconds


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where EvidenceLog stands. `artifact_sha256` and `code_hash` name the exact code."""

    chain_id: int
    address: str
    block_number: int
    tx_hash: str
    artifact_sha256: str
    code_hash: str


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas: `max_fee` is the most we pay in all, `priority` the part for the block's maker."""

    max_fee: int
    priority: int

    def bumped(self) -> Fees:
        """Both fees an eighth higher and at least one wei, in integers."""
        return Fees(max_fee=_bump(self.max_fee), priority=_bump(self.priority))

    def at_least(self, other: Fees) -> Fees:
        """The higher of each."""
        return Fees(
            max_fee=max(self.max_fee, other.max_fee), priority=max(self.priority, other.priority)
        )


@dataclass(frozen=True, slots=True)
class SignedTx:
    """A signed transaction; its hash is known before it is sent."""

    raw: bytes
    tx_hash: str


@dataclass(frozen=True, slots=True)
class AppendSeen:
    """An accepted append, as the chain shows it. `final`: no reorganisation can remove it any more."""

    tx_hash: str
    block_number: int
    block_hash: str
    block_time: UnixSeconds
    gas_used: int
    size: int
    root: bytes
    final: bool


class ChainPort(Protocol):
    """One EvidenceLog on one chain, written by one key. Methods may be called from several threads."""

    def info(self) -> ChainInfo:
        """Which chain this is. The answer does not change while the adapter lives."""
        ...

    def deploy(self, stored: Deployment | None = None) -> Deployment:
        """Make sure the contract stands, once.

        Idempotent: returns `stored` after checking that the contract stands there; else an earlier
        deployment by the same key; else deploys. Every other method needs this to have succeeded.

        Raises:
            ConflictError: `chain.deployment_missing` when `stored` is of another chain or its code is not
                there (the node was reset or is another network): deploying anew would orphan every
                receipt, so a person decides.
            UnavailableError: also `chain.deploy_pending` when it was sent and is not mined yet; call again.
        """
        ...

    def head(self, *, final: bool = False) -> LogHead:
        """The contract's head in the newest block, or in the newest final one.

        At size 0 the root is that of the empty tree. With `final`, before the deployment is final:
        ConflictError `chain.not_deployed`.
        """
        ...

    def nonce(self, *, final: bool = False) -> int:
        """How many transactions of our key are mined (or final): the next usable nonce."""
        ...

    def fees(self) -> Fees:
        """What a transaction should offer to be mined soon."""
        ...

    def sign_append(
        self, *, size: int, root: bytes, proof: Sequence[bytes], nonce: int, fees: Fees
    ) -> SignedTx:
        """Sign an append. Sends nothing and reads nothing from the chain."""
        ...

    def send(self, raw: bytes) -> None:
        """Hand a signed transaction to the chain; sending the same bytes again is harmless.

        Returning means the chain has it, not that it is mined. After UnavailableError it may or may not
        have arrived: read before deciding. A transaction that reverts is mined, uses its nonce and leaves
        no append.
        """
        ...

    def find_append(self, *, size: int, root: bytes) -> AppendSeen | None:
        """The mined append of exactly this checkpoint, or None when the chain holds none."""
        ...

    def evidence(self, block_number: int) -> dict[str, Json]:
        """`fuqi/chain-evidence/v1` of the head in that block: header, account proof, storage proofs, seals.

        Self-contained: `ledger.chain_proof.verify_chain_evidence` needs nothing else, and
        `ledger.validator_seals.verify_seals` nothing but whom to trust. Seals grow with the blocks that
        follow: ask when the block is final.

        Raises:
            UnavailableError: also `chain.evidence_unavailable` when the node no longer has that state or
                its header cannot be rebuilt.
        """
        ...


def append_gas(steps: int) -> int:
    """Gas limit of an append with a path of `steps` digests."""
    return APPEND_GAS_BASE + APPEND_GAS_PER_STEP * steps


def evidence_json(
    *,
    info: ChainInfo,
    contract: str,
    block_number: int,
    block_hash: str,
    header_rlp: bytes,
    account_proof: Sequence[bytes],
    storage_proofs: dict[str, tuple[int, int, Sequence[bytes]]],
    code_hash: str,
    seals: Json = None,
    validators: Json = None,
) -> dict[str, Json]:
    """Assemble `fuqi/chain-evidence/v1`.

    Args:
        seals: the validators' seals, see `ledger.validator_seals`; left out where the chain has none.
        validators: who may seal there, `{k, addresses}`, as the node told it; whoever verifies pins his own.
        account_proof: trie nodes, root first.
        storage_proofs: name -> (slot, value, trie nodes); names are `root` and `head`.
    """
    evidence: dict[str, Json] = {
        "v": EVIDENCE_VERSION,
        "chain_id": info.chain_id,
        "kind": info.kind,
        "network": info.name,
        "contract": contract,
        "block_number": block_number,
        "block_hash": block_hash,
        "header_rlp": "0x" + header_rlp.hex(),
        "account_proof": ["0x" + node.hex() for node in account_proof],
        "storage_proofs": {
            name: {
                "key": "0x" + slot.to_bytes(32, "big").hex(),
                "value": "0x" + value.to_bytes(32, "big").hex(),
                "proof": ["0x" + node.hex() for node in nodes],
            }
            for name, (slot, value, nodes) in storage_proofs.items()
        },
        "code_hash": code_hash,
        "label_en": info.label_en,
        "label_zh": info.label_zh,
        "finality": info.finality,
    }
    optional = {"seals": seals, "validators": validators}
    return evidence | {name: value for name, value in optional.items() if value is not None}


def _bump(value: int) -> int:
    # Rounded up: on chains where gas costs a few wei, an eighth rounded down is less than the tenth demanded.
    return max(-(-value * BUMP_NUMERATOR // BUMP_DENOMINATOR), value + 1)
