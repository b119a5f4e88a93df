"""How EvidenceLog keeps its head in storage: what a proof from bytes alone has to read.

Apart from `contracts.abi`, so that a verifier needs no ABI library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.core.errors import VerificationError

ROOT_SLOT: Final = 0
HEAD_SLOT: Final = 1
"""Storage slots: slot 0 is the root; slot 1 packs size, time and index, 64 bits each, from the right."""
ROOT_PATH: Final = bytes.fromhex("290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563")
HEAD_PATH: Final = bytes.fromhex("b10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6")
"""Keccak-256 of the slots as words: where they lie in the storage trie."""
_WORD_BITS: Final = 64
_WORD: Final = 2**_WORD_BITS - 1


@dataclass(frozen=True, slots=True)
class Head:
    """What the contract stores: `size` leaves, block `time` in seconds, `index` checkpoints so far, `root`."""

    size: int
    time: int
    index: int
    root: bytes


def unpack_head(root_word: bytes, head_word: bytes) -> Head:
    """The head in storage slots `ROOT_SLOT` and `HEAD_SLOT`, each 32 bytes.

    Raises:
        VerificationError: `contracts.storage_malformed` when bits above the three numbers are set.
    """
    packed = int.from_bytes(head_word, "big")
    if len(root_word) != 32 or len(head_word) != 32 or packed >> (3 * _WORD_BITS):
        raise VerificationError(
            "these storage words are not an EvidenceLog head", code="contracts.storage_malformed"
        )
    return Head(
        size=packed & _WORD,
        time=(packed >> _WORD_BITS) & _WORD,
        index=(packed >> (2 * _WORD_BITS)) & _WORD,
        root=root_word,
    )
