"""Started by test_embedded_kill.py under kill_at_write.c: dies before every write in turn; looks what is left.

Each life is a forked child over its own copy of the folder; the parent opens what a dead child left, checks it
and goes on with it. Prints one line: lives, deaths, writes in the longest life.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

from ledger.chain_proof import verify_chain_evidence
from ledger.embedded_chain import EmbeddedChain
from ledger.testing import MemoryLog

APPENDS = 2
NOW = 1_700_000_000.0
WRITES_MAX = 5000
"""Far more than a life has: the loop ends by itself, or something is wrong."""


def opened(folder: Path) -> EmbeddedChain:
    return EmbeddedChain(folder, clock=lambda: NOW)


def append(chain: EmbeddedChain, log: MemoryLog) -> None:
    held = chain.head().size
    size, root = log.grow(1)
    signed = chain.sign_append(
        size=size, root=root, proof=log.path(held, size), nonce=chain.nonce(), fees=chain.fees()
    )
    chain.send(signed.raw)


def live(folder: Path, heard: mmap.mmap) -> None:
    """Deploy where there is nothing, then append; `heard` is what the caller was told, kept by no write."""
    chain, log = opened(folder), MemoryLog()
    chain.deploy()
    heard[0] = 1
    log.grow(chain.head().size)
    for _ in range(APPENDS):
        append(chain, log)
        heard[1] += 1
    chain.close()


def check(folder: Path, *, before: int, deployed: int, heard: int) -> None:
    """What was acknowledged is there, at most one act more, whole; and the chain goes on."""
    chain, log = opened(folder), MemoryLog()
    if chain.nonce() == 0:
        assert not deployed, "an acknowledged deployment is lost"
    chain.deploy()
    head = chain.head()
    assert before + heard <= head.size <= before + heard + 1, (before, heard, head.size)
    assert head.index == head.size
    assert chain.nonce() == 1 + head.size
    log.grow(head.size)
    assert head.root == log.root(head.size)
    append(chain, log)
    seen = chain.find_append(size=head.size + 1, root=log.root(head.size + 1))
    assert seen is not None
    assert seen.block_number == head.size + 2
    verify_chain_evidence(chain.evidence(seen.block_number), size=seen.size, root=seen.root)
    chain.close()


def main() -> None:
    base, work, before, torn = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    stride, offset = int(sys.argv[5]), int(sys.argv[6])
    shim = ctypes.CDLL(None)
    shim.fuqi_arm.argtypes = [ctypes.c_long, ctypes.c_int]
    heard = mmap.mmap(-1, 8)
    deaths = 0
    for at in range(offset, WRITES_MAX, stride):
        shutil.rmtree(work, ignore_errors=True)
        if base.is_dir():
            shutil.copytree(base, work)
        heard[0:2] = b"\x00\x00"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                shim.fuqi_arm(at, torn == "torn")
                live(work, heard)
                shim.fuqi_arm(-1, 0)
                status = 0
            except BaseException:  # noqa: BLE001 - a child must not run on as its parent
                traceback.print_exc()
            finally:
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL
        assert killed or ended == 0, f"a life ended otherwise: {ended}"
        check(work, before=before, deployed=heard[0], heard=heard[1])
        if not killed:
            assert heard[1] == APPENDS
            sys.stdout.write(f"{deaths} {at}\n")
            return
        deaths += 1  # noqa: SIM113 - `at` counts writes
    raise AssertionError("a life without end")


if __name__ == "__main__":
    main()
