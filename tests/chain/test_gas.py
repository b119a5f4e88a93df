"""Gas of whole transactions, against contracts/gas.json: a growth of more than one in a hundred fails.

`python tests/chain/test_gas.py` measures and writes its keys; other files measure the others.
"""

from __future__ import annotations

import itertools
import json
import runpy
import sys
import tempfile
from pathlib import Path

import pytest

from ledger.core.merkle import consistency_path, root
from ledger.embedded_chain import EmbeddedChain

ROOT = Path(__file__).parents[2]
GAS_FILE = ROOT / "contracts" / "gas.json"
BATCH = 1024
MILLION = 1_000_000
uniform_reader = runpy.run_path(
    str(ROOT / "tests" / "golden" / "chain" / "generate_merkle_vectors.py")
)["uniform_reader"]


def measure(folder: Path) -> dict[str, int]:
    """Deploy, then append 1,024 documents at a million leaves, and at the size with the longest path."""
    seconds = itertools.count(1_700_000_000)
    chain = EmbeddedChain(folder, clock=lambda: float(next(seconds)))
    node = uniform_reader()

    def append(size: int) -> int:
        held = chain.head().size
        path = consistency_path(held, size=size, node=node)
        signed = chain.sign_append(
            size=size,
            root=root(size, node),
            proof=path,
            nonce=chain.nonce(),
            fees=chain.fees(),
        )
        chain.send(signed.raw)
        return chain.find_append(size=size, root=root(size, node)).gas_used

    try:
        deployment = chain.deploy()
        header = chain._chain.get_canonical_block_header_by_number(deployment.block_number)
        first = append(MILLION - BATCH)
        million = append(MILLION)
        append(2**20 - 1)
        return {
            "deploy": int(header.gas_used),
            "checkpoint_first": first,
            "checkpoint_1m": million,
            "checkpoint_1m_longest_path": append(2**20 + 5),
            "per_document_1024": -(-million // BATCH),
        }
    finally:
        chain.close()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("gas"))


@pytest.fixture(scope="module")
def recorded():
    return json.loads(GAS_FILE.read_text())


def test_every_figure_is_recorded(measured, recorded):
    assert set(measured) <= set(recorded)


def test_no_figure_has_grown_by_more_than_one_in_a_hundred(measured, recorded):
    grown = {
        name: (recorded[name], gas)
        for name, gas in measured.items()
        if gas * 100 > recorded[name] * 101
    }
    assert not grown, "run `python tests/chain/test_gas.py` if the growth is meant"


def test_a_checkpoint_at_a_million_leaves_costs_at_most_60_000(measured):
    assert measured["checkpoint_1m"] <= 60_000


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        figures = {**json.loads(GAS_FILE.read_text()), **measure(Path(folder))}
    text = json.dumps(figures, indent=1, sort_keys=True) + "\n"
    GAS_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
