"""Compare a slither report with the answers given: `python scripts/slither_answers.py report.json`.

The answers in full sentences stand in docs/reference/contracts-assurance.md under the same detector names; here
is which place each one covers, so that a new finding, or one in a new place, fails.
"""
# ruff: noqa: INP001  (scripts are no package and speak to a terminal)

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

ANSWERED: Final[dict[str, frozenset[str]]] = {
    "assembly": frozenset(
        {
            "src/libraries/RoundTables.sol",
            "src/libraries/Transport.sol",
            "src/libraries/Rfc9162.sol",
            "src/libraries/Keys.sol",
            "src/libraries/Sm2Curve.sol",
            "src/libraries/Sm3.sol",
            "src/verifiers/Sm2Verifier.sol",
            "src/SupplyLots.sol",
        }
    ),
    "cyclomatic-complexity": frozenset({"src/libraries/Rfc9162.sol"}),
    "divide-before-multiply": frozenset({"src/libraries/Transport.sol"}),
    "immutable-states": frozenset(
        {
            "src/Rulings.sol",
            "src/Seals.sol",
            "src/SupplyLots.sol",
            "src/verifiers/CmsVerifier.sol",
            "src/verifiers/P256Verifier.sol",
        }
    ),
    "incorrect-equality": frozenset({"src/Seals.sol"}),
    "incorrect-shift": frozenset({"src/SupplyLots.sol"}),
    "low-level-calls": frozenset(
        {
            "src/libraries/Keys.sol",
            "src/libraries/P256Curve.sol",
            "src/libraries/Rsa2048.sol",
            "src/verifiers/K1Verifier.sol",
        }
    ),
    "timestamp": frozenset(
        {"src/Rounds.sol", "src/Rulings.sol", "src/Seals.sol", "src/SignerRegistry.sol"}
    ),
    "too-many-digits": frozenset(
        {
            "src/libraries/LogEntry.sol",
            "src/libraries/P256Curve.sol",
            "src/libraries/Sm2Curve.sol",
            "src/libraries/Sm3.sol",
            "src/libraries/Transport.sol",
        }
    ),
    "unused-return": frozenset({"src/Seals.sol"}),
    "write-after-write": frozenset({"src/libraries/Sm2Curve.sol"}),
}
"""Detector -> files in which the written answer holds."""
COMPILER: Final = frozenset({"solc-version", "pragma"})
"""About the compiler's age and the packages' pragma ranges, not about a place in our sources."""


def file_of(finding: dict[str, Any]) -> str:
    """Where a finding is: the file of its first element."""
    elements = finding["elements"]
    return str(elements[0]["source_mapping"]["filename_relative"]) if elements else ""


def main() -> int:
    """Print the counts; 1 when a finding has no answer."""
    report = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    if not report["success"]:
        print(f"slither failed: {report['error']}")
        return 1
    counted: Counter[tuple[str, str]] = Counter()
    unanswered: list[str] = []
    for finding in report["results"].get("detectors", []):
        check, file = finding["check"], file_of(finding)
        if "@openzeppelin" in file:
            counted[(check, "OpenZeppelin")] += 1
        elif check in COMPILER or file in ANSWERED.get(check, frozenset()):
            counted[(check, "answered")] += 1
        else:
            unanswered.append(f"{check} ({finding['impact']}): {finding['description'].strip()}")
    for (check, whose), count in sorted(counted.items()):
        print(f"{count:3} {check} ({whose})")
    for text in unanswered:
        print(f"UNANSWERED {text}")
    print(f"slither: {sum(counted.values())} findings answered, {len(unanswered)} not")
    return 1 if unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
