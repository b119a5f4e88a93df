"""The writer key of EvidenceLog and the transactions it signs. No network, no chain state."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

import rlp
from eth_account import Account
from eth_hash.auto import keccak

from ledger.chain import Fees, SignedTx
from ledger.core.errors import ConflictError, NotFoundError, UnavailableError
from ledger.core.recursion import cap_recursion

cap_recursion()

_KEY_TEXT: Final = re.compile(r"^(0x)?[0-9a-fA-F]{64}\n?$")
_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of secp256k1 (SEC 2, section 2.4.1)."""
_FOREIGN_BITS: Final = stat.S_IRWXG | stat.S_IRWXO


class OperatorKey:
    """A secp256k1 key. It writes checkpoints; it signs nobody's agreement."""

    def __init__(self, secret: bytes) -> None:
        """Wrap 32 secret bytes."""
        assert len(secret) == 32
        self._account = Account.from_key(secret)

    @classmethod
    def create(cls) -> OperatorKey:
        """A fresh random key."""
        return cls(_fresh_secret())

    @classmethod
    def load(cls, path: Path) -> OperatorKey:
        """Read a key file: 64 hex digits, mode 0600.

        Raises:
            NotFoundError: `chain.key_missing`.
            ConflictError: `chain.key_permissions`, `chain.key_malformed`.
            UnavailableError: `chain.key_unreadable`.
        """
        try:
            if os.name == "posix" and path.stat().st_mode & _FOREIGN_BITS:
                raise ConflictError(
                    "the chain key can be read by others; run chmod 600 on it",
                    code="chain.key_permissions",
                )
            text = path.read_text(encoding="ascii")
        except FileNotFoundError as exc:
            raise NotFoundError("there is no chain key file", code="chain.key_missing") from exc
        except (OSError, UnicodeDecodeError) as exc:
            raise UnavailableError(
                "the chain key file cannot be read", code="chain.key_unreadable"
            ) from exc
        if not _KEY_TEXT.match(text):
            raise ConflictError("the chain key file is malformed", code="chain.key_malformed")
        try:
            return cls(bytes.fromhex(text.strip().removeprefix("0x")))
        except ValueError as exc:
            raise ConflictError(
                "the chain key file is malformed", code="chain.key_malformed"
            ) from exc

    @classmethod
    def load_or_create(cls, path: Path) -> OperatorKey:
        """Read the key file, or make it at first start.

        Raises:
            UnavailableError: `chain.key_unwritable`, and the codes of `load`.
        """
        if not path.exists():
            try:
                _write_once(path, _fresh_secret().hex() + "\n")
            except OSError as exc:
                raise UnavailableError(
                    "the chain key file cannot be written", code="chain.key_unwritable"
                ) from exc
        return cls.load(path)

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return bytes.fromhex(self._account.address[2:])

    @property
    def address_hex(self) -> str:
        """`0x` and 40 lower-case digits."""
        return "0x" + self.address.hex()

    def sign_digest(self, digest: bytes) -> bytes:
        """r, s, v (65 bytes, lower s) over 32 bytes that `contracts` has made of an act (EIP-712)."""
        assert len(digest) == 32
        return bytes(self._account.unsafe_sign_hash(digest).signature)

    def sign(
        self,
        *,
        chain_id: int,
        nonce: int,
        gas: int,
        fees: Fees,
        to: bytes | None,
        data: bytes,
        value: int = 0,
    ) -> SignedTx:
        """Sign a transaction with dynamic fees (EIP-1559); `to` None creates a contract; `value` in wei."""
        fields = {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": min(fees.priority, fees.max_fee),
            "value": value,
            "data": data,
            **({} if to is None else {"to": to}),
        }
        signed = self._account.sign_transaction(fields)
        return SignedTx(raw=bytes(signed.raw_transaction), tx_hash="0x" + bytes(signed.hash).hex())


def created_address(sender: bytes, nonce: int) -> bytes:
    """Address of the contract that transaction `nonce` of `sender` creates. Yellow paper, section 7."""
    return keccak(rlp.encode([sender, nonce]))[12:]


def _fresh_secret() -> bytes:
    """Uniform in 1 .. order - 1."""
    return (1 + secrets.randbelow(_ORDER - 1)).to_bytes(32, "big")


def _write_once(path: Path, text: str) -> None:
    """A crash leaves no file or a whole one: written aside, then linked under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Where somebody else was first, his key is the one that counts.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink(missing_ok=True)
