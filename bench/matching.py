"""Matching against greedy and against the bare solver, on hubei-2020 or, where it is absent, the sample."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matching import solve as solver
from matching.candidates import ELIGIBLE, Candidates, judge_pairs
from matching.catalogue import from_day, load_catalogue, to_day
from matching.check import check_plan
from matching.generate import generate_lots, load_seed
from matching.importing import COLUMNS, packaged_sample, read_dataset
from matching.policy import load_import_policy
from matching.problem import Lane, Lot, Need, Policy, Problem, make_problem

HUBEI = Path(__file__).resolve().parents[2] / "shared" / "data" / "hubei-2020"
REPEATS = 3


def load_problem() -> tuple[str, Problem]:
    """(name, round) of the real data with generated lots, or of the packaged sample."""
    if HUBEI.is_dir():
        return "hubei", build({name: (HUBEI / name).read_bytes() for name in COLUMNS})
    return "sample", build(packaged_sample())


def build(files: Mapping[str, bytes]) -> Problem:
    """The same round that the import and the flows build, without a database."""
    catalogue, policy = load_catalogue(), load_import_policy()
    dataset = read_dataset(files, catalogue=catalogue, policy=policy, as_of=None)
    day = to_day(dataset.as_of)
    hospitals = {hospital.key: hospital for hospital in dataset.hospitals()}
    demand: dict[str, tuple[int, int]] = {}
    for record in dataset.needs():
        pieces, rows = demand.get(record.items[0], (0, 0))
        demand[record.items[0]] = (pieces + record.quantity, rows + 1)
    needs = [
        Need(
            id=record.key,
            hospital=record.hospital_key,
            items=record.items,
            quantity=record.quantity,
            tier=record.tier,
            deadline_day=record.deadline_day,
            place=hospitals[record.hospital_key].place,
            standard=record.standard,
            edition=record.edition,
            certificate_min=record.certificate_min,
            sterile=record.sterile,
            remaining_days_min=record.remaining_days_min,
            accepts_substitutes=record.accepts_substitutes,
        )
        for record in dataset.needs()
    ]
    drafts = generate_lots(
        seed=load_seed(), demand=demand, hospitals=list(hospitals), catalogue=catalogue, day=day
    )
    lots = [
        Lot(
            id=draft.key,
            donor=draft.donor_name,
            donor_kind=draft.donor_kind,
            item=draft.item,
            quantity=draft.quantity,
            place=draft.place,
            available_day=draft.available_day,
            produced_day=draft.produced_day,
            expires_day=draft.expires_day,
            standard=draft.standard,
            edition=draft.edition,
            certificate=draft.certificate,
            sterile=draft.sterile,
            directed_to=draft.directed_to,
            related_to=draft.related_to,
            frozen=draft.frozen,
        )
        for draft in drafts
    ]
    for record in dataset.capacities():
        life = catalogue.items[record.item].shelf_days
        for window in range(record.windows):
            made = record.first_day + window
            lots.append(
                Lot(
                    id=f"{record.key}.{window:03d}",
                    donor=record.name,
                    donor_kind="organisation",
                    item=record.item,
                    quantity=record.per_day,
                    place=record.place,
                    available_day=made,
                    produced_day=made,
                    expires_day=None if life is None else made + life,
                    standard=record.standard,
                    edition=record.edition,
                    certificate=record.certificate,
                    sterile=False,
                    directed_to=(),
                    related_to=(),
                    frozen=False,
                )
            )
    return make_problem(
        f"bench-{from_day(day).isoformat()}",
        day=day,
        needs=needs,
        lots=lots,
        lanes=[
            Lane(lane.key, lane.origin, lane.destination, lane.individuals)
            for lane in dataset.lanes()
        ],
        policy=Policy(),
        catalogue=catalogue,
    )


def scarce(problem: Problem, *, percent: int) -> Problem:
    """The same round with only so much of every lot: critical needs go short too."""
    from dataclasses import replace

    return replace(
        problem,
        lots=tuple(
            replace(lot, quantity=max(1, lot.quantity * percent // 100)) for lot in problem.lots
        ),
    )


def greedy(problem: Problem, judged: Candidates, *, rule: str) -> Any:
    """Units served, (needs, lots), if each need in turn, most urgent first, takes from its best eligible lots.

    Args:
        rule: `nearest`, or `first_expiring` (what OpenBoxes and mSupply do for each line).
    """
    left = [lot.quantity for lot in problem.lots]
    served = np.zeros(judged.codes.shape, dtype=np.int64)
    cost = judged.transport if rule == "nearest" else np.broadcast_to(judged.life, served.shape)
    order = sorted(range(len(problem.needs)), key=lambda row: (problem.needs[row].tier, row))
    for row in order:
        wanted = problem.needs[row].quantity
        columns = np.flatnonzero(judged.codes[row] == ELIGIBLE)
        queue = [(int(cost[row, column]), int(column)) for column in columns]
        heapq.heapify(queue)
        while wanted and queue:
            column = heapq.heappop(queue)[1]
            units = min(wanted, left[column])
            left[column] -= units
            wanted -= units
            served[row, column] += units
    return served


def exact(problem: Problem, judged: Candidates) -> Any:
    """Units served, (needs, lots), by the optimum."""
    rows = {need.id: row for row, need in enumerate(problem.needs)}
    columns = {lot.id: column for column, lot in enumerate(problem.lots)}
    served = np.zeros(judged.codes.shape, dtype=np.int64)
    for flow in solver.solve(problem, candidates=judged).plan.flows:
        served[rows[flow.need], columns[flow.lot]] = flow.quantity
    return served


def outcome(problem: Problem, judged: Candidates, served: Any) -> dict[str, tuple[float, str]]:
    """What a split means for those who receive."""
    classes = {item.id: item.item_class for item in problem.catalogue.items.values()}
    groups: dict[tuple[str, str, int], list[int]] = {}
    got = served.sum(axis=1).tolist()
    for row, need in enumerate(problem.needs):
        group = groups.setdefault((need.hospital, classes[need.items[0]], need.tier), [0, 0])
        group[0] += need.quantity
        group[1] += got[row]
    found: dict[str, tuple[float, str]] = {}
    for tier, label in enumerate(("critical", "high", "normal")):
        mine = [group for key, group in groups.items() if key[2] == tier]
        found[f"unserved_{label}"] = (sum(want - have for want, have in mine), "pieces")
        # A group under a tenth of its need: a hospital that got next to nothing of a class.
        found[f"left_out_{label}"] = (sum(have * 10 < want for want, have in mine), "groups")
    units = int(served.sum())
    found["distance"] = (int((served * judged.transport).sum()) / units if units else 0, "km/piece")
    return found


def measures() -> list[dict[str, Any]]:
    """Seconds of each stage and what exactness gains over greedy."""
    name, problem = load_problem()
    judged = judge_pairs(problem)
    pairs_s = _best(lambda: judge_pairs(problem))
    solve_s = _best(lambda: solver.solve(problem, candidates=judged))
    greedy_s = _best(lambda: greedy(problem, judged, rule="nearest"))
    solution = solver.solve(problem, candidates=judged)
    check_s = _best(
        lambda: check_plan(problem, solution.plan, solution.certificate, candidates=judged)
    )
    count = len(problem.needs)
    rows = [
        _row(f"matching.{name}.pairs", pairs_s, "s", None, int(judged.codes.size)),
        # Beside raw OR-Tools on equal graphs: bench/engine.py.
        _row(f"matching.{name}.solve_and_certificate", solve_s, "s", None, count),
        _row(
            f"matching.{name}.solve_against_greedy",
            solve_s,
            "s",
            greedy_s,
            count,
            "greedy, most urgent first, nearest lot",
        ),
        _row(f"matching.{name}.check", check_s, "s", solve_s, count, "own solve"),
    ]
    for percent in (100, 30):
        some = problem if percent == 100 else scarce(problem, percent=percent)
        best = outcome(some, judged, exact(some, judged))
        for rule in ("nearest", "first_expiring"):
            other = outcome(some, judged, greedy(some, judged, rule=rule))
            rows += [
                _row(
                    f"matching.{name}.supply{percent}.{label}.against_{rule}",
                    value,
                    unit,
                    other[label][0],
                    count,
                    f"greedy {rule} over all pairs, {percent} % of the supply",
                )
                for label, (value, unit) in best.items()
                if other[label][0]
            ]
    return rows


def _best(run: Callable[[], object]) -> float:
    """The fastest of a few runs: the others measure the machine's other work."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def _row(
    name: str, value: float, unit: str, baseline: float | None, n: int, against: str = ""
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "ratio": value / baseline if baseline else None,
        "n": n,
        "against": against,
    }
