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


def measures() -> Iterator[Measure]:
    figures = json.loads(GAS.read_text("utf-8"))
    for name, gas in sorted(figures.items()):
        if not isinstance(gas, int):
            continue
        if not name.startswith(("checkpoint", "per_document")):
            yield Measure(f"gas.{name}", gas, "gas", 1)  # the plain way does nothing comparable
        else:
            against = "one document's hash stored in a transaction of its own"
            yield Measure(f"gas.{name}", gas, "gas", 1, ONE_EACH_GAS, against)
