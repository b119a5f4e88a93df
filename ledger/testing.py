"""Fakes for tests and demonstrations: a chain that fails on request, a log in memory.

`FakeChain` keeps the contract of `ledger.chain.ChainPort`; tests/chain runs the same suite against it as
against the real ones. Its evidence is real: tries, header and hashes that `ledger.chain_proof` verifies.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, TypeVar

import rlp
from eth_hash.auto import keccak
from sqlalchemy.orm import Session
from trie.hexary import HexaryTrie

from contracts import abi, artifacts
from ledger.chain import (
    EMBEDDED_LABEL_EN,
    EMBEDDED_LABEL_ZH,
    AppendSeen,
    ChainInfo,
    Deployment,
    Fees,
    LogHead,
    SignedTx,
    evidence_json,
)
from ledger.core import merkle
from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import ConflictError, InputError, UnavailableError, VerificationError
from ledger.core.units import Digest32, UnixSeconds

_Result = TypeVar("_Result")
FaultMode: TypeAlias = Literal["none", "before", "after"]
"""`before`: nothing happened, then the error. `after`: it happened, and the answer was lost."""

_ADDRESS: Final = bytes.fromhex("fa" * 20)
_CHAIN_ID: Final = 0xFA4E
_GENESIS_TIME: Final = 1_700_000_000
_GAS: Final = 50_000


@dataclass(frozen=True, slots=True)
class _Tx:
    raw: bytes
    tx_hash: str
    nonce: int
    max_fee: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]


@dataclass(slots=True)
class _Block:
    number: int
    parent: bytes
    time: int
    head: LogHead
    nonce: int
    deployed: bool
    salt: int
    txs: tuple[_Tx, ...] = ()
    appended: _Tx | None = None
    tries: tuple[HexaryTrie, HexaryTrie] = field(init=False)
    header: bytes = field(init=False)
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.tries = _tries(self.head, self.deployed)
        accounts, none = self.tries[0], bytes(32)
        self.header = rlp.encode(
            [self.parent, none, bytes(20), accounts.root_hash, none, none, bytes(256), 0,
             self.number, 30_000_000, _GAS, self.time, self.salt, none, bytes(8)]
        )  # fmt: skip
        self.hash = keccak(self.header)


@functools.lru_cache(maxsize=64)
def _tries(head: LogHead, deployed: bool, /) -> tuple[HexaryTrie, HexaryTrie]:  # noqa: FBT001
    """Accounts and slots; most blocks have the head of their parent, so they are made once."""
    slots, accounts = HexaryTrie({}), HexaryTrie({})
    packed = head.size | head.time << 64 | head.index << 128
    for slot, value in ((0, int.from_bytes(head.root, "big")), (1, packed)):
        slots[keccak(slot.to_bytes(32, "big"))] = rlp.encode(value)
    code_hash = _artifact().code_hash if deployed else keccak(b"")
    accounts[keccak(_ADDRESS)] = rlp.encode([1, 0, slots.root_hash, code_hash])
    accounts[keccak(b"another account")] = rlp.encode([0, 1, keccak(b"\x80"), keccak(b"")])
    return accounts, slots


class FakeChain:
    """A chain in memory with a memory pool, finality, reorganisations and faults on request."""

    def __init__(self, *, auto_mine: bool = True, final_depth: int = 0, base_fee: int = 7) -> None:
        """A fresh chain without the contract.

        Args:
            auto_mine: each accepted transaction is mined at once; else `mine()` does it.
            final_depth: how many blocks on top make a block final.
            base_fee: wei per gas below which a transaction stays in the pool.
        """
        self.auto_mine = auto_mine
        self.final_depth = final_depth
        self.base_fee = base_fee
        self.sent: list[bytes] = []
        self._faults: dict[str, list[FaultMode]] = {}
        self._pool: dict[int, _Tx] = {}
        self._salt = 0
        empty = LogHead(size=0, root=merkle.EMPTY_ROOT, index=0, time=UnixSeconds(_GENESIS_TIME))
        self._blocks = [_Block(0, bytes(32), _GENESIS_TIME, empty, 0, deployed=False, salt=0)]

    def fail(self, method: str, mode: FaultMode = "before", *, times: int = 1) -> None:
        """Let the next `times` calls of `method` fail so."""
        self._faults.setdefault(method, []).extend([mode] * times)

    def mine(self, blocks: int = 1) -> None:
        """Make blocks; the first takes what the pool holds in nonce order and at a sufficient fee."""
        for _ in range(blocks):
            self._mine_one()

    def reorganise(self, depth: int, *, keep: bool = True) -> None:
        """Undo the newest `depth` blocks; their transactions return to the pool, or vanish."""
        dropped = self._blocks[-depth:]
        del self._blocks[-depth:]
        self._salt += 1
        if keep:
            self._pool.update({tx.nonce: tx for block in dropped for tx in block.txs})

    def forget_pool(self) -> None:
        """A node restart: unmined transactions are gone."""
        self._pool.clear()

    def info(self) -> ChainInfo:
        """See `ChainPort.info`."""
        self._fault("info")
        return ChainInfo(
            chain_id=_CHAIN_ID,
            kind="embedded",
            name="fake chain for tests",
            client="ledger.testing.FakeChain",
            finality=f"{self.final_depth} blocks on top",
            label_en=EMBEDDED_LABEL_EN,
            label_zh=EMBEDDED_LABEL_ZH,
        )

    def deploy(self, stored: Deployment | None = None) -> Deployment:
        """See `ChainPort.deploy`."""
        return self._act("deploy", lambda: self._deploy(stored))

    def head(self, *, final: bool = False) -> LogHead:
        """See `ChainPort.head`."""
        self._fault("head")
        block = self._final_block() if final else self._blocks[-1]
        if not block.deployed:
            raise ConflictError("not deployed in that block", code="chain.not_deployed")
        return block.head

    def nonce(self, *, final: bool = False) -> int:
        """See `ChainPort.nonce`."""
        self._fault("nonce")
        return (self._final_block() if final else self._blocks[-1]).nonce

    def fees(self) -> Fees:
        """See `ChainPort.fees`."""
        self._fault("fees")
        return Fees(max_fee=2 * self.base_fee + 1, priority=1)

    def sign_append(
        self, *, size: int, root: bytes, proof: Sequence[bytes], nonce: int, fees: Fees
    ) -> SignedTx:
        """See `ChainPort.sign_append`; the raw bytes are plain JSON."""
        raw = canonical_bytes(
            {
                "nonce": nonce,
                "max_fee": fees.max_fee,
                "size": size,
                "root": root.hex(),
                "proof": [step.hex() for step in proof],
            }
        )
        return SignedTx(raw=raw, tx_hash="0x" + keccak(raw).hex())

    def send(self, raw: bytes) -> None:
        """See `ChainPort.send`."""
        self._act("send", lambda: self._send(raw))

    def find_append(self, *, size: int, root: bytes) -> AppendSeen | None:
        """See `ChainPort.find_append`."""
        self._fault("find_append")
        for block in self._blocks:
            tx = block.appended
            if tx is not None and (tx.size, tx.root) == (size, root):
                return AppendSeen(
                    tx_hash=tx.tx_hash,
                    block_number=block.number,
                    block_hash="0x" + block.hash.hex(),
                    block_time=UnixSeconds(block.time),
                    gas_used=_GAS,
                    size=size,
                    root=root,
                    final=block.number <= self._final_block().number,
                )
        return None

    def evidence(self, block_number: int) -> dict[str, Json]:
        """See `ChainPort.evidence`."""
        self._fault("evidence")
        if not 0 <= block_number < len(self._blocks) or not self._blocks[block_number].deployed:
            raise UnavailableError("no such block", code="chain.evidence_unavailable")
        block = self._blocks[block_number]
        accounts, slots = block.tries
        proofs: dict[str, tuple[int, int, Sequence[bytes]]] = {}
        for name, slot in (("root", abi.ROOT_SLOT), ("head", abi.HEAD_SLOT)):
            key = keccak(slot.to_bytes(32, "big"))
            value = int.from_bytes(rlp.decode(slots[key]), "big")
            proofs[name] = (slot, value, _proof(slots, key))
        return evidence_json(
            info=self.info(),
            contract="0x" + _ADDRESS.hex(),
            block_number=block_number,
            block_hash="0x" + block.hash.hex(),
            header_rlp=block.header,
            account_proof=_proof(accounts, keccak(_ADDRESS)),
            storage_proofs=proofs,
            code_hash="0x" + _artifact().code_hash.hex(),
        )

    def _deploy(self, stored: Deployment | None) -> Deployment:
        if not any(block.deployed for block in self._blocks):
            if stored is not None:
                raise ConflictError("it is not there", code="chain.deployment_missing")
            self._append_block(deployed=True, nonce=self._blocks[-1].nonce + 1)
            self.mine(self.final_depth)
        artifact = _artifact()
        found = Deployment(
            chain_id=_CHAIN_ID,
            address="0x" + _ADDRESS.hex(),
            block_number=next(block.number for block in self._blocks if block.deployed),
            tx_hash="0x" + keccak(b"deployment").hex(),
            artifact_sha256=artifact.sha256,
            code_hash="0x" + artifact.code_hash.hex(),
        )
        if stored not in (None, found):
            raise ConflictError("it is of another chain", code="chain.deployment_missing")
        return found

    def _send(self, raw: bytes) -> None:
        self.sent.append(raw)
        tx = _parse(raw)
        known = [mined.tx_hash for block in self._blocks for mined in block.txs]
        if tx.tx_hash in known:
            return
        if tx.nonce < self._blocks[-1].nonce:
            raise ConflictError("this nonce was used before", code="chain.nonce_used")
        if tx.nonce > self._blocks[-1].nonce:
            raise ConflictError("an earlier nonce is missing", code="chain.nonce_gap")
        rival = self._pool.get(tx.nonce)
        if rival is not None and rival != tx and tx.max_fee * 10 < rival.max_fee * 11:
            raise ConflictError("the chain asks for higher fees", code="chain.underpriced")
        self._pool[tx.nonce] = tx
        if self.auto_mine:
            self._mine_one()

    def _mine_one(self) -> None:
        tip = self._blocks[-1]
        tx = self._pool.get(tip.nonce)
        if tx is None or tx.max_fee < self.base_fee:
            self._append_block()
            return
        del self._pool[tip.nonce]
        appended = tip.deployed and tx.size > tip.head.size and _extends(tip.head, tx)
        self._append_block(nonce=tip.nonce + 1, tx=tx, appended=appended)

    def _append_block(
        self,
        *,
        deployed: bool = False,
        nonce: int | None = None,
        tx: _Tx | None = None,
        appended: bool = False,
    ) -> None:
        tip = self._blocks[-1]
        time = tip.time + 12
        head = tip.head
        if tx is not None and appended:
            head = LogHead(size=tx.size, root=tx.root, index=head.index + 1, time=UnixSeconds(time))
        self._blocks.append(
            _Block(
                tip.number + 1,
                tip.hash,
                time,
                head,
                tip.nonce if nonce is None else nonce,
                deployed=tip.deployed or deployed,
                salt=self._salt,
                txs=() if tx is None else (tx,),
                appended=tx if appended else None,
            )
        )

    def _final_block(self) -> _Block:
        return self._blocks[max(0, len(self._blocks) - 1 - self.final_depth)]

    def _fault(self, method: str) -> FaultMode:
        queue = self._faults.get(method, [])
        mode = queue.pop(0) if queue else "none"
        if mode == "before":
            raise _silence()
        return mode

    def _act(self, method: str, action: Callable[[], _Result]) -> _Result:
        mode = self._fault(method)
        result = action()
        if mode == "after":
            raise _silence()
        return result


class MemoryLog:
    """A `CheckpointSource` over leaves in memory; `grow` adds some."""

    def __init__(self) -> None:
        """An empty log."""
        self._leaves: list[Digest32] = []

    def grow(self, count: int = 1) -> tuple[int, bytes]:
        """Add leaves; returns the new (size, root)."""
        for _ in range(count):
            self._leaves.append(merkle.leaf_hash(f"leaf {len(self._leaves)}".encode()))
        size = len(self._leaves)
        return size, self.root(size)

    def root(self, size: int) -> bytes:
        """Root of the first `size` leaves."""
        return merkle.root(size, merkle.reader_over(self._leaves))

    def path(self, old_size: int, size: int) -> list[bytes]:
        """Consistency path."""
        return list(
            merkle.consistency_path(old_size, size=size, node=merkle.reader_over(self._leaves))
        )

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Inclusion path."""
        return list(merkle.inclusion_path(index, size=size, node=merkle.reader_over(self._leaves)))

    def latest(self, session: Session | None = None) -> tuple[int, bytes] | None:
        """See `CheckpointSource.latest`."""
        del session
        size = len(self._leaves)
        return (size, self.root(size)) if size else None

    def consistency(self, session: Session | None, old_size: int, size: int) -> list[bytes]:
        """See `CheckpointSource.consistency`."""
        del session
        return self.path(old_size, size)


