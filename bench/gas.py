"""Gas of the contract's acts, from the committed contracts/gas.json (kept true by the contract tests)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Measure

GAS = Path(__file__).resolve().parent.parent / "contracts" / "gas.json"
ONE_EACH_GAS = 43_100
"""The plain way: a transaction per document that stores its hash in a fresh slot.

21,000 for the transaction and 22,100 for a cold zero-to-non-zero SSTORE (EIP-2929).
"""


BASELINES = GAS.with_name("gas_baselines.json")
"""EAS and OpenZeppelin: tests/chain/test_gas_baselines.py measures them and says what each leaves out."""
BESIDE = {
    "seal_p256_1": "eas_attest_by_delegation_first",
    "seal_p256_2": "eas_attest_by_delegation_2",
    "seal_p256_3": "eas_attest_by_delegation_3",
    "checkpoint_1m": "eas_timestamp",
    "checkpoint_1m_longest_path": "eas_timestamp",
    "per_document_1024": "eas_timestamp_per_document_1024",
    "lot_move_new": "oz_permit_and_transfer_new",
    "lot_move_existing": "oz_permit_and_transfer_existing",
}


def measures() -> Iterator[Measure]:
    figures = json.loads(GAS.read_text("utf-8"))
    theirs = json.loads(BASELINES.read_text("utf-8"))
    for name, gas in sorted(figures.items()):
        beside = BESIDE.get(name)
        if beside is not None:
            against = f"{beside}: {theirs['notes'][beside]}"
            yield Measure(f"gas.{name}", gas, "gas", 1, theirs["gas"][beside], against)
        elif name.startswith("checkpoint"):
            against = "one document's hash stored in a transaction of its own"
            yield Measure(f"gas.{name}", gas, "gas", 1, ONE_EACH_GAS, against)
        else:
            yield Measure(f"gas.{name}", gas, "gas", 1)  # nobody's contract does the same
