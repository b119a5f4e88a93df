"""Act six: the goods of the accepted line on their way, from the donor's shelf to the ward, and a recall.

Each act is signed by the handler's own device and carried out in the transaction that made its statement, under
an id that is the same in every run: killed anywhere, what was signed stands and is not done again.
"""

from __future__ import annotations

from typing import Final

from api.demo_acts import Way
from api.demo_cast import CARRIER_HANDLER, HOSPITAL_SECOND, Member
from api.demo_parties import join_colleague, join_party
from api.demo_round import Line
from api.demo_state import Actor, Story
from api.demo_use import change_use, refer_fiscal
from api.flows import custody_evidence
from api.flows.importing import ImportSummary
from api.views import recalls
from api.views.disclosed import disclosed_ways
from api.views.donations import offer_way
from ledger.core.errors import UnavailableError
from ledger.queries import acts as act_queries
from ledger.queries import custody as queries
from ledger.queries import demo as demo_queries
from ledger.store import transaction
from ledger.tables.supply import OfferRow
from matching.udi import check_digit

BOXES: Final = 6
WARD: Final = "呼吸与危重症医学科（演示）"
REGISTRATION: Final = "鄂械注准20202140001"
"""Well formed and invented, as every number of the demonstration."""
DEVICE: Final = "0690123456789"
CHECKS: Final = {
    "supplier_licence": True,
    "registration_certificate": True,
    "conformity_certificate": True,
    "name_and_model": True,
    "batch_and_expiry": True,
    "packaging": True,
}


def move_goods(story: Story, run: ImportSummary, line: Line, agreement_id: str) -> str:
    """Open, pack, carry, accept, use and recall the lot of the donated line; returns its id."""
    way = _everybody(story, run, line)
    _open(way, line, agreement_id)
    boxes = _pack(way)
    _carry(way, boxes)
    _accept(way, boxes)
    _settle(way)
    change_use(way)
    refer_fiscal(way)
    _recall(way)
    _show_public(way, line)
    return way.lot_id


def take_papers(story: Story, lot_id: str) -> None:
    """The labels were taken on the way; now the donation certificate, and every receipt of the lot."""
    donor, at = story.actors["donor"].caller, story.clock()
    with transaction(story.ports.readers) as session:
        certificate = custody_evidence.lot_certificate(session, story.ports, donor, lot_id, at=at)
        receipts = custody_evidence.receipts_zip(session, story.ports, donor, lot_id, at=at)
        acts = act_queries.acts_of(session, lot_id, limit=act_queries.PAGE_MAX)
    for what, name, data in (
        ("捐赠证书（非财政票据） donation certificate", "certificate.pdf", certificate),
        ("批次全部回执 receipts of the lot", "lot-receipts.zip", receipts),
    ):
        (story.out / name).write_bytes(data)
        story.made.append((what, str(story.out / name)))
    calls = [one.call for one in acts if one.state == "final"]
    story.stages.mark(
        f"链上副本 copied to SupplyLots: {', '.join(calls) or '—'}",
        good=len(calls) == len(acts),
    )


def _everybody(story: Story, run: ImportSummary, line: Line) -> Way:
    """A carrier of the data joins, and a second person of the hospital; names of firms are the data's."""
    with transaction(story.ports.readers) as session:
        lane = demo_queries.nationwide_lane(session, run_id=run.run_id)
    if lane is None:
        raise UnavailableError("no carrier of the data serves the country", code="demo.no_carrier")
    name, birth = CARRIER_HANDLER
    carrier = join_party(
        story, Member("carrier", "carrier", lane.name, "（虚构地址）", name, birth)
    )
    first = story.actors["hospital"]
    name, birth = HOSPITAL_SECOND
    colleague = Member("doctor", "hospital", first.member.name, first.member.place, name, birth)
    return Way(
        story=story,
        lot_id=story.id_of("lot", "donation"),
        donor=story.actors["donor"],
        carrier=carrier,
        hospital=first,
        second=join_colleague(story, colleague, first),
        quantity=line[0].quantity,
    )


