"""Keccak-256 by the fastest way that this machine has.

Verifying a receipt needs the standard library and `cryptography` only. Where pycryptodome happens to be
installed (the chain adapters bring it), its C code hashes a hundred times faster; the digests are the same,
see tests/unit/ledger/test_keccak.py.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Final

from ledger.core.keccak import keccak_256 as in_python

_crypto: ModuleType | None
try:
    from Crypto.Hash import keccak as _crypto
except ImportError:  # the verifier alone, without the chain adapters
    _crypto = None


def in_c(data: bytes) -> bytes:
    """The digest by pycryptodome; only where `IS_FAST`."""
    assert _crypto is not None
    return bytes(_crypto.new(digest_bits=256, data=data).digest())


IS_FAST: Final = _crypto is not None
keccak: Final[Callable[[bytes], bytes]] = in_c if IS_FAST else in_python
"""Keccak-256 of the given bytes, 32 bytes long."""
