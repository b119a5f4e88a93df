"""Started by test_embedded_chain.py: appends for ever and prints each size once it is on the chain."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from ledger.embedded_chain import EmbeddedChain
from ledger.testing import MemoryLog


def main() -> None:
    folder, start = Path(sys.argv[1]), int(sys.argv[2])
    ticks = itertools.count(start)
    chain, log = EmbeddedChain(folder, clock=lambda: float(next(ticks))), MemoryLog()
    chain.deploy()
    log.grow(chain.head().size)
    while True:
        held = chain.head().size
        size, root = log.grow(1)
        signed = chain.sign_append(
            size=size,
            root=root,
            proof=log.path(held, size),
            nonce=chain.nonce(),
            fees=chain.fees(),
        )
        sys.stdout.write(f"{size}?\n")
        sys.stdout.flush()
        chain.send(signed.raw)
        sys.stdout.write(f"{size}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
