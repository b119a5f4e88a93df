"""The embedded chain: appends per second, each on disk before the next; growth of its file; opening it again.

`--full` makes ten thousand blocks (five minutes) instead of five hundred.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Measure
from ledger.embedded_chain import CHAIN_FILE, EmbeddedChain
from ledger.testing import MemoryLog

BLOCKS, BLOCKS_FULL = 500, 10_000
ROOT = Path(__file__).resolve().parent.parent
_REOPEN = (
    "import sys, time; from pathlib import Path; from ledger.embedded_chain import open_embedded_chain\n"
    "began = time.perf_counter(); chain = open_embedded_chain(Path(sys.argv[1]))\n"
    "chain.deploy(); head = chain.head(); took = time.perf_counter() - began\n"
    "chain.close(); print(took, head.size)"
)


def measures(*, full: bool = False) -> Iterator[Measure]:
    # Of their own name: a short run later must not take the place of the long one's figures.
    blocks, suffix = (BLOCKS_FULL, "_10k") if full else (BLOCKS, "")
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        folder = Path(name)
        chain, log = EmbeddedChain(folder), MemoryLog()
        chain.deploy()
        _append(chain, log)
        before = (folder / CHAIN_FILE).stat().st_size
        began = time.perf_counter()
        for _ in range(blocks):
            _append(chain, log)
        took = time.perf_counter() - began
        chain.close()
        after = (folder / CHAIN_FILE).stat().st_size
        yield Measure(f"embedded.appends{suffix}", blocks / took, "tx/s", blocks)
        yield Measure(f"embedded.growth{suffix}", (after - before) / blocks, "bytes/block", blocks)
        began = time.perf_counter()
        # A process of its own: nothing of the chain is in memory, imports are counted apart.
        done = subprocess.run(
            [sys.executable, "-c", _REOPEN, folder],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        process = time.perf_counter() - began
        opened, size = done.stdout.split()
        assert int(size) == blocks + 1
        yield Measure(f"embedded.open{suffix}", float(opened), "s", blocks)
        yield Measure(f"embedded.open_process{suffix}", process, "s", blocks)


def _append(chain: EmbeddedChain, log: MemoryLog) -> None:
    held = chain.head().size
    size, root = log.grow(1)
    path = log.path(held, size)
    signed = chain.sign_append(
        size=size, root=root, proof=path, nonce=chain.nonce(), fees=chain.fees()
    )
    chain.send(signed.raw)