def _open(way: Way, line: Line, agreement_id: str) -> None:
    allocation, _, offer, hospital = line
    assert offer.produced_on is not None
    assert offer.expires_on is not None
    udi = f"(01){DEVICE}{check_digit(DEVICE)}(11){offer.produced_on:%y%m%d}"
    udi += f"(17){offer.expires_on:%y%m%d}(10){offer.batch_number}"
    fields = {
        "lot_id": way.lot_id,
        "allocation_id": allocation.id,
        "agreement_id": agreement_id,
        "quantity": way.quantity,
        "batch_number": offer.batch_number,
        "produced_on": offer.produced_on.isoformat(),
        "expires_on": offer.expires_on.isoformat(),
        "udi": udi,
        "registration": REGISTRATION,
        "purpose": "临床一线防护",
    }
    if not way.done("open"):
        way.refused(way.donor, "lot.open", {**fields, "udi": f"(01){DEVICE}0"}, "misread UDI")
    way.act(way.donor, "open", "lot.open", **fields)
    way.story.stages.mark(f"开立批次 lot of {way.quantity} for {hospital.name}, UDI {udi}")


def _pack(way: Way) -> list[str]:
    """As even boxes as there can be; each with an opaque label."""
    story = way.story
    count = min(BOXES, way.quantity)
    each, more = divmod(way.quantity, count)
    ids = [story.id_of("pkg", f"box{number}") for number in range(count)]
    sizes = [each + (number < more) for number in range(count)]
    boxes = [{"id": one, "quantity": size} for one, size in zip(ids, sizes, strict=True)]
    packed = not way.done("pack")
    way.act(way.donor, "pack", "lot.pack", lot_id=way.lot_id, packages=boxes)
    labels = story.out / "labels.pdf"
    if packed or not labels.exists():
        story.out.mkdir(exist_ok=True)
        with transaction(story.ports.readers) as session:
            if any(one.state == "packed" for one in queries.packages_of(session, way.lot_id)):
                labels.write_bytes(
                    custody_evidence.lot_labels(session, way.donor.caller, way.lot_id)
                )
    if labels.exists():
        story.made.append(("箱签（二维码） labels with QR codes", str(labels)))
    story.stages.mark(f"装箱 packed: {count} 箱 boxes, 每箱一枚二维码 one QR label each")
    return ids


def _hand(way: Way, giver: Actor, target: Actor, name: str, boxes: list[str], waybill: str) -> str:
    handover = way.story.id_of("hov", name)
    way.act(
        giver,
        f"hand-{name}",
        "lot.hand",
        handover_id=handover,
        lot_id=way.lot_id,
        to_organisation=target.registered.organisation.id,
        package_ids=boxes,
        waybill=waybill,
    )
    return handover


def _carry(way: Way, boxes: list[str]) -> None:
    handover = _hand(way, way.donor, way.carrier, "carrier", boxes, "DEMO-0001")
    way.act(way.carrier, "receive-carrier", "lot.receive", handover_id=handover)
    way.story.stages.mark(
        f"移交承运方 handed to {way.carrier.registered.organisation.name}："
        "双方均已签署 both sides have signed"
    )


def _accept(way: Way, boxes: list[str]) -> None:
    """Some units wait, some are refused, some are not there: two persons sign the same counts."""
    handover = _hand(way, way.carrier, way.hospital, "hospital", boxes, "DEMO-0001")
    apart = _apart(way)
    counts = {
        "handover_id": handover,
        "accepted": way.quantity - sum(apart.values()),
        **apart,
        "checks": CHECKS,
        "note": "一箱受潮（演示）",
    }
    way.act(way.hospital, "inspect", "lot.inspect", **counts)
    if not way.done("accept"):
        way.refused(way.hospital, "lot.accept", counts, "the same person twice")
    way.act(way.second, "accept", "lot.accept", **counts)
    way.story.stages.mark(
        f"两人验收 accepted by two: 收 {counts['accepted']}，隔离 {apart['quarantined']}，"
        f"拒 {apart['rejected']}，缺 {apart['missing']}（差异计时开始 a discrepancy runs its clock）"
    )


