"""Act four: one matching round, committed before it is solved, explained after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.callers import OPERATOR
from api.demo_state import (
    DONATED,
    SETTLE_SECONDS,
    Story,
)
from api.flows import rounds
from api.flows.importing import ImportSummary
from api.worker import settle
from ledger.core.errors import UnavailableError
from ledger.queries import demo as demo_queries
from ledger.store import transaction
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow
from matching.catalogue import load_catalogue
from matching.explain_texts import TEXTS
from matching.problem import TIERS

Line = tuple[AllocationRow, NeedRow, OfferRow, HospitalRow]


def hold_round(
    story: Story,
    run: ImportSummary,
    hospital: HospitalRow,
    offers: dict[str, OfferRow],
    progress: Callable[[str, int, int], None],
) -> dict[str, Line]:
    ports = story.ports
    settle(ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    round_id = story.id_of("rnd", "round")
    opened = rounds.open_round(
        ports, OPERATOR, round_id=round_id, at=story.started_at, as_of=run.as_of
    )
    story.stages.note(
        f"先承诺后求解 committed before solving: inputs {opened.inputs_sha256[:16]}… policy "
        f"{opened.policy_sha256[:16]}…"
    )
    # The commitment is on the chain before the solver starts.
    settle(ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    closed = rounds.solve_and_close_round(
        ports, OPERATOR, round_id=round_id, at=story.started_at, progress=progress
    )
    assert closed.summary is not None
    _show_round(story, closed.summary, closed.report)
    lines = {
        "donation": _first_line(story, round_id, offers["directed"], hospital),
        "manufacturing": _first_line(story, round_id, offers["line"], hospital),
    }
    with transaction(ports.readers) as session:
        went = demo_queries.lines_between(session, round_id=round_id, offer_ids=[offers["gift"].id])
    story.stages.table(
        f"捐赠人问：{DONATED[1]} 只口罩去了哪里 where the donor's masks went",
        ["医院 hospital", "数量 pieces", "公里 km"],
        [[h.name, str(a.quantity), str(a.km)] for a, _, _, h in went[:8]]
        + ([[f"… 其余 {len(went) - 8} 家 more", "", ""]] if len(went) > 8 else []),
    )
    for who, name in (("donor", "donation"), ("maker", "manufacturing")):
        with transaction(ports.sessions) as session:
            rounds.accept_allocation(
                session,
                ports,
                story.actors[who].caller,
                allocation_id=lines[name][0].id,
                at=story.started_at,
            )
    return lines


def _first_line(story: Story, round_id: str, offer: OfferRow, hospital: HospitalRow) -> Line:
    """The largest line of an offer: to our hospital, or else to whom the optimum gave most."""
    with transaction(story.ports.readers) as session:
        for hospital_id in (hospital.id, None):
            found = demo_queries.lines_between(
                session, round_id=round_id, offer_ids=[offer.id], hospital_id=hospital_id
            )
            if found:
                return found[0]
    raise UnavailableError("the optimum gave this offer to nobody", code="demo.no_line")


def _show_round(story: Story, summary: Any, report: Any) -> None:
    stages = story.stages
    stages.note(
        f"{summary['eligible_pairs']} 个合格配对 eligible of {summary['pairs']} pairs, "
        f"{summary['lots']} lots; checker: {report['verdict'] if report else '—'}"
    )
    stages.table(
        "按紧急程度 by urgency",
        ["", "需求 needs", "需要 wanted", "满足 served", "满足率 fill"],
        [
            [name, *_fill_cells(summary["by_tier"][name])]
            for name in TIERS
            if name in summary["by_tier"]
        ],
    )
    catalogue = load_catalogue()
    stages.table(
        "按物资 by item",
        ["", "需求 needs", "需要 wanted", "满足 served", "满足率 fill"],
        [
            [f"{catalogue.items[name].zh}", *_fill_cells(row)]
            for name, row in summary["by_item"].items()
        ],
    )
    stages.note(
        f"平均运距 {summary['km_per_unit']} km per unit; {summary['shipments']} shipments; "
        f"{summary['hospitals_served']} of {summary['hospitals']} hospitals served"
    )
    states = summary["needs"]
    stages.note("需求结果 needs: " + ", ".join(f"{name} {count}" for name, count in states.items()))
    for reason, count in sorted(summary["reasons"].items(), key=lambda kv: -kv[1])[:5]:
        english, chinese = TEXTS.get(reason, (reason, reason))
        stages.note(f"   未满足原因 why not: {count} × {chinese} ({english})")


def _fill_cells(row: Any) -> list[str]:
    permille = int(row["fill_permille"])
    return [
        str(row["needs"]),
        str(row["wanted"]),
        str(row["served"]),
        f"{permille // 10}.{permille % 10} %",
    ]
