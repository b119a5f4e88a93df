"""Writes evidence_embedded.json and evidence_anvil.json, once: they stand for what earlier versions wrote.

`python tests/golden/chain/generate_evidence.py FILE [URL]`; not part of `make golden`, because keys and
times differ at every run. The chains are throw-away: invented data, no value.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ledger.chain_key import OperatorKey
from ledger.embedded_chain import EmbeddedChain
from ledger.testing import MemoryLog
from ledger.web3_chain import Web3Chain

# The first account of anvil's public test mnemonic: money on no chain but a test node.
ANVIL_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")


def golden(chain: Any) -> dict[str, Any]:
    chain.deploy()
    log = MemoryLog()
    for count in (5, 8):
        held = log.latest()
        size, root = log.grow(count)
        path = log.path(held[0], size) if held else []
        signed = chain.sign_append(
            size=size, root=root, proof=path, nonce=chain.nonce(), fees=chain.fees()
        )
        chain.send(signed.raw)
    seen = chain.find_append(size=size, root=root)
    return {
        "SOURCE": f"{chain.info().client}; see generate_evidence.py beside this file",
        "size": size,
        "root": root.hex(),
        "index": 2,
        "block_hash": seen.block_hash,
        "evidence": chain.evidence(seen.block_number),
    }


def main() -> None:
    target = Path(sys.argv[1])
    if len(sys.argv) > 2:
        made = golden(Web3Chain(sys.argv[2], key=OperatorKey(ANVIL_KEY)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            seconds = itertools.count(1_700_000_000)
            chain = EmbeddedChain(Path(folder), clock=lambda: float(next(seconds)))
            made = golden(chain)
            chain.close()
    target.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
