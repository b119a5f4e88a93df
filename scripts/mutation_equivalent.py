"""Survivors of the mutation of contracts that no input can tell from the original, each with its reason."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

from typing import Final

EQUIVALENT: Final[dict[tuple[str, str, str], str]] = {
    ("src/libraries/RoundTables.sol", "rootOf", "5 -> 6 #3"): (
        "The level above is hashed past its end. What comes of it lies behind the level, where the next turn "
        "puts the empty node or nothing reads; only gas is lost."
    ),
    ("src/SignerRegistry.sol", "requireValid", "level < assurance: < -> <="): (
        "An equal level is assigned over itself."
    ),
}
"""(file, function, mutation) -> why."""
