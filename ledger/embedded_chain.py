"""An Ethereum chain inside this process: py-evm, one file, one key, one transaction per block.

It runs the same contract bytes as any other chain and survives restarts and kills. It proves order to whoever
operates it and nothing to a stranger: every answer that leaves it says so (`EMBEDDED_LABEL_EN`, `_ZH`).

Time: a block is made for each transaction as it comes, and carries the whole second of the operator's clock at
that moment, never less than its parent's. Blocks of the same second carry the same time; their order is their
number. (Ethereum's main network demands a later second; Clique without a period and several roll-ups do not.)

In the folder: `chain.sqlite3` (blocks, state, index) and `operator.key` (mode 0600, made at first start).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import rlp
from eth.chains.base import MiningChain
from eth.consensus.applier import ConsensusApplier
from eth.consensus.noproof import NoProofConsensus
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from eth_hash.auto import keccak
from eth_utils.exceptions import ValidationError
from trie.hexary import HexaryTrie

from contracts import abi, artifacts
from ledger.acts_port import CALL_GAS_MAX, CallAnswer, TxSeen
from ledger.chain import (
    DEPLOY_GAS,
    EMBEDDED_LABEL_EN,
    EMBEDDED_LABEL_ZH,
    AppendSeen,
    ChainInfo,
    Deployment,
    Fees,
    LogHead,
    SignedTx,
    append_gas,
    evidence_json,
)
from ledger.chain_key import OperatorKey, created_address
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, UnavailableError
from ledger.core.recursion import cap_recursion
from ledger.core.units import UnixSeconds
from ledger.embedded_store import AppendRecord, ChainFile

cap_recursion()

CHAIN_FILE: Final = "chain.sqlite3"
KEY_FILE: Final = "operator.key"
CHAIN_ID_BASE: Final = 0x66757169 << 20
"""`fuqi` in ASCII, then 20 bits of the operator's address: two installations rarely share an id."""
BLOCK_GAS_LIMIT: Final = 30_000_000
GENESIS_TIME: Final = 0
"""The genesis block claims no time; every later block has the real one."""
GENESIS_BALANCE: Final = 10**30
"""Wei; lasts for more blocks than the file can hold."""
TIP_WEI: Final = 1
TRANSFER_GAS: Final = 21_000
RELAYER_BALANCE: Final = 10**27
"""Wei; a thousandth of what the operator begins with, and never used up either."""
_SUCCEEDED: Final = b"\x01"
"""Status in a receipt (EIP-658)."""
CLOCK_WAIT_SECONDS_MAX: Final = 2
"""A clock corrected by less is waited for; one further behind the last block was set back, and we say so."""
RAW_BYTES_MAX: Final = 128 * 1024
"""The size above which Ethereum nodes refuse a transaction."""


def open_embedded_chain(folder: Path) -> EmbeddedChain:
    """Open the chain in `folder`, or begin one there; the contract is deployed by `deploy()`.

    Raises:
        UnavailableError: `chain.locked`, `chain.disk_full`, `chain.store_failed`, `chain.key_unwritable`.
        ConflictError: `chain.key_permissions`, `chain.key_malformed`, `chain.key_mismatch`.
    """
    return EmbeddedChain(folder)


