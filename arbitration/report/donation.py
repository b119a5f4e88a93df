"""The human report on a donation (zh and en): rendered from the parts and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.donation_model import AGREEMENTS, CERTIFICATES, donation_part, inside
from arbitration.donation_story import PLACES_ZH, LotTold, Told, tell_donation
from arbitration.model import Bundle
from arbitration.report.human import page_html, report_row, report_section
from ledger.core.canonical import Json

DONATION_RENDERER: Final = "fuqi/donation-report/v1"
"""A changed wording or layout is a new renderer; the old one stays, as old bundles do."""


def donation_report_json(bundle: Bundle, *, head: Mapping[str, Json]) -> dict[str, Json]:
    """The facts in the order in which they are shown.

    Args:
        bundle: opened, or a draft.
        head: `bundle`, `made_at`, `purpose`, `labels` as in the manifest.
    """
    told = tell_donation(bundle)
    part = donation_part(bundle)
    return {
        "v": DONATION_RENDERER,
        **head,
        "sections": [
            report_section("一、捐赠", "The donation", _offers(told, part)),
            report_section("二、每一件在哪里", "Where every unit is", _places(told)),
            report_section("三、分配", "Lines", _lines(bundle, told, part)),
            report_section("四、批次", "Lots", [_lot(one) for one in told.lots]),
            report_section("五、协议与证书", "Agreements and certificates", _papers(bundle)),
            report_section(
                "六、说明",
                "Remarks",
                [report_row("说明", "Remark", part["disclaimer_zh"], part["disclaimer_en"])],
            ),
        ],
    }


def donation_report_html(facts: Mapping[str, Any]) -> str:
    """One self-contained page: no script, no picture, nothing fetched."""
    return page_html(facts, title_zh="捐赠去向报告", title_en="Report on where a donation went")


def _offers(told: Told, part: Mapping[str, Any]) -> list[Json]:
    rows: list[Json] = [
        report_row(
            "参与方", "Parties", *(f"{one['name']}（{one['id']}）" for one in part["parties"])
        )
    ]
    rows += [
        report_row(
            "供给",
            "Offer",
            one.id,
            f"{one.item} × {'—' if one.units is None else one.units}",
            *(["已撤回 withdrawn"] if one.withdrawn else []),
        )
        for one in told.offers
    ]
    return rows


def _places(told: Told) -> list[Json]:
    places = told.places()
    rows = [
        report_row(PLACES_ZH[name], name.replace("_", " "), units) for name, units in places.items()
    ]
    offered = "—" if told.offered is None else told.offered
    rows.append(report_row("合计 = 供给", "Sum = offered", f"{sum(places.values())} = {offered}"))
    recalled = [one for one in told.lots if one.story.recalls]
    if recalled:
        units = sum(one.story.quantity for one in recalled)
        rows.append(report_row("其中召回未结束的批次", "Of lots under recall", units))
    other = [one for one in told.lots if one.other_use]
    if other:
        units = sum(one.story.quantity for one in other)
        rows.append(
            report_row("其中经捐赠人同意改变用途", "Put to another use with consent", units)
        )
    return rows


def _lines(bundle: Bundle, told: Told, part: Mapping[str, Any]) -> list[Json]:
    names = {str(row["line"]): str(row["hospital"]) for row in part["lines"]}
    words = {"proposed": "待答复", "accepted": "已接受", "declined": "未接受"}
    rows = []
    for one in told.lines:
        (proof,) = bundle.of_type("allocation.proposed", subject=one.id)[:1]
        rows.append(
            report_row(
                names.get(one.id, "—"),
                one.id,
                f"{one.units}（{words[one.state]} {one.state}），已开立 in lots {told.in_lots(one.id)}",
                f"轮次 round {one.round}",
                f"日志第 {proof.index} 条 entry {proof.id}",
            )
        )
    return rows


def _lot(lot: LotTold) -> Json:
    body, story = lot.body, lot.story
    held = [
        f"{lot.names.get(str(holder), holder)} · {shelf}: {units}"
        for holder, shelf, units in story.held()
    ]
    return report_row(
        f"批号 {body['batch']}",
        lot.id,
        f"{body['item']} × {story.quantity}；生产 made {body['produced']}；有效期 expires "
        f"{body['expires'] or '—'}",
        f"UDI {body['udi'] or '—'}；注册/备案号 registration {body['registration'] or '—'}",
        f"{lot.names.get(story.giver, story.giver)} → "
        f"{lot.names.get(story.receiver, story.receiver)}；验收 accepted {lot.accepted}",
        *held,
    )


def _papers(bundle: Bundle) -> list[Json]:
    rows = [
        report_row("协议证据包", "Bundle of an agreement", f"agreements/{one}.zip")
        for one in sorted(inside(bundle, AGREEMENTS))
    ]
    rows += [
        report_row(
            "捐赠证书（非财政票据）",
            "Donation certificate (no fiscal receipt)",
            f"certificates/{one}.pdf",
        )
        for one in sorted(inside(bundle, CERTIFICATES))
    ]
    return rows