@functools.cache
def _artifact() -> artifacts.Artifact:
    """Loading checks the digest of the whole file; once is enough for all blocks."""
    return artifacts.load("EvidenceLog")


def _proof(trie: Any, key: bytes) -> list[bytes]:
    return [rlp.encode(node) for node in trie.get_proof(key)]


def _parse(raw: bytes) -> _Tx:
    try:
        fields = canonical_parse(raw)
        assert isinstance(fields, Mapping)
        nonce, max_fee, size = fields["nonce"], fields["max_fee"], fields["size"]
        root, proof = fields["root"], fields["proof"]
    except (InputError, AssertionError, KeyError) as exc:
        raise ConflictError("this is no valid transaction", code="chain.refused") from exc
    assert isinstance(nonce, int)
    assert isinstance(max_fee, int)
    assert isinstance(size, int)
    assert isinstance(root, str)
    assert isinstance(proof, Sequence)
    return _Tx(
        raw=raw,
        tx_hash="0x" + keccak(raw).hex(),
        nonce=nonce,
        max_fee=max_fee,
        size=size,
        root=bytes.fromhex(root),
        proof=tuple(bytes.fromhex(str(step)) for step in proof),
    )


def _extends(head: LogHead, tx: _Tx) -> bool:
    try:
        merkle.verify_consistency(
            old_size=head.size, old_root=head.root, size=tx.size, root=tx.root, path=tx.proof
        )
    except VerificationError:
        return False
    return True


def _silence() -> UnavailableError:
    return UnavailableError("the fake chain does not answer", code="chain.unreachable")