class EmbeddedChain:
    """A `ChainPort` (see there) over py-evm."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open or begin the chain; `clock` gives seconds since 1970."""
        self._lock = threading.RLock()
        self._clock = clock
        self._sleep = sleep
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise UnavailableError(
                "the folder of the embedded chain cannot be made", code="chain.store_failed"
            ) from exc
        # The lock first: two first starts at once must not make two keys for one chain.
        self._file = ChainFile(folder / CHAIN_FILE)
        try:
            self._key = OperatorKey.load_or_create(folder / KEY_FILE)
            self._artifact = artifacts.load("EvidenceLog")
            self._chain_id = CHAIN_ID_BASE | int.from_bytes(self._key.address[:4], "big") >> 12
            self._chain_class = _chain_class(self._chain_id)
            if self._file.meta("operator") is None:
                self._begin()
            elif self._file.meta("operator") != self._key.address_hex:
                raise ConflictError(
                    "operator.key is not the key this chain was begun with; put the right one back",
                    code="chain.key_mismatch",
                )
            self._chain = self._fresh_chain()
            self._senders = {self._key.address}
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Give the file back; the chain object is dead after this."""
        with self._lock:
            self._file.close()

    def info(self) -> ChainInfo:
        """See `ChainPort.info`."""
        return ChainInfo(
            chain_id=self._chain_id,
            kind="embedded",
            name="fuqi embedded",
            client="py-evm Prague in process",
            finality="final when written: one operator, no reorganisation",
            label_en=EMBEDDED_LABEL_EN,
            label_zh=EMBEDDED_LABEL_ZH,
        )

    def deploy(self, stored: Deployment | None = None) -> Deployment:
        """See `ChainPort.deploy`. The deployment is transaction 0 of the operator."""
        with self._lock:
            address = created_address(self._key.address, 0)
            if self.nonce() == 0 and stored is None:
                creation = self._artifact.bytecode + abi.encode_constructor(self._key.address)
                signed = self._sign(
                    nonce=0, gas=DEPLOY_GAS, fees=self.fees(), to=None, data=creation
                )
                self.send(signed.raw)
            found = self._deployment(address)
            if found is None or (stored is not None and stored != found):
                raise ConflictError(
                    "this chain does not hold the contract that the database knows",
                    code="chain.deployment_missing",
                )
            return found

    def head(self, *, final: bool = False) -> LogHead:
        """See `ChainPort.head`; here every block is final."""
        del final
        with self._lock:
            address = self._contract()
            state = self._chain.get_vm(self._chain.get_canonical_head()).state
            words = [
                int(state.get_storage(address, slot)).to_bytes(32, "big")
                for slot in (abi.ROOT_SLOT, abi.HEAD_SLOT)
            ]
            head = abi.unpack_head(words[0], words[1])
            return LogHead(
                size=head.size, root=head.root, index=head.index, time=UnixSeconds(head.time)
            )

    def nonce(self, *, final: bool = False) -> int:
        """See `ChainPort.nonce`."""
        del final
        with self._lock:
            state = self._chain.get_vm(self._chain.get_canonical_head()).state
            return int(state.get_nonce(self._key.address))

    def fees(self) -> Fees:
        """See `ChainPort.fees`: twice the next block's base fee, which is never exceeded."""
        with self._lock:
            parent = self._chain.get_canonical_head()
            header: Any = self._chain.create_header_from_parent(
                parent, gas_limit=parent.gas_limit, timestamp=parent.timestamp + 1
            )
            return Fees(max_fee=2 * int(header.base_fee_per_gas) + TIP_WEI, priority=TIP_WEI)

    def sign_append(
        self, *, size: int, root: bytes, proof: Sequence[bytes], nonce: int, fees: Fees
    ) -> SignedTx:
        """See `ChainPort.sign_append`."""
        return self._sign(
            nonce=nonce,
            gas=append_gas(len(proof)),
            fees=fees,
            to=created_address(self._key.address, 0),
            data=abi.encode_append(size=size, root=root, proof=proof),
        )

    def send(self, raw: bytes) -> None:
        """See `ChainPort.send`: mined, and so final, before this returns."""
        with self._lock:
            transaction = self._decode(raw)
            if self._file.block_of(transaction.hash) is not None:
                return
            expected = self.nonce_of(transaction.sender)
            if transaction.nonce < expected:
                raise ConflictError("this nonce was used before", code="chain.nonce_used")
            if transaction.nonce > expected:
                raise ConflictError(
                    "an earlier nonce is missing", code="chain.nonce_gap", expected=expected
                )
            timestamp = self._next_timestamp()
            try:
                with self._file.block():
                    self._mine(transaction, timestamp)
            except BaseException:
                # Nothing reached the file: forget what the chain object believes.
                self._chain = self._fresh_chain()
                raise

    def find_append(self, *, size: int, root: bytes) -> AppendSeen | None:
        """See `ChainPort.find_append`."""
        with self._lock:
            found = self._file.append_of(size)
        if found is None or found.root != root:
            return None
        return AppendSeen(
            tx_hash=found.tx_hash,
            block_number=found.block_number,
            block_hash=found.block_hash,
            block_time=UnixSeconds(found.block_time),
            gas_used=found.gas_used,
            size=found.size,
            root=found.root,
            final=True,
        )

    def evidence(self, block_number: int) -> dict[str, Json]:
        """See `ChainPort.evidence`: proofs straight from the state trie; no state is ever discarded."""
        with self._lock:
            contract = self._contract()
            if not 0 <= block_number <= self._chain.get_canonical_head().block_number:
                raise UnavailableError("there is no such block", code="chain.evidence_unavailable")
            header = self._chain.get_canonical_block_header_by_number(block_number)
            store: Any = self._chain.chaindb.db
            accounts = HexaryTrie(store, header.state_root)
            account = accounts.get(keccak(contract))
            if not account:
                raise UnavailableError(
                    "the contract did not stand yet in that block",
                    code="chain.evidence_unavailable",
                )
            slots = HexaryTrie(store, rlp.decode(account)[2])
            proofs: dict[str, tuple[int, int, Sequence[bytes]]] = {}
            for name, slot in (("root", abi.ROOT_SLOT), ("head", abi.HEAD_SLOT)):
                key = keccak(slot.to_bytes(32, "big"))
                value = int.from_bytes(rlp.decode(slots.get(key)), "big")
                proofs[name] = (slot, value, _proof(slots, key))
            return evidence_json(
                info=self.info(),
                contract="0x" + contract.hex(),
                block_number=block_number,
                block_hash="0x" + header.hash.hex(),
                header_rlp=rlp.encode(header),
                account_proof=_proof(accounts, keccak(contract)),
                storage_proofs=proofs,
                code_hash="0x" + self._artifact.code_hash.hex(),
            )

    def call(self, data: bytes) -> bytes:
        """Ask the contract a question in the newest block; returns its answer or its revert data."""
        with self._lock:
            contract = self._contract()
            vm: Any = self._chain.get_vm(self._chain.get_canonical_head())
            # The state object is thrown away afterwards, so whatever the call writes is lost.
            computation = vm.execute_bytecode(
                origin=self._key.address,
                gas_price=0,
                gas=BLOCK_GAS_LIMIT,
                to=contract,
                sender=self._key.address,
                value=0,
                data=data,
                code=vm.state.get_code(contract),
            )
            return bytes(computation.output)

    def admit(self, relayer: bytes) -> None:
        """See `ActsPort.admit`: one transaction of the operator gives the relayer money, once."""
        with self._lock:
            self._contract()
            self._senders.add(relayer)
            state = self._chain.get_vm(self._chain.get_canonical_head()).state
            if int(state.get_balance(relayer)) > 0:
                return
            signed = self._key.sign(
                chain_id=self._chain_id,
                nonce=self.nonce(),
                gas=TRANSFER_GAS,
                fees=self.fees(),
                to=relayer,
                data=b"",
                value=RELAYER_BALANCE,
            )
            self.send(signed.raw)

    def nonce_of(self, account: bytes, *, final: bool = False) -> int:
        """See `ActsPort.nonce_of`."""
        del final
        with self._lock:
            state = self._chain.get_vm(self._chain.get_canonical_head()).state
            return int(state.get_nonce(account))

    def gas_for(self, sender: bytes, *, to: bytes | None, data: bytes) -> int:
        """See `ActsPort.gas_for`: nobody pays anybody here, so the limit is the highest there is."""
        del sender, to, data
        return CALL_GAS_MAX

    def ask(self, to: bytes, data: bytes) -> CallAnswer:
        """See `ActsPort.ask`, in a block that would be made now."""
        with self._lock:
            parent = self._chain.get_canonical_head()
            header = self._chain.create_header_from_parent(
                parent,
                timestamp=self._next_timestamp(),
                gas_limit=parent.gas_limit,
                coinbase=self._key.address,
            )
            vm: Any = self._chain.get_vm(header)
            computation = vm.execute_bytecode(
                origin=self._key.address,
                gas_price=0,
                gas=CALL_GAS_MAX,
                to=to,
                sender=self._key.address,
                value=0,
                data=data,
                code=vm.state.get_code(to),
            )
            return CallAnswer(done=not computation.is_error, data=bytes(computation.output))

    def code_hash_of(self, address: bytes) -> str:
        """See `ActsPort.code_hash_of`."""
        with self._lock:
            state = self._chain.get_vm(self._chain.get_canonical_head()).state
            return "0x" + keccak(bytes(state.get_code(address))).hex()

    def transaction(self, tx_hash: str) -> TxSeen | None:
        """See `ActsPort.transaction`."""
        with self._lock:
            number = self._file.block_of(bytes.fromhex(tx_hash[2:]))
            if number is None:
                return None
            header = self._chain.get_canonical_block_header_by_number(number)
            receipt: Any = self._chain.get_transaction_receipt(bytes.fromhex(tx_hash[2:]))
            return TxSeen(
                tx_hash=tx_hash,
                block_number=number,
                block_hash="0x" + header.hash.hex(),
                block_time=UnixSeconds(header.timestamp),
                # One transaction per block.
                gas_used=int(header.gas_used),
                done=receipt.state_root == _SUCCEEDED,
                final=True,
            )

    def _begin(self) -> None:
        """Write genesis: one rich account, no contract, no time."""
        state = {
            self._key.address: {"balance": GENESIS_BALANCE, "nonce": 0, "code": b"", "storage": {}}
        }
        header = {
            "coinbase": self._key.address,
            "difficulty": 0,
            "extra_data": b"fuqi",
            "gas_limit": BLOCK_GAS_LIMIT,
            "mix_hash": bytes(32),
            "nonce": bytes(8),
            "timestamp": GENESIS_TIME,
        }
        with self._file.block():
            self._chain_class.from_genesis(AtomicDB(self._file), header, state)
            self._file.set_meta("operator", self._key.address_hex)

    def _fresh_chain(self) -> Any:
        return self._chain_class(AtomicDB(self._file))

    def _contract(self) -> bytes:
        if self.nonce() == 0:
            raise ConflictError("the contract is not deployed yet", code="chain.not_deployed")
        return created_address(self._key.address, 0)

    def _deployment(self, address: bytes) -> Deployment | None:
        state = self._chain.get_vm(self._chain.get_canonical_head()).state
        code = bytes(state.get_code(address))
        number, tx_hash = self._file.meta("deployed_block"), self._file.meta("deployed_tx")
        if keccak(code) != self._artifact.code_hash or number is None or tx_hash is None:
            return None
        return Deployment(
            chain_id=self._chain_id,
            address="0x" + address.hex(),
            block_number=int(number),
            tx_hash=tx_hash,
            artifact_sha256=self._artifact.sha256,
            code_hash="0x" + self._artifact.code_hash.hex(),
        )

    def _sign(self, *, nonce: int, gas: int, fees: Fees, to: bytes | None, data: bytes) -> SignedTx:
        return self._key.sign(
            chain_id=self._chain_id, nonce=nonce, gas=gas, fees=fees, to=to, data=data
        )

    def _decode(self, raw: bytes) -> Any:
        if len(raw) > RAW_BYTES_MAX:
            raise ConflictError("the transaction is too large", code="chain.refused")
        try:
            transaction: Any = self._chain.get_vm().get_transaction_builder().decode(raw)
            transaction.validate()
            sender, chain_id = transaction.sender, transaction.chain_id
        except (ValidationError, rlp.exceptions.RLPException, ValueError, TypeError) as exc:
            raise ConflictError("this is no valid transaction", code="chain.refused") from exc
        if sender not in self._senders or chain_id != self._chain_id:
            raise ConflictError("of another key or another chain", code="chain.refused")
        return transaction

    def _next_timestamp(self) -> int:
        """Real UTC in whole seconds, never before the parent's."""
        parent = int(self._chain.get_canonical_head().timestamp)
        for _ in range(CLOCK_WAIT_SECONDS_MAX + 1):
            now = self._clock()
            if int(now) >= parent:
                return int(now)
            if parent - now > CLOCK_WAIT_SECONDS_MAX:
                break
            self._sleep(parent - now)
        raise UnavailableError(
            "the computer's clock is behind the last block; set it right, then try again",
            code="chain.clock_behind",
            block_time=parent,
        )

    def _mine(self, transaction: Any, timestamp: int) -> None:
        parent = self._chain.get_canonical_head()
        self._chain.header = self._chain.create_header_from_parent(
            parent,
            timestamp=timestamp,
            gas_limit=parent.gas_limit,
            coinbase=self._key.address,
        )
        with _refusals():
            result, receipts, _ = self._chain.mine_all([transaction])
        header = result.imported_block.header
        self._file.index_transaction(transaction.hash, header.block_number)
        if header.block_number == 1:
            self._file.set_meta("deployed_block", "1")
            self._file.set_meta("deployed_tx", "0x" + transaction.hash.hex())
        for record in receipts[0].logs:
            topics = [int(topic).to_bytes(32, "big") for topic in record.topics]
            seen = abi.decode_checkpoint(topics, record.data)
            if seen is not None:
                self._file.index_append(
                    AppendRecord(
                        size=seen.size,
                        root=seen.root,
                        tx_hash="0x" + transaction.hash.hex(),
                        block_number=header.block_number,
                        block_hash="0x" + header.hash.hex(),
                        block_time=header.timestamp,
                        gas_used=header.gas_used,
                    )
                )


