"""Makes the vectors of this folder anew (`make golden`)."""

import json
from pathlib import Path

from ledger.core.canonical import canonical_bytes, tagged_digest
from matching.catalogue import load_catalogue
from matching.generate import generate_lots, load_seed
from matching.geo import distance_km
from matching.importing import packaged_sample, read_dataset
from matching.policy import load_import_policy
from matching.problem import Policy
from matching.solve import solve
from matching.testing import DAY, PLACES, random_problem

HERE = Path(__file__).parent


def facts():
    """Everything that must not change by accident, as JSON."""
    catalogue, policy, seed = load_catalogue(), load_import_policy(), load_seed()
    dataset = read_dataset(packaged_sample(), catalogue=catalogue, policy=policy, as_of=None)
    lots = generate_lots(
        seed=seed,
        demand={"coverall": (10_000, 60), "cap": (999, 8)},
        hospitals=["a", "b"],
        catalogue=catalogue,
        day=DAY,
    )
    drawn = [[lot.key, lot.quantity, lot.place.city, lot.produced_day] for lot in lots]
    return {
        "SOURCE": "made by tests/golden/matching/make_vectors.py; the plan and certificate beside it are "
        "judged by matching/check.py, which shares no code with the solver that made them",
        "catalogue": catalogue.digest().hex(),
        "import_policy": policy.digest().hex(),
        "round_policy": Policy().digest().hex(),
        "seed": seed.digest().hex(),
        "generated": tagged_digest("fuqi/test/v1", drawn).hex(),
        "sample_counts": dataset.counts(),
        "km": [[distance_km_of(left, right) for right in PLACES] for left in PLACES],
        "problem": random_problem("golden", needs=10, lots=8).digest().hex(),
    }


def distance_km_of(left, right):
    return distance_km(
        (left.longitude_micro, left.latitude_micro), (right.longitude_micro, right.latitude_micro)
    )


def main():
    problem = random_problem("golden", needs=10, lots=8)
    solution = solve(problem)
    for name, value in (
        ("problem", problem.as_json()),
        ("plan", solution.plan.as_json()),
        ("certificate", solution.certificate.as_json()),
    ):
        (HERE / f"{name}.json").write_bytes(canonical_bytes(value))
    text = json.dumps(facts(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (HERE / "vectors.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
