"""The chain as the acts lane sees it: any of our contracts, called by a relayer that is not the log's writer.

`EmbeddedChain` and `Web3Chain` both keep this contract beside `ChainPort`; tests/chain runs one suite on both.
Errors are those of `ledger/chain.py`: UnavailableError: state unknown, ask again; ConflictError: refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from ledger.chain import ChainInfo, Fees, LogHead
from ledger.core.units import UnixSeconds

CALL_GAS_MAX: Final = 16_000_000
"""Below the ceiling that Osaka puts on one transaction (2**24, EIP-7825); unused gas is not paid."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What a call says, without a transaction; `data` is the answer, or the revert data where not `done`."""

    done: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class TxSeen:
    """A mined transaction; `done` False: it was mined and reverted. `final`: no reorganisation can undo it."""

    tx_hash: str
    block_number: int
    block_hash: str
    block_time: UnixSeconds
    gas_used: int
    done: bool
    final: bool


@runtime_checkable
class ActsPort(Protocol):
    """Calls and transactions of a relayer on one chain. Methods may be called from several threads."""

    def info(self) -> ChainInfo:
        """See `ChainPort.info`."""
        ...

    def admit(self, relayer: bytes) -> None:
        """Make sure that this account may send and can pay; again is harmless.

        On the embedded chain the operator gives it money once. Elsewhere a person does.

        Raises:
            ConflictError: `chain.not_deployed` (the log's contract comes first), `chain.insufficient_funds`.
        """
        ...

    def head(self, *, final: bool = False) -> LogHead:
        """See `ChainPort.head`: proofs of entries are made for the tree that the chain holds."""
        ...

    def nonce_of(self, account: bytes, *, final: bool = False) -> int:
        """How many transactions of this account are mined (or final)."""
        ...

    def fees(self) -> Fees:
        """See `ChainPort.fees`."""
        ...

    def gas_for(self, sender: bytes, *, to: bytes | None, data: bytes) -> int:
        """Gas limit to sign for; never above `CALL_GAS_MAX`.

        Raises:
            ConflictError: `chain.refused`: it would fail.
        """
        ...

    def send(self, raw: bytes) -> None:
        """See `ChainPort.send`."""
        ...

    def ask(self, to: bytes, data: bytes) -> CallAnswer:
        """Call a contract in the newest state, writing nothing."""
        ...

    def code_hash_of(self, address: bytes) -> str:
        """Keccak-256 of the code there, `0x` hex; of no bytes where there is none."""
        ...

    def transaction(self, tx_hash: str) -> TxSeen | None:
        """The mined transaction, or None."""
        ...