def _settle(way: Way) -> None:
    """The carrier answers for what is missing and takes back what was refused; the rest reaches the ward."""
    with transaction(way.story.ports.readers) as session:
        missing = queries.discrepancies_of(session, way.lot_id)[0]
    named = {"discrepancy_id": missing.id}
    way.act(
        way.carrier,
        "answer",
        "discrepancy.answer",
        answer="转运途中掉落，已无法使用（演示）",
        **named,
    )
    way.act(
        way.carrier,
        "settle",
        "discrepancy.settle",
        outcome="lost",
        note="承运方承担（演示）",
        **named,
    )
    apart = _apart(way)
    way.act(
        way.hospital,
        "release",
        "lot.release",
        lot_id=way.lot_id,
        quantity=apart["quarantined"],
        outcome="accepted",
        reason="复检合格（演示）",
    )
    back = way.story.id_of("pkg", "back")
    refused = [{"id": back, "quantity": apart["rejected"]}]
    way.act(
        way.carrier, "repack", "lot.pack", lot_id=way.lot_id, packages=refused, shelf="rejected"
    )
    handover = _hand(way, way.carrier, way.donor, "back", [back], "DEMO-0002")
    way.act(way.donor, "receive-back", "lot.receive", handover_id=handover)
    used = max(1, way.quantity // 6)
    way.act(way.hospital, "use", "lot.use", lot_id=way.lot_id, quantity=used, ward=WARD)
    way.story.stages.mark(f"病区使用 {used} used on a ward; 拒收的已退回 what was refused is back")


def _recall(way: Way) -> None:
    """Both ways along the batch, one query each; while it is open nothing of it is used."""
    story, recall = way.story, way.story.id_of("rcl", "recall")
    way.act(
        way.donor,
        "recall",
        "recall.open",
        recall_id=recall,
        lot_id=way.lot_id,
        reason="同批留样密合性待复核（演示）",
    )
    with transaction(story.ports.readers) as session:
        held = recalls.batch_of(session, way.donor.caller, way.lot_id)
        organisation = way.hospital.registered.organisation
        back = recalls.own_batches(session, way.hospital.caller, organisation.id)
    story.stages.table(
        f"批号 {held['batch_number']} 在谁手里 holders",
        ["持有人 holder", "状态 shelf", "数量 units"],
        [[one["holder"], one["shelf"], str(one["quantity"])] for one in held["held"]],
    )
    story.stages.note(
        f"反向 the other way: {organisation.name} 持有 {len({one.batch_number for one in back})} "
        "个批号 batches"
    )
    if not way.done("recall-close"):
        use = {"lot_id": way.lot_id, "quantity": 1, "ward": WARD}
        way.refused(way.hospital, "lot.use", use, "use of a recalled batch")
    way.act(
        way.donor,
        "recall-close",
        "recall.close",
        recall_id=recall,
        reason="留样复核合格，召回结束（演示）",
    )
    story.stages.mark("召回已结束 the recall is closed")


def _show_public(way: Way, line: Line) -> None:
    """What everybody sees on /disclosure, and what the donor sees of its own offer."""
    allocation, _, offer, _ = line
    with transaction(way.story.ports.readers) as session:
        public = disclosed_ways(session, [allocation.id])[allocation.id]
        offer = session.get_one(OfferRow, offer.id)
        own = offer_way(session, way.donor.caller, offer.id)
    adds = sum(own.by_shelf.values()) == way.quantity
    way.story.stages.table(
        "捐赠人的页面 the donor's page",
        ["状态 shelf", "数量 units"],
        [[shelf, str(units)] for shelf, units in sorted(own.by_shelf.items())],
    )
    way.story.stages.mark(
        f"合计 {way.quantity}，一件不多一件不少 every unit is at one place", good=adds
    )
    way.story.stages.mark(
        f"公示页 /disclosure: 送达 arrived {public['arrived']}, 使用 used {public['used']}, "
        f"损失 lost {public['lost']}",
        good=public["opened"] == way.quantity,
    )


def _apart(way: Way) -> dict[str, int]:
    """Units of the acceptance that are not simply accepted; the same in every run."""
    return {
        "quarantined": max(1, way.quantity // 75),
        "rejected": max(1, way.quantity // 150),
        "missing": max(1, way.quantity // 300),
    }
