"""Why a need was served as it was and where a donor's units went, in both languages. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows import rounds
from api.schemas.supply import LotLineOut, LotOutcomeOut, NeedOutcomeOut
from api.views.public import item_names
from ledger.queries import supply as queries
from ledger.tables.supply import HospitalRow, NeedRow, OfferRow
from matching.explain import claim_of
from matching.explain_texts import OUTBID, TEXTS
from matching.problem import TIERS

OWN_NEEDS_MAX: Final = 100
OWN_OFFERS_MAX: Final = 100
"""An organisation's own records on one page of a round; the rest stands in the JSON of its lines."""
LINES_MAX: Final = 200
"""Lines of one lot that are listed; their sum is always shown."""
_TIER_WORDS: Final = (("特急", "critical"), ("紧急", "high"), ("一般", "normal"))


def own_outcomes(session: Session, caller: Caller, round_id: str) -> list[NeedOutcomeOut]:
    """Why each need of the caller's organisation was filled, in part, or not, in a closed round."""
    if caller.organisation_id is None:
        return []
    mine = queries.needs_page(
        session, state=None, organisation_id=caller.organisation_id, limit=OWN_NEEDS_MAX
    )
    needs = {need.id: need for need, _ in mine}
    if not needs:
        return []
    document = rounds.round_document(session, round_id=round_id, name="outcomes")
    segments = int(document.get("segments", 0))
    return [
        _need(needs[row["need"]], row, segments=segments)
        for row in document["needs"]
        if row["need"] in needs
    ]


def own_supplies(session: Session, caller: Caller, round_id: str) -> list[LotOutcomeOut]:
    """Where the units of the caller's organisation went in a closed round, and why there."""
    if caller.organisation_id is None:
        return []
    mine = queries.offers_page(
        session, state=None, organisation_id=caller.organisation_id, limit=OWN_OFFERS_MAX
    )
    offers = {offer.id: offer for offer in mine}
    if not offers:
        return []
    document = rounds.round_document(session, round_id=round_id, name="outcomes")
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in document["lots"]:
        # A capacity has one lot for each of its days: <offer>.<day>.
        offer_id = row["lot"].partition(".")[0]
        if offer_id in offers:
            rows.setdefault(offer_id, []).append(row)
    wanted = sorted(
        {_line_need(x) for days in rows.values() for day in days for x in day["lines"][:LINES_MAX]}
    )
    needs: dict[str, tuple[NeedRow, HospitalRow]] = {}
    for first in range(0, len(wanted), queries.IDS_MAX):
        found = queries.needs_by_ids(session, wanted[first : first + queries.IDS_MAX])
        needs |= {need.id: (need, hospital) for need, hospital in found}
    return [_lot(offers[offer_id], days, needs) for offer_id, days in rows.items()]


def reason_texts(reason: str | None) -> tuple[str, str]:
    """(zh, en) of a reason code."""
    if reason is None:
        return "", ""
    en, zh = TEXTS.get(reason, (reason, reason))
    return zh, en


def claim_words(rank: int, *, segments: int) -> tuple[str, str]:
    """(zh, en) of a rank: whose claim, and for which part of what was asked."""
    tier, part = claim_of(min(max(rank, 1), len(TIERS) * segments), segments=segments)
    zh, en = _TIER_WORDS[tier]
    return f"{zh}需求的第{part}/{segments}份", f"part {part} of {segments} of a {en} need"


def _need(need: NeedRow, row: Mapping[str, Any], *, segments: int) -> NeedOutcomeOut:
    zh, en = item_names(need.item)
    reason_zh, reason_en = reason_texts(row["reason"])
    detail_zh, detail_en = _detail(row, segments=segments)
    return NeedOutcomeOut(
        need=need.id,
        item_zh=zh,
        item_en=en,
        quantity=need.quantity,
        served=int(row["served"]),
        state=str(row["state"]),
        reason=row["reason"],
        reason_zh=reason_zh,
        reason_en=reason_en,
        detail_zh=detail_zh,
        detail_en=detail_en,
        against=dict(row["against"]),
        shortage_price=int(row["shortage_price"]),
        claim=int(row.get("claim", 0)),
        asked=row.get("asked"),
    )


def _detail(row: Mapping[str, Any], *, segments: int) -> tuple[str, str]:
    """What stood against the need, or by which claim it was outbid; nothing for a filled one."""
    if row["reason"] == OUTBID and row.get("asked") and segments:
        mine = claim_words(int(row["claim"]), segments=segments)
        other = claim_words(int(row["asked"][0]), segments=segments)
        if row["asked"][0] == row["claim"]:
            return (
                f"下一件属于{mine[0]}；合格的物资都给了同级而更近、或同样近的需求",
                f"the next piece is {mine[1]}; all that fits went to equal claims that are nearer or as near",
            )
        return (
            f"下一件属于{mine[0]}；合格的最便宜一件在别处至少抵{other[0]}",
            f"the next piece is {mine[1]}; the cheapest that fits is worth at least {other[1]} elsewhere",
        )
    if row["reason"] is None or not row["against"]:
        return "", ""
    counts = sorted(row["against"].items(), key=lambda pair: (-pair[1], pair[0]))
    return (
        "；".join(f"{count}个批次{reason_texts(name)[0]}" for name, count in counts),
        "; ".join(f"{count} lots: {reason_texts(name)[1]}" for name, count in counts),
    )


def _line_need(line: Any) -> str:
    """Version 1 wrote [need, quantity]."""
    return str(line["need"] if isinstance(line, Mapping) else line[0])


def _lot(
    offer: OfferRow,
    days: Sequence[Mapping[str, Any]],
    needs: Mapping[str, tuple[NeedRow, HospitalRow]],
) -> LotOutcomeOut:
    zh, en = item_names(offer.item)
    reason = next((day["reason"] for day in days if day["reason"] is not None), None)
    reason_zh, reason_en = reason_texts(reason)
    all_lines = [line for day in days for line in day["lines"]]
    lines = [_lot_line(line, needs) for line in all_lines[:LINES_MAX]]
    return LotOutcomeOut(
        offer=offer.id,
        item_zh=zh,
        item_en=en,
        given=sum(_line_units(line) for line in all_lines),
        left=sum(int(day["left"]) for day in days),
        reason=reason,
        reason_zh=reason_zh,
        reason_en=reason_en,
        lines_in_all=len(all_lines),
        lines=[line for line in lines if line is not None],
    )


def _line_units(line: Any) -> int:
    return int(line["quantity"] if isinstance(line, Mapping) else line[1])


def _lot_line(line: Any, needs: Mapping[str, tuple[NeedRow, HospitalRow]]) -> LotLineOut | None:
    found = needs.get(_line_need(line))
    if found is None:
        return None
    need, hospital = found
    reason = line["reason"] if isinstance(line, Mapping) else None
    zh, en = reason_texts(reason)
    worse = line["worse_by"] if isinstance(line, Mapping) else None
    return LotLineOut(
        need=need.id,
        hospital=hospital.name,
        city=hospital.city,
        urgency=TIERS[need.tier],
        quantity=_line_units(line),
        reason=reason,
        reason_zh=zh,
        reason_en=en,
        worse_by=worse,
    )