class _SameSecondVM(PragueVM):
    """Prague rules, but that a block may carry the same second as its parent."""

    @classmethod
    def validate_header(cls, header: Any, parent_header: Any) -> None:
        """Every rule of Prague; for a block of its parent's second, as if it came a second later."""
        if parent_header is not None and header.timestamp == parent_header.timestamp:
            header = header.copy(timestamp=header.timestamp + 1)
        super().validate_header(header, parent_header)


def _chain_class(chain_id: int) -> Any:
    """A py-evm chain of this id under Prague rules, where nobody votes on blocks."""
    rules = ConsensusApplier(NoProofConsensus).amend_vm_configuration(((0, _SameSecondVM),))
    return type("FuqiChain", (MiningChain,), {"chain_id": chain_id, "vm_configuration": rules})


def _proof(trie: Any, key: bytes) -> list[bytes]:
    """Proof nodes root first; nodes that lie inside their parent are left out, as nodes do."""
    nodes = [rlp.encode(node) for node in trie.get_proof(key)]
    return [node for i, node in enumerate(nodes) if i == 0 or len(node) >= 32]


@contextmanager
def _refusals() -> Iterator[None]:
    """py-evm's validation errors, as the chain's refusal."""
    try:
        yield
    except ValidationError as exc:
        raise ConflictError(
            f"the chain refuses this transaction: {exc}", code="chain.refused"
        ) from exc
