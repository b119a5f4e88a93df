"""Runs inside the environment of `ppe_match` (scripts/getusppe_environment.sh), never in ours.

Speaks JSON lines. First argument: a folder for the distances. Each line read starts one run of the published
test bed, unchanged; strategies named `fcfm` and `proximity` are its own, any other is asked for, week by week,
on standard output and answered on standard input.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ppe_match import strategies, testing_framework

OWN = {
    "fcfm": strategies.FCFM_strategy,
    "proximity": strategies.proximity_match_strategy,
}
METRICS = (
    "fill rate",
    "fill rate exc zeros",
    "avg unit-miles",
    "avg holding time",
    "avg number of shipments",
)
say = sys.stdout


def main() -> None:
    """One line in, one run, one line out."""
    logging.disable(logging.CRITICAL)
    base = testing_framework.TestingFramework()
    share_distances(base, Path(sys.argv[1]))
    for line in sys.stdin:
        order = json.loads(line)
        tell(run(base, order["strategy"]))


def share_distances(base: Any, folder: Path) -> None:
    """Distances as an array, with the names of its rows and columns."""
    table = base.distance_mat
    donors, rows = np.unique(table.don_id, return_inverse=True)
    recipients, columns = np.unique(table.rec_id, return_inverse=True)
    miles = np.full((len(donors), len(recipients)), -1, dtype=np.int32)
    miles[rows, columns] = np.rint(table.distance).astype(np.int32)
    exact = np.zeros(miles.shape, dtype=np.float64)
    exact[rows, columns] = table.distance
    np.save(folder / "miles.npy", miles)
    names = {
        "donors": donors.tolist(),
        "recipients": recipients.tolist(),
        "donor_rows": rows_of(base.all_donors, "don_id"),
        "recipient_rows": rows_of(base.all_recipients, "rec_id"),
    }
    np.save(folder / "exact_miles.npy", exact)
    (folder / "names.json").write_text(json.dumps(names))
    tell({"ready": True})


def run(base: Any, name: str) -> dict[str, Any]:
    """One run; the seconds are those spent inside the strategy."""
    spent = [0.0]
    chosen = OWN.get(name, ask)

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        decided = chosen(*arguments)
        spent[0] += time.perf_counter() - started
        return decided

    bed = testing_framework.TestingFramework.__new__(testing_framework.TestingFramework)
    bed.__dict__.update(base.__dict__)
    bed.all_donors, bed.all_recipients = base.all_donors.copy(), base.all_recipients.copy()
    bed.distance_mat = base.distance_mat
    bed.strategy = timed
    bed.run()
    metrics = bed.metrics.set_index("metric_name").value
    found = {metric: float(metrics[metric]) for metric in METRICS}
    found["units"] = int(bed.all_granular_decisions.qty.sum())
    found["seconds"] = spent[0]
    return found


def rows_of(table: Any, who: str) -> list[list[Any]]:
    """[name, kind, seconds since 1970, units] of every row, in the order of the file."""
    seconds = table.date.map(lambda at: at.timestamp())
    return [list(row) for row in zip(table[who], table.ppe, seconds, table.qty, strict=True)]


def ask(date: Any, donors: Any, recipients: Any, distances: Any) -> Any:
    """The week as plain lists; the answer is a list of (donor, recipient, ppe, quantity)."""
    del distances
    tell(
        {
            "week": date.isoformat(),
            "donors": [
                [row.don_id, row.ppe, int(row.qty), (date - row.date).days]
                for row in donors.itertuples()
            ],
            "recipients": [[row.rec_id, row.ppe, int(row.qty)] for row in recipients.itertuples()],
        }
    )
    lines = json.loads(sys.stdin.readline())
    return pd.DataFrame(lines, columns=["don_id", "rec_id", "ppe", "qty"])


def tell(value: Any) -> None:
    """One line of JSON."""
    say.write(json.dumps(value) + "\n")
    say.flush()


if __name__ == "__main__":
    main()
