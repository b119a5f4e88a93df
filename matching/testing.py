"""Random small rounds for tests and benches; every name in them is invented."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from matching.catalogue import Catalogue, load_catalogue
from matching.problem import Lane, Lot, Need, Place, Policy, Problem, Resource, make_problem

WUHAN = Place("湖北", "武汉市", 114_305_469, 30_593_175)
PLACES = (
    WUHAN,
    Place("湖北", "黄冈市", 114_872_199, 30_453_667),
    Place("湖北", "宜昌市", 111_286_445, 30_691_865),
    Place("广东", "广州市", 113_264_385, 23_129_110),
    Place("四川", "成都市", 104_066_794, 30_572_893),
)
LANES = (
    Lane("lane-any", None, WUHAN, individuals=False),
    Lane("lane-private", "广东", WUHAN, individuals=True),
)
DAY = 18_293
"""2020-02-01."""


def numbers(seed: str) -> Iterator[int]:
    """An endless stream of 64-bit integers, the same for one seed on every Python."""
    counter = 0
    while True:
        block = hashlib.sha256(f"{seed}|{counter}".encode()).digest()
        for start in range(0, 32, 8):
            yield int.from_bytes(block[start : start + 8], "big")
        counter += 1


def random_problem(
    seed: str,
    *,
    needs: int = 6,
    lots: int = 4,
    units: int = 12,
    policy: Policy | None = None,
    catalogue: Catalogue | None = None,
) -> Problem:
    """A round in which everything varies: items, tiers, places, standards, life, donors."""
    stream = numbers(seed)
    items = ("mask_protective", "mask_surgical", "mask_medical", "goggles", "cap")

    def pick(count: int) -> int:
        return next(stream) % count

    def need(number: int) -> Need:
        item = items[pick(len(items))]
        named = item == "mask_surgical" and pick(3) == 0
        return Need(
            id=f"n{number:03d}",
            hospital=f"h{pick(max(1, needs // 2))}",
            items=(item,),
            quantity=1 + pick(units),
            tier=pick(3),
            deadline_day=DAY + 2 + pick(12),
            place=PLACES[pick(3)],
            standard="YY 0469" if named else None,
            edition="2011" if named and pick(2) else None,
            certificate_min=pick(3),
            sterile=pick(8) == 0,
            remaining_days_min=30 * pick(7),
            accepts_substitutes=pick(4) > 0,
        )

    def lot(number: int) -> Lot:
        item = items[pick(len(items))]
        standard = {"mask_protective": "GB 19083", "mask_surgical": "YY 0469"}.get(item)
        edition = {"mask_protective": "2010", "mask_surgical": "2011"}.get(item)
        if item == "mask_medical":
            standard, edition = "YY/T 0969", "2013"
        if edition is not None and pick(6) == 0:
            edition = "2003" if item == "mask_protective" else "2004"
        produced = DAY - 30 * pick(24)
        return Lot(
            id=f"l{number:03d}",
            donor=f"d{pick(3)}",
            donor_kind="individual" if pick(4) == 0 else "organisation",
            item=item,
            quantity=1 + pick(2 * units),
            place=PLACES[pick(len(PLACES))],
            available_day=DAY + pick(4),
            produced_day=produced,
            expires_day=None if item == "goggles" else produced + 365 * (1 + pick(3)),
            standard=standard,
            edition=edition,
            certificate=2 - (pick(5) == 0),
            sterile=pick(2) == 0,
            directed_to=("h0",) if pick(8) == 0 else (),
            related_to=("h1",) if pick(8) == 0 else (),
            frozen=pick(12) == 0,
        )

    return make_problem(
        f"rnd-{seed}",
        day=DAY,
        needs=[need(number) for number in range(needs)],
        lots=[lot(number) for number in range(lots)],
        lanes=LANES,
        policy=policy or Policy(),
        catalogue=catalogue or load_catalogue(),
    )


LIMITS = ("pack", "smallest", "receivers", "resource")
LINE = Resource("line-1", "line", 60)


def random_limited_problem(
    seed: str, *, kinds: Sequence[str] = LIMITS, policy: Policy | None = None, **sizes: int
) -> Problem:
    """A random round in which each lot has one of these limits."""
    wanted: dict[str, Any] = {"needs": 14, "lots": 10, "units": 40} | sizes
    problem = random_problem(seed, policy=policy, **wanted)
    stream = numbers(f"limits-{seed}")
    lots = []
    for lot in problem.lots:
        kind = kinds[next(stream) % len(kinds)]
        size = min(lot.quantity, 1 + next(stream) % 7)
        if kind == "pack":
            lots.append(replace(lot, pack=size))
        elif kind == "smallest":
            lots.append(replace(lot, smallest=size))
        elif kind == "receivers":
            lots.append(replace(lot, receivers_max=1 + size % 2))
        else:
            lots.append(replace(lot, resource=LINE.id, per_unit=size))
    return make_problem(
        problem.id,
        day=problem.day,
        needs=problem.needs,
        lots=lots,
        lanes=problem.lanes,
        policy=problem.policy,
        catalogue=problem.catalogue,
        resources=[LINE] if "resource" in kinds else [],
    )
